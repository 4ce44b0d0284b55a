//! One run: asking the provider and reading its answer, whoever may be watching.

use std::{mem, sync::Arc, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE},
        response,
    },
};
use bytes::Bytes;
use futures::StreamExt;
use serde_json::Value;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    live::LiveRun,
    log::RunLog,
    provider::{
        Ask, Attached, Cause, Content, End, Kind, Provider, ProviderError, Turn, dialect,
        said_of_file,
    },
    reply::{Begun, Next, Reply},
    retry::{self, Retries},
    store::ChatStore,
    tools::{Bench, Tools},
    wire::{MessageState, Outcome},
};
use crate::{
    backend::{self, Backends, Call},
    config::AssistantConfig,
    error::{self, Error},
    session::Caller,
    store::{millis, now},
    ui::reader::Habits,
};

/// How long a stream that has said all may stay open.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How often a service may want to be asked again before a reply is given up.
const MOST_STEPS: u32 = 25;

/// Everything a run needs to go on by itself.
pub(super) struct Run {
    pub live: Arc<LiveRun>,
    pub log: RunLog,
    pub store: ChatStore,
    pub backends: Backends,
    pub caller: Caller,
    pub assistant: AssistantConfig,
    pub turns: Vec<Turn>,
    /// Names the conversation to a service that keeps it.
    pub thread: String,
    /// What an earlier run had of this reply, when this one continues it.
    pub begun: Begun,
    /// What can be done on the way.
    pub tools: Tools,
    /// How the person is used to reading what is shown of it.
    pub habits: Habits,
    pub shutdown: CancellationToken,
}

/// One round of asking.
struct Asked<'a> {
    turns: &'a [Turn],
    bench: &'a Bench,
    /// How often the service has wanted to be asked again.
    step: u32,
    /// Whether to ask for the count of tokens.
    counts: bool,
}

/// Why a reply did not come, or not to its end.
struct Trouble {
    error: Error,
    /// The status its service refused it with.
    status: Option<u16>,
    /// How long its service wants to be left alone.
    wait: Option<Duration>,
    /// Whether the same may be asked again.
    may_ask_again: bool,
    /// Whether it may be asked again without the count of tokens.
    refuses_counting: bool,
}

impl Run {
    /// Writes the reply to its end, which is committed when this returns.
    pub async fn write(mut self) {
        let turns = mem::take(&mut self.turns);
        let begun = mem::take(&mut self.begun);
        let mut reply = Reply::new(self.live.clone(), self.log.clone(), &begun);
        let ending = tokio::select! {
            () = self.live.stop.cancelled() => Outcome::of(match self.shutdown.is_cancelled() {
                true => MessageState::Interrupted,
                false => MessageState::Stopped,
            }),
            written = self.generate(turns, &mut reply) => match written {
                Ok(()) => Outcome::of(MessageState::Done),
                Err(trouble) => self.failed(trouble, reply.is_empty()),
            },
        };
        reply.finish(ending).await;
        self.live.ended().await;
    }

    /// A failure in the middle leaves a text that can be continued, as any interruption does.
    fn failed(&self, trouble: Trouble, is_empty: bool) -> Outcome {
        tracing::warn!(run = self.live.id, error = %trouble.error, "a reply failed");
        Outcome {
            state: if is_empty { MessageState::Failed } else { MessageState::Interrupted },
            problem: Some(trouble.error.message().to_owned()),
            status: trouble.status,
            retry_at: trouble.wait.map(|wait| now().saturating_add(millis(wait))),
        }
    }

    /// Asks, does what the service wants done, and asks again with what came of it, until it wants
    /// nothing more.
    async fn generate(&self, mut turns: Vec<Turn>, reply: &mut Reply) -> Result<(), Trouble> {
        reply.flush().await;
        // Boxed, or every run would hold the room for it.
        Box::pin(self.give_files(&mut turns)).await?;
        let mut bench = Box::pin(self.bench()).await;
        bench.instruct(&mut turns);
        let mut counts = true;
        loop {
            reply.begin_round();
            self.answer(&turns, &bench, reply, &mut counts).await?;
            let (round, calls) = reply.take_round();
            if calls.is_empty() || bench.is_empty() {
                break;
            }
            if !bench.may_call() {
                return Err(Cause::Restless.into());
            }
            reply.pause().await;
            bench.begin_round(round);
            for call in calls {
                if let Some(step) = Box::pin(bench.run(call)).await {
                    reply.step(step).await;
                }
            }
        }
        if reply.says_nothing() { Err(Cause::Empty.into()) } else { Ok(()) }
    }

    async fn bench(&self) -> Bench {
        let (caller, habits) = (&self.caller, self.habits.clone());
        self.tools.bench(&self.assistant, caller, habits, &self.live.message).await
    }

    /// Asks as often as it takes: a service that is busy is asked again until the answer has begun,
    /// one that works in steps after every step.
    async fn answer(
        &self,
        turns: &[Turn],
        bench: &Bench,
        reply: &mut Reply,
        counts: &mut bool,
    ) -> Result<(), Trouble> {
        let (mut step, mut retries) = (0, Retries::default());
        loop {
            match self.attempt(&Asked { turns, bench, step, counts: *counts }, reply).await {
                Ok(Next::AskAgain) if step < MOST_STEPS => step += 1,
                Ok(Next::AskAgain) => return Err(ProviderError::Unfinished(Cause::BrokeOff).into()),
                Ok(_) => return Ok(()),
                Err(trouble) if *counts && trouble.refuses_counting => *counts = false,
                Err(trouble) => {
                    let again = trouble.may_ask_again && !reply.has_grown();
                    let Some(pause) = again.then(|| retries.next(trouble.wait)).flatten() else {
                        return Err(trouble);
                    };
                    tracing::info!(run = self.live.id, error = %trouble.error, ?pause,
                        "a provider is busy and is asked again");
                    reply.wait(pause).await;
                    sleep(pause).await;
                }
            }
        }
    }

    /// Gives the service the files it was not given before, if it takes them apart from questions.
    async fn give_files(&self, turns: &mut [Turn]) -> Result<(), Trouble> {
        let Some(path) = &self.assistant.upload else { return Ok(()) };
        let place = self.assistant.upload_place();
        for file in turns.iter_mut().flat_map(|turn| &mut turn.files) {
            if let Content::Image(bytes) | Content::Document(bytes) = &file.content {
                let said = self.give_file(path, file, bytes).await?;
                self.store.note_given(&file.id, &place, &said).await.map_err(Error::from)?;
                file.content = Content::Given(said);
            }
        }
        Ok(())
    }

    async fn give_file(&self, path: &str, file: &Attached, bytes: &[u8]) -> Result<Value, Trouble> {
        let provider = dialect(self.assistant.provider);
        let backend = self.backends.find(&self.assistant.backend)?;
        let answer = backend.send(&self.caller, provider.upload(path, file, bytes)).await?;
        let (head, body) = answer.into_parts();
        let body = backend::read(body).await?;
        if !head.status.is_success() {
            return Err(refused(provider, &head, &body));
        }
        said_of_file(&body).ok_or_else(|| ProviderError::NotAStream.into())
    }

    async fn attempt(&self, asked: &Asked<'_>, reply: &mut Reply) -> Result<Next, Trouble> {
        let provider = dialect(self.assistant.provider);
        let backend = self.backends.find(&self.assistant.backend)?;
        let ask = Ask {
            thread: &self.thread,
            step: asked.step,
            counts: asked.counts,
            tools: &asked.bench.tools,
            rounds: &asked.bench.rounds,
            may_call: asked.bench.is_empty() || asked.bench.may_call(),
            ..Ask::new(&self.assistant, asked.turns)
        };
        let call = call(provider, &ask)?;
        let answer = backend.send(&self.caller, call).await?;
        let (head, body) = answer.into_parts();
        if !head.status.is_success() {
            let body = backend::read(body).await?;
            return Err(refused(provider, &head, &body));
        }
        let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = Kind::of(kind.unwrap_or_default());
        // It would hold the buffer that it was read into for as long as the reply takes.
        drop(head);
        let read = self.read(provider, kind, body, reply).await;
        read.map_err(|error| Trouble {
            may_ask_again: provider.may_ask_again(&error),
            ..Trouble::from(error)
        })
    }

    async fn read(
        &self,
        provider: &dyn Provider,
        kind: Kind,
        body: Body,
        reply: &mut Reply,
    ) -> Result<Next, ProviderError> {
        let mut reader = provider.reader(kind)?;
        let mut chunks = body.into_data_stream();
        let end = loop {
            let chunk = tokio::select! {
                chunk = next_chunk(&mut chunks, reader.is_ending()) => chunk,
                () = reply.due() => {
                    reply.take(Vec::new()).await;
                    continue;
                }
            };
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(end) => break end,
            };
            let mut deltas = Vec::new();
            let read = reader.push(&chunk, &mut deltas);
            let next = reply.take(deltas).await;
            read?;
            if next != Next::Read {
                return Ok(next);
            }
        };
        let mut deltas = Vec::new();
        let read = reader.finish(end, &mut deltas);
        let next = reply.take(deltas).await;
        read.map(|()| next)
    }
}

/// What a provider is asked.
pub(super) fn call(provider: &dyn Provider, ask: &Ask<'_>) -> Result<Call, Error> {
    let body = provider.body(ask);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static(provider.accepts()));
    // A compressed stream holds tokens back until a block is full.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let own = provider
        .headers()
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let body = Body::from(serde_json::to_vec(&body).map_err(Error::internal)?);
    let call = Call::new(Method::POST, &ask.assistant.path);
    Ok(Call { headers, own: own.collect(), body, ..call })
}

/// The next piece of a stream, or how it ended. Some services leave a finished stream open, so its
/// end is not waited for long.
async fn next_chunk(chunks: &mut BodyDataStream, is_ending: bool) -> Result<Bytes, End> {
    let chunk = match is_ending {
        true => timeout(LAST_WORDS, chunks.next()).await,
        false => Ok(chunks.next().await),
    };
    match chunk {
        Ok(Some(Ok(chunk))) => Ok(chunk),
        Ok(Some(Err(cause))) => {
            tracing::debug!(%cause, "a provider's stream broke off");
            Err(End::Broken)
        }
        Ok(None) => Err(End::Clean),
        Err(_) => Err(End::Broken),
    }
}

fn refused(provider: &dyn Provider, head: &response::Parts, body: &[u8]) -> Trouble {
    let error = provider.refusal(head.status.as_u16(), body);
    let wish = retry::wish(&head.headers);
    Trouble {
        status: Some(head.status.as_u16()),
        may_ask_again: wish.may_ask_again.unwrap_or(true) && provider.may_ask_again(&error),
        wait: wish.wait,
        refuses_counting: matches!(head.status.as_u16(), 400 | 422)
            && String::from_utf8_lossy(body).contains("stream_options"),
        ..error.into()
    }
}

impl From<ProviderError> for Trouble {
    fn from(cause: ProviderError) -> Self {
        let error = Error::bad_gateway(cause.sentence()).because(cause);
        Self { error, status: None, wait: None, may_ask_again: false, refuses_counting: false }
    }
}

impl From<Cause> for Trouble {
    fn from(cause: Cause) -> Self {
        ProviderError::Unfinished(cause).into()
    }
}

/// Trouble before the service answered. Only what was never sent may be sent again.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let was_not_sent = error.kind() == error::Kind::Unavailable;
        let status = Some(error.status()).filter(|_| error.kind() != error::Kind::Internal);
        Self { status, wait: None, may_ask_again: was_not_sent, refuses_counting: false, error }
    }
}
