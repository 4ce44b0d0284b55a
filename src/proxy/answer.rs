//! A backend's answer on its way to a client.

use axum::{
    body::Body,
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
        header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    },
    response::IntoResponse,
};

use crate::{backend::Backend, config::ResourceConfig, error::Error};

const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// What was asked for, as far as the answer depends on it.
pub struct Asked<'a> {
    /// The backend that answered.
    pub backend: &'a Backend,
    /// The method.
    pub method: Method,
    /// Whether the path is one whose answers are streams, whatever type they say they are.
    pub streams: bool,
    /// Whether the path is open to everyone.
    pub public: bool,
    /// Where the backend's addresses are on this server.
    pub mount: Mount<'a>,
}

/// Where something of a backend's is on this server.
#[derive(Debug, Clone, Copy)]
pub enum Mount<'a> {
    /// All of it, below this path.
    Whole(&'static str),
    /// One collection, at its own address.
    Resource(&'a ResourceConfig),
}

impl Mount<'_> {
    /// The address here of `path` on the backend, when it has one.
    fn address(self, path: &str) -> Option<String> {
        match self {
            Self::Whole(place) => Some(format!("{place}{path}")),
            Self::Resource(resource) => {
                let rest = path.strip_prefix(resource.path.trim_end_matches('/'))?;
                let is_below = rest.is_empty() || rest.starts_with(['/', '?']);
                is_below.then(|| format!("{}{rest}", address_of(resource)))
            }
        }
    }
}

/// Where a resource is on this server.
pub fn address_of(resource: &ResourceConfig) -> String {
    format!("/api/brain/{}/{}", resource.group, resource.name)
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
        let is_stream = headers.get(CONTENT_TYPE).is_some_and(is_event_stream) || self.streams;
        if is_stream {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(BUFFERING, HeaderValue::from_static("no"));
            if self.method != Method::HEAD {
                headers.remove(CONTENT_LENGTH);
            }
        } else if !self.public {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// A redirection within the backend stays on this server; one to a place of the backend's that
    /// has no address here would only tell where the backend is.
    fn relocate(&self, headers: &mut HeaderMap) {
        let Some(location) = headers.get(LOCATION).and_then(|value| value.to_str().ok()) else {
            return;
        };
        let Some(path) = self.backend.below_base(location) else { return };
        let here = self.mount.address(path).and_then(|here| HeaderValue::try_from(here).ok());
        match here {
            Some(here) => headers.insert(LOCATION, here),
            None => headers.remove(LOCATION),
        };
    }
}

fn is_event_stream(kind: &HeaderValue) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    kind.as_bytes().get(..EVENTS.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENTS))
}
