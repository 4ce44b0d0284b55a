//! A plain endpoint: `{messages}` in; `{text}`, `{html}` or `{error}` out, whole or as events.
//!
//! It is what a hand-written route for DeepChat answers, and what Breezeway's own `/api/chat` does.

use serde_json::{Value, json};

use super::{
    Ask, Delta, Kind, Provider, ProviderError, Reader, Role, Turn, answer,
    deepchat::{parts, whole},
    framed::{Dialect, Framed, Step},
    upload,
};
use crate::chat::sse::{Decoder, Event};

/// A plain endpoint.
pub struct Json;

impl Provider for Json {
    fn body(&self, ask: &Ask<'_>) -> Value {
        let mut body = json!({
            "messages": ask.turns.iter().map(message).collect::<Vec<_>>(),
            "conversation_id": ask.thread,
        });
        if !ask.assistant.model.is_empty() {
            body["assistant_id"] = json!(ask.assistant.model);
        }
        body
    }

    /// Whole or as events: the service decides.
    fn accepts(&self) -> &'static str {
        "text/event-stream, application/json"
    }

    fn reader(&self, kind: Kind) -> Result<Box<dyn Reader>, ProviderError> {
        answer::reader::<Stream>(kind, whole)
    }

    /// The message may be at work whatever else the service answers.
    fn may_ask_again(&self, trouble: &ProviderError) -> bool {
        matches!(trouble, ProviderError::Refused { status: 429 | 503, .. })
    }
}

type Stream = Framed<Decoder, Talk>;

/// DeepChat calls the assistant `ai`.
fn message(turn: &Turn) -> Value {
    let role = match turn.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "ai",
    };
    let mut message = json!({ "role": role, "text": turn.text });
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
        let value: Value =
            serde_json::from_str(&event.data).map_err(|error| ProviderError::garbled(&error))?;
        self.has_begun = true;
        match parts(&value) {
            Ok(parts) => deltas.extend(parts.into_iter().filter_map(|part| part.delta)),
            // Events of other kinds may stand between those of the reply.
            Err(ProviderError::NotAStream) => {}
            Err(error) => return Err(error),
        }
        Ok(Step::More)
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
        framed::testing::{assert_reads, events},
        testing::assistant,
    };

    fn text(text: &str) -> Delta {
        Delta::Text(text.into())
    }

    fn html(html: &str) -> Delta {
        Delta::Html { html: html.into(), overwrite: false }
    }

    fn read(body: &str) -> Result<Vec<Delta>, ProviderError> {
        let mut deltas = Vec::new();
        whole(body.as_bytes(), &mut deltas).map(|()| deltas)
    }

    #[test]
    fn asks_in_deepchats_words() {
        let turns = [Turn::new(Role::Assistant, "Hello"), Turn::new(Role::User, "Hi")];
        let mut assistant = assistant("provider = \"json\"\npath = \"/chat\"");
        let messages = json!([{ "role": "ai", "text": "Hello" }, { "role": "user", "text": "Hi" }]);
        let body = Json.body(&Ask { thread: "c", ..Ask::new(&assistant, &turns) });
        assert_eq!(body, json!({ "messages": messages, "conversation_id": "c" }));
        assistant.model = "helper".to_owned();
        assert_eq!(Json.body(&Ask::new(&assistant, &turns))["assistant_id"], "helper");
    }

    #[test]
    fn reads_whole_answers() {
        let cases = [
            (r#"{"html":"<p>Hi</p>"}"#, vec![html("<p>Hi</p>")]),
            (r#"{"text":"Hi"}"#, vec![text("Hi")]),
            (r#"{"text":"Hi","html":"<p>Hi</p>"}"#, vec![html("<p>Hi</p>")]),
            (r#"[{"text":"a"},{"html":"<b>b</b>"}]"#, vec![text("a"), html("<b>b</b>")]),
            (r#"{"result":{"text":"a"}}"#, vec![text("a")]),
            (r#"{"text":""}"#, vec![text("")]),
        ];
        for (body, mut deltas) in cases {
            deltas.push(Delta::Done);
            assert_eq!(read(body), Ok(deltas), "{body}");
        }
        let failed = ProviderError::failed(Cause::BrokeOff, "no");
        assert_eq!(read(r#"{"error":"no"}"#), Err(failed));
        for body in ["{}", r#"{"id":1}"#, "[]", "<html>", ""] {
            assert_eq!(read(body), Err(ProviderError::NotAStream), "{body}");
        }
    }

    #[test]
    fn reads_events() {
        let hel = r#"data: {"text":"Hel"}"#;
        let lo = r#"data: {"text":"lo"}"#;
        let hello = [text("Hel"), text("lo"), Delta::Done];
        for end in [End::Clean, End::Broken] {
            let stream = events(&[hel, r#"data: {"usage":1}"#, lo, "data: [DONE]"]);
            assert_reads::<Stream>("closed", &stream, end, &hello, None);
        }
        let stream = events(&[hel, lo]);
        assert_reads::<Stream>("clean", &stream, End::Clean, &hello, None);
        let cut = Some(ProviderError::Truncated);
        assert_reads::<Stream>("broken", &stream, End::Broken, &hello[..2], cut.clone());
        assert_reads::<Stream>("nothing", "", End::Clean, &[], cut);
        let failed = Some(ProviderError::failed(Cause::BrokeOff, "no"));
        let stream = events(&[hel, r#"data: {"error":"no"}"#]);
        assert_reads::<Stream>("error", &stream, End::Clean, &hello[..1], failed);
    }
}
