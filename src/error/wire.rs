//! The part of an error that crosses the network.

use leptos::server_fn::{
    codec::JsonEncoding,
    error::{FromServerFnError, ServerFnErrorErr},
};
use serde::{Deserialize, Serialize};

/// What kind of trouble it is. The name on the wire is the `code` of an error answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request itself is wrong: 400.
    BadRequest,
    /// Nobody is signed in, or the session has ended: 401.
    Unauthenticated,
    /// Signed in, but not allowed: 403.
    Forbidden,
    /// There is no such thing, or it is not the caller's to see: 404.
    NotFound,
    /// The thing exists, but not for this method: 405.
    MethodNotAllowed,
    /// It clashes with what is there now: 409.
    Conflict,
    /// The body is larger than allowed: 413.
    TooLarge,
    /// The body is of a kind that is not taken: 415.
    UnsupportedMedia,
    /// Too many requests in too short a time: 429.
    TooManyRequests,
    /// A defect or fault of ours: 500.
    Internal,
    /// Not something this server does: 501.
    NotImplemented,
    /// A backend answered in a way that cannot be used: 502.
    BadGateway,
    /// A backend, or our own storage, cannot be reached: 503.
    Unavailable,
    /// A backend did not answer in time: 504.
    Timeout,
}

/// An error as a browser or an API client sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}")]
pub struct Failure {
    /// A sentence for a person: what happened and what to do.
    pub error: String,
    /// The kind, for programs.
    pub code: Kind,
}

impl Failure {
    /// A failure with this sentence.
    pub fn new(code: Kind, error: impl Into<String>) -> Self {
        Self { error: error.into(), code }
    }
}

impl FromServerFnError for Failure {
    type Encoder = JsonEncoding;

    fn from_server_fn_error(value: ServerFnErrorErr) -> Self {
        match value {
            ServerFnErrorErr::Request(_) => Self::new(
                Kind::Unavailable,
                "Breezeway cannot be reached. Check your connection and try again.",
            ),
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => {
                Self::new(Kind::BadRequest, "The request was incomplete. Reload the page.")
            }
            _ => Self::new(Kind::Internal, "Something went wrong. Try again."),
        }
    }
}
