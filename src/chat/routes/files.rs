//! Files on their way to a message and back.

use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE,
        },
    },
    response::{AppendHeaders, IntoResponse, Response},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::known;
use crate::{
    chat::files::is_picture,
    error::Result,
    server::{
        extract::{Path, Query},
        state::App,
    },
    session::Caller,
};

#[derive(Debug, Deserialize)]
pub(super) struct UploadQuery {
    #[serde(default)]
    name: String,
    assistant: Option<String>,
}

/// `POST /api/chat/files?name=…`: takes in a file that a message will name. The body is the file.
pub(super) async fn add_file(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<impl IntoResponse> {
    known(&caller)?;
    let bytes = request.into_body().into_data_stream();
    let assistant = query.assistant.as_deref().filter(|name| !name.is_empty());
    let file = app.chat.add_file(&caller, &query.name, assistant, bytes).await?;
    Ok((StatusCode::CREATED, Json(file)))
}

/// `GET /api/chat/files/{id}`: a file. Browsers show pictures; everything else they keep, so that
/// nothing in it can run here.
pub(super) async fn file(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response> {
    known(&caller)?;
    let (file, bytes) = app.chat.file(&caller, &id).await?;
    let is_shown = is_picture(&file.kind);
    let name = utf8_percent_encode(&file.name, NON_ALPHANUMERIC);
    let way = if is_shown { "inline" } else { "attachment" };
    let kind = if is_shown { file.kind.as_str() } else { "application/octet-stream" };
    let headers = [
        (CONTENT_TYPE, kind.to_owned()),
        (CONTENT_LENGTH, file.size.to_string()),
        (CONTENT_DISPOSITION, format!("{way}; filename*=UTF-8''{name}")),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (CACHE_CONTROL, "private, max-age=86400, immutable".to_owned()),
    ];
    Ok((AppendHeaders(headers), Body::from_stream(ReaderStream::new(bytes))).into_response())
}

/// `DELETE /api/chat/files/{id}`: removes a file that was not sent.
pub(super) async fn remove_file(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    known(&caller)?;
    app.chat.remove_file(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}
