//! Footnotes. A block is rendered alone, so a reference and what it refers to never meet: every label
//! that a block names is defined for it, and the definitions are left out of what is rendered.

use std::{borrow::Cow, fmt::Write};

use crate::ui::html::escape;

/// The most labels that one block may refer to.
const MOST: usize = 200;

/// A block with the definitions of its labels behind it.
pub(super) struct Read<'a> {
    pub text: Cow<'a, str>,
    /// Where what was added begins.
    pub own: usize,
}

/// `source` with a definition of every label that it refers to and does not define.
pub(super) fn with_definitions<'a>(source: &'a str) -> Read<'a> {
    let own = source.len();
    let mut text = Cow::Borrowed(source);
    for label in labels(source).into_iter().take(MOST) {
        if !source.contains(&format!("[^{label}]:")) {
            // Writing to a String cannot fail.
            let _ = write!(text.to_mut(), "\n\n[^{label}]: .");
        }
    }
    Read { text, own }
}

fn labels(source: &str) -> Vec<&str> {
    let mut labels: Vec<&str> = source
        .split("[^")
        .skip(1)
        .filter_map(|rest| rest.split_once(']').map(|(label, _)| label))
        .filter(|label| !label.is_empty() && label.len() <= 64 && is_label(label))
        .collect();
    labels.sort_unstable();
    labels.dedup();
    labels
}

fn is_label(label: &str) -> bool {
    label.chars().all(|letter| letter.is_alphanumeric() || "-_.:".contains(letter))
}

/// The mark in the text.
pub(super) fn reference(label: &str) -> String {
    let mut html = String::from("<sup class=\"note\">");
    escape(&mut html, label);
    html + "</sup>"
}

/// How what it refers to begins.
pub(super) fn begin_definition(label: &str) -> String {
    let mut html = String::from("<div class=\"footnote\">");
    html.push_str(&reference(label));
    html
}
