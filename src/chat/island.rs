//! The interactive half of a conversation: the composer, and the feed that keeps the page in step.
//!
//! Everything here is rendered by the server first and works as plain forms. Awake, the island sends
//! without leaving the page and puts what the feed tells into the document, reading on where it
//! stopped when the connection is lost.
//!
//! What browsers download grows with every distinct view and signal type, so messages are HTML that
//! the server writes, and signals are shared as `Signal<bool>` and `Signal<String>`.

use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, Fuse, FusedFuture, select},
};
use leptos::{ev, html, prelude::*, server_fn::ServerFn, task::spawn_local};
use std::pin::pin;
use wasm_bindgen::JsCast;
use web_sys::{Element, HtmlFormElement};

use super::{
    api::StopRun,
    client::{self, AskError, Frames},
    document,
    sse::Event,
};
use crate::{
    error::{Failure, Kind},
    ui::{browser, icon::Icon},
};

/// Between two attempts to read on, in milliseconds.
const SHORTEST_PAUSE: u32 = 300;
const LONGEST_PAUSE: u32 = 10_000;
/// How often the feed's silence is looked at, in milliseconds.
const TICK: u32 = 5_000;
/// The server says something every fifteen seconds, so after this many silent ticks the connection
/// is dead, whatever the browser believes.
const DEAD: u32 = 5;
/// After this many ticks out of sight, with nothing being written, the connection is given back:
/// browsers have few.
const OUT_OF_SIGHT: u32 = 12;
/// A page rests for so many times as long as it took to draw, so that a long reply, which takes longer,
/// leaves as much of the browser to other things as a short one.
const REST: u32 = 4;
/// How far from the end, in pixels, still counts as being there.
const AT_END: i32 = 40;
/// The form that sends a message.
const COMPOSER: &str = "composer";
/// What is added to the message, one hidden field for each.
const FILES: &str = "files";
/// The form that stops the reply.
const STOP: &str = "stop";
/// What the first question is about, outside the island.
const ABOUT: &str = "#about";

/// The messages of a conversation, `children` as the server wrote them, and its composer.
#[island]
pub fn Conversation(
    /// Empty before the first message.
    id: String,
    /// What the assistant is called.
    assistant: String,
    /// HTML shown while there are no messages; its suggestions are buttons of the composer's form.
    greeting: String,
    /// The place in the conversation that `children` show.
    cursor: String,
    /// The run that is writing the last reply; empty when none is.
    running: String,
    /// The last message that `children` show; empty when there is none.
    after: String,
    /// The question that is put in other words; empty when none is.
    beside: String,
    /// What is to be sent, where that is more than a draft.
    text: String,
    /// The kinds of files that can be added, with commas between them; empty for none.
    accept: String,
    /// The largest of them, in bytes, and the most of them, with a space between.
    most: String,
    /// Whether `children` holds any message.
    begun: bool,
    /// Names the next request.
    request_id: String,
    /// Tells this person's drafts from those of others who use the browser.
    drafts: String,
    children: Children,
) -> impl IntoView {
    let talk = Talk::new(id, assistant, request_id, begun, running);
    talk.beside.set(beside);
    talk.text.set(text);
    talk.drafts.set_value(drafts);
    talk.cursor.set_value(cursor);
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
            on:submit=move |event| talk.act(&event)
        >
            <div class="messages" hidden=talk.is_new>
                {children()}
                <span id="latest"></span>
            </div>
            <div class="greeting" hidden=talk.begun inner_html=greeting></div>
        </div>
        <a class="button jump" href="#latest" hidden=at_end on:click=jump>
            <Icon name="chevron-down" />
            "Latest"
        </a>
        <Composer talk after accept most />
        <p class="visually-hidden" role="status">
            {talk.announcement}
        </p>
    }
}

/// The form that sends a message, with or without a script.
#[component]
fn Composer(talk: Talk, after: String, accept: String, most: String) -> impl IntoView {
    let submit = move |event: ev::SubmitEvent| {
        event.prevent_default();
        let suggestion = event.submitter().and_then(|button| button.get_attribute("value"));
        talk.send(suggestion.unwrap_or_else(|| talk.text.get_untracked()));
    };
    let send_on_enter = move |event: ev::KeyboardEvent| {
        if event.key() == "Enter" && !event.shift_key() && !event.is_composing() {
            event.prevent_default();
            if let Some(form) = browser::form(COMPOSER) {
                let _ = form.request_submit();
            }
        }
    };
    let no_files = accept.is_empty();
    let no_edit = Signal::derive(move || talk.beside.read().is_empty());
    let cancel = Signal::derive(move || talk.address());
    let placeholder = talk.assistant.with_value(|assistant| format!("Ask {assistant}"));
    view! {
        <form
            id=STOP
            hidden
            method="post"
            data-act
            action=StopRun::url()
            on:submit=move |event| talk.act(&event)
        >
            <input type="hidden" name="run" value=talk.running />
        </form>
        <form
            id=COMPOSER
            class="composer"
            method="post"
            action="/chat"
            enctype="multipart/form-data"
            on:submit=submit
        >
            <Notice talk />
            <input type="hidden" name="conversation" value=talk.id />
            <input type="hidden" name="request_id" value=talk.request_id />
            <input type="hidden" name="after" value=after />
            <input type="hidden" name="beside" value=talk.beside />
            <p class="editing" hidden=no_edit>
                <Icon name="pencil" />
                "You are putting an earlier message in other words. Both versions are kept."
                <a href=cancel>"Cancel"</a>
            </p>
            <ul id=FILES class="files" role="list"></ul>
            <div class="composer-box">
                <label class="act" data-do="attach" title="Add files" hidden=no_files>
                    <Icon name="attach" />
                    <span class="visually-hidden">"Add files"</span>
                    <input type="file" name="files" multiple accept=accept data-most=most />
                </label>
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
                    autofocus=!talk.beside.read_untracked().is_empty()
                    on:input=move |event| talk.write(event_target_value(&event))
                    on:keydown=send_on_enter
                >{talk.text.get_untracked()}</textarea>
                <button type="button" class="act" data-do="dictate" title="Dictate">
                    <Icon name="microphone" />
                    <span class="visually-hidden">"Dictate"</span>
                </button>
                <button
                    class="button"
                    data-variant="primary"
                    hidden=talk.is_busy
                    disabled=talk.sending
                >
                    <Icon name="send" />
                    <span class="wide-text">"Send"</span>
                </button>
                <button class="button" form=STOP hidden=talk.is_idle>
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
                <span hidden=talk.is_empty>" Your message is kept in this browser."</span>
                <a href=login rel="nofollow" hidden=signed_in>
                    "Sign in again"
                </a>
            </div>
        </div>
    }
}

/// A conversation as the island knows it.
#[derive(Clone, Copy)]
struct Talk {
    /// Empty before the first message.
    id: RwSignal<String>,
    assistant: StoredValue<String>,
    request_id: RwSignal<String>,
    /// The text that `request_id` was sent with, while nobody knows what became of it.
    asked: StoredValue<Option<String>>,
    drafts: StoredValue<String>,
    begun: RwSignal<bool>,
    is_new: Signal<bool>,
    /// The question that is put in other words; empty when none is.
    beside: RwSignal<String>,
    /// The last frame that the document shows.
    cursor: StoredValue<String>,
    /// Ends the pause before the feed is asked for again.
    waker: StoredValue<Option<oneshot::Sender<()>>>,
    /// The run that is writing; empty when none is.
    running: RwSignal<String>,
    is_busy: Signal<bool>,
    is_idle: Signal<bool>,
    text: RwSignal<String>,
    is_empty: Signal<bool>,
    input: NodeRef<html::Textarea>,
    sending: RwSignal<bool>,
    /// Why the last message was not sent; empty when it was.
    notice: RwSignal<String>,
    signed_out: RwSignal<bool>,
    announcement: RwSignal<String>,
}

/// Why a feed is not read any further.
enum Break {
    /// The connection ended, or is dead.
    Lost,
    /// Nobody looks.
    OutOfSight,
    /// The conversation is there no more.
    Gone,
}

/// Draws what has changed, and rests.
async fn unhurried() {
    let took = browser::drawn().await;
    browser::sleep(took * REST).await;
}

impl Talk {
    fn new(
        id: String,
        assistant: String,
        request_id: String,
        begun: bool,
        running: String,
    ) -> Self {
        let begun = RwSignal::new(begun);
        let running = RwSignal::new(running);
        let text = RwSignal::<String>::default();
        Self {
            id: RwSignal::new(id),
            assistant: StoredValue::new(assistant),
            request_id: RwSignal::new(request_id),
            asked: StoredValue::default(),
            drafts: StoredValue::default(),
            begun,
            is_new: Signal::derive(move || !begun.get()),
            beside: RwSignal::default(),
            cursor: StoredValue::default(),
            waker: StoredValue::new(None),
            running,
            is_busy: Signal::derive(move || !running.read().is_empty()),
            is_idle: Signal::derive(move || running.read().is_empty()),
            text,
            is_empty: Signal::derive(move || text.read().is_empty()),
            input: NodeRef::new(),
            sending: RwSignal::new(false),
            notice: RwSignal::default(),
            signed_out: RwSignal::new(false),
            announcement: RwSignal::default(),
        }
    }

    fn wake(self) {
        self.restore_draft();
        if !self.id.get_untracked().is_empty() {
            spawn_local(self.follow());
        }
        let on_key = window_event_listener(ev::keydown, move |event| {
            if event.key() == "Escape" && self.is_busy.get_untracked() {
                self.submit(browser::form(STOP), None);
            }
        });
        let on_line = window_event_listener(ev::online, move |_| self.hurry());
        let in_sight = window_event_listener_untyped("visibilitychange", move |_| self.hurry());
        let focused = window_event_listener(ev::focus, move |_| self.hurry());
        on_cleanup(move || {
            on_key.remove();
            for handle in [on_line, in_sight, focused] {
                handle.remove();
            }
        });
    }

    /// What was typed before the island woke stays; else the kept draft comes back.
    fn restore_draft(self) {
        let typed = self.input.get_untracked().map(|input| input.value()).unwrap_or_default();
        let typed = Some(typed).filter(|typed| *typed != self.text.get_untracked());
        // What a link brings along is what is wanted, unless it is a question put in other words.
        let is_brought =
            !self.text.read_untracked().is_empty() && self.beside.read_untracked().is_empty();
        let kept = browser::stored(&self.draft_key()).filter(|_| !is_brought);
        let draft = typed.filter(|typed| !typed.is_empty()).or(kept);
        if let Some(draft) = draft {
            self.text.set(draft);
        }
    }

    fn write(self, text: String) {
        browser::store(&self.draft_key(), &text);
        self.text.set(text);
    }

    fn draft_key(self) -> String {
        let (id, beside) = (self.id.get_untracked(), self.beside.get_untracked());
        format!("draft:{}:{id}{beside}", self.drafts.get_value())
    }

    fn address(self) -> String {
        match self.id.get_untracked() {
            id if id.is_empty() => "/chat".to_owned(),
            id => format!("/chat/{id}"),
        }
    }

    fn focus(self) {
        if let Some(input) = self.input.get_untracked() {
            let _ = input.focus();
        }
    }

    fn show(self, error: AskError) {
        let failure = match error {
            AskError::Refused(Failure { code: Kind::Unauthenticated, .. }) => {
                Failure::new(Kind::Unauthenticated, "Your session has ended.")
            }
            AskError::Refused(failure) => failure,
            AskError::Offline => Failure::new(
                Kind::Unavailable,
                "Breezeway cannot be reached. Try again in a moment.",
            ),
        };
        self.signed_out.set(failure.code == Kind::Unauthenticated);
        self.notice.set(failure.error);
    }

    fn clear_notice(self) {
        self.signed_out.set(false);
        self.notice.set(String::new());
    }
}

/// Sending.
impl Talk {
    fn send(self, text: String) {
        let busy = self.is_busy.get_untracked() || self.sending.get_untracked();
        if busy || text.trim().is_empty() && !browser::has_content(FILES) {
            return;
        }
        self.sending.set(true);
        self.clear_notice();
        // The same text again is the same request, whose answer may have been lost; another is not.
        if self.asked.get_value().as_ref() != Some(&text) {
            self.request_id.set(browser::random_id());
            self.asked.set_value(Some(text.clone()));
        }
        spawn_local(async move {
            let Some(form) = browser::form(COMPOSER) else { return };
            match client::ask(&form, &text, &document::last_message()).await {
                Ok(conversation) => self.accepted(&text, conversation),
                Err(error) => {
                    if self.text.get_untracked().is_empty() {
                        self.write(text);
                    }
                    self.show(error);
                }
            }
            self.sending.set(false);
            self.focus();
        });
    }

    fn accepted(self, text: &str, conversation: String) {
        let written = Some(self.text.get_untracked()).filter(|written| written != text);
        self.write(String::new());
        browser::empty(FILES);
        browser::remove(ABOUT);
        self.asked.set_value(None);
        // Past an edit lies the draft that it was put before.
        let draft = match self.beside.get_untracked().as_str() {
            "" => None,
            _ => {
                self.beside.set(String::new());
                browser::replace_address(&self.address());
                browser::stored(&self.draft_key())
            }
        };
        // A first message makes a conversation with an address of its own.
        if self.id.get_untracked().is_empty() {
            browser::replace_address(&format!("/chat/{conversation}"));
            document::name_conversation(&conversation);
            self.id.set(conversation);
            spawn_local(self.follow());
        }
        // What was typed meanwhile, or stood there when a suggestion was taken, is the next message.
        self.write(written.or(draft).unwrap_or_default());
        self.begun.set(true);
        self.hurry();
    }

    /// Sends a form of the page in the background; what comes of it is told by the feed.
    fn act(self, event: &ev::SubmitEvent) {
        let form = event.target().and_then(|form| form.dyn_into::<HtmlFormElement>().ok());
        if let Some(form) = form.filter(|form| form.has_attribute("data-act")) {
            event.prevent_default();
            self.submit(Some(form), event.submitter().map(Into::into));
        }
    }

    fn submit(self, form: Option<HtmlFormElement>, button: Option<Element>) {
        let Some(form) = form.filter(|_| !self.sending.get_untracked()) else { return };
        self.sending.set(true);
        self.clear_notice();
        spawn_local(async move {
            if let Err(error) = client::submit(&form, button.as_ref()).await {
                self.show(error);
            }
            self.sending.set(false);
            self.hurry();
        });
    }
}

/// Reading.
impl Talk {
    /// Keeps the document in step with the conversation, reconnecting as often as it takes.
    async fn follow(self) {
        let mut pause = 0;
        loop {
            let (id, cursor) = (self.id.get_untracked(), self.cursor.get_value());
            match client::feed(&id, &cursor).await {
                Ok(frames) => {
                    if self.signed_out.get_untracked() {
                        self.clear_notice();
                    }
                    match self.read(frames, &mut pause).await {
                        Break::Lost => {}
                        Break::OutOfSight => self.rest(u32::MAX).await,
                        Break::Gone => {
                            return self.notice.set("This conversation was deleted.".to_owned());
                        }
                    }
                }
                Err(AskError::Offline) => {}
                Err(error) => {
                    self.show(error);
                    self.rest(u32::MAX).await;
                }
            }
            if self.is_busy.get_untracked() {
                document::show_waiting();
            }
            // Also before a feed is read that ends at once: it must not be asked for at once.
            self.rest(pause).await;
            pause = (pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        }
    }

    async fn read(self, mut frames: Frames, pause: &mut u32) -> Break {
        let (mut silent, mut hidden) = (0, 0);
        let mut waiting = Vec::new();
        let mut tick = pin!(browser::sleep(TICK));
        let mut drawing = pin!(Fuse::terminated());
        loop {
            let arriving = pin!(frames.next());
            match select(select(arriving, &mut drawing), &mut tick).await {
                Either::Left((Either::Left((None, _)), _)) => return Break::Lost,
                Either::Left((arrived, _)) => {
                    if let Either::Left((Some(batch), _)) = arrived {
                        (silent, *pause) = (0, 0);
                        waiting.extend(batch);
                    }
                    let is_seen = !document::is_hidden();
                    if waiting.is_empty() || is_seen && !drawing.is_terminated() {
                        continue;
                    }
                    if self.apply(waiting.drain(..)) {
                        return Break::Gone;
                    }
                    // Out of sight nothing is drawn, and browsers wake a page once a minute.
                    if is_seen {
                        drawing.set(unhurried().fuse());
                    }
                }
                Either::Right(_) => {
                    tick.set(browser::sleep(TICK));
                    silent += 1;
                    let unseen = document::is_hidden() && self.is_idle.get_untracked();
                    hidden = if unseen { hidden + 1 } else { 0 };
                    if silent >= DEAD {
                        return Break::Lost;
                    }
                    if hidden >= OUT_OF_SIGHT {
                        return Break::OutOfSight;
                    }
                }
            }
        }
    }

    /// Puts frames into the document; answers whether the conversation is gone.
    fn apply(self, frames: impl Iterator<Item = Event>) -> bool {
        for frame in frames {
            if frame.event == "gone" {
                return true;
            }
            document::apply(&frame);
            if !frame.id.is_empty() {
                self.cursor.set_value(frame.id);
            }
            self.look();
        }
        false
    }

    /// Takes note of a reply that has begun or ended.
    fn look(self) {
        let running = document::running();
        if running == self.running.get_untracked() {
            return;
        }
        let said = match running.as_str() {
            "" => document::outcome(),
            _ => "The reply has begun.".to_owned(),
        };
        self.announcement.set(said);
        self.running.set(running);
    }

    /// Pauses until it is time, or somebody is in a hurry.
    async fn rest(self, milliseconds: u32) {
        let (waker, woken) = oneshot::channel();
        self.waker.set_value(Some(waker));
        match milliseconds {
            0 => {}
            u32::MAX => drop(woken.await),
            _ => drop(select(pin!(browser::sleep(milliseconds)), woken).await),
        }
    }

    fn hurry(self) {
        if let Some(waker) = self.waker.try_update_value(Option::take).flatten() {
            let _ = waker.send(());
        }
    }
}
