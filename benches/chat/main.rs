//! Chat under load: a provider that speaks steadily, and what it costs to keep and to show what it
//! says. `PART` chooses one of `runs`, `length` and `browser`; each part names its own settings.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first surprise")]

mod browser;
mod length;
mod provider;
mod runs;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::json;
use support::Browser;

#[tokio::main]
async fn main() {
    let provider = provider::start().await;
    let part = std::env::var("PART").ok();
    let is_wanted = |name| part.as_deref().is_none_or(|part| part == name);
    if is_wanted("runs") {
        runs::measure(&provider).await;
    }
    if is_wanted("length") {
        length::measure(&provider).await;
    }
    if is_wanted("browser") {
        browser::measure(&provider).await;
    }
}

/// A time in µs, to be divided.
fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Asks in a new conversation; the answer is the stream of the reply.
async fn ask(browser: &Browser, question: &str) -> Response {
    let request = browser
        .request(Method::POST, "/api/chat")
        .header("accept", "text/event-stream")
        .json(&json!({ "message": question }));
    request.send().await.expect("an answer")
}
