//! The records that a relation can lead to, found by words.

use futures::future::join_all;
use serde::Serialize;
use tokio::time::{Duration, timeout};

use super::{Data, present, query::ListQuery, service::Resource, style::lookup, value::plain};
use crate::{
    config::{FieldConfig, FieldKind, Relation},
    error::Result,
    session::Caller,
    ui::zone::UTC,
};

/// How many are offered at once.
const OFFERED: u64 = 20;
/// How long a form waits for what it could offer.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// A record that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Choosable {
    /// What the field holds then.
    pub value: String,
    /// What people call the record.
    pub label: String,
}

/// The records of a relation's resource that have these words.
///
/// 403 and 404 as for the list itself.
pub async fn find(
    data: &Data,
    caller: &Caller,
    relation: &Relation,
    words: &str,
) -> Result<Vec<Choosable>> {
    let resource = data.resource(caller, &relation.group, &relation.name).await?;
    let value = relation.value.clone().unwrap_or_else(|| resource.config.id.clone());
    let mut columns: Vec<String> =
        resource.fields.iter().take(3).map(|field| field.name.clone()).collect();
    columns.push(value.clone());
    let page_size = resource.config.style.largest().min(OFFERED);
    let q = if resource.searches() { words.trim().to_owned() } else { String::new() };
    let query = ListQuery { q, columns: Some(columns), page_size, ..ListQuery::default() };
    let list = data.list(caller, &resource, &query, &UTC).await?;
    let choosable = |row| Choosable {
        value: plain(lookup(row, &value)).into_owned(),
        label: present::plain_title(&resource.fields, row).unwrap_or_default(),
    };
    let found = list.rows.iter().map(choosable);
    Ok(found.filter(|one| !one.value.is_empty()).take(OFFERED as usize).collect())
}

/// What the relations of a form offer before anybody types, by field. One whose backend is slow, out,
/// or not the caller's to see offers nothing.
pub async fn first(
    data: &Data,
    caller: &Caller,
    resource: &Resource,
) -> Vec<(String, Vec<Choosable>)> {
    let relations = resource.fields.iter().filter_map(|field| match &field.kind {
        FieldKind::Relation(relation) if field.in_form => Some((field, relation)),
        _ => None,
    });
    let each = relations.map(async |(field, relation): (&FieldConfig, &Relation)| {
        let found = timeout(PATIENCE, find(data, caller, relation, "")).await;
        let found = found.ok().and_then(Result::ok).unwrap_or_default();
        (field.name.clone(), found)
    });
    join_all(each).await
}
