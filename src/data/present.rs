//! Turning a backend's JSON into what people read, by the declared type of each field.

use serde_json::Value;
use time::{
    Date, OffsetDateTime, PrimitiveDateTime,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};
use url::Url;

use super::wire::{Field, Record, Row, Shown};
use crate::config::{FieldConfig, FieldKind, ResourceConfig};

const DAY: &[BorrowedFormatItem] =
    format_description!("[day padding:none] [month repr:short] [year]");
const MOMENT: &[BorrowedFormatItem] =
    format_description!("[day padding:none] [month repr:short] [year], [hour]:[minute]");
const ISO_DAY: &[BorrowedFormatItem] = format_description!("[year]-[month]-[day]");
const ISO_LOCAL: &[BorrowedFormatItem] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// One record of a list as a row of `columns`.
pub fn row(resource: &ResourceConfig, columns: &[&FieldConfig], record: &Value) -> Row {
    Row {
        id: plain(lookup(record, &resource.id)),
        cells: columns.iter().map(|field| shown(field.kind, lookup(record, &field.name))).collect(),
    }
}

/// One record with all its declared fields.
pub fn record(resource: &ResourceConfig, record: &Value) -> Record {
    let fields: Vec<Field> = resource
        .fields
        .iter()
        .map(|field| Field {
            label: field.label.clone(),
            value: shown(field.kind, lookup(record, &field.name)),
            wide: matches!(field.kind, FieldKind::LongText | FieldKind::Json),
        })
        .collect();
    let title = fields
        .iter()
        .map(|field| field.value.text())
        .find(|text| !text.is_empty())
        .map_or_else(|| plain(lookup(record, &resource.id)), str::to_owned);
    Record { title, fields }
}

/// Whether values of this type line up at the end.
pub fn at_end(kind: FieldKind) -> bool {
    matches!(kind, FieldKind::Integer | FieldKind::Decimal | FieldKind::Money | FieldKind::Percent)
}

fn lookup<'a>(record: &'a Value, name: &str) -> &'a Value {
    name.split('.').fold(record, |value, key| value.get(key).unwrap_or(&Value::Null))
}

fn shown(kind: FieldKind, value: &Value) -> Shown {
    let text = plain(value);
    if text.is_empty() {
        return Shown::Text { text };
    }
    match kind {
        FieldKind::Boolean => boolean(value),
        FieldKind::Choice => Shown::Pill { text: words(&text), good: false },
        FieldKind::Email => Shown::Link { href: format!("mailto:{text}"), text },
        FieldKind::Phone => Shown::Link { href: phone(&text), text },
        FieldKind::Url => link(text),
        FieldKind::Money | FieldKind::Decimal => Shown::Text { text: grouped(&text, true) },
        FieldKind::Integer => Shown::Text { text: grouped(&text, false) },
        FieldKind::Percent => Shown::Text { text: format!("{text} %") },
        FieldKind::Date => Shown::Text { text: day(&text).unwrap_or(text) },
        FieldKind::DateTime => Shown::Text { text: moment(&text).unwrap_or(text) },
        FieldKind::Json => Shown::Text { text: pretty(value) },
        FieldKind::Text | FieldKind::LongText => Shown::Text { text },
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn boolean(value: &Value) -> Shown {
    match value.as_bool() {
        Some(true) => Shown::Pill { text: "Yes".to_owned(), good: true },
        Some(false) => Shown::Pill { text: "No".to_owned(), good: false },
        None => Shown::Text { text: plain(value) },
    }
}

/// `closed_won` as "Closed won".
fn words(text: &str) -> String {
    let spaced = text.replace(['_', '-'], " ");
    let mut letters = spaced.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Only what a browser may safely open becomes a link.
fn link(text: String) -> Shown {
    match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {
            Shown::Link { href: url.into(), text }
        }
        _ => Shown::Text { text },
    }
}

fn phone(text: &str) -> String {
    let number: String = text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    format!("tel:{number}")
}

/// A number with its thousands apart; with `cents`, always two places.
fn grouped(text: &str, cents: bool) -> String {
    let (sign, number) = match text.strip_prefix('-') {
        Some(number) => ("-", number),
        None => ("", text),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return text.to_owned();
    }
    let mut out = String::from(sign);
    for (position, digit) in whole.chars().enumerate() {
        if position > 0 && (whole.len() - position) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    match (cents, fraction) {
        (true, fraction) => format!("{out}.{fraction:0<2}"),
        (false, "") => out,
        (false, fraction) => format!("{out}.{fraction}"),
    }
}

fn day(text: &str) -> Option<String> {
    Date::parse(text.get(..10)?, ISO_DAY).ok()?.format(DAY).ok()
}

fn moment(text: &str) -> Option<String> {
    if let Ok(moment) = OffsetDateTime::parse(text, &Rfc3339) {
        return moment.format(MOMENT).ok();
    }
    PrimitiveDateTime::parse(text.get(..19)?, ISO_LOCAL).ok()?.format(MOMENT).ok()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(kind: FieldKind, value: Value) -> String {
        shown(kind, &value).text().to_owned()
    }

    #[test]
    fn values_are_written_as_people_read_them() {
        assert_eq!(text(FieldKind::Money, json!("1234567.5")), "1,234,567.50");
        assert_eq!(text(FieldKind::Money, json!(-12400)), "-12,400.00");
        assert_eq!(text(FieldKind::Integer, json!(999)), "999");
        assert_eq!(text(FieldKind::Decimal, json!("n/a")), "n/a");
        assert_eq!(text(FieldKind::Date, json!("2026-03-04")), "4 Mar 2026");
        assert_eq!(text(FieldKind::DateTime, json!("2026-03-04T14:02:00Z")), "4 Mar 2026, 14:02");
        assert_eq!(
            text(FieldKind::DateTime, json!("2026-03-04T14:02:00.123")),
            "4 Mar 2026, 14:02"
        );
        assert_eq!(text(FieldKind::Date, json!("soon")), "soon");
        assert_eq!(text(FieldKind::Choice, json!("closed_won")), "Closed won");
        assert_eq!(text(FieldKind::Boolean, json!(true)), "Yes");
        assert_eq!(text(FieldKind::Text, Value::Null), "");
        assert_eq!(text(FieldKind::Text, json!(["a", "b"])), "a, b");
    }

    #[test]
    fn only_safe_addresses_become_links() {
        let is_link = |value| matches!(shown(FieldKind::Url, &value), Shown::Link { .. });
        assert!(is_link(json!("https://example.com")));
        assert!(!is_link(json!("javascript:alert(1)")));
        assert!(!is_link(json!("data:text/html,x")));
        assert!(!is_link(json!("example.com")));
    }

    #[test]
    fn dots_reach_into_objects() {
        let record = json!({"company": {"name": "Globex"}});
        assert_eq!(lookup(&record, "company.name"), &json!("Globex"));
        assert_eq!(lookup(&record, "company.city.name"), &Value::Null);
    }
}
