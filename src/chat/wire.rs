//! What crosses the network between a conversation's page, its island and API clients.

use serde::{Deserialize, Serialize};

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The person.
    User,
    /// The assistant.
    Assistant,
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageState {
    /// Its run is still writing.
    Running,
    /// Complete.
    Done,
    /// The person stopped it.
    Stopped,
    /// The server stopped or crashed while it was written; the text so far is kept.
    Interrupted,
    /// The assistant's backend failed; the text so far is kept.
    Failed,
}

impl Role {
    /// The name in the database, on the wire and in `data-role`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

impl MessageState {
    /// The name in the database, on the wire and in `data-state`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }
}

/// One entry of a run's log. The log by itself always yields the whole message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// More Markdown source, appended to the block that is open.
    Text {
        /// The source.
        text: String,
    },
    /// The first `length` bytes of the open source are a finished block.
    Block {
        /// The block, rendered and safe to insert.
        html: String,
        /// Bytes of open source it covers.
        length: usize,
    },
    /// Of a reply that its backend writes as HTML: the first `keep` blocks stand as they were, then
    /// come these.
    Html {
        /// Blocks that stand.
        keep: usize,
        /// What follows them, each one element, safe to insert.
        blocks: Vec<String>,
    },
    /// More of what the model thinks before it replies.
    Reasoning {
        /// The words.
        text: String,
    },
    /// The assistant's service is busy, and is asked again later.
    Wait {
        /// When, milliseconds since 1970.
        until: i64,
    },
    /// Something that was done on the way; the open source is a finished block by now, unless an
    /// earlier run has left it in the middle.
    Step(Box<Step>),
    /// The whole message so far, for a reader who comes after the log was cleared.
    Whole {
        /// All blocks, rendered.
        html: String,
        /// All source; for a reply in HTML what it says, as text.
        text: String,
        /// Whether its backend wrote it as HTML.
        #[serde(default)]
        is_html: bool,
        /// What was done on the way.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        steps: Vec<Step>,
    },
    /// The last event.
    End(Outcome),
}

/// Something that an assistant did on the way to its reply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it did, in a line that holds nothing of what backends said: others may read it, and so
    /// may the assistant later.
    pub headline: String,
    /// What the record is called that it was about.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Where the same is on this site.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// How many bytes of the reply's source stand before it.
    #[serde(default)]
    pub at: usize,
    /// What came of it.
    pub found: Found,
}

/// What came of a step, in the words that its reader is used to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// Records of a list.
    Rows {
        /// The names of the columns.
        head: Vec<String>,
        /// The records.
        rows: Vec<Vec<String>>,
    },
    /// One record: names and values.
    Record {
        /// The fields that say something.
        fields: Vec<(String, String)>,
    },
    /// A change that is done when the person says so.
    Proposal {
        /// The change's id.
        change: String,
        /// Whether a record is to be made.
        is_new: bool,
        /// The new values.
        fields: Vec<NewValue>,
        /// The same as JSON, as they were proposed.
        values: String,
        /// Whether some of them hold more than what is shown.
        #[serde(default)]
        is_partly_shown: bool,
    },
    /// It did not work out.
    Trouble {
        /// Why, in a sentence.
        why: String,
    },
    /// What others are shown of it.
    Nothing,
}

/// A value that is to be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewValue {
    /// What the field is called.
    pub label: String,
    /// What it holds; none in a record that is to be made.
    pub was: Option<String>,
    /// What it is to hold.
    pub is_now: String,
}

impl Step {
    /// The change that it proposes, if it does.
    pub fn proposal(&self) -> Option<&str> {
        match &self.found {
            Found::Proposal { change, .. } => Some(change),
            _ => None,
        }
    }

    /// The way to the change that it proposes, in Markdown, for who shows words alone.
    pub fn as_link(&self) -> Option<String> {
        let words = self.headline.replace(['[', ']'], "");
        self.proposal().map(|_| format!("[{words}]({})\n\n", self.place))
    }

    /// The same for those who may know that it was done, and nothing more.
    pub fn for_readers(self) -> Self {
        Self { title: String::new(), place: String::new(), found: Found::Nothing, ..self }
    }
}

/// What a reply says, and where each step stands what `written` makes of it.
pub fn with_steps(text: &str, steps: &[Step], written: impl Fn(&Step) -> Option<String>) -> String {
    let (mut all, mut from) = (String::with_capacity(text.len()), 0);
    for step in steps {
        let Some(words) = written(step) else { continue };
        if let Some(said) = text.get(from..step.at) {
            all.push_str(said);
            from = step.at;
        }
        if !all.is_empty() && !all.ends_with("\n\n") {
            all.push_str("\n\n");
        }
        all.push_str(&words);
    }
    all.push_str(text.get(from..).unwrap_or_default());
    all
}

/// How a reply came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Any state but running.
    pub state: MessageState,
    /// What went wrong, for a person.
    pub problem: Option<String>,
    /// The HTTP status that stands for it, where a service refused to answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// When its service may be asked again, milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_at: Option<i64>,
}

impl Outcome {
    /// An end with nothing more to say.
    pub fn of(state: MessageState) -> Self {
        Self { state, problem: None, status: None, retry_at: None }
    }
}

/// Where a started run can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The conversation it belongs to.
    pub conversation: String,
    /// The message it writes.
    pub message: String,
    /// The run.
    pub run: String,
}

/// The response header that names the conversation.
pub const CONVERSATION_HEADER: &str = "breezeway-conversation-id";
/// The response header that names the run.
pub const RUN_HEADER: &str = "breezeway-run-id";
/// The response header that names the message being written.
pub const MESSAGE_HEADER: &str = "breezeway-message-id";
/// The longest message a person can send, in bytes of UTF-8.
pub const LONGEST_MESSAGE: usize = 200_000;
