//! Pieces for pages that are open already, and what people take along.

use axum::{
    extract::State,
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    },
    response::{Html, IntoResponse},
};
use serde::Deserialize;

use crate::{
    chat::{list, render},
    error::{Error, Result},
    server::{
        extract::{Path, Query},
        state::App,
    },
    session::Caller,
};

/// How many conversations the palette shows before anything is looked for.
const RECENT: usize = 8;

#[derive(Debug, Deserialize)]
pub(super) struct OlderQuery {
    before: String,
}

/// `GET /chat/older?before=…`: the messages before one of a conversation, as HTML for its page. The
/// header says whether there are more.
pub(super) async fn older(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<OlderQuery>,
) -> Result<impl IntoResponse> {
    let (messages, has_older) = app.chat.messages_before(&caller, &query.before).await?;
    let turns = render::turns(&messages, |name| app.chat.who(name));
    Ok(([("breezeway-has-older", has_older.to_string())], Html(turns)))
}

#[derive(Debug, Deserialize)]
pub(super) struct FindQuery {
    #[serde(default)]
    q: String,
}

/// `GET /chat/find?q=…`: conversations that hold these words, or the last ones, as HTML for the
/// palette.
pub(super) async fn find(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<FindQuery>,
) -> Result<Html<String>> {
    if query.q.trim().is_empty() {
        let recent = app.chat.conversations(&caller, None, RECENT).await?;
        let items = list::items(&recent.all(), "");
        return Ok(Html(format!("<ol class=\"conversations\" role=\"list\">{items}</ol>")));
    }
    Ok(Html(list::hits(&app.chat.find(&caller, &query.q).await?)))
}

/// `GET /chat/{id}/export.md`
pub(super) async fn export_markdown(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    let text = app.chat.markdown_of(&caller, &id).await?;
    Ok((attached("conversation.md", "text/markdown; charset=utf-8"), text))
}

/// `GET /chat/{id}/export.json`: every branch.
pub(super) async fn export_json(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    let export = app.chat.export(&caller, &id).await?;
    let json = serde_json::to_vec_pretty(&export).map_err(Error::internal)?;
    Ok((attached("conversation.json", "application/json"), json))
}

fn attached(name: &str, kind: &'static str) -> [(HeaderName, HeaderValue); 2] {
    let disposition = HeaderValue::try_from(format!("attachment; filename=\"{name}\""));
    let attachment = HeaderValue::from_static("attachment");
    [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_DISPOSITION, disposition.unwrap_or(attachment)),
    ]
}
