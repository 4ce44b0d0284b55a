//! Orders: `make a contact Ada Park, ada@park.example, city Porto`, `set the stage of deal 3 to Won`.
//!
//! What is ordered keeps the letters it was written with, so these are read from the text and not from
//! folded words.

use serde_json::{Map, Value};

use super::{
    context::Context,
    topics::Subject,
    understand::{is_date, options, spoken},
};
use crate::sandbox::collections::{Field, Kind};

/// What people say before an order.
const BEFORE: [&str; 12] =
    ["please", "can", "could", "would", "you", "i", "want", "to", "need", "and", "now", "hi"];
const MAKE: [&str; 4] = ["make", "create", "add", "new"];
const CHANGE: [&str; 5] = ["set", "change", "update", "move", "rename"];
const ARTICLES: [&str; 6] = ["a", "an", "the", "new", "me", "one"];

/// Something that is to be written.
#[derive(Debug, Clone)]
pub(super) enum Order {
    /// A new record.
    Make { subject: Subject, values: Map<String, Value> },
    /// New values of a record.
    Change { subject: Subject, target: Target, values: Map<String, Value> },
}

/// Which record.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Id(String),
    /// What it is called, more or less.
    Words(String),
}

/// The order in a text, if it is one.
pub(super) fn read(text: &str, context: Option<&Context>) -> Option<Order> {
    let mut rest = text.trim();
    while let Some(after) = without(rest, &BEFORE) {
        rest = after;
    }
    if let Some(after) = without(rest, &MAKE) {
        return make(articles(after));
    }
    change(without(rest, &CHANGE)?, context)
}

/// `text` without the first of its words, if that is one of these.
fn without<'t>(text: &'t str, words: &[&str]) -> Option<&'t str> {
    let (first, rest) = first_word(text);
    words.contains(&&*bare(first).to_lowercase()).then_some(rest)
}

fn first_word(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim_start())
}

fn articles(mut text: &str) -> &str {
    while let Some(rest) = without(text, &ARTICLES) {
        text = rest;
    }
    text
}

/// A word or a value without what stands around it.
fn bare(text: &str) -> &str {
    let around = |letter: char| letter.is_whitespace() || "\"'“”„,;:.!?()".contains(letter);
    text.trim_matches(around)
}

fn make(text: &str) -> Option<Order> {
    let (first, rest) = first_word(text);
    let subject = Subject::called(bare(first))?;
    let rest = without(rest, &["called", "named", "for"]).unwrap_or(rest);
    let values = values(subject, rest, true);
    (!values.is_empty()).then_some(Order::Make { subject, values })
}

/// `the stage of deal 3 to Won`, `deal 3: stage Won, amount 500`, and without a record where the
/// question is about one.
fn change(text: &str, context: Option<&Context>) -> Option<Order> {
    let text = articles(text);
    if let Some((target, said)) = text.split_once(':')
        && let Some((subject, target)) = target_in(target, context)
    {
        let values = values(subject, said, false);
        return (!values.is_empty()).then_some(Order::Change { subject, target, values });
    }
    let (head, value) = text.rsplit_once(" to ")?;
    let (name, target) = head.split_once(" of ").unwrap_or((head, ""));
    let (subject, target) = target_in(target, context)?;
    let field = field_called(subject, bare(articles(name)))?;
    let values = [(field.name.to_owned(), meant(field, bare(value)))].into_iter().collect();
    Some(Order::Change { subject, target, values })
}

/// `deal 3`, `contact Ada Park`, or what the question is about.
fn target_in(text: &str, context: Option<&Context>) -> Option<(Subject, Target)> {
    let text = articles(text.trim());
    if bare(text).is_empty() || ["it", "this"].contains(&bare(text)) {
        let context = context?;
        return Some((context.subject, Target::Id(context.id.clone()?)));
    }
    let (first, rest) = first_word(text);
    let (subject, rest) = match (Subject::called(bare(first)), context) {
        (Some(subject), _) => (subject, bare(rest)),
        (None, Some(context)) => (context.subject, bare(text)),
        (None, None) => (Subject::called("contact")?, bare(text)),
    };
    let number = rest.trim_start_matches('#');
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let target = match is_number {
        true => Target::Id(number.to_owned()),
        false => Target::Words(rest.to_owned()),
    };
    Some((subject, target))
}

/// The values in a text, with commas between them. What names no field is a name, an address for mail,
/// a day or a choice, by what it looks like.
fn values(subject: Subject, text: &str, names_first: bool) -> Map<String, Value> {
    let mut values = Map::new();
    let text = text.replace(" with ", ", ").replace(" and set ", ", ");
    for clause in clauses(&text) {
        let found = field_first(subject, clause).or_else(|| by_look(subject, clause));
        if let Some((field, value)) = found {
            values.insert(field.name.to_owned(), meant(field, value));
            continue;
        }
        let Some(name) = subject.collection.own.first() else { continue };
        if names_first && !values.contains_key(name.name) {
            let (called, company) = match subject.collection.field("company") {
                Some(_) => clause.split_once(" at ").unwrap_or((clause, "")),
                None => (clause, ""),
            };
            values.insert(name.name.to_owned(), bare(called).into());
            if !company.is_empty() {
                values.insert("company".to_owned(), bare(company).into());
            }
        }
    }
    values
}

/// The parts between commas, of which one between digits is none.
fn clauses(text: &str) -> impl Iterator<Item = &str> {
    let digit = |at: Option<usize>| {
        at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit)
    };
    let mut begin = 0;
    let mut clauses = Vec::new();
    for (at, letter) in text.char_indices() {
        let is_in_number = letter == ',' && digit(at.checked_sub(1)) && digit(Some(at + 1));
        if matches!(letter, ',' | ';' | '\n') && !is_in_number {
            clauses.push(&text[begin..at]);
            begin = at + 1;
        }
    }
    clauses.push(&text[begin..]);
    clauses.into_iter().map(bare).filter(|clause| !clause.is_empty())
}

/// `city Porto`, `city: Porto`, `due date is 2026-07-01`
fn field_first(subject: Subject, clause: &str) -> Option<(&'static Field, &str)> {
    let mut fields: Vec<&'static Field> = subject.collection.own.iter().collect();
    fields.sort_by_key(|field| std::cmp::Reverse(field.name.len()));
    fields.into_iter().find_map(|field| {
        let names = [spoken(field), field.name.to_owned(), short(field)];
        let rest = names.iter().find_map(|name| {
            let begin = clause.get(..name.len()).filter(|_| !name.is_empty())?;
            let rest = clause.get(name.len()..)?;
            let is_whole = rest.starts_with([' ', ':', '=']);
            (begin.eq_ignore_ascii_case(name) && is_whole).then_some(rest)
        })?;
        let rest = rest.trim_start_matches([' ', ':', '=']);
        let rest = without(rest, &["is", "to"]).unwrap_or(rest);
        Some((field, bare(rest))).filter(|(_, value)| !value.is_empty())
    })
}

/// `due` for `due date`.
fn short(field: &Field) -> String {
    let name = spoken(field);
    name.strip_suffix(" date").unwrap_or_default().to_owned()
}

fn by_look(subject: Subject, clause: &str) -> Option<(&'static Field, &str)> {
    let own = subject.collection.own;
    if clause.contains('@') && !clause.contains(char::is_whitespace) {
        return own.iter().find(|field| field.kind == Kind::Email).map(|field| (field, clause));
    }
    if is_date(clause) {
        return subject.when().map(|field| (field, clause));
    }
    let is_option =
        |field: &&Field| options(field).iter().any(|it| it.eq_ignore_ascii_case(clause));
    own.iter().find(is_option).map(|field| (field, clause))
}

fn field_called(subject: Subject, name: &str) -> Option<&'static Field> {
    let is_called = |field: &&&'static Field| {
        let names = [spoken(field), field.name.to_owned(), short(field)];
        names.iter().any(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))
    };
    let own: Vec<&'static Field> = subject.collection.own.iter().collect();
    own.iter().find(is_called).copied()
}

/// A number as people write it: without a fraction where there is none.
pub(super) fn as_value(number: f64) -> Value {
    let is_whole = number.fract() == 0.0 && number.abs() < 1e15;
    if is_whole { Value::from(number as i64) } else { Value::from(number) }
}

/// A value as the field holds it, as far as it can be.
fn meant(field: &Field, text: &str) -> Value {
    let number = || {
        let digits = text.replace([',', '_'], "");
        let digits = digits.trim_start_matches(['$', '€']).trim_end_matches('%');
        digits.parse::<f64>().ok()
    };
    match field.kind {
        kind if kind.is_number() => number().map_or_else(|| text.into(), as_value),
        Kind::Boolean => ["yes", "true", "on"].contains(&&*text.to_lowercase()).into(),
        _ => {
            let option = options(field).iter().find(|option| option.eq_ignore_ascii_case(text));
            option.map_or(text, |option| option).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(text: &str) -> (String, Value) {
        match read(text, None) {
            Some(Order::Make { subject, values }) => {
                (subject.collection.path(), Value::Object(values))
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    fn changed(text: &str, context: Option<&Context>) -> (String, Target, Value) {
        match read(text, context) {
            Some(Order::Change { subject, target, values }) => {
                (subject.collection.path(), target, Value::Object(values))
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn new_records_are_described_in_a_few_words() {
        let ada = json!({ "name": "Ada Park", "email": "ada@park.example", "city": "Porto" });
        for text in [
            "make a contact Ada Park, ada@park.example, city Porto",
            "Please create a new contact named Ada Park with email ada@park.example, city: Porto.",
            "Can you add a contact: Ada Park, email is ada@park.example, City = Porto",
        ] {
            assert_eq!(made(text), ("django-crm/contacts".to_owned(), ada.clone()), "{text}");
        }
        let (_, values) = made("make a contact Bo Ek at Quist & Co, customer");
        assert_eq!(
            values,
            json!({ "name": "Bo Ek", "company": "Quist & Co", "status": "Customer" })
        );
        let (path, values) = made("add a task: Call Ada, due 2026-07-01, priority high");
        assert_eq!(path, "django-crm/tasks");
        let task = json!({ "title": "Call Ada", "due_date": "2026-07-01", "priority": "High" });
        assert_eq!(values, task);
        let (_, values) = made("create a deal Big one, company Globex, amount 12,500");
        let deal = json!({ "name": "Big one", "company": "Globex", "amount": 12_500 });
        assert_eq!(values, deal, "a comma between digits separates nothing");
    }

    #[test]
    fn changes_say_which_record_and_which_value() {
        let deal = ("django-crm/deals".to_owned(), Target::Id("3".to_owned()));
        let won = json!({ "stage": "Won" });
        for text in ["set the stage of deal 3 to won", "change deal #3: stage Won"] {
            let (path, target, values) = changed(text, None);
            assert_eq!(((path, target), values), (deal.clone(), won.clone()), "{text}");
        }
        let (_, target, values) = changed("change the city of Maria Silva to Porto", None);
        assert_eq!(target, Target::Words("Maria Silva".to_owned()));
        assert_eq!(values, json!({ "city": "Porto" }));
        let text = "About deal 3: /data/django-crm/deals/3 set the amount to 500.50";
        let (context, words) = Context::read(text);
        let (path, target, values) = changed(words, context.as_ref());
        assert_eq!((path, target), deal);
        assert_eq!(values, json!({ "amount": 500.5 }));
    }

    #[test]
    fn questions_are_no_orders() {
        for text in [
            "open deals",
            "contacts at Globex",
            "new contacts",
            "add it up",
            "set the weather of deal 3 to fine",
            "change",
            "",
            "How do I make a contact?",
        ] {
            assert!(read(text, None).is_none(), "{text}");
        }
    }
}
