//! A name for every request, in the log and in the answer.

use std::fmt;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, Method},
    response::Response,
};
use tokio::time::Instant;
use tracing::Span;
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(Uuid);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// A request on its way to an answer.
pub struct Watched {
    /// Its name.
    pub id: RequestId,
    /// What everything that is logged about it is logged in.
    pub span: Span,
    method: Method,
    path: String,
    began: Instant,
}

impl Watched {
    /// Gives the request its id.
    pub fn begin(request: &mut Request) -> Self {
        let id = RequestId(Uuid::now_v7());
        if let Ok(name) = HeaderValue::try_from(id.to_string()) {
            request.headers_mut().insert(HEADER, name);
        }
        Self {
            id,
            span: tracing::info_span!("request", %id),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
        }
    }

    /// Names the request in its answer and writes one line about it. The query stays out of the
    /// log: it may hold codes and search words.
    pub fn end(self, response: &mut Response) {
        let Self { id, span, method, path, began } = self;
        let (status, took) = (response.status().as_u16(), began.elapsed());
        span.in_scope(|| tracing::debug!(%method, path, status, ?took, "answered"));
        if let Ok(id) = HeaderValue::try_from(id.to_string()) {
            response.headers_mut().insert(HEADER, id);
        }
    }
}
