//! Conversations and messages as pages show them, whether they are being written or lie in the
//! database.

use std::{fmt, str::FromStr, time::Duration};

use serde::Serialize;
use sqlx::FromRow;

use super::{
    provider::Usage,
    wire::{MessageState, Outcome, Role, Step},
};
use crate::{data::Standing, store::Flag};

/// A conversation in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, FromRow)]
pub struct ConversationLine {
    /// Its id, and the last part of its address.
    pub id: String,
    /// Its title.
    pub title: String,
    /// When it last changed, milliseconds since 1970.
    pub updated_at: i64,
    /// Whether it stands above the others.
    #[sqlx(try_from = "Flag")]
    pub pinned: bool,
    /// Whether its last reply came after it was last looked at.
    #[sqlx(try_from = "Flag")]
    pub unread: bool,
}

/// A place in the list of conversations: what was last changed before it comes after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    /// Milliseconds since 1970.
    pub updated_at: i64,
    /// Tells those apart that changed at the same time.
    pub id: String,
}

impl Default for Before {
    /// The beginning.
    fn default() -> Self {
        Self { updated_at: i64::MAX, id: String::new() }
    }
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.updated_at, self.id)
    }
}

impl FromStr for Before {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, id) = text.split_once('.').ok_or(())?;
        Ok(Self { updated_at: time.parse().map_err(drop)?, id: id.to_owned() })
    }
}

/// A page of the list of conversations.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Those that stand above the others, on the first page.
    pub pinned: Vec<ConversationLine>,
    /// The others, last changed first.
    pub lines: Vec<ConversationLine>,
    /// Where the next page begins, if there is one.
    pub older: Option<Before>,
}

/// A text that somebody writes often.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Prompt {
    /// Its id; empty for a new one.
    pub id: String,
    /// What it is called with, after a slash.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl Listing {
    /// Those that stand above the others, then the others.
    pub fn all(self) -> Vec<ConversationLine> {
        [self.pinned, self.lines].concat()
    }
}

/// A conversation in which words were found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The conversation.
    pub line: ConversationLine,
    /// Its title, the words marked that were found in it.
    pub title: Marked,
    /// The best places in its messages: the message, and the words around.
    pub places: Vec<(String, Marked)>,
}

/// Text in pieces, each with whether it was looked for.
pub type Marked = Vec<(String, bool)>;

/// A message, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// Who wrote it.
    pub role: Role,
    /// The assistant that answers, by its name.
    pub assistant: Option<String>,
    /// A person's text, or the source of the block that is still open.
    pub text: String,
    /// Finished blocks of a reply, rendered, with a mark where something was done.
    pub html: String,
    /// What was done on the way.
    pub steps: Vec<StepView>,
    /// What the model thought before it replied.
    pub reasoning: String,
    /// For how long.
    pub reasoning_time: Option<Duration>,
    /// What it took, where the service said so.
    pub usage: Option<Usage>,
    /// What is added to it.
    pub files: Vec<FileView>,
    /// What its reader thinks of it.
    pub rating: Option<Rating>,
    /// When it was begun, milliseconds since 1970.
    pub created_at: i64,
    /// How it ended; `Running` while it has not.
    pub outcome: Outcome,
    /// Until when the assistant's service is left alone, milliseconds since 1970.
    pub waits_until: Option<i64>,
    /// The run that is writing it, and the number of the last event shown.
    pub run: Option<RunCursor>,
    /// What stands beside it on other branches.
    pub fork: Option<Fork>,
}

/// A step of a reply, as pages show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepView {
    /// What was done.
    pub step: Step,
    /// What became of the change that it proposes.
    pub standing: Standing,
}

impl StepView {
    /// A step whose change, if it proposes one, waits for the person.
    pub fn new(step: Step) -> Self {
        Self { step, standing: Standing::Open }
    }
}

/// A file that is added to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileView {
    /// Its id, and the last part of its address.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is, such as `image/png`.
    pub kind: String,
    /// In bytes.
    pub size: u64,
}

/// What a person thinks of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rating {
    /// Whether it was good.
    pub is_good: bool,
    /// Why.
    pub note: String,
}

/// Where a message stands among those that answer the same, or that follow the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// Its place, from 1.
    pub place: usize,
    /// How many there are.
    pub count: usize,
    /// The id of the one before it.
    pub previous: Option<String>,
    /// The id of the one after it.
    pub next: Option<String>,
}

impl MessageView {
    /// How far it has come.
    pub fn state(&self) -> MessageState {
        self.outcome.state
    }
}

/// Who answers, as pages know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// What people call it.
    pub title: String,
    /// Whether it can be asked the same again, or in other words. One that keeps the conversation
    /// itself would take that for another question.
    pub can_redo: bool,
    /// Whether the reader may do anything at all.
    pub may_act: bool,
}

impl Who {
    /// The same for those who may read, and nothing more.
    pub fn for_readers(self) -> Self {
        Self { can_redo: false, may_act: false, ..self }
    }
}

/// A place in a run's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunCursor {
    /// The run's id.
    pub id: String,
    /// The run's number in the log.
    pub number: i64,
    /// The last event seen; 0 for none.
    pub after: u64,
}
