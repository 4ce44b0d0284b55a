//! A schema with all that it refers to, and what it says in words and values.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem, ptr,
};

use serde_json::Value;

use super::{Document, MOST_PARTS, Object};
use crate::config::Choice;

/// How many types a value may have.
pub(super) const MOST_TYPES: usize = 8;
/// More values than this are not for choosing from.
pub(super) const MOST_CHOICES: usize = 1_000;
/// How many bytes of a description are read.
pub(super) const MOST_TEXT: usize = 10_000;
/// The most characters of a label or a help text.
pub(super) const SENTENCE: usize = 120;

/// The parts of a schema are gathered; `left` is how many may still be.
pub(super) struct Gathering<'a> {
    pub(super) document: Document<'a>,
    pub(super) left: usize,
}

impl<'a> Gathering<'a> {
    /// Adds what `value` says to `schema`. It is the schema's own unless it is referred to.
    pub(super) fn add(
        &mut self,
        value: &'a Value,
        depth: usize,
        is_own: bool,
        schema: &mut Schema<'a>,
    ) {
        let Some(said) = value.as_object() else { return };
        if depth == 0 || self.left == 0 || schema.holds(said) {
            return;
        }
        self.left -= 1;
        schema.parts.push(Part { said, is_own });
        schema.is_optional |= can_be_null(said);
        let reference = said.get("$ref").and_then(Value::as_str);
        if let Some(target) = reference.and_then(|reference| self.document.target(reference)) {
            self.add(target, depth - 1, false, schema);
        }
        // What comes later says more.
        for part in list(said, "allOf").iter().take(MOST_PARTS).rev() {
            self.add(part, depth - 1, is_own, schema);
        }
        let mut options = Vec::new();
        for option in list(said, "oneOf").iter().chain(list(said, "anyOf")).take(MOST_PARTS) {
            if self.left == 0 {
                break;
            }
            let mut gathered = Schema::default();
            self.add(option, depth - 1, is_own, &mut gathered);
            options.push(gathered);
        }
        schema.settle(options);
    }
}

/// A schema with all that it refers to.
#[derive(Default)]
pub(super) struct Schema<'a> {
    /// What holds of it, the nearest first.
    pub(super) parts: Vec<Part<'a>>,
    /// Of these one holds as well.
    pub(super) alternatives: Vec<Schema<'a>>,
    /// Whether a value can be null or blank.
    pub(super) is_optional: bool,
}

/// An object of keywords.
pub(super) struct Part<'a> {
    pub(super) said: &'a Object,
    /// Whether it stands where the schema does: what is referred to has a title of its own.
    pub(super) is_own: bool,
}

impl<'a> Schema<'a> {
    pub(super) fn holds(&self, said: &Object) -> bool {
        self.parts.iter().any(|part| ptr::eq(part.said, said))
    }

    /// Takes alternatives in. Null and blank are none, and of numbers that can be written as text
    /// the number says more.
    pub(super) fn settle(&mut self, options: Vec<Schema<'a>>) {
        let all = options.len();
        let mut options: Vec<_> = options.into_iter().filter(|it| !it.is_nothing()).collect();
        self.is_optional |= options.len() < all || options.iter().any(|it| it.is_optional);
        let is_written_number =
            |it: &Schema<'a>| it.types() == ["string"] && it.text("format").is_none();
        if options.len() == 2 && options.iter().any(|it| it.types() == ["number"]) {
            options.retain(|it| !is_written_number(it));
        }
        match options.as_mut_slice() {
            [only] => {
                let parts = mem::take(&mut only.parts);
                let new: Vec<_> = parts.into_iter().filter(|it| !self.holds(it.said)).collect();
                self.parts.extend(new);
                self.alternatives.append(&mut only.alternatives);
            }
            _ => self.alternatives.append(&mut options),
        }
    }

    pub(super) fn find<T>(&self, read: impl Fn(&'a Object) -> Option<T>) -> Option<T> {
        self.parts.iter().find_map(|part| read(part.said))
    }

    /// The properties that its parts name, as long as there are any `left`.
    pub(super) fn inner(&self, left: &mut usize) -> Vec<(&'a str, &'a Value)> {
        let all = self.parts.iter().filter_map(|part| part.said.get("properties")?.as_object());
        let all = all.flatten().map(|(name, said)| (name.as_str(), said));
        let inner: Vec<_> = all.take(*left).collect();
        *left -= inner.len();
        inner
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.parts.iter().any(|part| part.said.contains_key(key))
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.find(|said| said.get(key)?.as_bool()).unwrap_or_default()
    }

    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.find(|said| said.get(key)?.as_str())
    }

    pub(super) fn length(&self, key: &str) -> Option<usize> {
        self.find(|said| said.get(key)?.as_u64()).and_then(|length| length.try_into().ok())
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.find(|said| said.get(key)?.as_f64())
    }

    /// Text that is said here, not of whatever is referred to.
    pub(super) fn own(&self, key: &str) -> Option<&'a str> {
        let mut own = self.parts.iter().filter(|part| part.is_own);
        own.find_map(|part| part.said.get(key)?.as_str()).map(beginning)
    }

    /// The types there are, beside null.
    pub(super) fn types(&self) -> Vec<&'a str> {
        let types = self.find(|said| match said.get("type")? {
            Value::String(one) => Some(vec![one.as_str()]),
            Value::Array(types) => {
                Some(types.iter().filter_map(Value::as_str).take(MOST_TYPES).collect())
            }
            _ => None,
        });
        types.unwrap_or_default().into_iter().filter(|one| *one != "null").collect()
    }

    /// Whether it can only be null or blank.
    pub(super) fn is_nothing(&self) -> bool {
        let is_null = |kind: &Value| match kind {
            Value::Array(types) => !types.is_empty() && types.iter().all(|one| one == "null"),
            kind => kind == "null",
        };
        let no_value = |said: &'a Object| match (said.get("enum"), said.get("const")) {
            (Some(Value::Array(values)), _) => {
                Some(values.len() <= MOST_TYPES && values.iter().all(is_blank))
            }
            (_, value) => value.map(is_blank),
        };
        self.find(|said| said.get("type")).is_some_and(is_null)
            || self.find(no_value).unwrap_or_default()
            || self.length("maxLength") == Some(0)
    }

    /// Whether a value may be left out, whatever else is said: it can be null or blank.
    pub(super) fn may_be_empty(&self) -> bool {
        let values = self.find(|said| said.get("enum")?.as_array());
        self.is_optional || values.is_some_and(|it| it.iter().take(MOST_CHOICES).any(is_blank))
    }

    /// Whether it has rules that only text can have.
    pub(super) fn is_textual(&self) -> bool {
        ["pattern", "minLength", "maxLength"].iter().any(|key| self.has(key))
            || self.text("format").is_some() && self.alternatives.is_empty()
    }

    /// The values there are, where they are counted.
    pub(super) fn choices(&self) -> Option<Vec<Choice>> {
        let mut choices = match self.find(|said| Some((said, said.get("enum")?.as_array()?))) {
            Some((said, values)) => self.listed(said, values)?,
            None => match self.find(|said| said.get("const")) {
                Some(value) => vec![choice(&scalar(value).filter(|_| !is_blank(value))?, None)],
                None => {
                    let all = self.alternatives.iter().map(Schema::titled);
                    all.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect()
                }
            },
        };
        let mut seen = BTreeSet::new();
        choices.retain(|choice| seen.insert(choice.value.clone()));
        (1..=MOST_CHOICES).contains(&choices.len()).then_some(choices)
    }

    /// The values of an `enum`, with the names that generators of documents give them.
    pub(super) fn listed(&self, said: &'a Object, values: &'a [Value]) -> Option<Vec<Choice>> {
        if values.len() > MOST_CHOICES {
            return None;
        }
        let names = ["x-enumNames", "x-enum-varnames", "x-enum-names"];
        let names = names.iter().map(|key| list(said, key));
        let names = names.into_iter().find(|names| names.len() == values.len()).unwrap_or_default();
        let labels = self.labels();
        let mut choices = Vec::new();
        for (at, value) in values.iter().enumerate().filter(|(_, value)| !is_blank(value)) {
            let text = scalar(value)?;
            let label = labels.get(text.as_str()).copied().and_then(in_short);
            let name = names.get(at).and_then(Value::as_str).and_then(spoken);
            choices.push(choice(&text, label.or(name)));
        }
        Some(choices)
    }

    /// The choices of an alternative; the title of one is what a single value is called.
    pub(super) fn titled(&self) -> Option<Vec<Choice>> {
        let mut choices = self.choices()?;
        if let ([only], Some(title)) = (choices.as_mut_slice(), self.text("title")) {
            *only = choice(&only.value, in_short(beginning(title)));
        }
        Some(choices)
    }

    /// What a description calls the values: "* `won` - Closed won", as DRF-spectacular writes it.
    pub(super) fn labels(&self) -> BTreeMap<&'a str, &'a str> {
        let all = self.parts.iter().filter_map(|part| part.said.get("description")?.as_str());
        let Some(text) = all.take(MOST_TYPES).map(beginning).find(|text| text.contains(BULLET))
        else {
            return BTreeMap::new();
        };
        let lines = text.lines().filter_map(|line| line.strip_prefix(BULLET)?.split_once("` - "));
        lines.collect()
    }
}

/// What begins a line about a value.
pub(super) const BULLET: &str = "* `";

/// A value with what it is called, where that says more.
pub(super) fn choice(value: &str, label: Option<String>) -> Choice {
    let usual = Choice::new(value);
    let label = label.filter(|label| label != value);
    Choice { label: label.unwrap_or_else(|| usual.label.clone()), ..usual }
}

/// A name in a program as words.
pub(super) fn spoken(name: &str) -> Option<String> {
    let is_shouted = !name.chars().any(char::is_lowercase);
    let name = if is_shouted { name.to_lowercase() } else { name.to_owned() };
    in_short(&Choice::new(&name).label)
}

pub(super) fn is_blank(value: &Value) -> bool {
    value.is_null() || value == ""
}

pub(super) fn can_be_null(said: &Object) -> bool {
    let is_true = |key: &str| said.get(key) == Some(&Value::Bool(true));
    let types = list(said, "type").iter().take(MOST_TYPES);
    is_true("nullable") || is_true("x-nullable") || types.into_iter().any(|one| one == "null")
}

/// A value as records have it.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

pub(super) fn list<'a>(said: &'a Object, key: &str) -> &'a [Value] {
    said.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// As much of a text as is read.
pub(super) fn beginning(text: &str) -> &str {
    &text[..text.floor_char_boundary(MOST_TEXT)]
}

/// The first sentence of a description, without what follows about single values.
pub(super) fn help(text: &str) -> Option<String> {
    let text = text.split("\n\n").find(|text| !text.trim().is_empty())?;
    let text = text.split(BULLET).next()?.trim();
    in_short(sentence(text))
}

/// The first sentence; "e.g." does not end one.
pub(super) fn sentence(text: &str) -> &str {
    let ends = text.match_indices(['.', '!', '?']).map(|(at, _)| at + 1);
    let mut ends = ends.filter(|end| {
        let rest = text[*end..].trim_start();
        rest.len() < text.len() - end && rest.starts_with(|next: char| !next.is_lowercase())
    });
    ends.next().map_or(text, |end| &text[..end])
}

/// A text on one line, cut between words where it is long.
pub(super) fn in_short(text: &str) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let Some((end, _)) = line.char_indices().nth(SENTENCE) else {
        return Some(line).filter(|line| !line.is_empty());
    };
    let last = line[..end].char_indices().next_back().map_or(0, |(at, _)| at);
    let cut = line[..last].rfind(' ').unwrap_or(last);
    Some(format!("{}…", line[..cut].trim_end_matches([',', ';', ':'])))
}

/// The names that a text lists: in quotation marks, or behind a colon. Other words are words.
pub(super) fn named_in(text: &str) -> Vec<&str> {
    let quoted = ['`', '"'].into_iter().flat_map(|mark| text.split(mark).skip(1).step_by(2));
    let (_, listed) =
        text.split_once(':').filter(|(before, _)| !before.ends_with("format")).unwrap_or_default();
    let is_in_name = |letter: char| letter.is_alphanumeric() || "_-+".contains(letter);
    let names = quoted.chain([sentence(listed)]);
    let names = names.flat_map(|text| text.split(move |letter| !is_in_name(letter)));
    names.filter(|name| !name.is_empty()).take(MOST_CHOICES).collect()
}
