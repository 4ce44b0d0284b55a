//! What chat needs to know of a language model's service, whatever dialect the service speaks.
//!
//! Each module of a dialect writes its requests and reads its answers. None does input or output:
//! bytes go in, [`Delta`]s come out, so every quirk of every service is a unit test.

mod answer;
mod anthropic;
mod calls;
mod deepchat;
mod drupal;
mod framed;
mod json;
mod ollama;
mod openai;
mod trouble;
mod upload;

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    answer::Kind,
    trouble::{Cause, ProviderError},
    upload::said as said_of_file,
};
use crate::{
    backend::Call,
    config::{AssistantConfig, ChatProvider},
};

/// Who wrote a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Standing instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// One turn of the conversation that is sent along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// Who wrote it.
    pub role: Role,
    /// What it says.
    pub text: String,
    /// What is added to it.
    pub files: Vec<Attached>,
}

impl Turn {
    /// A turn of words alone.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into(), files: Vec::new() }
    }

    /// The words, after the texts that are added to them: for services that know nothing of files.
    fn with_texts(&self) -> String {
        let texts = self.files.iter().filter_map(|file| match &file.content {
            Content::Text(text) => Some(format!("File {}:\n\n{text}\n\n", file.name)),
            Content::Image(_) | Content::Document(_) | Content::Given(_) => None,
        });
        texts.chain([self.text.clone()]).collect()
    }
}

/// A file that is added to a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The file's id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is, such as `image/png`.
    pub kind: String,
    /// What the service is told of it.
    pub content: Content,
}

/// What a service is told of a file.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes of a picture.
    Image(Vec<u8>),
    /// The bytes of what the service has to read by itself, such as a PDF.
    Document(Vec<u8>),
    /// What it says.
    Text(String),
    /// What the service itself said when it was given the file.
    Given(Value),
}

impl Attached {
    /// `data:image/png;base64,…`
    fn data_url(&self, bytes: &[u8]) -> String {
        format!("data:{};base64,{}", self.kind, BASE64_STANDARD.encode(bytes))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(bytes) | Self::Document(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Text(text) => write!(f, "{} bytes of text", text.len()),
            Self::Given(_) => f.write_str("given"),
        }
    }
}

/// Something that the service may ask to have done.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// What it is called: letters, digits, `-` and `_`, at most 64 of them.
    pub name: String,
    /// What it does.
    pub description: String,
    /// A JSON schema of its arguments.
    pub parameters: Value,
}

/// What the service asks to have done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call within the reply; services that have no names leave it empty.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON as the service wrote it, which may be none.
    pub arguments: String,
    /// What else the service wrote beside it and wants back with it, as Gemini's seals of thoughts.
    pub extra: Option<Value>,
}

impl ToolCall {
    /// The arguments for services that read them again: nothing, where they cannot be read.
    fn object(&self) -> Map<String, Value> {
        match serde_json::from_str(&self.arguments) {
            Ok(Value::Object(arguments)) => arguments,
            // Some write the object as a text.
            Ok(Value::String(inner)) => serde_json::from_str(&inner).unwrap_or_default(),
            _ => Map::new(),
        }
    }
}

/// What the service is told of what came of a call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolResult {
    /// The words. What backends said is in here, and nowhere else.
    pub text: String,
    /// Whether it did not work out.
    pub is_error: bool,
}

/// One round of a reply: what was said, what was asked for, and what came of that.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// What was said before anything was asked for.
    pub text: String,
    /// What the service wants back with the calls, in its own form: what the model thought.
    pub kept: Vec<Value>,
    /// What was asked for, and what came of it.
    pub calls: Vec<(ToolCall, ToolResult)>,
}

/// How many tokens a reply took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read: the conversation.
    pub input: u64,
    /// Tokens written: the reply, with what the model thought.
    pub output: u64,
}

impl Usage {
    /// This and that together.
    pub fn and(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }
}

/// One step of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More of the reply's text.
    Text(String),
    /// More of the reply as HTML, which nobody has made safe yet.
    Html {
        /// The HTML.
        html: String,
        /// Whether it replaces everything that came before it.
        overwrite: bool,
    },
    /// More of what the model thinks before it replies.
    Reasoning(String),
    /// The count so far; a later one replaces it.
    Usage(Usage),
    /// Something of the service's own that it wants back with the calls that follow.
    Keep(Value),
    /// The service wants something done, and to be told what came of it.
    Call(ToolCall),
    /// This was a step on the way, and the service wants to be asked again. Nothing follows.
    Again,
    /// The service has said that the reply is whole. Nothing follows.
    Done,
}

/// A request for a reply.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Who is asked.
    pub assistant: &'a AssistantConfig,
    /// The conversation so far, the question last.
    pub turns: &'a [Turn],
    /// Names the conversation to a service that keeps it.
    pub thread: &'a str,
    /// How often the service has wanted to be asked again.
    pub step: u32,
    /// Whether to ask for the count of tokens: some imitations refuse what they do not know.
    pub counts: bool,
    /// What the service may ask to have done.
    pub tools: &'a [Tool],
    /// What was done for this reply so far.
    pub rounds: &'a [Round],
    /// Whether it may ask for more. Services want to know the tools of earlier rounds all the same.
    pub may_call: bool,
}

impl<'a> Ask<'a> {
    /// A first request, of a conversation that has no name.
    pub fn new(assistant: &'a AssistantConfig, turns: &'a [Turn]) -> Self {
        Self {
            assistant,
            turns,
            thread: "",
            step: 0,
            counts: true,
            tools: &[],
            rounds: &[],
            may_call: true,
        }
    }
}

/// A service's dialect.
pub trait Provider: Send + Sync {
    /// The JSON body of a request.
    fn body(&self, ask: &Ask<'_>) -> Value;

    /// Headers that every request carries, names in lower case.
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// What answers it asks for.
    fn accepts(&self) -> &'static str {
        "text/event-stream"
    }

    /// Reads a good answer of this kind.
    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError>;

    /// The error of an answer with an error status.
    fn refusal(&self, status: u16, body: &[u8]) -> ProviderError {
        trouble::refusal(status, body)
    }

    /// Whether the same may be asked again after this, before any of the reply has come. Requests
    /// that were never sent may be in any case.
    fn may_ask_again(&self, trouble: &ProviderError) -> bool {
        matches!(trouble.cause(), Cause::RateLimited | Cause::Overloaded)
    }

    /// A request that gives the service a file, where it takes files apart from questions.
    fn upload(&self, path: &str, file: &Attached, bytes: &[u8]) -> Call {
        upload::form(path, file, bytes)
    }

    /// Whether the service remembers the conversation by itself.
    fn keeps_history(&self) -> bool {
        false
    }
}

/// Reads one answer.
pub trait Reader: Send {
    /// Takes the next bytes and adds what they hold to `deltas`, also when an error follows it.
    fn push(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError>;

    /// Whether all that matters has been read. Some services leave the connection open then: wait a
    /// few seconds for more at most, and call [`finish`](Self::finish).
    fn is_ending(&self) -> bool;

    /// Adds what the end of the body means, or answers an error if the reply is not whole.
    fn finish(self: Box<Self>, end: End, deltas: &mut Vec<Delta>) -> Result<(), ProviderError>;
}

/// How a body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// As HTTP says that it should.
    Clean,
    /// The connection broke, or nobody waited any longer.
    Broken,
}

/// The dialect that the configuration calls `provider`.
pub fn dialect(provider: ChatProvider) -> &'static dyn Provider {
    match provider {
        ChatProvider::OpenAi => &openai::OpenAi,
        ChatProvider::Anthropic => &anthropic::Anthropic,
        ChatProvider::Ollama => &ollama::Ollama,
        ChatProvider::Drupal => &drupal::Drupal,
        ChatProvider::Json => &json::Json,
    }
}

/// What the tests of dialects share.
#[cfg(test)]
mod testing {
    use std::{collections::BTreeMap, path::Path};

    use super::*;
    use crate::config::Config;

    /// An assistant with these settings.
    pub fn assistant(settings: &str) -> AssistantConfig {
        let text = format!(
            "[sandbox]\nenabled = true\n[backends.b]\nurl = \"sandbox\"\n[chat]\n\
             default = \"a\"\n[assistants.a]\nbackend = \"b\"\n{settings}\n"
        );
        let config = Config::from_text(Path::new("."), &text, &BTreeMap::new());
        config.unwrap().assistants.remove("a").unwrap()
    }
}
