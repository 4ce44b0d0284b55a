//! The dialect of OpenAI's chat completions, as OpenAI and the many services that imitate it speak
//! it.
//!
//! The imitations differ in nearly everything that a strict reader would insist on: fields are
//! missing or null, the stream ends in four ways, errors come inside a stream that began with 200.
//! So every field is optional here, unknown ones are ignored, and the only firm rule is that a
//! reply is whole when the service has said so, by a finish reason or by `[DONE]`.

mod thoughts;

use std::mem;

use serde::Deserialize;
use serde_json::{Value, json};
use thoughts::Thoughts;

use super::{
    Ask, Attached, Cause, Content, Delta, Kind, Provider, ProviderError, Reader, Round, Tool, Turn,
    Usage, answer,
    calls::{Calls, Piece},
    framed::{Dialect, Framed, Step},
    trouble::{failure, failure_in, is_error},
};
use crate::chat::sse::{Decoder, Event};

/// What Gemini hides the seals of its thoughts in, beside each call.
const EXTRA: &str = "extra_content";

/// Chat completions.
pub struct OpenAi;

impl Provider for OpenAi {
    fn body(&self, ask: &Ask<'_>) -> Value {
        let assistant = ask.assistant;
        let mut body = json!({
            "model": assistant.model,
            "messages": messages(ask),
            "stream": true,
        });
        if !ask.tools.is_empty() {
            body["tools"] = ask.tools.iter().map(tool).collect();
        }
        if !ask.may_call {
            body["tool_choice"] = json!("none");
        }
        if ask.counts {
            body["stream_options"] = json!({ "include_usage": true });
        }
        if let Some(temperature) = assistant.temperature {
            body["temperature"] = json!(temperature);
        }
        if let Some(most) = assistant.max_tokens {
            body["max_tokens"] = json!(most);
        }
        body
    }

    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError> {
        answer::reader::<Stream>(kind, whole)
    }
}

type Stream = Framed<Decoder, Completion>;

/// Turns as most services take them, and then what was done for the reply.
fn messages(ask: &Ask<'_>) -> Vec<Value> {
    let turn = |turn: &Turn| json!({ "role": turn.role, "content": content(turn) });
    ask.turns.iter().map(turn).chain(ask.rounds.iter().flat_map(round)).collect()
}

fn tool(tool: &Tool) -> Value {
    json!({ "type": "function", "function": {
        "name": tool.name, "description": tool.description, "parameters": tool.parameters,
    } })
}

/// What was asked for in one message, with what the service wants back, and what came of each in one
/// of its own. Services read the arguments again, and some fail where they are no JSON.
fn round(round: &Round) -> Vec<Value> {
    let called = round.calls.iter().map(|(call, _)| {
        let arguments = Value::Object(call.object()).to_string();
        let function = json!({ "name": call.name, "arguments": arguments });
        let mut called = json!({ "id": call.id, "type": "function", "function": function });
        if let Some(extra) = &call.extra {
            called[EXTRA] = extra.clone();
        }
        called
    });
    let said = (!round.text.is_empty()).then_some(round.text.as_str());
    let mut asked = json!({
        "role": "assistant", "content": said, "tool_calls": called.collect::<Vec<_>>(),
    });
    for (name, thought) in round.kept.iter().filter_map(Value::as_object).flatten() {
        asked[name] = thought.clone();
    }
    let told = round.calls.iter().map(
        |(call, result)| json!({ "role": "tool", "tool_call_id": call.id, "content": result.text }),
    );
    std::iter::once(asked).chain(told).collect()
}

/// Words alone are text, which every service takes; only pictures and documents make a list of parts.
fn content(turn: &Turn) -> Value {
    let mut parts: Vec<Value> = turn.files.iter().filter_map(part).collect();
    let text = turn.with_texts();
    if parts.is_empty() {
        return json!(text);
    }
    if !text.is_empty() {
        parts.push(json!({ "type": "text", "text": text }));
    }
    json!(parts)
}

fn part(file: &Attached) -> Option<Value> {
    match &file.content {
        Content::Image(bytes) => Some(json!({
            "type": "image_url", "image_url": { "url": file.data_url(bytes) },
        })),
        Content::Document(bytes) => Some(json!({
            "type": "file",
            "file": { "filename": file.name, "file_data": file.data_url(bytes) },
        })),
        Content::Text(_) | Content::Given(_) => None,
    }
}

/// What a stream has said of its end.
#[derive(Debug, Default)]
struct Completion {
    /// Why the reply is not whole although the service has come to its end.
    unfinished: Option<ProviderError>,
    /// What it wants done, in pieces as they come.
    calls: Calls,
    /// What the model thought before.
    thoughts: Thoughts,
}

impl Dialect for Completion {
    fn read(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError> {
        if event.event == "error" {
            return Err(failure_in(&event.data));
        }
        let chunk: Chunk =
            serde_json::from_str(&event.data).map_err(|error| ProviderError::garbled(&error))?;
        if chunk.is_foreign() {
            flat_error(&event.data)?;
        }
        self.take(chunk, deltas)
    }

    fn conclude(&mut self, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        self.unfinished.take().map_or(Ok(()), Err)?;
        let mut called = Vec::new();
        self.calls.finish(&mut called);
        if !called.is_empty() {
            deltas.extend(mem::take(&mut self.thoughts).field().map(Delta::Keep));
        }
        deltas.append(&mut called);
        Ok(())
    }
}

impl Completion {
    fn take(&mut self, chunk: Chunk, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError> {
        match chunk.read_into(self, deltas)? {
            Finish::NotYet => Ok(Step::More),
            Finish::Whole => Ok(Step::Ending),
            Finish::Early(cause) => {
                self.unfinished = Some(ProviderError::Unfinished(cause));
                Ok(Step::Ending)
            }
        }
    }
}

/// Reads a whole reply: what a service sends that was asked for a stream and does not do streams.
fn whole(body: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
    let reply: Chunk = serde_json::from_slice(body).map_err(|_| ProviderError::NotAStream)?;
    if reply.is_foreign() {
        flat_error(&String::from_utf8_lossy(body))?;
        return Err(ProviderError::NotAStream);
    }
    let mut completion = Completion::default();
    completion.take(reply, deltas)?;
    completion.conclude(deltas)?;
    deltas.push(Delta::Done);
    Ok(())
}

/// An error that stands where a chunk should, without a field of its own.
fn flat_error(data: &str) -> Result<(), ProviderError> {
    let Ok(value) = serde_json::from_str::<Value>(data) else { return Ok(()) };
    let is_one = value.get("object").and_then(Value::as_str) == Some("error")
        || value.get("message").or_else(|| value.get("detail")).is_some_and(is_error);
    if is_one { Err(failure(&value)) } else { Ok(()) }
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
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<Value>,
    refusal: Option<Value>,
    reasoning_content: Option<Value>,
    reasoning: Option<Value>,
    reasoning_details: Option<Value>,
    tool_calls: Option<Value>,
}

/// What a chunk says of the reply's end.
enum Finish {
    NotYet,
    Whole,
    /// The service has ended, and the reply is not whole.
    Early(Cause),
}

impl Chunk {
    /// Whether nothing in it belongs to a reply.
    fn is_foreign(&self) -> bool {
        self.error.is_none()
            && self.usage.is_none()
            && self.choices.as_ref().is_none_or(Vec::is_empty)
    }

    fn read_into(
        self,
        completion: &mut Completion,
        deltas: &mut Vec<Delta>,
    ) -> Result<Finish, ProviderError> {
        if let Some(error) = self.error.filter(is_error) {
            return Err(failure(&error));
        }
        let choice = self.choices.and_then(|choices| choices.into_iter().next());
        let finish =
            choice.map_or(Ok(Finish::NotYet), |choice| choice.read_into(completion, deltas));
        deltas.extend(self.usage.as_ref().and_then(usage).map(Delta::Usage));
        finish
    }
}

impl Choice {
    fn read_into(
        self,
        completion: &mut Completion,
        deltas: &mut Vec<Delta>,
    ) -> Result<Finish, ProviderError> {
        if let Some(message) = self.delta.or(self.message) {
            let pieces = message.tool_calls.as_ref().and_then(Value::as_array);
            pieces.into_iter().flatten().for_each(|value| completion.calls.add(piece(value)));
            completion.thoughts.add(&message);
            message.read_into(deltas);
        }
        if let Some(error) = self.error.filter(is_error) {
            return Err(failure(&error));
        }
        Ok(match self.finish_reason.as_ref().and_then(Value::as_str).unwrap_or_default() {
            "" => Finish::NotYet,
            "length" => Finish::Early(Cause::CutShort),
            "content_filter" => Finish::Early(Cause::Filtered),
            "error" | "abort" => Finish::Early(Cause::BrokeOff),
            _ => Finish::Whole,
        })
    }
}

impl Message {
    /// Some services send their thinking under several names at once; it is one text.
    fn read_into(self, deltas: &mut Vec<Delta>) {
        let (content, thought) = self.content.map(parts).unwrap_or_default();
        let reasoning = self
            .reasoning_content
            .or(self.reasoning)
            .and_then(|text| text.as_str().map(str::to_owned))
            .filter(|text| !text.is_empty())
            .or_else(|| self.reasoning_details.as_ref().map(details))
            .unwrap_or(thought);
        let refusal = self.refusal.map(|refusal| parts(refusal).0).unwrap_or_default();
        let said = [Delta::Reasoning(reasoning), Delta::Text(content), Delta::Text(refusal)];
        deltas.extend(said.into_iter().filter(
            |delta| !matches!(delta, Delta::Text(text) | Delta::Reasoning(text) if text.is_empty()),
        ));
    }
}

/// A piece of a call, of which anything may be missing. Some send the arguments as an object.
fn piece(value: &Value) -> Piece {
    let function = value.get("function").unwrap_or(&Value::Null);
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = match function.get("arguments") {
        Some(arguments @ Value::Object(_)) => arguments.to_string(),
        arguments => text(arguments),
    };
    Piece {
        index: value.get("index").and_then(Value::as_u64),
        id: text(value.get("id")),
        name: text(function.get("name")),
        arguments,
        extra: value.get(EXTRA).filter(|extra| extra.is_object()).cloned(),
    }
}

/// What is said and what is thought by content that may come in parts.
fn parts(content: Value) -> (String, String) {
    match content {
        Value::String(text) => (text, String::new()),
        Value::Array(parts) => {
            let text = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            let thought = parts.iter().filter_map(|part| part.get("thinking")).map(said).collect();
            (text, thought)
        }
        _ => Default::default(),
    }
}

fn said(value: &Value) -> String {
    parts(value.clone()).0
}

/// Thinking in the form of OpenRouter, some of it in summary, some of it sealed.
fn details(details: &Value) -> String {
    let details = details.as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |detail: &Value| detail.get("text").or_else(|| detail.get("summary")).map(said);
    details.iter().filter_map(text).collect()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::provider::{
        End, Role, ToolCall, ToolResult,
        framed::testing::{self, events as stream},
        testing::assistant,
    };

    fn text(text: &str) -> Delta {
        Delta::Text(text.into())
    }

    fn reasoning(text: &str) -> Delta {
        Delta::Reasoning(text.into())
    }

    fn count(input: u64, output: u64) -> Delta {
        Delta::Usage(Usage { input, output })
    }

    fn call(id: &str, name: &str, arguments: &str) -> Delta {
        let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
        Delta::Call(ToolCall { id, name, arguments, extra: None })
    }

    fn failed(cause: Cause, message: &str) -> ProviderError {
        ProviderError::failed(cause, message)
    }

    fn read_whole(body: &str) -> Result<Vec<Delta>, ProviderError> {
        let mut deltas = Vec::new();
        whole(body.as_bytes(), &mut deltas).map(|()| deltas)
    }

    const HEL: &str =
        r#"data: {"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#;
    const LO: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"lo"}}]}"#;
    const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
    const DONE: &str = "data: [DONE]";

    #[track_caller]
    fn assert_reads(quirk: &str, stream: &str, deltas: &[Delta], error: Option<ProviderError>) {
        for end in [End::Clean, End::Broken] {
            testing::assert_reads::<Stream>(quirk, stream, end, deltas, error.clone());
        }
    }

    #[test]
    fn asks_for_a_stream_with_its_count() {
        let turns = [
            Turn::new(Role::System, "Be brief."),
            Turn::new(Role::User, "Hi"),
            Turn::new(Role::Assistant, "Hello"),
        ];
        let mut assistant = assistant("provider = \"openai\"\nmodel = \"m\"");
        let body = OpenAi.body(&Ask::new(&assistant, &turns));
        assert_eq!(
            body,
            json!({
                "model": "m",
                "messages": [
                    { "role": "system", "content": "Be brief." },
                    { "role": "user", "content": "Hi" },
                    { "role": "assistant", "content": "Hello" },
                ],
                "stream": true,
                "stream_options": { "include_usage": true },
            }),
        );
        (assistant.temperature, assistant.max_tokens) = (Some(0.5), Some(100));
        let body = OpenAi.body(&Ask::new(&assistant, &turns));
        assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.5), &json!(100)));
    }

    #[test]
    fn tells_of_tools_and_of_what_was_done() {
        let assistant = assistant("provider = \"openai\"\nmodel = \"m\"");
        let turns = [Turn::new(Role::User, "Hi")];
        let tools = [Tool {
            name: "find".into(),
            description: "Finds.".into(),
            parameters: json!({ "type": "object" }),
        }];
        let called = |id: &str, arguments: &str, told: &str| {
            let (id, arguments) = (id.to_owned(), arguments.to_owned());
            let call = ToolCall { id, name: "find".into(), arguments, extra: None };
            (call, ToolResult { text: told.to_owned(), is_error: false })
        };
        let mut calls = vec![called("a", "{\"q\": 1}", "one"), called("b", "{", "No JSON.")];
        let seal = json!({ "google": { "thought_signature": "s" } });
        calls[1].0.extra = Some(seal.clone());
        let kept = vec![json!({ "reasoning_content": "Hm." })];
        let rounds = [Round { text: "Let me see.".into(), kept, calls }];
        let asked = Ask::new(&assistant, &turns);
        let body = OpenAi.body(&Ask { tools: &tools, rounds: &rounds, may_call: false, ..asked });
        let function = |arguments: &str| json!({ "name": "find", "arguments": arguments });
        assert_eq!(
            body["messages"],
            json!([
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": "Let me see.", "reasoning_content": "Hm.", "tool_calls": [
                    { "id": "a", "type": "function", "function": function("{\"q\":1}") },
                    { "id": "b", "type": "function", "function": function("{}"), "extra_content": seal },
                ] },
                { "role": "tool", "tool_call_id": "a", "content": "one" },
                { "role": "tool", "tool_call_id": "b", "content": "No JSON." },
            ])
        );
        let function = json!({
            "name": "find", "description": "Finds.", "parameters": { "type": "object" },
        });
        assert_eq!(body["tools"], json!([{ "type": "function", "function": function }]));
        assert_eq!(body["tool_choice"], "none");
        let plain = OpenAi.body(&Ask::new(&assistant, &turns));
        assert!(plain.get("tools").is_none() && plain.get("tool_choice").is_none());
    }

    /// One delta with pieces of calls.
    fn calling(pieces: &Value) -> String {
        let choice = json!({ "index": 0, "delta": { "tool_calls": pieces } });
        format!("data: {}", json!({ "choices": [choice] }))
    }

    const CALLED: &str =
        r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;

    #[test]
    fn what_a_service_wants_back_is_kept_with_its_calls() {
        let think = |text: &str| {
            let delta = json!({ "content": null, "reasoning_content": text });
            format!("data: {}", json!({ "choices": [{ "index": 0, "delta": delta }] }))
        };
        let seal = json!({ "google": { "thought_signature": "s" } });
        let function = json!({ "name": "find", "arguments": "{}" });
        let piece = json!([{ "index": 0, "id": "a", "function": function, "extra_content": seal }]);
        let (first, second, calls) = (think("It is "), think("late."), calling(&piece));
        let heard = [reasoning("It is "), reasoning("late.")];
        let keep = Delta::Keep(json!({ "reasoning_content": "It is late." }));
        let mut called = call("a", "find", "{}");
        if let Delta::Call(called) = &mut called {
            called.extra = Some(seal);
        }
        let stream = [&*first, &*second, &*calls, CALLED, DONE].map(str::to_owned);
        let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
        let deltas = [&heard[..], &[keep, called, Delta::Done]].concat();
        assert_reads("thoughts before a call", &self::stream(&stream), &deltas, None);
        let stream = self::stream(&[&first, &second, STOP, DONE]);
        let deltas = [&heard[..], &[Delta::Done]].concat();
        assert_reads("thoughts before a reply", &stream, &deltas, None);
    }

    #[test]
    fn calls_come_in_pieces() {
        let begin = |index: u64, id: &str, name: &str| {
            let function = json!({ "name": name, "arguments": "" });
            calling(
                &json!([{ "index": index, "id": id, "type": "function", "function": function }]),
            )
        };
        let more = |index: u64, arguments: &str| {
            calling(&json!([{ "index": index, "function": { "arguments": arguments } }]))
        };
        let events = [
            HEL.to_owned(),
            begin(0, "a", "find"),
            more(0, "{\"q\""),
            begin(1, "b", "read"),
            more(1, "{\"id\":"),
            more(0, ":\"x\"}"),
            more(1, "7}"),
            CALLED.to_owned(),
        ];
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let both = [call("a", "find", "{\"q\":\"x\"}"), call("b", "read", "{\"id\":7}")];
        let deltas = [&[text("Hel")][..], &both, &[Delta::Done]].concat();
        for last in [&[][..], &[DONE]] {
            assert_reads("in pieces", &stream(&[&events[..], last].concat()), &deltas, None);
        }
        let cut = &events[..events.len() - 1];
        assert_reads("cut", &stream(cut), &deltas[..1], Some(ProviderError::Truncated));
    }

    #[test]
    fn whole_calls_are_told_apart_however_they_are_numbered() {
        let function = |arguments: Value| json!({ "name": "f", "arguments": arguments });
        let (one, two) = (function(json!("{\"n\":1}")), function(json!("{\"n\":2}")));
        let cases = [
            ("all at once", vec![json!([{ "function": one }, { "function": two }])], ["", ""]),
            (
                "each by itself, without a number",
                vec![json!([{ "function": one }]), json!([{ "function": two }])],
                ["", ""],
            ),
            (
                "with the same number",
                vec![
                    json!([{ "index": 0, "id": "a", "function": one }]),
                    json!([{ "index": 0, "id": "b", "function": two }]),
                ],
                ["a", "b"],
            ),
            (
                "with the same number and no id",
                vec![
                    json!([{ "index": 0, "function": one }]),
                    json!([{ "index": 0, "function": two }]),
                ],
                ["", ""],
            ),
            (
                "with the same id",
                vec![json!([
                    { "index": 0, "id": "a", "function": one },
                    { "index": 1, "id": "a", "function": two },
                ])],
                ["a", "a"],
            ),
            (
                "with arguments that are objects",
                vec![json!([
                    { "id": "a", "function": function(json!({ "n": 1 })) },
                    { "id": "b", "function": function(json!({ "n": 2 })) },
                ])],
                ["a", "b"],
            ),
        ];
        for (quirk, deltas, [first, second]) in cases {
            let mut events: Vec<String> = deltas.iter().map(calling).collect();
            events.push(STOP.to_owned());
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            let calls = [call(first, "f", "{\"n\":1}"), call(second, "f", "{\"n\":2}")];
            let deltas = [&calls[..], &[Delta::Done]].concat();
            assert_reads(quirk, &stream(&events), &deltas, None);
        }
    }

    proptest! {
        /// Wherever arguments and bytes are cut, the calls are the same.
        #[test]
        fn calls_may_be_cut_anywhere(
            texts in prop::collection::vec("[a-zäöü\"\\\\{} ]{0,20}", 1..4),
            cuts in prop::collection::vec((0_usize..3, 1_usize..6), 1..40),
            size in 1_usize..50,
        ) {
            let whole: Vec<String> =
                texts.iter().map(|text| json!({ "q": text }).to_string()).collect();
            let mut left: Vec<Vec<char>> = whole.iter().map(|text| text.chars().collect()).collect();
            let mut events = Vec::new();
            for at in 0..left.len() {
                let function = json!({ "name": "f", "arguments": "" });
                events.push(calling(&json!([
                    { "index": at, "id": format!("c{at}"), "function": function },
                ])));
            }
            let all = (0..left.len()).map(|at| (at, usize::MAX));
            for (at, length) in cuts.into_iter().chain(all) {
                let Some(rest) = left.get_mut(at) else { continue };
                let piece: String = rest.drain(..length.min(rest.len())).collect();
                events.push(calling(&json!([
                    { "index": at, "function": { "arguments": piece } },
                ])));
            }
            events.push(CALLED.to_owned());
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            let (deltas, error) = testing::read::<Stream>(&stream(&events), size, End::Broken);
            let mut expected: Vec<Delta> = whole
                .iter()
                .enumerate()
                .map(|(at, arguments)| call(&format!("c{at}"), "f", arguments))
                .collect();
            expected.push(Delta::Done);
            prop_assert_eq!((deltas, error), (expected, None));
        }
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
                &[text("Hel"), text("lo"), call("", "f", "{"), Delta::Done],
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
                "thinking in parts",
                &[
                    r#"data: {"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"Hi"}]}}]}"#,
                    STOP,
                ],
                &[reasoning("hm"), text("Hi"), Delta::Done],
            ),
            (
                "thinking in details",
                &[
                    r#"data: {"choices":[{"delta":{"content":"","reasoning_details":[{"type":"reasoning.text","text":"hm"},{"type":"reasoning.summary","summary":"s"},{"type":"reasoning.encrypted","data":"x"}]}}]}"#,
                    r#"data: {"choices":[{"delta":{"reasoning":"so","reasoning_details":[{"type":"reasoning.text","text":"so"}]}}]}"#,
                    STOP,
                ],
                &[reasoning("hms"), reasoning("so"), Delta::Done],
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
        assert_reads("nothing", "", &[], Some(ProviderError::Truncated));
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
            (
                r#"data: {"choices":[{"delta":{"content":""},"finish_reason":"error","error":{"code":502,"message":"down"}}]}"#,
                failed(Cause::Overloaded, "down"),
            ),
            (
                r#"data: {"object":"error","message":"boom","type":"BadRequestError","param":null,"code":400}"#,
                failed(Cause::Refused, "boom"),
            ),
            (r#"data: {"detail":"boom"}"#, failed(Cause::BrokeOff, "boom")),
            (
                r#"data: {"error":{"message":"Internal server error","type":"InternalServerError","code":500}}"#,
                failed(Cause::Overloaded, "Internal server error"),
            ),
            (
                r#"data: {"error":{"message":"no","type":"insufficient_quota"}}"#,
                failed(Cause::OutOfCredit, "no"),
            ),
            (
                r#"data: {"error":{"code":400,"message":"too long","type":"exceed_context_size_error"}}"#,
                failed(Cause::Refused, "too long"),
            ),
        ];
        for (event, error) in cases {
            let events = stream(&[HEL, event, DONE]);
            assert_reads(event, &events, &[text("Hel")], Some(error));
        }
    }

    #[test]
    fn a_reply_that_ends_early_says_why() {
        for (reason, cause) in [
            ("length", Cause::CutShort),
            ("content_filter", Cause::Filtered),
            ("error", Cause::BrokeOff),
            ("abort", Cause::BrokeOff),
        ] {
            let end = format!(r#"{{"delta":{{}},"finish_reason":"{reason}"}}"#);
            let last = format!(r#"data: {{"choices":[{end}]}}"#);
            let tally = r#"data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
            let error = Some(ProviderError::Unfinished(cause));
            for events in [&[HEL, &last, tally, DONE][..], &[HEL, &last, tally]] {
                let deltas = [text("Hel"), count(1, 2)];
                assert_reads(reason, &stream(events), &deltas, error.clone());
            }
            let body = format!(
                r#"{{"choices":[{{"message":{{"content":"Hel"}},"finish_reason":"{reason}"}}]}}"#
            );
            assert_eq!(read_whole(&body), Err(ProviderError::Unfinished(cause)));
        }
    }

    #[test]
    fn what_is_no_chunk_is_reported() {
        for event in ["data: <html>", "data: 1", r#"data: {"choices":{}}"#] {
            let (deltas, error) = testing::read::<Stream>(&stream(&[HEL, event]), 9, End::Clean);
            assert_eq!(deltas, [text("Hel")]);
            assert_eq!(error.map(|error| error.cause()), Some(Cause::NotUnderstood), "{event}");
        }
    }

    #[test]
    fn an_event_has_a_bound() {
        let long = stream(&[HEL]) + "data: " + &"x".repeat(2 << 20);
        let (deltas, error) = testing::read::<Stream>(&long, 4_096, End::Clean);
        assert_eq!(deltas, [text("Hel")]);
        assert!(matches!(error, Some(ProviderError::TooLong(_))), "{error:?}");
    }

    #[test]
    fn the_end_shows_before_the_connection_closes() {
        let (mut reader, mut deltas) = (Box::<Stream>::default(), Vec::new());
        reader.push(stream(&[HEL]).as_bytes(), &mut deltas).unwrap();
        assert!(!reader.is_ending());
        reader.push(stream(&[STOP]).as_bytes(), &mut deltas).unwrap();
        assert!(reader.is_ending());
        reader.finish(End::Broken, &mut deltas).unwrap();
        assert_eq!(deltas, [text("Hel"), Delta::Done]);
    }

    #[test]
    fn done_is_said_once() {
        let all = stream(&[STOP, DONE, HEL, DONE]);
        assert_reads("said twice", &all, &[Delta::Done], None);
    }

    #[test]
    fn a_whole_reply_is_read() {
        let body = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello","reasoning":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let deltas = vec![reasoning("hm"), text("Hello"), count(3, 4), Delta::Done];
        assert_eq!(read_whole(body), Ok(deltas));

        let body = r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#;
        assert_eq!(read_whole(body), Ok(vec![call("a", "f", "{}"), Delta::Done]));

        let error = r#"{"error":{"message":"no","code":"rate_limit_exceeded"}}"#;
        assert_eq!(read_whole(error), Err(failed(Cause::RateLimited, "no")));
        let error = r#"{"object":"error","message":"no","code":"429"}"#;
        assert_eq!(read_whole(error), Err(failed(Cause::RateLimited, "no")));

        for body in ["<html>", "", "{}", r#"{"choices":[]}"#, "data: {}"] {
            assert_eq!(read_whole(body), Err(ProviderError::NotAStream), "{body}");
        }
    }
}
