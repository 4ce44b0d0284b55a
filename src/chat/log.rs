//! The run log: durable before visible, one commit for everybody.
//!
//! All runs queue their events to one writer. It commits what has gathered in one transaction and
//! only then shows it to readers. While a commit is under way the next batch gathers by itself, so a
//! lone run is written at once and a thousand runs share a commit.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Handle,
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    live::LiveRun,
    provider::Usage,
    store::{self, ChatStore},
    wire::{MessageState, Outcome, RunEvent, Step},
};

/// The least time between two commits: what a busy log adds to an event's latency.
const GAP: Duration = Duration::from_micros(1500);
/// Entries that may wait; beyond it the runs wait, and so do their providers.
const QUEUE: usize = 4096;
/// How often a failed commit is tried again, each time after twice the pause.
const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// What a finished run leaves in its message.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Markdown source; of a reply in HTML what it says, as text.
    pub text: String,
    /// All blocks, rendered, with a mark where something was done.
    pub html: String,
    /// What was done on the way.
    pub steps: Vec<Step>,
    /// Whether the backend wrote it as HTML.
    pub is_html: bool,
    /// What the model thought before it replied.
    pub reasoning: String,
    /// For how long.
    pub reasoning_time: Option<Duration>,
    /// What it took, where the service said so.
    pub usage: Option<Usage>,
    /// How it came to its end.
    pub outcome: Outcome,
}

/// One queued step of a run: events, and at the end what the run leaves behind.
pub(super) struct Entry {
    pub run: Arc<LiveRun>,
    pub first_seq: u64,
    pub events: Vec<RunEvent>,
    pub finished: Option<Finished>,
}

/// The way into the log. Cheap to clone.
#[derive(Clone)]
pub struct RunLog {
    queue: mpsc::Sender<Entry>,
}

/// A place in the queue.
pub(super) type Place<'a> = mpsc::Permit<'a, Entry>;

impl RunLog {
    /// Starts the writer on `runtime`. It ends when the last clone of the log is dropped.
    pub fn start(store: ChatStore, runtime: &Handle) -> Self {
        let (queue, entries) = mpsc::channel(QUEUE);
        runtime.spawn(write(store, entries));
        Self { queue }
    }

    /// Waits for a place in the queue. `None` when the writer is gone, as it is after a shutdown.
    pub(super) async fn place(&self) -> Option<Place<'_>> {
        self.queue.reserve().await.ok()
    }
}

async fn write(store: ChatStore, mut entries: mpsc::Receiver<Entry>) {
    let mut batch = Vec::new();
    let mut due = Instant::now();
    while entries.recv_many(&mut batch, QUEUE).await > 0 {
        if due > Instant::now() {
            sleep_until(due).await;
            while let Ok(entry) = entries.try_recv() {
                batch.push(entry);
            }
        }
        due = Instant::now() + GAP;
        match commit(&store, &batch).await {
            Ok(()) => publish(batch.drain(..)),
            Err(cause) => {
                tracing::error!(%cause, "the run log cannot be written");
                give_up(batch.drain(..));
            }
        }
    }
}

async fn commit(store: &ChatStore, batch: &[Entry]) -> Result<(), store::CommitError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..TRIES {
        match store.commit(batch).await {
            Ok(()) => return Ok(()),
            Err(cause) => tracing::warn!(%cause, "a commit to the run log failed; trying again"),
        }
        sleep(pause).await;
        pause *= 2;
    }
    store.commit(batch).await
}

fn publish(batch: impl Iterator<Item = Entry>) {
    for entry in batch {
        entry.run.publish(entry.events);
    }
}

/// Readers are told the truth: what is not saved is not shown, and the run goes no further.
fn give_up(batch: impl Iterator<Item = Entry>) {
    for entry in batch {
        if entry.run.lose() {
            entry.run.publish([RunEvent::End(Outcome {
                problem: Some(
                    "The reply could not be saved and was stopped. What is shown is kept; try \
                     again when there is room."
                        .to_owned(),
                ),
                ..Outcome::of(MessageState::Interrupted)
            })]);
        }
    }
}
