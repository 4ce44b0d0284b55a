//! One call to a backend, as a client or a room of ours asks for it.

use std::net::IpAddr;

use axum::{
    body::Body,
    http::{HeaderMap, Method},
};

/// A call before anything was added to it or taken from it.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The raw path on the backend, beginning with `/`.
    pub path: String,
    /// The raw query.
    pub query: Option<String>,
    /// The client's headers; only those on the allow-list are sent.
    pub headers: HeaderMap,
    /// Headers of ours, sent as they are.
    pub own: HeaderMap,
    /// The body, streamed.
    pub body: Body,
    /// Where the client is, for the backend's log.
    pub client: Option<IpAddr>,
}

impl Call {
    /// A call without query, headers and body.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: None,
            headers: HeaderMap::new(),
            own: HeaderMap::new(),
            body: Body::empty(),
            client: None,
        }
    }

    /// A GET without headers of its own.
    pub fn get(path: impl Into<String>, query: Option<String>) -> Self {
        Self { query, ..Self::new(Method::GET, path) }
    }
}
