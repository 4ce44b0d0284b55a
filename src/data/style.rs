//! How a backend's lists are asked for and understood, by what its style says.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use axum::http::HeaderMap;
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use time::Duration;
use url::form_urlencoded::{self, Serializer};

use super::{
    Resources,
    changes::Deed,
    query::{Filter, ListQuery, Test},
    service::Write,
    value::{day_in, instant, plain},
};
use crate::{
    config::{
        FieldConfig, FieldKind, FilterForm, Paging, RecordForm, ResourceConfig, StyleConfig, Total,
        UpdateMethod,
    },
    error::{Error, Result},
    ui::zone::Zone,
};

mod parse;
mod whole;

/// One page of a list as the backend has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The records, each an object of its fields.
    pub rows: Vec<Value>,
    /// How many there are on all pages, where the backend says.
    pub total: Option<u64>,
    /// How many fit on a page, which can be fewer or more than was asked for.
    pub page_size: u64,
    /// Whether there is another page, where the backend says so.
    pub has_more: Option<bool>,
    /// Where the next page begins, for who does not count pages.
    pub cursor: Option<String>,
}

/// How a list is asked of one resource.
pub struct Asking<'a> {
    /// The resource's style.
    pub style: &'a StyleConfig,
    /// Its fields.
    pub fields: &'a [FieldConfig],
    /// Where the reader's days begin and end.
    pub zone: &'a Zone,
}

/// What Django REST framework calls the place where a page begins.
const CURSOR: &str = "cursor";

/// The place that the address of a next page names.
fn cursor_of(next: &str) -> Option<String> {
    let (_, query) = next.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.split('#').next()?.as_bytes());
    pairs.find(|(name, _)| name == CURSOR).map(|(_, cursor)| cursor.into_owned())
}

impl Asking<'_> {
    /// The backend's query string for `query`.
    pub fn query(&self, query: &ListQuery) -> String {
        let mut pairs = Serializer::new(String::new());
        pairs.extend_pairs(&self.style.always);
        self.add_page(&mut pairs, query);
        if let (Some(sorting), Some(sort)) = (&self.style.sorting, &query.sort) {
            let field = self.name_of(&sort.field);
            match &sorting.order {
                Some(order) => {
                    pairs.append_pair(&sorting.param, &field);
                    pairs.append_pair(order, if sort.descending { "desc" } else { "asc" });
                }
                None => {
                    let dash = if sort.descending { "-" } else { "" };
                    pairs.append_pair(&sorting.param, &format!("{dash}{field}"));
                }
            }
        }
        if let Some(search) = self.style.search.as_deref().filter(|_| !query.q.is_empty()) {
            pairs.append_pair(search, &query.q);
        }
        for (at, filter) in query.filters.iter().enumerate() {
            pairs.extend_pairs(self.filter(at, filter));
        }
        if self.style.filters == FilterForm::Where
            && let Some(conditions) = self.conditions(query)
        {
            pairs.append_pair("_where", &conditions.to_string());
        }
        pairs.finish()
    }

    /// All conditions as one object, and the words with them: each text that may hold them is an
    /// alternative.
    fn conditions(&self, query: &ListQuery) -> Option<Value> {
        let mut conditions = Map::new();
        for filter in &query.filters {
            let value = |text: &String| self.typed(&filter.field, text);
            let (operator, value) = match &filter.test {
                Test::OneOf(values) => ("in", values.iter().map(value).collect()),
                test @ Test::From(text) => ("gte", value(&self.value(&filter.field, text, test))),
                test @ Test::To(text) => ("lte", value(&self.value(&filter.field, text, test))),
                Test::Has(text) => ("contains", Value::from(text.as_str())),
            };
            let of_field = conditions.entry(filter.field.clone()).or_insert_with(|| json!({}));
            of_field[operator] = value;
        }
        if !query.q.is_empty() {
            let texts = self.fields.iter().filter(|field| field.kind.is_text());
            let has = texts.map(|field| json!({ field.name.as_str(): { "contains": query.q } }));
            conditions.insert("or".to_owned(), has.collect());
        }
        (!conditions.is_empty()).then_some(Value::Object(conditions))
    }

    /// A value of a field as JSON has it, which is compared to the letter.
    fn typed(&self, field: &str, text: &str) -> Value {
        let typed = match self.kind_of(field) {
            Some(kind) if kind.is_number() || *kind == FieldKind::Boolean => {
                serde_json::from_str(text).ok()
            }
            _ => None,
        };
        typed.unwrap_or_else(|| text.into())
    }

    fn add_page(&self, pairs: &mut Serializer<'_, String>, query: &ListQuery) {
        let cursor = query.cursor.as_ref().filter(|_| query.page > 1);
        match &self.style.paging {
            Paging::Numbers { size, .. } if let Some(cursor) = cursor => {
                pairs.append_pair(CURSOR, cursor);
                pairs.append_pair(size, &query.page_size.to_string());
            }
            Paging::Numbers { page, size, first, .. } => {
                pairs.append_pair(page, &(query.page - 1 + first).to_string());
                pairs.append_pair(size, &query.page_size.to_string());
            }
            Paging::Offsets { offset, limit, .. } => {
                let before = (query.page - 1).saturating_mul(query.page_size);
                pairs.append_pair(offset, &before.to_string());
                pairs.append_pair(limit, &query.page_size.to_string());
            }
            Paging::Whole => {}
        }
    }

    /// A field as this backend's addresses spell it.
    fn name_of<'f>(&self, field: &'f str) -> Cow<'f, str> {
        match self.style.filters {
            FilterForm::Django if field.contains('.') => field.replace('.', "__").into(),
            _ => field.into(),
        }
    }

    fn filter(&self, at: usize, filter: &Filter) -> Vec<(String, String)> {
        let name = self.name_of(&filter.field);
        let value = |value: &str, test: &Test| self.value(&filter.field, value, test);
        let one = |suffix: &str, text: String| vec![(format!("{name}{suffix}"), text)];
        match (self.style.filters, &filter.test) {
            (FilterForm::JsonApi, test) => self.condition(at, &name, &filter.field, test),
            (FilterForm::Django, Test::OneOf(values)) => match values.as_slice() {
                [one] => vec![(name.into_owned(), one.clone())],
                several => one("__in", several.join(",")),
            },
            (FilterForm::Django, test @ Test::From(text)) => one("__gte", value(text, test)),
            (FilterForm::Django, test @ Test::To(text)) => one("__lte", value(text, test)),
            (FilterForm::Django, Test::Has(text)) => one("__icontains", text.clone()),
            (FilterForm::Underscore, Test::OneOf(values)) => {
                values.iter().map(|text| (name.to_string(), text.clone())).collect()
            }
            (FilterForm::Underscore, test @ Test::From(text)) => one("_gte", value(text, test)),
            (FilterForm::Underscore, test @ Test::To(text)) => one("_lte", value(text, test)),
            (FilterForm::Underscore, Test::Has(text)) => one("_like", regex::escape(text)),
            (FilterForm::Exact, Test::OneOf(values)) => {
                values.first().map(|text| (name.to_string(), text.clone())).into_iter().collect()
            }
            (FilterForm::Exact | FilterForm::Where | FilterForm::None, _) => Vec::new(),
        }
    }

    /// One condition of JSON:API as Drupal has it.
    fn condition(&self, at: usize, name: &str, field: &str, test: &Test) -> Vec<(String, String)> {
        let key = |rest: &str| format!("filter[c{at}][condition]{rest}");
        let is_boolean = self.kind_of(field) == Some(&FieldKind::Boolean);
        let stored = |text: &String| match text.as_str() {
            "true" if is_boolean => "1".to_owned(),
            "false" if is_boolean => "0".to_owned(),
            _ => text.clone(),
        };
        let (operator, values) = match test {
            Test::OneOf(values) if values.len() > 1 => ("IN", values.iter().map(stored).collect()),
            Test::OneOf(values) => ("=", values.iter().map(stored).collect()),
            Test::From(text) => (">=", vec![self.value(field, text, test)]),
            Test::To(text) => ("<=", vec![self.value(field, text, test)]),
            Test::Has(text) => ("CONTAINS", vec![text.clone()]),
        };
        let mut pairs =
            vec![(key("[path]"), name.to_owned()), (key("[operator]"), operator.to_owned())];
        let place = if operator == "IN" { "[value][]" } else { "[value]" };
        pairs.extend(values.into_iter().map(|value| (key(place), value)));
        pairs
    }

    fn kind_of(&self, field: &str) -> Option<&FieldKind> {
        self.fields.iter().find(|known| known.name == field).map(|field| &field.kind)
    }

    /// A bound as the backend compares it: a day of the reader's is a moment where the field holds
    /// moments.
    fn value(&self, field: &str, text: &str, test: &Test) -> String {
        let is_moment = self.kind_of(field) == Some(&FieldKind::DateTime);
        let Some(begins) = day_in(text, self.zone).filter(|_| is_moment) else {
            return text.to_owned();
        };
        let bound = match test {
            Test::To(_) => begins.saturating_add(Duration::DAY - Duration::MICROSECOND),
            _ => begins,
        };
        // Drupal keeps these as seconds, whatever it shows.
        let in_seconds =
            self.style.filters == FilterForm::JsonApi && ["created", "changed"].contains(&field);
        if in_seconds { bound.unix_timestamp().to_string() } else { instant(bound) }
    }

    /// The text of an answer as JSON, without fields of records that `columns` do not need. What is
    /// searched or narrowed here is kept whole.
    pub fn parse(&self, text: &[u8], id: &str, columns: &[&str]) -> serde_json::Result<Value> {
        let is_flat = self.style.records == RecordForm::Flat;
        if !is_flat || self.style.paging == Paging::Whole {
            return serde_json::from_slice(text);
        }
        let shown = self.fields.iter().filter_map(|field| match &field.kind {
            FieldKind::Relation(relation) => relation.show.as_deref(),
            _ => None,
        });
        let wanted = columns.iter().copied().chain(shown).chain([id]);
        // A key with a dot in it can be meant as it stands.
        let wanted = wanted.flat_map(|path| [path, path.split('.').next().unwrap_or(path)]);
        let wanted: Vec<&str> = wanted.collect();
        let path: Vec<&str> = self.style.items.iter().flat_map(|path| path.split('.')).collect();
        parse::parse(text, &path, &wanted)
    }

    /// What the backend answered to [`Self::query`].
    ///
    /// 502 for an answer that is not what the style says.
    pub fn found(&self, headers: &HeaderMap, answer: Value, query: &ListQuery) -> Result<Found> {
        let total = self.total(headers, &answer);
        let next = self.style.next.as_deref();
        let has_more = next.map(|path| !lookup(&answer, path).is_null());
        let cursor = next.and_then(|path| cursor_of(lookup(&answer, path).as_str()?));
        // A backend that was never told to cut its lists into pages sends them whole.
        let is_whole =
            self.style.paging == Paging::Whole || (answer.is_array() && self.style.items.is_some());
        let rows = self.rows(answer)?;
        if is_whole {
            return Ok(whole::page(rows, self, query));
        }
        let page_size = page_size(rows.len() as u64, total, query);
        Ok(Found { rows, total, page_size, has_more, cursor })
    }

    fn total(&self, headers: &HeaderMap, answer: &Value) -> Option<u64> {
        match &self.style.total {
            Total::At(path) => lookup(answer, path).as_u64(),
            Total::In(name) => headers.get(name)?.to_str().ok()?.trim().parse().ok(),
            Total::Unknown => None,
        }
    }

    fn rows(&self, answer: Value) -> Result<Vec<Value>> {
        let items = match &self.style.items {
            Some(path) if !answer.is_array() => take(answer, path),
            _ => answer,
        };
        let Value::Array(items) = items else {
            return Err(Error::bad_gateway(
                "The backend's answer is not the list that was expected.",
            )
            .because(match &self.style.items {
                Some(path) => format!("there is no list under `{path}`; see `style`"),
                None => "the answer is not a list; see `style`".to_owned(),
            }));
        };
        Ok(items.into_iter().map(|item| self.record(item)).collect())
    }

    /// One record as an object of its fields.
    fn record(&self, item: Value) -> Value {
        match (self.style.records, item) {
            (RecordForm::JsonApi, Value::Object(item)) => flattened(item),
            (_, item) => item,
        }
    }

    /// What is sent to make or change a record.
    pub fn body(
        &self,
        config: &ResourceConfig,
        write: &Write<'_>,
        all: &Resources,
    ) -> serde_json::Result<Vec<u8>> {
        let is_whole = self.style.update == UpdateMethod::Put && *write.deed == Deed::Update;
        match (self.style.records, write.current) {
            (RecordForm::JsonApi, _) => serde_json::to_vec(&self.wrapped(config, write, all)),
            (RecordForm::Flat, Some(current)) if is_whole => merged(&current.text, write.values),
            (RecordForm::Flat, _) => serde_json::to_vec(write.values),
        }
    }

    /// `{data: {type, id, attributes, relationships}}`.
    fn wrapped(&self, config: &ResourceConfig, write: &Write<'_>, all: &Resources) -> Value {
        let (mut attributes, mut relationships) = (Map::new(), Map::new());
        for (name, value) in write.values {
            match self.kind_of(name) {
                Some(FieldKind::Relation(relation)) => {
                    let other = all.find(&relation.group, &relation.name);
                    let kind = other.map(|other| kind_of_path(&other.path)).unwrap_or_default();
                    let data = identified(&kind, value);
                    relationships.insert(name.clone(), json!({ "data": data }));
                }
                Some(_) => drop(attributes.insert(name.clone(), value.clone())),
                // Not a field: a link, or what the record is called.
                None => {}
            }
        }
        let kind = write.current.and_then(|current| current.value.get("type")?.as_str());
        let kind = kind.map(str::to_owned);
        let mut data = json!({
            "type": kind.unwrap_or_else(|| kind_of_path(&config.path)),
            "attributes": attributes,
        });
        if !relationships.is_empty() {
            data["relationships"] = Value::Object(relationships);
        }
        if *write.deed == Deed::Update {
            data["id"] = write.record.into();
        }
        json!({ "data": data })
    }

    /// A record that was read by itself: some styles wrap it.
    pub fn single(&self, answer: Value) -> Value {
        match self.style.records {
            RecordForm::JsonApi => self.record(take(answer, "data")),
            RecordForm::Flat => answer,
        }
    }
}

/// Which record, or which several (JSON:API §7.3).
fn identified(kind: &str, value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Array(several) => several.iter().map(|one| identified(kind, one)).collect(),
        id => json!({ "type": kind, "id": plain(id) }),
    }
}

/// A record with some of its values replaced; the others as they were written, to the last digit.
fn merged(record: &[u8], values: &Map<String, Value>) -> serde_json::Result<Vec<u8>> {
    let mut whole: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(record)?;
    for (name, value) in values {
        whole.insert(name.clone(), to_raw_value(value)?);
    }
    serde_json::to_vec(&whole)
}

/// Drupal's `/jsonapi/node/article` holds what it calls `node--article`; elsewhere the last part says
/// it.
fn kind_of_path(path: &str) -> String {
    let mut parts = path.trim_matches('/').rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(bundle), Some(entity)) if path.contains("/jsonapi/") => format!("{entity}--{bundle}"),
        (Some(last), _) => last.to_owned(),
        (None, _) => String::new(),
    }
}

/// How many rows a page has: a backend may keep to a number of its own.
fn page_size(rows: u64, total: Option<u64>, query: &ListQuery) -> u64 {
    let more_than_asked = rows > query.page_size;
    let less_than_there_are = query.page == 1 && total.is_some_and(|total| rows < total);
    if rows > 0 && (more_than_asked || less_than_there_are) { rows } else { query.page_size }
}

/// `{id, type, attributes, relationships}` with everything on one level; of other records their ids.
fn flattened(mut item: Map<String, Value>) -> Value {
    let attributes = item.remove("attributes");
    let relationships = item.remove("relationships");
    if let Some(Value::Object(attributes)) = attributes {
        item.extend(attributes);
    }
    if let Some(Value::Object(relationships)) = relationships {
        for (name, relationship) in relationships {
            let id = |data: &Value| data.get("id").cloned().unwrap_or_default();
            let ids = match relationship.get("data") {
                Some(Value::Array(several)) => several.iter().map(id).collect(),
                Some(one) => id(one),
                None => continue,
            };
            item.insert(name, ids);
        }
    }
    Value::Object(item)
}

/// The names of what leads to other records in a page of a list, where its style tells them apart.
pub fn relations(style: &StyleConfig, text: &[u8]) -> BTreeSet<String> {
    if style.records != RecordForm::JsonApi {
        return BTreeSet::new();
    }
    let answer: Value = serde_json::from_slice(text).unwrap_or_default();
    let records = answer.get("data").and_then(Value::as_array).into_iter().flatten();
    let names = records.filter_map(|record| record.get("relationships")?.as_object());
    names.flat_map(|names| names.keys().cloned()).collect()
}

/// What is under `path`, whose dots reach into objects.
pub fn lookup<'a>(record: &'a Value, path: &str) -> &'a Value {
    match record.get(path) {
        Some(value) => value,
        None => path.split('.').fold(record, |value, key| value.get(key).unwrap_or(&Value::Null)),
    }
}

fn take(mut value: Value, path: &str) -> Value {
    for key in path.split('.') {
        value = value.get_mut(key).map(Value::take).unwrap_or_default();
    }
    value
}

#[cfg(test)]
mod tests;
