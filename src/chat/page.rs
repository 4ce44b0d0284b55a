//! The chat pages: a new conversation, one that has begun, and the page that shows a reply arriving
//! without a script.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header::CONTENT_LENGTH},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use uuid::Uuid;

use super::{
    api::{Delete, Pin, Rename, Restore, StopRun},
    document::TURNS,
    island::Conversation,
    markdown,
    render::{around, conversation_item, escaped, turns},
    service::{Conversation as Talk, Events},
    view::MessageView,
    wire::{ConversationLine, Role, RunEvent},
};
use crate::{
    config::AssistantConfig,
    error::{Error, Result},
    server::{context, extract::Path, html, state::App},
    session::{Caller, Identity},
    ui::{icon::Icon, page::awaited},
};

/// Stands in a rendered page where the reply is to be streamed.
const REPLY_GOES_HERE: &str = "<reply-goes-here></reply-goes-here>";
const LARGEST_PAGE: usize = 64 << 20;

/// `/chat`
#[component]
pub fn NewChatPage() -> impl IntoView {
    let deleted = use_query_map().get_untracked().get("deleted");
    awaited(new_chat(context::app(), context::caller(), deleted))
}

/// `/chat/{id}`
#[component]
pub fn ConversationPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    let edited = use_query_map().get_untracked().get("edit");
    awaited(conversation(context::app(), context::caller(), id, edited))
}

/// Links to conversations, the current one marked.
pub fn conversation_links(lines: &[ConversationLine], current: &str) -> impl IntoView + use<> {
    let item = |line: &ConversationLine| {
        conversation_item(&line.id, &line.title, line.pinned, line.id == current)
    };
    let items: String = lines.iter().map(item).collect();
    view! { <ol class="conversations" role="list" inner_html=items></ol> }
}

async fn new_chat(app: App, caller: Caller, deleted: Option<String>) -> Result<impl IntoView> {
    let lines = app.chat.conversations(&caller).await?;
    let undo = match deleted {
        Some(id) => app.chat.deleted_title(&caller, &id).await?.map(|title| undo(id, title)),
        None => None,
    };
    Ok(frame(&app, &caller, lines, None, None, undo.map(|undo| undo.into_any())))
}

/// What says that a conversation was deleted, and gives it back.
fn undo(id: String, title: String) -> impl IntoView {
    view! {
        <div class="notice undo" data-kind="info" role="status">
            <div>{format!("“{title}” was deleted. You can have it back for an hour.")}</div>
            <form method="post" action=Restore::url()>
                <input type="hidden" name="conversation" value=id />
                <button class="button">"Undo"</button>
            </form>
        </div>
    }
}

async fn conversation(
    app: App,
    caller: Caller,
    id: String,
    edited: Option<String>,
) -> Result<impl IntoView> {
    let lines = app.chat.conversations(&caller).await?;
    let talk = app.chat.conversation(&caller, &id).await?;
    let is_edited =
        |message: &&MessageView| message.role == Role::User && Some(&message.id) == edited.as_ref();
    let edited = talk.messages.iter().find(is_edited).cloned();
    Ok(frame(&app, &caller, lines, Some(talk), edited, None))
}

fn frame(
    app: &App,
    caller: &Caller,
    lines: Vec<ConversationLine>,
    talk: Option<Talk>,
    edited: Option<MessageView>,
    notice: Option<AnyView>,
) -> impl IntoView + use<> {
    let assistant = app.chat.default_assistant();
    let name = assistant.map_or_else(|| "the assistant".to_owned(), |known| known.title.clone());
    let greeting = assistant.map(greeting).unwrap_or_default();
    let talk = talk.unwrap_or_default();
    let running = talk.messages.iter().find_map(|message| message.run.clone());
    let turns = turns(&talk.messages, |name| app.chat.who(name));
    let after = talk.messages.last().map(|message| message.id.clone()).unwrap_or_default();
    let (beside, text) = edited.map(|message| (message.id, message.text)).unwrap_or_default();
    let menu = Some(menu(&talk.id, &talk.title, talk.pinned));
    let title = if talk.id.is_empty() { "New chat".to_owned() } else { talk.title };
    view! {
        <Title text=title.clone() />
        <main id="main" class="chat" tabindex="-1">
            {sidebar(&lines, &talk.id)}
            <section class="conversation" aria-label="Conversation">
                {conversation_bar(title, menu)}
                {notice}
                <Conversation
                    id=talk.id
                    assistant=name
                    greeting
                    cursor=talk.cursor.to_string()
                    begun=!talk.messages.is_empty()
                    after
                    beside
                    text
                    running=running.map(|run| run.id).unwrap_or_default()
                    request_id=Uuid::new_v4().simple().to_string()
                    drafts=caller.identity().map(Identity::tag).unwrap_or_default()
                >
                    <div class="contents" id=TURNS inner_html=turns></div>
                </Conversation>
            </section>
        </main>
    }
}

/// What is shown before the first message. The suggestions are submit buttons of the composer's
/// form, so they need no script of their own.
fn greeting(assistant: &AssistantConfig) -> String {
    let words = markdown::render(assistant.greeting.as_deref().unwrap_or_default());
    let button = |text: &String| {
        let text = escaped(text);
        format!(
            "<li><button class=\"button\" form=\"composer\" name=\"suggestion\" value=\"{text}\" \
             formnovalidate>{text}</button></li>"
        )
    };
    let suggestions: String = assistant.suggestions.iter().map(button).collect();
    format!(
        "<h2>{}</h2><div class=\"markdown\">{words}</div><ul class=\"suggestions\" \
         role=\"list\">{suggestions}</ul>",
        escaped(&assistant.title)
    )
}

/// The bar above a conversation.
fn conversation_bar(title: String, menu: Option<impl IntoView>) -> impl IntoView {
    view! {
        <header class="conversation-bar">
            <button
                class="button"
                data-variant="quiet"
                data-shape="icon"
                type="button"
                popovertarget="conversations"
            >
                <Icon name="menu" />
                <span class="visually-hidden">"Show conversations"</span>
            </button>
            <h1 dir="auto">{title}</h1>
            {menu}
        </header>
    }
}

/// What can be done with a conversation. It opens without a script.
fn menu(id: &str, title: &str, is_pinned: bool) -> impl IntoView + use<> {
    let (id, title) = (id.to_owned(), title.to_owned());
    view! {
        <button
            class="button menu-button"
            data-variant="quiet"
            data-shape="icon"
            type="button"
            popovertarget="conversation-menu"
            hidden=id.is_empty()
        >
            <Icon name="pencil" />
            <span class="visually-hidden">"Change this conversation"</span>
        </button>
        <div id="conversation-menu" class="conversation-menu" popover>
            <form class="field" method="post" action=Rename::url()>
                <input type="hidden" name="conversation" value=id.clone() />
                <label for="conversation-title">"Title"</label>
                <input
                    id="conversation-title"
                    name="title"
                    value=title
                    required
                    maxlength="200"
                    autocomplete="off"
                />
                <button class="button">
                    <Icon name="check" />
                    "Rename"
                </button>
            </form>
            <form method="post" action=Pin::url()>
                <input type="hidden" name="conversation" value=id.clone() />
                <input type="hidden" name="pinned" value=(!is_pinned).to_string() />
                <button class="button">
                    <Icon name="pin" />
                    {if is_pinned { "Unpin" } else { "Pin" }}
                </button>
            </form>
            <form method="post" action=Delete::url()>
                <input type="hidden" name="conversation" value=id />
                <button class="button" data-variant="danger">
                    <Icon name="trash" />
                    "Delete"
                </button>
            </form>
        </div>
    }
}

fn sidebar(lines: &[ConversationLine], current: &str) -> impl IntoView + use<> {
    let links = conversation_links(lines, current);
    view! {
        <nav id="conversations" class="sidebar" aria-label="Conversations" popover>
            <div class="sidebar-head">
                <a class="button" href="/chat">
                    <Icon name="plus" />
                    "New chat"
                </a>
                <button
                    class="button"
                    data-variant="quiet"
                    data-shape="icon"
                    type="button"
                    popovertarget="conversations"
                    popovertargetaction="hide"
                >
                    <Icon name="close" />
                    <span class="visually-hidden">"Hide conversations"</span>
                </button>
            </div>
            {links}
        </nav>
    }
}

/// `GET /chat/{id}/live`: the conversation, with the reply arriving as part of the page. A browser
/// shows what it has of a page while the rest is on its way, so this needs no script. Superseded
/// text is hidden by the style sheet as soon as its finished block follows.
pub(super) async fn live(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>> {
    let (head, _) = request.into_parts();
    let mut talk = app.chat.conversation(&caller, &id).await?;
    let lines = app.chat.conversations(&caller).await?;
    let running = talk.messages.pop_if(|last| last.run.is_some());
    let Some((reply, cursor)) = running.and_then(|reply| reply.run.clone().map(|run| (reply, run)))
    else {
        return Ok(see_other(&format!("/chat/{id}")));
    };
    let events = app.chat.follow(&caller, &cursor.id, cursor.after).await?;
    let assistant = app.chat.who(reply.assistant.as_deref()).title;
    let (begin, end) = around(&reply, &assistant);
    let turns = turns(&talk.messages, |name| app.chat.who(name));
    let turns = format!("{turns}{begin}{REPLY_GOES_HERE}{end}");
    let Talk { id: conversation, title, .. } = talk;
    let page = Live { lines, conversation, title, turns, assistant, run: cursor.id };
    let rendered = html::page(&app, head, StatusCode::OK, move || page.view()).await;
    stream_into(rendered, reply, events, id).await
}

#[derive(Clone)]
struct Live {
    lines: Vec<ConversationLine>,
    conversation: String,
    title: String,
    /// The messages, with the place where the reply goes.
    turns: String,
    assistant: String,
    run: String,
}

impl Live {
    fn view(&self) -> impl IntoView + use<> {
        let Self { lines, conversation, title, turns, assistant, run } = self.clone();
        view! {
            <Title text=title.clone() />
            <main id="main" class="chat" tabindex="-1">
                {sidebar(&lines, &conversation)}
                <section class="conversation" aria-label="Conversation">
                    {conversation_bar(title, None::<()>)}
                    <form class="live-controls" method="post" action=StopRun::url()>
                        <input type="hidden" name="run" value=run />
                        <span class="writing">{format!("{assistant} is writing…")}</span>
                        <button class="button">
                            <Icon name="stop" />
                            "Stop"
                        </button>
                    </form>
                    <div class="log" role="log" aria-live="off" aria-label="Messages" tabindex="0">
                        <div class="messages" inner_html=turns></div>
                    </div>
                    <form class="composer" method="get" action=format!("/chat/{conversation}")>
                        <button class="button" data-variant="primary">
                            "Go on with this conversation"
                        </button>
                    </form>
                </section>
            </main>
        }
    }
}

/// Cuts the page where the reply goes, and sends first the one half, then the reply as it is
/// written, then the other half.
async fn stream_into(
    page: Response<Body>,
    reply: MessageView,
    events: Events,
    conversation: String,
) -> Result<Response<Body>> {
    let (mut head, body) = page.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let body = to_bytes(body, LARGEST_PAGE).await.map_err(Error::internal)?;
    let body = String::from_utf8(body.to_vec()).map_err(Error::internal)?;
    let (before, after) = body
        .split_once(REPLY_GOES_HERE)
        .ok_or_else(|| Error::internal(format!("the page of {conversation} has no reply in it")))?;
    let mut arriving = Arriving::default();
    let before = format!("{before}{}", arriving.begin(&reply));
    let arriving = stream::unfold((events, arriving), |(mut events, mut arriving)| async move {
        let (_, event) = events.next().await?;
        Some((arriving.piece(event), (events, arriving)))
    });
    let pieces = stream::once(std::future::ready(before))
        .chain(arriving)
        .chain(stream::once(std::future::ready(after.to_owned())))
        .map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)));
    Ok(Response::from_parts(head, Body::from_stream(pieces)))
}

const BEGIN_THOUGHTS: &str =
    "<details class=\"reasoning\" open><summary>Thoughts</summary><div class=\"thought\">";
const END_THOUGHTS: &str = "</div></details>";
const BEGIN_BODY: &str = "<div class=\"markdown\" dir=\"auto\">";
const BEGIN_OPEN: &str = "<div class=\"open\">";

/// A reply's HTML in the order it is written. What a page has sent it cannot take back, so an open
/// block is written as text first and again, finished, after it; a block of a reply in HTML once
/// another follows it.
#[derive(Default)]
struct Arriving {
    stage: Stage,
    open: String,
    blocks: Vec<String>,
    written: usize,
}

#[derive(Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Before,
    Thinking,
    Replying,
}

impl Arriving {
    /// What has arrived before the page was asked for.
    fn begin(&mut self, reply: &MessageView) -> String {
        let mut html = String::new();
        if !reply.reasoning.is_empty() {
            html += &self.enter(Stage::Thinking);
            html += &escaped(&reply.reasoning);
        }
        if !reply.html.is_empty() || !reply.text.is_empty() {
            html += &self.enter(Stage::Replying);
            html += &self.finished(&reply.html);
            html += &escaped(&reply.text);
            self.open.clone_from(&reply.text);
        }
        html
    }

    fn piece(&mut self, event: RunEvent) -> String {
        match event {
            RunEvent::Reasoning { text } => self.enter(Stage::Thinking) + &escaped(&text),
            RunEvent::Text { text } => {
                self.open.push_str(&text);
                self.enter(Stage::Replying) + &escaped(&text)
            }
            RunEvent::Block { html, length } => {
                self.open.drain(..length.min(self.open.len()));
                let rest = escaped(&self.open);
                self.finished(&html) + &rest
            }
            RunEvent::Html { keep, blocks } => {
                self.blocks.truncate(keep);
                self.blocks.extend(blocks);
                self.write_up_to(self.blocks.len().saturating_sub(1))
            }
            RunEvent::Whole { html, .. } => self.finished(&html),
            RunEvent::Wait { .. } => {
                "<p class=\"writing\">The assistant is busy, and is asked again soon.</p>"
                    .to_owned()
            }
            RunEvent::End(outcome) => {
                let rest = self.write_up_to(self.blocks.len());
                let end = match self.stage {
                    Stage::Before => "",
                    Stage::Thinking => END_THOUGHTS,
                    Stage::Replying => "</div></div>",
                };
                let problem = outcome.problem.map(|text| format!("<p>{}</p>", escaped(&text)));
                format!("{rest}{end}{}", problem.unwrap_or_default())
            }
        }
    }

    fn enter(&mut self, stage: Stage) -> String {
        if self.stage == stage || self.stage == Stage::Replying {
            return String::new();
        }
        let end = if self.stage == Stage::Thinking { END_THOUGHTS } else { "" };
        let begin = match stage {
            Stage::Thinking => BEGIN_THOUGHTS.to_owned(),
            _ => format!("{BEGIN_BODY}{BEGIN_OPEN}"),
        };
        self.stage = stage;
        format!("{end}{begin}")
    }

    /// A finished block, behind the text that it supersedes.
    fn finished(&mut self, html: &str) -> String {
        let begin = self.enter(Stage::Replying);
        format!("{begin}</div>{html}{BEGIN_OPEN}")
    }

    fn write_up_to(&mut self, end: usize) -> String {
        let fresh = self.blocks.get(self.written..end).unwrap_or_default().concat();
        self.written = self.written.max(end);
        if fresh.is_empty() { fresh } else { self.finished(&fresh) }
    }
}

fn see_other(path: &str) -> Response<Body> {
    use axum::response::{IntoResponse, Redirect};
    Redirect::to(path).into_response()
}

/// The page that holds a message which could not be sent.
#[expect(non_snake_case, reason = "a view, named as components are")]
pub(super) fn KeptMessage(
    message: String,
    text: String,
    conversation: Option<String>,
    signed_out: bool,
) -> impl IntoView {
    let title = if signed_out { "Your session has ended" } else { "Your message was not sent" };
    let advice = if signed_out {
        "Your message is kept below. Sign in again in a new tab, then come back and send it."
    } else {
        "Your message is kept below. Change it if need be, and send it again."
    };
    view! {
        <Title text=title />
        <main id="main" class="page error-page" data-width="narrow" tabindex="-1">
            <h1>{title}</h1>
            <p>{message}</p>
            <p>{advice}</p>
            <form class="field" method="post" action="/chat">
                <input type="hidden" name="conversation" value=conversation.unwrap_or_default() />
                <label for="kept">"Your message"</label>
                <textarea id="kept" name="text" rows="6" dir="auto" inner_html=escaped(&text)></textarea>
                <div class="actions">
                    {signed_out
                        .then(|| {
                            view! {
                                <a class="button" href="/auth/login" target="_blank" rel="nofollow">
                                    "Sign in again"
                                </a>
                            }
                        })}
                    <button class="button" data-variant="primary">
                        "Send again"
                    </button>
                </div>
            </form>
        </main>
    }
}
