//! What a schema makes of a field: its type, its rules and what a form begins with.

use serde_json::Value;

use super::{
    super::fields::{is_long_by_name, is_phone_by_name, number_kind},
    pattern::pattern,
    schema::{Schema, scalar},
};
use crate::config::{FieldKind, FileRule, Rules};

/// Text that may be longer than this is not for one line.
const LONG: usize = 500;
/// The most characters of what a form begins with.
const LONGEST_DEFAULT: usize = 1_000;

pub(super) fn text_kind(name: &str, schema: &Schema<'_>) -> FieldKind {
    match schema.text("contentMediaType") {
        Some("application/json") => return FieldKind::Json,
        Some("text/html") => return FieldKind::Html,
        Some("text/markdown") => return FieldKind::Markdown,
        Some(kind) if !kind.starts_with("text/") => return file_kind(schema),
        _ => {}
    }
    match schema.text("format").unwrap_or_default() {
        "date" => FieldKind::Date,
        "date-time" | "datetime" => FieldKind::DateTime,
        "email" | "idn-email" => FieldKind::Email,
        "uri" | "url" | "iri" => FieldKind::Url,
        "binary" => file_kind(schema),
        "decimal" | "double" | "float" => number_kind(name, FieldKind::Decimal),
        "int32" | "int64" | "uint32" | "uint64" => FieldKind::Integer,
        "phone" | "phone-number" | "tel" => FieldKind::Phone,
        "html" => FieldKind::Html,
        "markdown" => FieldKind::Markdown,
        "byte" | "textarea" | "multiline" => FieldKind::LongText,
        "" => plain_kind(name, schema.length("maxLength")),
        _ => FieldKind::Text,
    }
}

/// Text of no format.
pub(super) fn plain_kind(name: &str, most: Option<usize>) -> FieldKind {
    if most.map_or_else(|| is_long_by_name(name), |most| most > LONG) {
        FieldKind::LongText
    } else if is_phone_by_name(name) {
        FieldKind::Phone
    } else {
        FieldKind::Text
    }
}

pub(super) fn file_kind(schema: &Schema<'_>) -> FieldKind {
    let kind = schema.text("contentMediaType").filter(|kind| *kind != "application/octet-stream");
    let rule = FileRule { accept: kind.map(str::to_owned).into_iter().collect(), max_size: None };
    match kind {
        Some(kind) if kind.starts_with("image/") => FieldKind::Image(rule),
        _ => FieldKind::File(rule),
    }
}

/// Swagger 2.0 cannot say that something is only ever written.
pub(super) fn is_secret_by_name(name: &str) -> bool {
    name.split('_').any(|part| part == "password")
}

/// What a value must be like. What may be null or blank may be left empty, required or not.
pub(super) fn rules(schema: &Schema<'_>, kind: &FieldKind, required: bool) -> Rules {
    let is_line = kind.is_text() && !kind.is_wide();
    let length = |key: &str| schema.length(key).filter(|length| kind.is_text() && *length > 0);
    let bound = |end: End| bound(schema, kind, end).filter(|_| kind.is_number());
    Rules {
        required: required && !schema.may_be_empty(),
        min: bound(End::Least),
        max: bound(End::Greatest),
        min_length: length("minLength"),
        max_length: length("maxLength"),
        pattern: schema.text("pattern").filter(|_| is_line).and_then(pattern),
        hint: None,
    }
}

/// One of the two bounds of a number.
#[derive(Clone, Copy, PartialEq)]
enum End {
    Least,
    Greatest,
}

/// A bound as a form writes it. What lies before or beyond a bound that is no longer allowed itself
/// is known of whole numbers; for others the bound is as near as a form can say.
fn bound(schema: &Schema<'_>, kind: &FieldKind, end: End) -> Option<String> {
    let (bound, exclusive) = match end {
        End::Least => ("minimum", "exclusiveMinimum"),
        End::Greatest => ("maximum", "exclusiveMaximum"),
    };
    let is_whole = *kind == FieldKind::Integer;
    let inside = |bound: f64| match end {
        _ if !is_whole => bound,
        End::Least => bound.floor() + 1.0,
        End::Greatest => bound.ceil() - 1.0,
    };
    let within = |bound: f64| match end {
        _ if !is_whole => bound,
        End::Least => bound.ceil(),
        End::Greatest => bound.floor(),
    };
    let is_open = schema.flag(exclusive);
    let closed = schema.number(bound).map(|at| if is_open { inside(at) } else { within(at) });
    let open = schema.number(exclusive).map(inside);
    let all = closed.into_iter().chain(open);
    let bound = all.reduce(if end == End::Least { f64::max } else { f64::min })?;
    // What 64 bits hold is no rule of anybody's.
    (bound.abs() < 2_f64.powi(63)).then(|| written(bound))
}

/// A number as a form writes it: `1000` for 1000.0.
fn written(number: f64) -> String {
    (number + 0.0).to_string()
}

/// What a new record's form begins with.
pub(super) fn default(schema: &Schema<'_>, kind: &FieldKind) -> Option<String> {
    let text = match (kind, schema.find(|said| said.get("default"))?) {
        (FieldKind::Json | FieldKind::MultiChoice(_) | FieldKind::DateTime, _) => return None,
        (FieldKind::Choice(choices), value) => {
            scalar(value).filter(|value| choices.iter().any(|choice| choice.value == *value))
        }
        (FieldKind::Boolean, value) => value.as_bool().map(|truth| truth.to_string()),
        (kind, Value::Number(number)) if kind.is_number() => number.as_f64().map(written),
        (kind, Value::String(text)) if kind.is_number() => {
            text.parse::<f64>().ok().filter(|number| number.is_finite()).map(|_| text.clone())
        }
        (kind, _) if kind.is_number() || kind.is_file() => None,
        (_, value) => scalar(value),
    };
    text.filter(|text| !text.is_empty() && text.chars().count() <= LONGEST_DEFAULT)
}
