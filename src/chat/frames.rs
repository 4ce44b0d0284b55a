//! What streams of a run's events look like to those who read them.

use serde::Serialize;

use super::{
    sse,
    wire::{MessageState, Outcome, RunEvent, Step, with_steps},
};

/// What a stream's events are made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// API clients: `{"text": …}` or `{"html": …}`, and `[DONE]`. The first that says something
    /// carries the conversation, if it is given, as `_sessionId`: DeepChat sends that back.
    Text { session: Option<String> },
    /// Whoever shows Markdown as it grows: finished blocks and the text of the open one.
    Blocks,
}

/// Writes the events of one stream.
pub struct Frames {
    view: View,
    /// The blocks of a reply in HTML, which API clients are told whole.
    blocks: Vec<String>,
    says_something: bool,
}

/// One event for API clients.
#[derive(Default, Serialize)]
struct TextEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    html: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    overwrite: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(rename = "_sessionId", skip_serializing_if = "Option::is_none")]
    session: Option<String>,
}

impl Frames {
    /// A writer at the beginning of a stream.
    pub fn new(view: View) -> Self {
        Self { view, blocks: Vec::new(), says_something: false }
    }

    /// One event, encoded; empty where it says nothing in this view.
    pub fn frame(&mut self, id: u64, event: &RunEvent) -> String {
        let data = match self.view {
            View::Blocks => json(event),
            View::Text { .. } => match self.text(event) {
                Some(data) => data,
                None => return String::new(),
            },
        };
        sse::encode(None, Some(&id), &data)
    }

    /// A block says nothing new to a client that has its text. An error comes last, since some
    /// clients clear it on whatever follows.
    fn text(&mut self, event: &RunEvent) -> Option<String> {
        let nothing = TextEvent::default();
        match event {
            RunEvent::Text { text } => Some(self.said(TextEvent { text: Some(text), ..nothing })),
            RunEvent::Reasoning { text } => {
                Some(json(&TextEvent { reasoning: Some(text), ..nothing }))
            }
            RunEvent::Whole { html, text, is_html, steps } => {
                let text = (!is_html).then(|| with_steps(text, steps, Step::as_link));
                let (text, html) = (text.as_deref(), is_html.then_some(html.as_str()));
                Some(self.said(TextEvent { text, html, overwrite: true, ..nothing }))
            }
            RunEvent::Html { keep, blocks } => {
                self.blocks.truncate(*keep);
                self.blocks.extend_from_slice(blocks);
                let html = self.blocks.concat();
                let event = TextEvent { html: Some(&html), overwrite: true, ..nothing };
                Some(self.said(event))
            }
            // What waits for the person must reach them; what was looked at is in the words.
            RunEvent::Step(step) => {
                let link = step.as_link()?;
                Some(self.said(TextEvent { text: Some(&link), ..nothing }))
            }
            RunEvent::Block { .. } | RunEvent::Wait { .. } => None,
            RunEvent::End(outcome) => Some(self.end(outcome)),
        }
    }

    fn said(&mut self, mut event: TextEvent<'_>) -> String {
        let says = event.text.or(event.html).is_some_and(|said| !said.is_empty());
        if says && !self.says_something {
            self.says_something = true;
            if let View::Text { session } = &mut self.view {
                event.session = session.take();
            }
        }
        json(&event)
    }

    /// Clients that were told nothing take a bare end for a fault, so they are told why.
    fn end(&self, outcome: &Outcome) -> String {
        let error = match (&outcome.problem, outcome.state) {
            (Some(problem), _) => problem,
            (None, MessageState::Interrupted) => {
                "The reply was interrupted. What had arrived is kept."
            }
            (None, MessageState::Stopped) if !self.says_something => {
                "The reply was stopped before it began."
            }
            (None, _) => return "[DONE]".to_owned(),
        };
        json(&TextEvent { error: Some(error), ..TextEvent::default() })
    }
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::wire::Found;

    fn texts(session: Option<&str>) -> Frames {
        Frames::new(View::Text { session: session.map(str::to_owned) })
    }

    fn text(text: &str) -> RunEvent {
        RunEvent::Text { text: text.into() }
    }

    #[test]
    fn clients_get_text_and_then_done() {
        let mut frames = texts(None);
        assert_eq!(frames.frame(1, &text("Hi\n")), "id: 1\ndata: {\"text\":\"Hi\\n\"}\n\n");
        let block = RunEvent::Block { html: "<p>Hi</p>".into(), length: 3 };
        assert_eq!(frames.frame(2, &block), "");
        let end = RunEvent::End(Outcome::of(MessageState::Done));
        assert_eq!(frames.frame(3, &end), "id: 3\ndata: [DONE]\n\n");
        let failed = Outcome { problem: Some("No".into()), ..Outcome::of(MessageState::Failed) };
        let frame = frames.frame(4, &RunEvent::End(failed));
        assert_eq!(frame, "id: 4\ndata: {\"error\":\"No\"}\n\n");
    }

    #[test]
    fn the_first_words_carry_the_conversation() {
        let mut frames = texts(Some("c"));
        let thought = RunEvent::Reasoning { text: "hm".into() };
        assert_eq!(frames.frame(1, &thought), "id: 1\ndata: {\"reasoning\":\"hm\"}\n\n");
        let first = frames.frame(2, &text("a"));
        assert_eq!(first, "id: 2\ndata: {\"text\":\"a\",\"_sessionId\":\"c\"}\n\n");
        assert_eq!(frames.frame(3, &text("b")), "id: 3\ndata: {\"text\":\"b\"}\n\n");
    }

    #[test]
    fn clients_get_html_whole() {
        let mut frames = texts(None);
        let html = |keep, block: &str| RunEvent::Html { keep, blocks: vec![block.into()] };
        frames.frame(1, &html(0, "<p>a</p>"));
        let second = frames.frame(2, &html(1, "<p>b</p>"));
        let data = r#"{"html":"<p>a</p><p>b</p>","overwrite":true}"#;
        assert_eq!(second, format!("id: 2\ndata: {data}\n\n"));
    }

    #[test]
    fn what_waits_for_the_person_is_a_link_whenever_it_is_read() {
        let step = |at: usize, found: Found| Step {
            headline: "Propose [it]".into(),
            title: String::new(),
            place: "/data/-/changes/c".into(),
            at,
            found,
        };
        let proposal = Found::Proposal {
            change: "c".into(),
            is_new: false,
            fields: Vec::new(),
            values: "{}".into(),
            is_partly_shown: false,
        };
        let whole = RunEvent::Whole {
            html: String::new(),
            text: "Let me see.\n\nDone.".into(),
            is_html: false,
            steps: vec![step(0, Found::Nothing), step(13, proposal)],
        };
        let link = "[Propose it](/data/-/changes/c)";
        let said = json(&format!("Let me see.\n\n{link}\n\nDone."));
        let data = format!("{{\"text\":{said},\"overwrite\":true}}");
        assert_eq!(texts(None).frame(1, &whole), format!("id: 1\ndata: {data}\n\n"));
    }

    #[test]
    fn an_end_without_a_word_says_why() {
        let stopped = RunEvent::End(Outcome::of(MessageState::Stopped));
        assert!(texts(None).frame(1, &stopped).contains("stopped before it began"));
        let mut frames = texts(None);
        frames.frame(1, &text("a"));
        assert_eq!(frames.frame(2, &stopped), "id: 2\ndata: [DONE]\n\n");
    }
}
