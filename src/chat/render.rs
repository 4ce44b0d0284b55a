//! The HTML of messages: the one place that knows their markup. Pages, feeds and the page that
//! arrives without a script all show what is written here, so they cannot differ.

mod steps;

use std::time::Duration;

use leptos::server_fn::ServerFn;
use time::{OffsetDateTime, macros::format_description};

pub use self::steps::{body, step};
use super::{
    about,
    api::{ChooseBranch, Rate, Regenerate, StartRun},
    files::is_picture,
    view::{MessageView, Who},
    wire::{MessageState, Role},
};
use crate::{store::now, ui::html::Html};

/// `text` as what is answered to.
pub fn quoted(text: &str) -> String {
    let lines: Vec<String> = text.trim().lines().map(|line| format!("> {line}")).collect();
    format!("{}\n\n", lines.join("\n"))
}

/// Messages, as they stand in the log. `who` tells of an assistant by its name.
pub fn turns(messages: &[MessageView], who: impl Fn(Option<&str>) -> Who) -> String {
    messages.iter().map(|message| turn(message, &who(message.assistant.as_deref()))).collect()
}

/// One message.
pub fn turn(message: &MessageView, who: &Who) -> String {
    let mut html = Html::default();
    match message.role {
        Role::User => question(&mut html, message, who),
        Role::Assistant => {
            begin_reply(&mut html, message, &who.title);
            thoughts(&mut html, message);
            html.markup("<div class=\"markdown\" dir=\"auto\">").safe(&body(message, who));
            if message.state() == MessageState::Running {
                html.markup("<div class=\"open\">").text(&message.text).markup("</div>");
            }
            html.markup("</div>").safe(&foot(message, who)).markup("</article>");
        }
    }
    html.finish()
}

/// The beginning and the end of a reply whose content is streamed between them.
pub fn around(message: &MessageView, name: &str) -> (String, &'static str) {
    let mut html = Html::default();
    begin_reply(&mut html, message, name);
    (html.finish(), "</article>")
}

fn question(html: &mut Html, message: &MessageView, who: &Who) {
    html.markup("<article class=\"message\" data-role=\"user\" aria-label=\"You\" id=\"m-");
    html.text(&message.id).markup("\">");
    files(html, message, who);
    let said = about::read(&message.text);
    if let Some(said) = said.filter(|_| who.may_act) {
        html.markup("<p class=\"about\">About <a href=\"").text(said.address).markup("\">");
        html.text(said.title).markup("</a></p>");
    }
    let words = said.map_or(message.text.as_str(), |said| said.words);
    if !words.is_empty() {
        html.markup("<div class=\"bubble\" dir=\"auto\">").text(words).markup("</div>");
    }
    html.markup("<footer class=\"status\">");
    if who.can_redo {
        pager(html, message);
        html.markup("<a class=\"act\" title=\"Edit\" href=\"?edit=").text(&message.id);
        html.markup("#text\">");
        html.icon("pencil").markup(HIDDEN).markup("Edit</span></a>");
    }
    if who.may_act {
        scripted(html, "copy", "copy", "Copy");
    }
    html.markup("</footer></article>");
}

/// What is added to a question. Others than its writer see the names alone.
fn files(html: &mut Html, message: &MessageView, who: &Who) {
    if message.files.is_empty() {
        return;
    }
    html.markup("<ul class=\"files\" role=\"list\">");
    for file in &message.files {
        html.markup("<li>");
        if who.may_act {
            html.markup("<a href=\"/api/chat/files/").text(&file.id).markup("\">");
        }
        if who.may_act && is_picture(&file.kind) {
            html.markup("<img loading=\"lazy\" src=\"/api/chat/files/").text(&file.id);
            html.markup("\" alt=\"").text(&file.name).markup("\">");
        } else {
            html.icon("attach").markup("<span dir=\"auto\">").text(&file.name).markup("</span> ");
            html.markup("<span class=\"size\">").text(&in_bytes(file.size)).markup("</span>");
        }
        html.markup(if who.may_act { "</a></li>" } else { "</li>" });
    }
    html.markup("</ul>");
}

/// `12 kB`
fn in_bytes(size: u64) -> String {
    match size {
        0..1_000 => format!("{size} B"),
        1_000..1_000_000 => format!("{} kB", size.div_ceil(1_000)),
        _ => format!("{}.{} MB", size / 1_000_000, size % 1_000_000 / 100_000),
    }
}

/// The way to what stands beside a message.
fn pager(html: &mut Html, message: &MessageView) {
    let Some(fork) = &message.fork else { return };
    html.markup("<form class=\"pager\" method=\"post\" data-act action=\"");
    html.text(ChooseBranch::url()).markup("\">");
    turn_page(html, fork.previous.as_deref(), "chevron-left", "Previous version");
    html.markup("<span>").text(&format!("{}/{}", fork.place, fork.count)).markup("</span>");
    turn_page(html, fork.next.as_deref(), "chevron-right", "Next version");
    html.markup("</form>");
}

fn turn_page(html: &mut Html, to: Option<&str>, name: &'static str, words: &'static str) {
    html.markup("<button class=\"act\" title=\"").markup(words);
    html.markup("\" name=\"message\" value=\"").text(to.unwrap_or_default());
    html.markup(if to.is_none() { "\" disabled>" } else { "\">" });
    html.icon(name).markup("<span class=\"visually-hidden\">").markup(words);
    html.markup("</span></button>");
}

/// What can be done with a reply that is over.
fn actions(html: &mut Html, message: &MessageView, who: &Who) {
    if !who.may_act {
        return;
    }
    if who.can_redo {
        pager(html, message);
    }
    scripted(html, "copy", "copy", "Copy");
    if who.can_redo {
        html.markup("<form method=\"post\" data-act action=\"").text(Regenerate::url());
        html.markup("\"><button class=\"act\" title=\"Ask again\" name=\"message\" value=\"");
        html.text(&message.id).markup("\">");
        html.icon("refresh").markup(HIDDEN).markup("Ask again</span></button></form>");
    }
    quote(html, message);
    scripted(html, "speak", "speak", "Read aloud");
    rating(html, message);
}

const HIDDEN: &str = "<span class=\"visually-hidden\">";

/// A button of the page's script, which shows it.
fn scripted(html: &mut Html, what: &'static str, name: &'static str, words: &'static str) {
    html.markup("<button type=\"button\" class=\"act\" data-do=\"").markup(what);
    html.markup("\" title=\"").markup(words).markup("\">");
    html.icon(name).markup(HIDDEN).markup(words).markup("</span></button>");
}

fn quote(html: &mut Html, message: &MessageView) {
    html.markup("<a class=\"act\" data-do=\"quote\" title=\"Quote\" href=\"?quote=");
    html.text(&message.id).markup("#text\">");
    html.icon("quote").markup(HIDDEN).markup("Quote</span></a>");
}

/// What the reader thinks of a reply, and why.
fn rating(html: &mut Html, message: &MessageView) {
    let known = message.rating.as_ref();
    begin_rating(html, message);
    for (is_good, value, name, words) in
        [(true, "good", "thumb-up", "Good reply"), (false, "bad", "thumb-down", "Bad reply")]
    {
        let is_pressed = known.is_some_and(|known| known.is_good == is_good);
        html.markup("<button class=\"act\" name=\"rating\" title=\"").markup(words);
        html.markup("\" value=\"").markup(if is_pressed { "" } else { value });
        html.markup("\" aria-pressed=\"").markup(if is_pressed { "true" } else { "false" });
        html.markup("\">");
        html.icon(name).markup(HIDDEN).markup(words).markup("</span></button>");
    }
    html.markup("</form>");
    let Some(known) = known else { return };
    html.markup("<details class=\"note\"><summary class=\"act\">");
    html.markup(if known.note.is_empty() { "Say why" } else { "Your note" });
    html.markup("</summary>");
    begin_rating(html, message);
    html.markup(
        "<input name=\"note\" maxlength=\"2000\" dir=\"auto\" aria-label=\"Your note\" value=\"",
    );
    html.text(&known.note).markup("\"><button class=\"button\" name=\"rating\" value=\"");
    html.markup(if known.is_good { "good" } else { "bad" });
    html.markup("\">Save</button></form></details>");
}

fn begin_rating(html: &mut Html, message: &MessageView) {
    html.markup("<form class=\"rating\" method=\"post\" data-act action=\"").text(Rate::url());
    html.markup("\"><input type=\"hidden\" name=\"message\" value=\"").text(&message.id);
    html.markup("\">");
}

fn begin_reply(html: &mut Html, message: &MessageView, name: &str) {
    html.markup("<article class=\"message\" data-role=\"assistant\" id=\"m-").text(&message.id);
    html.markup("\" data-state=\"").text(message.state().as_str());
    if let Some(run) = &message.run {
        html.markup("\" data-run=\"").text(&run.id);
    }
    html.markup("\" aria-label=\"").text(name).markup("\"><h2 class=\"visually-hidden\">");
    html.text(name).markup("</h2>");
}

/// What the model thought, folded once the reply itself has begun.
fn thoughts(html: &mut Html, message: &MessageView) {
    let is_running = message.state() == MessageState::Running;
    if message.reasoning.is_empty() && !is_running {
        return;
    }
    html.markup("<details class=\"reasoning\"");
    if message.reasoning.is_empty() {
        html.markup(" hidden");
    }
    if is_running && message.html.is_empty() && message.text.is_empty() {
        html.markup(" open");
    }
    html.markup("><summary>Thoughts</summary><div class=\"thought\" dir=\"auto\">");
    html.text(&message.reasoning).markup("</div></details>");
}

/// What stands below a reply: how far it has come, and what one can do now. `data-outcome` is what
/// is said aloud of it.
pub fn foot(message: &MessageView, who: &Who) -> String {
    let mut html = Html::default();
    html.markup("<footer class=\"status\" data-outcome=\"").text(&outcome(message)).markup("\">");
    match message.state() {
        MessageState::Running => progress(&mut html, message),
        MessageState::Done => {
            facts(&mut html, message);
            actions(&mut html, message, who);
        }
        _ if !who.may_act => {
            html.markup("<span>").text(&outcome(message)).markup("</span>");
        }
        MessageState::Failed => remedy(&mut html, message),
        _ => {
            remedy(&mut html, message);
            actions(&mut html, message, who);
        }
    }
    html.markup("</footer>");
    html.finish()
}

fn outcome(message: &MessageView) -> String {
    let problem = message.outcome.problem.as_deref().unwrap_or_default();
    match message.state() {
        MessageState::Running => "The reply is being written.".to_owned(),
        MessageState::Done => "The reply is complete.".to_owned(),
        MessageState::Stopped => "Stopped. What had arrived is kept.".to_owned(),
        MessageState::Interrupted => format!("Interrupted. {problem} What had arrived is kept."),
        MessageState::Failed => format!("{problem} Your message is kept."),
    }
}

fn progress(html: &mut Html, message: &MessageView) {
    html.markup("<span class=\"writing\">");
    match message.waits_until {
        Some(until) => {
            html.markup("The assistant is busy, and is asked again ");
            moment(html, until).markup(".");
        }
        None => {
            html.markup("Writing…");
        }
    }
    html.markup("</span>");
}

/// A moment to come, which scripts count down to.
fn moment(html: &mut Html, until: i64) -> &mut Html {
    html.markup("<time data-until=\"").text(&until.to_string()).markup("\">");
    html.text(&in_words(until - now())).markup("</time>")
}

fn in_words(milliseconds: i64) -> String {
    match (milliseconds + 999) / 1_000 {
        ..=0 => "now".to_owned(),
        seconds @ ..120 => format!("in {seconds} s"),
        seconds => format!("in {} min", (seconds + 59) / 60),
    }
}

fn remedy(html: &mut Html, message: &MessageView) {
    let (kind, verb) = match message.state() {
        MessageState::Failed => ("error", "Try again"),
        _ => ("info", "Continue"),
    };
    html.markup("<div class=\"notice\" data-kind=\"").text(kind).markup("\"><div>");
    html.text(&outcome(message));
    if let Some(until) = message.outcome.retry_at.filter(|until| *until > now()) {
        html.markup(" Its service wants to be asked again ");
        moment(html, until).markup(".");
    }
    html.markup("</div><form class=\"take-up\" method=\"post\" data-act action=\"");
    html.text(StartRun::url()).markup("\"><input type=\"hidden\" name=\"message\" value=\"");
    html.text(&message.id).markup("\"><button class=\"button\">");
    html.icon("refresh").text(verb).markup("</button></form></div>");
}

/// When it was, how long was thought, and what it took.
fn facts(html: &mut Html, message: &MessageView) {
    html.markup("<span class=\"facts\">");
    time_of_day(html, message.created_at);
    if let Some(span) = message.reasoning_time.filter(|span| *span >= Duration::from_secs(1)) {
        html.markup("<span>thought for ").text(&span.as_secs().to_string()).markup(" s</span>");
    }
    if let Some(usage) = message.usage {
        html.markup("<span><abbr title=\"Tokens: the conversation, and this reply\">");
        html.text(&grouped(usage.input)).markup(" in, ").text(&grouped(usage.output));
        html.markup(" out</abbr></span>");
    }
    html.markup("</span>");
}

fn time_of_day(html: &mut Html, milliseconds: i64) {
    let Ok(at) = OffsetDateTime::from_unix_timestamp(milliseconds / 1_000) else { return };
    let machine = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    let people = format_description!("[hour]:[minute] UTC");
    if let (Ok(machine), Ok(people)) = (at.format(machine), at.format(people)) {
        html.markup("<time datetime=\"").text(&machine).markup("\">").text(&people);
        html.markup("</time>");
    }
}

/// `1234567` → `1,234,567`
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::{
        provider::Usage,
        view::{FileView, Fork, RunCursor},
        wire::Outcome,
    };

    fn guide() -> Who {
        Who { title: "Guide".into(), can_redo: true, may_act: true }
    }

    fn message(role: Role, state: MessageState) -> MessageView {
        MessageView {
            id: "1".into(),
            role,
            assistant: None,
            text: String::new(),
            html: String::new(),
            reasoning: String::new(),
            reasoning_time: None,
            usage: None,
            created_at: 0,
            outcome: Outcome::of(state),
            waits_until: None,
            run: None,
            fork: None,
            rating: None,
            files: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn a_running_reply_shows_what_is_open_and_what_was_thought() {
        let mut reply = message(Role::Assistant, MessageState::Running);
        let cursor = RunCursor { id: "r".into(), number: 1, after: 2 };
        (reply.run, reply.reasoning) = (Some(cursor), "hm <b>".into());
        let html = turn(&reply, &guide());
        assert!(html.contains("data-run=\"r\"") && html.contains("Writing…"), "{html}");
        assert!(html.contains("<details class=\"reasoning\" open>"), "{html}");
        assert!(html.contains("hm &lt;b&gt;</div></details>"), "{html}");
        (reply.text, reply.waits_until) = ("a<".into(), Some(now() + 3_500));
        let html = turn(&reply, &guide());
        assert!(html.contains("<div class=\"open\">a&lt;</div>"), "{html}");
        assert!(html.contains("<details class=\"reasoning\">"), "folded: {html}");
        assert!(html.contains("asked again <time data-until="), "{html}");
    }

    #[test]
    fn a_reply_that_is_done_says_what_it_took() {
        let mut reply = message(Role::Assistant, MessageState::Done);
        reply.usage = Some(Usage { input: 1_234_567, output: 89 });
        reply.reasoning_time = Some(Duration::from_millis(12_300));
        let foot = foot(&reply, &guide());
        for words in ["1,234,567 in, 89 out", "thought for 12 s", "1970-01-01T00:00:00Z"] {
            assert!(foot.contains(words), "{words}: {foot}");
        }
    }

    #[test]
    fn a_reply_that_failed_says_what_to_do_and_when() {
        let mut reply = message(Role::Assistant, MessageState::Failed);
        reply.outcome.problem = Some("No <luck>.".into());
        reply.outcome.retry_at = Some(now() + 200_000);
        let foot = foot(&reply, &guide());
        for words in ["No &lt;luck&gt;. Your message is kept.", "Try again", "in 4 min"] {
            assert!(foot.contains(words), "{words}: {foot}");
        }
    }

    #[test]
    fn versions_are_paged_through_and_nothing_is_asked_twice_of_who_remembers() {
        let mut reply = message(Role::Assistant, MessageState::Done);
        let (previous, next) = (Some("a".into()), None);
        reply.fork = Some(Fork { place: 2, count: 2, previous, next });
        let html = foot(&reply, &guide());
        assert!(html.contains("value=\"a\">") && html.contains("2/2"), "{html}");
        assert!(html.contains("value=\"\" disabled>") && html.contains("Ask again"), "{html}");
        let drupal = Who { can_redo: false, ..guide() };
        assert!(!foot(&reply, &drupal).contains("Ask again"));
    }

    proptest! {
        /// Whatever people, models and services say, the only tags are ours.
        #[test]
        fn nothing_but_our_own_markup(text in "[<>\"'&a-z/= ]{1,40}") {
            let question = MessageView { text: "Hi".into(), ..message(Role::User, MessageState::Done) };
            let mut all = vec![question];
            all.extend([MessageState::Running, MessageState::Failed, MessageState::Done].map(|state| {
                message(Role::Assistant, state)
            }));
            for kind in ["image/png", "text/plain"] {
                let file = FileView { id: "i".into(), name: "n".into(), kind: kind.into(), size: 9 };
                let text = "Look".to_owned();
                let question = message(Role::User, MessageState::Done);
                all.push(MessageView { files: vec![file], text, ..question });
            }
            for mut message in all {
                let who = Who { title: text.clone(), can_redo: true, may_act: true };
                let plain = turn(&message, &who).matches('<').count();
                (message.id, message.text) = (text.clone(), text.clone());
                message.outcome.problem = Some(text.clone());
                for file in &mut message.files {
                    (file.id, file.name) = (text.clone(), text.clone());
                }
                let html = turn(&message, &who);
                prop_assert_eq!(html.matches('<').count(), plain, "{}", html);
            }
        }
    }
}
