//! Turning a backend's JSON into what people read, by the declared type of each field.

use std::borrow::Cow;

use serde_json::Value;
use url::form_urlencoded;

use super::{
    resources::{address, record_address},
    style::lookup,
    value::{Moment, day, instant, moment, plain, web_address},
};
use crate::{
    chat::markdown::{self, foreign},
    config::{FieldConfig, FieldKind, Relation, ResourceConfig, Tone},
    ui::reader::Reader,
};

/// A value as people read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown<'r> {
    /// There is none.
    Nothing,
    /// Plain text.
    Text(Cow<'r, str>),
    /// Lines whose breaks and blanks count.
    Lines(Cow<'r, str>),
    /// A link.
    Link {
        /// The text.
        text: Cow<'r, str>,
        /// Where it leads.
        href: String,
    },
    /// Words from a small set.
    Pills(Vec<(Cow<'r, str>, Tone)>),
    /// A moment.
    Moment {
        /// The text.
        text: String,
        /// The same for programs.
        iso: String,
    },
    /// Safe HTML.
    Html(String),
}

impl Shown<'_> {
    /// Its text.
    pub fn text(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::Text(text) | Self::Lines(text) | Self::Link { text, .. } => text.to_string(),
            Self::Moment { text, .. } => text.clone(),
            Self::Pills(words) => {
                words.iter().map(|(word, _)| &**word).collect::<Vec<_>>().join(", ")
            }
            Self::Html(html) => foreign::plain(html),
        }
    }
}

/// The value of `field` in `record`, as `reader` reads it.
pub fn shown<'r>(reader: &Reader, field: &'r FieldConfig, record: &'r Value) -> Shown<'r> {
    let value = lookup(record, &field.name);
    let text = plain(value);
    if text.is_empty() {
        return Shown::Nothing;
    }
    match &field.kind {
        FieldKind::Text => Shown::Text(text),
        FieldKind::LongText => Shown::Lines(text),
        FieldKind::Markdown => Shown::Html(markdown::render(&text)),
        FieldKind::Html => Shown::Html(foreign::blocks(&text).concat()),
        FieldKind::Integer | FieldKind::Decimal => Shown::Text(reader.number(&text, None).into()),
        FieldKind::Money { currency } => {
            Shown::Text(money(reader, &text, currency.as_deref()).into())
        }
        FieldKind::Percent => Shown::Text(format!("{} %", reader.number(&text, None)).into()),
        FieldKind::Boolean => boolean(value, text),
        FieldKind::Date => Shown::Text(day(&text).map_or(text, |day| reader.day(day).into())),
        FieldKind::DateTime => when(reader, text),
        FieldKind::Email => Shown::Link { href: format!("mailto:{text}"), text },
        FieldKind::Phone => Shown::Link { href: phone(&text), text },
        FieldKind::Url => link(text),
        FieldKind::File(_) | FieldKind::Image(_) => file(text),
        FieldKind::Choice(_) | FieldKind::MultiChoice(_) => Shown::Pills(words(field, value)),
        FieldKind::Relation(relation) => related(relation, record, value, text),
        FieldKind::Json => Shown::Lines(pretty(value).into()),
    }
}

/// What a record is called: the first of its fields that says something, or its id.
pub fn title(
    reader: &Reader,
    resource: &ResourceConfig,
    fields: &[FieldConfig],
    record: &Value,
) -> String {
    let mut shorts = fields.iter().filter(|field| !field.kind.is_wide());
    shorts
        .find_map(|field| Some(shown(reader, field, record).text()).filter(|text| !text.is_empty()))
        .unwrap_or_else(|| format!("#{}", id(resource, record)))
}

/// The same for those who do not know whose eyes will read it; none for a record that tells nothing.
pub fn plain_title(fields: &[FieldConfig], record: &Value) -> Option<String> {
    let mut shorts = fields.iter().filter(|field| !field.kind.is_wide());
    let text = |field: &FieldConfig| plain(lookup(record, &field.name)).into_owned();
    shorts.find_map(|field| Some(text(field)).filter(|text| !text.is_empty()))
}

/// What names a record.
pub fn id(resource: &ResourceConfig, record: &Value) -> String {
    plain(lookup(record, &resource.id)).into_owned()
}

/// A value that a list is narrowed by, as people read it.
pub fn bound(reader: &Reader, field: &FieldConfig, text: &str) -> String {
    match &field.kind {
        FieldKind::Boolean => if text == "true" { "Yes" } else { "No" }.to_owned(),
        FieldKind::Date | FieldKind::DateTime => {
            day(text).map_or_else(|| text.to_owned(), |day| reader.day(day))
        }
        kind if kind.is_number() => reader.number(text, None),
        kind => {
            let choice = kind.choices().iter().find(|choice| choice.value == text);
            choice.map_or_else(|| text.to_owned(), |choice| choice.label.clone())
        }
    }
}

/// The values of a field of numbers in all `rows`, added up.
pub fn sum(reader: &Reader, field: &FieldConfig, rows: &[Value]) -> String {
    let values = rows.iter().map(|row| plain(lookup(row, &field.name)).parse::<f64>());
    let sum: f64 = values.flatten().filter(|value| value.is_finite()).sum();
    figure(reader, field, sum)
}

/// A number as a field of its kind is written.
pub fn figure(reader: &Reader, field: &FieldConfig, number: f64) -> String {
    let digits = digits(number);
    match &field.kind {
        FieldKind::Money { currency } => money(reader, &digits, currency.as_deref()),
        FieldKind::Percent => format!("{} %", reader.number(&digits, None)),
        _ => reader.number(&digits, None),
    }
}

/// A number in plain digits: cents that were added up as binary fractions come out whole again.
pub fn digits(number: f64) -> String {
    let places = if number.abs() < 1.0 { 4 } else { 2 };
    let digits = format!("{number:.places$}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn money(reader: &Reader, text: &str, currency: Option<&str>) -> String {
    let mut amount = reader.number(text, Some(2));
    if let Some(currency) = currency {
        amount.push(' ');
        amount.push_str(currency);
    }
    amount
}

fn boolean<'r>(value: &Value, text: Cow<'r, str>) -> Shown<'r> {
    match value.as_bool() {
        Some(true) => Shown::Pills(vec![("Yes".into(), Tone::Good)]),
        Some(false) => Shown::Pills(vec![("No".into(), Tone::Plain)]),
        None => Shown::Text(text),
    }
}

fn when<'r>(reader: &Reader, text: Cow<'r, str>) -> Shown<'r> {
    match moment(&text) {
        Some(Moment::Known(at)) => Shown::Moment { text: reader.moment(at), iso: instant(at) },
        Some(Moment::Local(at)) => Shown::Text(reader.local(at).into()),
        None => Shown::Text(text),
    }
}

/// The labels of a value, or of several.
fn words<'r>(field: &'r FieldConfig, value: &'r Value) -> Vec<(Cow<'r, str>, Tone)> {
    let word = |value: &'r Value| {
        let text = plain(value);
        let choice = field.kind.choices().iter().find(|choice| choice.value == text);
        choice.map_or((text, Tone::Plain), |choice| (choice.label.as_str().into(), choice.tone))
    };
    match value {
        Value::Array(values) => values.iter().map(word).collect(),
        value => vec![word(value)],
    }
}

/// Another record, where it is known how to get there.
fn related<'r>(
    relation: &Relation,
    record: &'r Value,
    value: &Value,
    text: Cow<'r, str>,
) -> Shown<'r> {
    let list = address(&relation.group, &relation.name);
    let called = relation.show.as_deref().map(|path| plain(lookup(record, path)));
    let called = called.filter(|name| !name.is_empty());
    match (value, &relation.value) {
        (Value::Array(_) | Value::Object(_), _) => Shown::Text(called.unwrap_or(text)),
        (_, None) => {
            let href = record_address(&list, &text);
            Shown::Link { text: called.unwrap_or(text), href }
        }
        (_, Some(_)) => {
            let words: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            Shown::Link { text: called.unwrap_or(text), href: format!("{list}?q={words}") }
        }
    }
}

/// Only what a browser may safely open becomes a link.
fn link(text: Cow<'_, str>) -> Shown<'_> {
    match web_address(&text) {
        Some(url) => Shown::Link { href: url.into(), text },
        None => Shown::Text(text),
    }
}

/// A file by its name.
fn file(text: Cow<'_, str>) -> Shown<'_> {
    match link(text) {
        Shown::Link { href, text } => {
            let path = text.split(['?', '#']).next().unwrap_or_default();
            let name = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&text).to_owned();
            Shown::Link { href, text: name.into() }
        }
        other => other,
    }
}

fn phone(text: &str) -> String {
    let number: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    format!("tel:{number}")
}

fn pretty(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde_json::json;

    use super::*;
    use crate::config::Choice;

    fn check<T>(kind: FieldKind, value: Value, check: impl Fn(Shown<'_>) -> T) -> T {
        let reader = Reader::of(&HeaderMap::new());
        check(shown(&reader, &FieldConfig::new("x", kind), &json!({ "x": value })))
    }

    fn text(kind: FieldKind, value: Value) -> String {
        check(kind, value, |shown| shown.text())
    }

    #[test]
    fn values_are_written_as_people_read_them() {
        let money = FieldKind::Money { currency: None };
        assert_eq!(text(money, json!("1234567.5")), "1,234,567.50");
        let euros = FieldKind::Money { currency: Some("EUR".to_owned()) };
        assert_eq!(text(euros, json!(-12400)), "-12,400.00 EUR");
        assert_eq!(text(FieldKind::Integer, json!(1999)), "1,999");
        assert_eq!(text(FieldKind::Decimal, json!("n/a")), "n/a");
        assert_eq!(text(FieldKind::Percent, json!(12.5)), "12.5 %");
        assert_eq!(text(FieldKind::Date, json!("2026-03-04")), "4 Mar 2026");
        assert_eq!(text(FieldKind::DateTime, json!("2026-03-04T14:02:00Z")), "4 Mar 2026, 14:02");
        assert_eq!(text(FieldKind::DateTime, json!("2026-03-04T14:02:00.1")), "4 Mar 2026, 14:02");
        assert_eq!(text(FieldKind::Date, json!("soon")), "soon");
        assert_eq!(text(FieldKind::Boolean, json!(true)), "Yes");
        assert!(check(FieldKind::Text, Value::Null, |shown| shown == Shown::Nothing));
        assert_eq!(text(FieldKind::Text, json!(["a", "b"])), "a, b");
        assert_eq!(text(FieldKind::Markdown, json!("a *b*")), "a b");
    }

    #[test]
    fn choices_have_labels_and_tones() {
        let won = Choice { tone: Tone::Good, ..Choice::new("closed_won") };
        let kind = FieldKind::MultiChoice(vec![won]);
        let pills =
            Shown::Pills(vec![("Closed won".into(), Tone::Good), ("other".into(), Tone::Plain)]);
        assert!(check(kind, json!(["closed_won", "other"]), |shown| shown == pills));
    }

    #[test]
    fn only_safe_addresses_become_links() {
        let is_link =
            |value| check(FieldKind::Url, value, |shown| matches!(shown, Shown::Link { .. }));
        assert!(is_link(json!("https://example.com")));
        assert!(!is_link(json!("javascript:alert(1)")));
        assert!(!is_link(json!("data:text/html,x")));
        assert!(!is_link(json!("example.com")));
    }

    #[test]
    fn markup_of_others_is_cleaned() {
        let text = json!("<p onclick=\"x()\">a<script>b</script></p>");
        let is_clean = |shown: Shown<'_>| match shown {
            Shown::Html(html) => html.contains("<p>a") && !html.contains("script"),
            _ => false,
        };
        assert!(check(FieldKind::Html, text, is_clean));
    }

    #[test]
    fn relations_lead_to_the_other_record() {
        let relation = |value: Option<&str>, show: Option<&str>| Relation {
            group: "crm".to_owned(),
            name: "companies".to_owned(),
            value: value.map(str::to_owned),
            show: show.map(str::to_owned),
        };
        let reader = Reader::of(&HeaderMap::new());
        let record = json!({ "company": 7, "company_name": "Globex" });
        let field = |relation| FieldConfig::new("company", FieldKind::Relation(relation));
        let by_id = field(relation(None, Some("company_name")));
        let by_id = shown(&reader, &by_id, &record);
        let href = "/data/crm/companies/7".to_owned();
        assert_eq!(by_id, Shown::Link { text: "Globex".into(), href });
        let by_name = json!({ "company": "A & B" });
        let href = "/data/crm/companies?q=A+%26+B".to_owned();
        let named = field(relation(Some("name"), None));
        let named = shown(&reader, &named, &by_name);
        assert_eq!(named, Shown::Link { text: "A & B".into(), href });
    }
}
