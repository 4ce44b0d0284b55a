//! `breezeway resources describe <group>.<name>`: asks a backend about a collection and writes down how
//! it would be declared, to be pasted and put right.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{
    Client, Method, StatusCode,
    header::{ACCEPT, HeaderMap, HeaderName, HeaderValue},
    redirect,
};
use serde_json::Value;
use url::Url;

use super::{
    fields::{Evidence, inferred, keys},
    openapi::described,
    query::{Filter, ListQuery, Sort, Test, USUAL_SIZE},
    style::{Asking, Found, lookup, relations},
    value::plain,
};
use crate::{
    config::{
        BackendUrl, Config, FieldConfig, FieldKind, FilterForm, ResourceConfig, fields_as_toml,
    },
    error::{Error, Result},
    ui::zone::UTC,
};

/// Where backends put their OpenAPI documents: FastAPI, DRF-spectacular, Django Ninja, drf-yasg,
/// springdoc, springfox, rswag, ASP.NET, NestJS, Laravel, API Platform, Quarkus, Drupal, Litestar.
const DOCUMENTS: [&str; 16] = [
    "/openapi.json",
    "/api/schema/",
    "/api/openapi.json",
    "/swagger.json",
    "/swagger/?format=openapi",
    "/v3/api-docs",
    "/v2/api-docs",
    "/api-docs/v1/swagger.json",
    "/swagger/v1/swagger.json",
    "/openapi/v1.json",
    "/api-json",
    "/docs/api.json",
    "/api/docs.json",
    "/q/openapi?format=json",
    "/openapi/jsonapi?_format=json",
    "/schema/openapi.json",
];
const PATIENCE: Duration = Duration::from_secs(15);
/// How often a backend may send it elsewhere.
const REDIRECTS: usize = 5;

/// What a resource looks like from outside, as TOML. `headers` are sent along, for credentials;
/// `sandbox` is where the sandbox listens.
pub async fn describe(
    config: &Config,
    name: &str,
    headers: &[(HeaderName, HeaderValue)],
    sandbox: Option<&Url>,
) -> Result<String> {
    let resource = find(config, name)?;
    let backend = config.backends.get(&resource.backend);
    let backend = backend.ok_or_else(|| Error::internal("a resource has no backend"))?;
    let base = match (&backend.url, sandbox) {
        (BackendUrl::Url(url), _) | (BackendUrl::Sandbox, Some(url)) => url.clone(),
        (BackendUrl::Sandbox, None) => return Err(Error::internal("the sandbox is off")),
    };
    let http = Client::builder()
        .timeout(PATIENCE)
        .no_proxy()
        .redirect(within_origin())
        .default_headers(HeaderMap::from_iter(headers.iter().cloned()))
        .build()
        .map_err(Error::internal)?;
    let probe = Probe { http, base, resource };
    let (evidence, place) = probe.evidence(backend.openapi.as_deref()).await?;
    let mut fields = inferred(resource, &evidence);
    probe.try_out(&mut fields, &evidence.rows).await;
    Ok(written(resource, &fields, place.as_deref().filter(|_| backend.openapi.is_none())))
}

/// What is sent along may be a key, which is nobody's business elsewhere.
fn within_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let is_same = attempt.previous().last().map(Url::origin) == Some(attempt.url().origin());
        if is_same && attempt.previous().len() <= REDIRECTS {
            attempt.follow()
        } else {
            attempt.stop()
        }
    })
}

fn find<'a>(config: &'a Config, name: &str) -> Result<&'a ResourceConfig> {
    let is_it =
        |resource: &&ResourceConfig| format!("{}.{}", resource.group, resource.name) == name;
    config.resources.iter().find(is_it).ok_or_else(|| {
        let known = config.resources.iter().map(|it| format!("{}.{}", it.group, it.name));
        let known = known.collect::<Vec<_>>().join(", ");
        Error::not_found(format!(
            "There is no [resources.{name}]. Declare it with `backend` and `path`, and ask again. \
             There are: {known}."
        ))
    })
}

/// Asks one backend about one collection.
struct Probe<'a> {
    http: Client,
    base: Url,
    resource: &'a ResourceConfig,
}

impl Probe<'_> {
    /// What there is to be seen, and where the document was.
    async fn evidence(&self, openapi: Option<&str>) -> Result<(Evidence, Option<String>)> {
        let (text, found) = self.list(&ListQuery::default(), &[]).await?;
        let order = keys(&text);
        let relations = relations(&self.resource.style, &text);
        let about = self.json(Method::OPTIONS, &self.resource.path).await;
        let (document, place) = self.document(openapi).await.unzip();
        let document = document.and_then(|it| described(&it, &self.resource.path, &order));
        let place = place.filter(|_| document.is_some());
        Ok((Evidence { about, document, rows: found.rows, order, relations }, place))
    }

    async fn document(&self, openapi: Option<&str>) -> Option<(Value, String)> {
        for place in openapi.into_iter().chain(DOCUMENTS) {
            if let Some(document) = self.json(Method::GET, place).await
                && document.get("paths").is_some()
            {
                return Some((document, place.to_owned()));
            }
        }
        None
    }

    fn asking<'f>(&'f self, fields: &'f [FieldConfig]) -> Asking<'f> {
        Asking { style: &self.resource.style, fields, zone: &UTC }
    }

    /// One page of the list.
    async fn list(&self, query: &ListQuery, fields: &[FieldConfig]) -> Result<(Vec<u8>, Found)> {
        let page_size = self.resource.style.largest().min(USUAL_SIZE);
        let query = ListQuery { page_size, ..query.clone() };
        let asking = self.asking(fields);
        let place = format!("{}?{}", self.resource.path, asking.query(&query));
        let answer = self.send(Method::GET, &place).await?;
        if answer.status() == StatusCode::UNAUTHORIZED || answer.status() == StatusCode::FORBIDDEN {
            return Err(Error::forbidden(
                "The backend wants to know who asks. Give credentials: --header \"Authorization: \
                 Bearer …\", or BREEZEWAY_TOKEN in the environment.",
            ));
        }
        if !answer.status().is_success() {
            let sentence = format!("The backend answered {} to {place}.", answer.status());
            return Err(Error::bad_gateway(sentence));
        }
        let headers = answer.headers().clone();
        let text = answer.bytes().await.map_err(unreachable)?.to_vec();
        let body = serde_json::from_slice(&text).map_err(|cause| {
            Error::bad_gateway("The backend's answer is no JSON. Is `path` right?").because(cause)
        })?;
        let found = asking.found(&headers, body, &query)?;
        Ok((text, found))
    }

    /// Tries out by what the list can be ordered and narrowed: what the backend passes over makes no
    /// difference.
    async fn try_out(&self, fields: &mut [FieldConfig], rows: &[Value]) {
        let known = fields.to_vec();
        for field in fields {
            if self.resource.style.sorting.is_some() && !field.kind.is_wide() {
                field.sortable = field.sortable || self.is_sorted_by(&field.name, &known).await;
            }
            if self.resource.style.filters != FilterForm::None && !field.filterable {
                let mut probed = known.clone();
                for one in &mut probed {
                    one.filterable = true;
                }
                field.filterable = self.is_narrowed_by(field, rows, &probed).await;
            }
        }
    }

    async fn is_sorted_by(&self, name: &str, fields: &[FieldConfig]) -> bool {
        let asked = async |descending| {
            let sort = Some(Sort { field: name.to_owned(), descending });
            let query = ListQuery { sort, ..ListQuery::default() };
            let (_, found) = self.list(&query, fields).await.ok()?;
            let values = found.rows.iter().map(|row| plain(lookup(row, name)).into_owned());
            Some(values.collect::<Vec<_>>())
        };
        match (asked(false).await, asked(true).await) {
            (Some(up), Some(down)) => up != down && up.first() != down.first(),
            _ => false,
        }
    }

    async fn is_narrowed_by(
        &self,
        field: &FieldConfig,
        rows: &[Value],
        fields: &[FieldConfig],
    ) -> bool {
        let values = rows.iter().map(|row| plain(lookup(row, &field.name)).into_owned());
        let values: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
        // Of what is the same everywhere nothing can be told.
        let (Some(value), true) = (values.first(), values.len() > 1) else { return false };
        let test = match &field.kind {
            kind if !kind.choices().is_empty() => Test::OneOf(vec![value.clone()]),
            FieldKind::Boolean => Test::OneOf(vec![value.clone()]),
            kind if kind.is_number() || kind.is_time() => {
                let day = value.get(..10).filter(|_| kind.is_time());
                Test::To(day.unwrap_or(value).to_owned())
            }
            _ => Test::Has(value.clone()),
        };
        let filters = vec![Filter { field: field.name.clone(), test: test.clone() }];
        let query = ListQuery { filters, ..ListQuery::default() };
        let Ok((_, found)) = self.list(&query, fields).await else { return false };
        let holds = |row: &Value| {
            let has = plain(lookup(row, &field.name));
            match &test {
                Test::OneOf(_) => has == *value,
                Test::Has(text) => has.to_lowercase().contains(&text.to_lowercase()),
                _ if field.kind.is_number() => has.parse::<f64>().ok() <= value.parse::<f64>().ok(),
                _ => has.get(..10) <= value.get(..10),
            }
        };
        !found.rows.is_empty() && found.rows.iter().all(holds)
    }

    async fn json(&self, method: Method, place: &str) -> Option<Value> {
        let answer = self.send(method, place).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json().await.ok()
    }

    async fn send(&self, method: Method, place: &str) -> Result<reqwest::Response> {
        let base = self.base.as_str().trim_end_matches('/');
        let request = self.http.request(method, format!("{base}{place}"));
        request.header(ACCEPT, "application/json").send().await.map_err(unreachable)
    }
}

fn unreachable(cause: reqwest::Error) -> Error {
    Error::unavailable("The backend cannot be reached.").because(cause.without_url())
}

/// The table to be pasted.
fn written(resource: &ResourceConfig, fields: &[FieldConfig], document: Option<&str>) -> String {
    let mut toml = format!(
        "[resources.{}.{}]\nbackend = \"{}\"\npath = \"{}\"\n",
        resource.group, resource.name, resource.backend, resource.path
    );
    if let Some(style) = resource.style.name {
        toml += &format!("style = \"{style}\"\n");
    }
    if resource.id != "id" {
        toml += &format!("id = \"{}\"\n", resource.id);
    }
    toml += &format!("fields = {}\n", fields_as_toml(fields));
    if let Some(place) = document {
        toml += &format!(
            "\n# {} says what its collections hold; with this it is asked by itself:\n\
             # [backends.{}]\n# openapi = \"{place}\"\n",
            resource.backend, resource.backend
        );
    }
    toml
}
