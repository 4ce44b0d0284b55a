//! The chat pages: a new conversation and one that has begun. Beside them, in the modules below, the
//! list of all conversations, one that is shared, and those that need no script.

mod all;
mod bar;
mod dialogs;
mod kept;
mod live;
mod prompts;
mod shared;
mod sidebar;
mod widget;

use leptos::{prelude::*, server_fn::ServerFn};
use leptos_meta::Title;
use leptos_router::{
    hooks::{use_params_map, use_query_map},
    params::ParamsMap,
};
use uuid::Uuid;

pub use self::{
    all::AllPage,
    prompts::PromptsPage,
    shared::SharedPage,
    widget::{WidgetChat, WidgetLook},
};
use self::{
    bar::Bar,
    dialogs::{dialogs, prompt_list, script},
    sidebar::sidebar,
};
pub(super) use self::{
    kept::{KeptMessage, Unsent},
    live::live,
    prompts::{PATH as PROMPTS, Unsaved, prompts_page},
};
use super::{
    api::{ChooseBranch, Restore},
    document::TURNS,
    island::Conversation,
    list, markdown,
    render::{quoted, turns},
    service::Conversation as Talk,
    view::{ConversationLine, Listing, MessageView, Prompt},
    wire::Role,
};
use crate::{
    config::AssistantConfig,
    data::about::About,
    error::Result,
    server::{context, state::App},
    session::{Caller, Identity},
    ui::{html::escaped, icon::Icon, page::awaited, zone::Zone},
};

/// How many conversations stand beside a chat.
const LISTED: usize = 60;

/// `/chat?text=…&assistant=…&about=…`: the text waits in the composer, and the question will be about
/// the list or the record at that address.
#[component]
pub fn NewChatPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    awaited(new_chat(context::app(), context::caller(), query))
}

/// `/chat/{id}?edit=…`, `?quote=…`, `?at=…`: a message to put in other words, to answer to, or to
/// show.
#[component]
pub fn ConversationPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    let query = use_query_map().get_untracked();
    awaited(conversation(context::app(), context::caller(), id, query))
}

/// Links to conversations.
pub fn conversation_links(lines: &[ConversationLine]) -> impl IntoView + use<> {
    let items = list::items(lines, "");
    view! { <ol class="conversations" role="list" inner_html=items></ol> }
}

/// What a page shows, apart from what every page does.
#[derive(Default)]
struct Shown {
    talk: Talk,
    /// The conversation's last message; empty when there is none.
    tip: String,
    /// Whether the last message is not among those that are shown.
    is_past: bool,
    /// The assistant that is to answer next, by name.
    assistant: Option<String>,
    /// The question that is put in other words; empty when none is.
    beside: String,
    /// What waits in the composer.
    text: String,
    /// What the first question is about.
    about: Option<About>,
    notice: Option<AnyView>,
    /// Where others can read it.
    shared_at: Option<String>,
    /// What is written by its name.
    prompts: Vec<Prompt>,
}

async fn new_chat(app: App, caller: Caller, query: ParamsMap) -> Result<impl IntoView> {
    let notice = match query.get("deleted") {
        Some(id) => app.chat.deleted_title(&caller, &id).await?.map(|title| undo(id, title)),
        None => None,
    };
    let shown = Shown {
        assistant: query.get("assistant").filter(|name| app.chat.assistant_named(name).is_some()),
        text: query.get("text").unwrap_or_default(),
        about: query.get("about").and_then(|address| app.chat.about(&caller, &address)),
        notice: notice.map(IntoAny::into_any),
        prompts: app.chat.prompts(&caller).await?,
        ..Shown::default()
    };
    let listing = app.chat.conversations(&caller, None, LISTED).await?;
    Ok(frame(&app, &caller, &listing, shown))
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
    query: ParamsMap,
) -> Result<impl IntoView> {
    let wanted = query.get("edit").or(query.get("at"));
    let mut talk = app.chat.conversation(&caller, &id, wanted.as_deref()).await?;
    let tip = last_of(&talk.messages);
    if let Some(before) = query.get("before") {
        let (messages, has_older) = app.chat.messages_before(&caller, &before).await?;
        talk = Talk { messages, has_older, ..talk };
    }
    if talk.line.unread && context::with_parts(|parts| parts.headers.get("sec-purpose").is_none()) {
        app.chat.see(&caller, &id).await?;
    }
    let listing = app.chat.conversations(&caller, None, LISTED).await?;
    let named = |key: &str| {
        let id = query.get(key)?;
        talk.messages.iter().find(|message| message.id == id)
    };
    let edited = named("edit").filter(|message| message.role == Role::User);
    let (beside, text) =
        edited.map(|message| (message.id.clone(), message.text.clone())).unwrap_or_default();
    let text = match query.get("quote") {
        Some(message) if text.is_empty() => quoted(&app.chat.text_of(&caller, &message).await?),
        _ => Some(text).filter(|text| !text.is_empty()).or(query.get("text")).unwrap_or_default(),
    };
    let elsewhere = query.get("at").filter(|_| named("at").is_none());
    let last = talk.messages.iter().rev().find_map(|message| message.assistant.clone());
    let shown = Shown {
        is_past: last_of(&talk.messages) != tip,
        tip,
        assistant: query.get("assistant").or(last),
        beside,
        text,
        notice: elsewhere.map(|message| on_another_branch(message).into_any()),
        shared_at: app.chat.shared_at(&caller, &id).await?,
        prompts: app.chat.prompts(&caller).await?,
        about: None,
        talk,
    };
    Ok(frame(&app, &caller, &listing, shown))
}

/// What says that a message is on a branch that is not shown, and leads there.
fn on_another_branch(message: String) -> impl IntoView {
    view! {
        <div class="notice undo" data-kind="info" role="status">
            <div>"The message you looked for is in another version of this conversation."</div>
            <form method="post" action=ChooseBranch::url()>
                <button class="button" name="message" value=message>
                    "Show it"
                </button>
            </form>
        </div>
    }
}

fn frame(app: &App, caller: &Caller, listing: &Listing, shown: Shown) -> impl IntoView + use<> {
    let Shown { talk, tip, is_past, assistant, beside, text, about, notice, shared_at, prompts } =
        shown;
    let assistant = assistant.as_deref().and_then(|name| app.chat.assistant_named(name));
    let assistant = assistant.or_else(|| app.chat.default_assistant());
    let name = assistant.map_or_else(|| "the assistant".to_owned(), |known| known.title.clone());
    let greeting = others(app, assistant) + &greeting(assistant);
    let running = talk.messages.iter().find_map(|message| message.run.clone());
    let turns = turns(&talk.messages, |name| app.chat.who(name));
    let older = talk.has_older.then(|| older(&talk.messages));
    let latest = is_past.then(|| latest(&talk.line.id));
    let bar = Bar {
        line: &talk.line,
        expires_at: talk.expires_at,
        assistant: assistant.map(|known| known.name.as_str()),
        assistants: app.chat.assistants().collect(),
        may_share: app.chat.sharing().is_some(),
        shared_at,
    };
    let (title, bar) = (bar.title(), bar.view());
    view! {
        <Title text=title />
        <main id="main" class="chat" tabindex="-1">
            {sidebar(listing, &talk.line.id, &Zone::of_page())}
            <section class="conversation" aria-label="Conversation">
                {bar}
                {notice}
                <Conversation
                    id=talk.line.id
                    assistant=name
                    greeting
                    cursor=talk.cursor.to_string()
                    begun=!talk.messages.is_empty()
                    after=tip
                    beside
                    text
                    accept=assistant.map(|known| known.files.join(",")).unwrap_or_default()
                    most=assistant.map(most).unwrap_or_default()
                    running=running.map(|run| run.id).unwrap_or_default()
                    request_id=Uuid::new_v4().simple().to_string()
                    drafts=caller.identity().map(Identity::tag).unwrap_or_default()
                >
                    {older}
                    <div class="contents" id=TURNS inner_html=turns></div>
                    {latest}
                </Conversation>
                {about.map(about_chip)}
                {prompt_list(&prompts)}
            </section>
            {dialogs()}
        </main>
        {script()}
    }
}

/// What the first question is about, above the composer. It goes along with the composer's form.
fn about_chip(about: About) -> impl IntoView {
    let About { title, address } = about;
    view! {
        <p id="about" class="about">
            <input type="hidden" name="about" value=address.clone() form="composer" />
            "About "
            <a href=address dir="auto">
                {title}
            </a>
            <a class="button" data-variant="quiet" data-shape="icon" href="/chat">
                <Icon name="close" />
                <span class="visually-hidden">"Ask about nothing in particular"</span>
            </a>
        </p>
    }
}

/// The way to the messages before these.
fn older(messages: &[MessageView]) -> impl IntoView + use<> {
    let first = messages.first().map(|message| message.id.as_str()).unwrap_or_default();
    other_messages(format!("?before={first}"), "chevron-up", "Earlier messages")
}

/// The way from earlier messages to the last ones.
fn latest(conversation: &str) -> impl IntoView + use<> {
    other_messages(format!("/chat/{conversation}"), "chevron-down", "Latest messages")
}

fn other_messages(address: String, icon: &'static str, words: &'static str) -> impl IntoView {
    view! {
        <a class="older button" data-variant="quiet" href=address>
            <Icon name=icon />
            {words}
        </a>
    }
}

/// The largest file, and how many.
fn most(assistant: &AssistantConfig) -> String {
    format!("{} {}", assistant.max_file, assistant.max_files)
}

fn last_of(messages: &[MessageView]) -> String {
    messages.last().map(|message| message.id.clone()).unwrap_or_default()
}

/// What is shown before the first message. The suggestions are submit buttons of the composer's
/// form, so they need no script of their own.
fn greeting(assistant: Option<&AssistantConfig>) -> String {
    let Some(assistant) = assistant else { return String::new() };
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

/// Who else can be asked.
fn others(app: &App, chosen: Option<&AssistantConfig>) -> String {
    let Some(chosen) = chosen.filter(|_| app.chat.assistants().count() > 1) else {
        return String::new();
    };
    let link = |one: &AssistantConfig| {
        let current = if one.name == chosen.name { " aria-current=\"true\"" } else { "" };
        let about =
            one.description.as_deref().map(|text| format!("<span>{}</span>", escaped(text)));
        format!(
            "<li><a href=\"/chat?assistant={}\"{current}><strong>{}</strong>{}</a></li>",
            escaped(&one.name),
            escaped(&one.title),
            about.unwrap_or_default()
        )
    };
    let links: String = app.chat.assistants().map(link).collect();
    format!("<ul class=\"assistants\" role=\"list\" aria-label=\"Assistants\">{links}</ul>")
}
