//! What a page that shows a conversation is told: one stream of frames of HTML, for as long as the
//! page is open.
//!
//! A frame's id is a place in the conversation: its revision, and where there is one the run that is
//! being written and the event of it. A page that comes back with it is told what it missed, so a
//! page that was asleep, a second tab and a telephone all end up showing the same.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::StreamExt;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    list, render,
    service::{Chat, Events},
    sse,
    view::{ConversationLine, MessageView, RunCursor, Who},
    wire::{MessageState, RunEvent},
};
use crate::error::{Kind, Result};

/// How often the database is looked at for what other nodes have changed.
const LOOK: Duration = Duration::from_secs(10);
/// How long a feed lives while nothing is written; the page then asks again, and shows who it is.
const LIFETIME: Duration = Duration::from_secs(300);

/// A place in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The conversation's revision.
    pub revision: i64,
    /// The number of the run that is being written, and its last event; 0 for none.
    pub run: i64,
    /// The event.
    pub event: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.revision, self.run, self.event)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(());
        Ok(Self {
            revision: next()?.parse().map_err(drop)?,
            run: next()?.parse().map_err(drop)?,
            event: next()?.parse().map_err(drop)?,
        })
    }
}

impl Cursor {
    /// Where a page stands that shows these messages of this revision.
    pub fn of(revision: i64, messages: &[MessageView]) -> Self {
        let running = messages.iter().find_map(|message| message.run.as_ref());
        let (run, event) = running.map_or((0, 0), |cursor| (cursor.number, cursor.after));
        Self { revision, run, event }
    }
}

/// What a page does to its document.
#[derive(Debug, PartialEq, Eq)]
enum Frame {
    /// The conversation's title, which is also the page's.
    Title(String),
    /// Its line in the list, which goes to the top.
    Item(String),
    /// After the first message come exactly the others; what is not among them is taken away.
    Path(Vec<String>),
    /// A message, in its place or at the end.
    Turn { id: String, html: String },
    /// How far a reply has come, below it.
    Foot { id: String, state: MessageState, html: String },
    /// More of the open text.
    Text(String),
    /// The first bytes of the open text are this block.
    Block { length: usize, html: String },
    /// The first blocks stay, then come these.
    Html { keep: usize, html: String },
    /// More of what is thought.
    Thought(String),
    /// Something that was done, behind the last block.
    Step(String),
    /// The conversation is there no more. Nothing follows.
    Gone,
}

impl Frame {
    fn encode(&self, at: Option<Cursor>) -> String {
        let (name, data) = match self {
            Self::Title(title) => ("title", title.clone()),
            Self::Item(html) => ("item", html.clone()),
            Self::Path(ids) => ("path", ids.join(" ")),
            Self::Turn { id, html } => ("turn", format!("{id}\n{html}")),
            Self::Foot { id, state, html } => ("foot", format!("{id} {}\n{html}", state.as_str())),
            Self::Text(text) => ("text", text.clone()),
            Self::Block { length, html } => ("block", format!("{length}\n{html}")),
            Self::Html { keep, html } => ("html", format!("{keep}\n{html}")),
            Self::Thought(text) => ("thought", text.clone()),
            Self::Step(html) => ("step", html.clone()),
            Self::Gone => ("gone", "gone".to_owned()),
        };
        sse::encode(Some(name), at.as_ref().map(|at| at as &dyn fmt::Display), &data)
    }
}

/// Tells the feeds of this process that a conversation has changed.
#[derive(Default)]
pub struct Bells(Mutex<HashMap<String, watch::Sender<()>>>);

impl Bells {
    /// Rings for everybody who listens.
    pub fn ring(&self, conversation: &str) {
        if let Some(bell) = self.lock().get(conversation) {
            bell.send_replace(());
        }
    }

    fn listen(self: &Arc<Self>, conversation: &str) -> Listener {
        let mut bells = self.lock();
        let bell = bells.entry(conversation.to_owned()).or_default().subscribe();
        drop(bells);
        Listener { bells: self.clone(), conversation: conversation.to_owned(), bell }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears a conversation's bell. The last to leave takes the bell along.
struct Listener {
    bells: Arc<Bells>,
    conversation: String,
    bell: watch::Receiver<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut bells = self.bells.lock();
        if bells.get(&self.conversation).is_some_and(|bell| bell.receiver_count() <= 1) {
            bells.remove(&self.conversation);
        }
    }
}

/// One page's feed.
pub struct Feed {
    chat: Chat,
    conversation: String,
    at: Cursor,
    listener: Listener,
    following: Option<Following>,
    /// What is told together.
    telling: Vec<Frame>,
    ready: VecDeque<String>,
    ends: Instant,
    /// What has changed is to be looked up before anything else.
    is_stale: bool,
    is_gone: bool,
}

/// A reply that is read as it is written.
struct Following {
    message: MessageView,
    who: Who,
    events: Events,
}

impl Feed {
    /// A feed of `conversation`, which the caller may read, from `at` on.
    pub fn new(chat: Chat, bells: &Arc<Bells>, conversation: &str, at: Cursor) -> Self {
        Self {
            chat,
            conversation: conversation.to_owned(),
            at,
            listener: bells.listen(conversation),
            following: None,
            telling: Vec::new(),
            ready: VecDeque::new(),
            ends: Instant::now() + LIFETIME,
            is_stale: true,
            is_gone: false,
        }
    }

    /// The next frame, encoded; none when the page is to ask again.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.is_gone {
                return None;
            }
            if self.is_stale {
                self.is_stale = false;
                self.catch_up(None).await.ok()?;
            } else {
                self.wait().await?;
            }
            self.make_ready();
        }
    }

    /// Only the last of what is told together has a place: a page that was cut off before it is told
    /// all of it again.
    fn make_ready(&mut self) {
        let last = self.telling.len().saturating_sub(1);
        for (index, frame) in self.telling.drain(..).enumerate() {
            self.ready.push_back(frame.encode((index == last).then_some(self.at)));
        }
    }

    /// Waits for something to tell, and makes it ready.
    async fn wait(&mut self) -> Option<()> {
        let is_idle = self.following.is_none();
        let closing = self.chat.closing();
        let following = self.following.as_mut();
        let next_event = async {
            match following {
                Some(reply) => reply.events.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = next_event => match event {
                Some((number, event)) => self.tell(number, event).await?,
                None => {
                    self.following = None;
                    self.is_stale = true;
                }
            },
            _ = self.listener.bell.changed() => self.is_stale = true,
            () = sleep_until(Instant::now() + LOOK), if is_idle => self.is_stale = true,
            () = sleep_until(self.ends), if is_idle => return None,
            () = closing.cancelled(), if is_idle => return None,
        }
        Some(())
    }

    /// Tells what an event of the reply changes.
    async fn tell(&mut self, number: u64, event: RunEvent) -> Option<()> {
        self.at.event = number;
        let Some(reply) = &mut self.following else { return Some(()) };
        let waited = reply.message.waits_until.take().is_some();
        let frame = match event {
            RunEvent::Text { text } => Frame::Text(text),
            RunEvent::Block { html, length } => Frame::Block { length, html },
            RunEvent::Html { keep, blocks } => Frame::Html { keep, html: blocks.concat() },
            RunEvent::Reasoning { text } => Frame::Thought(text),
            RunEvent::Step(step) => {
                // Whoever reads on from long ago is told what has become of it since.
                let step = self.chat.step_view(*step).await.ok()?;
                Frame::Step(render::step(&step, &reply.who))
            }
            RunEvent::Wait { until } => {
                reply.message.waits_until = Some(until);
                foot(&reply.message, &reply.who)
            }
            RunEvent::Whole { .. } => return Some(()),
            RunEvent::End(outcome) => {
                let reply = self.following.take()?.message;
                let ended = MessageView { outcome, run: None, ..reply };
                return self.catch_up(Some(ended)).await.ok();
            }
        };
        if waited {
            self.telling.push(foot(&reply.message, &reply.who));
        }
        self.telling.push(frame);
        Some(())
    }

    /// Tells what has changed since the page's revision. Of a reply that the page has `read` to its
    /// end only the foot is told.
    async fn catch_up(&mut self, read: Option<MessageView>) -> Result<()> {
        let changes = match self.chat.changes(&self.conversation, self.at.revision).await {
            Err(error) if error.kind() == Kind::NotFound => {
                self.is_gone = true;
                self.telling.push(Frame::Gone);
                return Ok(());
            }
            changes => changes?,
        };
        let told: Vec<String> = changes.messages.iter().map(|one| one.id.clone()).collect();
        let was_saved = read.as_ref().is_some_and(|read| told.contains(&read.id));
        if let Some(lost) = read.as_ref().filter(|_| !was_saved) {
            self.telling.push(self.foot(lost));
        }
        if changes.revision != self.at.revision {
            self.at.revision = changes.revision;
            self.telling.push(Frame::Title(changes.line.title.clone()));
            if !changes.is_temporary {
                self.telling.push(Frame::Item(list::item(&changes.line, true)));
            }
            self.telling.push(Frame::Path(changes.path));
            for message in changes.messages {
                self.show(message, read.as_ref());
            }
        }
        // One that came to its end meanwhile was told as it is.
        self.resume(changes.running.filter(|running| !told.contains(&running.id)));
        Ok(())
    }

    fn show(&mut self, message: MessageView, read: Option<&MessageView>) {
        if let Some(cursor) = message.run.clone() {
            self.follow(&cursor, message.clone());
        }
        let is_read = read.is_some_and(|read| read.id == message.id);
        if is_read && message.run.is_none() {
            return self.telling.push(self.foot(&message));
        }
        let html = render::turn(&message, &self.chat.who(message.assistant.as_deref()));
        self.telling.push(Frame::Turn { id: message.id, html });
    }

    /// Goes on with the reply that the page was reading when it left.
    fn resume(&mut self, running: Option<MessageView>) {
        let Some(message) = running.filter(|_| self.following.is_none()) else { return };
        match message.run.clone() {
            Some(cursor) if cursor.number == self.at.run => {
                let after = self.at.event;
                self.follow(&RunCursor { after, ..cursor }, message);
            }
            Some(_) => self.show(message, None),
            None => {}
        }
    }

    fn follow(&mut self, cursor: &RunCursor, message: MessageView) {
        (self.at.run, self.at.event) = (cursor.number, cursor.after);
        let events = self.chat.events_of(cursor);
        let who = self.chat.who(message.assistant.as_deref());
        self.following = events.map(|events| Following { message, who, events });
    }

    fn foot(&self, message: &MessageView) -> Frame {
        foot(message, &self.chat.who(message.assistant.as_deref()))
    }
}

fn foot(message: &MessageView, who: &Who) -> Frame {
    let (id, state) = (message.id.clone(), message.state());
    Frame::Foot { id, state, html: render::foot(message, who) }
}

/// What has changed in a conversation since a revision.
pub struct Changes {
    /// The revision now.
    pub revision: i64,
    /// Its line in the list.
    pub line: ConversationLine,
    /// Whether it is in no list.
    pub is_temporary: bool,
    /// The ids of the branch that is shown, from the last message before the first that changed; an
    /// empty id where there is none before it.
    pub path: Vec<String>,
    /// The messages that changed, oldest first.
    pub messages: Vec<MessageView>,
    /// The reply that is being written, changed or not.
    pub running: Option<MessageView>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        let cursor = Cursor { revision: 7, run: 3, event: 12 };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "1", "1.2", "1.2.x", "a.b.c"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_to_leave_takes_the_bell_along() {
        let bells = Arc::new(Bells::default());
        let (one, two) = (bells.listen("a"), bells.listen("a"));
        bells.ring("a");
        assert!(one.bell.has_changed().unwrap() && two.bell.has_changed().unwrap());
        drop(one);
        assert_eq!(bells.lock().len(), 1);
        drop(two);
        assert!(bells.lock().is_empty());
        bells.ring("a");
    }
}
