//! The dialect of OpenAI's chat completions, as OpenAI and the many services that imitate it speak
//! it.
//!
//! The imitations differ in nearly everything that a strict reader would insist on: fields are
//! missing or null, the stream ends in four ways, errors come inside a stream that began with 200.
//! So every field is optional here, unknown ones are ignored, and the only firm rule is that a
//! reply is whole when the service has said so, by a finish reason or by `[DONE]`.

use std::mem;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, json};

use super::{Cause, Delta, ProviderError, Turn, Usage};
use crate::chat::sse::{Decoder, Event};

/// The body of a request for a reply.
pub fn request_body(model: &str, turns: &[Turn], stream: bool) -> Value {
    let messages: Vec<Value> =
        turns.iter().map(|turn| json!({ "role": turn.role, "content": turn.text })).collect();
    let mut body = json!({ "model": model, "messages": messages, "stream": stream });
    if stream {
        body["stream_options"] = json!({ "include_usage": true });
    }
    body
}

/// The error of an answer with an error status.
pub fn refusal(status: u16, body: &[u8]) -> ProviderError {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str(&text) {
        Ok(value) => ProviderError::refused(status, &explanation(&value)),
        Err(_) => ProviderError::refused(status, &text),
    }
}

/// Reads a whole reply: what a service sends that was asked for a stream and does not do streams,
/// told by its content type `application/json`.
pub fn whole(body: &[u8]) -> Result<Vec<Delta>, ProviderError> {
    let reply: Chunk = serde_json::from_slice(body).map_err(|_| ProviderError::NotAStream)?;
    if reply.is_foreign() {
        return Err(ProviderError::NotAStream);
    }
    let mut deltas = Vec::new();
    reply.read_into(&mut deltas)?;
    deltas.push(Delta::Done);
    Ok(deltas)
}

/// Reads the bytes of a stream.
#[derive(Debug, Default)]
pub struct Reader {
    events: Decoder,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Reading,
    /// A finish reason has been seen; the count or `[DONE]` may follow.
    Finishing,
    /// An error has been seen behind text that came in the same bytes.
    Failed(ProviderError),
    Closed,
}

impl Reader {
    /// A reader at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and answers what they hold.
    ///
    /// What came before an error is still answered; the error is then the answer of the next call,
    /// be it `push` or [`finish`](Self::finish).
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Delta>, ProviderError> {
        self.raise()?;
        let mut deltas = Vec::new();
        match self.read(bytes, &mut deltas) {
            Err(error) if deltas.is_empty() => {
                self.state = State::Closed;
                return Err(error);
            }
            Err(error) => self.state = State::Failed(error),
            Ok(()) => {}
        }
        Ok(deltas)
    }

    /// Whether all that matters has been read. Some services leave the connection open then: wait a
    /// few seconds for more at most, and call [`finish`](Self::finish).
    pub fn is_ending(&self) -> bool {
        !matches!(self.state, State::Reading)
    }

    /// Answers what the end of the stream means: the last delta, or an error if the reply is not
    /// whole.
    pub fn finish(mut self) -> Result<Vec<Delta>, ProviderError> {
        self.raise()?;
        let mut deltas = Vec::new();
        if let Some(event) = mem::take(&mut self.events).finish().filter(is_whole) {
            self.read_event(&event, &mut deltas)?;
        }
        match self.state {
            State::Closed => Ok(deltas),
            State::Finishing => {
                deltas.push(Delta::Done);
                Ok(deltas)
            }
            State::Failed(error) => Err(error),
            State::Reading => Err(ProviderError::Truncated),
        }
    }

    /// Answers an error that had to wait.
    fn raise(&mut self) -> Result<(), ProviderError> {
        match mem::take(&mut self.state) {
            State::Failed(error) => {
                self.state = State::Closed;
                Err(error)
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    fn read(&mut self, bytes: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        for event in self.events.push(bytes)? {
            self.read_event(&event, deltas)?;
        }
        Ok(())
    }

    fn read_event(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        let data = event.data.trim();
        if data.is_empty() || matches!(self.state, State::Closed) {
            return Ok(());
        }
        if data == "[DONE]" {
            self.state = State::Closed;
            deltas.push(Delta::Done);
            return Ok(());
        }
        if event.event == "error" {
            return Err(error_event(data));
        }
        let chunk: Chunk =
            serde_json::from_str(data).map_err(|error| ProviderError::garbled(&error))?;
        if chunk.read_into(deltas)? {
            self.state = State::Finishing;
        }
        Ok(())
    }
}

/// Whether an event that lacks its blank line is all there.
fn is_whole(event: &Event) -> bool {
    let data = event.data.trim();
    data == "[DONE]" || serde_json::from_str::<IgnoredAny>(data).is_ok()
}

/// A chunk of a stream or, with `message` in place of `delta`, a whole reply.
#[derive(Deserialize)]
struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Value>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Message>,
    message: Option<Message>,
    finish_reason: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Value>,
    refusal: Option<Value>,
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
}

impl Chunk {
    /// Whether nothing in it belongs to a reply.
    fn is_foreign(&self) -> bool {
        self.error.is_none() && self.choices.as_ref().is_none_or(Vec::is_empty)
    }

    /// Adds what it holds; true if it says why the reply has ended.
    fn read_into(self, deltas: &mut Vec<Delta>) -> Result<bool, ProviderError> {
        if let Some(error) = self.error.filter(is_error) {
            return Err(error_value(&error));
        }
        let choice = self.choices.and_then(|choices| choices.into_iter().next());
        let is_end = choice.is_some_and(|choice| choice.read_into(deltas));
        deltas.extend(self.usage.as_ref().and_then(usage).map(Delta::Usage));
        Ok(is_end)
    }
}

impl Choice {
    fn read_into(self, deltas: &mut Vec<Delta>) -> bool {
        if let Some(message) = self.delta.or(self.message) {
            message.read_into(deltas);
        }
        self.finish_reason.as_ref().and_then(Value::as_str).is_some_and(|why| !why.is_empty())
    }
}

impl Message {
    /// Some services send their thinking under both names at once; it is one text.
    fn read_into(self, deltas: &mut Vec<Delta>) {
        let reasoning = text(self.reasoning_content).or_else(|| text(self.reasoning));
        deltas.extend(reasoning.map(Delta::Reasoning));
        deltas.extend(text(self.content).map(Delta::Text));
        deltas.extend(text(self.refusal).map(Delta::Text));
    }
}

/// The text, which may come in parts, unless there is none.
fn text(content: Option<Value>) -> Option<String> {
    let text = match content? {
        Value::String(text) => text,
        Value::Array(parts) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}

fn usage(value: &Value) -> Option<Usage> {
    let count = |name: &str| value.get(name).and_then(Value::as_u64);
    match (count("prompt_tokens"), count("completion_tokens")) {
        (None, None) => None,
        (input, output) => {
            Some(Usage { input: input.unwrap_or_default(), output: output.unwrap_or_default() })
        }
    }
}

/// Whether the value of an `error` field reports one: some services always send the field.
fn is_error(value: &Value) -> bool {
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

/// The error of an event that is named one; its data may be anything.
fn error_event(data: &str) -> ProviderError {
    match serde_json::from_str(data) {
        Ok(value) => error_value(error_in(&value)),
        Err(_) => ProviderError::failed(Cause::BrokeOff, data),
    }
}

fn error_value(error: &Value) -> ProviderError {
    ProviderError::failed(cause(error), &explanation(error))
}

/// What an error's code, type or status names. Its message is free text and says nothing reliable.
fn cause(error: &Value) -> Cause {
    let fields = ["code", "status", "type"].iter().filter_map(|name| error.get(name));
    fields.filter_map(cause_of_code).next().unwrap_or(Cause::BrokeOff)
}

fn cause_of_code(code: &Value) -> Option<Cause> {
    let name = match code {
        Value::String(name) => name.to_lowercase(),
        other => other.to_string(),
    };
    if let Ok(status @ 400..=599) = name.parse::<u16>() {
        return Some(Cause::of_status(status));
    }
    let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if says(&["rate_limit", "quota", "too_many"]) {
        Some(Cause::RateLimited)
    } else if says(&["overload", "unavailable", "capacity", "timeout", "server_error"]) {
        Some(Cause::Overloaded)
    } else if says(&["auth", "permission", "api_key"]) {
        Some(Cause::NotAuthorised)
    } else if says(&["invalid_request", "context_length", "not_found"]) {
        Some(Cause::Refused)
    } else {
        None
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::provider::Role;

    fn text(text: &str) -> Delta {
        Delta::Text(text.into())
    }

    fn reasoning(text: &str) -> Delta {
        Delta::Reasoning(text.into())
    }

    fn count(input: u64, output: u64) -> Delta {
        Delta::Usage(Usage { input, output })
    }

    fn failed(cause: Cause, message: &str) -> ProviderError {
        ProviderError::failed(cause, message)
    }

    /// What a stream says that comes in pieces of this size: its deltas and how it ends.
    fn read(stream: &str, size: usize) -> (Vec<Delta>, Option<ProviderError>) {
        let mut reader = Reader::new();
        let mut deltas = Vec::new();
        for piece in stream.as_bytes().chunks(size) {
            match reader.push(piece) {
                Ok(more) => deltas.extend(more),
                Err(error) => return (deltas, Some(error)),
            }
        }
        match reader.finish() {
            Ok(more) => deltas.extend(more),
            Err(error) => return (deltas, Some(error)),
        }
        (deltas, None)
    }

    const HEL: &str =
        r#"data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#;
    const LO: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"lo"}}]}"#;
    const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const DONE: &str = "data: [DONE]";

    /// A stream of events, each closed by its blank line.
    fn stream(events: &[&str]) -> String {
        events.iter().map(|event| format!("{event}\n\n")).collect()
    }

    #[track_caller]
    fn assert_reads(quirk: &str, stream: &str, deltas: &[Delta], error: Option<ProviderError>) {
        for size in [1, 7, stream.len()] {
            assert_eq!(read(stream, size), (deltas.to_vec(), error.clone()), "{quirk}, {size}");
        }
    }

    #[test]
    fn asks_for_a_stream_with_its_count() {
        let turns = [
            Turn { role: Role::System, text: "Be brief.".into() },
            Turn { role: Role::User, text: "Hi".into() },
            Turn { role: Role::Assistant, text: "Hello".into() },
        ];
        let messages = json!([
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Hi" },
            { "role": "assistant", "content": "Hello" },
        ]);
        assert_eq!(
            request_body("m", &turns, true),
            json!({
                "model": "m",
                "messages": messages,
                "stream": true,
                "stream_options": { "include_usage": true },
            }),
        );
        assert_eq!(
            request_body("m", &turns, false),
            json!({ "model": "m", "messages": messages, "stream": false }),
        );
    }

    #[test]
    fn reads_a_stream_by_the_book() {
        let events = stream(&[
            r#"data: {"id":"1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}"#,
            HEL,
            LO,
            STOP,
            r#"data: {"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":27,"total_tokens":35}}"#,
            DONE,
        ]);
        let deltas = [text("Hel"), text("lo"), count(8, 27), Delta::Done];
        assert_reads("by the book", &events, &deltas, None);
    }

    #[test]
    fn reads_every_known_quirk() {
        let hello = [text("Hel"), text("lo"), Delta::Done];
        let cases: &[(&str, &[&str], &[Delta])] = &[
            (
                "the count comes with a choice that has no finish reason",
                &[
                    HEL,
                    LO,
                    STOP,
                    r#"data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
                    DONE,
                ],
                &[text("Hel"), text("lo"), count(1, 2), Delta::Done],
            ),
            (
                "an empty list of choices comes first",
                &[r#"data: {"choices":[],"prompt_filter_results":[]}"#, HEL, LO, STOP, DONE],
                &hello,
            ),
            (
                "a choice has no delta",
                &[r#"data: {"choices":[{"index":0}]}"#, HEL, LO, STOP, DONE],
                &hello,
            ),
            ("choices are null", &[r#"data: {"choices":null}"#, HEL, LO, STOP, DONE], &hello),
            ("there are no choices", &["data: {}", HEL, LO, STOP, DONE], &hello),
            (
                "the first content is null",
                &[
                    r#"data: {"choices":[{"delta":{"role":"assistant","content":null}}]}"#,
                    HEL,
                    LO,
                    STOP,
                    DONE,
                ],
                &hello,
            ),
            (
                "the finish reason is empty until the end",
                &[
                    r#"data: {"choices":[{"delta":{"content":"Hel"},"finish_reason":""}]}"#,
                    LO,
                    STOP,
                    DONE,
                ],
                &hello,
            ),
            ("there is no finish reason", &[HEL, LO, DONE], &hello),
            ("there is no [DONE]", &[HEL, LO, STOP], &hello),
            (
                "an unknown finish reason",
                &[HEL, LO, r#"data: {"choices":[{"delta":{},"finish_reason":"eos"}]}"#],
                &hello,
            ),
            (
                "the count is empty",
                &[HEL, LO, STOP, r#"data: {"choices":[],"usage":{}}"#, DONE],
                &hello,
            ),
            (
                "errors are null",
                &[r#"data: {"choices":[],"error":null}"#, HEL, LO, STOP, DONE],
                &hello,
            ),
            (
                "tool calls have neither index nor id",
                &[
                    r#"data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"{"}}]}}]}"#,
                    HEL,
                    LO,
                    STOP,
                    DONE,
                ],
                &hello,
            ),
            (
                "thinking under its old name",
                &[r#"data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, STOP],
                &[reasoning("hm"), Delta::Done],
            ),
            (
                "thinking under its new name",
                &[r#"data: {"choices":[{"delta":{"reasoning":"hm","content":""}}]}"#, STOP],
                &[reasoning("hm"), Delta::Done],
            ),
            (
                "thinking under both names",
                &[
                    r#"data: {"choices":[{"delta":{"reasoning":"hm","reasoning_content":"hm"}}]}"#,
                    STOP,
                ],
                &[reasoning("hm"), Delta::Done],
            ),
            (
                "content in parts",
                &[
                    r#"data: {"choices":[{"delta":{"content":[{"type":"text","text":"Hel"},{"type":"ref"}]}}]}"#,
                    LO,
                    STOP,
                ],
                &hello,
            ),
            (
                "content of an unknown form",
                &[r#"data: {"choices":[{"delta":{"content":{"a":1}}}]}"#, HEL, LO, STOP],
                &hello,
            ),
            (
                "a refusal in words",
                &[r#"data: {"choices":[{"delta":{"refusal":"No."}}]}"#, STOP],
                &[text("No."), Delta::Done],
            ),
            ("comments", &[": OPENROUTER PROCESSING", HEL, ": ping", LO, STOP, DONE], &hello),
            ("empty data keeps the line open", &["data:", HEL, "data: ", LO, STOP, DONE], &hello),
            ("blocks without data", &["id: 1", "retry: 500", HEL, LO, STOP, DONE], &hello),
            ("named events", &["event: chunk\ndata: {}", HEL, LO, STOP, DONE], &hello),
            ("something follows [DONE]", &[HEL, LO, DONE, HEL, "data: x"], &hello),
        ];
        for (quirk, events, deltas) in cases {
            assert_reads(quirk, &stream(events), deltas, None);
            assert_reads(quirk, &stream(events).replace('\n', "\r\n"), deltas, None);
        }
    }

    #[test]
    fn the_last_blank_line_may_be_missing() {
        let hello = [text("Hel"), text("lo"), Delta::Done];
        for last in [DONE, "data: [DONE]\n", STOP] {
            assert_reads("no blank line", &(stream(&[HEL, LO]) + last), &hello, None);
        }
    }

    #[test]
    fn a_stream_that_just_ends_is_cut() {
        let cut = Some(ProviderError::Truncated);
        assert_reads("cut", &stream(&[HEL]), &[text("Hel")], cut.clone());
        assert_reads(
            "cut within an event",
            &(stream(&[HEL]) + &LO[..20]),
            &[text("Hel")],
            cut.clone(),
        );
        assert_reads(
            "cut within [DONE]",
            &(stream(&[HEL]) + "data: [DO"),
            &[text("Hel")],
            cut.clone(),
        );
        assert_reads("only comments", &stream(&[": ping"]), &[], cut.clone());
        assert_reads("an error as a field", &stream(&[HEL, "error: {}"]), &[text("Hel")], cut);
        assert_eq!(Reader::new().finish(), Err(ProviderError::Truncated));
    }

    #[test]
    fn an_error_keeps_what_came_before() {
        let cases = [
            (r#"data: {"error":{"message":"no","code":"429"}}"#, failed(Cause::RateLimited, "no")),
            (r#"data: {"error":{"message":"no","code":503}}"#, failed(Cause::Overloaded, "no")),
            (
                r#"data: {"error":{"message":"no","type":"overloaded_error"}}"#,
                failed(Cause::Overloaded, "no"),
            ),
            (
                r#"data: {"error":{"message":"no","code":"invalid_api_key"}}"#,
                failed(Cause::NotAuthorised, "no"),
            ),
            (
                r#"data: {"error":{"message":"no","type":null,"code":null}}"#,
                failed(Cause::BrokeOff, "no"),
            ),
            (r#"data: {"error":"no"}"#, failed(Cause::BrokeOff, "no")),
            (
                r#"data: {"choices":[{"finish_reason":"error"}],"error":{"message":"no"}}"#,
                failed(Cause::BrokeOff, "no"),
            ),
            ("event: error\ndata: {\"message\":\"no\"}", failed(Cause::BrokeOff, "no")),
            (
                "event: error\ndata: {\"error\":{\"message\":\"no\",\"code\":429}}",
                failed(Cause::RateLimited, "no"),
            ),
            (
                "event: error\ndata: {\"error\":null,\"message\":\"no\"}",
                failed(Cause::BrokeOff, "no"),
            ),
            ("event: error\ndata: no", failed(Cause::BrokeOff, "no")),
        ];
        for (event, error) in cases {
            let events = stream(&[HEL, event, DONE]);
            assert_reads(event, &events, &[text("Hel")], Some(error));
        }
    }

    #[test]
    fn what_is_no_chunk_is_reported() {
        for event in ["data: <html>", "data: 1", r#"data: {"choices":{}}"#] {
            let (deltas, error) = read(&stream(&[HEL, event]), 9);
            assert_eq!(deltas, [text("Hel")]);
            assert_eq!(error.map(|error| error.cause()), Some(Cause::NotUnderstood), "{event}");
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let (deltas, error) = read(&(stream(&[HEL]) + "data: " + &"x".repeat(2 << 20)), 4_096);
        assert_eq!(deltas, [text("Hel")]);
        assert!(matches!(error, Some(ProviderError::TooLong(_))), "{error:?}");
    }

    #[test]
    fn the_end_shows_before_the_connection_closes() {
        let mut reader = Reader::new();
        reader.push(stream(&[HEL]).as_bytes()).unwrap();
        assert!(!reader.is_ending());
        reader.push(stream(&[STOP]).as_bytes()).unwrap();
        assert!(reader.is_ending());
        assert_eq!(reader.finish(), Ok(vec![Delta::Done]));
    }

    #[test]
    fn done_is_said_once() {
        let mut reader = Reader::new();
        assert_eq!(reader.push(stream(&[STOP, DONE]).as_bytes()), Ok(vec![Delta::Done]));
        assert_eq!(reader.push(stream(&[HEL, DONE]).as_bytes()), Ok(vec![]));
        assert_eq!(reader.finish(), Ok(vec![]));
    }

    #[test]
    fn a_whole_reply_is_read() {
        let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let deltas = vec![reasoning("hm"), text("Hello"), count(3, 4), Delta::Done];
        assert_eq!(whole(body.as_bytes()), Ok(deltas));

        let error = r#"{"error":{"message":"no","code":"rate_limit_exceeded"}}"#;
        assert_eq!(whole(error.as_bytes()), Err(failed(Cause::RateLimited, "no")));

        for body in ["<html>", "", "{}", r#"{"choices":[]}"#, "data: {}"] {
            assert_eq!(whole(body.as_bytes()), Err(ProviderError::NotAStream), "{body}");
        }
    }

    #[test]
    fn refusals_are_explained() {
        let cases = [
            (r#"{"error":{"message":"no","type":"t","param":null,"code":"c"}}"#, "no"),
            (r#"{"error":"no"}"#, "no"),
            (r#"{"message":"no"}"#, "no"),
            (r#"{"detail":"no"}"#, "no"),
            (r#"{"error":{"a":1}}"#, r#"{"a":1}"#),
            ("<h1>no</h1>", "<h1>no</h1>"),
            ("", ""),
        ];
        for (body, message) in cases {
            assert_eq!(
                refusal(400, body.as_bytes()),
                ProviderError::refused(400, message),
                "{body}"
            );
        }
    }
}
