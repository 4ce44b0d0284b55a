//! Checks what a client sends, field by field, in the sentences Django REST framework uses: clients
//! written against such a backend show them as they are.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::{Map, Value};
use time::{
    Date, OffsetDateTime, PrimitiveDateTime, Time,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};
use url::Url;

use super::{
    schema::{Collection, Field, Kind},
    text::stamp,
};

const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");
const MINUTE: StaticFormatDescription = format_description!("[year]-[month]-[day]T[hour]:[minute]");
const SECOND: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// What was wrong, by field.
pub(crate) type FieldErrors = BTreeMap<String, Vec<String>>;

/// How complete a client's record has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Required fields must be there; what is left out gets its empty value.
    Create,
    /// Required fields must be there; what else is left out stays as it is.
    Replace,
    /// What is left out stays as it is.
    Patch,
}

/// The checked values of `input`. Unknown and read-only fields are passed over.
pub(crate) fn validate(
    collection: &Collection,
    mode: Mode,
    input: &Map<String, Value>,
) -> Result<Map<String, Value>, FieldErrors> {
    let mut values = Map::new();
    let mut errors = FieldErrors::new();
    for field in collection.own {
        match check_field(field, mode, input.get(field.name)) {
            Ok(Some(value)) => _ = values.insert(field.name.to_owned(), value),
            Ok(None) => {}
            Err(sentence) => _ = errors.insert(field.name.to_owned(), vec![sentence.into_owned()]),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(errors) }
}

type Checked<T> = Result<T, Cow<'static, str>>;

fn check_field(field: &Field, mode: Mode, sent: Option<&Value>) -> Checked<Option<Value>> {
    match sent.filter(|_| !field.read_only) {
        Some(value) => check_value(field, value).map(Some),
        None if field.required && mode != Mode::Patch => Err("This field is required.".into()),
        None if mode == Mode::Create => Ok(Some(empty(field.kind))),
        None => Ok(None),
    }
}

fn check_value(field: &Field, value: &Value) -> Checked<Value> {
    if value.is_null() {
        return match empty(field.kind) {
            Value::Null if !field.required => Ok(Value::Null),
            _ => Err("This field may not be null.".into()),
        };
    }
    match parse(field.kind, value)? {
        Value::String(text) if text.is_empty() && field.required => {
            Err("This field may not be blank.".into())
        }
        checked => Ok(checked),
    }
}

/// What a field holds that nobody filled in.
fn empty(kind: Kind) -> Value {
    match kind {
        Kind::Boolean => Value::Bool(false),
        Kind::Choice(options) => options.first().copied().into(),
        kind if kind.is_free_text() => Value::String(String::new()),
        _ => Value::Null,
    }
}

/// The value in the form it is stored, or the sentence that says what is wrong with it.
pub(crate) fn parse(kind: Kind, value: &Value) -> Checked<Value> {
    match kind {
        Kind::Text(max) => parse_text(value, Some(max)).map(Value::String),
        Kind::LongText => parse_text(value, None).map(Value::String),
        Kind::Email => parse_pattern(value, is_email, "Enter a valid email address."),
        Kind::Url => parse_pattern(value, is_url, "Enter a valid URL."),
        Kind::Phone => parse_pattern(value, is_phone, "Enter a valid phone number."),
        Kind::Integer => parse_integer(value),
        Kind::Decimal => parse_number(value).map(tidy),
        Kind::Money => parse_money(value),
        Kind::Percent => parse_percent(value),
        Kind::Boolean => parse_boolean(value),
        Kind::Date => parse_date(value),
        Kind::DateTime => parse_moment(value),
        Kind::Choice(options) => parse_choice(value, options),
        Kind::Json => Ok(value.clone()),
    }
}

fn parse_text(value: &Value, max: Option<usize>) -> Checked<String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err("Not a valid string.".into()),
    };
    if text.contains('\0') {
        return Err("Null characters are not allowed.".into());
    }
    match max {
        Some(max) if text.chars().count() > max => {
            Err(format!("Ensure this field has no more than {max} characters.").into())
        }
        _ => Ok(text),
    }
}

fn parse_pattern(
    value: &Value,
    fits: impl Fn(&str) -> bool,
    sentence: &'static str,
) -> Checked<Value> {
    let text = parse_text(value, Some(254))?;
    if text.is_empty() || fits(&text) { Ok(text.into()) } else { Err(sentence.into()) }
}

fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_fits = !local.is_empty()
        && !local.starts_with('.')
        && !local.ends_with('.')
        && local.chars().all(|it| it.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(it));
    local_fits && domain.contains('.') && domain.split('.').all(is_domain_label)
}

fn is_domain_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|it| it.is_alphanumeric() || it == '-')
}

fn is_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn is_phone(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    (5..=20).contains(&digits)
        && text.chars().all(|it| it.is_ascii_digit() || " +-()./".contains(it))
}

fn parse_integer(value: &Value) -> Checked<Value> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    match number {
        None => Err("A valid integer is required.".into()),
        Some(..0) => Err("Ensure this value is greater than or equal to 0.".into()),
        Some(number) => Ok(number.into()),
    }
}

fn parse_number(value: &Value) -> Checked<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|it| it.is_finite()).ok_or("A valid number is required.".into())
}

fn parse_two_places(value: &Value) -> Checked<f64> {
    let number = parse_number(value)?;
    if number.abs() >= 1e10 {
        return Err("Ensure that there are no more than 12 digits in total.".into());
    }
    let cents = number * 100.0;
    if (cents - cents.round()).abs() > 1e-4 {
        return Err("Ensure that there are no more than 2 decimal places.".into());
    }
    Ok(cents.round() / 100.0)
}

fn parse_money(value: &Value) -> Checked<Value> {
    parse_two_places(value).map(tidy)
}

fn parse_percent(value: &Value) -> Checked<Value> {
    let number = parse_two_places(value)?;
    if number < 0.0 {
        return Err("Ensure this value is greater than or equal to 0.".into());
    }
    if number > 100.0 {
        return Err("Ensure this value is less than or equal to 100.".into());
    }
    Ok(tidy(number))
}

/// Whole numbers without a fraction, so that 12500 comes back as 12500.
fn tidy(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        (number as i64).into()
    } else {
        number.into()
    }
}

fn parse_boolean(value: &Value) -> Checked<Value> {
    let yes = match value {
        Value::Bool(yes) => Some(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(0) => Some(false),
            Some(1) => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    yes.map(Value::Bool).ok_or("Must be a valid boolean.".into())
}

fn parse_date(value: &Value) -> Checked<Value> {
    value
        .as_str()
        .and_then(|text| Date::parse(text.trim(), DAY).ok())
        .map(|day| day.to_string().into())
        .ok_or("Date has wrong format. Use one of these formats instead: YYYY-MM-DD.".into())
}

fn parse_moment(value: &Value) -> Checked<Value> {
    const SENTENCE: &str = "Datetime has wrong format. Use one of these formats instead: \
        YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].";
    value
        .as_str()
        .and_then(|text| moment(text.trim()))
        .map(|moment| stamp(moment).into())
        .ok_or(SENTENCE.into())
}

/// A moment with an offset, or one without that is taken as UTC: browsers' inputs send none.
fn moment(text: &str) -> Option<OffsetDateTime> {
    let local = || {
        PrimitiveDateTime::parse(text, SECOND)
            .or_else(|_| PrimitiveDateTime::parse(text, MINUTE))
            .or_else(|_| Date::parse(text, DAY).map(|day| day.with_time(Time::MIDNIGHT)))
            .map(PrimitiveDateTime::assume_utc)
    };
    let moment = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| local()).ok()?;
    // Near the ends of the calendar another offset's day may not exist.
    (1..9999).contains(&moment.year()).then_some(moment)
}

fn parse_choice(value: &Value, options: &'static [&'static str]) -> Checked<Value> {
    let sent = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if options.contains(&sent.as_str()) {
        Ok(sent.into())
    } else {
        Err(format!("\"{sent}\" is not a valid choice.").into())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(collection: (&str, &str), mode: Mode, input: Value) -> Result<Value, FieldErrors> {
        let collection = Collection::find(collection.0, collection.1).unwrap();
        validate(collection, mode, input.as_object().unwrap()).map(Value::Object)
    }

    fn contact_error(field: &str, value: Value) -> String {
        let mut input = json!({"name": "Ana", "email": "ana@globex.example"});
        input[field] = value;
        let errors = check(("django-crm", "contacts"), Mode::Create, input).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[field].join(" ")
    }

    #[test]
    fn a_new_record_gets_its_empty_values() {
        let input = json!({"name": " Ana ", "email": "ana@globex.example", "id": 7, "colour": 1});
        let contact = check(("django-crm", "contacts"), Mode::Create, input).unwrap();
        assert_eq!(contact["name"], "Ana");
        assert_eq!(contact["status"], "Lead");
        assert_eq!(contact["notes"], "");
        assert_eq!(contact["last_contacted"], Value::Null);
        assert!(contact.get("id").is_none() && contact.get("colour").is_none());
    }

    #[test]
    fn required_fields_are_asked_for_unless_patching() {
        let errors = check(("django-crm", "contacts"), Mode::Replace, json!({})).unwrap_err();
        assert_eq!(errors["name"], ["This field is required."]);
        assert_eq!(errors["email"], ["This field is required."]);
        let patch = check(("django-crm", "contacts"), Mode::Patch, json!({"city": "Porto"}));
        assert_eq!(patch.unwrap(), json!({"city": "Porto"}));
    }

    #[test]
    fn sentences_say_what_is_wrong() {
        assert_eq!(contact_error("name", json!("")), "This field may not be blank.");
        assert_eq!(contact_error("name", Value::Null), "This field may not be null.");
        assert_eq!(contact_error("name", json!(["a"])), "Not a valid string.");
        let long = contact_error("name", json!("a".repeat(121)));
        assert_eq!(long, "Ensure this field has no more than 120 characters.");
        assert_eq!(contact_error("status", json!("Boss")), "\"Boss\" is not a valid choice.");
        assert_eq!(contact_error("phone", json!("call me")), "Enter a valid phone number.");
        assert!(contact_error("last_contacted", json!("17.06.2026")).starts_with("Date has wrong"));
    }

    #[test]
    fn email_addresses() {
        for wrong in ["ana", "ana@", "@globex.example", "a b@globex.example", "a@b", "a@-b.example"]
        {
            assert_eq!(contact_error("email", json!(wrong)), "Enter a valid email address.");
        }
        assert!(is_email("ana.o'neil+crm@mail.globex.example"));
    }

    #[test]
    fn numbers() {
        let wrong = |kind, value| parse(kind, &value).unwrap_err().into_owned();
        assert_eq!(parse(Kind::Money, &json!("12.50")), Ok(json!(12.5)));
        assert_eq!(parse(Kind::Integer, &json!("12")), Ok(json!(12)));
        assert_eq!(wrong(Kind::Integer, json!(1.5)), "A valid integer is required.");
        assert!(wrong(Kind::Integer, json!(-1)).ends_with("greater than or equal to 0."));
        assert!(wrong(Kind::Money, json!(1.005)).ends_with("more than 2 decimal places."));
        assert!(wrong(Kind::Percent, json!(101)).ends_with("less than or equal to 100."));
        assert_eq!(wrong(Kind::Decimal, json!("NaN")), "A valid number is required.");
    }

    #[test]
    fn moments_are_stored_in_utc() {
        let stored = |text: &str| parse(Kind::DateTime, &json!(text)).unwrap();
        assert_eq!(stored("2026-06-17T09:30:00+02:00"), "2026-06-17T07:30:00.000000Z");
        assert_eq!(stored("2026-06-17T09:30"), "2026-06-17T09:30:00.000000Z");
        assert_eq!(stored("2026-06-17"), "2026-06-17T00:00:00.000000Z");
        assert!(parse(Kind::DateTime, &json!("yesterday")).is_err());
    }
}
