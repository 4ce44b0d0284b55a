//! What was said: conversations and messages for API clients.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::known;
use crate::{
    chat::{
        view::{Before, ConversationLine},
        wire::{MessageState, Role, Step, with_steps},
    },
    error::{Error, Result},
    server::{
        extract::{Path, Query},
        state::App,
    },
    session::Caller,
};

/// How many conversations API clients get at once.
const LISTED: usize = 200;

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    before: Option<String>,
}

/// `GET /api/chat/conversations?before=…`: the caller's conversations, pinned ones first, then last
/// changed first, two hundred at a time. `before` is the last one's `updated_at`, a dot and its `id`.
pub(super) async fn conversations(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<ConversationLine>>> {
    known(&caller)?;
    let before = query.before.map(|place| place.parse::<Before>()).transpose();
    let before = before.map_err(|()| {
        Error::bad_request("`before` is `updated_at`, a dot and `id` of a conversation.")
            .in_field("before")
    })?;
    let listing = app.chat.conversations(&caller, before, LISTED).await?;
    Ok(Json(listing.all()))
}

#[derive(Debug, Deserialize)]
pub(super) struct PageQuery {
    #[serde(default)]
    page: usize,
}

/// A message as DeepChat's `loadHistory` takes it.
#[derive(Serialize)]
struct HistoryItem {
    id: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<MessageState>,
    created_at: i64,
    #[serde(rename = "_sessionId")]
    session: String,
}

/// `GET /api/chat/conversations/{id}/messages?page=0`: messages, oldest first, page 0 being the
/// newest. The list begins with `false` where there are older ones.
pub(super) async fn messages(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Vec<Value>>> {
    known(&caller)?;
    let (rows, has_older) = app.chat.page(&caller, &id, query.page).await?;
    let mut list = if has_older { vec![Value::Bool(false)] } else { Vec::new() };
    for row in rows {
        let (role, state) = (row.role(), row.state());
        let (text, html) = match row.is_html {
            true => (None, Some(row.html)),
            false => (Some(with_steps(&row.text, &row.steps(), Step::as_link)), None),
        };
        let item = HistoryItem {
            id: row.id,
            role: if role == Role::User { "user" } else { "ai" },
            text,
            html,
            state: Some(state).filter(|state| *state != MessageState::Done),
            created_at: row.created_at,
            session: id.clone(),
        };
        list.push(serde_json::to_value(item).map_err(Error::internal)?);
    }
    Ok(Json(list))
}

/// `GET /api/chat/messages/{id}`: what a message says, as it was written.
pub(super) async fn message_text(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<String> {
    known(&caller)?;
    app.chat.text_of(&caller, &id).await
}
