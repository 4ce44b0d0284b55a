//! Plain HTTP for API clients, and the forms that work without a script.

mod ask;
mod files;
mod forms;
mod history;
mod pieces;
mod streams;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, header::ACCEPT},
    routing::{get, post},
};

use super::page::{PROMPTS, live};
use crate::{
    error::{Error, Result},
    server::state::App,
    session::Caller,
};

/// `/api/chat`, its runs, and `POST /chat`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/chat", post(ask::ask).layer(DefaultBodyLimit::disable()))
        .route("/api/chat/files", post(files::add_file))
        .route("/api/chat/files/{id}", get(files::file).delete(files::remove_file))
        .route("/api/chat/session", post(ask::csrf_token))
        .route("/api/chat/conversations", get(history::conversations))
        .route("/api/chat/conversations/{id}/messages", get(history::messages))
        .route("/api/chat/conversations/{id}/feed", get(streams::feed))
        .route("/api/chat/messages/{id}", get(history::message_text))
        .route("/api/chat/runs/{id}/events", get(streams::events))
        .route("/api/chat/runs/{id}/stop", post(streams::stop))
        .route("/chat", post(forms::ask_by_form).layer(DefaultBodyLimit::disable()))
        .route("/chat/find", get(pieces::find))
        .route(PROMPTS, post(forms::save_prompt))
        .route("/chat/older", get(pieces::older))
        .route("/chat/{id}/live", get(live))
        .route("/chat/{id}/export.md", get(pieces::export_markdown))
        .route("/chat/{id}/export.json", get(pieces::export_json))
}

/// 401 in the one word that such clients know.
fn known(caller: &Caller) -> Result<()> {
    match caller.known() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::from_status(401, "Unauthorized").with_detail(error.message())),
    }
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains(kind))
}
