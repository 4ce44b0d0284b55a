//! Runs that are being written, as readers in this process see them.

use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    transcript::Transcript,
    view::{MessageView, RunCursor, StepView},
    wire::{MessageState, Outcome, Role, RunEvent},
};
use crate::store::now;

/// The events of a run that are safely in the database, and a bell that rings when there are more.
pub struct LiveRun {
    /// The run's id.
    pub id: String,
    /// The run's number in the log.
    pub number: i64,
    /// The conversation it writes into.
    pub conversation: String,
    /// The message it writes.
    pub message: String,
    /// Who may read it.
    pub owner: String,
    /// Who writes it, by name.
    pub assistant: String,
    begun_at: i64,
    /// Cancelled when the person stops it, and with the server.
    pub stop: CancellationToken,
    lost: AtomicBool,
    written: RwLock<Written>,
    committed: watch::Sender<u64>,
}

/// Where a run writes.
pub struct RunTarget {
    /// Whose it is.
    pub owner: String,
    /// The conversation.
    pub conversation: String,
    /// The message.
    pub message: String,
}

impl LiveRun {
    /// A run that has written nothing yet, and is stopped with `stop`.
    pub fn new(
        id: String,
        number: i64,
        at: RunTarget,
        assistant: String,
        stop: CancellationToken,
    ) -> Self {
        let RunTarget { owner, conversation, message } = at;
        Self {
            id,
            number,
            conversation,
            message,
            owner,
            assistant,
            begun_at: now(),
            stop,
            lost: AtomicBool::new(false),
            written: RwLock::default(),
            committed: watch::Sender::new(0),
        }
    }

    /// Shows events to readers. Only the log calls this, after the commit.
    pub(super) fn publish(&self, fresh: impl IntoIterator<Item = RunEvent>) {
        let mut written = self.written.write().unwrap_or_else(PoisonError::into_inner);
        for event in fresh {
            written.push(event);
        }
        let count = written.count();
        drop(written);
        self.committed.send_replace(count);
    }

    /// Waits until the last event is committed.
    pub(super) async fn ended(&self) {
        let mut bell = self.committed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = bell.wait_for(|_| self.has_ended()).await;
    }

    /// Whether its last event is committed.
    pub(super) fn has_ended(&self) -> bool {
        let written = self.written();
        written.event(written.count()).is_some_and(|event| matches!(event, RunEvent::End(_)))
    }

    fn written(&self) -> RwLockReadGuard<'_, Written> {
        self.written.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops a run whose log cannot be written; answers whether this was the first time.
    pub(super) fn lose(&self) -> bool {
        self.stop.cancel();
        !self.lost.swap(true, Ordering::Relaxed)
    }

    /// All events numbered above `after`, each as soon as it is committed, up to and including the
    /// last. None when the last one lies before.
    ///
    /// A reader who begins in the middle of a reply in HTML is told all of it first.
    pub fn follow(self: Arc<Self>, after: u64) -> impl Stream<Item = (u64, RunEvent)> + Send {
        let bell = self.committed.subscribe();
        let first = (after > 0).then_some(after.saturating_add(1));
        futures::stream::unfold(Some((self, bell, after)), move |state| async move {
            let (run, mut bell, after) = state?;
            let next = after.saturating_add(1);
            // The sender lives in `run`, which this stream holds, so waiting cannot fail.
            bell.wait_for(|committed| *committed >= next || run.has_ended()).await.ok()?;
            let event = match run.written().event(next)? {
                RunEvent::Html { .. } if first == Some(next) => run.written().all_html(next),
                event => event,
            };
            let more = !matches!(event, RunEvent::End(_));
            Some(((next, event), more.then_some((run, bell, next))))
        })
    }

    /// What the message says so far, as it was written.
    pub fn text(&self) -> String {
        let written = self.written();
        Transcript::of((1..=written.count()).filter_map(|number| written.event(number))).text()
    }

    /// The message as it stands, with the place to read on from.
    pub fn view(&self) -> MessageView {
        let written = self.written();
        let told = Transcript::of(written.events());
        let (id, number, after) = (self.id.clone(), self.number, written.count());
        let text = told.open().to_owned();
        let outcome = told.outcome.unwrap_or_else(|| Outcome::of(MessageState::Running));
        let is_running = outcome.state == MessageState::Running;
        MessageView {
            id: self.message.clone(),
            role: Role::Assistant,
            assistant: Some(self.assistant.clone()),
            text,
            html: told.html,
            steps: told.steps.into_iter().map(StepView::new).collect(),
            reasoning: told.reasoning,
            reasoning_time: None,
            usage: None,
            created_at: self.begun_at,
            outcome,
            waits_until: told.waits_until,
            run: is_running.then_some(RunCursor { id, number, after }),
            fork: None,
            rating: None,
            files: Vec::new(),
        }
    }
}

/// The events of a run, kept small: a reply is mostly text, so its text is one string, and an event
/// of text is a place in it.
#[derive(Default)]
struct Written {
    text: String,
    entries: Vec<WrittenEntry>,
}

enum WrittenEntry {
    Text(Range<usize>),
    Reasoning(Range<usize>),
    Other(Box<RunEvent>),
}

impl Written {
    fn push(&mut self, event: RunEvent) {
        let entry = match event {
            RunEvent::Text { text } => WrittenEntry::Text(self.add(&text)),
            RunEvent::Reasoning { text } => WrittenEntry::Reasoning(self.add(&text)),
            other => WrittenEntry::Other(Box::new(other)),
        };
        self.entries.push(entry);
    }

    fn add(&mut self, text: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(text);
        start..self.text.len()
    }

    fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    fn events(&self) -> impl Iterator<Item = RunEvent> {
        self.entries.iter().map(|entry| self.read(entry))
    }

    /// The event with this number; the first is 1.
    fn event(&self, number: u64) -> Option<RunEvent> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.entries.get(index).map(|entry| self.read(entry))
    }

    /// What a reply in HTML looks like after the event with this number.
    fn all_html(&self, number: u64) -> RunEvent {
        let mut all = Vec::new();
        for event in self.events().take(usize::try_from(number).unwrap_or(usize::MAX)) {
            if let RunEvent::Html { keep, blocks } = event {
                all.truncate(keep);
                all.extend(blocks);
            }
        }
        RunEvent::Html { keep: 0, blocks: all }
    }

    fn read(&self, entry: &WrittenEntry) -> RunEvent {
        let text = |place: &Range<usize>| self.text[place.clone()].to_owned();
        match entry {
            WrittenEntry::Text(place) => RunEvent::Text { text: text(place) },
            WrittenEntry::Reasoning(place) => RunEvent::Reasoning { text: text(place) },
            WrittenEntry::Other(event) => (**event).clone(),
        }
    }
}

/// The runs of this process, by id. A finished one stays for a little while, for readers who are
/// just coming back.
#[derive(Default)]
pub struct LiveRuns {
    runs: Mutex<HashMap<String, Arc<LiveRun>>>,
}

impl LiveRuns {
    /// Adds a run.
    pub fn insert(&self, run: Arc<LiveRun>) {
        self.lock().insert(run.id.clone(), run);
    }

    /// The run with this id.
    pub fn get(&self, id: &str) -> Option<Arc<LiveRun>> {
        self.lock().get(id).cloned()
    }

    /// The run that writes this message, or the last that did: one that was continued may still be
    /// here beside the run that continues it.
    pub fn of_message(&self, message: &str) -> Option<Arc<LiveRun>> {
        let runs = self.lock();
        let of_message = runs.values().filter(|run| run.message == message);
        of_message.max_by_key(|run| run.number).cloned()
    }

    /// The run that is writing into this conversation.
    pub fn of_conversation(&self, conversation: &str) -> Option<Arc<LiveRun>> {
        let runs = self.lock();
        let mut here = runs.values().filter(|run| run.conversation == conversation);
        here.find(|run| !run.has_ended()).cloned()
    }

    /// Forgets a run.
    pub fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<LiveRun>>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    fn run(number: i64) -> Arc<LiveRun> {
        let [owner, conversation, message] = ["ada", "talk", "reply"].map(str::to_owned);
        let at = RunTarget { owner, conversation, message };
        let (id, stop) = (format!("run{number}"), CancellationToken::new());
        Arc::new(LiveRun::new(id, number, at, "guide".to_owned(), stop))
    }

    #[test]
    fn a_reply_is_taken_from_its_newest_run() {
        let runs = LiveRuns::default();
        for number in [3, 1, 9, 4, 2, 8, 7] {
            runs.insert(run(number));
        }
        assert_eq!(runs.of_message("reply").map(|run| run.number), Some(9));
        assert!(runs.of_message("another").is_none());
    }

    #[test]
    fn events_are_read_as_they_were_written() {
        let text = |text: &str| RunEvent::Text { text: text.to_owned() };
        let block = RunEvent::Block { html: "<p>Hi</p>".to_owned(), length: 4 };
        let end = RunEvent::End(Outcome::of(MessageState::Done));
        let thought = RunEvent::Reasoning { text: "hm".to_owned() };
        let events = [thought, text("Hi"), text("\n\n"), block, text("é"), end];
        let run = run(1);
        run.publish(events.clone());
        let read: Vec<_> = (1..=6).filter_map(|number| run.written().event(number)).collect();
        assert_eq!(read, events);
        assert!(run.written().event(0).is_none() && run.written().event(7).is_none());
        assert!(run.has_ended());
        let view = run.view();
        assert_eq!((view.html.as_str(), view.text.as_str()), ("<p>Hi</p>", "é"));
        assert_eq!((view.reasoning.as_str(), view.run), ("hm", None));
    }

    #[tokio::test]
    async fn who_comes_late_to_html_is_told_all_of_it_once() {
        let html = |keep, block: &str| RunEvent::Html { keep, blocks: vec![block.to_owned()] };
        let run = run(1);
        run.publish([html(0, "<p>a</p>"), html(1, "<p>b</p>"), html(1, "<p>bc</p>")]);
        run.publish([RunEvent::End(Outcome::of(MessageState::Done))]);
        let events: Vec<_> = run.clone().follow(1).collect().await;
        let both = ["<p>a</p>".to_owned(), "<p>b</p>".to_owned()];
        assert_eq!(events[0], (2, RunEvent::Html { keep: 0, blocks: both.to_vec() }));
        assert_eq!(events[1], (3, html(1, "<p>bc</p>")));
        assert_eq!(run.follow(0).count().await, 4);
    }
}
