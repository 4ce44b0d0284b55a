//! `Leptos.toml` and the environment, made into one checked, typed [`Config`].
//!
//! A wrong setting must stop the start, not the first request that meets it, and whoever writes
//! the file should see all mistakes at once. So the file is read table by table into the types of
//! `model`; every problem is kept with its line, its key and what to write instead, and a
//! [`Config`] comes out only when there is none.
//!
//! | module | holds |
//! |---|---|
//! | `model` | what the rest of the house sees |
//! | `problem` | what is wrong, and the nearest right name |
//! | `tree` | the file as a tree that remembers lines |
//! | `overrides` | `BREEZEWAY__…` variables laid over the tree |
//! | `expand` | `${NAME}` and `file:` |
//! | `section` | one table being read; knows unknown keys |
//! | `values` | one value: a URL, a duration, a secret |
//! | `duration`, `size` | the spelling of two of them |
//! | `read` | the tables and the rules between them |
//! | `describe` | the way back to text, without secrets |

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

pub use self::{describe::fields as fields_as_toml, size::write as size_in_words, values::ISO_DAY};
pub use self::{
    model::*,
    problem::{Problem, Problems},
};
use self::{section::Reader, tree::Tree};

mod describe;
mod duration;
mod expand;
mod model;
mod overrides;
mod problem;
mod read;
mod section;
mod size;
#[cfg(test)]
mod tests;
mod tree;
mod values;

/// Environment variables by name.
pub type Environment = BTreeMap<String, String>;

impl Config {
    /// Reads the file at `path` and the variables of this process.
    pub fn load(path: &Path) -> Result<Config, Problems> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Problems::new(path, vec![Problem::unreadable(&error)]))?;
        Config::from_text(path, &text, &process_environment())
    }

    /// Reads a file's `text`; `path` names it in messages and is where relative `file:` values
    /// begin.
    pub fn from_text(
        path: &Path,
        text: &str,
        environment: &Environment,
    ) -> Result<Config, Problems> {
        let mut tree = Tree::parse(text).map_err(|problems| Problems::new(path, problems))?;
        let unplaced = overrides::apply(&mut tree, environment);

        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let reader = Reader::new(environment, folder, unplaced);
        let config = reader.root(&tree, read::config);

        match (config, reader.into_problems()) {
            (Ok(config), problems) if problems.is_empty() => Ok(config),
            (_, problems) => Err(Problems::new(path, problems)),
        }
    }

    /// The effective configuration as TOML, with `[redacted]` in place of every secret.
    pub fn describe(&self) -> String {
        describe::describe(self)
    }
}

/// A variable that is not UTF-8 cannot stand in a TOML file, so it is as good as absent.
fn process_environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

impl Problems {
    /// In the order of the file; what has no line comes last.
    fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        Self { file: PathBuf::from(file), problems }
    }
}
