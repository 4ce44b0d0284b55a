//! A reply as far as its events have told it.

use super::{
    markdown::{self, foreign},
    wire::{Outcome, RunEvent, Step},
};

/// Stands in the HTML of a reply where something was done, one for each of its steps. Nothing that a
/// model writes becomes a comment, and where nobody puts the step in its place, nobody sees it.
pub const STEP: &str = "<!--step-->";

/// What the events of a run add up to.
#[derive(Debug, Clone, Default)]
pub struct Transcript {
    /// All Markdown source; of a reply in HTML what it said when it was whole, as text.
    pub source: String,
    /// Bytes of the source that finished blocks cover.
    pub closed: usize,
    /// Finished blocks, rendered, with [`STEP`] where something was done.
    pub html: String,
    /// What was done on the way.
    pub steps: Vec<Step>,
    /// Whether the backend writes it as HTML.
    pub is_html: bool,
    /// What the model thought before it replied.
    pub reasoning: String,
    /// Until when the assistant's service is left alone, milliseconds since 1970.
    pub waits_until: Option<i64>,
    /// How it came to its end, once it has.
    pub outcome: Option<Outcome>,
    /// Where the blocks of a reply in HTML end.
    ends: Vec<usize>,
}

impl Transcript {
    /// What these events tell, from the first one on.
    pub fn of(events: impl IntoIterator<Item = RunEvent>) -> Self {
        let mut transcript = Self::default();
        for event in events {
            transcript.apply(event);
        }
        transcript
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: RunEvent) {
        match event {
            RunEvent::Text { text } => self.source.push_str(&text),
            RunEvent::Block { html, length } => {
                self.html.push_str(&html);
                self.closed = (self.closed + length).min(self.source.len());
            }
            RunEvent::Html { keep, blocks } => self.replace(keep, &blocks),
            RunEvent::Reasoning { text } => self.reasoning.push_str(&text),
            RunEvent::Wait { until } => {
                self.waits_until = Some(until);
                return;
            }
            RunEvent::Step(step) => {
                self.html.push_str(STEP);
                self.steps.push(*step);
            }
            RunEvent::Whole { html, text, is_html, steps } => {
                (self.html, self.closed, self.source) = (html, text.len(), text);
                (self.is_html, self.steps) = (is_html, steps);
            }
            RunEvent::End(outcome) => self.outcome = Some(outcome),
        }
        self.waits_until = None;
    }

    fn replace(&mut self, keep: usize, blocks: &[String]) {
        self.is_html = true;
        self.ends.truncate(keep);
        self.html.truncate(self.ends.last().copied().unwrap_or_default());
        for block in blocks {
            self.html.push_str(block);
            self.ends.push(self.html.len());
        }
    }

    /// The source that no finished block covers.
    pub fn open(&self) -> &str {
        self.source.get(self.closed..).unwrap_or_default()
    }

    /// Whether it says anything, or did.
    pub fn is_empty(&self) -> bool {
        self.source.is_empty() && self.html.is_empty()
    }

    /// What it says, as text: Markdown, or the words of a reply in HTML.
    pub fn text(&self) -> String {
        if self.is_html && self.source.is_empty() {
            foreign::plain(&self.html)
        } else {
            self.source.clone()
        }
    }

    /// All of it as HTML, the open block too.
    pub fn rendered(&self) -> String {
        if self.is_html {
            return self.html.clone();
        }
        // What is closed is never rendered again, and steps stand in it.
        format!("{}{}", self.html, markdown::render(self.open()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::wire::Found;

    #[test]
    fn a_reply_in_html_keeps_what_stands() {
        let html = |keep, blocks: &[&str]| RunEvent::Html {
            keep,
            blocks: blocks.iter().map(|&block| block.to_owned()).collect(),
        };
        let mut told = Transcript::of([html(0, &["<p>a</p>", "<p>b</p>"])]);
        told.apply(html(1, &["<p>bc</p>", "<hr>"]));
        assert_eq!(told.html, "<p>a</p><p>bc</p><hr>");
        assert_eq!(told.text(), "a\n\nbc");
        told.apply(html(0, &["<p>x</p>"]));
        assert_eq!((told.html.as_str(), told.is_empty()), ("<p>x</p>", false));
    }

    #[test]
    fn steps_stand_where_they_were_done() {
        let found = Found::Nothing;
        let [headline, title, place] = ["Looked", "", ""].map(str::to_owned);
        let step = Step { headline, title, place, at: 4, found };
        let text = |text: &str| RunEvent::Text { text: text.to_owned() };
        let block = RunEvent::Block { html: "<p>a</p>\n".to_owned(), length: 3 };
        let events = [text("a\n\n"), block, RunEvent::Step(Box::new(step.clone())), text("b")];
        let told = Transcript::of(events);
        let open = markdown::render("b");
        assert_eq!(told.rendered(), format!("<p>a</p>\n{STEP}{open}"));
        assert_eq!((told.text().as_str(), told.steps.as_slice()), ("a\n\nb", [step].as_slice()));
        assert!(!markdown::render("<!--step-->").contains(STEP));
    }

    #[test]
    fn a_wait_is_over_with_whatever_follows() {
        let mut told = Transcript::of([RunEvent::Wait { until: 7 }]);
        assert_eq!((told.waits_until, told.is_empty()), (Some(7), true));
        told.apply(RunEvent::Reasoning { text: "hm".into() });
        assert_eq!((told.waits_until, told.reasoning.as_str()), (None, "hm"));
    }
}
