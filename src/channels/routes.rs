//! The addresses of webhooks and cron.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CACHE_CONTROL},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::json;

use super::webhook::{self, Post, Refused};
use crate::{
    error::{Error, Result},
    server::{extract::Path, state::App},
};

/// The largest post, in bytes.
const LARGEST: usize = 1 << 20;

/// `/api/webhooks/{channel}` and `/api/cron`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/webhooks/{channel}", post(receive))
        .layer(DefaultBodyLimit::max(LARGEST))
        .route("/api/cron", get(cron))
}

/// Takes a message in and answers before anything is done about it.
async fn receive(
    State(app): State<App>,
    Path(channel): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    let scheme = &app.deliveries.channel(&channel)?.scheme;
    let body = body.map_err(|cause| Error::too_large("The post is too large.").because(cause))?;
    match webhook::read(scheme, &headers, &body).map_err(refused)? {
        Post::Message(incoming) => {
            app.deliveries.receive(&channel, &incoming).await?;
            Ok(Json(json!({ "ok": true })).into_response())
        }
        Post::Challenge(text) => Ok(text.into_response()),
        Post::Other => Ok(Json(json!({ "ok": true, "ignored": true })).into_response()),
    }
}

fn refused(cause: Refused) -> Error {
    match cause {
        Refused::Signature => {
            Error::from_status(401, "The signature is missing, wrong or too old.")
        }
        Refused::Body => Error::bad_request("The body is not what this channel understands."),
    }
    .because(cause)
}

/// Does what is due, for whoever knows the secret.
async fn cron(State(app): State<App>, headers: HeaderMap) -> Result<Response> {
    app.jobs.check_secret(headers.get("x-cron-secret").map(|secret| secret.as_bytes()))?;
    let report = app.jobs.run().await?;
    let status = if report.is_good() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    Ok((status, [(CACHE_CONTROL, "no-store")], Json(report)).into_response())
}
