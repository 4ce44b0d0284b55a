//! The addresses of webhooks and cron.

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{
        HeaderMap, HeaderName, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::webhook::{self, Post, Refused};
use crate::{
    chat::page::{WidgetChat, WidgetLook},
    error::{Error, Result},
    server::{
        extract::{Path, Query},
        html, security,
        state::App,
    },
};

/// What other sites load.
const WIDGET: &str = include_str!("widget.js");
const CROSS_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// The largest post, in bytes.
const LARGEST: usize = 1 << 20;

/// `/api/webhooks/{channel}` and `/api/cron`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/webhooks/{channel}", post(receive))
        .layer(DefaultBodyLimit::max(LARGEST))
        .route("/api/cron", get(cron))
        .route("/widget.js", get(widget_script))
        .route("/widget/{channel}", get(widget))
}

/// `GET /widget.js`: puts a chat on the page that loads it.
async fn widget_script() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (CROSS_ORIGIN, "cross-origin"),
    ];
    (headers, WIDGET)
}

#[derive(Debug, Deserialize)]
struct WidgetQuery {
    visitor: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    greeting: String,
    #[serde(default)]
    theme: String,
    new: Option<String>,
}

/// `GET /widget/{channel}?visitor=…`: the chat in the frame, which none but the channel's sites may
/// hold.
async fn widget(
    State(app): State<App>,
    Path(channel): Path<String>,
    Query(query): Query<WidgetQuery>,
    head: Parts,
) -> Result<Response> {
    let (caller, sites) = app.widgets.visitor(&channel, &query.visitor)?;
    let WidgetQuery { visitor, title, greeting, theme, new } = query;
    let title = if title.is_empty() { "Chat".to_owned() } else { title };
    let again =
        [("visitor", &visitor), ("title", &title), ("greeting", &greeting), ("theme", &theme)];
    let again = form_urlencoded::Serializer::new(String::new()).extend_pairs(again).finish();
    let look = WidgetLook { address: format!("/widget/{channel}?{again}"), title, greeting };
    let chat = WidgetChat::of(&app, &caller, new.is_some(), look).await?;
    let mut response = html::page(&app, head, StatusCode::OK, move || chat.view()).await;
    security::let_frame(response.headers_mut(), &sites);
    Ok(response)
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
