//! The session over plain HTTP: who is signed in, and where else.

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{delete, get},
};
use serde::Serialize;

use super::{
    Caller,
    wire::{SessionInfo, SessionLine},
};
use crate::{
    error::Result,
    server::{extract::Path, state::App},
};

/// `/api/session` and `/api/sessions`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/session", get(show))
        .route("/api/sessions", get(list).delete(end_others))
        .route("/api/sessions/{id}", delete(end))
}

async fn show(caller: Caller) -> Result<Json<SessionInfo>> {
    Ok(Json(caller.signed_in()?.info()))
}

/// Where the caller is signed in.
async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<SessionLine>>> {
    Ok(Json(app.sessions.of_person(&caller).await?))
}

#[derive(Serialize)]
struct Ended {
    ended: usize,
}

/// Ends every session of the caller's but this one.
async fn end_others(State(app): State<App>, caller: Caller) -> Result<Json<Ended>> {
    Ok(Json(Ended { ended: app.auth.end_other_sessions(&caller).await? }))
}

/// Ends one of the caller's sessions.
async fn end(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode> {
    app.auth.end_session(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
