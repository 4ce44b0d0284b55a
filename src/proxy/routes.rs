//! The pass-through routes. Bodies stream, and nothing is parsed here.

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONNECTION, LOCATION, UPGRADE},
    },
    response::IntoResponse,
};
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::answer::{Asked, Mount, address_of};
use crate::{
    backend::{Backend, Call, Question},
    config::{Action, ResourceConfig},
    data::{Deed, access},
    error::{Error, Kind, Result},
    server::{client::ClientAddress, state::App},
    session::Caller,
};

const PROXY: &str = "/api/proxy";
const BRAIN: &str = "/api/brain";
/// Every method that has a meaning to a backend.
const FORWARDED: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];
/// What can be done with the list of a resource, and with one record of it.
const OF_LISTS: [(Method, Action); 2] =
    [(Method::GET, Action::List), (Method::POST, Action::Create)];
const OF_RECORDS: [(Method, Action); 4] = [
    (Method::GET, Action::Read),
    (Method::PUT, Action::Update),
    (Method::PATCH, Action::Update),
    (Method::DELETE, Action::Delete),
];
/// What a browser says it fetches when it is going to run it.
const CODE: [&str; 6] =
    ["script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"];

/// Whether a path is one of these.
pub fn takes(path: &str) -> bool {
    [PROXY, BRAIN].iter().any(|place| below(path, place).is_some())
}

/// `/api/proxy/{*path}`, `/api/brain`, `/api/brain/{group}/{name}[/{id}]`.
///
/// A GET of a resource whose backend is out is answered with the last good answer there is.
pub async fn answer(
    app: &App,
    caller: &Caller,
    client: ClientAddress,
    request: Request,
) -> Result<Response<Body>> {
    let place = match way(app, caller, &request)? {
        Way::On(place) => place,
        Way::Here(response) => return Ok(response),
    };
    let question = place.question(caller, &request);
    let deed = place.deed(&request);
    let is_get = request.method() == Method::GET;
    let (asked, call) = place.call(client, request)?;
    let answer = asked.backend.send(caller, call).await.map(|answer| asked.pass(answer));
    // The history is of people; what nobody in particular does is not in it.
    let is_done =
        caller.known().is_ok() && answer.as_ref().is_ok_and(|answer| answer.status().is_success());
    if let Some(deed) = deed.filter(|_| is_done) {
        let place = answer.as_ref().ok().and_then(|answer| answer.headers().get(LOCATION).cloned());
        note(app, caller, deed, place).await;
    }
    match question {
        Some(question) => app.last_good.bridge(question, answer, is_get),
        None => answer,
    }
}

/// What becomes of a request.
enum Way<'a> {
    /// It goes on to a backend.
    On(Place<'a>),
    /// It is answered here.
    Here(Response<Body>),
}

/// Where a request goes.
struct Place<'a> {
    backend: &'a Backend,
    path: String,
    mount: Mount<'a>,
}

fn way<'a>(app: &'a App, caller: &Caller, request: &Request) -> Result<Way<'a>> {
    let (path, method) = (request.uri().path(), request.method());
    if let Some(path) = below(path, PROXY) {
        return forward(app, path, method);
    }
    let path = below(path, BRAIN).unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let resources = &app.resources;
    match segments.as_slice() {
        [] => catalogue(app, caller, request).map(Way::Here),
        [group, name] => {
            let resource = resources.find(group, name)?;
            act(app, caller, resource, resources.list_path(resource), &OF_LISTS, method)
        }
        // The id goes on as the client wrote it.
        [group, name, id] if !id.is_empty() => {
            let resource = resources.find(group, name)?;
            act(app, caller, resource, resources.raw_item_path(resource, id), &OF_RECORDS, method)
        }
        _ => Err(Error::not_found("There is no such collection here.")),
    }
}

/// What of `path` is below `place`: nothing at all, or something that begins with `/`.
fn below<'a>(path: &'a str, place: &str) -> Option<&'a str> {
    path.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// To the `[proxy]` backend, under the raw path that the request came with.
fn forward<'a>(app: &'a App, path: &str, method: &Method) -> Result<Way<'a>> {
    let proxy = app.config.proxy.as_ref().ok_or_else(|| {
        Error::not_found("No backend is set up here. Add a [proxy] table to Leptos.toml.")
    })?;
    if !FORWARDED.contains(method) {
        return not_taken(method, &FORWARDED).map(Way::Here);
    }
    let path = if path.is_empty() { "/" } else { path }.to_owned();
    let backend = app.backends.find(&proxy.backend)?;
    Ok(Way::On(Place { backend, path, mount: Mount::Whole(PROXY) }))
}

/// To what the resource declares for the method; anything else is 405 with what there is, and 403
/// for who has none of the roles that it takes.
fn act<'a>(
    app: &'a App,
    caller: &Caller,
    resource: &'a ResourceConfig,
    path: String,
    taken: &[(Method, Action)],
    method: &Method,
) -> Result<Way<'a>> {
    let declared = |action: &Action| resource.actions.contains(action);
    let asked = if method == Method::HEAD { &Method::GET } else { method };
    let action = taken.iter().find(|(method, action)| method == asked && declared(action));
    let Some((_, action)) = action else {
        let mut methods: Vec<Method> =
            taken.iter().filter(|(_, action)| declared(action)).map(|(m, _)| m.clone()).collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.push(Method::OPTIONS);
        return not_taken(asked, &methods).map(Way::Here);
    };
    access::check(resource, caller, *action)?;
    let backend = app.backends.find(&resource.backend)?;
    Ok(Way::On(Place { backend, path, mount: Mount::Resource(resource) }))
}

/// What a program wants done to a record of a resource.
struct Passing<'a> {
    resource: &'a ResourceConfig,
    deed: Deed,
    /// The record's id; empty for one that is to be made.
    record: String,
}

/// Notes what was done. That it cannot be noted is no reason to tell a program that it was not done.
async fn note(app: &App, caller: &Caller, passing: Passing<'_>, place: Option<HeaderValue>) {
    let Passing { resource, deed, record } = passing;
    let made = place.as_ref().and_then(|place| place.to_str().ok());
    let made = made.and_then(|place| place.trim_end_matches('/').rsplit('/').next());
    let record = match record.as_str() {
        "" => made.unwrap_or_default(),
        id => id,
    };
    let record = percent_decode_str(record).decode_utf8_lossy();
    if let Err(error) = app.changes.note_passed(caller, resource, deed, &record).await {
        tracing::error!(%error, "what a program did is not in the history");
    }
}

impl<'a> Place<'a> {
    /// What will have been done when the backend says yes, where that belongs into the history.
    fn deed(&self, request: &Request) -> Option<Passing<'a>> {
        let Mount::Resource(resource) = self.mount else { return None };
        let deed = match *request.method() {
            Method::POST => Deed::Create,
            Method::PUT | Method::PATCH => Deed::Update,
            Method::DELETE => Deed::Delete,
            _ => return None,
        };
        let last = request.uri().path().trim_end_matches('/').rsplit('/').next();
        let record = last.filter(|_| deed != Deed::Create).unwrap_or_default().to_owned();
        Some(Passing { resource, deed, record })
    }

    /// What is to be remembered, or recalled in an outage: what is read of a resource.
    fn question(&self, caller: &Caller, request: &Request) -> Option<Question> {
        match (&self.mount, request.method()) {
            (Mount::Resource(_), &Method::GET | &Method::HEAD) => {
                let forwarded = &self.backend.config().forward_headers;
                Question::of(caller, request.uri(), request.headers(), forwarded)
            }
            _ => None,
        }
    }

    /// The call that a request becomes here.
    fn call(
        self,
        ClientAddress(client): ClientAddress,
        request: Request,
    ) -> Result<(Asked<'a>, Call)> {
        let Self { backend, path, mount } = self;
        refuse_upgrade(request.headers())?;
        refuse_code(request.headers())?;
        let (parts, body) = request.into_parts();
        let asked = Asked {
            backend,
            method: parts.method.clone(),
            streams: backend.streams(&path),
            public: backend.is_public(&path),
            mount,
        };
        let call = Call {
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            client: Some(client),
            ..Call::new(parts.method, path)
        };
        Ok((asked, call))
    }
}

/// 405 with the methods that there are; or just those, for who asked.
fn not_taken(asked: &Method, methods: &[Method]) -> Result<Response<Body>> {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let allow = HeaderValue::try_from(names.join(", ")).map_err(Error::internal)?;
    if asked == Method::OPTIONS {
        return Ok((StatusCode::NO_CONTENT, [(ALLOW, allow)]).into_response());
    }
    let error = Error::new(Kind::MethodNotAllowed, "This address does not take that method.");
    let mut response = error.into_response();
    response.headers_mut().insert(ALLOW, allow);
    Ok(response)
}

/// Connections are not handed over. An offer of another HTTP version may be passed by (RFC 9110
/// §7.8); a client that wants a WebSocket is told.
fn refuse_upgrade(headers: &HeaderMap) -> Result<()> {
    let values = |name| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let wants = |token: &str| {
        let token = token.trim().to_ascii_lowercase();
        !token.is_empty() && !token.starts_with("h2c") && !token.starts_with("http/")
    };
    let upgrades = values(CONNECTION)
        .flat_map(|names| names.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case("upgrade"));
    if upgrades && values(UPGRADE).flat_map(|offers| offers.split(',')).any(wants) {
        return Err(Error::new(
            Kind::NotImplemented,
            "WebSockets and other upgrades are not passed on here. Use an event stream.",
        ));
    }
    Ok(())
}

/// A backend's answers are data. On our origin they must not become programs.
fn refuse_code(headers: &HeaderMap) -> Result<()> {
    let purpose = headers.get("sec-fetch-dest").and_then(|value| value.to_str().ok());
    if purpose.is_some_and(|purpose| CODE.contains(&purpose)) {
        return Err(Error::forbidden("What a backend answers is not run as a program here."));
    }
    Ok(())
}

/// One group of `GET /api/brain`.
#[derive(Serialize)]
struct CatalogueGroup<'a> {
    group: &'a str,
    title: &'a str,
    resources: Vec<CatalogueEntry<'a>>,
}

#[derive(Serialize)]
struct CatalogueEntry<'a> {
    name: &'a str,
    title: &'a str,
    path: String,
    actions: Vec<Action>,
}

/// What this caller may use.
fn catalogue(app: &App, caller: &Caller, request: &Request) -> Result<Response<Body>> {
    let method = request.method();
    let taken = [Method::GET, Method::HEAD, Method::OPTIONS];
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_taken(method, &taken);
    }
    let mut groups = Vec::new();
    for group in app.resources.groups() {
        let mut resources = Vec::new();
        for resource in &group.resources {
            let actions: Vec<Action> = access::of(resource, caller).collect();
            let is_served = app.backends.find(&resource.backend)?.serves(caller, request.headers());
            if is_served && !actions.is_empty() {
                resources.push(CatalogueEntry {
                    name: &resource.name,
                    title: &resource.title,
                    path: address_of(resource),
                    actions,
                });
            }
        }
        if !resources.is_empty() {
            groups.push(CatalogueGroup { group: &group.name, title: &group.title, resources });
        }
    }
    if groups.is_empty() {
        caller.known()?;
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(groups)).into_response())
}
