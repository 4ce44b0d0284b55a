//! The sandbox's small endpoints: chat as plain text events, uploads, token refresh for API
//! clients, password reset, health.

use axum::{
    Json, Router,
    extract::{
        DefaultBodyLimit, Multipart, State,
        multipart::{Field, MultipartError},
        rejection::JsonRejection,
    },
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    SandboxState,
    chat::{self, Ending, ReplyError, Speaker, Tools, Turn, WireMessage},
    oauth::WEB_CLIENT,
    tokens::{TokenError, Visitor},
};

/// The largest upload.
const UPLOAD_LIMIT: usize = 64 * 1024 * 1024;

pub(super) fn routes() -> Router<SandboxState> {
    let uploads = Router::new()
        .route("/chat/extract", post(extract))
        .layer(DefaultBodyLimit::max(UPLOAD_LIMIT));
    Router::new()
        .route("/chat/completion", post(complete))
        .route("/auth/refresh", post(refresh))
        .route("/auth/password-reset", post(reset_password))
        .route("/health", get(health))
        .merge(uploads)
}

/// The answer to every path there is nothing at.
pub(super) async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Not found.")
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

// === Chat as plain text events ===

/// A question as one `message`, or a conversation as `messages`.
#[derive(Deserialize)]
struct CompletionRequest {
    message: Option<String>,
    #[serde(default)]
    messages: Vec<WireMessage>,
}

async fn complete(
    State(state): State<SandboxState>,
    visitor: Visitor,
    body: Result<Json<CompletionRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(request) = body?;
    let asked = request.message.map(|text| Turn { speaker: Speaker::Person, text });
    let turns: Vec<Turn> = request.messages.into_iter().map(Turn::from).chain(asked).collect();
    let reply = chat::reply(&state, &visitor.tenant, &turns, &Tools::default()).await?;
    let last = match reply.ending {
        Ending::Whole => Ok("data: [DONE]\n\n".to_owned()),
        Ending::Broken => chat::event(&json!({ "error": "The reply broke off." })),
        Ending::Cut => chat::dropped(),
    };
    let pieces = chat::pieces(reply.text).map(|piece| chat::event(&json!({ "text": piece })));
    Ok(chat::event_stream(pieces.chain([last]), reply.pace))
}

// === Uploads ===

/// What one part of an upload turned out to be.
#[derive(Debug, Serialize)]
struct Part {
    name: Option<String>,
    file_name: Option<String>,
    content_type: Option<String>,
    size: usize,
    sha256: String,
}

/// Reads an upload chunk by chunk and tells what arrived; nothing of it is kept.
async fn extract(_visitor: Visitor, mut upload: Multipart) -> Result<Json<Value>, ApiError> {
    let mut parts = Vec::new();
    while let Some(field) = upload.next_field().await? {
        parts.push(read_part(field).await?);
    }
    Ok(Json(json!({ "parts": parts })))
}

async fn read_part(mut field: Field<'_>) -> Result<Part, MultipartError> {
    let mut size = 0;
    let mut hash = Sha256::new();
    while let Some(chunk) = field.chunk().await? {
        size += chunk.len();
        hash.update(&chunk);
    }
    Ok(Part {
        name: field.name().map(str::to_owned),
        file_name: field.file_name().map(str::to_owned),
        content_type: field.content_type().map(str::to_owned),
        size,
        sha256: hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

// === Accounts ===

#[derive(Deserialize)]
struct RefreshRequest {
    refresh_token: String,
}

/// New tokens for API clients that hold a refresh token but no client secret.
async fn refresh(
    State(state): State<SandboxState>,
    body: Result<Json<RefreshRequest>, JsonRejection>,
) -> Result<Json<Value>, ApiError> {
    let Json(request) = body?;
    let tokens = state.tokens.refresh(WEB_CLIENT, &request.refresh_token, None).await?;
    Ok(Json(json!({
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "expires_in": tokens.expires_in,
    })))
}

#[derive(Deserialize)]
struct ResetRequest {
    #[serde(default)]
    email: String,
}

/// Answers the same whether or not the address is known, so that nobody can find out who is.
async fn reset_password(
    body: Result<Json<ResetRequest>, JsonRejection>,
) -> Result<Response, ApiError> {
    let Json(request) = body?;
    if !looks_like_an_address(&request.email) {
        let errors = Json(json!({ "email": ["Enter a valid email address."] }));
        return Ok((StatusCode::BAD_REQUEST, errors).into_response());
    }
    let detail = "If the address belongs to an account, a message is on its way. \
                  (This is a demo: no message is sent.)";
    Ok((StatusCode::ACCEPTED, Json(json!({ "detail": detail }))).into_response())
}

fn looks_like_an_address(text: &str) -> bool {
    let well_formed = |name: &str, domain: &str| {
        let (host, top) = domain.rsplit_once('.').unwrap_or_default();
        !name.is_empty() && !host.is_empty() && top.len() >= 2 && !domain.contains('@')
    };
    !text.contains(char::is_whitespace)
        && text.split_once('@').is_some_and(|(name, domain)| well_formed(name, domain))
}

/// An error in Django REST framework's form.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    detail: String,
}

impl ApiError {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        Self::new(rejection.status(), rejection.body_text())
    }
}

impl From<MultipartError> for ApiError {
    fn from(error: MultipartError) -> Self {
        Self::new(error.status(), error.body_text())
    }
}

impl From<ReplyError> for ApiError {
    fn from(error: ReplyError) -> Self {
        error.log();
        let status = match error {
            ReplyError::NothingAsked => StatusCode::BAD_REQUEST,
            ReplyError::AskedToBeBusy => StatusCode::TOO_MANY_REQUESTS,
            ReplyError::AskedToFail => StatusCode::SERVICE_UNAVAILABLE,
            ReplyError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::InvalidGrant(_) | TokenError::InvalidScope => {
                Self::new(StatusCode::UNAUTHORIZED, "Token is invalid or expired")
            }
            TokenError::Storage(_) | TokenError::Random(_) | TokenError::Signing(_) => {
                tracing::error!(%error, "the sandbox could not refresh a token");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The sandbox failed. Try again.")
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "detail": self.detail }))).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_other_text() {
        for good in ["ada@harbor.example", "a.b+c@x.y.zz"] {
            assert!(looks_like_an_address(good), "{good}");
        }
        for bad in ["", "ada", "@harbor.example", "ada@harbor", "a b@x.yy", "a@b@c.dd", "a@.dd"] {
            assert!(!looks_like_an_address(bad), "{bad}");
        }
    }
}
