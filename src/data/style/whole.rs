//! Lists that come all at once: sorted, searched, narrowed and cut into pages here.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Asking, Found, lookup};
use crate::{
    config::{FieldConfig, FieldKind, Relation},
    data::{
        query::{Filter, ListQuery, Test},
        value::plain,
    },
};

/// The page of `rows` that `query` asks for.
pub(super) fn page(mut rows: Vec<Value>, asking: &Asking<'_>, query: &ListQuery) -> Found {
    let words: Vec<String> = query.q.split_whitespace().map(str::to_lowercase).collect();
    rows.retain(|row| {
        let is_found = words.is_empty() || {
            let text = text_of(asking, row);
            words.iter().all(|word| text.contains(word))
        };
        is_found && query.filters.iter().all(|filter| holds(asking, filter, row))
    });
    if let Some(sort) = &query.sort {
        rows.sort_by(|a, b| {
            let order = compare(lookup(a, &sort.field), lookup(b, &sort.field));
            if sort.descending { order.reverse() } else { order }
        });
    }
    let total = rows.len() as u64;
    let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
    let before = usize::try_from(query.page - 1).unwrap_or(usize::MAX).saturating_mul(size);
    let rows = rows.into_iter().skip(before).take(size).collect();
    Found { rows, total: Some(total), page_size: query.page_size, has_more: None, cursor: None }
}

/// All that a record says in the fields that people know of, in lower case.
fn text_of(asking: &Asking<'_>, row: &Value) -> String {
    let said = |field: &FieldConfig| match &field.kind {
        FieldKind::Relation(Relation { show: Some(path), .. }) => words(lookup(row, path)),
        _ => words(lookup(row, &field.name)),
    };
    asking.fields.iter().map(said).collect::<Vec<_>>().join("\n")
}

fn words(value: &Value) -> String {
    match value {
        Value::Object(fields) => fields.values().map(words).collect::<Vec<_>>().join("\n"),
        value => plain(value).to_lowercase(),
    }
}

fn holds(asking: &Asking<'_>, filter: &Filter, row: &Value) -> bool {
    let value = lookup(row, &filter.field);
    let bound = |text: &str| Value::from(asking.value(&filter.field, text, &filter.test));
    match &filter.test {
        Test::OneOf(texts) => {
            let is_one = |value: &Value| texts.iter().any(|text| *text == plain(value));
            match value {
                Value::Array(several) => several.iter().any(is_one),
                value => is_one(value),
            }
        }
        Test::From(text) => !value.is_null() && compare(value, &bound(text)).is_ge(),
        Test::To(text) => !value.is_null() && compare(value, &bound(text)).is_le(),
        Test::Has(text) => plain(value).to_lowercase().contains(&text.to_lowercase()),
    }
}

/// Nothing comes first, then numbers by size, then text without regard to case.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => plain(a).to_lowercase().cmp(&plain(b).to_lowercase()),
    }
}

/// Numbers, and what some backends write as text so that no digit is lost.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        value => value.as_f64(),
    }
}
