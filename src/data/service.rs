//! Reading and writing declared resources through the backend client.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Uri,
        header::{ACCEPT, CONTENT_TYPE, ETAG, IF_MATCH, LOCATION},
    },
};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{
    KnownFields, Resources, access,
    changes::Deed,
    fields::{Evidence, inferred, keys},
    files::{self, Chosen},
    openapi::described,
    present,
    query::{ListQuery, PAGE_SIZES, Test, USUAL_SIZE},
    refusal::Refusal,
    style::{Asking, Found, lookup, relations},
};
use crate::{
    backend::{Backends, Call, LastGood, Question, age, read, refusal},
    config::{
        Action, FieldConfig, FieldKind, FilterForm, Paging, RecordForm, ResourceConfig,
        UpdateMethod,
    },
    error::{Error, Kind, Result},
    session::Caller,
    ui::zone::{UTC, Zone},
};

/// The media type of JSON:API.
const JSON_API: &str = "application/vnd.api+json";

const JSON: &str = "application/json";
/// What keeps some backends from doing the same thing twice.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Declared resources as a caller sees them. Cheap to clone.
#[derive(Clone)]
pub struct Data {
    resources: Resources,
    backends: Backends,
    /// None for who reads what nobody will ask for again.
    last_good: Option<LastGood>,
    known: KnownFields,
}

/// A resource and what its records hold.
#[derive(Debug, Clone)]
pub struct Resource {
    /// The declaration.
    pub config: Arc<ResourceConfig>,
    /// Its fields: declared, or worked out.
    pub fields: Arc<[FieldConfig]>,
}

/// One page of a list.
#[derive(Debug)]
pub struct Listing {
    /// The records.
    pub rows: Vec<Value>,
    /// How many there are on all pages, where the backend says.
    pub total: Option<u64>,
    /// How many fit on a page.
    pub page_size: u64,
    /// Whether the backend says that there is another page, where it says so.
    pub has_more: Option<bool>,
    /// Where the next page begins, for who does not count pages.
    pub cursor: Option<String>,
    /// When it was true, where the backend is out and this is its last good answer.
    pub as_of: Option<OffsetDateTime>,
}

/// One record.
#[derive(Debug)]
pub struct Record {
    /// Its fields.
    pub value: Value,
    /// When it was true, where the backend is out and this is its last good answer.
    pub as_of: Option<OffsetDateTime>,
}

/// One record as its backend has it at this moment.
#[derive(Debug)]
pub struct Fresh {
    /// Its fields.
    pub value: Value,
    /// The same as the backend wrote it, every digit of it.
    pub text: Bytes,
    /// What the backend calls this state of it, where that can be held against (RFC 9110 §8.8.3).
    pub tag: Option<HeaderValue>,
}

/// Something that is done to a record, or to the collection.
#[derive(Debug)]
pub struct Write<'a> {
    /// What is done.
    pub deed: &'a Deed,
    /// The record's id; empty for one that is to be made.
    pub record: &'a str,
    /// The new values.
    pub values: &'a Map<String, Value>,
    /// The record as it is, for backends that take records whole.
    pub current: Option<&'a Fresh>,
    /// The state that the record must be in.
    pub tag: Option<HeaderValue>,
    /// What this is called, so that it is not done twice.
    pub name: &'a str,
}

/// What became of it.
#[derive(Debug)]
pub enum Written {
    /// It is done; the record as it is now, where the backend tells.
    Done(Value),
    /// The backend said no.
    Refused(Refusal),
    /// The record is not in the state that it had to be in.
    Stale,
    /// The record is not there.
    Gone,
}

/// What a backend answered to a GET.
struct Answer {
    headers: HeaderMap,
    text: Bytes,
    as_of: Option<OffsetDateTime>,
}

impl Listing {
    /// What is behind the last page.
    pub fn end() -> Self {
        Self {
            rows: Vec::new(),
            total: None,
            page_size: 1,
            has_more: Some(false),
            cursor: None,
            as_of: None,
        }
    }

    /// Whether there is a page behind `page`, as far as can be told.
    pub fn has_next(&self, page: u64) -> bool {
        match (self.has_more, self.total) {
            (Some(has_more), _) => has_more,
            (None, Some(total)) => page.saturating_mul(self.page_size) < total,
            (None, None) => self.rows.len() as u64 >= self.page_size,
        }
    }

    /// What it begins with, told apart from what other pages do: a backend that knows no pages gives the
    /// same one for ever.
    pub fn begins(&self, config: &ResourceConfig) -> Option<String> {
        let first = self.rows.first()?;
        Some(present::id(config, first))
            .filter(|id| !id.is_empty())
            .or_else(|| Some(first.to_string()))
    }

    /// What to ask for behind this list, which `query` asked for. A backend may have pages of its own
    /// size; one that does not say how many there are is asked until there are none.
    pub fn query_after(&self, query: &ListQuery) -> Option<ListQuery> {
        let is_counted = self.has_more.is_some() || self.total.is_some();
        let rows = self.rows.len() as u64;
        let page_size = if is_counted || query.page > 1 { self.page_size } else { rows };
        let more = rows > 0 && (!is_counted || self.has_next(query.page));
        let cursor = self.cursor.clone();
        more.then(|| ListQuery { page: query.page + 1, cursor, page_size, ..query.clone() })
    }
}

impl Resource {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&FieldConfig> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The columns that are wanted, or the usual ones.
    pub fn columns(&self, query: &ListQuery) -> Vec<&FieldConfig> {
        let chosen = query.columns.iter().flatten().filter_map(|name| self.field(name));
        let chosen: Vec<_> = chosen.collect();
        if chosen.is_empty() {
            return self.fields.iter().filter(|field| field.in_list).collect();
        }
        chosen
    }

    /// Whether its lists can be ordered at all.
    pub fn sorts(&self) -> bool {
        self.config.style.sorting.is_some() || self.is_whole()
    }

    /// Whether its lists can be searched.
    pub fn searches(&self) -> bool {
        let style = &self.config.style;
        style.search.is_some() || style.filters == FilterForm::Where || self.is_whole()
    }

    /// The part of a list that an address asks for, as far as this resource can be asked for it.
    pub fn query(&self, address: &str) -> ListQuery {
        let exact = self.asks_exactly();
        let mut query = ListQuery::read(address, &self.fields);
        let largest = self.page_sizes().last().copied().unwrap_or(USUAL_SIZE);
        query.page_size = query.page_size.min(largest);
        query.without(|filter| {
            let narrows = self.field(&filter.field).is_some_and(|field| self.narrows_by(field));
            let is_one = matches!(&filter.test, Test::OneOf(values) if values.len() == 1);
            !narrows || (exact && !is_one)
        })
    }

    /// Whether its lists can be asked for one value of a field, and for nothing else.
    pub fn asks_exactly(&self) -> bool {
        self.config.style.filters == FilterForm::Exact && !self.is_whole()
    }

    /// Whether its lists can be narrowed by a field.
    pub fn narrows_by(&self, field: &FieldConfig) -> bool {
        let fits = match self.config.style.filters {
            FilterForm::None => false,
            // One value and no other test: nothing that people type in part.
            FilterForm::Exact => {
                !field.kind.choices().is_empty() || field.kind == FieldKind::Boolean
            }
            _ => true,
        };
        field.filterable && (fits || self.is_whole())
    }

    fn is_whole(&self) -> bool {
        self.config.style.paging == Paging::Whole
    }

    /// How many rows a page can have.
    pub fn page_sizes(&self) -> Vec<u64> {
        let largest = self.config.style.largest();
        let mut sizes: Vec<u64> = PAGE_SIZES.into_iter().filter(|size| *size <= largest).collect();
        if sizes.is_empty() {
            sizes.push(largest);
        }
        sizes
    }

    fn asking<'a>(&'a self, zone: &'a Zone) -> Asking<'a> {
        Asking { style: &self.config.style, fields: &self.fields, zone }
    }

    /// `query`, as far as this resource can answer it.
    ///
    /// 400 for an order that it does not have.
    fn checked(&self, query: &ListQuery) -> Result<ListQuery> {
        if let Some(sort) = &query.sort
            && !self.field(&sort.field).is_some_and(|field| field.sortable && self.sorts())
        {
            let title = &self.config.title;
            let problem = format!("{title} cannot be sorted by “{}”.", sort.field);
            return Err(Error::bad_request(problem));
        }
        let page_size = query.page_size.clamp(1, self.config.style.largest());
        Ok(ListQuery { page_size, ..query.clone() })
    }
}

impl Data {
    /// Data of `resources`, read through `backends`.
    pub fn new(
        resources: Resources,
        backends: Backends,
        last_good: LastGood,
        known: KnownFields,
    ) -> Self {
        Self { resources, backends, last_good: Some(last_good), known }
    }

    /// The same, keeping no answers for an outage.
    pub fn without_memory(self) -> Self {
        Self { last_good: None, ..self }
    }

    /// The resource at `/data/<group>/<name>`, for who may see it.
    pub async fn resource(&self, caller: &Caller, group: &str, name: &str) -> Result<Resource> {
        let config = self.resources.find(group, name)?.clone();
        if access::of(&config, caller).next().is_none() {
            access::check(&config, caller, Action::List)?;
        }
        let fields = self.fields(caller, &config).await?;
        Ok(Resource { config, fields })
    }

    /// One page of a list; days begin where `zone` is.
    pub async fn list(
        &self,
        caller: &Caller,
        resource: &Resource,
        query: &ListQuery,
        zone: &Zone,
    ) -> Result<Listing> {
        let config = &resource.config;
        access::check(config, caller, Action::List)?;
        let query = resource.checked(query)?;
        let asking = resource.asking(zone);
        let path = self.resources.list_path(config);
        let answer = self.ask(caller, config, path, Some(asking.query(&query))).await;
        let answer = answer.map_err(|error| match error.kind() {
            // Django REST framework answers 404 for a page past the end.
            Kind::NotFound if query.page > 1 => past_the_end(),
            _ => error,
        })?;
        let columns: Vec<&str> =
            resource.columns(&query).into_iter().map(|field| field.name.as_str()).collect();
        let body = asking.parse(&answer.text, &config.id, &columns).map_err(not_understood)?;
        let found = asking.found(&answer.headers, body, &query)?;
        if found.rows.is_empty() && query.page > 1 {
            return Err(past_the_end());
        }
        let Found { rows, total, page_size, has_more, cursor } = found;
        Ok(Listing { rows, total, page_size, has_more, cursor, as_of: answer.as_of })
    }

    /// All that `query` lists, on however many pages, up to `most` records.
    pub async fn all(
        &self,
        caller: &Caller,
        resource: &Resource,
        query: &ListQuery,
        zone: &Zone,
        most: usize,
    ) -> Result<Listing> {
        let names = resource.fields.iter().map(|field| field.name.clone()).collect();
        let page_size = resource.config.style.largest().min(most as u64);
        let query = ListQuery { columns: Some(names), page: 1, page_size, ..query.clone() };
        let mut all = self.list(caller, resource, &query, zone).await?;
        let config = &resource.config;
        let (mut next, mut begins) = (all.query_after(&query), all.begins(config));
        while let Some(query) = next.filter(|_| all.rows.len() < most) {
            let list = match self.list(caller, resource, &query, zone).await {
                Err(error) if is_past_the_end(&error) => break,
                list => list?,
            };
            let before = std::mem::replace(&mut begins, list.begins(config));
            if begins == before {
                break;
            }
            next = list.query_after(&query);
            all.as_of = all.as_of.or(list.as_of);
            all.rows.extend(list.rows);
        }
        all.rows.truncate(most);
        Ok(all)
    }

    /// One record.
    pub async fn read(&self, caller: &Caller, resource: &Resource, id: &str) -> Result<Record> {
        let config = &resource.config;
        access::check(config, caller, Action::Read)?;
        let path = self.resources.item_path(config, id);
        let answer = self.ask(caller, config, path, None).await?;
        let value = serde_json::from_slice(&answer.text).map_err(not_understood)?;
        let value = resource.asking(&UTC).single(value);
        Ok(Record { value, as_of: answer.as_of })
    }

    /// One record as it is now, and not as it was before an outage.
    pub async fn fresh(&self, caller: &Caller, resource: &Resource, id: &str) -> Result<Fresh> {
        let config = &resource.config;
        access::check(config, caller, Action::Read)?;
        let call = Call::get(self.resources.item_path(config, id), None);
        let answer =
            self.backends.find(&config.backend)?.send(caller, spoken(config, call)).await?;
        let (head, body) = answer.into_parts();
        let text = read(body).await?;
        if !head.status.is_success() {
            return Err(refusal(head.status.as_u16()));
        }
        let value = serde_json::from_slice(&text).map_err(not_understood)?;
        let value = resource.asking(&UTC).single(value);
        // A weak one cannot be asked for (RFC 9110 §13.1.1).
        let tag = head.headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
        Ok(Fresh { value, tag: tag.cloned(), text })
    }

    /// Has something done by the backend.
    ///
    /// 401, 429 and what a backend answers when it is broken, or nothing, are errors: nobody knows
    /// then whether it was done.
    pub async fn write(
        &self,
        caller: &Caller,
        resource: &Resource,
        write: Write<'_>,
    ) -> Result<Written> {
        let config = &resource.config;
        match write.deed {
            Deed::Create => access::check(config, caller, Action::Create)?,
            Deed::Update => access::check(config, caller, Action::Update)?,
            Deed::Delete => access::check(config, caller, Action::Delete)?,
            Deed::Run(name) => drop(access::operation(config, caller, name)?),
        }
        let call = self.call_of(resource, &write)?;
        let answer =
            self.backends.find(&config.backend)?.send(caller, spoken(config, call)).await?;
        let (head, body) = answer.into_parts();
        let text = read(body).await?;
        match head.status.as_u16() {
            200..=299 => {
                let value = serde_json::from_slice(&text).unwrap_or_default();
                let value = resource.asking(&UTC).single(value);
                Ok(Written::Done(named_by(config, value, &head.headers)))
            }
            412 => Ok(Written::Stale),
            404 | 410 if *write.deed != Deed::Create => Ok(Written::Gone),
            status @ (401 | 425 | 429 | 503) => Err(refusal(status)),
            status @ (408 | 500..) => Err(unclear(status)),
            status => Ok(Written::Refused(Refusal::read(status, &text))),
        }
    }

    fn call_of(&self, resource: &Resource, write: &Write<'_>) -> Result<Call> {
        let config = &resource.config;
        let item = || self.resources.item_path(config, write.record);
        let (method, path) = match (write.deed, config.style.update) {
            (Deed::Create, _) => (Method::POST, self.resources.list_path(config)),
            (Deed::Delete, _) => (Method::DELETE, item()),
            (Deed::Update, UpdateMethod::Patch) => (Method::PATCH, item()),
            (Deed::Update, UpdateMethod::Put) => (Method::PUT, item()),
            (Deed::Run(name), _) => {
                let below = config.operation(name).map_or(name.as_str(), |it| &it.path);
                (Method::POST, format!("{}/{below}", item().trim_end_matches('/')))
            }
        };
        let mut call = Call::new(method, path);
        let body = match write.deed {
            Deed::Delete => None,
            Deed::Run(_) => Some(b"{}".to_vec()),
            Deed::Create | Deed::Update => {
                let asking = resource.asking(&UTC);
                Some(asking.body(config, write, &self.resources).map_err(Error::internal)?)
            }
        };
        if let Some(body) = body {
            call.body = Body::from(body);
            let kind = if config.style.records == RecordForm::JsonApi { JSON_API } else { JSON };
            call.own.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        }
        if matches!(write.deed, Deed::Create | Deed::Run(_)) {
            let name = HeaderValue::try_from(write.name).map_err(Error::internal)?;
            call.own.insert(IDEMPOTENCY_KEY, name);
        }
        if let Some(tag) = &write.tag {
            call.own.insert(IF_MATCH, tag.clone());
        }
        Ok(call)
    }

    /// Puts a file in its place in a record.
    pub async fn put_file(
        &self,
        caller: &Caller,
        resource: &Resource,
        id: &str,
        name: &str,
        file: Chosen,
    ) -> Result<Written> {
        let config = &resource.config;
        access::check(config, caller, Action::Update)?;
        let (field, rule) = files::field(resource, name)?;
        files::check(field, rule, &file)?;
        let call = files::call(resource, field, self.resources.item_path(config, id), file)?;
        let answer =
            self.backends.find(&config.backend)?.send(caller, spoken(config, call)).await?;
        let (head, body) = answer.into_parts();
        let text = read(body).await?;
        match head.status.as_u16() {
            200..=299 => Ok(Written::Done(serde_json::from_slice(&text).unwrap_or_default())),
            404 | 410 => Ok(Written::Gone),
            status @ (401 | 429 | 500..) => Err(refusal(status)),
            status => Ok(Written::Refused(Refusal::read(status, &text))),
        }
    }

    /// What its records hold: as declared, or as the backend tells.
    async fn fields(&self, caller: &Caller, config: &ResourceConfig) -> Result<Arc<[FieldConfig]>> {
        if !config.fields.is_empty() {
            return Ok(config.fields.clone());
        }
        if let Some(fields) = self.known.get(config, caller) {
            return Ok(fields);
        }
        let fields: Arc<[FieldConfig]> = self.work_out(caller, config).await?.into();
        self.known.keep(config, caller, fields.clone());
        Ok(fields)
    }

    /// Works the fields of a resource out: by what the backend says of them, or by what it has.
    async fn work_out(&self, caller: &Caller, config: &ResourceConfig) -> Result<Vec<FieldConfig>> {
        let path = self.resources.list_path(config);
        let asking = Asking { style: &config.style, fields: &[], zone: &UTC };
        let page_size = config.style.largest().min(USUAL_SIZE);
        let query = ListQuery { page_size, ..ListQuery::default() };
        let sample = self.ask(caller, config, path.clone(), Some(asking.query(&query))).await?;
        let (order, relations) = (keys(&sample.text), relations(&config.style, &sample.text));
        let body = serde_json::from_slice(&sample.text).map_err(not_understood)?;
        let sample = asking.found(&sample.headers, body, &query)?;
        let about = Call::new(Method::OPTIONS, path.clone());
        let backend = self.backends.find(&config.backend)?;
        let about = backend.json::<Value>(caller, about).await.ok();
        let document = match &backend.config().openapi {
            Some(place) => backend.json::<Value>(caller, document_call(place)).await.ok(),
            None => None,
        };
        let document = document.and_then(|document| described(&document, &path, &order));
        Ok(inferred(config, &Evidence { about, document, rows: sample.rows, order, relations }))
    }

    /// A GET, answered by the backend or, while it is out, as it answered last.
    async fn ask(
        &self,
        caller: &Caller,
        config: &ResourceConfig,
        path: String,
        query: Option<String>,
    ) -> Result<Answer> {
        let backend = self.backends.find(&config.backend)?;
        let question = question(caller, config, &path, query.as_deref());
        let answer = backend.send(caller, spoken(config, Call::get(path, query))).await;
        let answer = match question.zip(self.last_good.as_ref()) {
            Some((question, last_good)) => last_good.bridge(question, answer, true),
            None => answer,
        };
        let (head, body) = answer?.into_parts();
        let text = read(body).await?;
        if !head.status.is_success() {
            return Err(refusal(head.status.as_u16()));
        }
        let as_of = age(&head.headers).map(|age| OffsetDateTime::now_utc() - age);
        Ok(Answer { headers: head.headers, text, as_of })
    }
}

/// A call for an OpenAPI document; some backends write it as YAML unless they are asked.
fn document_call(place: &str) -> Call {
    let mut call = Call::get(place, None);
    call.own.insert(ACCEPT, HeaderValue::from_static(JSON));
    call
}

/// A call that asks for answers in the form that the backend has.
fn spoken(config: &ResourceConfig, mut call: Call) -> Call {
    if config.style.records == RecordForm::JsonApi {
        call.own.insert(ACCEPT, HeaderValue::from_static(JSON_API));
    }
    call
}

/// A record that was made or changed, with its id: a backend that does not send it back says where
/// it is.
fn named_by(config: &ResourceConfig, value: Value, headers: &HeaderMap) -> Value {
    if !lookup(&value, &config.id).is_null() {
        return value;
    }
    let place = headers.get(LOCATION).and_then(|place| place.to_str().ok()).unwrap_or_default();
    let path = place.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let id = path.rsplit('/').next().filter(|id| !id.is_empty());
    let id = id.map(|id| percent_decode_str(id).decode_utf8_lossy().into_owned());
    id.map_or(value, |id| json!({ config.id.as_str(): id }))
}

/// A backend that breaks may have done what it was asked.
fn unclear(status: u16) -> Error {
    Error::bad_gateway("The backend has trouble right now. Try again in a moment.")
        .because(format!("the backend answered {status} to a change"))
}

fn not_understood(cause: serde_json::Error) -> Error {
    Error::bad_gateway("The backend's answer was not understood.").because(cause)
}

/// What a GET is remembered by.
fn question(
    caller: &Caller,
    config: &ResourceConfig,
    path: &str,
    query: Option<&str>,
) -> Option<Question> {
    let target = format!("/.data/{}{path}?{}", config.backend, query.unwrap_or_default());
    let target: Uri = target.parse().ok()?;
    Question::of(caller, &target, &HeaderMap::new(), &[])
}

/// Whether a backend says in its way that there is no such page.
pub fn is_past_the_end(error: &Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::BadRequest)
}

fn past_the_end() -> Error {
    Error::not_found("The list has fewer pages than that. Go back to the first one.")
}
