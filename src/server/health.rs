//! `GET /health`: whether this process can do its work.

use axum::{Json, Router, extract::State, routing::get};
use serde::Serialize;

use super::state::App;
use crate::error::{Error, Result};

/// `/health`.
pub fn routes() -> Router<App> {
    Router::new().route("/health", get(show))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
    version: &'static str,
}

async fn show(State(app): State<App>) -> Result<Json<Health>> {
    sqlx::query("SELECT 1").execute(app.store.pool()).await.map_err(Error::from)?;
    Ok(Json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") }))
}
