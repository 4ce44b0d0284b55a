//! The chatbot route of Drupal's AI module, in all its versions from 1.0 to 1.5.
//!
//! Drupal keeps the conversation itself, under a thread's id, and looks at the newest message only.
//! It streams HTML, all of it so far in every event; an event that does not replace comes after the
//! reply and ends it. Version 1.5 may leave that out, so there a body that ended well is the end.
//! An answer with `should_continue` is a step of an agent that wants to be asked again.

use serde_json::{Value, json};

use super::{
    Ask, Attached, Delta, Kind, Provider, ProviderError, Reader, Role, Turn, answer,
    deepchat::{parts, whole},
    framed::{Dialect, Framed, Step},
    upload,
};
use crate::{
    backend::Call,
    chat::sse::{Decoder, Event},
};

/// What version 1.5 hands messages to unless told otherwise.
const PROCESSOR: &str = "ai_assistant_api_processor";
/// The processor that wants the whole conversation.
const AGENT: &str = "ai_agent";
/// What asks an agent to go on.
const GO_ON: &str = "dummy_loading";

/// Drupal's chatbot.
pub struct Drupal;

impl Provider for Drupal {
    /// One body for every version: each reads its own fields and leaves the others.
    fn body(&self, ask: &Ask<'_>) -> Value {
        let assistant = ask.assistant;
        let processor = assistant.processor.as_deref().unwrap_or(PROCESSOR);
        let is_agent = processor == AGENT;
        let id = if is_agent { "agent_id" } else { "assistant_id" };
        let messages = match ask.step {
            1.. => vec![json!({ "role": "user", "text": GO_ON })],
            0 if is_agent => conversation(ask.turns),
            0 => newest(ask.turns),
        };
        // Compared with the integer: `true` is no stream to Drupal.
        let stream = i32::from(ask.step == 0);
        json!({
            "assistant_id": assistant.model,
            "chat_processor_plugin": processor,
            "plugin_configuration": {
                id: assistant.model,
                "stream_output": ask.step == 0,
                "verbose_mode": false,
                "show_structured_results": false,
            },
            "thread_id": ask.thread,
            "stream": stream,
            "messages": messages,
            "contexts": { "current_route": "/" },
            "structured_results": false,
            "show_copy_icon": false,
            "verbose_mode": false,
        })
    }

    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError> {
        answer::reader::<Stream>(kind, whole)
    }

    /// Drupal keeps the question before it asks its model, and would keep it twice.
    fn may_ask_again(&self, _: &ProviderError) -> bool {
        false
    }

    fn upload(&self, path: &str, file: &Attached, bytes: &[u8]) -> Call {
        upload::body(path, file, bytes)
    }

    fn keeps_history(&self) -> bool {
        true
    }
}

type Stream = Framed<Decoder, Talk>;

fn newest(turns: &[Turn]) -> Vec<Value> {
    let newest = turns.iter().rfind(|turn| turn.role == Role::User);
    newest.map(message).into_iter().collect()
}

fn conversation(turns: &[Turn]) -> Vec<Value> {
    let said = turns.iter().filter(|turn| turn.role != Role::System);
    said.map(message).collect()
}

fn message(turn: &Turn) -> Value {
    let mut message = json!({ "role": turn.role, "text": turn.text });
    if !turn.files.is_empty() {
        message["files"] = turn.files.iter().map(upload::mention).collect();
    }
    message
}

/// A reply as it has come so far.
#[derive(Debug, Default)]
struct Talk {
    has_begun: bool,
}

impl Dialect for Talk {
    fn read(&mut self, event: &Event, deltas: &mut Vec<Delta>) -> Result<Step, ProviderError> {
        let value =
            serde_json::from_str(&event.data).map_err(|error| ProviderError::garbled(&error))?;
        self.has_begun = true;
        let mut step = Step::More;
        for part in parts(&value)? {
            if !part.overwrite {
                step = Step::Ending;
            }
            deltas.extend(part.delta);
        }
        Ok(step)
    }

    fn ends_with_its_body(&self) -> bool {
        self.has_begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::provider::{
        Cause, End,
        framed::testing::{self, assert_reads, events},
        testing::assistant,
    };

    const HEL: &str = r#"data: {"html":"\u003Cp\u003EHel\u003C\/p\u003E\n","overwrite":true}"#;
    const HELLO: &str = r#"data: {"html":"\u003Cp\u003EHello\u003C\/p\u003E\n","overwrite":true}"#;
    const NOTHING: &str = r#"data: {"html":""}"#;

    fn html(html: &str, overwrite: bool) -> Delta {
        Delta::Html { html: html.into(), overwrite }
    }

    fn hello() -> Vec<Delta> {
        vec![html("<p>Hel</p>\n", true), html("<p>Hello</p>\n", true)]
    }

    #[test]
    fn asks_in_a_way_that_every_version_understands() {
        let turns = [
            Turn::new(Role::User, "Hi"),
            Turn::new(Role::Assistant, "Hello"),
            Turn::new(Role::User, "And?"),
        ];
        let mut assistant = assistant("provider = \"drupal\"\nmodel = \"helper\"");
        assert_eq!(assistant.path, "/api/deepchat");
        let body = Drupal.body(&Ask { thread: "t", ..Ask::new(&assistant, &turns) });
        assert_eq!((&body["assistant_id"], &body["stream"]), (&json!("helper"), &json!(1)));
        assert_eq!(body["plugin_configuration"]["assistant_id"], "helper");
        assert_eq!(body["plugin_configuration"]["stream_output"], true);
        assert_eq!((&body["thread_id"], &body["verbose_mode"]), (&json!("t"), &json!(false)));
        assert_eq!(body["messages"], json!([{ "role": "user", "text": "And?" }]));

        let body = Drupal.body(&Ask { step: 1, ..Ask::new(&assistant, &turns) });
        assert_eq!(body["messages"], json!([{ "role": "user", "text": "dummy_loading" }]));
        assert_eq!(body["stream"], 0);

        assistant.processor = Some("ai_agent".to_owned());
        let body = Drupal.body(&Ask::new(&assistant, &turns));
        assert_eq!(body["plugin_configuration"]["agent_id"], "helper");
        assert_eq!(body["messages"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn the_end_is_told_by_what_follows_the_reply_or_by_the_body() {
        let mut whole = hello();
        whole.push(html("", false));
        whole.push(Delta::Done);
        for end in [End::Clean, End::Broken] {
            let stream = events(&[HEL, HELLO, NOTHING]);
            assert_reads::<Stream>("marked", &stream, end, &whole, None);
        }
        let mut unmarked = hello();
        unmarked.push(Delta::Done);
        let stream = events(&[HEL, HELLO]);
        assert_reads::<Stream>("clean", &stream, End::Clean, &unmarked, None);
        let cut = Some(ProviderError::Truncated);
        assert_reads::<Stream>("broken", &stream, End::Broken, &hello(), cut.clone());
        for nothing in ["", "<html>a page</html>\n\n", ": ping\n\n"] {
            assert_reads::<Stream>(nothing, nothing, End::Clean, &[], cut.clone());
        }
    }

    #[test]
    fn what_is_added_after_the_reply_is_added() {
        let stream = events(&[HEL, r#"data: {"html":"<div>more</div>"}"#, NOTHING]);
        let deltas = [html("<p>Hel</p>\n", true), html("<div>more</div>", false), html("", false)];
        let (read, error) = testing::read::<Stream>(&stream, 5, End::Clean);
        assert_eq!(read[..3], deltas);
        assert_eq!((&read[3..], error), (&[Delta::Done][..], None));
    }

    #[test]
    fn a_whole_answer_is_the_reply_or_a_step() {
        let read = |body: &str| {
            let mut deltas = Vec::new();
            whole(body.as_bytes(), &mut deltas).map(|()| deltas)
        };
        let reply = vec![html("<p>Hi</p>", false), Delta::Done];
        assert_eq!(read(r#"{"html":"<p>Hi</p>","should_continue":false}"#), Ok(reply.clone()));
        assert_eq!(read(r#"{"html":"<p>Hi</p>"}"#), Ok(reply));
        let step = vec![Delta::Reasoning("Calling Search…\n".into()), Delta::Again];
        assert_eq!(read(r#"{"html":"<p>Calling Search…</p>","should_continue":true}"#), Ok(step));
        let error = read(r#"{"error":"You are too fast."}"#).unwrap_err();
        assert_eq!(error, ProviderError::failed(Cause::BrokeOff, "You are too fast."));
        assert_eq!(read("<br />Fatal error"), Err(ProviderError::NotAStream));
    }
}
