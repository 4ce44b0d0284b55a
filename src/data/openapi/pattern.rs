//! Patterns, as far as browsers and this server understand them alike.

use std::{iter::Peekable, str::Chars};

/// The longest pattern that is kept.
pub(super) const LONGEST_PATTERN: usize = 200;

/// A pattern as browsers (which read it with the flag `v`) and this server understand alike, of a
/// whole value: one without anchors is meant of a part by some and of the whole by others. Nothing
/// for what goes beyond that, as letters of words, which are not the same to everybody.
pub(super) fn pattern(text: &str) -> Option<String> {
    // Other languages' quantifiers.
    if ["{,", "++", "*+", "?+"].iter().any(|it| text.contains(it)) {
        return None;
    }
    let begun = text.strip_prefix('^').or_else(|| text.strip_prefix(r"\A"))?;
    let ends = ["$", r"\z", r"\Z"];
    let inside = ends.iter().find_map(|end| begun.strip_suffix(end))?;
    let mut pattern = String::new();
    let mut depth = 0_usize;
    let mut letters = inside.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => pattern += &escape(letters.next()?, false)?,
            '[' => pattern += &class(&mut letters)?,
            '(' => {
                depth += 1;
                let is_plain = letters.next_if_eq(&'?').is_none();
                pattern += if is_plain { "(" } else { letters.next_if_eq(&':').map(|_| "(?:")? };
            }
            ')' => {
                depth = depth.checked_sub(1)?;
                pattern.push(')');
            }
            '|' if depth == 0 => return None,
            '^' | '$' => return None,
            letter => pattern.push(letter),
        }
    }
    let is_right = depth == 0 && (1..=LONGEST_PATTERN).contains(&pattern.len());
    is_right.then_some(pattern)
}

/// The rest of `[…]`; a `-` that is no range is marked as such.
fn class(letters: &mut Peekable<Chars<'_>>) -> Option<String> {
    let is_negated = letters.next_if_eq(&'^').is_some();
    let mut class = String::from(if is_negated { "[^" } else { "[" });
    let empty = class.len();
    loop {
        match letters.next()? {
            ']' if class.len() > empty => break,
            '[' | ']' => return None,
            '-' if class.len() > empty && letters.peek() != Some(&']') => {
                let is_behind_a_class =
                    [r"\d", r"\D", r"\s", r"\S"].iter().any(|it| class.ends_with(it));
                if is_behind_a_class {
                    return None;
                }
                class.push('-');
            }
            '\\' => class += &escape(letters.next()?, true)?,
            letter => class += &in_class(letter),
        }
    }
    class.push(']');
    Some(class)
}

/// A letter behind a backslash.
fn escape(letter: char, is_in_class: bool) -> Option<String> {
    match letter {
        'd' | 'D' | 's' | 'S' | 't' | 'n' | 'r' => Some(format!("\\{letter}")),
        letter if is_in_class && letter.is_ascii_punctuation() => Some(in_class(letter)),
        letter if r"^$\.*+?()[]{}|/".contains(letter) => Some(format!("\\{letter}")),
        letter if letter.is_ascii_punctuation() || letter == ' ' => Some(letter.to_string()),
        _ => None,
    }
}

/// A letter of a class as every reader takes it.
fn in_class(letter: char) -> String {
    if r"()[]{}/-\|^&~".contains(letter) { format!("\\{letter}") } else { letter.to_string() }
}
