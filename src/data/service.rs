//! Reading declared resources through the backend client.

use std::cmp::Ordering;

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded;

use super::{
    Resources, present,
    wire::{Column, ListQuery, Record, RecordList},
};
use crate::{
    backend::{Backends, Call},
    config::{FieldConfig, ListStyle, ResourceConfig},
    error::{Error, Kind, Result},
    session::Caller,
};

const LARGEST_PAGE: u64 = 200;

/// Reads declared resources for a caller.
pub struct Data {
    resources: Resources,
    backends: Backends,
}

impl Data {
    /// Data of `resources`, read through `backends`.
    pub fn new(resources: Resources, backends: Backends) -> Self {
        Self { resources, backends }
    }

    /// One page of a list.
    pub async fn list(
        &self,
        caller: &Caller,
        group: &str,
        name: &str,
        query: &ListQuery,
    ) -> Result<RecordList> {
        let resource = self.resources.find(group, name)?;
        let query = checked(resource, query)?;
        let found = match resource.style {
            ListStyle::Drf => self.list_drf(caller, resource, &query).await?,
            ListStyle::Plain => self.list_plain(caller, resource, &query).await?,
        };
        let columns: Vec<_> = resource.fields.iter().filter(|field| field.in_list).collect();
        Ok(RecordList {
            rows: found.rows.iter().map(|row| present::row(resource, &columns, row)).collect(),
            columns: columns.into_iter().map(column).collect(),
            total: found.total,
        })
    }

    /// One record.
    pub async fn read(&self, caller: &Caller, group: &str, name: &str, id: &str) -> Result<Record> {
        let resource = self.resources.find(group, name)?;
        let call = Call::get(self.resources.item_path(resource, id), None);
        let value: Value = self.backends.find(&resource.backend)?.json(caller, call).await?;
        Ok(present::record(resource, &value))
    }

    async fn list_drf(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        query: &ListQuery,
    ) -> Result<Found> {
        #[derive(Deserialize)]
        struct Page {
            count: u64,
            results: Vec<Value>,
        }
        let call = Call::get(self.resources.list_path(resource), Some(drf_query(query)));
        let page: Result<Page> = self.backends.find(&resource.backend)?.json(caller, call).await;
        match page {
            Ok(page) => Ok(Found { rows: page.results, total: page.count }),
            // Django REST framework answers 404 for a page past the end.
            Err(error) if error.kind() == Kind::NotFound && query.page > 1 => Err(past_the_end()),
            Err(error) => Err(error),
        }
    }

    async fn list_plain(
        &self,
        caller: &Caller,
        resource: &ResourceConfig,
        query: &ListQuery,
    ) -> Result<Found> {
        let call = Call::get(self.resources.list_path(resource), None);
        let mut rows: Vec<Value> =
            self.backends.find(&resource.backend)?.json(caller, call).await?;
        let words = query.q.to_lowercase();
        rows.retain(|row| words.is_empty() || row.to_string().to_lowercase().contains(&words));
        sort(&mut rows, &query.sort);
        let total = rows.len() as u64;
        let size = usize::try_from(query.page_size).unwrap_or(usize::MAX);
        let skipped = usize::try_from(query.page - 1).unwrap_or(usize::MAX).saturating_mul(size);
        let rows = rows.into_iter().skip(skipped).take(size).collect();
        Ok(Found { rows, total })
    }
}

struct Found {
    rows: Vec<Value>,
    total: u64,
}

fn checked(resource: &ResourceConfig, query: &ListQuery) -> Result<ListQuery> {
    let field = query.sort.trim_start_matches('-');
    let sortable = resource.fields.iter().any(|known| known.name == field && known.sortable);
    if !query.sort.is_empty() && !sortable {
        return Err(Error::bad_request(format!(
            "{} cannot be sorted by “{field}”.",
            resource.title
        )));
    }
    Ok(ListQuery {
        q: query.q.trim().to_owned(),
        sort: query.sort.clone(),
        page: query.page.max(1),
        page_size: query.page_size.clamp(1, LARGEST_PAGE),
    })
}

fn drf_query(query: &ListQuery) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.append_pair("page", &query.page.to_string());
    pairs.append_pair("page_size", &query.page_size.to_string());
    if !query.sort.is_empty() {
        pairs.append_pair("ordering", &query.sort);
    }
    if !query.q.is_empty() {
        pairs.append_pair("search", &query.q);
    }
    pairs.finish()
}

fn sort(rows: &mut [Value], by: &str) {
    let (field, descending) = match by.strip_prefix('-') {
        Some(field) => (field, true),
        None => (by, false),
    };
    if field.is_empty() {
        return;
    }
    rows.sort_by(|a, b| {
        let order = compare(&a[field], &b[field]);
        if descending { order.reverse() } else { order }
    });
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.as_str().unwrap_or_default().cmp(b.as_str().unwrap_or_default()),
    }
}

fn column(field: &FieldConfig) -> Column {
    Column {
        name: field.name.clone(),
        label: field.label.clone(),
        sortable: field.sortable,
        at_end: present::at_end(field.kind),
    }
}

fn past_the_end() -> Error {
    Error::not_found("The list has fewer pages than that. Go back to the first one.")
}
