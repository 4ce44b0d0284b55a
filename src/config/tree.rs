//! The file as a tree in which every value remembers where it was written.
//!
//! The parser's own tree borrows the text and knows byte offsets; this one owns its values and
//! knows lines, so that a value of the environment can take the place of one of the file.

use toml::de::{DeTable, DeValue};

use super::problem::Problem;

/// Where something was written.
#[derive(Clone)]
pub(super) enum Origin {
    /// In the file as a whole: a table that is not there.
    File,
    /// In this line of the file, from 1.
    Line(usize),
    /// In this environment variable.
    Variable(String),
}

/// One value and where it was written. Has no `Debug`: the value may be a secret.
pub(super) struct Node {
    /// Where.
    pub(super) origin: Origin,
    /// What an environment variable holds, to the letter. Where text is wanted it counts instead
    /// of `shape`, so that `12` can be a name as well as a number.
    pub(super) raw: Option<String>,
    /// What the value is in TOML.
    pub(super) shape: Shape,
}

/// A value in TOML, as far as this file has a use for it.
pub(super) enum Shape {
    Text(String),
    Integer(i64),
    Fraction(f64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Tree),
    /// A date, or a number out of range: nothing here is one.
    Other,
}

impl Shape {
    /// What it is, for "is …; write …".
    pub(super) fn name(&self) -> &'static str {
        match self {
            Shape::Text(_) => "text",
            Shape::Integer(_) | Shape::Fraction(_) => "a number",
            Shape::Boolean(_) => "true or false",
            Shape::List(_) => "a list",
            Shape::Table(_) => "a table",
            Shape::Other => "a date or a number of another kind",
        }
    }
}

/// A table: keys and values in the order of the file.
#[derive(Default)]
pub(super) struct Tree {
    entries: Vec<(String, Node)>,
}

impl Tree {
    /// A table with nothing in it.
    pub(super) const fn empty() -> Self {
        Self { entries: Vec::new() }
    }

    /// Parses the whole file; reports every place that is not TOML.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let lines = Lines::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Ok(tree(document.get_ref(), &|offset| Origin::Line(lines.at(offset))));
        }
        let problem = |error: &toml::de::Error| {
            Problem::syntax(error.span().map(|span| lines.at(span.start)), error.message())
        };
        Err(errors.iter().map(problem).collect())
    }

    /// Keys and values in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.entries.iter().map(|(key, node)| (key.as_str(), node))
    }

    /// The keys in the order of the file.
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// The value under `key`.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// Puts `node` under `key`, in the place of what was there.
    pub(super) fn set(&mut self, key: String, node: Node) {
        match self.entries.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = node,
            None => self.entries.push((key, node)),
        }
    }

    /// The table under `key`, begun by `origin` when there is none; nothing when it is a value.
    pub(super) fn table_mut(&mut self, key: &str, origin: &Origin) -> Option<&mut Tree> {
        if self.get(key).is_none() {
            let shape = Shape::Table(Tree::default());
            self.set(key.to_owned(), Node { origin: origin.clone(), raw: None, shape });
        }
        let (_, node) = self.entries.iter_mut().find(|(name, _)| name == key)?;
        match &mut node.shape {
            Shape::Table(table) => Some(table),
            _ => None,
        }
    }
}

impl Node {
    /// The value of an environment variable: TOML where it is more than text, else text.
    pub(super) fn from_variable(origin: Origin, text: &str) -> Self {
        let shape = match DeValue::parse(text) {
            Ok(value) if !value.get_ref().is_str() => shape(value.get_ref(), &|_| origin.clone()),
            _ => Shape::Text(text.to_owned()),
        };
        Self { origin, raw: Some(text.to_owned()), shape }
    }
}

/// A key stands in the line of its value, and a table's key in the line of its heading.
fn tree(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Tree {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let entries = entries
        .into_iter()
        .map(|(key, value)| {
            let origin_of_key = origin(key.span().start);
            let shape = shape(value.get_ref(), origin);
            (key.get_ref().to_string(), Node { origin: origin_of_key, raw: None, shape })
        })
        .collect();
    Tree { entries }
}

fn shape(value: &DeValue<'_>, origin: &dyn Fn(usize) -> Origin) -> Shape {
    match value {
        DeValue::String(text) => Shape::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Shape::Other, Shape::Integer),
        DeValue::Boolean(value) => Shape::Boolean(*value),
        DeValue::Float(number) => number.as_str().parse().map_or(Shape::Other, Shape::Fraction),
        DeValue::Datetime(_) => Shape::Other,
        DeValue::Array(items) => Shape::List(
            items
                .iter()
                .map(|item| Node {
                    origin: origin(item.span().start),
                    raw: None,
                    shape: shape(item.get_ref(), origin),
                })
                .collect(),
        ),
        DeValue::Table(table) => Shape::Table(tree(table, origin)),
    }
}

/// Where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(index, _)| index + 1);
        Self(std::iter::once(0).chain(after_breaks).collect())
    }

    /// The line that holds the byte at `offset`, from 1.
    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}
