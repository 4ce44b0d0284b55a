//! Reading one table at a time, keeping every problem met on the way.
//!
//! Nothing here stops at the first mistake. A wrong value is reported and stands as [`Reported`];
//! the next key is read all the same. A section remembers which keys were asked for, so what is
//! left over at its end is unknown. Two rules follow for whoever reads a table: ask for every key
//! before the first `?`, and ask even for keys that do not matter in this case.

use std::{cell::RefCell, path::PathBuf};

use super::{
    Environment, expand,
    problem::{Problem, suggestion},
    tree::{Node, Origin, Shape, Tree},
};

/// A value, or the certainty that its absence was reported.
pub(super) type Read<T> = Result<T, Reported>;

/// Proof that a problem was reported.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported(());

/// What all sections of one file share.
pub(super) struct Reader<'a> {
    environment: &'a Environment,
    folder: PathBuf,
    problems: RefCell<Vec<Problem>>,
}

/// One table being read.
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    origin: Origin,
    table: &'a Tree,
    known: RefCell<Vec<&'static str>>,
}

/// One value being read.
pub(super) struct Value<'a> {
    reader: &'a Reader<'a>,
    path: String,
    node: &'a Node,
}

/// Stands in for a table that the file does not have.
static EMPTY: Tree = Tree::empty();

/// Reads everything before it gives up, where collecting results would stop at the first failure.
pub(super) fn all<T, C: FromIterator<T>>(reads: impl IntoIterator<Item = Read<T>>) -> Read<C> {
    let reads: Vec<Read<T>> = reads.into_iter().collect();
    reads.into_iter().collect()
}

impl<'a> Reader<'a> {
    /// A reader that has met `problems` so far.
    pub(super) fn new(
        environment: &'a Environment,
        folder: PathBuf,
        problems: Vec<Problem>,
    ) -> Self {
        Self { environment, folder, problems: RefCell::new(problems) }
    }

    /// Reads the whole file.
    pub(super) fn root<T>(
        &self,
        table: &Tree,
        read: impl FnOnce(&Section<'_>) -> Read<T>,
    ) -> Read<T> {
        Section::new(self, String::new(), Origin::File, table).run(read)
    }

    /// Everything that was reported.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn report(&self, origin: &Origin, key: &str, what: &str) -> Reported {
        let (line, what) = match origin {
            Origin::File => (None, what.to_owned()),
            Origin::Line(line) => (Some(*line), what.to_owned()),
            Origin::Variable(name) => (None, format!("{what} (set by {name})")),
        };
        self.problems.borrow_mut().push(Problem { line, key: key.to_owned(), what });
        Reported(())
    }

    fn report_unknown(&self, path: &str, name: &str, origin: &Origin, known: &[&str]) {
        let hint = suggestion(name, known);
        match origin {
            Origin::Variable(variable) => {
                let what = format!("sets `{path}`, which is not a key of this file; {hint}");
                self.problems.borrow_mut().push(Problem::variable(variable, what));
            }
            origin => {
                self.report(origin, path, &format!("unknown key `{name}`; {hint}"));
            }
        }
    }
}

impl<'a> Section<'a> {
    fn new(reader: &'a Reader<'a>, path: String, origin: Origin, table: &'a Tree) -> Self {
        Self { reader, path, origin, table, known: RefCell::default() }
    }

    /// Reads the table, then reports the keys that nobody asked for.
    fn run<T>(self, read: impl FnOnce(&Section<'a>) -> Read<T>) -> Read<T> {
        let outcome = read(&self);
        let known = self.known.borrow();
        for (name, node) in self.table.entries() {
            if !known.contains(&name) {
                self.reader.report_unknown(&self.path_of(name), name, &node.origin, &known);
            }
        }
        outcome
    }

    /// The value under `key`, which is known from now on.
    pub(super) fn get(&self, key: &'static str) -> Option<Value<'a>> {
        self.know(key);
        let node = self.table.get(key)?;
        Some(Value { reader: self.reader, path: self.path_of(key), node })
    }

    /// Makes `key` a known one without reading it.
    pub(super) fn know(&self, key: &'static str) {
        let mut known = self.known.borrow_mut();
        if !known.contains(&key) {
            known.push(key);
        }
    }

    /// Whether the table has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// A key that must be there; `remedy` says what to write.
    pub(super) fn required<T>(
        &self,
        key: &'static str,
        remedy: &str,
        read: impl FnOnce(&Value<'a>) -> Read<T>,
    ) -> Read<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None => Err(self.refuse(key, &format!("is missing; {remedy}"))),
        }
    }

    /// A key that may be absent.
    pub(super) fn optional<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.get(key).map(|value| read(&value)).transpose()
    }

    /// A key with a default.
    pub(super) fn defaulted<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Read<T>,
        default: T,
    ) -> Read<T> {
        self.defaulted_with(key, read, || Ok(default))
    }

    /// A key whose default must be worked out, and may be impossible.
    pub(super) fn defaulted_with<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Value<'a>) -> Read<T>,
        default: impl FnOnce() -> Read<T>,
    ) -> Read<T> {
        match self.get(key) {
            Some(value) => read(&value),
            None => default(),
        }
    }

    /// The table under `key`; an absent one is read as if it were empty.
    pub(super) fn section<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Section<'a>) -> Read<T>,
    ) -> Read<T> {
        match self.get(key) {
            Some(value) => value.table(read),
            None => Section::new(self.reader, self.path_of(key), Origin::File, &EMPTY).run(read),
        }
    }

    /// The table under `key`, if it is there.
    pub(super) fn optional_section<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&Section<'a>) -> Read<T>,
    ) -> Read<Option<T>> {
        self.get(key).map(|value| value.table(read)).transpose()
    }

    /// The tables under `key`, which the file's writer named.
    pub(super) fn named(&self, key: &'static str) -> Vec<(&'a str, Value<'a>)> {
        self.get(key).map(|value| value.named()).unwrap_or_default()
    }

    /// The names of the tables under `key`.
    pub(super) fn names(&self, key: &'static str) -> Vec<&'a str> {
        match self.get(key).map(|value| &value.node.shape) {
            Some(Shape::Table(table)) => table.keys().collect(),
            _ => Vec::new(),
        }
    }

    /// The names of the tables in the tables under `key`, each with the name of the outer one.
    pub(super) fn names_below(&self, key: &'static str) -> Vec<(&'a str, &'a str)> {
        let Some(Shape::Table(outer)) = self.get(key).map(|value| &value.node.shape) else {
            return Vec::new();
        };
        let inner = |(name, node): (&'a str, &'a Node)| match &node.shape {
            Shape::Table(table) => table.keys().map(|key| (name, key)).collect(),
            _ => Vec::new(),
        };
        outer.entries().flat_map(inner).collect()
    }

    /// Reports a problem with `key`, be it there or not.
    pub(super) fn refuse(&self, key: &str, what: &str) -> Reported {
        let origin = self.table.get(key).map_or(&self.origin, |node| &node.origin);
        self.reader.report(origin, &self.path_of(key), what)
    }

    /// Reports a problem with the table as a whole.
    pub(super) fn refuse_table(&self, what: &str) -> Reported {
        self.reader.report(&self.origin, &self.path, what)
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

impl<'a> Value<'a> {
    /// Reports a problem with this value.
    pub(super) fn refuse(&self, what: &str) -> Reported {
        self.reader.report(&self.node.origin, &self.path, what)
    }

    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.node.shape, Shape::Table(_))
    }

    /// Text, with `${NAME}` and `file:` resolved; `remedy` says what to write instead of another
    /// shape.
    pub(super) fn text(&self, remedy: &str) -> Read<String> {
        let written = match (&self.node.raw, &self.node.shape) {
            (Some(raw), _) => raw,
            (None, Shape::Text(text)) => text,
            (None, _) => return Err(self.refuse_shape(remedy)),
        };
        expand::resolve(written, self.reader.environment, &self.reader.folder)
            .map_err(|what| self.refuse(&what))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Read<bool> {
        match self.node.shape {
            Shape::Boolean(value) => Ok(value),
            _ => Err(self.refuse_shape("write true or false, without quotes")),
        }
    }

    /// A whole number.
    pub(super) fn integer(&self) -> Read<i64> {
        match self.node.shape {
            Shape::Integer(value) => Ok(value),
            _ => Err(self.refuse_shape("write a whole number, without quotes")),
        }
    }

    /// A number, whole or not.
    pub(super) fn number(&self) -> Read<f64> {
        match self.node.shape {
            Shape::Fraction(value) => Ok(value),
            // Exact: nothing here is anywhere near 2^53.
            Shape::Integer(value) => Ok(value as f64),
            _ => Err(self.refuse_shape("write a number, without quotes")),
        }
    }

    /// A list, each item read by `item`.
    pub(super) fn list<T>(&self, item: impl Fn(&Value<'a>) -> Read<T>) -> Read<Vec<T>> {
        let Shape::List(nodes) = &self.node.shape else {
            return Err(self.refuse_shape("write a list in square brackets: [\"…\"]"));
        };
        all(nodes
            .iter()
            .map(|node| item(&Value { reader: self.reader, path: self.path.clone(), node })))
    }

    /// A table, read by `read`.
    pub(super) fn table<T>(&self, read: impl FnOnce(&Section<'a>) -> Read<T>) -> Read<T> {
        let Shape::Table(table) = &self.node.shape else {
            return Err(self.refuse_shape(&format!("write a table: `[{}]`", self.path)));
        };
        let origin = self.node.origin.clone();
        Section::new(self.reader, self.path.clone(), origin, table).run(read)
    }

    /// The tables in this one, which the file's writer named. Names that would not do as a path
    /// segment are reported.
    pub(super) fn named(&self) -> Vec<(&'a str, Value<'a>)> {
        let Shape::Table(table) = &self.node.shape else {
            self.refuse_shape(&format!("write tables: `[{}.<name>]`", self.path));
            return Vec::new();
        };
        table.entries().map(|(name, node)| (name, self.child(name, node))).collect()
    }

    fn child(&self, name: &str, node: &'a Node) -> Value<'a> {
        let child = Value { reader: self.reader, path: format!("{}.{name}", self.path), node };
        let fits = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || ['-', '_'].contains(&letter)
        };
        if name.is_empty() || !name.chars().all(fits) {
            child.refuse("is not a name; use lower-case letters, digits, `-` and `_`");
        }
        child
    }

    fn refuse_shape(&self, remedy: &str) -> Reported {
        self.refuse(&format!("is {}; {remedy}", self.node.shape.name()))
    }
}
