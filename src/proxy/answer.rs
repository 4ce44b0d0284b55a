//! A backend's answer on its way to a client.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    response::IntoResponse,
};

use crate::{backend::Backend, error::Error};

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What was asked for, as far as the answer depends on it.
pub struct Asked<'a> {
    /// The backend that answered.
    pub backend: &'a Backend,
    /// The method.
    pub method: &'a Method,
    /// The path on the backend.
    pub path: &'a str,
    /// Where the backend's base is on this server: `/api/proxy`.
    pub mount: &'a str,
}

impl Asked<'_> {
    /// The answer as the client may see it: allowed headers, no cookies, no detail of a failure, and
    /// nothing that anybody may store or hold back.
    pub fn pass(&self, answer: Response<Body>) -> Response<Body> {
        let (head, body) = answer.into_parts();
        let mut headers = self.backend.exposed(&head.headers);
        self.relocate(&mut headers);
        if head.status.is_server_error() && !self.backend.config().show_errors {
            return self.failure(head.status, &headers);
        }
        self.set_caching(&mut headers);
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = headers;
        response
    }

    /// A failure of the backend in words of ours, with its status.
    fn failure(&self, status: StatusCode, theirs: &HeaderMap) -> Response<Body> {
        let error = Error::from_status(
            status.as_u16(),
            "The backend has trouble right now. Try again in a moment.",
        )
        .because(format!("backend {} answered {status}", self.backend.config().name));
        let mut response = error.into_response();
        if let Some(wait) = theirs.get(RETRY_AFTER) {
            response.headers_mut().insert(RETRY_AFTER, wait.clone());
        }
        response
    }

    /// A stream must not be held back. What somebody's credentials fetched is theirs alone; what is
    /// open to everyone is cached as the backend says.
    fn set_caching(&self, headers: &mut HeaderMap) {
        let is_stream = headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
            || self.backend.streams(self.path);
        if is_stream {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(BUFFERING, HeaderValue::from_static("no"));
            if *self.method != Method::HEAD {
                headers.remove(CONTENT_LENGTH);
            }
        } else if !self.backend.is_public(self.path) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// A redirection within the backend stays on this server.
    fn relocate(&self, headers: &mut HeaderMap) {
        let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
            return;
        };
        let below = self.backend.below_base(location);
        let here =
            below.and_then(|path| HeaderValue::try_from(format!("{}{path}", self.mount)).ok());
        if let Some(here) = here {
            headers.insert(LOCATION, here);
        }
    }
}
