//! One entry of a resource's `fields`.

use crate::config::{
    model::{Choice, FieldConfig, FieldKind, FileRule, Relation, Rules, Tone},
    problem::suggestion,
    section::{Read, Section, Value},
    values,
};

const TONES: &[(&str, Tone)] =
    &[("plain", Tone::Plain), ("good", Tone::Good), ("warning", Tone::Warning), ("bad", Tone::Bad)];

type ReadKind = fn(&Section<'_>, &[String]) -> Read<FieldKind>;

/// The types, and how what belongs to them is read.
const KINDS: &[(&str, ReadKind)] = &[
    ("text", plain_text),
    ("long-text", |_, _| Ok(FieldKind::LongText)),
    ("markdown", |_, _| Ok(FieldKind::Markdown)),
    ("html", |_, _| Ok(FieldKind::Html)),
    ("integer", |_, _| Ok(FieldKind::Integer)),
    ("decimal", |_, _| Ok(FieldKind::Decimal)),
    ("money", |s, _| Ok(FieldKind::Money { currency: s.optional("currency", currency)? })),
    ("percent", |_, _| Ok(FieldKind::Percent)),
    ("boolean", |_, _| Ok(FieldKind::Boolean)),
    ("date", |_, _| Ok(FieldKind::Date)),
    ("datetime", |_, _| Ok(FieldKind::DateTime)),
    ("email", |_, _| Ok(FieldKind::Email)),
    ("url", |_, _| Ok(FieldKind::Url)),
    ("phone", |_, _| Ok(FieldKind::Phone)),
    ("choice", |s, _| Ok(FieldKind::Choice(choices(s)?))),
    ("multi-choice", |s, _| Ok(FieldKind::MultiChoice(choices(s)?))),
    ("relation", |s, known| Ok(FieldKind::Relation(relation(s, known)?))),
    ("file", |s, _| Ok(FieldKind::File(file(s)?))),
    ("image", |s, _| Ok(FieldKind::Image(file(s)?))),
    ("json", |_, _| Ok(FieldKind::Json)),
];

/// A field is a name, or a table with a name. `known` are all resources, for relations.
pub(super) fn field(value: &Value<'_>, known: &[String]) -> Read<FieldConfig> {
    if value.is_table() {
        value.table(|s| field_table(s, known))
    } else {
        values::word(value).map(|name| FieldConfig::new(&name, FieldKind::Text))
    }
}

fn field_table(s: &Section<'_>, known: &[String]) -> Read<FieldConfig> {
    let name = s.required("name", "write the field's key in the record", values::word);
    let kind = kind(s, known);
    let label = s.optional("label", values::text);
    let help = s.optional("help", values::text);
    let in_list = s.optional("list", |v| v.boolean());
    let in_detail = s.optional("detail", |v| v.boolean());
    let in_form = s.optional("form", |v| v.boolean());
    let read_only = s.defaulted("read_only", |v| v.boolean(), false);
    let sortable = s.defaulted("sortable", |v| v.boolean(), false);
    let filterable = s.defaulted("filterable", |v| v.boolean(), false);
    let total = s.defaulted("total", |v| v.boolean(), false);
    let rules = rules(s, kind.as_ref().ok());
    let default = s.optional("default", values::text);

    let kind = kind?;
    if total.as_ref().is_ok_and(|total| *total) && !kind.is_number() {
        return Err(s.refuse("total", "needs a field of numbers; remove it"));
    }
    let usual = FieldConfig::new(&name?, kind);
    if in_form.as_ref().is_ok_and(|in_form| *in_form == Some(true)) && !usual.in_form {
        return Err(s.refuse("form", "needs a field of the record itself, not of an object in it"));
    }
    Ok(FieldConfig {
        label: label?.unwrap_or_else(|| usual.label.clone()),
        help: help?,
        in_list: in_list?.unwrap_or(usual.in_list),
        in_detail: in_detail?.unwrap_or(usual.in_detail),
        in_form: in_form?.unwrap_or(usual.in_form && !read_only?),
        sortable: sortable?,
        filterable: filterable?,
        total: total?,
        rules: rules?,
        default: default?,
        ..usual
    })
}

impl FieldConfig {
    /// A field with everything else as it is when nobody says otherwise.
    pub fn new(name: &str, kind: FieldKind) -> Self {
        Self {
            label: values::in_words(name),
            help: None,
            in_list: !(kind.is_wide() || kind.is_file()),
            in_detail: true,
            in_form: !name.contains('.'),
            sortable: false,
            filterable: false,
            total: false,
            rules: Rules::default(),
            default: None,
            name: name.to_owned(),
            kind,
        }
    }
}

/// `type`, and the keys that only this type has.
fn kind(s: &Section<'_>, known: &[String]) -> Read<FieldKind> {
    let usual: ReadKind = plain_text;
    let read = s.defaulted("type", |v| values::choice(v, KINDS, &[]), usual)?;
    read(s, known)
}

fn plain_text(_: &Section<'_>, _: &[String]) -> Read<FieldKind> {
    Ok(FieldKind::Text)
}

impl FieldKind {
    /// How the file spells it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::LongText => "long-text",
            Self::Markdown => "markdown",
            Self::Html => "html",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Money { .. } => "money",
            Self::Percent => "percent",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::DateTime => "datetime",
            Self::Email => "email",
            Self::Url => "url",
            Self::Phone => "phone",
            Self::Choice(_) => "choice",
            Self::MultiChoice(_) => "multi-choice",
            Self::Relation(_) => "relation",
            Self::File(_) => "file",
            Self::Image(_) => "image",
            Self::Json => "json",
        }
    }
}

fn choices(s: &Section<'_>) -> Read<Vec<Choice>> {
    s.required("choices", "write the values there are: `[\"open\", \"closed\"]`", |value| {
        let choices = value.list(choice)?;
        if choices.is_empty() {
            return Err(value.refuse("is empty; name at least one value"));
        }
        Ok(choices)
    })
}

fn choice(value: &Value<'_>) -> Read<Choice> {
    if !value.is_table() {
        return values::text(value).map(|value| Choice::new(&value));
    }
    value.table(|s| {
        let value = s.required("value", "write the value as the backend does", values::text);
        let label = s.optional("label", values::text);
        let tone = s.defaulted("tone", |v| values::choice(v, TONES, &[]), Tone::Plain);
        let usual = Choice::new(&value?);
        Ok(Choice { label: label?.unwrap_or(usual.label), tone: tone?, value: usual.value })
    })
}

impl Choice {
    /// A value with its usual label.
    pub fn new(value: &str) -> Self {
        Self { label: values::in_words(value), tone: Tone::Plain, value: value.to_owned() }
    }
}

impl Tone {
    /// How the file, and the style sheet, spell it.
    pub fn word(self) -> &'static str {
        values::word_for(TONES, &self)
    }
}

fn relation(s: &Section<'_>, known: &[String]) -> Read<Relation> {
    let resource =
        s.required("resource", "write what it leads to, such as \"crm.contacts\"", |value| {
            let text = values::word(value)?;
            let names: Vec<&str> = known.iter().map(String::as_str).collect();
            match text.split_once('.').filter(|_| known.contains(&text)) {
                Some((group, name)) => Ok((group.to_owned(), name.to_owned())),
                None => {
                    let hint = suggestion(&text, &names);
                    Err(value.refuse(&format!("there is no `[resources.{text}]`; {hint}")))
                }
            }
        });
    let value = s.optional("value", values::word);
    let show = s.optional("show", values::word);
    let (group, name) = resource?;
    Ok(Relation { group, name, value: value?, show: show? })
}

fn file(s: &Section<'_>) -> Read<FileRule> {
    let accept = s.defaulted("accept", |v| v.list(values::file_kind), Vec::new());
    let max_size = s.optional("max_size", values::size);
    Ok(FileRule { accept: accept?, max_size: max_size? })
}

fn currency(value: &Value<'_>) -> Read<String> {
    let code = values::word(value)?;
    if code.len() == 3 && code.bytes().all(|letter| letter.is_ascii_uppercase()) {
        return Ok(code);
    }
    Err(value.refuse("is not a currency; write its three letters, such as \"EUR\""))
}

fn rules(s: &Section<'_>, kind: Option<&FieldKind>) -> Read<Rules> {
    let required = s.defaulted("required", |v| v.boolean(), false);
    let min = s.optional("min", |v| bound(v, kind));
    let max = s.optional("max", |v| bound(v, kind));
    let min_length = s.optional("min_length", values::count);
    let max_length = s.optional("max_length", values::count);
    let pattern = s.optional("pattern", pattern);
    let hint = s.optional("hint", values::text);
    Ok(Rules {
        required: required?,
        min: min?,
        max: max?,
        min_length: min_length?,
        max_length: max_length?,
        pattern: pattern?,
        hint: hint?,
    })
}

/// The least or greatest value, as a form writes it.
fn bound(value: &Value<'_>, kind: Option<&FieldKind>) -> Read<String> {
    match kind {
        Some(kind) if kind.is_number() => value.number().map(|number| number.to_string()),
        Some(kind) if kind.is_time() => {
            let day = values::word(value)?;
            let is_day = time::Date::parse(&day, values::ISO_DAY).is_ok();
            if is_day {
                return Ok(day);
            }
            Err(value.refuse("is not a day; write one such as \"2026-01-31\""))
        }
        Some(_) => Err(value.refuse(
            "needs a field of numbers or days; for text there are `min_length` and `max_length`",
        )),
        // The type was refused already.
        None => Ok(String::new()),
    }
}

/// What browsers and this server understand alike.
fn pattern(value: &Value<'_>) -> Read<String> {
    let text = values::text(value)?;
    match regex::Regex::new(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err(value.refuse("is not a regular expression that can be used here")),
    }
}
