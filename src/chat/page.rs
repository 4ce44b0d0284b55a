//! The chat pages: a new conversation, one that has begun, and the page that shows a reply arriving
//! without a script.

use axum::{
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, StatusCode, header::CONTENT_LENGTH},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use uuid::Uuid;

use super::{
    api::StopRun,
    island::{Conversation, Question, conversation_item, escaped, open_html, standing_reply},
    markdown,
    service::{Conversation as Talk, Events},
    wire::{ConversationLine, MessageState, MessageView, OpenReply, Role, RunEvent},
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
    awaited(new_chat(context::app(), context::caller()))
}

/// `/chat/{id}`
#[component]
pub fn ConversationPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    awaited(conversation(context::app(), context::caller(), id))
}

/// Links to conversations, the current one marked.
pub fn conversation_links(lines: &[ConversationLine], current: &str) -> impl IntoView + use<> {
    let item = |line: &ConversationLine| {
        conversation_item(&format!("/chat/{}", line.id), &line.title, line.id == current)
    };
    let items: String = lines.iter().map(item).collect();
    view! { <ol class="conversations" role="list" inner_html=items></ol> }
}

async fn new_chat(app: App, caller: Caller) -> Result<impl IntoView> {
    let lines = app.chat.conversations(&caller).await?;
    Ok(frame(&app, &caller, lines, None))
}

async fn conversation(app: App, caller: Caller, id: String) -> Result<impl IntoView> {
    let lines = app.chat.conversations(&caller).await?;
    let talk = app.chat.conversation(&caller, &id).await?;
    Ok(frame(&app, &caller, lines, Some(talk)))
}

fn frame(
    app: &App,
    caller: &Caller,
    lines: Vec<ConversationLine>,
    talk: Option<Talk>,
) -> impl IntoView + use<> {
    let assistant = app.chat.default_assistant();
    let name = assistant.map_or_else(|| "the assistant".to_owned(), |known| known.title.clone());
    let greeting = assistant.map(greeting).unwrap_or_default();
    let (id, title, messages) = match talk {
        Some(talk) => (talk.id, talk.title, talk.messages),
        None => (String::new(), "New chat".to_owned(), Vec::new()),
    };
    let begun = !messages.is_empty();
    let (settled, open) = split(messages);
    let settled = settled.into_iter().map(|message| settled_message(message, &name)).collect_view();
    let open = open.map(OpenReply::from);
    let standing = open.clone().map(|open| standing_reply(open, name.clone()));
    view! {
        <Title text=title.clone() />
        <main id="main" class="chat" tabindex="-1">
            {sidebar(&lines, &id)}
            <section class="conversation" aria-label="Conversation">
                {conversation_bar(title)}
                <Conversation
                    id
                    assistant=name
                    greeting
                    open
                    begun
                    request_id=Uuid::new_v4().simple().to_string()
                    drafts=caller.identity().map(Identity::tag).unwrap_or_default()
                >
                    {settled}
                    {standing}
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
fn conversation_bar(title: String) -> impl IntoView {
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
        </header>
    }
}

/// The last reply belongs to the island while it can still change.
fn split(mut messages: Vec<MessageView>) -> (Vec<MessageView>, Option<MessageView>) {
    let open =
        messages.pop_if(|last| last.role == Role::Assistant && last.state != MessageState::Done);
    (messages, open)
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

fn settled_message(message: MessageView, assistant: &str) -> impl IntoView + use<> {
    match message.role {
        Role::User => view! { <Question text=message.text /> }.into_any(),
        Role::Assistant => {
            let status = match message.state {
                MessageState::Done => None,
                MessageState::Stopped => Some("Stopped."),
                _ => Some("Interrupted. What had arrived is kept."),
            };
            view! {
                <article
                    class="message"
                    data-role="assistant"
                    data-state=message.state.as_str()
                    aria-label=assistant.to_owned()
                >
                    <div class="markdown" dir="auto" inner_html=message.html></div>
                    <footer class="status">{status}</footer>
                </article>
            }
            .into_any()
        }
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
    let assistant =
        app.chat.default_assistant().map(|known| known.title.clone()).unwrap_or_default();
    let page = Live { lines, talk, assistant, run: cursor.id };
    let rendered = html::page(&app, head, StatusCode::OK, move || page.view()).await;
    stream_into(rendered, reply, events, id).await
}

#[derive(Clone)]
struct Live {
    lines: Vec<ConversationLine>,
    talk: Talk,
    assistant: String,
    run: String,
}

impl Live {
    fn view(&self) -> impl IntoView + use<> {
        let Self { lines, talk, assistant, run } = self.clone();
        let settled = talk.messages.into_iter().map(|message| settled_message(message, &assistant));
        view! {
            <Title text=talk.title.clone() />
            <main id="main" class="chat" tabindex="-1">
                {sidebar(&lines, &talk.id)}
                <section class="conversation" aria-label="Conversation">
                    {conversation_bar(talk.title)}
                    <form class="live-controls" method="post" action=StopRun::url()>
                        <input type="hidden" name="run" value=run />
                        <span class="writing">{format!("{assistant} is writing…")}</span>
                        <button class="button">
                            <Icon name="stop" />
                            "Stop"
                        </button>
                    </form>
                    <div class="log" role="log" aria-live="off" aria-label="Messages" tabindex="0">
                        <div class="messages">
                            {settled.collect_view()}
                            <article
                                class="message"
                                data-role="assistant"
                                data-state="running"
                                aria-label=assistant.clone()
                            >
                                <div class="markdown" dir="auto" inner_html=REPLY_GOES_HERE></div>
                            </article>
                        </div>
                    </div>
                    <form class="composer" method="get" action=format!("/chat/{}", talk.id)>
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
    let before = format!("{before}{}", reply.html);
    let pieces = stream::once(std::future::ready(before))
        .chain(reply_pieces(reply.text, events))
        .chain(stream::once(std::future::ready(after.to_owned())))
        .map(|piece| Ok::<_, std::convert::Infallible>(Bytes::from(piece)));
    Ok(Response::from_parts(head, Body::from_stream(pieces)))
}

/// The reply's HTML in the order it is written. Text can only be added to a page, so an open block
/// is written as text first and again, finished, after it; a block of a reply in HTML once another
/// follows it.
fn reply_pieces(open: String, events: Events) -> impl Stream<Item = String> + Send {
    let opening = open_html(&open).trim_end_matches("</div>").to_owned();
    let state = (events, Standing { open, ..Standing::default() });
    let rest = stream::unfold(state, |(mut events, mut standing)| async move {
        let (_, event) = events.next().await?;
        Some((standing.piece(event), (events, standing)))
    });
    stream::once(std::future::ready(opening)).chain(rest)
}

/// What has been written of a page's reply, and what is still held back.
#[derive(Default)]
struct Standing {
    open: String,
    blocks: Vec<String>,
    written: usize,
}

impl Standing {
    fn piece(&mut self, event: RunEvent) -> String {
        match event {
            RunEvent::Text { text } => {
                self.open.push_str(&text);
                escaped(&text)
            }
            RunEvent::Block { html, length } => {
                self.open.drain(..length.min(self.open.len()));
                format!("</div>{html}{}", open_html(&self.open).trim_end_matches("</div>"))
            }
            RunEvent::Html { keep, blocks } => {
                self.blocks.truncate(keep);
                self.blocks.extend(blocks);
                self.write_up_to(self.blocks.len().saturating_sub(1))
            }
            RunEvent::Whole { html, .. } => format!("</div>{html}<div class=\"open\">"),
            RunEvent::Reasoning { .. } | RunEvent::Wait { .. } => String::new(),
            RunEvent::End(outcome) => {
                let rest = self.write_up_to(self.blocks.len());
                let problem = outcome.problem.map(|text| format!("<p>{}</p>", escaped(&text)));
                format!("{rest}</div>{}", problem.unwrap_or_default())
            }
        }
    }

    fn write_up_to(&mut self, end: usize) -> String {
        let fresh = self.blocks.get(self.written..end).unwrap_or_default().concat();
        self.written = self.written.max(end);
        if fresh.is_empty() { fresh } else { format!("</div>{fresh}<div class=\"open\">") }
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
