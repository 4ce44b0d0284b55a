//! What chat needs to know of a language model's service, whatever dialect the service speaks.
//!
//! The modules below read and write one dialect each. They do no input or output: bytes go in,
//! [`Delta`]s come out, so every quirk of every service is a unit test.

use serde::{Deserialize, Serialize};

use super::sse::TooLong;

pub mod openai;

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
}

/// How many tokens a reply took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read: the conversation.
    pub input: u64,
    /// Tokens written: the reply.
    pub output: u64,
}

/// One step of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// More of the reply's text.
    Text(String),
    /// More of what the model thinks before it replies.
    Reasoning(String),
    /// The count so far; a later one replaces it.
    Usage(Usage),
    /// The service has said that the reply is whole. Nothing follows.
    Done,
}

/// Why there is no reply, or no more of it.
///
/// `Display` is for the log and repeats what the service said; people are shown
/// [`sentence`](Self::sentence).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The service answered with an error status.
    #[error("the provider answered with status {status}: {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What the service says about it.
        message: String,
    },
    /// The service reported an error inside an answer that had begun well.
    #[error("the provider reported an error within its answer: {message}")]
    Failed {
        /// What kind of trouble the service's error code names.
        cause: Cause,
        /// What the service says about it.
        message: String,
    },
    /// The stream ended and nothing said that the reply was whole.
    #[error("the provider's stream ended before the reply did")]
    Truncated,
    /// The answer is neither a stream of events nor a whole reply.
    #[error("the provider's answer is neither a stream nor a reply")]
    NotAStream,
    /// An event of the stream makes no sense.
    #[error("the provider's stream cannot be read: {message}")]
    Garbled {
        /// Where reading failed.
        message: String,
    },
    /// An event of the stream is larger than any sensible one.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// The few kinds of trouble that people are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Too many requests, or a quota is used up.
    RateLimited,
    /// The service is down or has too much to do.
    Overloaded,
    /// The service does not accept our credentials.
    NotAuthorised,
    /// The service does not accept this request.
    Refused,
    /// The reply stopped before its end.
    BrokeOff,
    /// The service answered in a form we do not know.
    NotUnderstood,
}

/// Constructors.
impl ProviderError {
    /// An answer with an error status and this explanation, which is shortened for the log.
    pub fn refused(status: u16, message: &str) -> Self {
        Self::Refused { status, message: excerpt(message) }
    }

    /// An error inside an answer.
    pub fn failed(cause: Cause, message: &str) -> Self {
        Self::Failed { cause, message: excerpt(message) }
    }

    /// An event that cannot be parsed. The parser's own words may quote the reply, so only the kind
    /// of mistake and its place are kept.
    pub fn garbled(cause: &serde_json::Error) -> Self {
        let message = format!("{:?} error at column {}", cause.classify(), cause.column());
        Self::Garbled { message }
    }
}

impl ProviderError {
    /// What kind of trouble it is.
    pub fn cause(&self) -> Cause {
        match self {
            Self::Refused { status, .. } => Cause::of_status(*status),
            Self::Failed { cause, .. } => *cause,
            Self::Truncated => Cause::BrokeOff,
            Self::NotAStream | Self::Garbled { .. } | Self::TooLong(_) => Cause::NotUnderstood,
        }
    }

    /// What to tell people: plain words of ours, nothing of what the service said.
    pub fn sentence(&self) -> &'static str {
        self.cause().sentence()
    }
}

impl Cause {
    /// What an HTTP error status means.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 => Self::NotAuthorised,
            429 => Self::RateLimited,
            408 | 500..=599 => Self::Overloaded,
            _ => Self::Refused,
        }
    }

    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RateLimited => {
                "The assistant is asked too much at the moment. Wait a little, then try again."
            }
            Self::Overloaded => {
                "The assistant's service is not available right now. Try again in a moment."
            }
            Self::NotAuthorised => {
                "The assistant's service does not accept this site's credentials. \
                 Tell the people who run this site."
            }
            Self::Refused => {
                "The assistant's service refused this message. \
                 Try again with a shorter or different one."
            }
            Self::BrokeOff => {
                "The reply broke off before its end. What had arrived is kept; try again."
            }
            Self::NotUnderstood => {
                "The assistant's service answered in a way this site cannot read. \
                 Try again, or tell the people who run this site."
            }
        }
    }
}

/// One line of foreign text, short enough for a log.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.trim().replace(|char: char| char.is_control(), " ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_a_cause_and_never_the_text() {
        let cases = [
            (400, Cause::Refused),
            (401, Cause::NotAuthorised),
            (403, Cause::NotAuthorised),
            (404, Cause::Refused),
            (422, Cause::Refused),
            (429, Cause::RateLimited),
            (500, Cause::Overloaded),
            (503, Cause::Overloaded),
            (529, Cause::Overloaded),
        ];
        for (status, cause) in cases {
            let error = ProviderError::refused(status, "key sk-123 is wrong");
            assert_eq!(error.cause(), cause, "{status}");
            assert!(!error.sentence().contains("sk-123"));
            assert!(error.to_string().contains("sk-123"));
        }
    }

    #[test]
    fn foreign_text_is_one_short_line() {
        let error = ProviderError::refused(500, &format!(" a\nb\r{}", "é".repeat(1_000)));
        let ProviderError::Refused { message, .. } = error else { panic!("refused") };
        assert!(message.starts_with("a b é"));
        assert_eq!(message.chars().count(), 301);
    }
}
