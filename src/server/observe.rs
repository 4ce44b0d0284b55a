//! A name for every request, in the log and in the answer.

use std::fmt;

use axum::{
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    response::Response,
};
use tokio::time::Instant;
use tracing::{Level, Span, enabled};
use uuid::Uuid;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Names one request. It travels as a header, so that backends and pages find it too.
#[derive(Debug, Clone)]
pub struct RequestId(HeaderValue);

impl RequestId {
    fn new() -> Self {
        let mut digits = [0; 32];
        let digits = Uuid::now_v7().simple().encode_lower(&mut digits);
        Self(HeaderValue::from_str(digits).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The name of the request with these headers.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        headers.get(HEADER).cloned().map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_str().unwrap_or_default())
    }
}

/// A request on its way to an answer.
pub struct Watched {
    /// Its name.
    pub id: RequestId,
    /// What everything that is logged about it is logged in, when somebody wants to know it all.
    pub span: Span,
    told: Option<Told>,
}

/// What the log says when the answer is there.
struct Told {
    method: Method,
    path: String,
    began: Instant,
}

impl Watched {
    /// Gives the request its id, whatever name a client gave it.
    pub fn begin(request: &mut Request) -> Self {
        let id = RequestId::new();
        request.headers_mut().insert(HEADER, id.0.clone());
        let told = enabled!(Level::DEBUG).then(|| Told {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            began: Instant::now(),
        });
        Self { span: tracing::debug_span!("request", %id), id, told }
    }

    /// Names the request in its answer and writes one line about it. The query stays out of the
    /// log: it may hold codes and search words.
    pub fn end(self, response: &mut Response) {
        if let Some(Told { method, path, began }) = self.told {
            let (status, took) = (response.status().as_u16(), began.elapsed());
            self.span.in_scope(|| tracing::debug!(%method, path, status, ?took, "answered"));
        }
        response.headers_mut().insert(HEADER, self.id.0);
    }
}
