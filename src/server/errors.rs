//! The boundary where errors become answers: logged once, then a page for people or JSON for
//! programs.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::{html, observe::RequestId, state::App};
use crate::{
    error::{Error, Failure, Kind},
    ui::error_page::ErrorPage,
};

/// A plain answer of the right status that carries the error to [`render`].
impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status(self.kind()).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// The HTTP status of a kind of trouble.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::BadRequest => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::BadGateway => StatusCode::BAD_GATEWAY,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Writes an error to the log: our own faults loudly, what clients did wrong quietly.
pub fn log(error: &Error) {
    match status(error.kind()).as_u16() {
        500 => tracing::error!(%error, "internal error"),
        501.. => tracing::warn!(%error, "trouble behind us"),
        _ => tracing::debug!(%error, "request refused"),
    }
}

/// An error answer of ours, as JSON.
#[derive(Serialize)]
struct ErrorBody {
    #[serde(flatten)]
    failure: Failure,
    request_id: String,
}

/// Middleware: turns the errors that handlers answered into pages or JSON.
pub async fn render(State(app): State<App>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let request_id = parts.extensions.get::<RequestId>().copied();
    let head = wants_html(&parts).then(|| parts.clone());
    let response = next.run(Request::from_parts(parts, body)).await;
    let response = named_here(response);
    let Some(error) = response.extensions().get::<Arc<Error>>().cloned() else { return response };
    log(&error);
    let request_id = request_id.map(|id| id.to_string()).unwrap_or_default();
    let fresh = match head {
        Some(head) => page(&app, head, &error, request_id).await,
        None => json(&error, request_id),
    };
    with_headers_of(fresh, response.headers())
}

/// A 405 that axum answered by itself gets our body too.
fn named_here(response: Response) -> Response {
    let bare = response.status() == StatusCode::METHOD_NOT_ALLOWED
        && !response.headers().contains_key(header::CONTENT_TYPE)
        && response.extensions().get::<Arc<Error>>().is_none();
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

async fn page(app: &App, head: Parts, error: &Error, request_id: String) -> Response {
    let (kind, message) = (error.kind(), error.message().to_owned());
    let code = status(kind);
    let page = move || ErrorPage(kind, code.as_u16(), message.clone(), request_id.clone());
    html::page(app, head, code, page).await
}

fn json(error: &Error, request_id: String) -> Response {
    let body = ErrorBody { failure: error.to_failure(), request_id };
    (status(error.kind()), Json(body)).into_response()
}

/// Keeps what the handler said beside its error: cookies, `Allow`, `Retry-After`.
fn with_headers_of(mut response: Response, headers: &HeaderMap) -> Response {
    for name in [header::SET_COOKIE, header::ALLOW, header::RETRY_AFTER] {
        for value in headers.get_all(&name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
