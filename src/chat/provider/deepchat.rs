//! The objects that DeepChat's servers answer with: Drupal's, and plain endpoints'.

use serde_json::Value;

use super::{
    Delta, ProviderError,
    trouble::{failure, is_error},
};
use crate::chat::markdown::foreign;

/// One object, or a list of them.
pub struct Part {
    /// What it adds.
    pub delta: Option<Delta>,
    /// Whether it replaces everything that came before it.
    pub overwrite: bool,
    /// Whether the backend wants to be asked again before it goes on.
    pub again: bool,
}

/// Reads what an answer or an event holds.
pub fn parts(value: &Value) -> Result<Vec<Part>, ProviderError> {
    let value = value.get("result").filter(|inner| inner.is_object()).unwrap_or(value);
    match value {
        Value::Array(values) => values.iter().map(part).collect(),
        other => part(other).map(|part| vec![part]),
    }
}

fn part(value: &Value) -> Result<Part, ProviderError> {
    if value.get("error").is_some_and(is_error) {
        return Err(failure(value));
    }
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or_default();
    let (overwrite, again) = (flag("overwrite"), flag("should_continue"));
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let delta = match (field("html"), field("text")) {
        (Some(html), _) if again => Some(Delta::Reasoning(step(&html))),
        (Some(html), _) => Some(Delta::Html { html, overwrite }),
        (None, Some(text)) => Some(Delta::Text(text)),
        (None, None) if again => None,
        (None, None) => return Err(ProviderError::NotAStream),
    };
    Ok(Part { delta, overwrite, again })
}

/// A step on the way to a reply, in words.
fn step(html: &str) -> String {
    let words = foreign::plain(&foreign::blocks(html).concat());
    if words.is_empty() { words } else { words + "\n" }
}

/// Reads a whole answer.
pub fn whole(body: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| ProviderError::NotAStream)?;
    let parts = parts(&value)?;
    if parts.is_empty() {
        return Err(ProviderError::NotAStream);
    }
    let again = parts.iter().any(|part| part.again);
    deltas.extend(parts.into_iter().filter_map(|part| part.delta));
    deltas.push(if again { Delta::Again } else { Delta::Done });
    Ok(())
}
