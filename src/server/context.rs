//! What server functions and pages find in their Leptos context.

use axum::http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use leptos::prelude::*;
use leptos_axum::{ResponseOptions, extract};
use tower_sessions::Session;

use super::{errors, state::App};
use crate::{
    auth::service::Hop,
    error::{Error, Failure, Result},
    session::Caller,
};

/// The services.
pub fn app() -> App {
    expect_context::<App>()
}

/// Who the request acts for.
pub fn caller() -> Caller {
    with_parts(|parts| parts.extensions.get().cloned()).unwrap_or(Caller::Nobody)
}

/// The request's session, signed in or not.
pub async fn session() -> Result<Session> {
    extract::<Session>().await.map_err(|_| Error::internal("a request carries no session"))
}

/// Something of the request's head, which is not copied for it: pages look at it a dozen times.
#[expect(clippy::expect_used, reason = "as `expect_context`: pages are rendered for a request")]
pub fn with_parts<T>(look: impl FnOnce(&Parts) -> T) -> T {
    with_context(look).expect("every page and server function has a request")
}

/// The boundary of a server function: logs an error once, sets its status, and gives what may
/// leave the server.
pub fn failing<T>(result: Result<T>) -> Result<T, Failure> {
    result.map_err(|error| {
        report(&error);
        error.to_failure()
    })
}

/// Logs an error once and sets its status on the answer.
pub fn report(error: &Error) -> StatusCode {
    let status = errors::status(error.kind());
    set_status(status);
    errors::log(error);
    status
}

fn set_status(status: StatusCode) {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.set_status(status);
    }
}

/// Sends a browser on, whether it came by a form or by an island, with the hop's cookies.
pub fn follow(hop: Hop) {
    let response = expect_context::<ResponseOptions>();
    for cookie in hop.cookies {
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            response.append_header(header::SET_COOKIE, cookie);
        }
    }
    if HeaderValue::try_from(&hop.location).is_ok() {
        leptos_axum::redirect(&hop.location);
    }
}

/// Sends a browser that came by a plain form on to `path`; an island reads the answer instead.
pub fn follow_form(path: &str) {
    let accepts = with_parts(|parts| parts.headers.get(header::ACCEPT).cloned());
    let is_form = accepts
        .as_ref()
        .and_then(|accepts| accepts.to_str().ok())
        .is_some_and(|accepts| accepts.contains("text/html"));
    if is_form && HeaderValue::try_from(path).is_ok() {
        leptos_axum::redirect(path);
    }
}

/// Sets a header of the answer.
pub fn set_header(name: HeaderName, value: HeaderValue) {
    if let Some(response) = use_context::<ResponseOptions>() {
        response.insert_header(name, value);
    }
}
