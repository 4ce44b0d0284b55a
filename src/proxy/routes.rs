//! The pass-through routes. Bodies stream; nothing is parsed.

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    http::{
        HeaderMap, HeaderValue, Response,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    routing::get,
};

use crate::{
    backend::{Call, response_headers},
    error::{Error, Result},
    server::state::App,
    session::Caller,
};

const PROXY: &str = "/api/proxy";

/// `/api/proxy/{*path}` and `/api/brain/{group}/{name}`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/proxy/{*path}", get(forward))
        .route("/api/brain/{group}/{name}", get(list))
        .route("/api/brain/{group}/{name}/{id}", get(item))
}

/// Forwards a request to the `[proxy]` backend under the path it came with.
async fn forward(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let proxy = app.config.proxy.as_ref().ok_or_else(|| {
        Error::not_found("No backend is set up here. Add a [proxy] table to Leptos.toml.")
    })?;
    // The raw path, as the client wrote it: decoding and encoding it again would change it.
    let path = request.uri().path().strip_prefix(PROXY).unwrap_or_default().to_owned();
    pass(&app, &proxy.backend, &caller, path, request).await
}

async fn list(
    State(app): State<App>,
    Path((group, name)): Path<(String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let resource = app.resources.find(&group, &name)?;
    let path = app.resources.list_path(resource);
    pass(&app, &resource.backend, &caller, path, request).await
}

async fn item(
    State(app): State<App>,
    Path((group, name, id)): Path<(String, String, String)>,
    caller: Caller,
    request: Request,
) -> Result<Response<Body>> {
    let resource = app.resources.find(&group, &name)?;
    let path = app.resources.item_path(resource, &id);
    pass(&app, &resource.backend, &caller, path, request).await
}

async fn pass(
    app: &App,
    backend: &str,
    caller: &Caller,
    path: String,
    request: Request,
) -> Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().map(str::to_owned);
    let call = Call { method: parts.method, path, query, headers: parts.headers, body };
    let answer = app.backends.send(backend, caller, call).await?;
    let (parts, body) = answer.into_parts();
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = response_headers(&parts.headers);
    never_cached(response.headers_mut());
    Ok(response)
}

/// What a person's credentials fetched is theirs alone; a stream must not be held back either.
fn never_cached(headers: &mut HeaderMap) {
    let is_stream = headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if is_stream {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    } else {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}
