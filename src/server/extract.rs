//! axum's extractors, whose refusals are errors of ours: the same JSON or page as any other.

use axum::extract::{
    FromRequestParts,
    rejection::{PathRejection, QueryRejection},
};

use crate::error::Error;

/// What stands in the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Error))]
pub struct Path<T>(pub T);

/// What stands in the query.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Error))]
pub struct Query<T>(pub T);

impl From<PathRejection> for Error {
    fn from(cause: PathRejection) -> Self {
        Self::bad_request("The address cannot be read.").because(cause)
    }
}

impl From<QueryRejection> for Error {
    fn from(cause: QueryRejection) -> Self {
        Self::bad_request("The query of the address cannot be read.").because(cause)
    }
}
