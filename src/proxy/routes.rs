//! The pass-through routes. Bodies stream, and nothing is parsed here.

use axum::{
    Json,
    body::Body,
    extract::Request,
    http::{
        HeaderMap, HeaderValue, Method, Response, StatusCode,
        header::{ALLOW, CACHE_CONTROL, CONNECTION, UPGRADE},
    },
    response::IntoResponse,
};
use serde::Serialize;

use super::{
    answer::{Asked, Mount, address_of},
    last_good::Question,
};
use crate::{
    backend::Call,
    config::{Action, ResourceConfig},
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
/// What a browser says it fetches when it is going to run it.
const CODE: [&str; 6] =
    ["script", "worker", "sharedworker", "serviceworker", "audioworklet", "paintworklet"];

/// Whether a path is one of these.
pub fn takes(path: &str) -> bool {
    [PROXY, BRAIN].iter().any(|place| below(path, place).is_some())
}

/// Who asks, and from where.
#[derive(Clone, Copy)]
struct Visit<'a> {
    app: &'a App,
    caller: &'a Caller,
    client: ClientAddress,
}

/// `/api/proxy/{*path}`, `/api/brain`, `/api/brain/{group}/{name}[/{id}]`.
pub async fn answer(
    app: &App,
    caller: &Caller,
    client: ClientAddress,
    request: Request,
) -> Result<Response<Body>> {
    let visit = Visit { app, caller, client };
    let path = request.uri().path();
    if let Some(path) = below(path, PROXY) {
        let path = if path.is_empty() { "/".to_owned() } else { path.to_owned() };
        return forward(visit, path, request).await;
    }
    let path = below(path, BRAIN).unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path).to_owned();
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments.as_slice() {
        [] => catalogue(visit, &request),
        [group, name] => collection(visit, group, name, request).await,
        [group, name, id] if !id.is_empty() => item(visit, group, name, id, request).await,
        _ => Err(Error::not_found("There is no such collection here.")),
    }
}

/// What of `path` is below `place`: nothing at all, or something that begins with `/`.
fn below<'a>(path: &'a str, place: &str) -> Option<&'a str> {
    path.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Forwards a request to the `[proxy]` backend under the raw path it came with.
async fn forward(visit: Visit<'_>, path: String, request: Request) -> Result<Response<Body>> {
    let proxy = visit.app.config.proxy.as_ref().ok_or_else(|| {
        Error::not_found("No backend is set up here. Add a [proxy] table to Leptos.toml.")
    })?;
    if !FORWARDED.contains(request.method()) {
        return not_taken(request.method(), &FORWARDED);
    }
    let place = Place { backend: &proxy.backend, path, mount: Mount::Whole(PROXY) };
    pass(visit, place, request).await
}

/// The list of a resource, and a new record in it.
async fn collection(
    visit: Visit<'_>,
    group: &str,
    name: &str,
    request: Request,
) -> Result<Response<Body>> {
    let resources = &visit.app.resources;
    let resource = resources.find(group, name)?;
    let place = Place {
        backend: &resource.backend,
        path: resources.list_path(resource),
        mount: Mount::Resource(resource),
    };
    let taken = [(Method::GET, Action::List), (Method::POST, Action::Create)];
    act(visit, resource, &taken, place, request).await
}

/// One record of a resource. The id goes on as the client wrote it.
async fn item(
    visit: Visit<'_>,
    group: &str,
    name: &str,
    id: &str,
    request: Request,
) -> Result<Response<Body>> {
    let resources = &visit.app.resources;
    let resource = resources.find(group, name)?;
    let place = Place {
        backend: &resource.backend,
        path: resources.raw_item_path(resource, id),
        mount: Mount::Resource(resource),
    };
    let taken = [
        (Method::GET, Action::Read),
        (Method::PUT, Action::Update),
        (Method::PATCH, Action::Update),
        (Method::DELETE, Action::Delete),
    ];
    act(visit, resource, &taken, place, request).await
}

/// Where a request goes.
struct Place<'a> {
    backend: &'a str,
    path: String,
    mount: Mount<'a>,
}

/// Does what the resource declares for the method; anything else is 405 with what there is.
async fn act(
    visit: Visit<'_>,
    resource: &ResourceConfig,
    taken: &[(Method, Action)],
    place: Place<'_>,
    request: Request,
) -> Result<Response<Body>> {
    let Visit { app, caller, .. } = visit;
    let declared = |action: &Action| resource.actions.contains(action);
    let asked = match *request.method() {
        Method::HEAD => &Method::GET,
        ref method => method,
    };
    if !taken.iter().any(|(method, action)| method == asked && declared(action)) {
        let mut methods: Vec<Method> =
            taken.iter().filter(|(_, action)| declared(action)).map(|(m, _)| m.clone()).collect();
        if methods.contains(&Method::GET) {
            methods.push(Method::HEAD);
        }
        methods.push(Method::OPTIONS);
        return not_taken(asked, &methods);
    }
    if asked != Method::GET {
        return pass(visit, place, request).await;
    }
    let forwarded = &app.backends.find(place.backend)?.config().forward_headers;
    let question = Question::of(caller, request.uri(), request.headers(), forwarded);
    let is_get = request.method() == Method::GET;
    let answer = pass(visit, place, request).await;
    match (answer, question) {
        (Ok(answer), Some(question)) if is_out(answer.status()) => {
            Ok(app.last_good.recall(&question).unwrap_or(answer))
        }
        (Ok(answer), Some(question)) if is_get => Ok(app.last_good.watch(question, answer)),
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

async fn pass(
    Visit { app, caller, client: ClientAddress(client) }: Visit<'_>,
    place: Place<'_>,
    request: Request,
) -> Result<Response<Body>> {
    refuse_upgrade(request.headers())?;
    refuse_code(request.headers())?;
    let backend = app.backends.find(place.backend)?;
    let (parts, body) = request.into_parts();
    let asked = Asked {
        backend,
        method: parts.method.clone(),
        streams: backend.streams(&place.path),
        public: backend.is_public(&place.path),
        mount: place.mount,
    };
    let call = Call {
        method: parts.method,
        path: place.path,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
        client: Some(client),
    };
    Ok(asked.pass(backend.send(caller, call).await?))
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
fn catalogue(Visit { app, caller, .. }: Visit<'_>, request: &Request) -> Result<Response<Body>> {
    let method = request.method();
    let taken = [Method::GET, Method::HEAD, Method::OPTIONS];
    if !matches!(*method, Method::GET | Method::HEAD) {
        return not_taken(method, &taken);
    }
    let mut groups = Vec::new();
    for group in app.resources.groups() {
        let mut resources = Vec::new();
        for resource in &group.resources {
            if app.backends.find(&resource.backend)?.serves(caller, request.headers()) {
                resources.push(CatalogueEntry {
                    name: &resource.name,
                    title: &resource.title,
                    path: address_of(resource),
                    actions: &resource.actions,
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
