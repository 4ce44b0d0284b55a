//! What is wrong with a configuration, told all at once and with the remedy.

use std::{fmt, io, path::PathBuf};

/// One thing to put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1; none for what stands in no line, such as a variable.
    pub line: Option<usize>,
    /// The key in full (`backends.crm.url`) or the variable at fault; empty when it is the file.
    pub key: String,
    /// What is wrong and what to write instead. Never holds the value of a secret.
    pub what: String,
}

/// Everything that is wrong with one configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// The file, as it was named.
    pub file: PathBuf,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl Problem {
    /// The file itself could not be read.
    pub(super) fn unreadable(error: &io::Error) -> Self {
        let what = match error.kind() {
            io::ErrorKind::NotFound => {
                "there is no such file; create it, or name another with --config".to_owned()
            }
            _ => format!("cannot be read: {error}; give this user the right to read it"),
        };
        Self { line: None, key: String::new(), what }
    }

    /// The text is not TOML.
    pub(super) fn syntax(line: Option<usize>, message: &str) -> Self {
        Self { line, key: String::new(), what: format!("this is not TOML: {message}") }
    }

    /// An environment variable that cannot be used.
    pub(super) fn variable(name: &str, what: String) -> Self {
        Self { line: None, key: name.to_owned(), what }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(line) = problem.line {
                write!(f, ":{line}")?;
            }
            if !problem.key.is_empty() {
                write!(f, ": {}", problem.key)?;
            }
            write!(f, ": {}", problem.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The end of a sentence about a wrong name: the nearest right one, or all there are.
pub(super) fn suggestion(wrong: &str, known: &[&str]) -> String {
    let close_enough = (wrong.chars().count() / 3).max(1);
    match known.iter().map(|name| (distance(wrong, name), name)).min() {
        Some((steps, name)) if steps <= close_enough => format!("did you mean `{name}`?"),
        Some(_) => format!("write {}", alternatives(known)),
        None => "add it, or remove this key".to_owned(),
    }
}

/// `` `a`, `b` or `c` ``.
pub(super) fn alternatives(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// How many letters must be added, dropped or changed to make one name of the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, have) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, want) in to.iter().enumerate() {
            let change = diagonal + usize::from(have != *want);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}
