//! What can go wrong with a service, for the log and for people.

use serde_json::Value;

use crate::chat::sse::TooLong;

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
        /// What the service's error code says beyond the status.
        cause: Option<Cause>,
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
    /// The service said why the reply ends before it is whole.
    #[error("the provider ended its reply early: {0:?}")]
    Unfinished(Cause),
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
    /// Too many requests in too short a time.
    RateLimited,
    /// A quota or a budget is used up: waiting does not help.
    OutOfCredit,
    /// The service is down or has too much to do.
    Overloaded,
    /// The service does not accept our credentials.
    NotAuthorised,
    /// The service does not accept this request.
    Refused,
    /// The service's rules about content stopped the reply.
    Filtered,
    /// The reply came to the limit of its length.
    CutShort,
    /// The reply stopped before its end.
    BrokeOff,
    /// The reply says nothing.
    Empty,
    /// The service wanted one thing done after the other, and came to no end.
    Restless,
    /// The service answered in a form we do not know.
    NotUnderstood,
}

/// Constructors.
impl ProviderError {
    /// An answer with an error status and this explanation, which is shortened for the log.
    pub fn refused(status: u16, message: &str) -> Self {
        Self::Refused { status, cause: None, message: excerpt(message) }
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
            Self::Refused { status, cause, .. } => {
                cause.unwrap_or_else(|| Cause::of_status(*status))
            }
            Self::Failed { cause, .. } => *cause,
            Self::Unfinished(cause) => *cause,
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
            402 => Self::OutOfCredit,
            429 => Self::RateLimited,
            408 | 500..=599 => Self::Overloaded,
            _ => Self::Refused,
        }
    }

    /// What an error's code, type or status means, which every service spells its own way.
    pub fn of_code(code: &str) -> Option<Self> {
        let name = code.to_lowercase();
        if let Ok(status @ 400..=599) = name.parse::<u16>() {
            return Some(Self::of_status(status));
        }
        let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if says(&["quota", "credit", "billing", "payment", "spend_limit", "usage_limit"]) {
            Some(Self::OutOfCredit)
        } else if says(&["rate_limit", "too_many", "slow_down"]) {
            Some(Self::RateLimited)
        } else if says(&["content_filter", "content_policy", "responsibleai"]) {
            Some(Self::Filtered)
        } else if says(&["too_large", "too_long", "context_length", "context_size"]) {
            Some(Self::Refused)
        } else if says(&["overload", "unavailable", "capacity", "timeout"])
            || says(&["server_error", "internalserver", "internal_server", "api_error"])
        {
            Some(Self::Overloaded)
        } else if says(&["auth", "permission", "api_key"]) {
            Some(Self::NotAuthorised)
        } else if says(&["invalid_request", "badrequest", "not_found", "notfound"]) {
            Some(Self::Refused)
        } else {
            None
        }
    }

    /// A sentence for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::RateLimited => {
                "The assistant is asked too much at the moment. Wait a little, then try again."
            }
            Self::OutOfCredit => {
                "The assistant's service has no budget left for this site. \
                 Tell the people who run this site."
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
            Self::Filtered => {
                "The assistant's service stopped this reply because of its rules about content. \
                 Ask in other words."
            }
            Self::CutShort => "The reply came to the limit of its length. Continue to read on.",
            Self::BrokeOff => {
                "The reply broke off before its end. What had arrived is kept; try again."
            }
            Self::Restless => {
                "The assistant looked things up again and again and came to no end. \
                 What had arrived is kept; ask in other words."
            }
            Self::Empty => "The assistant's service sent an empty reply. Try again.",
            Self::NotUnderstood => {
                "The assistant's service answered in a way this site cannot read. \
                 Try again, or tell the people who run this site."
            }
        }
    }
}

/// The error of an answer with an error status, in whichever of its usual forms.
pub fn refusal(status: u16, body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => {
            let cause = code(error_in(&value)).filter(|cause| is_finer(*cause));
            ProviderError::Refused { status, cause, message: excerpt(&explanation(&value)) }
        }
        Err(_) => ProviderError::refused(status, &text),
    }
}

/// Whether a code that names this says more than the status it comes with.
fn is_finer(cause: Cause) -> bool {
    matches!(cause, Cause::OutOfCredit | Cause::Filtered | Cause::RateLimited)
}

/// The error that a service reports inside an answer.
pub fn failure(error: &Value) -> ProviderError {
    let error = error_in(error);
    ProviderError::failed(code(error).unwrap_or(Cause::BrokeOff), &explanation(error))
}

/// The same for data that may be anything.
pub fn failure_in(data: &str) -> ProviderError {
    match serde_json::from_str(data) {
        Ok(value) => failure(&value),
        Err(_) => ProviderError::failed(Cause::BrokeOff, data),
    }
}

/// Whether the value of an `error` field reports one: some services always send the field.
pub fn is_error(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

/// The error that a value holds, or else is.
fn error_in(value: &Value) -> &Value {
    value.get("error").filter(|error| is_error(error)).unwrap_or(value)
}

/// What an error's code, type or status names. Its message is free text and says nothing reliable.
fn code(error: &Value) -> Option<Cause> {
    let details = error.get("details").unwrap_or(&Value::Null);
    let fields = [
        details.get("error_code"),
        error.get("code"),
        error.get("status"),
        error.get("StatusCode"),
        error.get("type"),
    ];
    fields.into_iter().flatten().find_map(|code| match code {
        Value::String(name) => Cause::of_code(name),
        other => Cause::of_code(&other.to_string()),
    })
}

/// The words of an error in whichever place a service puts them.
fn explanation(value: &Value) -> String {
    let value = error_in(value);
    let words = ["message", "detail"].iter().find_map(|name| value.get(name));
    match words.unwrap_or(value) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
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
            (402, Cause::OutOfCredit),
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

    #[test]
    fn refusals_are_explained() {
        let cases = [
            (r#"{"error":{"message":"no","type":"t","param":null,"code":"c"}}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"error":"no","signin_url":"https://x"}"#, "no"),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"no"}}"#, "no"),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
            (r#"{"error":{"a":1}}"#, r#"{"a":1}"#),
            ("<h1>no</h1>", "<h1>no</h1>"),
            ("", ""),
        ];
        for (body, message) in cases {
            let refused = ProviderError::refused(400, message);
            assert_eq!(refusal(400, body.as_bytes()), refused, "{body}");
        }
    }

    #[test]
    fn an_empty_purse_is_told_from_haste() {
        let cases = [
            (r#"{"error":{"code":"rate_limit_exceeded"}}"#, Cause::RateLimited),
            (r#"{"error":{"code":"insufficient_quota"}}"#, Cause::OutOfCredit),
            (
                r#"{"error":{"type":"rate_limit_error","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                Cause::OutOfCredit,
            ),
            (r#"{"error":"slow"}"#, Cause::RateLimited),
        ];
        for (body, cause) in cases {
            assert_eq!(refusal(429, body.as_bytes()).cause(), cause, "{body}");
        }
    }
}
