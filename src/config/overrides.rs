//! Environment variables laid over the file.
//!
//! `BREEZEWAY__SERVER__PUBLIC_URL` stands for `server.public_url`. Capitals do not count, and `_`
//! also stands for the `-` of a name in the file, since a shell has no variables with dashes. Only
//! keys can be added this way: backends, assistants, groups and resources must be in the file, or a
//! slip in a variable's name would silently make a second one.

use super::{
    Environment,
    problem::{Problem, suggestion},
    tree::{Node, Origin, Tree},
};

const PREFIX: &str = "BREEZEWAY__";
const SEPARATOR: &str = "__";

/// The variable that Leptos' own tools set; it wins over every other way to say the address.
const SITE_ADDR: &str = "LEPTOS_SITE_ADDR";

/// Puts every override into the tree and reports those that have no place in it.
pub(super) fn apply(root: &mut Tree, environment: &Environment) -> Vec<Problem> {
    let ours = environment.iter().filter_map(|(name, text)| {
        let path: Vec<&str> = name.strip_prefix(PREFIX)?.split(SEPARATOR).collect();
        Some((name.as_str(), path, text))
    });
    let address =
        environment.get(SITE_ADDR).map(|text| (SITE_ADDR, vec!["server", "address"], text));

    ours.chain(address)
        .filter_map(|(name, path, text)| {
            let node = Node::from_variable(Origin::Variable(name.to_owned()), text);
            let what = place(root, &mut Vec::new(), &path, node).err()?;
            Some(Problem::variable(name, what))
        })
        .collect()
}

/// Walks down `path` from `table`, which is what the keys in `walked` led to.
fn place(
    table: &mut Tree,
    walked: &mut Vec<String>,
    path: &[&str],
    node: Node,
) -> Result<(), String> {
    let [segment, deeper @ ..] = path else {
        return Ok(());
    };
    let key = resolve(table, walked, segment)?;
    walked.push(key.clone());
    if deeper.is_empty() {
        table.set(key, node);
        return Ok(());
    }
    match table.table_mut(&key, &node.origin) {
        Some(table) => place(table, walked, deeper, node),
        None => Err(format!(
            "reaches into `{}`, which is a value and not a table; shorten the variable's name",
            walked.join(".")
        )),
    }
}

/// The key that a segment of a variable's name stands for.
fn resolve(table: &Tree, walked: &[String], segment: &str) -> Result<String, String> {
    let wanted = segment.to_ascii_lowercase();
    let exact = table.keys().find(|key| *key == wanted);
    let similar = || table.keys().find(|key| folded(key) == folded(&wanted));
    match exact.or_else(similar) {
        Some(key) => Ok(key.to_owned()),
        None if wanted.is_empty() => {
            Err("has an empty part; write two underscores between its parts".to_owned())
        }
        None if holds_named_tables(walked) => {
            let known: Vec<&str> = table.keys().collect();
            Err(format!(
                "there is no `[{}.{wanted}]` in the file; {}",
                walked.join("."),
                suggestion(&wanted, &known)
            ))
        }
        None => Ok(wanted),
    }
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// Whether the keys of the table are names that the file's writer chose.
fn holds_named_tables(walked: &[String]) -> bool {
    match walked {
        [table] => {
            ["backends", "assistants", "channels", "groups", "resources"].contains(&table.as_str())
        }
        [table, _group] => table == "resources",
        _ => false,
    }
}
