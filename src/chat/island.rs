//! The interactive half of a conversation: the composer, and replies as they are written.
//!
//! Everything here is rendered by the server first and works as plain forms. Awake, it sends without
//! leaving the page, reads the run's events, and reads on where it stopped when the connection is
//! lost. Finished blocks and open text go straight into the document: the cost of an event does not
//! grow with the length of the reply.
//!
//! What browsers download grows with every distinct view and signal type, so views keep one shape
//! and change attributes, signals are shared as `Signal<bool>` and `Signal<String>`, and turns are
//! only ever built: hydrating them too would double their code.

use leptos::{ev, html, mount::mount_to, prelude::*, server_fn::ServerFn, task::spawn_local};
use wasm_bindgen::JsCast;

use super::{
    api::{StartRun, StopRun, start_run, stop_run},
    client::{self, Ask, AskError, EventReader},
    wire::{MessageState, OpenReply, RunEvent, Started},
};
use crate::{
    error::{Failure, Kind},
    ui::{browser, icon::Icon},
};

/// Between two attempts to read on, in milliseconds.
const SHORTEST_PAUSE: u32 = 300;
const LONGEST_PAUSE: u32 = 10_000;
/// The id of the reply that the server wrote.
const STANDING: &str = "standing";
/// How far from the end, in pixels, still counts as being there.
const AT_END: i32 = 40;

/// The messages of a conversation, `children` as the server wrote them, and its composer.
#[island]
pub fn Conversation(
    /// Empty before the first message.
    id: String,
    /// What the assistant is called.
    assistant: String,
    /// HTML shown while there are no messages; its suggestions are buttons of the composer's form.
    greeting: String,
    /// The last reply, when it is still being written or can be taken up again.
    open: Option<OpenReply>,
    /// Whether `children` holds any message.
    begun: bool,
    /// Names the next request.
    request_id: String,
    /// Tells this person's drafts from those of others who use the browser.
    drafts: String,
    children: Children,
) -> impl IntoView {
    let talk = Talk::new(id, assistant, request_id, begun);
    talk.drafts.set_value(drafts);
    talk.reply.set(open.map(Reply::unfinished));
    Effect::new(move |_| talk.wake());
    let log = NodeRef::<html::Div>::new();
    let at_end = RwSignal::new(true);
    let on_scroll = move |_| {
        // The log's contents are laid out from the end, so its end is at 0 and above is negative.
        at_end.set(log.get().is_none_or(|log| log.scroll_top() >= -AT_END));
    };
    let jump = move |event: ev::MouseEvent| {
        event.prevent_default();
        if let Some(log) = log.get() {
            log.set_scroll_top(0);
        }
    };
    view! {
        <div
            class="log"
            role="log"
            aria-live="off"
            aria-label="Messages"
            tabindex="0"
            node_ref=log
            on:scroll=on_scroll
        >
            <div class="messages" hidden=talk.is_new>
                {children()}
                <div class="contents" node_ref=talk.turns></div>
                <span id="latest"></span>
            </div>
            <div class="greeting" hidden=talk.begun inner_html=greeting></div>
        </div>
        <a class="button jump" href="#latest" hidden=at_end on:click=jump>
            <Icon name="chevron-down" />
            "Latest"
        </a>
        <Composer talk />
        <p class="visually-hidden" role="status">
            {talk.announcement}
        </p>
    }
}

/// The form that sends a message, with or without a script.
#[component]
fn Composer(talk: Talk) -> impl IntoView {
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let suggestion = event.submitter().and_then(|button| button.get_attribute("value"));
        talk.send(suggestion.unwrap_or_else(|| talk.text.get_untracked()));
    };
    let send_on_enter = move |event: ev::KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            talk.send(talk.text.get_untracked());
        }
    };
    let stop = move |event: ev::MouseEvent| {
        event.prevent_default();
        talk.stop();
    };
    let placeholder = talk.assistant.with_value(|assistant| format!("Ask {assistant}"));
    view! {
        <form id="stop" hidden method="post" action=StopRun::url()>
            <input type="hidden" name="run" value=talk.running />
        </form>
        <form id="composer" class="composer" method="post" action="/chat" on:submit=submit>
            <Notice talk />
            <input type="hidden" name="conversation" value=talk.id />
            <input type="hidden" name="request_id" value=talk.request_id />
            <div class="composer-box">
                <label class="visually-hidden" for="text">
                    "Message"
                </label>
                <textarea
                    id="text"
                    name="text"
                    rows="1"
                    dir="auto"
                    placeholder=placeholder
                    aria-describedby="composer-hint"
                    node_ref=talk.input
                    prop:value=talk.text
                    on:input=move |event| talk.write(event_target_value(&event))
                    on:keydown=send_on_enter
                ></textarea>
                <button
                    class="button"
                    data-variant="primary"
                    hidden=talk.is_busy
                    disabled=talk.sending
                >
                    <Icon name="send" />
                    <span class="wide-text">"Send"</span>
                </button>
                <button class="button" form="stop" hidden=talk.is_idle on:click=stop>
                    <Icon name="stop" />
                    <span class="wide-text">"Stop"</span>
                </button>
            </div>
            <p id="composer-hint" class="hint wide-text">
                "Enter to send, Shift+Enter for a new line"
            </p>
        </form>
    }
}

/// Why the last message was not sent.
#[component]
fn Notice(talk: Talk) -> impl IntoView {
    let nothing = Signal::derive(move || talk.notice.read().is_empty());
    let signed_in = Signal::derive(move || !talk.signed_out.get());
    let login = Signal::derive(move || format!("/auth/login?return_to={}", talk.address()));
    view! {
        <div class="notice" data-kind="error" role="alert" hidden=nothing>
            <Icon name="warning" />
            <div>
                <strong>{talk.notice}</strong>
                <span>" Your message is kept in this browser."</span>
                <a href=login rel="nofollow" hidden=signed_in>
                    "Sign in again"
                </a>
            </div>
        </div>
    }
}

/// A question asked since the page was loaded, if any, and the reply to it.
fn turn_view(talk: Talk, question: String, reply: Reply) -> impl IntoView {
    let question = (!question.is_empty()).then_some(question);
    let state = Signal::derive(move || reply.state.get().as_str().to_owned());
    let take_up = move |event: ev::SubmitEvent| {
        event.prevent_default();
        talk.take_up(reply);
    };
    view! {
        {question.map(|text| view! { <Question text /> })}
        <article
            class="message"
            data-role="assistant"
            data-state=state
            aria-label=talk.assistant.get_value()
        >
            <div class="markdown" dir="auto" node_ref=reply.body inner_html=reply.first_html()></div>
            <footer class="status">
                <span
                    class="writing"
                    hidden=Signal::derive(move || reply.state.get() != MessageState::Running)
                >
                    {Signal::derive(move || reply.progress().to_owned())}
                </span>
                <div
                    class="notice"
                    data-kind=Signal::derive(move || reply.notice_kind().to_owned())
                    hidden=Signal::derive(move || !reply.can_be_taken_up())
                >
                    <div>{Signal::derive(move || reply.outcome())}</div>
                    <form method="post" action=StartRun::url() on:submit=take_up>
                        <input type="hidden" name="message" value=reply.message.get_value() />
                        <button class="button" disabled=talk.is_busy>
                            <Icon name="refresh" />
                            {Signal::derive(move || reply.remedy().to_owned())}
                        </button>
                    </form>
                </div>
            </footer>
        </article>
    }
}

/// A reply that is not finished, as the server writes it into the page. It is all there is without a
/// script; the island, once awake, puts a live one in its place.
pub fn standing_reply(open: OpenReply, assistant: String) -> impl IntoView {
    let talk = Talk::new(String::new(), assistant, String::new(), true);
    let reply = Reply::unfinished(open);
    talk.reply.set(Some(reply));
    view! {
        <div class="contents" id=STANDING>
            {turn_view(talk, String::new(), reply)}
        </div>
    }
}

/// What a person said.
#[component]
pub fn Question(text: String) -> impl IntoView {
    view! {
        <article class="message" data-role="user" aria-label="You">
            <div class="bubble" dir="auto">
                {text}
            </div>
        </article>
    }
}

/// A conversation as the island knows it.
#[derive(Clone, Copy)]
struct Talk {
    /// Empty before the first message.
    id: RwSignal<String>,
    assistant: StoredValue<String>,
    request_id: RwSignal<String>,
    /// The text that `request_id` was last sent with.
    asked: StoredValue<String>,
    drafts: StoredValue<String>,
    begun: RwSignal<bool>,
    is_new: Signal<bool>,
    /// Where turns are put.
    turns: NodeRef<html::Div>,
    /// The last reply, unless it cannot change any more.
    reply: RwSignal<Option<Reply>>,
    /// The run that is writing; empty when none is.
    running: Signal<String>,
    is_busy: Signal<bool>,
    is_idle: Signal<bool>,
    text: RwSignal<String>,
    input: NodeRef<html::Textarea>,
    sending: RwSignal<bool>,
    /// Why the last message was not sent; empty when it was.
    notice: RwSignal<String>,
    signed_out: RwSignal<bool>,
    announcement: RwSignal<String>,
}

/// A reply that may still change.
#[derive(Clone, Copy)]
struct Reply {
    message: StoredValue<String>,
    run: RwSignal<String>,
    after: StoredValue<u64>,
    state: RwSignal<MessageState>,
    problem: RwSignal<String>,
    waiting: RwSignal<bool>,
    first: StoredValue<(String, String)>,
    source: StoredValue<String>,
    body: NodeRef<html::Div>,
}

impl Talk {
    fn new(id: String, assistant: String, request_id: String, begun: bool) -> Self {
        let begun = RwSignal::new(begun);
        let reply = RwSignal::new(None::<Reply>);
        let running = move || {
            let running = reply.get().filter(|reply| reply.state.get() == MessageState::Running);
            running.map(|reply| reply.run.get()).unwrap_or_default()
        };
        Self {
            id: RwSignal::new(id),
            assistant: StoredValue::new(assistant),
            request_id: RwSignal::new(request_id),
            asked: StoredValue::default(),
            drafts: StoredValue::default(),
            begun,
            is_new: Signal::derive(move || !begun.get()),
            turns: NodeRef::new(),
            reply,
            running: Signal::derive(running),
            is_busy: Signal::derive(move || !running().is_empty()),
            is_idle: Signal::derive(move || running().is_empty()),
            text: RwSignal::default(),
            input: NodeRef::new(),
            sending: RwSignal::new(false),
            notice: RwSignal::default(),
            signed_out: RwSignal::new(false),
            announcement: RwSignal::default(),
        }
    }

    fn wake(self) {
        self.restore_draft();
        if let Some(reply) = self.reply.get_untracked() {
            browser::remove(STANDING);
            self.put(String::new(), reply);
            if reply.is_running() {
                spawn_local(self.read(reply, None));
            }
        }
        let on_key = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" {
                self.stop();
            }
        });
        on_cleanup(move || on_key.remove());
    }

    /// Puts a turn at the end, for as long as the page lives.
    fn put(self, question: String, reply: Reply) {
        self.reply.set(Some(reply));
        if let Some(turns) = self.turns.get_untracked() {
            mount_to(turns.into(), move || turn_view(self, question, reply)).forget();
        }
    }

    /// What was typed before the island woke stays; else the kept draft comes back.
    fn restore_draft(self) {
        let typed = self.input.get_untracked().map(|input| input.value()).unwrap_or_default();
        let draft = if typed.is_empty() { browser::stored(&self.draft_key()) } else { Some(typed) };
        self.text.set(draft.unwrap_or_default());
    }

    fn write(self, text: String) {
        browser::store(&self.draft_key(), &text);
        self.text.set(text);
    }

    fn draft_key(self) -> String {
        format!("draft:{}:{}", self.drafts.get_value(), self.id.get_untracked())
    }

    fn address(self) -> String {
        match self.id.get() {
            id if id.is_empty() => "/chat".to_owned(),
            id => format!("/chat/{id}"),
        }
    }

    fn send(self, text: String) {
        let busy = self.is_busy.get_untracked() || self.sending.get_untracked();
        if text.trim().is_empty() || busy {
            return;
        }
        self.sending.set(true);
        self.clear_notice();
        // The same text again is the same request, whose answer may have been lost; another is not.
        if self.asked.get_value() != text {
            self.request_id.set(browser::random_id());
            self.asked.set_value(text.clone());
        }
        spawn_local(async move {
            let ask = Ask {
                message: text.clone(),
                conversation_id: Some(self.id.get_untracked()).filter(|id| !id.is_empty()),
                request_id: self.request_id.get_untracked(),
            };
            match client::ask(&ask).await {
                Ok((started, events)) => self.accepted(text, started, events),
                Err(error) => {
                    if self.text.get_untracked().is_empty() {
                        self.write(text);
                    }
                    self.show_failure(failure(error));
                }
            }
            self.sending.set(false);
            self.focus();
        });
    }

    fn accepted(self, text: String, started: Started, events: EventReader) {
        let written = Some(self.text.get_untracked()).filter(|written| *written != text);
        self.write(String::new());
        self.asked.set_value(String::new());
        if self.id.get_untracked().is_empty() {
            self.enter(&started.conversation, &text);
        }
        // What was typed meanwhile, or stood there when a suggestion was taken, is the next message.
        self.write(written.unwrap_or_default());
        let reply = Reply::new(started);
        self.put(text.trim().to_owned(), reply);
        self.begun.set(true);
        spawn_local(self.read(reply, Some(events)));
    }

    /// A first message makes a conversation with an address of its own, first in the list.
    fn enter(self, id: &str, text: &str) {
        let title = text.trim().lines().next().unwrap_or_default();
        let path = format!("/chat/{id}");
        browser::replace_address(&path);
        browser::set_title(title);
        browser::set_text(".conversation-bar h1", title);
        browser::prepend(".conversations", &conversation_item(&path, title, true));
        self.id.set(id.to_owned());
    }

    fn take_up(self, reply: Reply) {
        if self.sending.get_untracked() {
            return;
        }
        self.sending.set(true);
        self.clear_notice();
        spawn_local(async move {
            match start_run(reply.message.get_value()).await {
                Ok(started) => {
                    reply.begin_again(started);
                    spawn_local(self.read(reply, None));
                }
                Err(failure) => self.show_failure(failure),
            }
            self.sending.set(false);
        });
    }

    fn stop(self) {
        let run = self.running.get_untracked();
        if run.is_empty() {
            return;
        }
        spawn_local(async move {
            if let Err(failure) = stop_run(run).await {
                self.show_failure(failure);
            }
        });
    }

    /// Reads a reply to its end, reconnecting as often as it takes.
    async fn read(self, reply: Reply, mut events: Option<EventReader>) {
        self.announcement.set("The reply has begun.".to_owned());
        let mut pause = 0;
        loop {
            if let Some(mut reader) = events.take() {
                reply.waiting.set(false);
                while let Some((number, event)) = reader.next().await {
                    pause = 0;
                    reply.apply(number, event);
                }
            }
            if !reply.is_running() {
                break;
            }
            match client::tail(&reply.run.get_untracked(), reply.after.get_value()).await {
                Ok(reader) => events = Some(reader),
                Err(AskError::Refused(failure)) => {
                    reply.end(MessageState::Interrupted, Some(failure.error));
                    continue;
                }
                Err(AskError::Offline) => reply.waiting.set(true),
            }
            // Also before a new stream is read: one that ends at once must not be asked for at once.
            browser::sleep(pause).await;
            pause = (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
        self.announcement.set(untrack(|| reply.outcome()));
    }

    fn show_failure(self, failure: Failure) {
        self.signed_out.set(failure.code == Kind::Unauthenticated);
        self.notice.set(failure.error);
    }

    fn clear_notice(self) {
        self.signed_out.set(false);
        self.notice.set(String::new());
    }

    fn focus(self) {
        if let Some(input) = self.input.get_untracked() {
            let _ = input.focus();
        }
    }
}

fn failure(error: AskError) -> Failure {
    match error {
        AskError::Refused(failure) => failure,
        AskError::Offline => {
            Failure::new(Kind::Unavailable, "Breezeway cannot be reached. Try again in a moment.")
        }
    }
}

/// What a reply says of itself.
impl Reply {
    /// The reply that a page was loaded with, whose question is above it already.
    fn unfinished(open: OpenReply) -> Self {
        Self {
            message: StoredValue::new(open.message),
            run: RwSignal::new(open.run),
            after: StoredValue::new(open.after),
            state: RwSignal::new(open.state),
            problem: RwSignal::new(open.problem),
            waiting: RwSignal::new(false),
            source: StoredValue::new(open.text.clone()),
            first: StoredValue::new((open.html, open.text)),
            body: NodeRef::new(),
        }
    }

    fn new(started: Started) -> Self {
        Self {
            message: StoredValue::new(started.message),
            run: RwSignal::new(started.run),
            after: StoredValue::new(0),
            state: RwSignal::new(MessageState::Running),
            problem: RwSignal::default(),
            waiting: RwSignal::new(false),
            first: StoredValue::default(),
            source: StoredValue::default(),
            body: NodeRef::new(),
        }
    }

    fn is_running(self) -> bool {
        self.state.get_untracked() == MessageState::Running
    }

    fn can_be_taken_up(self) -> bool {
        !matches!(self.state.get(), MessageState::Running | MessageState::Done)
    }

    fn progress(self) -> &'static str {
        if self.waiting.get() { "Reconnecting…" } else { "Writing…" }
    }

    fn outcome(self) -> String {
        let problem = self.problem.get();
        match self.state.get() {
            MessageState::Running => "The reply is being written.".to_owned(),
            MessageState::Done => "The reply is complete.".to_owned(),
            MessageState::Stopped => "Stopped. What had arrived is kept.".to_owned(),
            MessageState::Interrupted => {
                format!("Interrupted. {problem} What had arrived is kept.")
            }
            MessageState::Failed => format!("{problem} Your message is kept."),
        }
    }

    fn notice_kind(self) -> &'static str {
        if self.state.get() == MessageState::Failed { "error" } else { "info" }
    }

    fn remedy(self) -> &'static str {
        if self.state.get() == MessageState::Failed { "Try again" } else { "Continue" }
    }
}

/// What a reply does to the document.
impl Reply {
    /// What the document begins with: finished blocks, then the open text.
    fn first_html(self) -> String {
        let is_running = self.is_running();
        self.first.with_value(|(html, open)| {
            let open = if is_running { open_html(open) } else { String::new() };
            format!("{html}{open}")
        })
    }

    /// A run's log yields the whole message, so what is shown is cleared first.
    fn begin_again(self, started: Started) {
        self.run.set(started.run);
        self.after.set_value(0);
        self.problem.set(String::new());
        self.show("");
        self.state.set(MessageState::Running);
    }

    fn apply(self, number: u64, event: RunEvent) {
        self.after.set_value(number);
        match event {
            RunEvent::Text { text } => self.append(&text),
            RunEvent::Block { html, length } => self.close(&html, length),
            RunEvent::Whole { html, .. } => self.show(&html),
            RunEvent::Html { keep, blocks } => self.replace(keep, &blocks.concat()),
            RunEvent::Reasoning { .. } | RunEvent::Wait { .. } => {}
            RunEvent::End(outcome) => self.end(outcome.state, outcome.problem),
        }
    }

    fn append(self, text: &str) {
        self.source.update_value(|source| source.push_str(text));
        if let Some(open) = self.open() {
            let _ = open.append_with_str_1(text);
        }
    }

    fn close(self, html: &str, length: usize) {
        let mut rest = String::new();
        self.source.update_value(|source| {
            source.drain(..length.min(source.len()));
            rest.clone_from(source);
        });
        if let Some(open) = self.open() {
            let _ = open.insert_adjacent_html("beforebegin", html);
            open.set_text_content(Some(&rest));
        }
    }

    /// Puts `html` after the first `keep` blocks, in the place of what followed them.
    fn replace(self, keep: usize, html: &str) {
        let Some(open) = self.open() else { return };
        let Some(body) = open.parent_element() else { return };
        while body.child_element_count() as usize > keep + 1 {
            let Some(last) = open.previous_element_sibling() else { break };
            last.remove();
        }
        let _ = open.insert_adjacent_html("beforebegin", html);
    }

    fn show(self, html: &str) {
        self.source.set_value(String::new());
        if let Some(body) = self.body.get_untracked() {
            body.set_inner_html(&format!("{html}{}", open_html("")));
        }
    }

    fn end(self, state: MessageState, problem: Option<String>) {
        if let Some(open) = self.open() {
            open.remove();
        }
        self.problem.set(problem.unwrap_or_default());
        self.state.set(state);
    }

    fn open(self) -> Option<web_sys::Element> {
        let open = self.body.get_untracked()?.last_element_child()?;
        (open.class_name() == "open").then(|| open.unchecked_into())
    }
}

/// A link to a conversation, in the list of them.
pub fn conversation_item(path: &str, title: &str, current: bool) -> String {
    let current = if current { " aria-current=\"page\"" } else { "" };
    let title = escaped(title);
    format!(
        "<li><a href=\"{path}\"{current}><span class=\"title\" dir=\"auto\">{title}</span></a></li>"
    )
}

/// The block that is still being written, as text.
pub fn open_html(text: &str) -> String {
    format!("<div class=\"open\">{}</div>", escaped(text))
}

/// `text` with what HTML would take for markup written out.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
