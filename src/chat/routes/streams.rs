//! Reading what is being written: the events of a run, and the feed of a conversation.

use std::{
    convert::Infallible,
    future::{poll_fn, ready},
    time::Duration,
};

use axum::{
    body::Body,
    extract::State,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;

use crate::{
    backend::Silence,
    chat::{
        feed::Cursor,
        frames::{Frames, View},
        service::Events,
    },
    error::{Error, Result},
    server::{
        extract::{Path, Query},
        state::App,
    },
    session::Caller,
};

/// A comment that says nothing but that the stream is alive. One line end: two would be an event to
/// some clients.
const KEEP_ALIVE: &str = ":\n";
const SILENCE: Duration = Duration::from_secs(15);

#[derive(Debug, Deserialize)]
pub(super) struct StreamQuery {
    #[serde(default)]
    pub view: ViewName,
    #[serde(default)]
    pub after: u64,
    /// What becomes of the reply when its client goes away: it is written on, unless this says
    /// `stop`.
    pub on_disconnect: Option<OnDisconnect>,
}

/// `view` of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ViewName {
    #[default]
    Text,
    Blocks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnDisconnect {
    Stop,
    Continue,
}

impl ViewName {
    pub fn view(self, session: Option<String>) -> View {
        match self {
            Self::Text => View::Text { session },
            Self::Blocks => View::Blocks,
        }
    }
}

/// `GET /api/chat/runs/{id}/events`: reads a run from any place in its log.
pub(super) async fn events(
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
pub(super) async fn stop(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode> {
    app.chat.stop(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Deserialize)]
pub(super) struct FeedQuery {
    after: Option<String>,
}

/// `GET /api/chat/conversations/{id}/feed`: what a page that shows the conversation is told, from a
/// place in it on.
pub(super) async fn feed(
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
    Ok(event_stream(
        kept_alive(frames, SILENCE).map(|frame| frame.unwrap_or_else(|| KEEP_ALIVE.to_owned())),
    ))
}

pub(super) fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

pub(super) fn stream_response(events: Events, view: View) -> Response {
    let mut frames = Frames::new(view);
    event_stream(kept_alive(events, SILENCE).map(move |event| {
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

/// The events, and `None` whenever there was none for as long as `silence`.
fn kept_alive<T: Send + 'static>(
    events: impl Stream<Item = T> + Send + 'static,
    silence: Duration,
) -> impl Stream<Item = Option<T>> + Send + 'static {
    let begin = (events.boxed(), Silence::new(silence));
    stream::unfold(begin, |(mut events, mut silence)| async move {
        let event = tokio::select! {
            biased;
            event = events.next() => Some(event?),
            () = poll_fn(|cx| silence.poll_too_long(cx)) => None,
        };
        silence.end();
        Some((event, (events, silence)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silence_is_filled_for_as_long_as_it_lasts() {
        let words = stream::iter([1, 2]).chain(stream::pending());
        let told: Vec<_> = kept_alive(words, Duration::from_millis(5)).take(4).collect().await;
        assert_eq!(told, [Some(1), Some(2), None, None]);
        let said = kept_alive(stream::iter([1]), SILENCE).collect::<Vec<_>>().await;
        assert_eq!(said, [Some(1)]);
    }
}
