//! Plain HTTP for API clients, and the form that works without a script.

use std::{convert::Infallible, future::ready, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{State, rejection::BytesRejection},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

use super::{
    feed::Cursor,
    page::{KeptMessage, live},
    service::{Events, Question},
    sse,
    transcript::Transcript,
    wire::{
        CONVERSATION_HEADER, MESSAGE_HEADER, MessageState, Outcome, RUN_HEADER, RunEvent, Started,
    },
};
use crate::{
    error::{Error, Kind, Result},
    server::{
        extract::{Form, Path, Query},
        html,
        state::App,
    },
    session::Caller,
};

/// A comment that says nothing but that the stream is alive. One line end: two would be an event to
/// some clients.
const KEEP_ALIVE: &str = ":\n";
const SILENCE: Duration = Duration::from_secs(15);

/// `/api/chat`, its runs, and `POST /chat`.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/api/chat", post(ask))
        .route("/api/chat/session", post(csrf_token))
        .route("/api/chat/conversations/{id}/feed", get(feed))
        .route("/api/chat/runs/{id}/events", get(events))
        .route("/api/chat/runs/{id}/stop", post(stop))
        .route("/chat", post(ask_by_form))
        .route("/chat/{id}/live", get(live))
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

/// What a client may send: the newest message by itself, or as the last of a list.
#[derive(Debug, Deserialize)]
struct AskBody {
    message: Option<String>,
    #[serde(default)]
    messages: Vec<SentMessage>,
    #[serde(alias = "conversationId")]
    conversation_id: Option<String>,
    #[serde(alias = "requestId")]
    request_id: Option<String>,
    #[serde(alias = "model")]
    assistant_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct SentMessage {
    #[serde(default)]
    role: String,
    #[serde(default)]
    text: String,
}

#[derive(Debug, Deserialize)]
struct StreamQuery {
    #[serde(default)]
    view: View,
    #[serde(default)]
    after: u64,
}

/// What a stream's events are made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum View {
    /// API clients: `{"text": …}` and `[DONE]`.
    #[default]
    Text,
    /// Whoever shows Markdown as it grows: finished blocks and the text of the open one.
    Blocks,
    /// Our page, which is told by its feed and wants no reply here.
    Page,
}

impl AskBody {
    fn question(self, headers: &HeaderMap) -> Question {
        let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
        let last = self.messages.into_iter().rev().find(|message| {
            !matches!(message.role.as_str(), "ai" | "assistant" | "system" | "tool")
        });
        Question {
            conversation: self.conversation_id,
            text: self.message.or(last.map(|message| message.text)).unwrap_or_default(),
            request_id: key.map(str::to_owned).or(self.request_id),
            assistant: self.assistant_id,
        }
    }
}

/// `POST /api/chat`: asks, and answers with the reply as it is written.
async fn ask(
    State(app): State<App>,
    caller: Caller,
    Query(query): Query<StreamQuery>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response> {
    caller.known()?;
    let body =
        body.map_err(|cause| Error::too_large("The request is too large.").because(cause))?;
    let body: AskBody = serde_json::from_slice(&body).map_err(|cause| {
        Error::bad_request("The body must be a JSON object with `message` or `messages`.")
            .because(cause)
    })?;
    let started = app.chat.ask(&caller, body.question(&headers)).await?;
    if query.view == View::Page {
        return Ok(naming(StatusCode::CREATED.into_response(), &started));
    }
    let after = last_event_id(&headers).unwrap_or(query.after);
    let events = app.chat.follow(&caller, &started.run, after).await?;
    let response = if wants_stream(&headers) {
        stream_response(events, query.view)
    } else {
        whole(events).await?
    };
    Ok(naming(response, &started))
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
    Ok(stream_response(events, query.view))
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

/// The composer's form, sent without a script.
#[derive(Debug, Deserialize)]
pub(super) struct AskForm {
    #[serde(default)]
    text: String,
    suggestion: Option<String>,
    conversation: Option<String>,
    request_id: Option<String>,
}

/// `POST /chat`: asks, and sends the browser to the page where the reply arrives. When that cannot
/// be, the answer is a page that holds the message.
async fn ask_by_form(
    State(app): State<App>,
    caller: Caller,
    head: Parts,
    Form(form): Form<AskForm>,
) -> Response {
    let text = form.suggestion.filter(|_| form.text.is_empty()).unwrap_or(form.text);
    let present = |field: Option<String>| field.filter(|value| !value.is_empty());
    let question = Question {
        conversation: present(form.conversation),
        text: text.clone(),
        request_id: present(form.request_id),
        assistant: None,
    };
    let conversation = question.conversation.clone();
    match app.chat.ask(&caller, question).await {
        Ok(started) => {
            Redirect::to(&format!("/chat/{}/live", started.conversation)).into_response()
        }
        Err(error) => kept(&app, head, error, text, conversation).await,
    }
}

async fn kept(
    app: &App,
    head: Parts,
    error: Error,
    text: String,
    conversation: Option<String>,
) -> Response {
    let signed_out = error.kind() == Kind::Unauthenticated;
    let message = error.message().to_owned();
    let page = move || KeptMessage(message.clone(), text.clone(), conversation.clone(), signed_out);
    html::error_page(app, head, &error, page).await
}

fn wants_stream(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accepts| accepts.to_str().ok());
    accepts.is_some_and(|accepts| accepts.contains("text/event-stream"))
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
        event.map_or_else(|| KEEP_ALIVE.to_owned(), |(id, event)| frames.frame(id, event))
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

/// One event for API clients.
#[derive(Serialize)]
#[serde(untagged)]
enum TextEvent<'a> {
    Text { text: &'a str },
    Html { html: &'a str, overwrite: bool },
    Whole { text: &'a str, overwrite: bool },
    Reasoning { reasoning: &'a str },
    Error { error: &'a str },
}

/// Writes the events of one stream.
struct Frames {
    view: View,
    /// The blocks of a reply in HTML, which API clients are told whole.
    blocks: Vec<String>,
}

impl Frames {
    fn new(view: View) -> Self {
        Self { view, blocks: Vec::new() }
    }

    fn frame(&mut self, id: u64, event: RunEvent) -> String {
        match self.view {
            View::Blocks => sse::encode(None, Some(&id), &json(&event)),
            View::Text | View::Page => self
                .text(event)
                .map_or_else(String::new, |data| sse::encode(None, Some(&id), &data)),
        }
    }

    /// A block says nothing new to a client that has its text. An error comes last, since some
    /// clients clear it on whatever follows.
    fn text(&mut self, event: RunEvent) -> Option<String> {
        let data = match &event {
            RunEvent::Text { text } => json(&TextEvent::Text { text }),
            RunEvent::Reasoning { text } => json(&TextEvent::Reasoning { reasoning: text }),
            RunEvent::Whole { html, is_html: true, .. } => {
                json(&TextEvent::Html { html, overwrite: true })
            }
            RunEvent::Whole { text, .. } => json(&TextEvent::Whole { text, overwrite: true }),
            RunEvent::Html { keep, blocks } => {
                self.blocks.truncate(*keep);
                self.blocks.extend_from_slice(blocks);
                json(&TextEvent::Html { html: &self.blocks.concat(), overwrite: true })
            }
            RunEvent::Block { .. } | RunEvent::Wait { .. } => return None,
            RunEvent::End(outcome) => end(outcome),
        };
        Some(data)
    }
}

fn end(outcome: &Outcome) -> String {
    match (&outcome.problem, outcome.state) {
        (Some(error), _) => json(&TextEvent::Error { error }),
        (None, MessageState::Interrupted) => json(&TextEvent::Error {
            error: "The reply was interrupted. What had arrived is kept.",
        }),
        (None, _) => "[DONE]".to_owned(),
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// The whole reply in one answer, for clients that asked for no stream. One that did not come to its
/// end says so in `state`.
async fn whole(mut events: Events) -> Result<Response> {
    #[derive(Default, Serialize)]
    struct Whole {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        html: Option<String>,
        #[serde(skip_serializing_if = "String::is_empty")]
        reasoning: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        state: Option<MessageState>,
    }
    let mut told = Transcript::default();
    while let Some((_, event)) = events.next().await {
        told.apply(event);
    }
    let outcome = told.outcome.take().unwrap_or(Outcome::of(MessageState::Interrupted));
    if let Some(problem) = outcome.problem {
        return Err(Error::bad_gateway(problem));
    }
    let (text, html) = match told.is_html {
        true => (None, Some(told.html)),
        false => (Some(told.source), None),
    };
    let state = Some(outcome.state).filter(|state| *state != MessageState::Done);
    Ok(Json(Whole { text, html, reasoning: told.reasoning, state }).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_get_text_and_then_done() {
        let mut frames = Frames::new(View::Text);
        let text = RunEvent::Text { text: "Hi\n".into() };
        assert_eq!(frames.frame(1, text), "id: 1\ndata: {\"text\":\"Hi\\n\"}\n\n");
        let block = RunEvent::Block { html: "<p>Hi</p>".into(), length: 3 };
        assert_eq!(frames.frame(2, block), "");
        let end = RunEvent::End(Outcome::of(MessageState::Done));
        assert_eq!(frames.frame(3, end), "id: 3\ndata: [DONE]\n\n");
        let problem = Some("No".into());
        let failed = Outcome { problem, ..Outcome::of(MessageState::Failed) };
        let frame = frames.frame(4, RunEvent::End(failed));
        assert_eq!(frame, "id: 4\ndata: {\"error\":\"No\"}\n\n");
    }

    #[test]
    fn clients_get_html_whole() {
        let mut frames = Frames::new(View::Text);
        let html = |keep, block: &str| RunEvent::Html { keep, blocks: vec![block.into()] };
        frames.frame(1, html(0, "<p>a</p>"));
        let second = frames.frame(2, html(1, "<p>b</p>"));
        let data = r#"{"html":"<p>a</p><p>b</p>","overwrite":true}"#;
        assert_eq!(second, format!("id: 2\ndata: {data}\n\n"));
    }

    #[test]
    fn the_newest_message_of_a_person_is_the_question() {
        let body: AskBody = serde_json::from_str(
            r#"{"messages":[{"role":"user","text":"a"},{"role":"ai","text":"b"},
                {"role":"user","text":"c"}],"stream":1}"#,
        )
        .unwrap();
        assert_eq!(body.question(&HeaderMap::new()).text, "c");
    }
}
