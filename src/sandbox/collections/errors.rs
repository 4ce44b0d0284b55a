//! What the collections answer when they refuse. Inside the room, return the named constructors:
//!
//! ```text
//! Err(Refusal::not_found(collection))
//! Err(Refusal::invalid(field_errors))
//! ```

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{schema::Collection, store::ChangeError, validate::FieldErrors};

/// A refused request, in Django REST framework's form.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    status: StatusCode,
    allow: Option<&'static str>,
    body: Value,
}

impl Refusal {
    /// 404: there is no such collection.
    pub(super) fn no_collection() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Not found.")
    }

    /// 404: there is no such record.
    pub(super) fn not_found(collection: &Collection) -> Self {
        let sentence = format!("No {} matches the given query.", collection.singular);
        Self::detail(StatusCode::NOT_FOUND, &sentence)
    }

    /// 404: the list has fewer pages.
    pub(super) fn invalid_page() -> Self {
        Self::detail(StatusCode::NOT_FOUND, "Invalid page.")
    }

    /// 400: some values do not fit.
    pub(super) fn invalid(errors: FieldErrors) -> Self {
        Self { status: StatusCode::BAD_REQUEST, allow: None, body: json!(errors) }
    }

    /// 400: the body is not JSON.
    pub(super) fn malformed(error: &serde_json::Error) -> Self {
        Self::detail(StatusCode::BAD_REQUEST, &format!("JSON parse error - {error}"))
    }

    /// 400: the body is JSON, but not an object.
    pub(super) fn not_an_object(found: &Value) -> Self {
        let found = match found {
            Value::Array(_) => "list",
            Value::String(_) => "str",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::Null | Value::Object(_) => "NoneType",
        };
        let sentence = format!("Invalid data. Expected a dictionary, but got {found}.");
        Self::invalid(FieldErrors::from([("non_field_errors".to_owned(), vec![sentence])]))
    }

    /// 415: the body is something else.
    pub(super) fn unsupported(media_type: &str) -> Self {
        let sentence = format!("Unsupported media type \"{media_type}\" in request.");
        Self::detail(StatusCode::UNSUPPORTED_MEDIA_TYPE, &sentence)
    }

    /// 403: signed in, but not for this.
    pub(super) fn forbidden() -> Self {
        let sentence = "You do not have permission to perform this action.";
        Self::detail(StatusCode::FORBIDDEN, sentence)
    }

    /// 405, with what is allowed.
    pub(super) fn not_allowed(method: &str, allow: &'static str) -> Self {
        let body = json!({ "detail": format!("Method \"{method}\" not allowed.") });
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), body }
    }

    /// 412: somebody else changed it first.
    fn stale() -> Self {
        let sentence = "The record has changed since you read it. Read it again, then repeat \
                        your change.";
        Self::detail(StatusCode::PRECONDITION_FAILED, sentence)
    }

    /// Why a change did not happen.
    pub(super) fn unchanged(collection: &Collection, error: ChangeError) -> Self {
        match error {
            ChangeError::Missing => Self::not_found(collection),
            ChangeError::Stale => Self::stale(),
            ChangeError::Store(error) => error.into(),
        }
    }

    fn detail(status: StatusCode, sentence: &str) -> Self {
        Self { status, allow: None, body: json!({ "detail": sentence }) }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        tracing::error!(%error, "the sandbox's collections could not be read or written");
        Self::detail(StatusCode::INTERNAL_SERVER_ERROR, "A server error occurred.")
    }
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::invalid(errors)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let allow = self.allow.map(|allow| [(header::ALLOW, allow)]);
        (self.status, allow, Json(self.body)).into_response()
    }
}
