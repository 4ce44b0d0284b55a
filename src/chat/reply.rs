//! A reply as it grows: what a provider sends becomes events, and events go to the log.

use std::{
    borrow::Cow,
    mem,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    live::LiveRun,
    log::{Entry, Finished, RunLog},
    markdown::{Block, BlockWriter, foreign},
    provider::{Delta, Round, ToolCall, Usage},
    transcript::STEP,
    wire::{Outcome, RunEvent, Step},
};
use crate::store::{millis, now};

/// The least time between two looks at a reply in HTML, which comes whole with every word.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);
/// A look takes at most one part in this many of the time.
const SHARE: u32 = 20;

/// What a provider's last delta asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// To read on.
    Read,
    /// To ask once more.
    AskAgain,
    /// Nothing: the reply is whole.
    Stop,
}

/// What an earlier run had of a reply.
#[derive(Debug, Clone, Default)]
pub struct Begun {
    /// Its Markdown.
    pub text: String,
    /// What was done on the way.
    pub steps: Vec<Step>,
}

/// The reply, and the events that are not yet in the log.
pub struct Reply {
    live: Arc<LiveRun>,
    log: RunLog,
    pending: Vec<RunEvent>,
    logged: u64,
    body: Body,
    thought: Thought,
    steps: Vec<Step>,
    /// What the provider wants done in this round.
    calls: Vec<ToolCall>,
    /// What it wants back with what came of that.
    kept: Vec<Value>,
    /// Where this round's text begins.
    round: usize,
    usage: Option<Usage>,
    /// What earlier rounds took.
    spent: Usage,
    has_grown: bool,
    /// Whether an earlier run has left the text in the middle, and no word has followed.
    is_in_the_middle: bool,
    /// Whether the text so far ends with a carriage return, which may be half a line's end.
    after_cr: bool,
}

/// What the reply is written in, which its first word decides.
enum Body {
    Markdown { blocks: BlockWriter, html: String },
    Html(Growing),
}

/// A reply in HTML.
#[derive(Default)]
struct Growing {
    /// All that the backend sent, as it is.
    source: String,
    /// The blocks that readers have been told of.
    told: Vec<String>,
    is_stale: bool,
    next_look: Option<Instant>,
}

#[derive(Default)]
struct Thought {
    text: String,
    began: Option<Instant>,
    took: Option<Duration>,
    /// Whether what is thought next belongs to another round.
    is_apart: bool,
}

impl Reply {
    /// A reply that begins with what an earlier run had, which may be nothing.
    pub fn new(live: Arc<LiveRun>, log: RunLog, begun: &Begun) -> Self {
        let body = Body::Markdown { blocks: BlockWriter::new(), html: String::new() };
        let (pending, thought) = (Vec::new(), Thought::default());
        let mut reply = Self {
            live,
            log,
            pending,
            logged: 0,
            body,
            thought,
            steps: Vec::new(),
            calls: Vec::new(),
            kept: Vec::new(),
            round: 0,
            usage: None,
            spent: Usage::default(),
            has_grown: false,
            is_in_the_middle: false,
            after_cr: false,
        };
        reply.go_on_from(begun);
        reply
    }

    /// Says again what an earlier run had, with its steps where they were.
    fn go_on_from(&mut self, begun: &Begun) {
        let mut from = 0;
        for step in &begun.steps {
            if let Some(text) = begun.text.get(from..step.at) {
                self.add(text);
                from = step.at;
            }
            self.close_block();
            self.put(step.clone());
        }
        self.add(begun.text.get(from..).unwrap_or_default());
        self.is_in_the_middle = !begun.text.is_empty() && !begun.text.ends_with("\n\n");
        if !self.is_in_the_middle {
            self.close_block();
        }
    }

    /// Whether nothing of it is there yet, neither words nor steps.
    pub fn is_empty(&self) -> bool {
        self.is_wordless() && self.steps.is_empty()
    }

    /// Whether it leaves its reader with nothing to read and nothing to decide.
    pub fn says_nothing(&self) -> bool {
        self.is_wordless() && self.steps.iter().all(|step| step.proposal().is_none())
    }

    fn is_wordless(&self) -> bool {
        match &self.body {
            Body::Markdown { blocks, .. } => blocks.text().is_empty(),
            Body::Html(growing) => growing.source.trim().is_empty(),
        }
    }

    /// Begins another round: the provider is told what came of what it wanted done.
    pub fn begin_round(&mut self) {
        self.round = self.text().len();
        self.spent = self.usage.unwrap_or_default();
        self.thought.is_apart = !self.thought.text.is_empty();
        self.has_grown = false;
    }

    /// This round, in which nothing is done yet, and what is to be done.
    pub fn take_round(&mut self) -> (Round, Vec<ToolCall>) {
        let text = self.text().get(self.round..).unwrap_or_default().to_owned();
        let kept = mem::take(&mut self.kept);
        (Round { text, kept, calls: Vec::new() }, mem::take(&mut self.calls))
    }

    fn text(&self) -> &str {
        match &self.body {
            Body::Markdown { blocks, .. } => blocks.text(),
            Body::Html(growing) => &growing.source,
        }
    }

    /// Whether the provider has sent any of it, be it thoughts.
    pub fn has_grown(&self) -> bool {
        self.has_grown
    }

    /// Adds what the provider sent.
    pub async fn take(&mut self, deltas: Vec<Delta>) -> Next {
        let mut next = Next::Read;
        for delta in deltas {
            self.has_grown |= !matches!(delta, Delta::Usage(_));
            match delta {
                Delta::Text(text) => self.add(&text),
                Delta::Html { html, overwrite } => self.add_html(html, overwrite),
                Delta::Reasoning(text) => self.think(text),
                Delta::Usage(usage) => self.usage = Some(self.spent.and(usage)),
                Delta::Keep(value) => self.kept.push(value),
                Delta::Call(call) => self.calls.push(call),
                Delta::Again => next = Next::AskAgain,
                Delta::Done => next = Next::Stop,
            }
        }
        self.look(Instant::now());
        self.flush().await;
        next
    }

    /// Tells readers that the service is asked again after `pause`.
    pub async fn wait(&mut self, pause: Duration) {
        self.pending.push(RunEvent::Wait { until: now().saturating_add(millis(pause)) });
        self.flush().await;
    }

    /// Ends what was said before something is done: it is whole, and what follows begins a paragraph.
    /// What an earlier run has left in the middle stays open.
    pub async fn pause(&mut self) {
        self.thought.end();
        if !self.is_in_the_middle {
            self.end_paragraph();
            self.close_block();
        }
        self.flush().await;
    }

    /// Adds what was done on the way, behind what was said before it.
    pub async fn step(&mut self, step: Step) {
        let at = match &self.body {
            Body::Markdown { blocks, .. } => blocks.text().len() - blocks.open().len(),
            Body::Html(_) => 0,
        };
        self.put(Step { at, ..step });
        self.flush().await;
    }

    fn end_paragraph(&mut self) {
        let missing = match self.text() {
            text if text.is_empty() || text.ends_with("\n\n") => return,
            text if text.ends_with('\n') => "\n",
            _ => "\n\n",
        };
        self.add(missing);
    }

    fn put(&mut self, step: Step) {
        if let Body::Markdown { html, .. } = &mut self.body {
            html.push_str(STEP);
        }
        self.steps.push(step.clone());
        self.pending.push(RunEvent::Step(Box::new(step)));
    }

    fn close_block(&mut self) {
        if let Body::Markdown { blocks, html } = &mut self.body {
            close(blocks.finish(), html, &mut self.pending);
        }
    }

    fn add(&mut self, text: &str) {
        let text = &*self.with_line_feeds(text);
        if text.is_empty() {
            return;
        }
        self.is_in_the_middle = false;
        self.thought.end();
        match &mut self.body {
            Body::Markdown { blocks, html } => {
                self.pending.push(RunEvent::Text { text: text.to_owned() });
                close(blocks.push(text), html, &mut self.pending);
            }
            Body::Html(growing) => growing.add_text(text),
        }
    }

    /// Every kind of line end as a line feed: streams know no other within an event, and readers
    /// count bytes.
    fn with_line_feeds<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        let is_second_half = mem::take(&mut self.after_cr) && text.starts_with('\n');
        let text = if is_second_half { &text[1..] } else { text };
        self.after_cr = text.ends_with('\r');
        if !text.contains('\r') {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
    }

    fn add_html(&mut self, html: String, overwrite: bool) {
        if html.trim().is_empty() && !overwrite {
            return;
        }
        self.thought.end();
        if self.is_wordless() && matches!(self.body, Body::Markdown { .. }) {
            self.body = Body::Html(Growing::default());
        }
        match &mut self.body {
            Body::Html(growing) => growing.add(html, overwrite),
            Body::Markdown { .. } => self.add(&foreign::plain(&foreign::blocks(&html).concat())),
        }
    }

    fn think(&mut self, mut text: String) {
        if mem::take(&mut self.thought.is_apart) {
            text.insert_str(0, "\n\n");
        }
        self.thought.began.get_or_insert_with(Instant::now);
        self.thought.text.push_str(&text);
        self.pending.push(RunEvent::Reasoning { text });
    }

    /// Waits until a reply in HTML is to be looked at again; for ever when nothing new has come.
    pub async fn due(&self) {
        match &self.body {
            Body::Html(Growing { is_stale: true, next_look: Some(next), .. }) => {
                tokio::time::sleep_until((*next).into()).await;
            }
            _ => std::future::pending().await,
        }
    }

    fn look(&mut self, now: Instant) {
        if let Body::Html(growing) = &mut self.body
            && growing.is_due(now)
        {
            self.pending.extend(growing.look(now));
        }
    }

    /// Queues what is pending. Waiting for a place comes first, so a run that is stopped while it
    /// waits has neither lost nor doubled an event.
    pub async fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.queue(None).await;
        }
    }

    /// Closes the reply and leaves it in its message.
    pub async fn finish(mut self, outcome: Outcome) {
        self.thought.end();
        let (text, html, is_html) = match &mut self.body {
            Body::Markdown { blocks, html } => {
                close(blocks.finish(), html, &mut self.pending);
                (blocks.text().to_owned(), mem::take(html), false)
            }
            Body::Html(growing) => {
                self.pending.extend(growing.look(Instant::now()));
                let html = growing.told.concat();
                (foreign::plain(&html), html, true)
            }
        };
        let finished = Finished {
            text,
            html,
            is_html,
            steps: mem::take(&mut self.steps),
            reasoning: mem::take(&mut self.thought.text),
            reasoning_time: self.thought.took,
            usage: self.usage,
            outcome: outcome.clone(),
        };
        self.pending.push(RunEvent::End(outcome));
        self.queue(Some(finished)).await;
    }

    async fn queue(&mut self, finished: Option<Finished>) {
        let Some(place) = self.log.place().await else { return };
        let events = mem::take(&mut self.pending);
        let first_seq = self.logged + 1;
        self.logged += events.len() as u64;
        place.send(Entry { run: self.live.clone(), first_seq, events, finished });
    }
}

fn close(blocks: Vec<Block>, html: &mut String, pending: &mut Vec<RunEvent>) {
    for block in blocks {
        html.push_str(&block.html);
        pending.push(RunEvent::Block { html: block.html, length: block.source_len });
    }
}

impl Growing {
    fn add(&mut self, html: String, overwrite: bool) {
        if overwrite {
            self.source = html;
        } else {
            self.source.push_str(&html);
        }
        self.is_stale = true;
    }

    /// Words among HTML are words.
    fn add_text(&mut self, text: &str) {
        self.source.push_str(&ammonia::clean_text(text));
        self.is_stale = true;
    }

    fn is_due(&self, now: Instant) -> bool {
        self.is_stale && self.next_look.is_none_or(|next| next <= now)
    }

    /// What has changed since the last look. What stands before the first change stays.
    fn look(&mut self, now: Instant) -> Option<RunEvent> {
        if !mem::take(&mut self.is_stale) {
            return None;
        }
        let mut blocks = foreign::blocks(&self.source);
        self.next_look = Some(now + BETWEEN_LOOKS.max(now.elapsed() * SHARE));
        let keep = self.told.iter().zip(&blocks).take_while(|(old, new)| old == new).count();
        let is_same = keep == self.told.len() && keep == blocks.len();
        let fresh = blocks.split_off(keep);
        self.told.truncate(keep);
        self.told.extend(fresh.iter().cloned());
        (!is_same).then_some(RunEvent::Html { keep, blocks: fresh })
    }
}

impl Thought {
    fn end(&mut self) {
        if let (Some(began), None) = (self.began, self.took) {
            self.took = Some(began.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_html_that_comes_again_and_again_only_the_tail_is_told() {
        let mut growing = Growing::default();
        let at = Instant::now();
        growing.add("<p>One</p><p>Tw".to_owned(), true);
        let told = |blocks: &[&str]| blocks.iter().map(|&block| block.to_owned()).collect();
        let first = RunEvent::Html { keep: 0, blocks: told(&["<p>One</p>", "<p>Tw</p>"]) };
        assert_eq!(growing.look(at), Some(first));
        assert!(!growing.is_due(at + BETWEEN_LOOKS));
        growing.add("<p>One</p><p>Two</p><ul><li>a".to_owned(), true);
        assert!(!growing.is_due(at) && growing.is_due(at + Duration::from_secs(9)));
        let tail = RunEvent::Html { keep: 1, blocks: told(&["<p>Two</p>", "<ul><li>a</li></ul>"]) };
        assert_eq!(growing.look(at), Some(tail));
        growing.add("<p>One</p><p>Two</p><ul><li>a".to_owned(), true);
        assert_eq!(growing.look(at), None);
        growing.add(String::new(), true);
        assert_eq!(growing.look(at), Some(RunEvent::Html { keep: 0, blocks: Vec::new() }));
    }
}
