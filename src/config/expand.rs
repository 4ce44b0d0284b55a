//! Values that stand somewhere else: `${NAME}` in the environment, `file:` in a file.
//!
//! Secrets belong in neither the repository nor the configuration file; these two are how a value
//! points at where the secret is kept.

use std::path::Path;

use super::Environment;

/// What `written` stands for; `folder` is where a relative `file:` path begins.
pub(super) fn resolve(
    written: &str,
    environment: &Environment,
    folder: &Path,
) -> Result<String, String> {
    match written.strip_prefix("file:") {
        Some(path) => read_file(&folder.join(expand(path, environment)?)),
        None => expand(written, environment),
    }
}

/// Replaces every `${NAME}`; `$${` stands for a plain `${`.
fn expand(text: &str, environment: &Environment) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            expanded.push_str(before);
            expanded.push_str("${");
            rest = after;
            continue;
        }
        let (name, after) = after
            .split_once('}')
            .ok_or("has `${` without its `}`; write `$${` where plain text is meant")?;
        expanded.push_str(before);
        expanded.push_str(variable(name, environment)?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn variable<'a>(name: &str, environment: &'a Environment) -> Result<&'a str, String> {
    if !is_variable_name(name) {
        // Not repeated: it may be a piece of a secret that happens to hold `${`.
        return Err("has `${…}` around what is no variable's name; write `${NAME}`, \
                    or `$${` where plain text is meant"
            .to_owned());
    }
    environment.get(name).map(String::as_str).ok_or_else(|| {
        format!("needs the environment variable {name}, which is not set; set it before the start")
    })
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Editors end a file with a line break that is no part of the value.
fn read_file(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
        .map_err(|error| {
            format!(
                "needs the file {}, which cannot be read: {error}; create it, \
                 or give this user the right to read it",
                path.display()
            )
        })
}
