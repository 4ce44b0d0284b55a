//! `POST /api/chat`: a question, and the reply to it in the form its client understands.

use std::time::Duration;

use axum::{
    Json,
    body::to_bytes,
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use super::{
    accepts, known,
    streams::{OnDisconnect, StreamQuery, ViewName, last_event_id, stream_response},
};
use crate::{
    chat::{
        intake::{self, Asked},
        service::{Chat, Events},
        transcript::Transcript,
        upload::{self, Fields},
        wire::{
            CONVERSATION_HEADER, MESSAGE_HEADER, MessageState, Outcome, RUN_HEADER, RunEvent,
            Started, Step, with_steps,
        },
    },
    error::{Error, Result},
    server::{extract::Query, state::App},
    session::Caller,
    store::now,
    ui::reader::Habits,
};

/// How long the head of an answer waits for a reply's first word.
const HEAD: Duration = Duration::from_secs(10);
/// The largest body of a question, which may bring a whole conversation along, in bytes.
const LARGEST_BODY: usize = 16 << 20;

/// `POST /api/chat`: asks, and answers with the reply, whole or as it is written.
pub(super) async fn ask(
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
    question.habits = Habits::of(&headers);
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

/// `POST /api/chat/session`: the caller's own CSRF token of the default assistant's backend, as
/// plain text, for clients that were written to fetch one first. Breezeway adds it by itself.
pub(super) async fn csrf_token(
    State(app): State<App>,
    caller: Caller,
) -> Result<impl IntoResponse> {
    caller.known()?;
    let assistant = app.chat.default_assistant().ok_or_else(|| {
        Error::not_found("There is no chat here. Add a [chat] table to Leptos.toml.")
    })?;
    let token = app.backends.find(&assistant.backend)?.csrf_token(&caller).await?;
    Ok(([(CACHE_CONTROL, "no-store"), (CONTENT_TYPE, "text/plain; charset=utf-8")], token))
}

pub(super) async fn whole_body(request: Request) -> Result<Bytes> {
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

fn wants_stream(headers: &HeaderMap) -> bool {
    accepts(headers, "text/event-stream")
}

pub(super) fn naming(mut response: Response, started: &Started) -> Response {
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
        false => (Some(with_steps(&told.source, &told.steps, Step::as_link)), None),
    };
    let state = Some(outcome.state).filter(|state| *state != MessageState::Done);
    Ok(Json(Whole { text, html, reasoning: told.reasoning, state, session }).into_response())
}
