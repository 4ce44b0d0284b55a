//! Drupal's chat endpoint, as its `ai_chatbot` module behaves behind a bearer token.
//!
//! The CSRF token is made from a seed that lives in Drupal's own session, so the cookie that came
//! with the token must come back with it. A caller without the cookie gets a fresh seed each time,
//! which no token fits; that is the mistake this endpoint is here to catch.

use std::{io, iter};

use ammonia::clean;
use axum::{
    Json, Router,
    extract::{Query, State, rejection::JsonRejection},
    http::{HeaderMap, StatusCode, header},
    response::{AppendHeaders, IntoResponse, Response},
    routing::post,
};
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use pulldown_cmark::{Event, Options, Parser, html};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::SqlitePool;
use subtle::ConstantTimeEq;

use super::{
    SandboxState,
    chat::{self, Ending, Reply, ReplyError, Speaker, Tools, Turn},
    cookie, fingerprint, now, random_token,
    tokens::{Unauthorised, Visitor},
};

/// What Drupal signs: the route's path without its leading slash.
const ROUTE: &str = "api/deepchat";
/// How long a session lasts, in seconds: Drupal's cookie life.
const SESSION_LIFE: i64 = 2_000_000;
/// Each event repeats the whole reply so far, so long replies come in at most this many steps.
const MOST_STEPS: usize = 200;

pub(super) fn routes() -> Router<SandboxState> {
    Router::new()
        .route("/api/deepchat/session", post(start_session))
        .route("/api/deepchat", post(talk))
}

/// `POST /api/deepchat/session`: the bare token, and the session it belongs to as a cookie.
async fn start_session(
    State(state): State<SandboxState>,
    visitor: Result<Visitor, Unauthorised>,
    headers: HeaderMap,
) -> Result<Response, DrupalError> {
    visitor?;
    let plain = (header::CONTENT_TYPE, "text/plain;charset=UTF-8");
    if let Some(seed) = session_seed(&state.pool, &headers).await? {
        return Ok(([plain], csrf_token(&state.drupal_key, &seed)?).into_response());
    }
    let (id, seed) = new_session(&state.pool).await?;
    let token = csrf_token(&state.drupal_key, &seed)?;
    let cookie = format!(
        "{}={id}; Path=/; Max-Age={SESSION_LIFE}; HttpOnly; SameSite=Lax",
        session_name(&headers)
    );
    Ok(([plain], AppendHeaders([(header::SET_COOKIE, cookie)]), token).into_response())
}

#[derive(Deserialize)]
struct TokenQuery {
    token: Option<String>,
}

/// `POST /api/deepchat?token=`: one turn of a chat.
async fn talk(
    State(state): State<SandboxState>,
    visitor: Result<Visitor, Unauthorised>,
    Query(query): Query<TokenQuery>,
    headers: HeaderMap,
    body: Result<Json<ChatRequest>, JsonRejection>,
) -> Result<Response, DrupalError> {
    let visitor = visitor?;
    check_csrf(&state, &headers, query.token.as_deref()).await?;
    let request = body.map_err(|_| DrupalError::bad_request("The request body is not valid."))?.0;
    let turn = request.last_turn()?;
    let reply = chat::reply(&state, &visitor.tenant, &[turn], &Tools::default()).await?;
    // Drupal compares with the integer 1: `true` does not stream.
    if request.stream == json!(1) { Ok(streamed(reply)) } else { whole(&reply) }
}

#[derive(Deserialize)]
struct ChatRequest {
    #[serde(default)]
    assistant_id: Value,
    #[serde(default)]
    stream: Value,
    #[serde(default)]
    messages: Vec<ChatMessage>,
}

#[derive(Deserialize)]
struct ChatMessage {
    #[serde(default)]
    role: String,
    #[serde(default)]
    text: String,
}

impl ChatRequest {
    /// The one message Drupal looks at: the last from a person.
    fn last_turn(&self) -> Result<Turn, DrupalError> {
        if self.assistant_id.as_str().is_none_or(str::is_empty) {
            return Err(DrupalError::unprocessable("Missing or invalid assistant_id."));
        }
        let message = self.messages.iter().rfind(|message| message.role == "user");
        let message = message.ok_or(DrupalError::bad_request("No messages to answer."))?;
        Ok(Turn { speaker: Speaker::Person, text: message.text.clone() })
    }
}

fn whole(reply: &Reply) -> Result<Response, DrupalError> {
    match reply.ending {
        Ending::Whole => {
            let body = json!({ "html": rendered(&reply.text), "should_continue": false });
            Ok(Json(body).into_response())
        }
        Ending::Broken => Err(DrupalError::internal("The assistant broke off.".to_owned())),
        Ending::Cut => Ok(chat::dropped_response()),
    }
}

/// The reply as Drupal streams it: all the HTML so far in every event, then what follows the reply,
/// which here is nothing. There is no event for errors, so a broken reply just stops.
fn streamed(reply: Reply) -> Response {
    let Reply { text, pace, ending, .. } = reply;
    let last = match ending {
        Ending::Whole => chat::event(&json!({ "html": "" })),
        Ending::Broken | Ending::Cut => chat::dropped(),
    };
    let events = steps(text)
        .map(|so_far| chat::event(&json!({ "html": rendered(&so_far), "overwrite": true })))
        .chain([last]);
    let mut response = chat::event_stream(events, pace);
    let unbuffered = header::HeaderValue::from_static("no");
    response.headers_mut().insert("x-accel-buffering", unbuffered);
    response
}

/// The text as it grows, in at most [`MOST_STEPS`] steps.
fn steps(text: String) -> impl Iterator<Item = String> + Send {
    let pieces: Vec<String> = chat::pieces(text).collect();
    let size = pieces.len().div_ceil(MOST_STEPS).max(1);
    let mut so_far = String::new();
    let mut pieces = pieces.into_iter();
    iter::from_fn(move || {
        let before = so_far.len();
        so_far.extend(pieces.by_ref().take(size));
        (so_far.len() > before).then(|| so_far.clone())
    })
}

/// Markdown as safe HTML; raw HTML in it stays text.
fn rendered(markdown: &str) -> String {
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        other => other,
    });
    let mut page = String::with_capacity(markdown.len() * 2);
    html::push_html(&mut page, events);
    clean(&page)
}

// === Sessions and CSRF tokens ===

async fn check_csrf(
    state: &SandboxState,
    headers: &HeaderMap,
    token: Option<&str>,
) -> Result<(), DrupalError> {
    let token = token.ok_or(DrupalError::token_missing())?;
    let seed = session_seed(&state.pool, headers).await?.ok_or(DrupalError::token_invalid())?;
    let ours = csrf_token(&state.drupal_key, &seed)?;
    if ours.as_bytes().ct_eq(token.as_bytes()).into() {
        Ok(())
    } else {
        Err(DrupalError::token_invalid())
    }
}

/// HMAC-SHA256 of the route in base64url: 43 characters.
fn csrf_token(private_key: &str, seed: &str) -> Result<String, DrupalError> {
    let key = EncodingKey::from_secret(format!("{seed}{private_key}").as_bytes());
    Ok(crypto::sign(ROUTE.as_bytes(), &key, Algorithm::HS256)?)
}

/// `SESS` and a hash of the host, so that sites on one domain keep apart.
fn session_name(headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _port)| name);
    let hash = Sha256::digest(name.as_bytes());
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("SESS{hex}")
}

async fn new_session(pool: &SqlitePool) -> Result<(String, String), DrupalError> {
    let (id, seed) = (random_token()?, random_token()?);
    sqlx::query("INSERT INTO drupal_sessions (id, seed, expires) VALUES (?, ?, ?)")
        .bind(fingerprint(&id))
        .bind(&seed)
        .bind(now() + SESSION_LIFE)
        .execute(pool)
        .await?;
    Ok((id, seed))
}

/// The seed of the session whose cookie came with the request.
async fn session_seed(
    pool: &SqlitePool,
    headers: &HeaderMap,
) -> Result<Option<String>, sqlx::Error> {
    let name = session_name(headers);
    let Some(id) = cookie(headers, &name) else {
        return Ok(None);
    };
    sqlx::query_scalar("SELECT seed FROM drupal_sessions WHERE id = ? AND expires > ?")
        .bind(fingerprint(id))
        .bind(now())
        .fetch_optional(pool)
        .await
}

/// An error as Drupal words it.
#[derive(Debug, PartialEq, Eq)]
struct DrupalError {
    status: StatusCode,
    /// `message` where Drupal's routing refuses, `error` where the chat module does.
    key: &'static str,
    text: String,
}

impl DrupalError {
    fn access_denied(text: &str) -> Self {
        Self { status: StatusCode::FORBIDDEN, key: "message", text: text.to_owned() }
    }

    fn token_missing() -> Self {
        Self::access_denied("'csrf_token' URL query argument is missing.")
    }

    fn token_invalid() -> Self {
        Self::access_denied("'csrf_token' URL query argument is invalid.")
    }

    fn bad_request(text: &str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, key: "error", text: text.to_owned() }
    }

    fn unprocessable(text: &str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, ..Self::bad_request(text) }
    }

    fn internal(text: String) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, key: "error", text }
    }

    fn broken(error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "the sandbox's Drupal endpoint failed");
        Self::internal("The website encountered an unexpected error. Try again later.".to_owned())
    }
}

impl From<Unauthorised> for DrupalError {
    fn from(error: Unauthorised) -> Self {
        match error {
            Unauthorised::Missing => {
                Self::access_denied("The 'access deepchat api' permission is required.")
            }
            Unauthorised::Invalid => Self {
                status: StatusCode::UNAUTHORIZED,
                key: "message",
                text: "The access token is not valid.".to_owned(),
            },
            Unauthorised::Storage(error) => error.into(),
        }
    }
}

impl From<sqlx::Error> for DrupalError {
    fn from(error: sqlx::Error) -> Self {
        Self::broken(&error)
    }
}

impl From<io::Error> for DrupalError {
    fn from(error: io::Error) -> Self {
        Self::broken(&error)
    }
}

impl From<jsonwebtoken::errors::Error> for DrupalError {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::broken(&error)
    }
}

impl From<ReplyError> for DrupalError {
    fn from(error: ReplyError) -> Self {
        error.log();
        Self::internal(error.to_string())
    }
}

impl IntoResponse for DrupalError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(json!({ self.key: self.text }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = header::HeaderValue::from_static("Bearer realm=\"OAuth\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::super::tests::database;
    use super::*;

    fn from_host(host: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
    }

    #[test]
    fn a_token_fits_its_seed_only() {
        let token = csrf_token("key", "seed").unwrap();
        assert_eq!(token.len(), 43);
        assert_eq!(token, csrf_token("key", "seed").unwrap());
        assert_ne!(token, csrf_token("key", "another seed").unwrap());
        assert_ne!(token, csrf_token("another key", "seed").unwrap());
    }

    #[test]
    fn the_cookie_is_named_after_the_host() {
        let name = session_name(&from_host("127.0.0.1:4000"));
        assert_eq!(name.len(), "SESS".len() + 32);
        assert_eq!(name, session_name(&from_host("127.0.0.1:5000")));
        assert_ne!(name, session_name(&from_host("localhost:4000")));
    }

    #[tokio::test]
    async fn a_session_is_found_by_its_cookie_only() {
        let (_directory, pool) = database().await;
        let (id, seed) = new_session(&pool).await.unwrap();
        let mut headers = from_host("127.0.0.1:4000");
        assert_eq!(session_seed(&pool, &headers).await.unwrap(), None);
        let cookie = format!("{}={id}", session_name(&headers));
        headers.insert(header::COOKIE, cookie.parse().unwrap());
        assert_eq!(session_seed(&pool, &headers).await.unwrap(), Some(seed));
        headers.insert(header::COOKIE, format!("{cookie}x").parse().unwrap());
        assert_eq!(session_seed(&pool, &headers).await.unwrap(), None);
    }

    fn request(body: Value) -> ChatRequest {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn only_the_last_message_of_a_person_counts() {
        let body = json!({ "assistant_id": "x", "messages": [
            { "role": "user", "text": "one" },
            { "role": "user", "text": "two" },
            { "role": "ai", "text": "three" },
        ]});
        assert_eq!(request(body).last_turn().unwrap().text, "two");
    }

    #[test]
    fn what_is_missing_is_named_by_status() {
        let status = |body| request(body).last_turn().unwrap_err().status.as_u16();
        assert_eq!(status(json!({ "messages": [{ "role": "user", "text": "one" }] })), 422);
        assert_eq!(status(json!({ "assistant_id": 7 })), 422);
        assert_eq!(status(json!({ "assistant_id": "x", "messages": [] })), 400);
    }

    #[test]
    fn html_grows_to_the_whole_and_stays_safe() {
        let text = "# Title\n\n<script>alert(1)</script> and [a link](javascript:alert(1))\n";
        let all: Vec<String> = steps(text.repeat(100)).collect();
        assert!(all.len() <= MOST_STEPS);
        assert!(all.is_sorted_by_key(String::len));
        assert_eq!(all.last(), Some(&text.repeat(100)));
        let html = rendered(text);
        assert!(html.contains("<h1>Title</h1>"), "{html}");
        assert!(!html.contains("<script") && !html.contains("href=\"javascript"), "{html}");
    }
}
