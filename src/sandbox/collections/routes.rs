//! The collections over HTTP, as a Django REST framework backend answers.
//!
//! One door per path takes every method, so that the rules that hold for all of them (who may see
//! what, who may write) are kept in one place.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{OriginalUri, Path, State},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::any,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{
    Collections,
    errors::Refusal,
    metadata::Metadata,
    query::{ListQuery, Pairs},
    schema::{Access, Collection},
    store::{Precondition, Record, Shelf},
    validate::{Mode, validate},
};
use crate::sandbox::{SandboxState, tokens::Visitor};

const TENANT: &str = "tenant_id";

/// `/api/<group>/<name>` and `/api/<group>/<name>/{id}`, with and without a slash at the end.
pub(crate) fn routes() -> Router<SandboxState> {
    Router::new()
        .route("/api/{group}/{name}", any(serve))
        .route("/api/{group}/{name}/", any(serve))
        .route("/api/{group}/{name}/{id}", any(serve))
        .route("/api/{group}/{name}/{id}/", any(serve))
        .route("/api/{group}/{name}/{id}/{verb}", any(serve))
        .route("/api/{group}/{name}/{id}/{verb}/", any(serve))
}

async fn serve(
    State(collections): State<Collections>,
    visitor: Visitor,
    Path(target): Path<Target>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let call = Call { target, method, uri, headers, body };
    call.answer(&collections, &visitor).await
}

/// What a path names.
#[derive(Debug, Deserialize)]
struct Target {
    group: String,
    name: String,
    id: Option<String>,
    /// What is done with the record beside reading and writing it.
    verb: Option<String>,
}

/// One request, apart from who sent it.
#[derive(Debug)]
struct Call {
    target: Target,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// A list's answer.
#[derive(Debug, Serialize)]
struct Listing {
    count: i64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<Record>,
}

impl Call {
    async fn answer(
        self,
        collections: &Collections,
        visitor: &Visitor,
    ) -> Result<Response, Refusal> {
        let collection = Collection::find(&self.target.group, &self.target.name)
            .ok_or_else(Refusal::no_collection)?;
        self.check_tenant(visitor)?;
        let shelf = collections.shelf(collection, &visitor.tenant);
        let writable = collection.access == Access::Full && may_write(visitor);
        match &self.target.id {
            None => self.answer_list(shelf, writable).await,
            Some(id) => {
                let id = id.parse::<i64>().map_err(|_| Refusal::not_found(collection))?;
                match &self.target.verb {
                    None => self.answer_item(shelf, writable, id).await,
                    Some(verb) => self.answer_verb(shelf, writable, id, verb).await,
                }
            }
        }
    }

    async fn answer_list(&self, shelf: Shelf<'_>, writable: bool) -> Result<Response, Refusal> {
        match self.method {
            Method::GET | Method::HEAD => self.list(shelf).await,
            Method::OPTIONS => Ok(options(
                list_methods(shelf.collection),
                Metadata::of_list(shelf.collection, writable),
            )),
            Method::POST => {
                self.check_may_change(shelf.collection, writable)?;
                self.create(shelf).await
            }
            _ => Err(self.not_allowed(list_methods(shelf.collection))),
        }
    }

    async fn answer_item(
        &self,
        shelf: Shelf<'_>,
        writable: bool,
        id: i64,
    ) -> Result<Response, Refusal> {
        match self.method {
            Method::GET | Method::HEAD => read(shelf, id).await,
            Method::OPTIONS => Ok(options(
                item_methods(shelf.collection),
                Metadata::of_item(shelf.collection, writable),
            )),
            Method::PUT | Method::PATCH | Method::DELETE => {
                self.check_may_change(shelf.collection, writable)?;
                self.change(shelf, id).await
            }
            _ => Err(self.not_allowed(item_methods(shelf.collection))),
        }
    }

    /// `POST /api/django-crm/deals/7/win`: a change that the backend has a name for.
    async fn answer_verb(
        &self,
        shelf: Shelf<'_>,
        writable: bool,
        id: i64,
        verb: &str,
    ) -> Result<Response, Refusal> {
        let place = (shelf.collection.name, verb);
        let verb = VERBS.iter().find(|(name, verb, ..)| (*name, *verb) == place);
        let (.., field, value) = verb.ok_or_else(Refusal::no_collection)?;
        if self.method != Method::POST {
            return Err(self.not_allowed("POST, OPTIONS"));
        }
        self.check_may_change(shelf.collection, writable)?;
        let refuse = |error| Refusal::unchanged(shelf.collection, error);
        let wanted = Map::from_iter([((*field).to_owned(), Value::from(*value))]);
        let changes = validate(shelf.collection, Mode::Patch, &wanted)?;
        let record = shelf.change(id, &Precondition::Exists, changes).await.map_err(refuse)?;
        Ok(tagged(&record))
    }

    async fn list(&self, shelf: Shelf<'_>) -> Result<Response, Refusal> {
        let pairs = self.pairs();
        let query = ListQuery::read(shelf.collection, &pairs)?;
        let count = shelf.count(&query.selection).await?;
        let pages = u32::try_from(count).unwrap_or(u32::MAX).div_ceil(query.page_size).max(1);
        let page = query.page.among(pages).ok_or_else(Refusal::invalid_page)?;
        let offset = u64::from(page - 1) * u64::from(query.page_size);
        let results = shelf.list(&query.selection, query.page_size, offset).await?;
        let next = (page < pages).then(|| self.link(&pairs, page + 1));
        let previous = (page > 1).then(|| self.link(&pairs, page - 1));
        Ok(Json(Listing { count, next, previous, results }).into_response())
    }

    async fn create(&self, shelf: Shelf<'_>) -> Result<Response, Refusal> {
        let data = validate(shelf.collection, Mode::Create, &self.object()?)?;
        let record = shelf.create(data).await?;
        let path = self.uri.path().trim_end_matches('/');
        let location = [(header::LOCATION, format!("{}{path}/{}", self.origin(), record.id))];
        Ok((StatusCode::CREATED, location, tagged(&record)).into_response())
    }

    async fn change(&self, shelf: Shelf<'_>, id: i64) -> Result<Response, Refusal> {
        let refuse = |error| Refusal::unchanged(shelf.collection, error);
        let precondition = self.precondition();
        if self.method == Method::DELETE {
            shelf.delete(id, &precondition).await.map_err(refuse)?;
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        // A record that is not there is the first thing to say, before what is wrong with the body.
        shelf.get(id).await?.ok_or_else(|| Refusal::not_found(shelf.collection))?;
        let mode = if self.method == Method::PUT { Mode::Replace } else { Mode::Patch };
        let changes = validate(shelf.collection, mode, &self.object()?)?;
        let record = shelf.change(id, &precondition, changes).await.map_err(refuse)?;
        Ok(tagged(&record))
    }

    /// The token alone decides which tenant is seen; a `tenant_id` that says otherwise is refused
    /// instead of passed over, so that a gateway that mixes tenants up is noticed.
    fn check_tenant(&self, visitor: &Visitor) -> Result<(), Refusal> {
        let pairs = self.pairs();
        let mut named = pairs.iter().filter(|(name, _)| name == TENANT);
        if named.all(|(_, tenant)| *tenant == visitor.tenant) {
            Ok(())
        } else {
            Err(Refusal::forbidden())
        }
    }

    fn check_may_change(&self, collection: &Collection, writable: bool) -> Result<(), Refusal> {
        match collection.access {
            Access::ReadOnly => Err(self.not_allowed(READ_METHODS)),
            Access::Full if writable => Ok(()),
            Access::Full => Err(Refusal::forbidden()),
        }
    }

    fn not_allowed(&self, allow: &'static str) -> Refusal {
        Refusal::not_allowed(self.method.as_str(), allow)
    }

    fn pairs(&self) -> Pairs {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The body as an object of fields.
    fn object(&self) -> Result<Map<String, Value>, Refusal> {
        let media_type = self.header(header::CONTENT_TYPE).unwrap_or("application/json");
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Refusal::unsupported(media_type));
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(other) => Err(Refusal::not_an_object(&other)),
            Err(error) => Err(Refusal::malformed(&error)),
        }
    }

    fn precondition(&self) -> Precondition {
        match self.header(header::IF_MATCH) {
            None | Some("*") => Precondition::Exists,
            Some(tags) => {
                Precondition::OneOf(tags.split(',').map(|tag| tag.trim().to_owned()).collect())
            }
        }
    }

    /// The address of another page of the same list.
    fn link(&self, pairs: &[(String, String)], page: u32) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.iter().filter(|(name, _)| name != "page"));
        if page > 1 {
            query.append_pair("page", &page.to_string());
        }
        format!("{}{}?{}", self.origin(), self.uri.path(), query.finish())
    }

    fn origin(&self) -> String {
        self.header(header::HOST).map_or_else(String::new, |host| format!("http://{host}"))
    }

    fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// What can be done with single records: of which collection, by which name, and what it sets.
const VERBS: [(&str, &str, &str, &str); 3] = [
    ("deals", "win", "stage", "Won"),
    ("deals", "lose", "stage", "Lost"),
    ("tasks", "complete", "status", "Done"),
];

const READ_METHODS: &str = "GET, HEAD, OPTIONS";

fn list_methods(collection: &Collection) -> &'static str {
    match collection.access {
        Access::Full => "GET, POST, HEAD, OPTIONS",
        Access::ReadOnly => READ_METHODS,
    }
}

fn item_methods(collection: &Collection) -> &'static str {
    match collection.access {
        Access::Full => "GET, PUT, PATCH, DELETE, HEAD, OPTIONS",
        Access::ReadOnly => READ_METHODS,
    }
}

fn may_write(visitor: &Visitor) -> bool {
    !visitor.roles.iter().any(|role| role == "viewer")
}

async fn read(shelf: Shelf<'_>, id: i64) -> Result<Response, Refusal> {
    let record = shelf.get(id).await?.ok_or_else(|| Refusal::not_found(shelf.collection))?;
    Ok(tagged(&record))
}

fn tagged(record: &Record) -> Response {
    ([(header::ETAG, record.etag())], Json(record)).into_response()
}

fn options(allow: &'static str, metadata: Metadata) -> Response {
    ([(header::ALLOW, allow)], Json(metadata)).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{body::to_bytes, http::HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::sandbox::collections::testing::collections;

    const CONTACTS: &str = "/api/django-crm/contacts";

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: Value,
    }

    impl Answer {
        fn header(&self, name: header::HeaderName) -> &str {
            self.headers[name].to_str().unwrap()
        }

        fn names(&self, field: &str) -> Vec<String> {
            let rows = self.body["results"].as_array().unwrap();
            rows.iter().map(|row| row[field].as_str().unwrap().to_owned()).collect()
        }
    }

    struct Client {
        collections: Collections,
        visitor: Visitor,
    }

    impl Client {
        async fn new(tenant: &str, role: &str) -> Self {
            Self { collections: collections().await, visitor: visitor(tenant, role) }
        }

        async fn get(&self, uri: &str) -> Answer {
            self.send(Method::GET, uri, &[], "").await
        }

        async fn send(
            &self,
            method: Method,
            uri: &str,
            headers: &[(header::HeaderName, &str)],
            body: &str,
        ) -> Answer {
            let uri: Uri = uri.parse().unwrap();
            let mut parts = uri.path().trim_matches('/').split('/').skip(1).map(str::to_owned);
            let target = Target {
                group: parts.next().unwrap(),
                name: parts.next().unwrap(),
                id: parts.next(),
                verb: parts.next(),
            };
            let mut all = HeaderMap::new();
            all.insert(header::HOST, value("sandbox.example"));
            all.extend(headers.iter().map(|(name, text)| (name.clone(), value(text))));
            let body = Bytes::copy_from_slice(body.as_bytes());
            let call = Call { target, method, uri, headers: all, body };
            let answer = call.answer(&self.collections, &self.visitor).await.into_response();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let bytes = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Answer { status, headers, body }
        }
    }

    fn value(text: &str) -> HeaderValue {
        HeaderValue::from_str(text).unwrap()
    }

    fn visitor(tenant: &str, role: &str) -> Visitor {
        Visitor {
            subject: "someone".to_owned(),
            name: "Some One".to_owned(),
            tenant: tenant.to_owned(),
            roles: vec![role.to_owned()],
            scope: "openid".to_owned(),
        }
    }

    #[tokio::test]
    async fn lists_come_in_pages() {
        let client = Client::new("harbor", "member").await;
        let first = client.get(CONTACTS).await;
        assert_eq!((first.status, &first.body["count"]), (200, &json!(240)));
        assert_eq!(first.names("name").len(), 25);
        assert_eq!(first.body["previous"], Value::Null);
        let next = "http://sandbox.example/api/django-crm/contacts?page=2";
        assert_eq!(first.body["next"], next);

        let last = client.get(&format!("{CONTACTS}/?page_size=100&page=3")).await;
        assert_eq!((last.names("name").len(), &last.body["next"]), (40, &Value::Null));
        for page in ["0", "4", "x", "-1"] {
            let beyond = client.get(&format!("{CONTACTS}?page_size=100&page={page}")).await;
            assert_eq!((beyond.status, beyond.body), (404, json!({"detail": "Invalid page."})));
        }
    }

    #[tokio::test]
    async fn lists_are_ordered_as_asked() {
        let client = Client::new("harbor", "member").await;
        let names = client.get(&format!("{CONTACTS}?ordering=-name&page_size=200")).await;
        let mut sorted = names.names("name");
        sorted.sort_by_key(|name| std::cmp::Reverse(name.to_ascii_lowercase()));
        assert_eq!(names.names("name"), sorted);

        let hostile =
            client.get(&format!("{CONTACTS}?ordering=name)%3BDROP%20TABLE%20records--")).await;
        assert_eq!((hostile.status, &hostile.body["count"]), (200, &json!(240)));
    }

    #[tokio::test]
    async fn lists_are_filtered_and_searched() {
        let client = Client::new("harbor", "member").await;
        let deals = client.get("/api/django-crm/deals?amount__gte=20000&stage=Won").await;
        for deal in deals.body["results"].as_array().unwrap() {
            assert!(deal["amount"].as_f64().unwrap() >= 20_000.0 && deal["stage"] == "Won");
        }
        let found = client.get(&format!("{CONTACTS}?search=lukasz&company__icontains=o")).await;
        assert!(found.body["count"].as_i64().unwrap() > 0);
        assert!(found.names("name").iter().all(|name| name.contains("Łukasz")));

        let wrong = client.get("/api/django-crm/deals?amount__gte=x").await;
        let errors = json!({"amount__gte": ["A valid number is required."]});
        assert_eq!((wrong.status, wrong.body), (400, errors));
        let quoted = client.get(&format!("{CONTACTS}?company=%27%20OR%20%271%27%3D%271")).await;
        assert_eq!(quoted.body["count"], 0);
    }

    #[tokio::test]
    async fn tenants_do_not_see_each_other() {
        let collections = collections().await;
        let harbor =
            Client { collections: collections.clone(), visitor: visitor("harbor", "admin") };
        let summit = Client { collections, visitor: visitor("summit", "admin") };
        let all = format!("{CONTACTS}?page_size=200");
        let ours = harbor.get(&all).await.names("email");
        assert!(summit.get(&all).await.names("email").iter().all(|email| !ours.contains(email)));

        let theirs = format!("{CONTACTS}/241");
        assert_eq!(summit.get(&theirs).await.status, 200);
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            let answer = harbor.send(method, &theirs, &[], "{}").await;
            assert_eq!(answer.status, 404);
            assert_eq!(answer.body["detail"], "No Contact matches the given query.");
        }
        assert_eq!(harbor.get(&format!("{CONTACTS}?tenant_id=harbor")).await.status, 200);
        assert_eq!(harbor.get(&format!("{CONTACTS}?tenant_id=summit")).await.status, 403);
    }

    #[tokio::test]
    async fn records_are_made_changed_and_deleted() {
        let client = Client::new("summit", "admin").await;
        let body = json!({"name": "Ana Prado", "email": "ana@globex.example", "city": "Porto"});
        let made = client.send(Method::POST, CONTACTS, &[], &body.to_string()).await;
        assert_eq!((made.status, &made.body["id"]), (201, &json!(421)));
        let path = format!("{CONTACTS}/421");
        assert_eq!(made.header(header::LOCATION), format!("http://sandbox.example{path}"));

        let tag = made.header(header::ETAG);
        let same = [(header::IF_MATCH, tag)];
        let changed = client.send(Method::PATCH, &path, &same, r#"{"city": "Faro"}"#).await;
        assert_eq!((changed.status, &changed.body["city"]), (200, &json!("Faro")));
        assert_eq!(changed.body["name"], "Ana Prado");
        let stale = client.send(Method::PUT, &path, &same, &body.to_string()).await;
        assert_eq!(stale.status, 412);
        assert_eq!(client.get(&path).await.header(header::ETAG), changed.header(header::ETAG));

        assert_eq!(client.send(Method::DELETE, &path, &[], "").await.status, 204);
        assert_eq!(client.get(&path).await.status, 404);
        let next = client.send(Method::POST, CONTACTS, &[], &body.to_string()).await;
        assert_eq!(next.body["id"], 422);
    }

    #[tokio::test]
    async fn bad_bodies_are_refused() {
        let client = Client::new("harbor", "member").await;
        let post = async |body: &str| client.send(Method::POST, CONTACTS, &[], body).await;
        let invalid = post(r#"{"email": "nobody"}"#).await;
        assert_eq!(invalid.status, 400);
        assert_eq!(invalid.body["email"], json!(["Enter a valid email address."]));
        assert_eq!(invalid.body["name"], json!(["This field is required."]));
        let malformed = post("{").await;
        assert!(malformed.body["detail"].as_str().unwrap().starts_with("JSON parse error - "));
        let list =
            json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]});
        assert_eq!(post("[]").await.body, list);
        let form = [(header::CONTENT_TYPE, "text/plain")];
        assert_eq!(client.send(Method::POST, CONTACTS, &form, "{}").await.status, 415);
    }

    #[tokio::test]
    async fn who_may_not_write_is_told() {
        let client = Client::new("summit", "viewer").await;
        assert_eq!(client.send(Method::POST, CONTACTS, &[], "{}").await.status, 403);
        let traffic = client.send(Method::POST, "/api/analytics/traffic", &[], "{}").await;
        assert_eq!((traffic.status, traffic.header(header::ALLOW)), (405, READ_METHODS));
        assert_eq!(traffic.body["detail"], "Method \"POST\" not allowed.");
        assert_eq!(client.send(Method::DELETE, CONTACTS, &[], "").await.status, 405);
        assert_eq!(client.get("/api/django-crm/secrets").await.status, 404);
        assert_eq!(client.get(&format!("{CONTACTS}/first")).await.status, 404);
    }

    #[tokio::test]
    async fn options_describe_the_fields() {
        let client = Client::new("harbor", "admin").await;
        let about = client.send(Method::OPTIONS, CONTACTS, &[], "").await;
        assert_eq!(about.body["name"], "Contact List");
        let email = &about.body["actions"]["POST"]["email"];
        assert_eq!((&email["type"], &email["required"]), (&json!("email"), &json!(true)));
        let status = &about.body["actions"]["POST"]["status"]["choices"][0];
        assert_eq!(*status, json!({"value": "Lead", "display_name": "Lead"}));
    }
}
