//! The OpenAI-compatible chat endpoint, and what every chat endpoint of the sandbox shares: reading
//! a prompt, composing the reply and streaming it at a readable pace.
//!
//! Words that begin with a slash switch on the faults a client must survive; see [`Prompt`].

use std::{collections::HashMap, fmt::Write, io, iter, sync::atomic::Ordering, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, State, rejection::JsonRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    SandboxState,
    assistant::{self, Called, Next, Offered},
    now,
    tokens::{Unauthorised, Visitor},
};

/// The one model on offer; others are accepted by name and answered the same.
const MODEL: &str = "sandbox-assistant";
/// The longest request: a long conversation with a few very long replies.
const BODY_LIMIT: usize = 16 * 1024 * 1024;
/// `/slow` makes the pause between pieces this much longer.
const SLOWNESS: u32 = 10;
/// The pause that `/slow` starts from where there would be none.
const LEAST_SLOW_PACE: Duration = Duration::from_millis(1);

pub(super) fn routes() -> Router<SandboxState> {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(completions))
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
}

// === What is asked ===

/// One message of a conversation, whatever wire format it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turn {
    pub speaker: Speaker,
    pub text: String,
}

/// Who wrote a [`Turn`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaker {
    Person,
    Assistant,
    /// System prompts and tool results, which the sandbox's assistant does not use.
    Other,
}

impl Speaker {
    pub fn of(role: &str) -> Self {
        match role {
            "user" => Self::Person,
            "assistant" | "ai" => Self::Assistant,
            _ => Self::Other,
        }
    }
}

/// A message with its demo switches taken out: `/slow`, `/think`, `/busy`, `/fail`, `/break`, `/cut`
/// and `/long`.
#[derive(Debug, PartialEq, Eq)]
struct Prompt {
    question: String,
    slow: bool,
    think: bool,
    busy: bool,
    fail: bool,
    long: bool,
    ending: Ending,
}

/// How a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// As it should.
    Whole,
    /// `/break`: an error is reported a third of the way.
    Broken,
    /// `/cut`: the connection is dropped a third of the way, without a word.
    Cut,
}

impl Prompt {
    fn read(text: &str) -> Self {
        let mut prompt = Self {
            question: String::new(),
            slow: false,
            think: false,
            busy: false,
            fail: false,
            long: false,
            ending: Ending::Whole,
        };
        let spoken = text.split_whitespace().filter(|word| !prompt.switch(word));
        prompt.question = spoken.collect::<Vec<_>>().join(" ");
        prompt
    }

    /// Whether this word is a switch, which then is on.
    fn switch(&mut self, word: &str) -> bool {
        match word {
            "/slow" => self.slow = true,
            "/think" => self.think = true,
            "/busy" => self.busy = true,
            "/fail" => self.fail = true,
            "/long" => self.long = true,
            "/break" => self.ending = Ending::Broken,
            "/cut" => self.ending = Ending::Cut,
            _ => return false,
        }
        true
    }

    fn pace(&self, usual: Duration) -> Duration {
        if self.slow { usual.max(LEAST_SLOW_PACE) * SLOWNESS } else { usual }
    }
}

/// The tools that a request offers, and what came of those that were called for its question.
#[derive(Debug, Default)]
pub(super) struct Tools {
    offered: Vec<Offered>,
    called: Vec<Called>,
}

/// The question and the reply so far, when the last message asks to go on with an interrupted
/// reply. Replies that were interrupted more than once are put together.
fn interrupted(turns: &[Turn]) -> Option<(&str, String)> {
    let mut rest = turns;
    let mut partial = String::new();
    while let [.., question, reply, request] = rest
        && question.speaker == Speaker::Person
        && reply.speaker == Speaker::Assistant
        && request.speaker == Speaker::Person
        && request.text.trim_start().starts_with("Continue")
    {
        partial.insert_str(0, &reply.text);
        rest = &rest[..rest.len() - 2];
    }
    let question = rest.last().filter(|_| rest.len() < turns.len())?;
    Some((question.text.as_str(), partial))
}

/// What of `answer` comes after the part that was kept; all of it when it answers otherwise now.
fn remainder(answer: String, partial: &str) -> String {
    let rest = [partial, partial.trim_end()].iter().find_map(|kept| answer.strip_prefix(*kept));
    match rest {
        Some(rest) => rest.to_owned(),
        None => answer,
    }
}

// === What is answered ===

/// A composed reply and how it is to be delivered.
#[derive(Debug)]
pub(super) struct Reply {
    /// What is thought before it, where the endpoint has a place for that.
    pub thought: String,
    /// As much of the text as will be sent.
    pub text: String,
    /// The tool that is to be called first; there is no text then.
    pub call: Option<Call>,
    pub pace: Duration,
    pub ending: Ending,
}

/// A tool that is to be called.
#[derive(Debug)]
pub(super) struct Call {
    pub id: String,
    pub name: String,
    /// A JSON object.
    pub arguments: String,
}

impl Reply {
    fn at_once(text: String) -> Self {
        let (thought, pace) = (String::new(), Duration::ZERO);
        Self { thought, text, call: None, pace, ending: Ending::Whole }
    }

    /// With what comes next: a call arrives whole, whatever is to happen to the text.
    fn with(self, next: Next) -> Self {
        match next {
            Next::Say(text) => Self { text: delivered(text, self.ending), ..self },
            Next::Call { name, arguments } => {
                let id = format!("call_{}", Uuid::new_v4().simple());
                let call = Some(Call { id, name, arguments: arguments.to_string() });
                Self { call, ending: Ending::Whole, ..self }
            }
        }
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplyError {
    #[error("There is no message from a person to answer.")]
    NothingAsked,
    #[error("The sandbox was asked to be busy by /busy. It answers when it is asked again.")]
    AskedToBeBusy,
    #[error("The sandbox was asked to fail by /fail. Send the message again without it.")]
    AskedToFail,
    #[error("The sandbox's database failed. Try again.")]
    Storage(#[from] sqlx::Error),
}

impl ReplyError {
    /// Notes in the log what is the sandbox's own fault.
    pub fn log(&self) {
        if let Self::Storage(error) = self {
            tracing::error!(%error, "the sandbox's assistant failed");
        }
    }
}

/// The assistant's reply to a conversation, or what it calls on the way there.
pub(super) async fn reply(
    state: &SandboxState,
    tenant: &str,
    turns: &[Turn],
    tools: &Tools,
) -> Result<Reply, ReplyError> {
    let last = turns.iter().rposition(|turn| turn.speaker == Speaker::Person);
    let turns = &turns[..=last.ok_or(ReplyError::NothingAsked)?];
    let asked = turns.last().map_or("", |turn| turn.text.as_str());
    if let Some(title) = assistant::title(asked) {
        return Ok(Reply::at_once(title));
    }
    if let Some(text) = assistant::about(asked) {
        return Ok(Reply { pace: state.pace, ..Reply::at_once(text) });
    }
    let prompt = Prompt::read(asked);
    if prompt.fail {
        return Err(ReplyError::AskedToFail);
    }
    // What comes after the first call belongs to the same reply.
    let is_first = tools.called.is_empty();
    if prompt.busy && is_first && state.busy.fetch_xor(true, Ordering::Relaxed) {
        return Err(ReplyError::AskedToBeBusy);
    }
    let next = match interrupted(turns) {
        Some((question, partial)) => {
            match next(state, tenant, &Prompt::read(question), tools).await? {
                Next::Say(answer) => Next::Say(remainder(answer, &partial)),
                call @ Next::Call { .. } => call,
            }
        }
        None => next(state, tenant, &prompt, tools).await?,
    };
    let has_thought = prompt.think && is_first;
    let reply = Reply {
        thought: if has_thought { thought(&prompt.question) } else { String::new() },
        pace: prompt.pace(state.pace),
        ending: prompt.ending,
        ..Reply::at_once(String::new())
    };
    Ok(reply.with(next))
}

async fn next(
    state: &SandboxState,
    tenant: &str,
    prompt: &Prompt,
    tools: &Tools,
) -> Result<Next, sqlx::Error> {
    if prompt.long {
        return Ok(Next::Say(long_answer()));
    }
    let (collections, question) = (&state.collections, prompt.question.as_str());
    if !tools.offered.is_empty()
        && let Some(next) =
            assistant::next(collections, tenant, question, &tools.offered, &tools.called).await?
    {
        return Ok(next);
    }
    Ok(Next::Say(assistant::answer(collections, tenant, question).await?))
}

/// What a model of this kind would say to itself.
fn thought(question: &str) -> String {
    format!(
        "The question is: {question}\n\nI am not a language model, so this is a thought in name \
         only. It shows where the thoughts of one would stand, and that they are folded away once \
         the reply begins."
    )
}

/// The part of a text that gets through: all, or about a third.
fn delivered(mut text: String, ending: Ending) -> String {
    if ending != Ending::Whole {
        let third = text.chars().count().div_ceil(3);
        let end = text.char_indices().nth(third).map_or(text.len(), |(index, _)| index);
        text.truncate(end);
    }
    text
}

/// About 400 lines of varied Markdown, the same every time.
fn long_answer() -> String {
    let mut text = String::from("# A very long reply\n\nThe sandbox repeats itself on purpose.\n");
    for section in 1..=15 {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## Part {section}\n\n\
             This is part {section} of a reply that tests how a page copes with length. It has \
             **bold** and *emphatic* words, `code` and a [link](/data/django-crm/contacts).\n\n\
             1. First count the boxes.\n\
             2. Then count them again:\n   - once from the left,\n   - once from the right.\n\
             3. Write down {boxes}.\n\n\
             | shelf | boxes | weight |\n|:------|------:|-------:|\n\
             | A{section} | {boxes} | {weight} kg |\n| B{section} | {section} | 12 kg |\n\n\
             > Whoever counts twice is right once.\n\n\
             ```rust\nfn shelf_{section}() -> u32 {{\n    let boxes = {boxes};\n    \
             boxes * {section}\n}}\n```\n\n- [x] counted\n- [ ] checked\n",
            boxes = section * 7,
            weight = section * 31,
        );
    }
    text.push_str("\nThat was all of it.\n");
    text
}

// === How it is sent ===

/// Cuts a text into pieces of a few characters to a word or two.
pub(super) fn pieces(text: String) -> impl Iterator<Item = String> + Send {
    const SIZES: [usize; 7] = [4, 9, 6, 12, 3, 8, 5];
    let mut sizes = SIZES.into_iter().cycle();
    let mut start = 0;
    iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let size = sizes.next()?;
        let end = rest.char_indices().nth(size).map_or(rest.len(), |(index, _)| index);
        start += end;
        Some(rest[..end].to_owned())
    })
}

/// One event of a stream.
pub(super) fn event(data: &Value) -> io::Result<String> {
    Ok(format!("data: {data}\n\n"))
}

/// The item that makes the server drop the connection.
pub(super) fn dropped() -> io::Result<String> {
    Err(io::Error::other("dropped on request"))
}

/// Server-sent events with a pause before each. A caller that goes away ends it.
pub(super) fn event_stream(
    events: impl Iterator<Item = io::Result<String>> + Send + 'static,
    pace: Duration,
) -> Response {
    let paced = stream::iter(events).then(move |event| async move {
        tokio::time::sleep(pace).await;
        event
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(paced)).into_response()
}

/// A response whose connection is dropped before the first byte of its body.
pub(super) fn dropped_response() -> Response {
    Body::from_stream(stream::iter([dropped()])).into_response()
}

// === The OpenAI-compatible endpoint ===

#[derive(Deserialize)]
struct CompletionRequest {
    model: Option<String>,
    #[serde(default)]
    messages: Vec<WireMessage>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    tools: Option<Vec<WireTool>>,
    /// `"none"` takes the tools away again.
    #[serde(default)]
    tool_choice: Value,
}

#[derive(Deserialize)]
struct WireTool {
    function: WireFunction,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    parameters: Value,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

/// A message in OpenAI's form: its content is a string or a list of parts.
#[derive(Deserialize)]
pub(super) struct WireMessage {
    role: String,
    #[serde(default)]
    content: Value,
    /// What the assistant called.
    tool_calls: Option<Vec<WireCall>>,
    /// Which call this is the result of.
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
struct WireCall {
    id: String,
    function: WireFunction,
}

impl Tools {
    fn of(request: &CompletionRequest) -> Self {
        let tools = request.tools.iter().flatten().filter(|_| request.tool_choice != "none");
        let offered = tools.map(|WireTool { function }| Offered {
            name: function.name.clone(),
            parameters: function.parameters.clone(),
        });
        Self { offered: offered.collect(), called: called(&request.messages) }
    }
}

/// What was called since a person last said something.
fn called(messages: &[WireMessage]) -> Vec<Called> {
    let asked = |message: &WireMessage| Speaker::of(&message.role) == Speaker::Person;
    let begin = messages.iter().rposition(asked).map_or(0, |at| at + 1);
    let since = &messages[begin..];
    let calls = since.iter().flat_map(|message| message.tool_calls.iter().flatten());
    let names: HashMap<&str, &str> =
        calls.map(|call| (call.id.as_str(), call.function.name.as_str())).collect();
    let result = |message: &WireMessage| {
        let name = names.get(message.tool_call_id.as_deref()?)?;
        Some(Called { name: (*name).to_owned(), told: message.words() })
    };
    since.iter().filter_map(result).collect()
}

impl WireMessage {
    fn words(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(words_of).collect(),
            _ => String::new(),
        }
    }
}

impl From<WireMessage> for Turn {
    fn from(message: WireMessage) -> Self {
        Turn { speaker: Speaker::of(&message.role), text: message.words() }
    }
}

/// What a part says; of a picture, that there is one.
fn words_of(part: &Value) -> Option<String> {
    let picture = part.pointer("/image_url/url").and_then(Value::as_str).map(assistant::picture);
    picture.or_else(|| Some(part.get("text")?.as_str()?.to_owned()))
}

/// What every chunk and every whole answer of one completion have in common.
struct Completion {
    id: String,
    created: i64,
    model: String,
    prompt_tokens: usize,
}

impl Completion {
    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": finish_reason }],
            "usage": null,
        })
    }

    fn usage_chunk(&self, reply: &Reply) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": [],
            "usage": self.usage(reply),
        })
    }

    fn whole(&self, reply: &Reply) -> Value {
        let message = match &reply.call {
            Some(call) => {
                let calls = [call.with_arguments(&call.arguments)];
                json!({ "role": "assistant", "content": null, "tool_calls": calls })
            }
            None => json!({ "role": "assistant", "content": reply.text }),
        };
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [{
                "index": 0,
                "message": message,
                "finish_reason": reply.finish_reason(),
            }],
            "usage": self.usage(reply),
        })
    }

    fn usage(&self, reply: &Reply) -> Value {
        let called = reply.call.as_ref().map_or(0, |call| tokens_of(&call.arguments));
        let completion_tokens = tokens_of(&reply.text) + called;
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": self.prompt_tokens + completion_tokens,
        })
    }

    /// The whole stream, each event made when it is due.
    fn events(
        self,
        reply: Reply,
        include_usage: bool,
    ) -> impl Iterator<Item = io::Result<String>> + Send + 'static {
        let start = event(&self.chunk(&json!({ "role": "assistant", "content": "" }), None));
        let ending = match reply.ending {
            Ending::Whole => self.ending(&reply, include_usage),
            Ending::Broken => vec![event(&error_body(&OpenAiError::broke_off()))],
            Ending::Cut => vec![dropped()],
        };
        let thought = pieces(reply.thought).map(|piece| json!({ "reasoning_content": piece }));
        let text = pieces(reply.text).map(|piece| json!({ "content": piece }));
        let call = reply.call.into_iter().flat_map(Call::into_deltas);
        let deltas = thought.chain(text).chain(call);
        let deltas = deltas.map(move |delta| event(&self.chunk(&delta, None)));
        iter::once(start).chain(deltas).chain(ending)
    }

    fn ending(&self, reply: &Reply, include_usage: bool) -> Vec<io::Result<String>> {
        let mut events = vec![event(&self.chunk(&json!({}), Some(reply.finish_reason())))];
        if include_usage {
            events.push(event(&self.usage_chunk(reply)));
        }
        events.push(Ok("data: [DONE]\n\n".to_owned()));
        events
    }
}

impl Reply {
    fn finish_reason(&self) -> &'static str {
        if self.call.is_some() { "tool_calls" } else { "stop" }
    }
}

impl Call {
    fn with_arguments(&self, arguments: &str) -> Value {
        json!({
            "id": self.id,
            "type": "function",
            "function": { "name": self.name, "arguments": arguments },
        })
    }

    /// Its name first, then its arguments piece by piece, as models write them.
    fn into_deltas(self) -> impl Iterator<Item = Value> + Send {
        let mut begun = self.with_arguments("");
        begun["index"] = 0.into();
        let piece = |piece: String| json!({ "index": 0, "function": { "arguments": piece } });
        let calls = iter::once(begun).chain(pieces(self.arguments).map(piece));
        calls.map(|call| json!({ "tool_calls": [call] }))
    }
}

/// A guess at the number of tokens, for `usage`.
fn tokens_of(text: &str) -> usize {
    text.chars().count().div_ceil(4)
}

async fn completions(
    State(state): State<SandboxState>,
    visitor: Result<Visitor, Unauthorised>,
    body: Result<Json<CompletionRequest>, JsonRejection>,
) -> Result<Response, OpenAiError> {
    let visitor = visitor?;
    let Json(request) = body?;
    let tools = Tools::of(&request);
    let turns: Vec<Turn> = request.messages.into_iter().map(Turn::from).collect();
    let reply = reply(&state, &visitor.tenant, &turns, &tools).await?;
    let completion = Completion {
        id: format!("chatcmpl-{}", Uuid::new_v4().simple()),
        created: now(),
        model: request.model.unwrap_or_else(|| MODEL.to_owned()),
        prompt_tokens: turns.iter().map(|turn| tokens_of(&turn.text)).sum(),
    };
    if request.stream.unwrap_or(false) {
        let include_usage =
            request.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
        let pace = reply.pace;
        return Ok(event_stream(completion.events(reply, include_usage), pace));
    }
    match reply.ending {
        Ending::Whole => Ok(Json(completion.whole(&reply)).into_response()),
        Ending::Broken => Err(OpenAiError::broke_off()),
        Ending::Cut => Ok(dropped_response()),
    }
}

async fn models(_visitor: Visitor) -> Json<Value> {
    Json(json!({
        "object": "list",
        "data": [{ "id": MODEL, "object": "model", "created": 0, "owned_by": "sandbox" }],
    }))
}

/// An error in OpenAI's form.
#[derive(Debug)]
struct OpenAiError {
    status: StatusCode,
    kind: &'static str,
    param: Option<&'static str>,
    code: Option<&'static str>,
    message: String,
    /// What is said of asking again: a header and its value.
    again: Option<(&'static str, &'static str)>,
}

impl OpenAiError {
    fn invalid(param: Option<&'static str>, message: String) -> Self {
        let kind = "invalid_request_error";
        Self { status: StatusCode::BAD_REQUEST, kind, param, code: None, message, again: None }
    }

    fn unauthorised(message: String) -> Self {
        let code = Some("invalid_api_key");
        Self { status: StatusCode::UNAUTHORIZED, code, ..Self::invalid(None, message) }
    }

    fn overloaded(message: String) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "overloaded_error",
            code: Some("overloaded"),
            again: Some(("x-should-retry", "false")),
            ..Self::invalid(None, message)
        }
    }

    fn busy(message: String) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            kind: "requests",
            code: Some("rate_limit_exceeded"),
            again: Some(("retry-after", "3")),
            ..Self::invalid(None, message)
        }
    }

    fn server(message: String) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, kind: "server_error", ..Self::invalid(None, message) }
    }

    fn broke_off() -> Self {
        Self::server("The sandbox was asked to break off by /break.".to_owned())
    }
}

impl From<Unauthorised> for OpenAiError {
    fn from(error: Unauthorised) -> Self {
        match error {
            Unauthorised::Missing | Unauthorised::Invalid => Self::unauthorised(error.to_string()),
            Unauthorised::Storage(error) => ReplyError::Storage(error).into(),
        }
    }
}

impl From<JsonRejection> for OpenAiError {
    fn from(rejection: JsonRejection) -> Self {
        Self { status: rejection.status(), ..Self::invalid(None, rejection.body_text()) }
    }
}

impl From<ReplyError> for OpenAiError {
    fn from(error: ReplyError) -> Self {
        error.log();
        let message = error.to_string();
        match error {
            ReplyError::NothingAsked => Self::invalid(Some("messages"), message),
            ReplyError::AskedToFail => Self::overloaded(message),
            ReplyError::AskedToBeBusy => Self::busy(message),
            ReplyError::Storage(_) => Self::server(message),
        }
    }
}

fn error_body(error: &OpenAiError) -> Value {
    json!({
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
        }
    })
}

impl IntoResponse for OpenAiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(error_body(&self))).into_response();
        if let Some((name, value)) = self.again {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(role: &str, text: &str) -> Turn {
        Turn { speaker: Speaker::of(role), text: text.to_owned() }
    }

    #[test]
    fn switches_are_taken_out_of_the_question() {
        let prompt = Prompt::read("  open deals\n/slow over 10000 /break");
        assert_eq!(prompt.question, "open deals over 10000");
        assert!(prompt.slow && !prompt.fail && !prompt.long);
        assert_eq!(prompt.ending, Ending::Broken);
        assert_eq!(prompt.pace(Duration::from_millis(30)), Duration::from_millis(300));

        let prompt = Prompt::read("what does /slowly mean");
        assert_eq!(prompt.question, "what does /slowly mean");
        assert_eq!(prompt.pace(Duration::ZERO), Duration::ZERO);
        assert!(Prompt::read("/fail").fail);
    }

    #[test]
    fn an_interrupted_reply_is_recognised() {
        let turns = [
            turn("user", "deals /cut"),
            turn("assistant", "Here are"),
            turn("user", "Continue, please"),
        ];
        assert_eq!(interrupted(&turns), Some(("deals /cut", "Here are".to_owned())));
        assert_eq!(interrupted(&turns[..1]), None);
        let turns = [turn("user", "deals"), turn("assistant", "Here are"), turn("user", "Thanks")];
        assert_eq!(interrupted(&turns), None);
        assert_eq!(interrupted(&[turn("user", "Continue")]), None);
    }

    #[test]
    fn a_reply_interrupted_twice_is_put_together() {
        let turns = [
            turn("system", "Be brief."),
            turn("user", "deals"),
            turn("assistant", "Here "),
            turn("user", "Continue"),
            turn("assistant", "are the "),
            turn("user", "Continue"),
        ];
        assert_eq!(interrupted(&turns), Some(("deals", "Here are the ".to_owned())));
    }

    #[test]
    fn only_what_is_missing_is_sent_again() {
        let answer = || "Here are the deals".to_owned();
        assert_eq!(remainder(answer(), "Here are"), " the deals");
        assert_eq!(remainder(answer(), "Here are\n"), " the deals");
        assert_eq!(remainder(answer(), "There were"), "Here are the deals");
        assert_eq!(remainder(answer(), ""), "Here are the deals");
    }

    #[test]
    fn pieces_are_small_and_lose_nothing() {
        let text = "Grüße an 東京 🚂 – and a long tail of words".repeat(5);
        let all: Vec<String> = pieces(text.clone()).collect();
        assert_eq!(all.concat(), text);
        assert!(all.iter().all(|piece| (1..=12).contains(&piece.chars().count())));
        assert_eq!(pieces(String::new()).count(), 0);
    }

    #[test]
    fn a_broken_reply_is_about_a_third_of_the_whole() {
        assert_eq!(delivered("äöüäöü".to_owned(), Ending::Cut), "äö");
        assert_eq!(delivered("abc".to_owned(), Ending::Whole), "abc");
        assert_eq!(delivered(String::new(), Ending::Broken), "");
    }

    fn events(ending: Ending, include_usage: bool) -> Vec<io::Result<String>> {
        let completion =
            Completion { id: "chatcmpl-1".into(), created: 1, model: "m".into(), prompt_tokens: 2 };
        let reply = Reply { ending, ..Reply::at_once("Hello, world".into()) };
        completion.events(reply, include_usage).collect()
    }

    #[test]
    fn a_stream_ends_with_usage_and_done() {
        let events: Vec<String> =
            events(Ending::Whole, true).into_iter().map(Result::unwrap).collect();
        assert!(events.iter().all(|event| event.starts_with("data: ") && event.ends_with("\n\n")));
        let [.., stop, usage, done] = &events[..] else { panic!("{events:?}") };
        assert!(stop.contains(r#""finish_reason":"stop""#));
        assert!(usage.contains(r#""choices":[]"#) && usage.contains(r#""total_tokens":5"#));
        assert_eq!(done, "data: [DONE]\n\n");
    }

    #[test]
    fn broken_and_cut_streams_have_no_done() {
        let broken = events(Ending::Broken, true);
        let last = broken.last().unwrap().as_ref().unwrap();
        assert!(last.contains(r#""error":{"#), "{last}");
        let cut = events(Ending::Cut, true);
        assert!(cut.last().unwrap().is_err());
        for event in broken.iter().chain(&cut).flatten() {
            assert!(!event.contains("[DONE]") && !event.contains("stop"));
        }
    }

    #[test]
    fn the_long_answer_is_long() {
        let lines = long_answer().lines().count();
        assert!((350..=450).contains(&lines), "{lines}");
    }

    #[test]
    fn content_may_come_in_parts() {
        let content =
            json!([{ "type": "text", "text": "one " }, { "type": "image" }, { "text": "two" }]);
        let message = json!({ "role": "user", "content": content });
        let message: WireMessage = serde_json::from_value(message).unwrap();
        assert_eq!(Turn::from(message), turn("user", "one two"));
    }

    fn calling() -> Reply {
        let arguments = json!({ "search": "Grüße an 東京" });
        let next = Next::Call { name: "list_crm_contacts".into(), arguments };
        Reply { ending: Ending::Cut, ..Reply::at_once(String::new()) }.with(next)
    }

    #[test]
    fn a_call_arrives_in_pieces() {
        let completion =
            Completion { id: "chatcmpl-1".into(), created: 1, model: "m".into(), prompt_tokens: 2 };
        let events: Vec<String> = completion.events(calling(), false).map(Result::unwrap).collect();
        let json = events.iter().filter_map(|event| event.strip_prefix("data: {"));
        let json: Vec<Value> =
            json.map(|rest| serde_json::from_str(&format!("{{{rest}")).unwrap()).collect();
        let choice = |at: usize| &json[at]["choices"][0];
        let first = &choice(1)["delta"]["tool_calls"][0];
        assert_eq!(first["function"], json!({ "name": "list_crm_contacts", "arguments": "" }));
        assert!(first["id"].as_str().unwrap().starts_with("call_"));
        let pieces = json.iter().skip(2).filter_map(|event| {
            event.pointer("/choices/0/delta/tool_calls/0/function/arguments")?.as_str()
        });
        let pieces: Vec<&str> = pieces.collect();
        assert!(pieces.len() > 2, "{pieces:?}");
        assert_eq!(pieces.concat(), json!({ "search": "Grüße an 東京" }).to_string());
        assert_eq!(choice(json.len() - 1)["finish_reason"], "tool_calls");
    }

    #[test]
    fn results_belong_to_the_calls_since_the_question() {
        let request = json!({
            "tools": [{ "type": "function", "function": { "name": "t", "parameters": {} } }],
            "messages": [
                { "role": "user", "content": "Hi" },
                { "role": "assistant", "content": null, "tool_calls": [
                    { "id": "a", "type": "function", "function": { "name": "t", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "a", "content": "old" },
                { "role": "assistant", "content": "Hello." },
                { "role": "user", "content": "And?" },
                { "role": "assistant", "tool_calls": [
                    { "id": "a", "function": { "name": "t", "arguments": "{}" } },
                    { "id": "b", "function": { "name": "u", "arguments": "{}" } },
                ] },
                { "role": "tool", "tool_call_id": "b", "content": "two" },
                { "role": "tool", "tool_call_id": "a", "content": "one" },
                { "role": "tool", "tool_call_id": "x", "content": "nobody asked" },
            ],
        });
        let mut request: CompletionRequest = serde_json::from_value(request).unwrap();
        let tools = Tools::of(&request);
        let result =
            |name: &str, told: &str| Called { name: name.to_owned(), told: told.to_owned() };
        assert_eq!(tools.called, [result("u", "two"), result("t", "one")]);
        assert_eq!(tools.offered.len(), 1);
        request.tool_choice = json!("none");
        assert!(Tools::of(&request).offered.is_empty());
    }
}
