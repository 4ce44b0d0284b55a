//! One run: reading the provider and writing the reply, whoever may be watching.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{
        HeaderMap, HeaderValue, Method,
        header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
    },
};
use bytes::Bytes;
use futures::StreamExt;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    live::LiveRun,
    log::{Entry, Finished, RunLog},
    markdown::BlockWriter,
    provider::{Delta, ProviderError, Turn, openai},
    wire::{MessageState, RunEvent},
};
use crate::{
    backend::{self, Backends, Call},
    config::AssistantConfig,
    error::{Error, Result},
    session::Caller,
};

/// How long a stream that has said all may stay open.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Everything a run needs to go on by itself.
pub(super) struct Run {
    pub live: Arc<LiveRun>,
    pub log: RunLog,
    pub backends: Backends,
    pub caller: Caller,
    pub assistant: AssistantConfig,
    pub turns: Vec<Turn>,
    /// What an earlier run had written of this reply, when this one continues it.
    pub prefix: String,
    pub shutdown: CancellationToken,
}

impl Run {
    /// Writes the reply to its end, which is committed when this returns.
    pub async fn write(self) {
        let mut reply = Reply::new(self.live.clone(), self.log.clone());
        reply.add(&self.prefix);
        let ending = tokio::select! {
            () = self.live.stop.cancelled() => Ending::Stopped,
            () = self.shutdown.cancelled() => Ending::Interrupted,
            result = self.generate(&mut reply) => result.map_or_else(Ending::Failed, |()| Ending::Done),
        };
        reply.finish(ending).await;
        self.live.ended().await;
    }

    async fn generate(&self, reply: &mut Reply) -> Result<()> {
        reply.flush().await;
        let backend = self.backends.find(&self.assistant.backend)?;
        let answer = backend.send(&self.caller, self.call()?).await?;
        let status = answer.status();
        let is_json = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !status.is_success() {
            let body = backend::read(answer.into_body()).await?;
            return Err(problem(openai::refusal(status.as_u16(), &body)));
        }
        if is_json {
            let body = backend::read(answer.into_body()).await?;
            return reply.take(openai::whole(&body).map_err(problem)?).await.map(drop);
        }
        read_stream(answer.into_body(), reply).await
    }

    fn call(&self) -> Result<Call> {
        let body = openai::request_body(&self.assistant.model, &self.turns, true);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        // A compressed stream holds tokens back until a block is full.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let body = Body::from(serde_json::to_vec(&body).map_err(Error::internal)?);
        Ok(Call { headers, body, ..Call::new(Method::POST, &self.assistant.path) })
    }
}

async fn read_stream(body: Body, reply: &mut Reply) -> Result<()> {
    let mut chunks = body.into_data_stream();
    let mut reader = openai::Reader::new();
    while let Some(chunk) = next_chunk(&mut chunks, reader.is_ending()).await {
        if reply.take(reader.push(&chunk).map_err(problem)?).await? {
            return Ok(());
        }
    }
    reply.take(reader.finish().map_err(problem)?).await.map(drop)
}

/// The next piece of a stream; none when it ended or broke off, which the reader tells apart by what
/// came before. Some services leave a finished stream open, so its end is not waited for long.
async fn next_chunk(chunks: &mut BodyDataStream, is_ending: bool) -> Option<Bytes> {
    let limit = if is_ending { LAST_WORDS } else { Duration::MAX };
    match timeout(limit, chunks.next()).await.ok()?? {
        Ok(chunk) => Some(chunk),
        Err(cause) => {
            tracing::debug!(%cause, "a provider's stream broke off");
            None
        }
    }
}

fn problem(cause: ProviderError) -> Error {
    Error::bad_gateway(cause.sentence()).because(cause)
}

enum Ending {
    Done,
    Stopped,
    Interrupted,
    Failed(Error),
}

impl Ending {
    /// A failure in the middle leaves a text that can be continued, as any interruption does.
    fn state(&self, has_text: bool) -> MessageState {
        match self {
            Self::Done => MessageState::Done,
            Self::Stopped => MessageState::Stopped,
            Self::Failed(_) if !has_text => MessageState::Failed,
            Self::Failed(_) | Self::Interrupted => MessageState::Interrupted,
        }
    }

    fn problem(&self) -> Option<String> {
        match self {
            Self::Failed(error) => Some(error.message().to_owned()),
            _ => None,
        }
    }
}

/// The reply as it grows, and the events that are not yet in the log.
struct Reply {
    live: Arc<LiveRun>,
    log: RunLog,
    blocks: BlockWriter,
    html: String,
    pending: Vec<RunEvent>,
    logged: u64,
}

impl Reply {
    fn new(live: Arc<LiveRun>, log: RunLog) -> Self {
        let blocks = BlockWriter::new();
        Self { live, log, blocks, html: String::new(), pending: Vec::new(), logged: 0 }
    }

    /// Adds what the provider sent; answers whether it said that it is done.
    async fn take(&mut self, deltas: Vec<Delta>) -> Result<bool> {
        let mut done = false;
        for delta in deltas {
            match delta {
                Delta::Text(text) => self.add(&text),
                Delta::Done => done = true,
                Delta::Reasoning(_) | Delta::Usage(_) => {}
            }
        }
        self.flush().await;
        Ok(done)
    }

    fn add(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.pending.push(RunEvent::Text { text: text.to_owned() });
        let closed = self.blocks.push(text);
        self.close(closed);
    }

    fn close(&mut self, blocks: Vec<super::markdown::Block>) {
        for block in blocks {
            self.html.push_str(&block.html);
            self.pending.push(RunEvent::Block { html: block.html, length: block.source_len });
        }
    }

    /// Queues what is pending. Waiting for a place comes first, so a run that is stopped while it
    /// waits has neither lost nor doubled an event.
    async fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.queue(None).await;
        }
    }

    async fn finish(mut self, ending: Ending) {
        if let Ending::Failed(error) = &ending {
            tracing::warn!(run = self.live.id, %error, "a reply failed");
        }
        let closed = self.blocks.finish();
        self.close(closed);
        let finished = Finished {
            text: self.blocks.text().to_owned(),
            html: self.html.clone(),
            state: ending.state(!self.blocks.text().is_empty()),
            problem: ending.problem(),
        };
        let (state, problem) = (finished.state, finished.problem.clone());
        self.pending.push(RunEvent::End { state, problem });
        self.queue(Some(finished)).await;
    }

    async fn queue(&mut self, finished: Option<Finished>) {
        let Some(place) = self.log.place().await else { return };
        let events = std::mem::take(&mut self.pending);
        let first_seq = self.logged + 1;
        self.logged += events.len() as u64;
        place.send(Entry { run: self.live.clone(), first_seq, events, finished });
    }
}
