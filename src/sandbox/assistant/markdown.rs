//! Small pieces of Markdown. Text from the data is escaped here, so that a contact named
//! `[x](javascript:…)` is shown as written.

use std::fmt::Write as _;

use serde_json::Value;

use crate::sandbox::collections::{Field, Kind};

/// Text that Markdown shows as it is.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '|' | '~' | '#' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// A value as people read it, escaped.
pub(super) fn show(kind: Kind, value: &Value) -> String {
    match (kind, value) {
        (_, Value::Null) => "–".to_owned(),
        (_, Value::Bool(yes)) => yes_or_no(*yes),
        (Kind::Percent, Value::Number(number)) => format!("{number}%"),
        (_, Value::Number(number)) => amount(number.as_f64().unwrap_or_default()),
        (_, Value::String(text)) if text.is_empty() => "–".to_owned(),
        (Kind::DateTime, Value::String(text)) => {
            escape(&text.get(..16).unwrap_or(text).replace('T', " "))
        }
        (_, Value::String(text)) => escape(text),
        (_, other) => escape(&other.to_string()),
    }
}

/// A switch in words.
pub(super) fn yes_or_no(yes: bool) -> String {
    if yes { "yes".to_owned() } else { "no".to_owned() }
}

/// A number with commas between thousands and at most two decimal places.
pub(super) fn amount(number: f64) -> String {
    let text = format!("{number:.2}");
    let (whole, cents) = text.split_once('.').unwrap_or((&text, "00"));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    let mut grouped = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if cents == "00" { grouped } else { format!("{grouped}.{cents}") }
}

/// The head of a table; numbers stand at the right.
pub(super) fn table_head(columns: &[(String, bool)]) -> String {
    let titles: Vec<_> = columns.iter().map(|(title, _)| escape(title)).collect();
    let rules: Vec<_> =
        columns.iter().map(|(_, right)| if *right { "---:" } else { "---" }).collect();
    format!("| {} |\n| {} |\n", titles.join(" | "), rules.join(" | "))
}

/// One row of a table; the cells are Markdown already.
pub(super) fn table_row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

/// A link; the text is escaped here, the path is ours.
pub(super) fn link(text: &str, path: &str) -> String {
    format!("[{}]({path})", escape(text))
}

/// A bullet for every field.
pub(super) fn bullets(fields: impl Iterator<Item = (&'static Field, Value)>) -> String {
    let mut list = String::new();
    for (field, value) in fields {
        // Writing to a string cannot fail.
        _ = writeln!(list, "- **{}**: {}", escape(&field.label()), show(field.kind, &value));
    }
    list
}

/// A JSON code block with the request that fetches the same rows.
pub(super) fn request(url: &str) -> String {
    let url = Value::from(url);
    format!("```json\n{{\n  \"method\": \"GET\",\n  \"url\": {url}\n}}\n```\n")
}

/// `a, b or c`
pub(super) fn either(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_cannot_become_markdown() {
        let hostile = "[x](javascript:alert(1)) <b>|`_*\n# y";
        let shown = show(Kind::LongText, &json!(hostile));
        assert_eq!(shown, r"\[x\](javascript:alert(1)) \<b\>\|\`\_\* \# y");
    }

    #[test]
    fn values_are_shown_as_people_read_them() {
        assert_eq!(show(Kind::Money, &json!(1_234_567.5)), "1,234,567.50");
        assert_eq!(show(Kind::Money, &json!(-1_200)), "-1,200");
        assert_eq!(show(Kind::Percent, &json!(75)), "75%");
        assert_eq!(show(Kind::Date, &Value::Null), "–");
        let moment = json!("2026-06-17T09:30:00.000000Z");
        assert_eq!(show(Kind::DateTime, &moment), "2026-06-17 09:30");
    }
}
