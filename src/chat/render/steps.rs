//! The HTML of what was done on the way to a reply: folded, with what was found; open, where the
//! person has to decide. What backends said is text here, whatever it looks like.

use super::HIDDEN;
use crate::{
    chat::{
        transcript::STEP,
        view::{MessageView, StepView, Who},
        wire::{Found, NewValue},
    },
    data::Standing,
    ui::html::Html,
};

/// The finished blocks of a reply, with its steps where they were done.
pub fn body(message: &MessageView, who: &Who) -> String {
    if message.steps.is_empty() {
        return message.html.clone();
    }
    let mut html = Html::with_capacity(message.html.len() + 1_024 * message.steps.len());
    let mut steps = message.steps.iter();
    let mut blocks = message.html.split(STEP);
    html.safe(blocks.next().unwrap_or_default());
    for block in blocks {
        if let Some(done) = steps.next() {
            html.safe(&step(done, who));
        }
        html.safe(block);
    }
    // A step that has lost its place is shown all the same.
    for done in steps {
        html.safe(&step(done, who));
    }
    html.finish()
}

/// One step.
pub fn step(done: &StepView, who: &Who) -> String {
    let mut html = Html::default();
    match &done.step.found {
        _ if !who.may_act => headline(&mut html, done),
        Found::Nothing => headline(&mut html, done),
        Found::Proposal { .. } => proposal(&mut html, done),
        found => {
            let has_failed = matches!(found, Found::Trouble { .. });
            html.markup("<details class=\"step\"");
            html.markup(if has_failed { " data-failed><summary>" } else { "><summary>" });
            html.icon(if has_failed { "warning" } else { "search" });
            title(&mut html, done);
            html.markup("</summary>");
            what(&mut html, found);
            way(&mut html, &done.step.place);
            html.markup("</details>");
        }
    }
    html.finish()
}

fn headline(html: &mut Html, done: &StepView) {
    html.markup("<p class=\"step\">").icon("search").text(&done.step.headline).markup("</p>");
}

fn title(html: &mut Html, done: &StepView) {
    html.markup("<span>").text(&done.step.headline);
    if !done.step.title.is_empty() {
        html.markup(" <bdi>").text(&done.step.title).markup("</bdi>");
    }
    html.markup("</span>");
}

fn what(html: &mut Html, found: &Found) {
    match found {
        Found::Rows { head, rows } => table(html, head, rows),
        Found::Record { fields } => {
            html.markup("<dl>");
            for (label, value) in fields {
                html.markup("<div><dt>").text(label).markup("</dt><dd dir=\"auto\">");
                html.text(value).markup("</dd></div>");
            }
            html.markup("</dl>");
        }
        Found::Trouble { why } => {
            html.markup("<p>").text(why).markup("</p>");
        }
        Found::Proposal { .. } | Found::Nothing => {}
    }
}

fn table(html: &mut Html, head: &[String], rows: &[Vec<String>]) {
    if rows.is_empty() {
        html.markup("<p>There was nothing.</p>");
        return;
    }
    html.markup("<div class=\"table-scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Found\">");
    html.markup("<table><thead><tr>");
    for label in head {
        html.markup("<th scope=\"col\">").text(label).markup("</th>");
    }
    html.markup("</tr></thead><tbody>");
    for row in rows {
        html.markup("<tr>");
        for cell in row {
            html.markup("<td>").text(cell).markup("</td>");
        }
        html.markup("</tr>");
    }
    html.markup("</tbody></table></div>");
}

/// The way to the same on this site.
fn way(html: &mut Html, place: &str) {
    if !place.is_empty() {
        html.markup("<p><a href=\"").text(place).markup("\">Open it</a></p>");
    }
}

/// A change that the person decides on, and what has become of it.
fn proposal(html: &mut Html, done: &StepView) {
    let Found::Proposal { change, is_new, fields, is_partly_shown, .. } = &done.step.found else {
        return;
    };
    let word = match done.standing {
        Standing::Open => "open",
        Standing::Working => "working",
        Standing::Done { .. } => "done",
        Standing::Refused(_) | Standing::Stuck => "trouble",
        Standing::Replaced(_) | Standing::Unclear | Standing::Discarded | Standing::Lapsed => {
            "over"
        }
    };
    html.markup("<section class=\"proposal\" data-standing=\"").markup(word);
    html.markup("\" aria-label=\"Proposed change\"><p class=\"proposal-title\">");
    html.icon(if *is_new { "plus" } else { "pencil" });
    title(html, done);
    html.markup("</p><dl>");
    fields.iter().for_each(|field| new_value(html, field));
    html.markup("</dl>");
    match &done.standing {
        Standing::Open if *is_partly_shown => look_first(html, change),
        Standing::Open => {
            decide(html, change, if *is_new { "Create it" } else { "Save it" }, "Change it first");
        }
        Standing::Refused(why) => {
            html.markup("<p role=\"alert\">It was not taken. ").text(why).markup("</p>");
            if *is_partly_shown {
                look_first(html, change);
            } else {
                decide(html, change, "Send it again", "Correct it");
            }
        }
        Standing::Working => said(html, "It is being done."),
        Standing::Done { place, as_proposed } => {
            said(html, if *as_proposed { "Done." } else { "Done, with what you changed." });
            way(html, place);
        }
        Standing::Stuck => {
            said(html, "It could not be done yet.");
            html.markup("<p><a href=\"/data/-/changes\">See what to do</a></p>");
        }
        Standing::Replaced(place) => {
            said(html, "You have written something else in its place.");
            way(html, place);
        }
        Standing::Unclear => {
            said(html, "Given up. The backend did not say whether it was done.");
        }
        Standing::Discarded => said(html, "Taken back. Nothing was written by it."),
        Standing::Lapsed => {
            said(html, "It was not confirmed within a day, and is gone. Nothing was written.");
        }
    }
    html.markup("</section>");
}

/// The way to the whole of it, where this is not all: nobody says yes to what they have not seen.
fn look_first(html: &mut Html, change: &str) {
    html.markup("<p>There is more in it than is shown here.</p>");
    html.markup("<form class=\"actions\" method=\"post\" data-act action=\"/data/-/changes/");
    html.text(change).markup("\"><a class=\"button\" data-variant=\"primary\" ");
    html.markup("href=\"/data/-/changes/").text(change).markup("\">See all of it</a>");
    html.markup("<button class=\"button\" name=\"do\" value=\"undo\">Discard</button></form>");
}

fn said(html: &mut Html, words: &'static str) {
    html.markup("<p role=\"status\">").markup(words).markup("</p>");
}

fn new_value(html: &mut Html, field: &NewValue) {
    html.markup("<div><dt>").text(&field.label).markup("</dt><dd dir=\"auto\">");
    if let Some(was) = &field.was {
        value(html, was, "del");
        html.markup(" → ").markup(HIDDEN).markup("becomes</span>");
    }
    value(html, &field.is_now, "ins");
    html.markup("</dd></div>");
}

fn value(html: &mut Html, text: &str, element: &'static str) {
    if text.is_empty() {
        html.markup("<span class=\"nothing\">empty</span>");
        return;
    }
    html.markup("<").markup(element).markup(">").text(text);
    html.markup("</").markup(element).markup(">");
}

/// Yes, no, and the way to the form.
fn decide(html: &mut Html, change: &str, yes: &'static str, first: &'static str) {
    html.markup("<form class=\"actions\" method=\"post\" data-act action=\"/data/-/changes/");
    html.text(change).markup("\"><button class=\"button\" data-variant=\"primary\" name=\"do\" ");
    html.markup("value=\"confirm\">").markup(yes).markup("</button>");
    html.markup("<a class=\"button\" href=\"/data/-/changes/").text(change).markup("\">");
    html.markup(first).markup("</a>");
    html.markup("<button class=\"button\" name=\"do\" value=\"undo\">Discard</button></form>");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::wire::{MessageState, Outcome, Role, Step};

    fn who(may_act: bool) -> Who {
        Who { title: "Guide".to_owned(), can_redo: true, may_act }
    }

    fn shown(found: Found, text: &str) -> StepView {
        let [headline, title, place] = [text; 3].map(str::to_owned);
        StepView::new(Step { headline, title, place, at: 0, found })
    }

    fn message(html: String, steps: Vec<StepView>) -> MessageView {
        MessageView {
            id: "1".to_owned(),
            role: Role::Assistant,
            assistant: None,
            text: String::new(),
            html,
            steps,
            reasoning: String::new(),
            reasoning_time: None,
            usage: None,
            files: Vec::new(),
            rating: None,
            created_at: 0,
            outcome: Outcome::of(MessageState::Done),
            waits_until: None,
            run: None,
            fork: None,
        }
    }

    /// Every kind of step, with this wherever there can be something.
    fn all(text: &str) -> Vec<StepView> {
        let owned = || text.to_owned();
        let rows = Found::Rows { head: vec![owned()], rows: vec![vec![owned()]] };
        let record = Found::Record { fields: vec![(owned(), owned())] };
        let field = NewValue { label: owned(), was: Some(owned()), is_now: owned() };
        let proposal = || Found::Proposal {
            change: owned(),
            is_new: false,
            fields: vec![field.clone()],
            values: owned(),
            is_partly_shown: false,
        };
        let found = [rows, record, Found::Trouble { why: owned() }, Found::Nothing];
        let mut all: Vec<StepView> = found.map(|found| shown(found, text)).into();
        let standings = [
            Standing::Open,
            Standing::Working,
            Standing::Done { place: owned(), as_proposed: false },
            Standing::Refused(owned()),
            Standing::Stuck,
            Standing::Replaced(owned()),
            Standing::Unclear,
            Standing::Discarded,
            Standing::Lapsed,
        ];
        let proposals = standings.map(|standing| {
            let step = shown(proposal(), text).step;
            StepView { step, standing }
        });
        all.extend(proposals);
        all
    }

    #[test]
    fn steps_stand_where_they_were_done() {
        let steps = vec![shown(Found::Nothing, "one"), shown(Found::Nothing, "two")];
        let at = |html: &str| {
            let html = html.replace('|', STEP);
            let steps = steps.clone();
            super::body(&message(html, steps), &who(true))
        };
        let place = |html: &str, word: &str| html.find(&format!(">{word}</p>"));
        for html in ["<p>a</p>|<p>b</p>|", "<p>a</p>|", "<p>a</p>"] {
            let body = at(html);
            assert!(body.starts_with("<p>a</p>") && !body.contains(STEP), "{body}");
            assert!(place(&body, "one") < place(&body, "two"), "{body}");
        }
        let between = at("<p>a</p>|<p>b</p>|");
        assert!(between.find("<p>b</p>") < place(&between, "two"), "{between}");
    }

    #[test]
    fn a_proposal_can_be_confirmed_once() {
        for mut step in all("x").into_iter().skip(4) {
            let waits = matches!(step.standing, Standing::Open | Standing::Refused(_));
            let html = step_html(&step);
            assert_eq!(html.contains("value=\"confirm\""), waits, "{html}");
            let Found::Proposal { is_partly_shown, .. } = &mut step.step.found else {
                panic!("a proposal")
            };
            *is_partly_shown = true;
            let html = step_html(&step);
            assert!(!html.contains("value=\"confirm\""), "{html}");
            assert_eq!(html.contains("See all of it"), waits, "{html}");
        }
        let others = step(&all("x")[4], &who(false));
        assert_eq!(others.matches('x').count(), 1, "{others}");
        assert!(!others.contains("<form") && !others.contains("<dl"), "{others}");
    }

    fn step_html(done: &StepView) -> String {
        step(done, &who(true))
    }

    proptest! {
        /// Whatever backends and models say, the only tags are ours.
        #[test]
        fn nothing_but_our_own_markup(text in "[<>\"'&a-z/= ]{1,40}") {
            for may_act in [true, false] {
                for (plain, odd) in all("x").iter().zip(all(&text)) {
                    let plain = step(plain, &who(may_act)).matches('<').count();
                    let html = step(&odd, &who(may_act));
                    prop_assert_eq!(html.matches('<').count(), plain, "{}", html);
                }
            }
        }
    }
}
