//! An OpenAI-compatible provider that says as many words as it is asked to, as fast as it is asked to.

use std::{
    convert::Infallible,
    sync::LazyLock,
    time::{Duration, Instant},
};

use axum::{Json, Router, body::Body, response::Response, routing::post};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};

/// When this process began, from which words count their time.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Time since this process began.
pub fn clock() -> Duration {
    BEGAN.elapsed()
}

/// What each word is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Words {
    /// The time at which it is said.
    Times,
    /// Part of a text as assistants write it: paragraphs, lists, code and tables.
    Prose,
}

/// The question to which this provider says `count` words, one every `gap`.
pub fn question(count: usize, gap: Duration, words: Words) -> String {
    format!("{words:?}: {count} words, {} µs", gap.as_micros())
}

fn asked(question: &str) -> Option<(usize, Duration, Words)> {
    let (words, rest) = question.split_once(": ")?;
    let (count, gap) = rest.strip_suffix(" µs")?.split_once(" words, ")?;
    let words = if words == "Times" { Words::Times } else { Words::Prose };
    Some((count.parse().ok()?, Duration::from_micros(gap.parse().ok()?), words))
}

/// Starts it; answers its origin.
pub async fn start() -> String {
    LazyLock::force(&BEGAN);
    let router = Router::new().route("/v1/chat/completions", post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

async fn answer(Json(body): Json<Value>) -> Response {
    let question = body["messages"].as_array().and_then(|turns| turns.last()?["content"].as_str());
    let (count, gap, words) = asked(question.unwrap_or_default()).expect("a known question");
    let last = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
    let last = stream::iter([format!("data: {last}\n\n"), "data: [DONE]\n\n".to_owned()]);
    let events = spoken(count, gap, words).chain(last);
    let body = Body::from_stream(events.map(|event| Ok::<_, Infallible>(Bytes::from(event))));
    Response::builder().header("content-type", "text/event-stream").body(body).expect("a response")
}

/// Keeps its pace: a word that is late is not followed by a pause.
fn spoken(count: usize, gap: Duration, words: Words) -> impl Stream<Item = String> + Send {
    let mut pace = interval(gap);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    stream::unfold((0, pace), move |(said, mut pace)| async move {
        if said == count {
            return None;
        }
        pace.tick().await;
        let word = match words {
            Words::Times => format!("t{} ", clock().as_micros()),
            Words::Prose => prose(said),
        };
        let event = json!({"choices": [{"delta": {"content": word}}]});
        Some((format!("data: {event}\n\n"), (said + 1, pace)))
    })
}

/// The word at this place. Every hundred words are a heading, a paragraph, a list, code and a table.
fn prose(place: usize) -> String {
    match place % 100 {
        0 => format!("\n\n## Part {}\n\n", place / 100 + 1),
        40 => "\n\n- **first** ".to_owned(),
        50 => "\n- second ".to_owned(),
        60 => "\n\n```rust\nlet one = 1;\n".to_owned(),
        61..75 => format!("let value{place} = compute({place}); // step\n"),
        75 => "```\n\n".to_owned(),
        90 => "\n\n| name | value |\n|---|---|\n".to_owned(),
        91..99 => format!("| row {place} | {place} |\n"),
        99 => "\n".to_owned(),
        _ => format!("word{place} "),
    }
}
