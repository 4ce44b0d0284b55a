//! The island's way to the chat endpoints: one POST that asks, one GET that reads on.

use std::collections::VecDeque;

use futures::StreamExt;
use gloo_net::http::{Request, Response};
use js_sys::Uint8Array;
use serde::Serialize;
use wasm_bindgen::JsCast;
use wasm_streams::{ReadableStream, readable::IntoStream};

use super::{
    sse::Decoder,
    wire::{CONVERSATION_HEADER, MESSAGE_HEADER, RUN_HEADER, RunEvent, Started},
};
use crate::error::{Failure, Kind};

/// A question on its way.
#[derive(Debug, Serialize)]
pub struct Ask {
    /// What is asked.
    pub message: String,
    /// The conversation it goes into.
    pub conversation_id: Option<String>,
    /// The same id, sent again, finds the run it began.
    pub request_id: String,
}

/// Why a request brought no stream.
#[derive(Debug)]
pub enum AskError {
    /// Breezeway said no.
    Refused(Failure),
    /// Breezeway was not reached, or broke off.
    Offline,
}

/// Numbered events as they arrive.
pub struct EventReader {
    chunks: IntoStream<'static>,
    decoder: Decoder,
    ready: VecDeque<(u64, RunEvent)>,
}

/// Asks, and answers where the reply is written and its events.
pub async fn ask(ask: &Ask) -> Result<(Started, EventReader), AskError> {
    let request = Request::post("/api/chat?view=blocks")
        .header("accept", "text/event-stream")
        .json(ask)
        .map_err(offline)?;
    let response = accepted(request.send().await.map_err(offline)?).await?;
    let header = |name: &str| response.headers().get(name).unwrap_or_default();
    let started = Started {
        conversation: header(CONVERSATION_HEADER),
        message: header(MESSAGE_HEADER),
        run: header(RUN_HEADER),
    };
    Ok((started, EventReader::new(&response)?))
}

/// Reads a run's events after number `after`.
pub async fn tail(run: &str, after: u64) -> Result<EventReader, AskError> {
    let address = format!("/api/chat/runs/{run}/events?view=blocks&after={after}");
    let response = Request::get(&address).send().await.map_err(offline)?;
    // Trouble on the way is not the end of the run.
    if response.status() >= 500 {
        return Err(AskError::Offline);
    }
    EventReader::new(&accepted(response).await?)
}

impl EventReader {
    fn new(response: &Response) -> Result<Self, AskError> {
        let body = response.body().ok_or(AskError::Offline)?;
        let chunks = ReadableStream::from_raw(body).into_stream();
        Ok(Self { chunks, decoder: Decoder::new(), ready: VecDeque::new() })
    }

    /// The next event; `None` when the connection ended, however it ended.
    pub async fn next(&mut self) -> Option<(u64, RunEvent)> {
        while self.ready.is_empty() {
            let chunk = self.chunks.next().await?.ok()?.dyn_into::<Uint8Array>().ok()?.to_vec();
            let events = self.decoder.push(&chunk).ok()?;
            self.ready.extend(events.into_iter().filter_map(|event| {
                Some((event.id.parse().ok()?, serde_json::from_slice(event.data.as_bytes()).ok()?))
            }));
        }
        self.ready.pop_front()
    }
}

async fn accepted(response: Response) -> Result<Response, AskError> {
    if response.ok() {
        return Ok(response);
    }
    let body = response.binary().await.map_err(offline)?;
    let failure = serde_json::from_slice::<Failure>(&body).unwrap_or_else(|_| {
        Failure::new(Kind::Internal, "Something went wrong. Your message is kept; try again.")
    });
    Err(AskError::Refused(failure))
}

fn offline(_: gloo_net::Error) -> AskError {
    AskError::Offline
}
