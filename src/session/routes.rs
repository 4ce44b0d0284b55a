//! `GET /api/session`: who is signed in, for API clients.

use axum::{Json, Router, routing::get};

use super::{Caller, wire::SessionInfo};
use crate::{error::Result, server::state::App};

/// `/api/session`.
pub fn routes() -> Router<App> {
    Router::new().route("/api/session", get(show))
}

async fn show(caller: Caller) -> Result<Json<SessionInfo>> {
    Ok(Json(caller.signed_in()?.info()))
}
