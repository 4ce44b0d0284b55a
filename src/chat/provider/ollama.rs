//! Ollama's own dialect: lines of JSON.

use std::mem;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Ask, Cause, Content, Delta, Kind, Provider, ProviderError, Reader, Turn, Usage,
    framed::{Dialect, Framed, Framing, Step},
    trouble::{failure, is_error},
};
use crate::chat::sse::{Event, TooLong};

/// The longest line, in bytes.
const LONGEST: usize = 1 << 20;

/// Ollama's chat.
pub struct Ollama;

impl Provider for Ollama {
    fn body(&self, ask: &Ask<'_>) -> Value {
        let assistant = ask.assistant;
        let messages: Vec<Value> = ask.turns.iter().map(message).collect();
        let mut body = json!({ "model": assistant.model, "messages": messages, "stream": true });
        if let Some(temperature) = assistant.temperature {
            body["options"]["temperature"] = json!(temperature);
        }
        if let Some(most) = assistant.max_tokens {
            body["options"]["num_predict"] = json!(most);
        }
        body
    }

    fn accepts(&self) -> &'static str {
        "application/x-ndjson"
    }

    /// A whole reply is a stream of one line.
    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError> {
        match kind {
            Kind::Json | Kind::Stream => Ok(Box::<Stream>::default()),
            Kind::Page => Err(ProviderError::NotAStream),
        }
    }

    /// The model may be at work on the request whatever else it answers.
    fn may_ask_again(&self, trouble: &ProviderError) -> bool {
        matches!(trouble, ProviderError::Refused { status: 429 | 503, .. })
    }
}

type Stream = Framed<Lines, Chat>;

/// Pictures stand beside the words.
fn message(turn: &Turn) -> Value {
    let images = turn.files.iter().filter_map(|file| match &file.content {
        Content::Image(bytes) => Some(BASE64_STANDARD.encode(bytes)),
        Content::Document(_) | Content::Text(_) | Content::Given(_) => None,
    });
    let images: Vec<String> = images.collect();
    let mut message = json!({ "role": turn.role, "content": turn.with_texts() });
    if !images.is_empty() {
        message["images"] = json!(images);
    }
    message
}

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Framing for Lines {
    fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLong> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.len() > LONGEST {
                return Err(TooLong { limit: LONGEST });
            }
            if piece.ends_with(b"\n") {
                lines.extend(mem::take(self).finish());
            }
        }
        Ok(lines)
    }

    fn finish(self) -> Option<Event> {
        let data = String::from_utf8_lossy(&self.line).trim().to_owned();
        let event = "message".to_owned();
        (!data.is_empty()).then(|| Event { event, data, id: String::new() })
    }
}

/// What the lines have said of the end.
#[derive(Debug, Default)]
struct Chat {
    unfinished: Option<ProviderError>,
}

#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
    #[serde(default)]
    done: bool,
    done_reason: Option<String>,
    prompt_eval_count: Option<u64>,
    eval_count: Option<u64>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
    thinking: Option<String>,
}

impl Dialect for Chat {
    fn read(&mut self, line: &Event, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError> {
        let value: Value =
            serde_json::from_str(&line.data).map_err(|error| ProviderError::garbled(&error))?;
        let said = Line::deserialize(&value).map_err(|error| ProviderError::garbled(&error))?;
        if said.error.as_ref().is_some_and(is_error) {
            return Err(trouble(&value));
        }
        if let Some(message) = said.message {
            let (content, thinking) = (message.content, message.thinking);
            deltas.extend(thinking.filter(|text| !text.is_empty()).map(Delta::Reasoning));
            deltas.extend(content.filter(|text| !text.is_empty()).map(Delta::Text));
        }
        if !said.done {
            return Ok(Step::More);
        }
        if let Some(output) = said.eval_count {
            let input = said.prompt_eval_count.unwrap_or_default();
            deltas.push(Delta::Usage(Usage { input, output }));
        }
        if said.done_reason.as_deref() == Some("length") {
            self.unfinished = Some(ProviderError::Unfinished(Cause::CutShort));
        }
        Ok(Step::Last)
    }

    fn conclude(&mut self, _: &mut Vec<Delta>) -> Result<(), ProviderError> {
        self.unfinished.take().map_or(Ok(()), Err)
    }
}

/// The error is a sentence; a status may stand beside it.
fn trouble(line: &Value) -> ProviderError {
    let words = line.get("error").and_then(Value::as_str);
    match (line.get("StatusCode").and_then(Value::as_u64), words) {
        (Some(status), Some(words)) => {
            let status = u16::try_from(status).unwrap_or_default();
            ProviderError::failed(Cause::of_status(status), words)
        }
        _ => failure(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::provider::{End, Role, Turn, framed::testing, testing::assistant};

    const HI: &str = r#"{"model":"m","created_at":"2026-11-21T00:00:00Z","message":{"role":"assistant","content":"Hi"},"done":false}"#;

    fn text(text: &str) -> Delta {
        Delta::Text(text.into())
    }

    fn count(input: u64, output: u64) -> Delta {
        Delta::Usage(Usage { input, output })
    }

    #[track_caller]
    fn assert_reads(lines: &[&str], deltas: &[Delta], error: Option<ProviderError>) {
        let stream: String = lines.iter().map(|line| format!("{line}\n")).collect();
        for stream in [stream.as_str(), stream.trim_end()] {
            for end in [End::Clean, End::Broken] {
                testing::assert_reads::<Stream>(stream, stream, end, deltas, error.clone());
            }
        }
    }

    #[test]
    fn asks_in_its_own_words() {
        let turns = [Turn::new(Role::User, "Hi")];
        let mut assistant = assistant("provider = \"ollama\"\nmodel = \"m\"");
        let messages = json!([{ "role": "user", "content": "Hi" }]);
        let body = Ollama.body(&Ask::new(&assistant, &turns));
        assert_eq!(body, json!({ "model": "m", "messages": messages, "stream": true }));
        (assistant.temperature, assistant.max_tokens) = (Some(0.5), Some(100));
        let body = Ollama.body(&Ask::new(&assistant, &turns));
        assert_eq!(body["options"], json!({ "temperature": 0.5, "num_predict": 100 }));
    }

    #[test]
    fn reads_lines_as_they_come() {
        assert_reads(
            &[
                r#"{"message":{"role":"assistant","content":"","thinking":"hm"},"done":false}"#,
                HI,
                "",
                r#"{"message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","total_duration":4883583458,"prompt_eval_count":26,"eval_count":282}"#,
            ],
            &[Delta::Reasoning("hm".into()), text("Hi"), count(26, 282), Delta::Done],
            None,
        );
        let quirks = [
            (r#"{"done":true}"#, vec![text("Hi"), Delta::Done]),
            (r#"{"message":{"content":"!","images":null},"done":true,"done_reason":""}"#, {
                vec![text("Hi"), text("!"), Delta::Done]
            }),
            (r#"{"message":{"content":"é","tool_calls":[{}]},"done":true,"eval_count":2}"#, {
                vec![text("Hi"), text("é"), count(0, 2), Delta::Done]
            }),
        ];
        for (last, deltas) in quirks {
            assert_reads(&[HI, last], &deltas, None);
        }
    }

    #[test]
    fn what_ends_early_keeps_its_beginning_and_says_why() {
        let failed = |cause, words| Some(ProviderError::failed(cause, words));
        let cases = [
            (r#"{"error":"an error was met"}"#, failed(Cause::BrokeOff, "an error was met")),
            (
                r#"{"StatusCode":500,"Status":"500 Internal Server Error","error":"boom"}"#,
                failed(Cause::Overloaded, "boom"),
            ),
            (
                r#"{"message":{"content":""},"done":true,"done_reason":"length"}"#,
                Some(ProviderError::Unfinished(Cause::CutShort)),
            ),
            (r#"{"message":{"content":""},"done":false}"#, Some(ProviderError::Truncated)),
            ("", Some(ProviderError::Truncated)),
        ];
        for (last, error) in cases {
            assert_reads(&[HI, last], &[text("Hi")], error);
        }
    }

    #[test]
    fn half_a_line_is_no_line_and_a_long_one_is_refused() {
        let half = format!("{HI}\n{}", &HI[..40]);
        let truncated = Some(ProviderError::Truncated);
        testing::assert_reads::<Stream>("half", &half, End::Clean, &[text("Hi")], truncated);
        let long = "x".repeat(2 << 20);
        let (_, error) = testing::read::<Stream>(&long, 4_096, End::Clean);
        assert!(matches!(error, Some(ProviderError::TooLong(_))), "{error:?}");
        let (_, error) = testing::read::<Stream>("<html>\n", 3, End::Clean);
        assert_eq!(error.map(|error| error.cause()), Some(Cause::NotUnderstood));
    }
}
