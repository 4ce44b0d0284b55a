//! The dialect of Anthropic's Messages.
//!
//! Every message of the stream names its type in its data; types that are not known here are left
//! out, as the service asks its clients to do. The reply is whole with `message_stop`, or when the
//! service has said why it stopped.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Ask, Attached, Cause, Content, Delta, Kind, Provider, ProviderError, Reader, Role, Round, Tool,
    ToolCall, Turn, Usage, answer, calls,
    framed::{Dialect, Framed, Step},
    trouble::{failure, failure_in},
};
use crate::chat::sse::{Decoder, Event};

/// The version of the interface that this module speaks.
const VERSION: &str = "2023-06-01";
/// The service wants to be told; what the model thinks counts as well.
const MAX_TOKENS: u32 = 8_192;

/// Messages.
pub struct Anthropic;

impl Provider for Anthropic {
    fn headers(&self) -> &'static [(&'static str, &'static str)] {
        &[("anthropic-version", VERSION)]
    }

    fn body(&self, ask: &Ask<'_>) -> Value {
        let assistant = ask.assistant;
        let mut body = json!({
            "model": assistant.model,
            "max_tokens": assistant.max_tokens.unwrap_or(MAX_TOKENS),
            "messages": messages(ask),
            "stream": true,
        });
        if !ask.tools.is_empty() {
            body["tools"] = ask.tools.iter().map(tool).collect();
        }
        if !ask.may_call {
            body["tool_choice"] = json!({ "type": "none" });
        }
        if let Some(system) = ask.turns.iter().find(|turn| turn.role == Role::System) {
            body["system"] = json!(system.text);
        }
        if let Some(temperature) = assistant.temperature {
            body["temperature"] = json!(temperature);
        }
        body
    }

    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError> {
        answer::reader::<Stream>(kind, whole)
    }
}

type Stream = Framed<Decoder, Message>;

/// The turns, the standing instructions apart, and then what was done for the reply. Neighbours of one
/// role are one turn to the service.
fn messages(ask: &Ask<'_>) -> Vec<Value> {
    let said = ask.turns.iter().filter(|turn| turn.role != Role::System);
    let said = said.map(|turn| json!({ "role": turn.role, "content": content(turn) }));
    said.chain(ask.rounds.iter().flat_map(round)).collect()
}

fn tool(tool: &Tool) -> Value {
    json!({
        "name": tool.name, "description": tool.description, "input_schema": tool.parameters,
    })
}

/// What was asked for, and what came of it. What holds thoughts goes back block by block as it came, or
/// their seals do not fit; calls have a place among the blocks.
fn round(round: &Round) -> [Value; 2] {
    let mut called = round.calls.iter().map(|(call, _)| {
        json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": call.object() })
    });
    let mut asked: Vec<Value> = match &*round.kept {
        [] => {
            let said = round.text.trim_end();
            let said = (!said.is_empty()).then(|| json!({ "type": "text", "text": said }));
            said.into_iter().collect()
        }
        kept => {
            let block = |block: &Value| match block {
                Value::Null => called.next(),
                block => Some(block.clone()),
            };
            kept.iter().filter_map(block).collect()
        }
    };
    asked.extend(called);
    let told = round.calls.iter().map(|(call, result)| {
        json!({
            "type": "tool_result",
            "tool_use_id": call.id,
            "content": result.text,
            "is_error": result.is_error,
        })
    });
    let told: Vec<Value> = told.collect();
    [json!({ "role": "assistant", "content": asked }), json!({ "role": "user", "content": told })]
}

/// Words alone are text; with files they are blocks, the files first.
fn content(turn: &Turn) -> Value {
    if turn.files.is_empty() {
        return json!(turn.text);
    }
    let mut blocks: Vec<Value> = turn.files.iter().filter_map(block).collect();
    if !turn.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": turn.text }));
    }
    json!(blocks)
}

fn block(file: &Attached) -> Option<Value> {
    let in_base64 = |bytes: &[u8]| json!({ "type": "base64", "media_type": file.kind, "data": BASE64_STANDARD.encode(bytes) });
    let source = match &file.content {
        Content::Image(bytes) => {
            return Some(json!({ "type": "image", "source": in_base64(bytes) }));
        }
        Content::Document(bytes) => in_base64(bytes),
        Content::Text(text) => json!({ "type": "text", "media_type": "text/plain", "data": text }),
        Content::Given(_) => return None,
    };
    Some(json!({ "type": "document", "title": file.name, "source": source }))
}

/// A message as it has come so far.
#[derive(Debug, Default)]
struct Message {
    usage: Usage,
    /// Whether the last text did not end with a line's end, so that the next block must begin one.
    mid_line: bool,
    /// How many blocks of text have begun.
    texts: u32,
    unfinished: Option<ProviderError>,
    /// Its blocks in order, which the service wants back if the model thought and wants anything done.
    parts: Vec<Part>,
    /// What the service wants done, each with the arguments that its block began with.
    calls: Vec<(ToolCall, Value)>,
    /// Whether the block that is open is such a call.
    is_calling: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    MessageStart {
        message: Reply,
    },
    ContentBlockStart {
        content_block: Block,
    },
    ContentBlockDelta {
        delta: Block,
    },
    MessageDelta {
        delta: Stop,
        usage: Option<Value>,
    },
    MessageStop,
    Error,
    #[serde(other)]
    Unknown,
}

/// A piece of content, whole or as it grows.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    #[serde(alias = "text_delta")]
    Text {
        #[serde(default)]
        text: String,
    },
    #[serde(alias = "thinking_delta")]
    Thinking {
        #[serde(default)]
        thinking: String,
        signature: Option<String>,
    },
    SignatureDelta {
        signature: Option<String>,
    },
    RedactedThinking {
        data: Option<String>,
    },
    ToolUse {
        #[serde(default)]
        id: String,
        #[serde(default)]
        name: String,
        #[serde(default)]
        input: Value,
    },
    InputJsonDelta {
        #[serde(default)]
        partial_json: String,
    },
    #[serde(other)]
    Unknown,
}

/// A block that was read.
#[derive(Debug)]
enum Part {
    Text(String),
    Thought {
        text: String,
        /// None where it had no field for one.
        seal: Option<String>,
    },
    Sealed(String),
    /// The next of the calls.
    Call,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    content: Vec<Block>,
    #[serde(flatten)]
    stop: Stop,
    usage: Option<Value>,
}

#[derive(Default, Deserialize)]
struct Stop {
    stop_reason: Option<String>,
}

impl Dialect for Message {
    fn read(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError> {
        let garbled = |error| ProviderError::garbled(&error);
        let mut value: Value = serde_json::from_str(&event.data).map_err(garbled)?;
        // Some who pass these streams on drop the type, which the event's name repeats.
        if let Some(fields) = value.as_object_mut().filter(|fields| !fields.contains_key("type")) {
            fields.insert("type".to_owned(), json!(event.event));
        }
        match Said::deserialize(value).map_err(garbled)? {
            Said::MessageStart { message } => self.begin(message, deltas),
            Said::ContentBlockStart { content_block } => self.begin_block(content_block, deltas),
            Said::ContentBlockDelta { delta } => self.add(delta, deltas),
            Said::MessageDelta { delta, usage } => {
                self.count(usage.as_ref(), deltas);
                if delta.stop_reason.is_some() {
                    self.stop(&delta);
                    return Ok(Step::Ending);
                }
            }
            Said::MessageStop => return Ok(Step::Last),
            Said::Error => return Err(failure_in(&event.data)),
            Said::Unknown => {}
        }
        Ok(Step::More)
    }

    fn conclude(&mut self, deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
        self.unfinished.take().map_or(Ok(()), Err)?;
        if !self.calls.is_empty() && self.parts.iter().any(Part::is_thought) {
            deltas.extend(self.parts.drain(..).filter_map(Part::block).map(Delta::Keep));
        }
        deltas.extend(self.calls.drain(..).map(called));
        Ok(())
    }
}

/// A call with its arguments, which come in pieces or with the beginning of the block.
fn called((mut call, input): (ToolCall, Value)) -> Delta {
    if call.arguments.trim().is_empty() {
        call.arguments = if input.is_object() { input.to_string() } else { "{}".to_owned() };
    }
    Delta::Call(call)
}

impl Message {
    fn begin(&mut self, message: Reply, deltas: &mut Vec<Delta>) {
        self.count(message.usage.as_ref(), deltas);
        for block in message.content {
            self.begin_block(block, deltas);
        }
    }

    /// Blocks of text stand below each other, whatever was between them.
    fn begin_block(&mut self, block: Block, deltas: &mut Vec<Delta>) {
        self.is_calling = false;
        match block {
            Block::Text { .. } => {
                if self.texts > 0 && self.mid_line {
                    deltas.push(Delta::Text("\n\n".to_owned()));
                }
                self.texts += 1;
                self.parts.push(Part::Text(String::new()));
            }
            Block::Thinking { .. } => self.parts.push(Part::thought()),
            _ => {}
        }
        self.add(block, deltas);
    }

    fn add(&mut self, block: Block, deltas: &mut Vec<Delta>) {
        match block {
            Block::Text { text } if !text.is_empty() => {
                self.mid_line = !text.ends_with('\n');
                self.say(&text);
                deltas.push(Delta::Text(text));
            }
            Block::Thinking { thinking, signature } => {
                self.think(&thinking, signature);
                if !thinking.is_empty() {
                    deltas.push(Delta::Reasoning(thinking));
                }
            }
            Block::SignatureDelta { signature } => self.think("", signature),
            Block::RedactedThinking { data } => self.parts.extend(data.map(Part::Sealed)),
            Block::ToolUse { id, name, input } if self.calls.len() < calls::MOST => {
                self.is_calling = true;
                self.parts.push(Part::Call);
                self.calls.push((ToolCall { id, name, ..ToolCall::default() }, input));
            }
            Block::InputJsonDelta { partial_json } if self.is_calling => {
                if let Some((call, _)) = self.calls.last_mut() {
                    calls::grow(&mut call.arguments, &partial_json);
                }
            }
            _ => {}
        }
    }

    /// Adds to the text that is under way.
    fn say(&mut self, more: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.parts.push(Part::Text(more.to_owned())),
        }
    }

    /// Adds to the thoughts that are under way.
    fn think(&mut self, more: &str, signature: Option<String>) {
        if !matches!(self.parts.last(), Some(Part::Thought { .. })) {
            self.parts.push(Part::thought());
        }
        if let Some(Part::Thought { text, seal }) = self.parts.last_mut() {
            text.push_str(more);
            *seal = signature.filter(|new| seal.is_none() || !new.is_empty()).or(seal.take());
        }
    }

    /// What is read comes in three numbers: new, written to the cache, and read from it.
    fn count(&mut self, usage: Option<&Value>, deltas: &mut Vec<Delta>) {
        let Some(usage) = usage else { return };
        let count = |name: &str| usage.get(name).and_then(Value::as_u64);
        if let Some(input) = count("input_tokens") {
            let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"];
            self.usage.input = input + cached.iter().filter_map(|name| count(name)).sum::<u64>();
        }
        if let Some(output) = count("output_tokens") {
            self.usage.output = output;
        }
        deltas.push(Delta::Usage(self.usage));
    }

    fn stop(&mut self, stop: &Stop) {
        let cause = match stop.stop_reason.as_deref().unwrap_or_default() {
            "max_tokens" | "model_context_window_exceeded" | "pause_turn" => Cause::CutShort,
            "refusal" => Cause::Filtered,
            _ => return,
        };
        self.unfinished = Some(ProviderError::Unfinished(cause));
    }
}

impl Part {
    fn thought() -> Self {
        Self::Thought { text: String::new(), seal: None }
    }

    fn is_thought(&self) -> bool {
        matches!(self, Self::Thought { .. } | Self::Sealed(_))
    }

    /// The block as the service had it, and nothing for a call, which is not whole yet. Those who stand
    /// in for the service may have no seals; it takes no text without a word.
    fn block(self) -> Option<Value> {
        match self {
            Self::Call => Some(Value::Null),
            Self::Text(text) if text.trim().is_empty() => None,
            Self::Text(text) => Some(json!({ "type": "text", "text": text })),
            Self::Sealed(data) => Some(json!({ "type": "redacted_thinking", "data": data })),
            Self::Thought { text, seal: None } => {
                Some(json!({ "type": "thinking", "thinking": text }))
            }
            Self::Thought { text, seal } => {
                Some(json!({ "type": "thinking", "thinking": text, "signature": seal }))
            }
        }
    }
}

/// Reads a whole reply, as some send who stand in for the service.
fn whole(body: &[u8], deltas: &mut Vec<Delta>) -> Result<(), ProviderError> {
    let value: Value = serde_json::from_slice(body).map_err(|_| ProviderError::NotAStream)?;
    match value.get("type").and_then(Value::as_str) {
        Some("error") => return Err(failure(&value)),
        Some("message") => {}
        _ => return Err(ProviderError::NotAStream),
    }
    let reply = Reply::deserialize(value).map_err(|error| ProviderError::garbled(&error))?;
    let mut message = Message::default();
    message.stop(&reply.stop);
    message.begin(reply, deltas);
    message.conclude(deltas)?;
    deltas.push(Delta::Done);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::provider::{
        End, ToolResult,
        framed::testing::{self, events},
        testing::assistant,
    };

    const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":25,\"cache_creation_input_tokens\":10,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}";
    const TEXT: &str = r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}";
    const HEL: &str = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}"#;
    const LO: &str = r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#;
    const END: &str = r#"data: {"type":"content_block_stop","index":0}"#;
    const STOP: &str = r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#;
    const LAST: &str = r#"data: {"type":"message_stop"}"#;

    fn text(text: &str) -> Delta {
        Delta::Text(text.into())
    }

    fn thought(text: &str) -> Delta {
        Delta::Reasoning(text.into())
    }

    fn count(input: u64, output: u64) -> Delta {
        Delta::Usage(Usage { input, output })
    }

    #[track_caller]
    fn assert_reads(quirk: &str, stream: &[&str], deltas: &[Delta], error: Option<ProviderError>) {
        for end in [End::Clean, End::Broken] {
            testing::assert_reads::<Stream>(quirk, &events(stream), end, deltas, error.clone());
        }
    }

    #[test]
    fn asks_with_the_instructions_apart() {
        let turns = [Turn::new(Role::System, "Be brief."), Turn::new(Role::User, "Hi")];
        let mut assistant = assistant("provider = \"anthropic\"\nmodel = \"m\"");
        assert_eq!(assistant.path, "/v1/messages");
        let body = Anthropic.body(&Ask::new(&assistant, &turns));
        assert_eq!(
            body,
            json!({
                "model": "m",
                "max_tokens": 8192,
                "system": "Be brief.",
                "messages": [{ "role": "user", "content": "Hi" }],
                "stream": true,
            }),
        );
        (assistant.temperature, assistant.max_tokens) = (Some(0.5), Some(100));
        let body = Anthropic.body(&Ask::new(&assistant, &turns[1..]));
        assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.5), &json!(100)));
        assert!(body.get("system").is_none());
    }

    fn call(id: &str, name: &str, arguments: &str) -> Delta {
        let [id, name, arguments] = [id, name, arguments].map(str::to_owned);
        Delta::Call(ToolCall { id, name, arguments, extra: None })
    }

    /// The beginning of a block that is a call.
    fn begin(id: &str, input: &Value) -> String {
        let block = json!({ "type": "tool_use", "id": id, "name": "f", "input": input });
        format!("data: {}", json!({ "type": "content_block_start", "content_block": block }))
    }

    fn more(arguments: &str) -> String {
        let delta = json!({ "type": "input_json_delta", "partial_json": arguments });
        format!("data: {}", json!({ "type": "content_block_delta", "delta": delta }))
    }

    const CALLED: &str = r#"data: {"type":"message_delta","delta":{"stop_reason":"tool_use"}}"#;

    #[test]
    fn tells_of_tools_and_of_what_was_done() {
        let assistant = assistant("provider = \"anthropic\"\nmodel = \"m\"");
        let turns = [Turn::new(Role::User, "Hi")];
        let tools = [Tool {
            name: "find".into(),
            description: "Finds.".into(),
            parameters: json!({ "type": "object" }),
        }];
        let arguments = "{\"q\": 1}".to_owned();
        let call = ToolCall { id: "a".into(), name: "find".into(), arguments, extra: None };
        let result = ToolResult { text: "No such field.".into(), is_error: true };
        let thought = json!({ "type": "thinking", "thinking": "Hm.", "signature": "s" });
        let second = ToolCall { id: "b".into(), ..call.clone() };
        let later = json!({ "type": "text", "text": "And then." });
        let calls = vec![(call, result.clone())];
        let rounds = [
            Round { text: "Let me see.\n\n".into(), kept: Vec::new(), calls },
            Round {
                text: "And then.".into(),
                kept: vec![thought.clone(), later.clone(), Value::Null, thought.clone()],
                calls: vec![(second.clone(), result.clone()), (second, result)],
            },
        ];
        let called =
            |id: &str| json!({ "type": "tool_use", "id": id, "name": "find", "input": { "q": 1 } });
        let told = |id: &str| {
            let (kind, text) = ("tool_result", "No such field.");
            json!({ "type": kind, "tool_use_id": id, "content": text, "is_error": true })
        };
        let asked = Ask::new(&assistant, &turns);
        let body =
            Anthropic.body(&Ask { tools: &tools, rounds: &rounds, may_call: false, ..asked });
        assert_eq!(
            body["messages"],
            json!([
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": [
                    { "type": "text", "text": "Let me see." }, called("a"),
                ] },
                { "role": "user", "content": [told("a")] },
                { "role": "assistant", "content": [
                    thought, later, called("b"), thought, called("b"),
                ] },
                { "role": "user", "content": [told("b"), told("b")] },
            ])
        );
        let schema = json!({ "type": "object" });
        let tool = json!({ "name": "find", "description": "Finds.", "input_schema": schema });
        assert_eq!(body["tools"], json!([tool]));
        assert_eq!(body["tool_choice"], json!({ "type": "none" }));
    }

    #[test]
    fn what_holds_thoughts_is_kept_as_it_came() {
        let block = |block: Value| {
            format!("data: {}", json!({ "type": "content_block_start", "content_block": block }))
        };
        let delta = |delta: Value| {
            format!("data: {}", json!({ "type": "content_block_delta", "delta": delta }))
        };
        let think = |text: &str| delta(json!({ "type": "thinking_delta", "thinking": text }));
        let unsigned = |signature: Value| {
            block(json!({ "type": "thinking", "thinking": "", "signature": signature }))
        };
        let thoughts = [
            unsigned(json!("")),
            think("It is "),
            think("late."),
            delta(json!({ "type": "signature_delta", "signature": "seal" })),
            block(json!({ "type": "redacted_thinking", "data": "dark" })),
            TEXT.to_owned(),
            HEL.to_owned(),
            unsigned(Value::Null),
            think("So."),
            delta(json!({ "type": "signature_delta", "signature": null })),
            TEXT.to_owned(),
        ];
        let heard = [
            Delta::Reasoning("It is ".into()),
            Delta::Reasoning("late.".into()),
            text("Hel"),
            Delta::Reasoning("So.".into()),
            text("\n\n"),
        ];
        let lines = |end: &[String]| [&thoughts, end].concat();
        let (first, second) = (begin("a", &json!({})), begin("b", &json!({})));
        let again = [unsigned(json!("")), second, CALLED.to_owned(), LAST.to_owned()];
        let kept = [
            json!({ "type": "thinking", "thinking": "It is late.", "signature": "seal" }),
            json!({ "type": "redacted_thinking", "data": "dark" }),
            json!({ "type": "text", "text": "Hel" }),
            json!({ "type": "thinking", "thinking": "So." }),
            Value::Null,
            json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Value::Null,
        ];
        let mut deltas = heard.to_vec();
        deltas.extend(kept.map(Delta::Keep));
        deltas.extend([call("a", "f", "{}"), call("b", "f", "{}"), Delta::Done]);
        let stream = lines(&[&[first][..], &again].concat());
        let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
        assert_reads("thoughts before calls", &stream, &deltas, None);

        let stream = lines(&[END.to_owned(), LAST.to_owned()]);
        let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
        let deltas = [&heard[..], &[Delta::Done]].concat();
        assert_reads("thoughts before a reply", &stream, &deltas, None);
    }

    #[test]
    fn calls_come_as_blocks() {
        let nothing = json!({});
        let stream = [
            TEXT.to_owned(),
            HEL.to_owned(),
            begin("a", &nothing),
            more(""),
            more("{\"q\":"),
            more("\"x\"}"),
            END.to_owned(),
            begin("b", &json!({ "id": 7 })),
            r#"data: {"type":"content_block_start","content_block":{"type":"server_tool_use","id":"1","name":"x"}}"#.to_owned(),
            more("{"),
            begin("c", &nothing),
            CALLED.to_owned(),
            LAST.to_owned(),
        ];
        let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
        let deltas = [
            text("Hel"),
            call("a", "f", "{\"q\":\"x\"}"),
            call("b", "f", "{\"id\":7}"),
            call("c", "f", "{}"),
            Delta::Done,
        ];
        assert_reads("calls", &stream, &deltas, None);
        let cut = Some(ProviderError::Truncated);
        assert_reads("cut", &stream[..6], &deltas[..1], cut);
    }

    proptest! {
        /// Wherever arguments and bytes are cut, the calls are the same.
        #[test]
        fn calls_may_be_cut_anywhere(
            texts in prop::collection::vec("[a-zäöü\"\\\\{} ]{0,20}", 1..4),
            length in 1_usize..9,
            size in 1_usize..50,
        ) {
            let mut stream = Vec::new();
            let mut expected = Vec::new();
            for (at, text) in texts.iter().enumerate() {
                let (id, arguments) = (format!("c{at}"), json!({ "q": text }).to_string());
                stream.push(begin(&id, &json!({})));
                let letters: Vec<char> = arguments.chars().collect();
                stream.extend(letters.chunks(length).map(|piece| more(&String::from_iter(piece))));
                stream.push(END.to_owned());
                expected.push(call(&id, "f", &arguments));
            }
            stream.push(CALLED.to_owned());
            expected.push(Delta::Done);
            let stream: Vec<&str> = stream.iter().map(String::as_str).collect();
            let read = testing::read::<Stream>(&events(&stream), size, End::Broken);
            prop_assert_eq!(read, (expected, None));
        }
    }

    #[test]
    fn reads_a_stream_by_the_book() {
        let stream = [START, TEXT, PING, HEL, LO, END, STOP, LAST];
        let deltas = [count(40, 1), text("Hel"), text("lo"), count(40, 15), Delta::Done];
        assert_reads("by the book", &stream, &deltas, None);
    }

    #[test]
    fn reads_every_known_quirk() {
        let hello = [text("Hel"), text("lo"), count(0, 15), Delta::Done];
        let cases: &[(&str, &[&str], &[Delta])] = &[
            ("there is no message_stop", &[TEXT, HEL, LO, STOP], &hello),
            ("an unknown event", &[r#"data: {"type":"new"}"#, HEL, LO, STOP, LAST], &hello),
            (
                "the event has the only type",
                &[
                    "event: content_block_delta\ndata: {\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}",
                    LO,
                    STOP,
                ],
                &hello,
            ),
            (
                "thinking",
                &[
                    r#"data: {"type":"content_block_start","content_block":{"type":"thinking","thinking":"","signature":""}}"#,
                    r#"data: {"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}}"#,
                    r#"data: {"type":"content_block_delta","delta":{"type":"signature_delta","signature":"E"}}"#,
                    r#"data: {"type":"content_block_start","content_block":{"type":"redacted_thinking","data":"E"}}"#,
                    TEXT,
                    HEL,
                    LO,
                    STOP,
                    LAST,
                ],
                &[thought("hm"), text("Hel"), text("lo"), count(0, 15), Delta::Done],
            ),
            (
                "text in the beginning of its block",
                &[
                    r#"data: {"type":"content_block_start","content_block":{"type":"text","text":"Hel"}}"#,
                    LO,
                    STOP,
                ],
                &hello,
            ),
            (
                "two blocks of text with a tool between them",
                &[
                    TEXT,
                    HEL,
                    r#"data: {"type":"content_block_start","content_block":{"type":"server_tool_use","id":"1","name":"x","input":{}}}"#,
                    r#"data: {"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{"}}"#,
                    TEXT,
                    LO,
                    STOP,
                ],
                &[text("Hel"), text("\n\n"), text("lo"), count(0, 15), Delta::Done],
            ),
            (
                "the count repeats what was read",
                &[
                    START,
                    r#"data: {"type":"message_delta","delta":{"stop_reason":"stop_sequence"},"usage":{"input_tokens":3,"output_tokens":4}}"#,
                ],
                &[count(40, 1), count(3, 4), Delta::Done],
            ),
        ];
        for (quirk, stream, deltas) in cases {
            assert_reads(quirk, stream, deltas, None);
        }
    }

    #[test]
    fn what_ends_early_keeps_its_beginning_and_says_why() {
        let stopped = |reason: &str| {
            format!(r#"data: {{"type":"message_delta","delta":{{"stop_reason":"{reason}"}}}}"#)
        };
        let unfinished = ProviderError::Unfinished;
        let cases = [
            (stopped("max_tokens"), unfinished(Cause::CutShort)),
            (stopped("model_context_window_exceeded"), unfinished(Cause::CutShort)),
            (stopped("refusal"), unfinished(Cause::Filtered)),
            (
                "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"no\"},\"request_id\":\"r\"}".to_owned(),
                ProviderError::failed(Cause::Overloaded, "no"),
            ),
            (PING.to_owned(), ProviderError::Truncated),
        ];
        for (last, error) in cases {
            assert_reads(&last, &[TEXT, HEL, &last], &[text("Hel")], Some(error));
        }
    }

    #[test]
    fn a_whole_reply_is_read() {
        let read = |body: &str| {
            let mut deltas = Vec::new();
            whole(body.as_bytes(), &mut deltas).map(|()| deltas)
        };
        let body = r#"{"type":"message","role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":4}}"#;
        let deltas = vec![count(3, 4), thought("hm"), text("Hello"), Delta::Done];
        assert_eq!(read(body), Ok(deltas));
        let body = r#"{"type":"message","content":[{"type":"tool_use","id":"a","name":"f","input":{"q":1}}],"stop_reason":"tool_use"}"#;
        assert_eq!(read(body), Ok(vec![call("a", "f", "{\"q\":1}"), Delta::Done]));
        let error = r#"{"type":"error","error":{"type":"api_error","message":"no"}}"#;
        assert_eq!(read(error), Err(ProviderError::failed(Cause::Overloaded, "no")));
        for body in ["<html>", "{}", "[]", r#"{"type":"other"}"#] {
            assert_eq!(read(body), Err(ProviderError::NotAStream), "{body}");
        }
    }
}
