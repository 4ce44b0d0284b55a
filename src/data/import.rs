//! CSV files as changes: one record for each line, looked at before anything is written.

use serde_json::Value;

use super::{
    changes::{Deed, Draft},
    export::read_cell,
    form::{self, Control, Filled, Opened, VALUE},
    service::Resource,
    value::{Moment, moment},
};
use crate::{
    config::{FieldConfig, FieldKind},
    error::{Error, Result},
    ui::zone::Zone,
};

/// The most lines of a file.
const MOST: usize = 20_000;
/// What stands between values, as programs write it in different countries.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// What a file asks for.
#[derive(Debug)]
pub struct Read {
    /// A change for each line.
    pub drafts: Vec<Draft>,
    /// What to know before they are done.
    pub notes: Vec<String>,
}

/// Which column holds what.
enum Column<'a> {
    Id,
    Field(&'a FieldConfig),
    /// Nothing of this resource.
    Unknown,
}

/// What may be done with the lines.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// Lines without an id.
    pub create: bool,
    /// Lines with one.
    pub update: bool,
}

/// Reads a file: the first line names fields, by name or label; a line with an id changes that record,
/// one without makes a new one. Empty values of a record that is there leave it as it is.
///
/// 400 for what is no such file, 413 for one with too many lines.
pub fn read(bytes: &[u8], resource: &Resource, allowed: Allowed, zone: &Zone) -> Result<Read> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        Error::bad_request("The file is no UTF-8 text. Save it as “CSV UTF-8” and choose it again.")
            .because(cause)
    })?;
    let text = text.trim_start_matches('\u{feff}');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(text))
        .flexible(true)
        .from_reader(text.as_bytes());
    let head = reader.headers().map_err(not_csv)?.clone();
    let columns: Vec<Column<'_>> = head.iter().map(|name| column(resource, name)).collect();
    if !columns.iter().any(|column| matches!(column, Column::Field(_))) {
        let names: Vec<&str> =
            form::entered(&resource.fields).map(|field| field.name.as_str()).collect();
        return Err(Error::bad_request(format!(
            "The first line names no field. It should have some of: {}.",
            names.join(", ")
        )));
    }
    let (mut drafts, mut lines) = (Vec::new(), Lines { text: text.as_bytes(), at: 0, line: 1 });
    for record in reader.records() {
        let record = record.map_err(not_csv)?;
        if record.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        if drafts.len() == MOST {
            return Err(Error::too_large(format!(
                "The file has more than {MOST} records. Split it, and import the parts."
            )));
        }
        let draft = draft(resource, &columns, &record, allowed, zone);
        drafts.push(Draft { place: lines.of(&record), ..draft });
    }
    if drafts.is_empty() {
        return Err(Error::bad_request("The file has no records below its first line."));
    }
    Ok(Read { drafts, notes: notes(&head, &columns) })
}

fn not_csv(cause: csv::Error) -> Error {
    let line = cause.position().map(|place| format!(" at line {}", place.line()));
    let sentence = format!("The file cannot be read as CSV{}.", line.unwrap_or_default());
    Error::bad_request(sentence).because(cause)
}

/// Counts lines as an editor does. The reader counts a line end to the record behind it.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: i64,
}

impl Lines<'_> {
    /// The line on which a record begins; records come in their order.
    fn of(&mut self, record: &csv::StringRecord) -> i64 {
        let place = record.position().map_or(0, csv::Position::byte);
        let place = usize::try_from(place).unwrap_or(usize::MAX).min(self.text.len());
        let ends = self.text[place..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let passed = &self.text[self.at.min(place + ends)..place + ends];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count() as i64;
        self.at = place + ends;
        self.line
    }
}

/// The one that the first line has most of.
fn delimiter(text: &str) -> u8 {
    let first = text.lines().next().unwrap_or_default();
    let count = |delimiter: &u8| first.bytes().filter(|byte| byte == delimiter).count();
    // Of those that are as many the first counts.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

fn column<'a>(resource: &'a Resource, name: &str) -> Column<'a> {
    let name = name.trim();
    if name.eq_ignore_ascii_case(&resource.config.id) {
        return Column::Id;
    }
    let is_it = |field: &&FieldConfig| {
        field.name.eq_ignore_ascii_case(name) || field.label.to_lowercase() == name.to_lowercase()
    };
    form::entered(&resource.fields).find(is_it).map_or(Column::Unknown, Column::Field)
}

fn notes(head: &csv::StringRecord, columns: &[Column<'_>]) -> Vec<String> {
    let unknown = head.iter().zip(columns).filter(|(_, column)| matches!(column, Column::Unknown));
    let unknown: Vec<&str> =
        unknown.map(|(name, _)| name).filter(|name| !name.is_empty()).collect();
    if unknown.is_empty() {
        return Vec::new();
    }
    vec![format!("These columns are passed over, since no form has them: {}.", unknown.join(", "))]
}

fn draft(
    resource: &Resource,
    columns: &[Column<'_>],
    record: &csv::StringRecord,
    allowed: Allowed,
    zone: &Zone,
) -> Draft {
    let cell = |at: usize| read_cell(record.get(at).unwrap_or_default());
    let id = columns.iter().position(|column| matches!(column, Column::Id)).map(cell);
    let id = id.unwrap_or_default().trim().to_owned();
    let mut pairs = Vec::new();
    let mut meant = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let Column::Field(field) = column else { continue };
        let name = || format!("{VALUE}{}", field.name);
        match plainly(field, cell(at).trim()) {
            Some(said) => meant.push((field, said)),
            None => {
                pairs.extend(texts(field, cell(at), zone).into_iter().map(|text| (name(), text)))
            }
        }
    }
    let (deed, filled) = if id.is_empty() {
        (Deed::Create, form::made(&resource.fields, zone, &pairs))
    } else {
        let opened = Opened { zone: zone.name().to_owned(), ..Opened::default() };
        (Deed::Update, form::changed(&resource.fields, &opened, &pairs))
    };
    let Filled { mut values, mut problems } = filled;
    for (field, said) in meant {
        problems.retain(|(name, _)| *name != field.name);
        match said {
            Ok(value) => drop(values.insert(field.name.clone(), value)),
            Err(problem) => problems.push((field.name.clone(), problem.to_owned())),
        }
    }
    let width = record.len();
    if width > columns.len() {
        problems
            .push((String::new(), format!("This line has {width} values, not {}.", columns.len())));
    }
    let is_allowed = if id.is_empty() { allowed.create } else { allowed.update };
    if !is_allowed {
        let what = if id.is_empty() { "make new ones" } else { "change those that are there" };
        problems.push((String::new(), format!("You are not allowed to {what}.")));
    }
    let first = columns.iter().position(|column| matches!(column, Column::Field(_)));
    let title = first.map(cell).unwrap_or_default().trim().to_owned();
    Draft {
        title: if title.is_empty() { format!("#{id}") } else { title },
        record: id,
        deed,
        values,
        problems,
        place: 0,
    }
}

/// What a cell says that no form could: yes or no, and moments as their backend writes them, to the
/// last digit. Nothing for any other cell, which is read as a form is.
fn plainly(field: &FieldConfig, cell: &str) -> Option<Result<Value, &'static str>> {
    match &field.kind {
        _ if cell.is_empty() => None,
        FieldKind::Boolean => Some(match cell.to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "x" => Ok(true.into()),
            "false" | "no" | "n" | "0" => Ok(false.into()),
            _ => Err("Write yes or no."),
        }),
        FieldKind::DateTime if is_of_backend(cell) => Some(Ok(cell.into())),
        _ => None,
    }
}

/// Whether a backend could have written this moment; people write a space, and mean their own clock.
fn is_of_backend(cell: &str) -> bool {
    let is_fraction = |rest: &str| {
        let digits = rest.strip_prefix('.').unwrap_or("0");
        (rest.is_empty() || rest.starts_with('.'))
            && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    match moment(cell) {
        Some(Moment::Known(_)) => cell.contains('T'),
        Some(Moment::Local(_)) => cell.contains('T') && cell.get(19..).is_some_and(is_fraction),
        None => false,
    }
}

/// A cell as a form would send it.
fn texts(field: &FieldConfig, cell: &str, zone: &Zone) -> Vec<String> {
    let trimmed = cell.trim();
    match &field.kind {
        FieldKind::MultiChoice(_) => {
            let several = serde_json::from_str::<Vec<String>>(trimmed);
            let several = several.unwrap_or_else(|_| {
                trimmed.split([',', ';']).map(|one| one.trim().to_owned()).collect()
            });
            several.iter().map(|one| chosen(field, one)).collect()
        }
        FieldKind::Choice(_) => vec![chosen(field, trimmed)],
        FieldKind::DateTime => vec![in_zone(trimmed, zone)],
        _ => vec![cell.to_owned()],
    }
}

/// The value that a word stands for: people write labels too.
fn chosen(field: &FieldConfig, word: &str) -> String {
    let choices = field.kind.choices();
    let is_it = |text: &str| text.to_lowercase() == word.to_lowercase();
    let exact = choices.iter().find(|choice| choice.value == word);
    let found = exact.or_else(|| choices.iter().find(|it| is_it(&it.value) || is_it(&it.label)));
    found.map_or_else(|| word.to_owned(), |choice| choice.value.clone())
}

/// A moment of anywhere as one of the reader's clock; any other text as it is.
fn in_zone(text: &str, zone: &Zone) -> String {
    let field = FieldConfig::new("at", FieldKind::DateTime);
    match moment(text) {
        Some(Moment::Known(_)) => {
            let control = Control::Line("datetime-local");
            form::texts(&field, control, &text.into(), zone).into_iter().next().unwrap_or_default()
        }
        _ => text.replacen(' ', "T", 1),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::config::{Choice, Config, Rules};
    use crate::ui::zone::UTC;

    fn resource() -> Resource {
        let text = "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\n\
                    path = \"/r\"";
        let config = Config::from_text("x.toml".as_ref(), text, &Default::default());
        let config = Arc::new(config.unwrap().resources.remove(0));
        let required = Rules { required: true, ..Rules::default() };
        let fields = vec![
            FieldConfig { rules: required, ..FieldConfig::new("name", FieldKind::Text) },
            FieldConfig::new("is_vip", FieldKind::Boolean),
            FieldConfig::new("stage", FieldKind::Choice(vec![Choice::new("closed_won")])),
            FieldConfig::new(
                "tags",
                FieldKind::MultiChoice(vec![Choice::new("a"), Choice::new("b")]),
            ),
            FieldConfig::new("at", FieldKind::DateTime),
            FieldConfig::new("size", FieldKind::Decimal),
        ];
        Resource { config, fields: fields.into() }
    }

    fn read_text(text: &str) -> Result<Read> {
        let zone = Zone::named("Africa/Harare").unwrap();
        read(text.as_bytes(), &resource(), Allowed { create: true, update: true }, &zone)
    }

    #[test]
    fn lines_become_changes() {
        let text = "\u{feff}Name;Is vip;stage;tags;at;size;other\r\n\
                    Zoë;yes;Closed won;a, b;2026-01-02T03:04:05Z;1.5;x\r\n\
                    ;;;;;;\r\n\
                    '=1;no;;;2026-01-02 12:00;;\r\n";
        let read = read_text(text).unwrap();
        assert_eq!(read.notes.len(), 1, "{:?}", read.notes);
        let [first, second] = read.drafts.as_slice() else { panic!("{:?}", read.drafts) };
        assert!(first.problems.is_empty() && second.problems.is_empty(), "{read:?}");
        let values = json!({ "name": "Zoë", "is_vip": true, "stage": "closed_won", "size": 1.5,
            "tags": ["a", "b"], "at": "2026-01-02T03:04:05Z" });
        assert_eq!(Value::Object(first.values.clone()), values);
        let values = json!({ "name": "=1", "is_vip": false, "at": "2026-01-02T10:00:00.000000Z" });
        assert_eq!(Value::Object(second.values.clone()), values);
        assert_eq!((first.place, second.place, &first.deed), (2, 4, &Deed::Create));
    }

    #[test]
    fn a_line_with_an_id_changes_what_it_says() {
        let read = read_text("id,name,size\n7,,2\n8,B,x\n,,3\n").unwrap();
        assert_eq!((read.drafts[0].record.as_str(), &read.drafts[0].deed), ("7", &Deed::Update));
        assert_eq!(Value::Object(read.drafts[0].values.clone()), json!({ "size": 2 }));
        assert_eq!(read.drafts[1].problems[0].0, "size");
        assert_eq!(read.drafts[2].problems[0].0, "name");
    }

    #[test]
    fn yes_and_no_are_what_they_say() {
        let mut resource = resource();
        let required = Rules { required: true, ..Rules::default() };
        resource.fields = vec![
            FieldConfig::new("name", FieldKind::Text),
            FieldConfig { rules: required, ..FieldConfig::new("ok", FieldKind::Boolean) },
        ]
        .into();
        let text = "id,name,ok\n7,,no\n8,,maybe\n9,A,\n,B,yes\n,C,vielleicht\n";
        let allowed = Allowed { create: true, update: true };
        let drafts = read(text.as_bytes(), &resource, allowed, &UTC).unwrap().drafts;
        let values: Vec<Value> =
            drafts.iter().map(|draft| Value::Object(draft.values.clone())).collect();
        assert_eq!(values[0], json!({ "ok": false }));
        assert_eq!(values[2], json!({ "name": "A" }), "what is empty stays as it is");
        assert_eq!(values[3], json!({ "name": "B", "ok": true }));
        for wrong in [1, 4] {
            let problem = ("ok".to_owned(), "Write yes or no.".to_owned());
            assert_eq!(drafts[wrong].problems, [problem]);
        }
    }

    #[test]
    fn moments_of_an_export_come_back_as_they_were() {
        for at in
            ["2026-01-02T03:04:00", "2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05+02:00"]
        {
            let read = read_text(&format!("id,at\n7,{at}\n")).unwrap();
            assert_eq!(Value::Object(read.drafts[0].values.clone()), json!({ "at": at }));
        }
        let odd = read_text("id,at\n7,2026-01-02T03:04:00 or so\n").unwrap();
        assert_eq!(odd.drafts[0].problems[0].0, "at");
    }

    #[test]
    fn what_is_no_such_file_is_told() {
        for wrong in ["", "name\n", "nothing,here\n1,2\n", "id\n7\n"] {
            assert!(read_text(wrong).is_err(), "{wrong:?}");
        }
        let latin =
            read(b"name\nZo\xeb\n", &resource(), Allowed { create: true, update: true }, &UTC);
        assert!(latin.unwrap_err().message().contains("UTF-8"));
        let wide = read_text("name\nA,B\n").unwrap();
        assert!(wide.drafts[0].problems[0].1.contains("2 values"));
        let long = format!("name\n{}", "x\n".repeat(MOST + 1));
        assert!(read_text(&long).is_err());
    }
}
