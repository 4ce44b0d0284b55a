//! The pass-through routes. Bodies stream; nothing is parsed.

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONNECTION, UPGRADE},
    },
    response::IntoResponse,
    routing::{MethodFilter, MethodRouter, any, get, on},
};
use serde::Serialize;

use super::{answer::Asked, last_good::Question};
use crate::{
    backend::Call,
    config::{Action, ResourceConfig},
    error::{Error, Kind, Result},
    server::{client::ClientAddress, state::App},
    session::Caller,
};

const PROXY: &str = "/api/proxy";
/// What a browser says it fetches when it is going to run it.
const CODE: [&str; 6] =
    ["script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"];

/// `/api/proxy/{*path}` and `/api/brain/{group}/{name}[/{id}]`.
pub fn routes() -> Router<App> {
    Router::new()
        .route(PROXY, forwarded())
        .route("/api/proxy/", forwarded())
        .route("/api/proxy/{*path}", forwarded())
        .route("/api/brain", get(catalogue))
        .route("/api/brain/{group}/{name}", any(collection))
        .route("/api/brain/{group}/{name}/", any(collection))
        .route("/api/brain/{group}/{name}/{id}", any(item))
        .route("/api/brain/{group}/{name}/{id}/", any(item))
}

/// Every method that has a meaning to a backend. The rest is 405.
fn forwarded() -> MethodRouter<App> {
    let methods = [
        MethodFilter::HEAD,
        MethodFilter::POST,
        MethodFilter::PUT,
        MethodFilter::PATCH,
        MethodFilter::DELETE,
        MethodFilter::OPTIONS,
    ];
    on(methods.into_iter().fold(MethodFilter::GET, MethodFilter::or), forward)
}

/// Forwards a request to the `[proxy]` backend under the path it came with.
async fn forward(
    State(app): State<App>,
    client: ClientAddress,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let proxy = app.config.proxy.as_ref().ok_or_else(|| {
        Error::not_found("No backend is set up here. Add a [proxy] table to Leptos.toml.")
    })?;
    // The raw path, as the client wrote it: decoding and encoding it again would change it.
    let path = match request.uri().path().strip_prefix(PROXY) {
        None | Some("") => "/".to_owned(),
        Some(path) => path.to_owned(),
    };
    let place = Place { backend: &proxy.backend, path, mount: PROXY.to_owned() };
    pass(&app, &place, client, &caller, request).await
}

/// The list of a resource, and a new record in it.
async fn collection(
    State(app): State<App>,
    Path((group, name)): Path<(String, String)>,
    client: ClientAddress,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let resource = app.resources.find(&group, &name)?;
    let place = Place {
        backend: &resource.backend,
        path: app.resources.list_path(resource),
        mount: mount(resource),
    };
    let taken = [(Method::GET, Action::List), (Method::POST, Action::Create)];
    act(&app, resource, &taken, &place, client, &caller, request).await
}

/// One record of a resource.
async fn item(
    State(app): State<App>,
    Path((group, name, id)): Path<(String, String, String)>,
    client: ClientAddress,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let resource = app.resources.find(&group, &name)?;
    let place = Place {
        backend: &resource.backend,
        path: app.resources.item_path(resource, &id),
        mount: mount(resource),
    };
    let taken = [
        (Method::GET, Action::Read),
        (Method::PUT, Action::Update),
        (Method::PATCH, Action::Update),
        (Method::DELETE, Action::Delete),
    ];
    act(&app, resource, &taken, &place, client, &caller, request).await
}

/// Where a request goes.
struct Place<'a> {
    backend: &'a str,
    path: String,
    /// Where the backend's own addresses are on this server.
    mount: String,
}

/// The backend's addresses lead to the resource that this one is about.
fn mount(resource: &ResourceConfig) -> String {
    format!("/api/brain/{}/{}", resource.group, resource.name)
}

/// Does what the resource declares for the method; anything else is 405 with what there is.
async fn act(
    app: &App,
    resource: &ResourceConfig,
    taken: &[(Method, Action)],
    place: &Place<'_>,
    client: ClientAddress,
    caller: &Caller,
    request: Request,
) -> Result<Response<Body>> {
    let declared = |action: &Action| resource.actions.contains(action);
    let asked = match *request.method() {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    if !taken.iter().any(|(method, action)| method == asked && declared(action)) {
        let methods = taken.iter().filter(|(_, action)| declared(action));
        return not_taken(asked, methods.map(|(method, _)| method));
    }
    if asked != Method::GET {
        return pass(app, place, client, caller, request).await;
    }
    let target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    let question = Question::of(caller, target, request.headers());
    let is_get = request.method() == Method::GET;
    let answer = pass(app, place, client, caller, request).await;
    match (answer, question) {
        (Ok(answer), Some(question)) if answer.status() == StatusCode::OK && is_get => {
            Ok(app.last_good.watch(question, answer))
        }
        (Ok(answer), Some(question)) if is_out(answer.status()) => {
            Ok(app.last_good.recall(&question).unwrap_or(answer))
        }
        (Err(error), Some(question)) if is_trouble(&error) => {
            app.last_good.recall(&question).ok_or(error)
        }
        (answer, _) => answer,
    }
}

fn is_out(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502..=504)
}

fn is_trouble(error: &Error) -> bool {
    matches!(error.kind(), Kind::Unavailable | Kind::BadGateway | Kind::Timeout)
}

fn not_taken<'a>(
    asked: &Method,
    methods: impl Iterator<Item = &'a Method>,
) -> Result<Response<Body>> {
    let mut names: Vec<&str> = methods.map(Method::as_str).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    let allow = HeaderValue::try_from(names.join(", ")).map_err(Error::internal)?;
    if asked == Method::OPTIONS {
        return Ok((StatusCode::NO_CONTENT, [(ALLOW, allow)]).into_response());
    }
    let error = Error::new(Kind::MethodNotAllowed, "This collection does not take that method.");
    let mut response = error.into_response();
    response.headers_mut().insert(ALLOW, allow);
    Ok(response)
}

async fn pass(
    app: &App,
    place: &Place<'_>,
    ClientAddress(client): ClientAddress,
    caller: &Caller,
    request: Request,
) -> Result<Response<Body>> {
    refuse_upgrade(request.headers())?;
    refuse_code(request.headers())?;
    let backend = app.backends.find(place.backend)?;
    let (parts, body) = request.into_parts();
    let call = Call {
        method: parts.method.clone(),
        path: place.path.clone(),
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
        client: Some(client),
    };
    let answer = backend.send(caller, call).await?;
    let asked = Asked { backend, method: &parts.method, path: &place.path, mount: &place.mount };
    Ok(asked.pass(answer))
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
    actions: &'a [Action],
}

/// What this caller may use.
async fn catalogue(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse> {
    let mut groups = Vec::new();
    for group in app.resources.groups() {
        let mut resources = Vec::new();
        for resource in &group.resources {
            if app.backends.find(&resource.backend)?.serves(&caller) {
                resources.push(CatalogueEntry {
                    name: &resource.name,
                    title: &resource.title,
                    path: mount(resource),
                    actions: &resource.actions,
                });
            }
        }
        if !resources.is_empty() {
            groups.push(CatalogueGroup { group: &group.name, title: &group.title, resources });
        }
    }
    if groups.is_empty() {
        caller.signed_in()?;
    }
    Ok(([(CACHE_CONTROL, "no-store")], Json(groups).into_response()))
}
