//! What a question is about, where its first line says so: `About Deals: /data/django-crm/deals?…`.

use url::form_urlencoded;

use super::{topics::Subject, understand::Request, words::Words};
use crate::sandbox::collections::{
    Collection, Field, Filter, Kind, Operand, Selection, Test, read_terms,
};

/// A list or a record.
#[derive(Debug, Clone)]
pub(super) struct Context {
    pub(super) subject: Subject,
    /// The record's id.
    pub(super) id: Option<String>,
    /// What the list was narrowed by.
    pub(super) selection: Selection,
}

impl Context {
    /// What a question says first that it is about, and the words behind it.
    pub(super) fn read(question: &str) -> (Option<Self>, &str) {
        let read = || {
            let said = question.strip_prefix("About ")?;
            let (before, rest) = said.split_once(": /data/")?;
            let (address, words) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            (!before.contains('\n')).then_some(())?;
            Some((Self::at(address)?, words.trim()))
        };
        match read() {
            Some((context, words)) => (Some(context), words),
            None => (None, question),
        }
    }

    fn at(address: &str) -> Option<Self> {
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut parts = path.split('/');
        let subject = Subject::at(parts.next()?, parts.next()?)?;
        let selection = selection(subject.collection, query);
        Some(Self { subject, id: parts.next().map(str::to_owned), selection })
    }

    /// The same, with words that say by themselves what they are about: `deals how many are open`.
    pub(super) fn in_words(question: &str) -> (Option<Self>, String) {
        let (context, words) = Self::read(question);
        let words = context.as_ref().map_or_else(|| words.to_owned(), |it| it.named(words));
        (context, words)
    }

    /// The words, with the name of what they are about where they name nothing.
    fn named(&self, words: &str) -> String {
        if Subject::is_named(&Words::read(words)) {
            return words.to_owned();
        }
        match &self.id {
            Some(id) => format!("{} {id} {words}", self.subject.collection.singular),
            None => format!("{} {words}", self.subject.topic.plural),
        }
    }

    /// What is asked for, among what the list was narrowed to. Where both say something of a field, the
    /// question counts.
    pub(super) fn narrow(self, request: &mut Request) {
        if request.subject.collection.path() != self.subject.collection.path() {
            return;
        }
        let selection = &mut request.selection;
        let named: Vec<&str> = selection.filters.iter().map(|filter| filter.field.name).collect();
        let others = self.selection.filters.into_iter();
        let others: Vec<Filter> =
            others.filter(|filter| !named.contains(&filter.field.name)).collect();
        selection.filters.extend(others);
        selection.terms.extend(self.selection.terms);
    }
}

/// What the address of a list's page narrows it by.
fn selection(collection: &'static Collection, query: &str) -> Selection {
    let mut selection = Selection::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "q" {
            selection.terms.extend(read_terms(&value));
        }
        let Some(name) = name.strip_prefix("f.") else { continue };
        let (name, bound) = name.split_once('.').unwrap_or((name, ""));
        if let Some(field) = collection.field(name) {
            narrow(&mut selection, field, bound, &value);
        }
    }
    selection
}

fn narrow(selection: &mut Selection, field: &'static Field, bound: &str, value: &str) {
    let operand = operand(field, value);
    let known = selection.filters.iter_mut().find(|filter| filter.field == field);
    let test = match (bound, known) {
        ("from", _) => Test::AtLeast(operand),
        ("to", _) => Test::AtMost(operand),
        ("has", _) => Test::Contains(value.to_owned()),
        (_, Some(Filter { test: Test::OneOf(values), .. })) => return values.push(operand),
        (_, _) => Test::OneOf(vec![operand]),
    };
    selection.filters.push(Filter { field, test });
}

fn operand(field: &Field, value: &str) -> Operand {
    match (field.kind, value.parse()) {
        (Kind::Boolean, _) => Operand::Number(if value == "true" { 1.0 } else { 0.0 }),
        (kind, Ok(number)) if kind.is_number() => Operand::Number(number),
        _ => Operand::Text(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_it_is_about() {
        let text = "About Deals, in part: /data/django-crm/deals?f.stage=Won&f.amount.from=10 \
                    how many?";
        let (context, words) = Context::read(text);
        let context = context.unwrap();
        assert_eq!((context.subject.collection.name, words), ("deals", "how many?"));
        assert_eq!(context.selection.filters.len(), 2);
        assert_eq!(Context::in_words(text).1, "deals how many?");
        let record = "About contact 7: /data/django-crm/contacts/7 and the e-mail?";
        assert_eq!(Context::in_words(record).1, "Contact 7 and the e-mail?");
        let other = "About contact 7: /data/django-crm/contacts/7 open deals";
        assert_eq!(Context::in_words(other).1, "open deals");
        for plain in ["About time", "About x: /data/nope/x y", "open deals"] {
            assert_eq!(Context::in_words(plain).1, plain);
        }
    }
}
