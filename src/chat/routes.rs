//! Plain HTTP for API clients, and the form that works without a script.

use std::{convert::Infallible, future::ready, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{
            ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY,
            CONTENT_TYPE,
        },
        request::Parts,
    },
    response::{AppendHeaders, Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::io::ReaderStream;

use super::{
    feed::Cursor,
    files::is_picture,
    frames::{Frames, View},
    intake::{self, Asked},
    list,
    page::{KeptMessage, PROMPTS, Unsaved, Unsent, live, prompts_page},
    render,
    service::{Chat, Events, Place, Position, Question},
    transcript::Transcript,
    upload::{self, Fields},
    view::{Before, ConversationLine, Prompt},
    wire::{
        CONVERSATION_HEADER, MESSAGE_HEADER, MessageState, Outcome, RUN_HEADER, Role, RunEvent,
        Started,
    },
};
use crate::{
    error::{Error, Kind, Result},
    server::{
        extract::{Path, Query},
        html,
        state::App,
    },
    session::Caller,
    store::now,
};

/// A comment that says nothing but that the stream is alive. One line end: two would be an event to
/// some clients.
const KEEP_ALIVE: &str = ":\n";
const SILENCE: Duration = Duration::from_secs(15);
/// How many conversations the palette shows before anything is looked for.
const RECENT: usize = 8;
/// How many conversations API clients get at once.
const LISTED: usize = 200;
/// How long the head of an answer waits for a reply's first word.
const HEAD: Duration = Duration::from_secs(10);
/// The largest body of a question, which may bring a whole conversation along, in bytes.
const LARGEST_BODY: usize = 16 << 20;

/// `/api/chat`, its runs, and `POST /chat`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/chat", post(ask).layer(DefaultBodyLimit::disable()))
        .route("/api/chat/files", post(add_file))
        .route("/api/chat/files/{id}", get(file).delete(remove_file))
        .route("/api/chat/session", post(csrf_token))
        .route("/api/chat/conversations", get(conversations))
        .route("/api/chat/conversations/{id}/messages", get(messages))
        .route("/api/chat/conversations/{id}/feed", get(feed))
        .route("/api/chat/messages/{id}", get(message_text))
        .route("/api/chat/runs/{id}/events", get(events))
        .route("/api/chat/runs/{id}/stop", post(stop))
        .route("/chat", post(ask_by_form).layer(DefaultBodyLimit::disable()))
        .route("/chat/find", get(find))
        .route(PROMPTS, post(save_prompt))
        .route("/chat/older", get(older))
        .route("/chat/{id}/live", get(live))
        .route("/chat/{id}/export.md", get(export_markdown))
        .route("/chat/{id}/export.json", get(export_json))
}

/// `POST /api/chat/session`: the caller's own CSRF token of the default assistant's backend, as
/// plain text, for clients that were written to fetch one first. Breezeway adds it by itself.
async fn csrf_token(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse> {
    caller.known()?;
    let assistant = app.chat.default_assistant().ok_or_else(|| {
        Error::not_found("There is no chat here. Add a [chat] table to Leptos.toml.")
    })?;
    let token = app.backends.find(&assistant.backend)?.csrf_token(&caller).await?;
    Ok(([(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "text/plain; charset=utf-8")], token))
}

#[derive(Debug, Deserialize)]
struct StreamQuery {
    #[serde(default)]
    view: ViewName,
    #[serde(default)]
    after: u64,
    /// What becomes of the reply when its client goes away: it is written on, unless this says
    /// `stop`.
    on_disconnect: Option<OnDisconnect>,
}

/// `view` of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ViewName {
    #[default]
    Text,
    Blocks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnDisconnect {
    Stop,
    Continue,
}

impl ViewName {
    fn view(self, session: Option<String>) -> View {
        match self {
            Self::Text => View::Text { session },
            Self::Blocks => View::Blocks,
        }
    }
}

/// `POST /api/chat`: asks, and answers with the reply, whole or as it is written.
async fn ask(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response> {
    known(&caller)?;
    let Asked { mut question, stream } = if upload::is_multipart(&request) {
        let mut fields = Fields::default();
        upload::read(&app.chat, &caller, request, &mut fields).await?;
        intake::read_form(&fields)?
    } else {
        intake::read(&whole_body(request).await?)?
    };
    if let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()) {
        question.request_id = Some(key.to_owned());
    }
    let started = app.chat.ask(&caller, question).await?;
    let after = last_event_id(&headers).unwrap_or(query.after);
    let mut events = app.chat.follow(&caller, &started.run, after).await?;
    if query.on_disconnect == Some(OnDisconnect::Stop) {
        events = stopping(app.chat.clone(), caller, started.run.clone(), events);
    }
    let is_stream = stream.unwrap_or_else(|| wants_stream(&headers));
    let answer = reply(events, query.view, is_stream, started.conversation.clone()).await;
    Ok(naming(answer.into_response(), &started))
}

async fn whole_body(request: Request) -> Result<Bytes> {
    to_bytes(request.into_body(), LARGEST_BODY)
        .await
        .map_err(|cause| Error::too_large("The request is too large.").because(cause))
}

async fn reply(
    mut events: Events,
    view: ViewName,
    is_stream: bool,
    conversation: String,
) -> Result<Response> {
    if view == ViewName::Text {
        events = begun(events).await?;
    }
    match is_stream {
        true => Ok(stream_response(events, view.view(Some(conversation)))),
        false => whole(events, Some(conversation)).await,
    }
}

/// 401 in the one word that such clients know.
fn known(caller: &Caller) -> Result<()> {
    match caller.known() {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::from_status(401, "Unauthorized").with_detail(error.message())),
    }
}

/// The events, once the first of them is here, so that trouble before it has a status of its own. A
/// service that is slow is not waited for for ever: intermediaries give up on an answer without a
/// head.
async fn begun(mut events: Events) -> Result<Events> {
    let deadline = Instant::now() + HEAD;
    let mut held = Vec::new();
    while let Ok(Some(event)) = timeout_at(deadline, events.next()).await {
        match event {
            (_, RunEvent::End(outcome)) if outcome.problem.is_some() => {
                return Err(backend_error(outcome));
            }
            (_, RunEvent::Wait { .. }) => held.push(event),
            first => {
                held.push(first);
                break;
            }
        }
    }
    Ok(stream::iter(held).chain(events).boxed())
}

/// In the words of the routes that such clients were written against.
fn backend_error(outcome: Outcome) -> Error {
    let wait = outcome.retry_at.and_then(|at| u64::try_from(at - now()).ok());
    Error::from_status(outcome.status.unwrap_or(502), "Backend error")
        .with_detail(outcome.problem.unwrap_or_default())
        .after(wait.map(Duration::from_millis))
}

/// The events of a run that is stopped when they are dropped before its end.
fn stopping(chat: Chat, caller: Caller, run: String, events: Events) -> Events {
    struct Guard(Option<(Chat, Caller, String)>);
    impl Drop for Guard {
        fn drop(&mut self) {
            if let Some((chat, caller, run)) = self.0.take() {
                tokio::spawn(async move {
                    if let Err(error) = chat.stop(&caller, &run).await {
                        tracing::debug!(%error, "a reply whose client left could not be stopped");
                    }
                });
            }
        }
    }
    let guard = Guard(Some((chat, caller, run)));
    stream::unfold((events, guard), |(mut events, mut guard)| async move {
        let event = events.next().await;
        if matches!(event, None | Some((_, RunEvent::End(_)))) {
            guard.0 = None;
        }
        event.map(|event| (event, (events, guard)))
    })
    .boxed()
}

#[derive(Debug, Deserialize)]
struct PageQuery {
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
async fn messages(
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
            false => (Some(row.text), None),
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

#[derive(Debug, Deserialize)]
struct ListQuery {
    before: Option<String>,
}

/// `GET /api/chat/conversations?before=…`: the caller's conversations, pinned ones first, then last
/// changed first, two hundred at a time. `before` is the last one's `updated_at`, a dot and its `id`.
async fn conversations(
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
struct FeedQuery {
    after: Option<String>,
}

/// `GET /api/chat/conversations/{id}/feed`: what a page that shows the conversation is told, from a
/// place in it on.
async fn feed(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<FeedQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let at = match last.or(query.after) {
        Some(text) => text.parse().map_err(|()| {
            Error::bad_request("`after` is not a place in a conversation. Reload the page.")
        })?,
        None => Cursor::default(),
    };
    let feed = app.chat.feed(&caller, &id, at).await?;
    let frames = stream::unfold(feed, |mut feed| async move { Some((feed.next().await?, feed)) });
    Ok(event_stream(kept_alive(frames).map(|frame| frame.unwrap_or_else(|| KEEP_ALIVE.to_owned()))))
}

/// `GET /api/chat/runs/{id}/events`: reads a run from any place in its log.
async fn events(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let after = last_event_id(&headers).unwrap_or(query.after);
    let events = app.chat.follow(&caller, &id, after).await?;
    Ok(stream_response(events, query.view.view(None)))
}

/// `POST /api/chat/runs/{id}/stop`: stops a run; what it wrote is kept.
async fn stop(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    app.chat.stop(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What the composer's form says, sent with or without a script.
fn question_of(fields: &Fields) -> Question {
    let field = |name: &str| fields.text(name).map(str::to_owned);
    Question {
        conversation: field("conversation").map(Place::Id),
        text: written(fields),
        request_id: field("request_id"),
        assistant: field("assistant"),
        position: match (field("beside"), field("after")) {
            (Some(question), _) => Position::Beside(question),
            (None, Some(message)) => Position::After(message),
            (None, None) => Position::End,
        },
        is_temporary: field("temporary").is_some(),
        files: fields.all_files(),
        ..Question::default()
    }
}

/// What was typed, else what was suggested.
fn written(fields: &Fields) -> String {
    let typed = fields.text("text").filter(|text| !text.trim().is_empty());
    typed.or_else(|| fields.text("suggestion")).unwrap_or_default().to_owned()
}

/// What of it is worth sending again. Where the conversation went on elsewhere, the next attempt goes
/// to wherever it is by then: the page says so.
fn unsent(fields: &Fields) -> Unsent {
    let named = ["conversation", "beside", "assistant", "temporary"]
        .into_iter()
        .filter_map(|name| Some((name, fields.text(name)?.to_owned())));
    let files = fields.all_files().into_iter().map(|id| ("file", id));
    Unsent { text: written(fields), place: named.chain(files).collect() }
}

/// `POST /chat`: asks, and sends the browser to the page where the reply arrives; 201 for a script,
/// which is told of the reply by its feed. When that cannot be, a browser's answer is a page that
/// holds the message.
async fn ask_by_form(
    State(app): State<App>,
    caller: Caller,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let wants_page = accepts(&head.headers, "text/html");
    let mut fields = Fields::default();
    let asked = match read_form(&app, &caller, request, &mut fields).await {
        Ok(()) => app.chat.ask(&caller, question_of(&fields)).await,
        Err(error) => Err(error),
    };
    match asked {
        Ok(started) if wants_page => {
            Ok(Redirect::to(&format!("/chat/{}/live", started.conversation)).into_response())
        }
        Ok(started) => Ok(naming(StatusCode::CREATED.into_response(), &started)),
        Err(error) if wants_page => Ok(kept(&app, head, error, unsent(&fields)).await),
        Err(error) => Err(error),
    }
}

async fn read_form(
    app: &App,
    caller: &Caller,
    request: Request,
    fields: &mut Fields,
) -> Result<()> {
    if upload::is_multipart(&request) {
        return upload::read(&app.chat, caller, request, fields).await;
    }
    *fields = Fields::of_form(&whole_body(request).await?);
    Ok(())
}

async fn kept(app: &App, head: Parts, error: Error, unsent: Unsent) -> Response {
    let signed_out = error.kind() == Kind::Unauthenticated;
    let message = error.message().to_owned();
    let page = move || KeptMessage(message.clone(), unsent.clone(), signed_out);
    html::error_page(app, head, &error, page).await
}

/// `POST /settings/prompts`: keeps a saved prompt or, with `delete`, removes it. What cannot be saved
/// is on the page that answers.
async fn save_prompt(
    State(app): State<App>,
    caller: Caller,
    head: Parts,
    request: Request,
) -> Result<Response> {
    let fields = Fields::of_form(&whole_body(request).await?);
    let field = |name: &str| fields.text(name).unwrap_or_default().to_owned();
    let prompt = Prompt { id: field("id"), name: field("name"), text: field("text") };
    let done = match fields.text("delete") {
        Some(_) => app.chat.remove_prompt(&caller, &prompt.id).await,
        None => app.chat.save_prompt(&caller, prompt.clone()).await,
    };
    let Err(error) = done else { return Ok(Redirect::to(PROMPTS).into_response()) };
    let prompts = app.chat.prompts(&caller).await.unwrap_or_default();
    let unsaved = Unsaved { prompt, problem: error.message().to_owned() };
    let page = move || prompts_page(prompts.clone(), Some(unsaved.clone()));
    Ok(html::error_page(&app, head, &error, page).await)
}

#[derive(Debug, Deserialize)]
struct OlderQuery {
    before: String,
}

/// `GET /chat/older?before=…`: the messages before one of a conversation, as HTML for its page. The
/// header says whether there are more.
async fn older(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<OlderQuery>,
) -> Result<impl IntoResponse> {
    let (messages, has_older) = app.chat.messages_before(&caller, &query.before).await?;
    let turns = render::turns(&messages, |name| app.chat.who(name));
    Ok(([("breezeway-has-older", has_older.to_string())], Html(turns)))
}

#[derive(Debug, Deserialize)]
struct FindQuery {
    #[serde(default)]
    q: String,
}

/// `GET /chat/find?q=…`: conversations that hold these words, or the last ones, as HTML for the
/// palette.
async fn find(
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
async fn export_markdown(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<impl IntoResponse> {
    let text = app.chat.markdown_of(&caller, &id).await?;
    Ok((attached("conversation.md", "text/markdown; charset=utf-8"), text))
}

/// `GET /chat/{id}/export.json`: every branch.
async fn export_json(
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

#[derive(Debug, Deserialize)]
struct UploadQuery {
    #[serde(default)]
    name: String,
    assistant: Option<String>,
}

/// `POST /api/chat/files?name=…`: takes in a file that a message will name. The body is the file.
async fn add_file(
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
async fn file(State(app): State<App>, caller: Caller, Path(id): Path<String>) -> Result<Response> {
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
async fn remove_file(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    known(&caller)?;
    app.chat.remove_file(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /api/chat/messages/{id}`: what a message says, as it was written.
async fn message_text(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<String> {
    known(&caller)?;
    app.chat.text_of(&caller, &id).await
}

fn wants_stream(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

fn accepts(headers: &HeaderMap, kind: &str) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains(kind))
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

fn naming(mut response: Response, started: &Started) -> Response {
    let names = [
        (CONVERSATION_HEADER, &started.conversation),
        (RUN_HEADER, &started.run),
        (MESSAGE_HEADER, &started.message),
    ];
    for (name, value) in names {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn stream_response(events: Events, view: View) -> Response {
    let mut frames = Frames::new(view);
    event_stream(kept_alive(events).map(move |event| {
        event.map_or_else(|| KEEP_ALIVE.to_owned(), |(id, event)| frames.frame(id, &event))
    }))
}

/// A stream of encoded events; empty ones are left out.
fn event_stream(frames: impl Stream<Item = String> + Send + 'static) -> Response {
    let frames = frames.filter(|frame| ready(!frame.is_empty()));
    let frames = frames.map(|frame| Ok::<_, Infallible>(Bytes::from(frame)));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    let mut response = (headers, Body::from_stream(frames)).into_response();
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// The events, and `None` whenever there was none for a while.
fn kept_alive<T: Send + 'static>(
    events: impl Stream<Item = T> + Send + 'static,
) -> impl Stream<Item = Option<T>> + Send + 'static {
    stream::unfold(events.boxed(), |mut events| async {
        match timeout(SILENCE, events.next()).await {
            Ok(Some(event)) => Some((Some(event), events)),
            Ok(None) => None,
            Err(_) => Some((None, events)),
        }
    })
}

/// The whole reply in one answer, for clients that asked for no stream. One that did not come to its
/// end says so in `state`.
async fn whole(mut events: Events, session: Option<String>) -> Result<Response> {
    #[derive(Serialize)]
    struct Whole {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        html: Option<String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        reasoning: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<MessageState>,
        #[serde(rename = "_sessionId", skip_serializing_if = "Option::is_none")]
        session: Option<String>,
    }
    let mut told = Transcript::default();
    while let Some((_, event)) = events.next().await {
        told.apply(event);
    }
    let outcome = told.outcome.take().unwrap_or(Outcome::of(MessageState::Interrupted));
    if outcome.problem.is_some() {
        return Err(backend_error(outcome));
    }
    let (text, html) = match told.is_html {
        true => (None, Some(told.html)),
        false => (Some(told.source), None),
    };
    let state = Some(outcome.state).filter(|state| *state != MessageState::Done);
    Ok(Json(Whole { text, html, reasoning: told.reasoning, state, session }).into_response())
}
