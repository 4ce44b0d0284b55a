//! The chat pages: a new conversation, one that has begun, and one that holds a message which was not
//! sent.

mod live;

use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use uuid::Uuid;

pub(super) use self::live::live;
use super::{
    api::{Delete, Pin, Rename, Restore},
    document::TURNS,
    island::Conversation,
    markdown,
    render::{conversation_item, escaped, turns},
    service::Conversation as Talk,
    view::MessageView,
    wire::{ConversationLine, Role},
};
use crate::{
    config::AssistantConfig,
    error::Result,
    server::{context, state::App},
    session::{Caller, Identity},
    ui::{icon::Icon, page::awaited},
};

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
