//! The boundary where errors become answers: logged once, then a page for people or JSON for
//! programs.

use std::{fmt::Display, sync::Arc};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use leptos::server_fn::error::SERVER_FN_ERROR_HEADER;
use serde::Serialize;

use super::{html, observe::RequestId, state::App};
use crate::{
    error::{Error, Failure, Kind},
    ui::error_page::ErrorPage,
};

/// More than any error of a server function, in bytes.
const LARGEST_FAILURE: usize = 1 << 16;

/// A plain answer of the right status that carries the error to [`render`].
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = StatusCode::from_u16(self.status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            .into_response();
        if let Some(wait) = self.retry_after() {
            let seconds = HeaderValue::from(wait.as_secs().max(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The HTTP status of a kind of trouble.
pub fn status(kind: Kind) -> StatusCode {
    StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Writes an error to the log: our own faults loudly, what clients did wrong quietly.
pub fn log(error: &Error) {
    log_named(error, &"");
}

fn log_named(error: &Error, id: &dyn Display) {
    match (error.kind(), error.status()) {
        (Kind::Internal, _) => tracing::error!(%error, %id, "internal error"),
        (Kind::NotImplemented, _) | (_, ..=499) => tracing::debug!(%error, %id, "request refused"),
        _ => tracing::warn!(%error, %id, "trouble behind us"),
    }
}

/// An error answer of ours, as JSON.
#[derive(Serialize)]
struct ErrorBody {
    #[serde(flatten)]
    failure: Failure,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    request_id: String,
}

/// What is known of a request when its answer turns out to be an error.
pub struct Asker {
    id: RequestId,
    /// Only of one that wants a page.
    head: Option<Parts>,
}

impl Asker {
    /// Who sent `request`, which is called `id`.
    pub fn of(request: Request, id: RequestId) -> (Self, Request) {
        let (parts, body) = request.into_parts();
        let head = wants_html(&parts).then(|| parts.clone());
        (Self { id, head }, Request::from_parts(parts, body))
    }
}

/// Whether `response` is an error that [`render`] has yet to put into words.
pub fn is_error(response: &Response) -> bool {
    response.extensions().get::<Arc<Error>>().is_some()
}

/// Turns an error that a handler answered into a page or JSON. The page knows who is signed in when
/// the answer carries its [`Caller`].
pub async fn render(app: &App, asker: Asker, response: Response) -> Response {
    let Some(error) = response.extensions().get::<Arc<Error>>().cloned() else { return response };
    log_named(&error, &asker.id);
    let request_id = asker.id.to_string();
    let fresh = match asker.head {
        Some(mut head) => {
            head.extensions.extend(response.extensions().clone());
            page(app, head, &error, response.status(), request_id).await
        }
        None => json(&error, response.status(), request_id),
    };
    with_headers_of(fresh, response.headers())
}

/// Leptos answers 500 to arguments it cannot read, which are the client's mistake.
pub async fn of_server_function(response: Response) -> Response {
    let is_ours = response.headers().contains_key(SERVER_FN_ERROR_HEADER);
    if !is_ours || response.status() != StatusCode::INTERNAL_SERVER_ERROR {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let body = to_bytes(body, LARGEST_FAILURE).await.unwrap_or_default();
    if let Ok(failure) = serde_json::from_slice::<Failure>(&body) {
        parts.status = status(failure.code);
    }
    Response::from_parts(parts, Body::from(body))
}

/// A 405 that axum answered by itself gets our body too.
pub fn named_here(response: Response) -> Response {
    let bare = response.status() == StatusCode::METHOD_NOT_ALLOWED
        && !response.headers().contains_key(header::CONTENT_TYPE)
        && !is_error(&response);
    if !bare {
        return response;
    }
    let error = Error::new(Kind::MethodNotAllowed, "This address does not take that method.");
    with_headers_of(error.into_response(), response.headers())
}

fn wants_html(head: &Parts) -> bool {
    let accepts_html = head
        .headers
        .get(header::ACCEPT)
        .and_then(|accepts| accepts.to_str().ok())
        .is_some_and(|accepts| accepts.contains("text/html"));
    accepts_html && !head.uri.path().starts_with("/api/")
}

async fn page(
    app: &App,
    head: Parts,
    error: &Error,
    code: StatusCode,
    request_id: String,
) -> Response {
    let (kind, message) = (error.kind(), error.message().to_owned());
    let page = move || ErrorPage(kind, code.as_u16(), message.clone(), request_id.clone());
    html::page(app, head, code, page).await
}

fn json(error: &Error, code: StatusCode, request_id: String) -> Response {
    let (detail, field) = (error.detail().map(str::to_owned), error.field().map(str::to_owned));
    let body = ErrorBody { failure: error.to_failure(), detail, field, request_id };
    (code, Json(body)).into_response()
}

/// Keeps what the handler said beside its error: cookies, `Allow`, `Retry-After`, and the names of
/// what was stored all the same.
fn with_headers_of(mut response: Response, headers: &HeaderMap) -> Response {
    for (name, value) in headers {
        let is_ours = name.as_str().starts_with("breezeway-");
        if is_ours || [header::SET_COOKIE, header::ALLOW, header::RETRY_AFTER].contains(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
