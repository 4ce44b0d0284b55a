//! A message as pages show it, whether it is being written or lies in the database.

use std::time::Duration;

use super::{
    provider::Usage,
    wire::{MessageState, Outcome, Role},
};

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
    /// Finished blocks of a reply, rendered.
    pub html: String,
    /// What the model thought before it replied.
    pub reasoning: String,
    /// For how long.
    pub reasoning_time: Option<Duration>,
    /// What it took, where the service said so.
    pub usage: Option<Usage>,
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
