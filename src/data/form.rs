//! Forms of records: what a value looks like in a control, and what a control's text means to the
//! backend.
//!
//! What nobody touched is not sent: a text that is the same as the form was opened with leaves the
//! value as it is, digits, zones and all.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use time::{PrimitiveDateTime, macros::format_description};

use super::{
    rules::{Rule, Shape},
    style::lookup,
    value::{Moment, day, instant, moment, plain},
};
use crate::{
    config::{FieldConfig, FieldKind},
    ui::zone::{UTC, Zone},
};

/// Before the name of a field in a form.
pub const VALUE: &str = "v.";
/// More digits than this a binary fraction does not hold.
const EXACT_DIGITS: usize = 15;

/// What a form was opened on. It goes along with the form, so that no page is forgotten.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Opened {
    /// The values of the record's fields.
    pub values: Map<String, Value>,
    /// The name of the zone that moments were written for.
    #[serde(default, deserialize_with = "zone_name")]
    pub zone: String,
}

/// Before a distance from UTC, which earlier versions wrote.
const SECONDS: &str = "seconds ";

fn zone_name<'de, D: Deserializer<'de>>(zone: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(zone)? {
        Value::String(name) => name,
        seconds => format!("{SECONDS}{seconds}"),
    })
}

impl Opened {
    /// What a page over `record` is opened on.
    pub fn on(fields: &[FieldConfig], record: &Value, zone: &Zone) -> Self {
        let value = |field: &FieldConfig| (field.name.clone(), lookup(record, &field.name).clone());
        Self { values: fields.iter().map(value).collect(), zone: zone.name().to_owned() }
    }

    /// The same as text.
    pub fn write(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The way back; nothing for what no form of ours has sent.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    /// Where moments were written for.
    pub fn zone(&self) -> Zone {
        let zone = match self.zone.strip_prefix(SECONDS) {
            Some(seconds) => seconds.parse().ok().and_then(Zone::fixed),
            None => Zone::named(&self.zone),
        };
        zone.unwrap_or_default()
    }
}

/// How a value is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// One line; the type of the input.
    Line(&'static str),
    /// Many lines.
    Lines,
    /// A box to tick.
    Tick,
    /// One of a few.
    Pick,
    /// Some of a few.
    PickSome,
    /// JSON.
    Json,
}

/// The fields that a form has.
pub fn entered(fields: &[FieldConfig]) -> impl Iterator<Item = &FieldConfig> {
    fields.iter().filter(|field| field.in_form && !field.kind.is_file())
}

/// How `value` of `field` is entered. What is not of its type is still entered as it is.
pub fn control(field: &FieldConfig, value: &Value) -> Control {
    let is_odd = match &field.kind {
        FieldKind::Json => return Control::Json,
        FieldKind::MultiChoice(_) => match value {
            Value::Array(items) => items.iter().any(|item| item.is_array() || item.is_object()),
            value => !value.is_null(),
        },
        _ => value.is_array() || value.is_object(),
    };
    if is_odd {
        return Control::Json;
    }
    let text = plain(value);
    match &field.kind {
        FieldKind::LongText | FieldKind::Markdown | FieldKind::Html => Control::Lines,
        FieldKind::MultiChoice(_) => Control::PickSome,
        FieldKind::Choice(_) => Control::Pick,
        FieldKind::Boolean if value.is_boolean() || field.rules.required => Control::Tick,
        FieldKind::Boolean => Control::Pick,
        _ if text.contains(['\n', '\r']) => Control::Lines,
        _ if shape(field, value) == Shape::Text => Control::Line("text"),
        FieldKind::Integer | FieldKind::Decimal | FieldKind::Money { .. } | FieldKind::Percent => {
            Control::Line("number")
        }
        FieldKind::Date => Control::Line("date"),
        FieldKind::DateTime => Control::Line("datetime-local"),
        FieldKind::Email => Control::Line("email"),
        FieldKind::Url => Control::Line("url"),
        _ => Control::Line("text"),
    }
}

/// What its text is held against. A value that never had the form of its type may be corrected to
/// anything.
pub fn rule(field: &FieldConfig, value: &Value) -> Rule {
    let rules = &field.rules;
    Rule {
        name: format!("{VALUE}{}", field.name),
        shape: shape(field, value),
        required: rules.required && field.kind != FieldKind::Boolean,
        min: rules.min.clone(),
        max: rules.max.clone(),
        min_length: rules.min_length,
        max_length: rules.max_length,
        pattern: rules.pattern.clone(),
        hint: rules.hint.clone(),
    }
}

fn shape(field: &FieldConfig, value: &Value) -> Shape {
    let usual = match &field.kind {
        FieldKind::Integer => Shape::Integer,
        FieldKind::Decimal | FieldKind::Money { .. } | FieldKind::Percent => Shape::Number,
        FieldKind::Date => Shape::Day,
        FieldKind::DateTime => Shape::Moment,
        FieldKind::Email => Shape::Email,
        FieldKind::Url => Shape::Url,
        FieldKind::Json => return Shape::Json,
        _ => Shape::Text,
    };
    let text = text_of(field, value, &UTC);
    let own = Rule { shape: usual, ..Rule::default() };
    // Browsers take blanks off, and what they cannot read they empty.
    let is_right = text == text.trim() && own.problem(&text).is_none();
    if is_right { usual } else { Shape::Text }
}

/// What a form sends for `value` in this control when nobody touches it.
pub fn texts(field: &FieldConfig, control: Control, value: &Value, zone: &Zone) -> Vec<String> {
    match (control, value) {
        (Control::Tick, value) => match value.as_bool() {
            Some(true) => vec!["true".to_owned()],
            _ => Vec::new(),
        },
        (Control::PickSome, Value::Array(items)) => {
            let texts = items.iter().map(|item| plain(item).into_owned());
            texts.filter(|text| !text.is_empty()).collect()
        }
        (Control::PickSome, _) => Vec::new(),
        (Control::Json, Value::Null) => vec![String::new()],
        (Control::Json, value) => vec![serde_json::to_string_pretty(value).unwrap_or_default()],
        (_, value) => vec![text_of(field, value, zone)],
    }
}

fn text_of(field: &FieldConfig, value: &Value, zone: &Zone) -> String {
    let text = plain(value);
    match &field.kind {
        FieldKind::DateTime => match moment(&text) {
            Some(Moment::Known(at)) => in_control(zone.at(at)),
            Some(Moment::Local(at)) => in_control(at),
            None => text.into_owned(),
        },
        FieldKind::Date if text.len() > 10 && day(&text).is_some() => text[..10].to_owned(),
        _ => with_plain_ends(&text),
    }
}

/// Line ends as every browser has them in the end.
fn with_plain_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A moment as `datetime-local` has it: without seconds, where there are none.
fn in_control(at: PrimitiveDateTime) -> String {
    let written = if at.second() == 0 {
        at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]"))
    } else {
        at.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]"))
    };
    written.unwrap_or_default()
}

/// What somebody filled in.
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// The values that are new, by field.
    pub values: Map<String, Value>,
    /// What is wrong, by field.
    pub problems: Vec<(String, String)>,
}

/// Reads a form of a record that is there. What the form does not hold stays as it is.
pub fn changed(fields: &[FieldConfig], opened: &Opened, form: &[(String, String)]) -> Filled {
    let mut filled = Filled::default();
    for field in entered(fields) {
        let was = opened.value(&field.name);
        let control = control(field, was);
        let Some(typed) = typed(field, control, form) else { continue };
        if !is_same(control, &typed, &texts(field, control, was, &opened.zone())) {
            filled.take(field, was, &typed, &opened.zone());
        }
    }
    filled
}

/// Whether nobody touched a control. Boxes have an order of their own.
fn is_same(control: Control, typed: &[String], was: &[String]) -> bool {
    if control != Control::PickSome {
        return typed == was;
    }
    let sorted = |texts: &[String]| texts.iter().cloned().collect::<BTreeSet<_>>();
    sorted(typed) == sorted(was)
}

/// Reads a form of a record that is to be made. What is empty is left to the backend.
pub fn made(fields: &[FieldConfig], zone: &Zone, form: &[(String, String)]) -> Filled {
    let mut filled = Filled::default();
    for field in entered(fields) {
        let control = control(field, &Value::Null);
        let typed = typed(field, control, form).unwrap_or_default();
        let is_empty = typed.iter().all(|text| text.trim().is_empty());
        if is_empty && field.rules.required && field.kind != FieldKind::Boolean {
            filled.problems.push((field.name.clone(), "Fill this in.".to_owned()));
        } else if !is_empty || control == Control::Tick {
            filled.take(field, &Value::Null, &typed, zone);
        }
    }
    filled
}

/// Reads a form over many records: these fields of them are set, whatever they were.
pub fn set(
    fields: &[FieldConfig],
    names: &[&str],
    zone: &Zone,
    form: &[(String, String)],
) -> Filled {
    let mut filled = Filled::default();
    for field in entered(fields).filter(|field| names.contains(&field.name.as_str())) {
        let typed = typed(field, control(field, &Value::Null), form).unwrap_or_default();
        let is_text = field.kind.is_text() || field.kind.is_wide();
        let was = if is_text && field.kind != FieldKind::Json { "".into() } else { Value::Null };
        filled.take(field, &was, &typed, zone);
    }
    filled
}

/// What a form says of a field, as [`texts`] has it; nothing where it does not hold the field.
pub fn typed(
    field: &FieldConfig,
    control: Control,
    form: &[(String, String)],
) -> Option<Vec<String>> {
    let name = |key: &str| key.strip_prefix(VALUE) == Some(field.name.as_str());
    let said = form.iter().filter(|(key, _)| name(key)).map(|(_, text)| with_plain_ends(text));
    let mut said: Vec<String> = said.collect();
    if said.is_empty() {
        return None;
    }
    if matches!(control, Control::Tick | Control::PickSome) {
        // An empty one goes along so that a form with nothing ticked says so.
        said.retain(|text| !text.is_empty());
    } else {
        said.truncate(1);
    }
    Some(said)
}

impl Filled {
    fn take(&mut self, field: &FieldConfig, was: &Value, typed: &[String], zone: &Zone) {
        let control = control(field, was);
        let problem = match control {
            Control::Tick => None,
            Control::PickSome => (typed.is_empty() && field.rules.required)
                .then(|| "Choose at least one.".to_owned())
                .or_else(|| typed.iter().find_map(|text| not_a_choice(field, was, text))),
            Control::Pick => {
                let text = typed.first().map(String::as_str).unwrap_or_default();
                rule(field, was).problem(text).or_else(|| not_a_choice(field, was, text))
            }
            Control::Json => {
                let rule = Rule { shape: Shape::Json, ..rule(field, was) };
                typed.first().and_then(|text| rule.problem(text))
            }
            _ => typed.first().and_then(|text| rule(field, was).problem(text)),
        };
        match problem {
            Some(problem) => self.problems.push((field.name.clone(), problem)),
            None => {
                self.values.insert(field.name.clone(), meant(field, control, was, typed, zone));
            }
        }
    }
}

/// Only what is offered can be chosen.
fn not_a_choice(field: &FieldConfig, was: &Value, text: &str) -> Option<String> {
    let offered = offered(field, was);
    let is_offered = text.is_empty() || offered.iter().any(|(value, _)| value == text);
    (!is_offered).then(|| "Choose one of those that are offered.".to_owned())
}

/// What can be chosen, each with its label; what the record holds is always there.
pub fn offered(field: &FieldConfig, was: &Value) -> Vec<(String, String)> {
    let pair = |value: &str, label: &str| (value.to_owned(), label.to_owned());
    let mut offered: Vec<(String, String)> = match &field.kind {
        FieldKind::Boolean => vec![pair("true", "Yes"), pair("false", "No")],
        kind => kind.choices().iter().map(|it| pair(&it.value, &it.label)).collect(),
    };
    let held = match was {
        Value::Array(items) => items.iter().collect(),
        value => vec![value],
    };
    for text in held.into_iter().map(plain).filter(|text| !text.is_empty()) {
        if !offered.iter().any(|(value, _)| *value == text) {
            offered.push(pair(&text, &text));
        }
    }
    offered
}

/// What `typed` means to the backend, which held `was`.
fn meant(
    field: &FieldConfig,
    control: Control,
    was: &Value,
    typed: &[String],
    zone: &Zone,
) -> Value {
    let text = typed.first().map(String::as_str).unwrap_or_default();
    let trimmed = text.trim();
    match (control, &field.kind) {
        (Control::Tick, _) => Value::Bool(typed.iter().any(|text| text == "true")),
        (Control::PickSome, _) => some_of(was, typed),
        (Control::Json, _) => serde_json::from_str(text).unwrap_or_default(),
        (_, FieldKind::Boolean) => serde_json::from_str(text).unwrap_or_default(),
        (_, kind) if kind.is_number() && !trimmed.is_empty() => number(trimmed, was),
        (_, FieldKind::DateTime) if !trimmed.is_empty() => when(trimmed, was, zone).into(),
        (_, FieldKind::Date | FieldKind::Email | FieldKind::Url) if !trimmed.is_empty() => {
            trimmed.into()
        }
        (_, kind) if trimmed.is_empty() && is_null_when_empty(kind, was) => Value::Null,
        (_, FieldKind::Relation(relation)) if relation.value.is_none() && !was.is_string() => {
            alike(trimmed, &Value::from(0))
        }
        (_, FieldKind::Relation(_) | FieldKind::Choice(_)) => alike(trimmed, was),
        _ => alike(text, was),
    }
}

/// What the record holds of what is chosen, in its order, and then what is new.
fn some_of(was: &Value, typed: &[String]) -> Value {
    let held: &[Value] = was.as_array().map_or(&[], Vec::as_slice);
    let is_held = |text: &String| held.iter().any(|item| plain(item) == **text);
    let stays = |item: &&Value| {
        let text = plain(item);
        text.is_empty() || typed.iter().any(|typed| *typed == text)
    };
    let like = held.first().unwrap_or(&Value::Null);
    let new = typed.iter().filter(|text| !is_held(text)).map(|text| alike(text, like));
    held.iter().filter(stays).cloned().chain(new).collect()
}

/// Text that is emptied is empty text, unless the backend had nothing there.
fn is_null_when_empty(kind: &FieldKind, was: &Value) -> bool {
    let is_text = kind.is_text() || kind.is_wide() || matches!(kind, FieldKind::Choice(_));
    !is_text || !was.is_string()
}

/// A word as a number or a truth where the backend has such.
fn alike(text: &str, like: &Value) -> Value {
    let read = serde_json::from_str::<Value>(text).ok().filter(|value| plain(value) == text);
    match (like, read) {
        (Value::Number(_), Some(number @ Value::Number(_))) => number,
        (Value::Bool(_), Some(truth @ Value::Bool(_))) => truth,
        _ => text.into(),
    }
}

/// A number as text where the backend writes it so, or where it would lose digits.
fn number(text: &str, was: &Value) -> Value {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_text = was.is_string() || digits > EXACT_DIGITS;
    let whole = text.parse::<i64>().ok().map(Number::from);
    let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    number
        .filter(|number| !is_text || number.is_i64() && !was.is_string())
        .map_or_else(|| text.into(), Value::Number)
}

/// A moment of the reader's as the backend writes moments.
fn when(text: &str, was: &Value, zone: &Zone) -> String {
    let with_seconds = if text.len() == 16 { format!("{text}:00") } else { text.to_owned() };
    match (moment(&with_seconds), moment(&plain(was))) {
        (Some(Moment::Local(_)), Some(Moment::Local(_))) => with_seconds,
        (Some(Moment::Local(at)), _) => instant(zone.moment(at)),
        (Some(Moment::Known(at)), _) => instant(at),
        (None, _) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{Choice, Relation, Rules};

    fn field(name: &str, kind: FieldKind) -> FieldConfig {
        FieldConfig::new(name, kind)
    }

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| (format!("v.{name}"), (*text).to_owned())).collect()
    }

    fn zone() -> Zone {
        Zone::named("Africa/Harare").unwrap()
    }

    /// What one control makes of a text, over a value.
    fn typed_over(kind: FieldKind, was: Value, text: &str) -> Value {
        let fields = [field("x", kind)];
        let opened = Opened::on(&fields, &json!({ "x": was }), &zone());
        let filled = changed(&fields, &opened, &form(&[("x", text)]));
        assert!(filled.problems.is_empty(), "{:?}", filled.problems);
        filled.values.get("x").cloned().unwrap_or_else(|| json!("untouched"))
    }

    #[test]
    fn what_nobody_touched_is_not_sent() {
        let choices = vec![Choice::new("a"), Choice::new("b")];
        let values = [
            (FieldKind::Text, json!("one\r\ntwo")),
            (FieldKind::Text, json!(null)),
            (FieldKind::LongText, json!("\n a \r\n")),
            (FieldKind::Decimal, json!("1200.5000")),
            (FieldKind::Decimal, json!(0.1)),
            (FieldKind::Integer, json!("n/a")),
            (FieldKind::Date, json!("2026-01-02T00:00:00Z")),
            (FieldKind::Date, json!("soon")),
            (FieldKind::DateTime, json!("2026-01-02T03:04:05.678901Z")),
            (FieldKind::DateTime, json!("2026-01-02T03:04:00")),
            (FieldKind::DateTime, json!(1_700_000_000)),
            (FieldKind::Boolean, json!(true)),
            (FieldKind::Boolean, json!(false)),
            (FieldKind::Boolean, json!(null)),
            (FieldKind::Choice(choices.clone()), json!("other")),
            (FieldKind::Choice(choices.clone()), json!(null)),
            (FieldKind::MultiChoice(choices.clone()), json!(["b", "other"])),
            (FieldKind::MultiChoice(choices.clone()), json!([null, "b", "a"])),
            (FieldKind::MultiChoice(choices), json!("b")),
            (FieldKind::Email, json!(" x@y.example ")),
            (FieldKind::Integer, json!("+5")),
            (FieldKind::Text, json!("one\rtwo")),
            (FieldKind::Json, json!({ "b": 1, "a": [null] })),
            (FieldKind::Text, json!({ "odd": true })),
        ];
        for (kind, value) in values {
            let fields = [field("x", kind)];
            let opened = Opened::on(&fields, &json!({ "x": value }), &zone());
            let opened = Opened::read(&opened.write()).unwrap();
            // As browsers send it: with an empty one beside boxes, and line ends of their own.
            let mut sent = vec![("x", String::new())];
            let control = control(&fields[0], &value);
            if !matches!(control, Control::Tick | Control::PickSome) {
                sent.clear();
            }
            let texts = texts(&fields[0], control, &value, &zone());
            let mut texts: Vec<_> =
                texts.iter().map(|text| ("x", text.replace('\n', "\r\n"))).collect();
            texts.sort();
            sent.extend(texts);
            let sent: Vec<_> = sent.iter().map(|(name, text)| (*name, text.as_str())).collect();
            let filled = changed(&fields, &opened, &form(&sent));
            assert!(filled.values.is_empty() && filled.problems.is_empty(), "{value}: {filled:?}");
        }
    }

    #[test]
    fn texts_become_what_the_backend_had() {
        let choice = || FieldKind::Choice(vec![Choice::new("1"), Choice::new("2")]);
        assert_eq!(typed_over(FieldKind::Integer, json!(1), "2"), json!(2));
        assert_eq!(typed_over(FieldKind::Decimal, json!("1.00"), "2.50"), json!("2.50"));
        assert_eq!(typed_over(FieldKind::Decimal, json!(1), "2.5"), json!(2.5));
        let long = "12345678901234567.89";
        assert_eq!(typed_over(FieldKind::Decimal, json!(1), long), json!(long));
        assert_eq!(typed_over(FieldKind::Integer, json!(1), ""), json!(null));
        assert_eq!(typed_over(FieldKind::Text, json!("a"), ""), json!(""));
        assert_eq!(typed_over(FieldKind::Text, json!(null), ""), json!("untouched"));
        assert_eq!(typed_over(FieldKind::Date, json!("2026-01-02"), ""), json!(null));
        assert_eq!(typed_over(choice(), json!(1), "2"), json!(2));
        assert_eq!(typed_over(choice(), json!("1"), "2"), json!("2"));
        assert_eq!(typed_over(FieldKind::Text, json!(2020), "2021"), json!(2021));
        assert_eq!(typed_over(FieldKind::Boolean, json!(null), "false"), json!(false));
        let some = FieldKind::MultiChoice(vec![Choice::new("a"), Choice::new("b")]);
        let fields = [field("x", some)];
        let opened = Opened::on(&fields, &json!({ "x": [null, "c", "a"] }), &zone());
        let filled = changed(&fields, &opened, &form(&[("x", ""), ("x", "b"), ("x", "c")]));
        assert_eq!(filled.values["x"], json!([null, "c", "b"]), "the order is the record's");
        assert_eq!(typed_over(FieldKind::Boolean, json!(true), ""), json!(false));
        let utc = "2026-01-02T03:04:00Z";
        let moved = typed_over(FieldKind::DateTime, json!(utc), "2026-01-02T12:00");
        assert_eq!(moved, json!("2026-01-02T10:00:00.000000Z"));
        let local =
            typed_over(FieldKind::DateTime, json!("2026-01-02T03:04:05"), "2026-01-02T12:00");
        assert_eq!(local, json!("2026-01-02T12:00:00"));
        let other = |value: Option<&str>| {
            let value = value.map(str::to_owned);
            FieldKind::Relation(Relation { group: "g".into(), name: "n".into(), value, show: None })
        };
        assert_eq!(typed_over(other(None), json!(null), "7"), json!(7));
        assert_eq!(typed_over(other(None), json!(null), "0f"), json!("0f"));
        assert_eq!(typed_over(other(Some("name")), json!("a"), "7"), json!("7"));
    }

    #[test]
    fn what_is_wrong_is_told_by_field() {
        let required = Rules { required: true, ..Rules::default() };
        let fields = [
            FieldConfig { rules: required.clone(), ..field("name", FieldKind::Text) },
            field("count", FieldKind::Integer),
            field("stage", FieldKind::Choice(vec![Choice::new("a")])),
            FieldConfig { rules: required, ..field("ok", FieldKind::Boolean) },
        ];
        let wrong = form(&[("name", " "), ("count", "x"), ("stage", "z"), ("ok", "")]);
        let filled = made(&fields, &zone(), &wrong);
        let names: Vec<_> = filled.problems.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["name", "count", "stage"]);
        assert_eq!(filled.values, json!({ "ok": false }).as_object().unwrap().clone());
        let right = form(&[("name", "A"), ("count", ""), ("stage", "a"), ("ok", "true")]);
        let filled = made(&fields, &zone(), &right);
        assert!(filled.problems.is_empty());
        let values = json!({ "name": "A", "stage": "a", "ok": true });
        assert_eq!(filled.values, values.as_object().unwrap().clone());
    }
}
