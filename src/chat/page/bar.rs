//! What stands above a conversation: its title, who answers, and what can be done with it. All of it
//! works without a script.

use leptos::{prelude::*, server_fn::ServerFn};

use crate::{
    chat::{
        api::{Delete, Pin, Rename, Share, Withdraw},
        view::ConversationLine,
    },
    config::AssistantConfig,
    ui::icon::Icon,
};

/// The bar of a conversation.
pub(super) struct Bar<'a> {
    pub line: &'a ConversationLine,
    pub expires_at: Option<i64>,
    /// Who answers next, by name.
    pub assistant: Option<&'a str>,
    /// Who could.
    pub assistants: Vec<&'a AssistantConfig>,
    pub may_share: bool,
    /// Where others can read it.
    pub shared_at: Option<String>,
}

impl Bar<'_> {
    fn is_new(&self) -> bool {
        self.line.id.is_empty()
    }

    pub(super) fn title(&self) -> String {
        if self.is_new() { "New chat".to_owned() } else { self.line.title.clone() }
    }

    pub(super) fn view(self) -> impl IntoView + use<> {
        let title = self.title();
        let temporary = match (self.is_new(), self.expires_at) {
            (true, _) => Some(temporary_choice().into_any()),
            (false, Some(_)) => Some(temporary_mark().into_any()),
            (false, None) => None,
        };
        let menu = menu(self.line, self.expires_at.is_some(), self.may_share, self.shared_at);
        let picker = picker(&self.assistants, self.assistant);
        bar(title, (temporary, picker, menu))
    }
}

/// The bar with this at its end.
pub(super) fn bar(title: String, end: impl IntoView) -> impl IntoView {
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
            {end}
        </header>
    }
}

/// Who answers, where there is a choice.
fn picker(assistants: &[&AssistantConfig], chosen: Option<&str>) -> Option<impl IntoView + use<>> {
    let option = |one: &&AssistantConfig| {
        let (name, title) = (one.name.clone(), one.title.clone());
        let selected = chosen == Some(one.name.as_str());
        view! {
            <option value=name selected=selected>
                {title}
            </option>
        }
    };
    let options = assistants.iter().map(option).collect_view();
    (assistants.len() > 1).then(|| {
        view! {
            <select class="picker" name="assistant" form="composer" aria-label="Assistant">
                {options}
            </select>
        }
    })
}

fn temporary_choice() -> impl IntoView {
    view! {
        <label class="temporary" title="Kept in no list, found by no search, gone a day after its last message">
            <input type="checkbox" name="temporary" value="true" form="composer" />
            "Temporary"
        </label>
    }
}

fn temporary_mark() -> impl IntoView {
    view! {
        <span class="temporary" title="In no list; gone a day after its last message">
            <Icon name="info" />
            "Temporary"
        </span>
    }
}

fn menu(
    line: &ConversationLine,
    is_temporary: bool,
    may_share: bool,
    shared_at: Option<String>,
) -> impl IntoView + use<> {
    let ConversationLine { id, title, pinned, .. } = line.clone();
    let share = (may_share && !is_temporary).then(|| share(id.clone(), shared_at));
    let export = |kind: &str| format!("/chat/{id}/export.{kind}");
    let (markdown, json) = (export("md"), export("json"));
    view! {
        <button
            class="button menu-button"
            data-variant="quiet"
            data-shape="icon"
            type="button"
            popovertarget="conversation-menu"
            hidden=id.is_empty()
        >
            <Icon name="more" />
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
            <form method="post" action=Pin::url() hidden=is_temporary>
                <input type="hidden" name="conversation" value=id.clone() />
                <input type="hidden" name="pinned" value=(!pinned).to_string() />
                <button class="button">
                    <Icon name="pin" />
                    {if pinned { "Unpin" } else { "Pin" }}
                </button>
            </form>
            <div class="pair">
                <a class="button" data-export="md" href=markdown download>
                    <Icon name="download" />
                    "Markdown"
                </a>
                <a class="button" data-export="json" href=json download>
                    <Icon name="download" />
                    "JSON"
                </a>
            </div>
            {share}
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

/// The link under which others can read it.
fn share(id: String, shared_at: Option<String>) -> impl IntoView {
    let is_shared = shared_at.is_some();
    let link = shared_at.map(|address| {
        view! {
            <div class="field">
                <label for="shared-link">"Link for others"</label>
                <input id="shared-link" value=address readonly data-copy />
            </div>
            <form method="post" action=Withdraw::url()>
                <input type="hidden" name="conversation" value=id.clone() />
                <button class="button">
                    <Icon name="close" />
                    "Withdraw the link"
                </button>
            </form>
        }
    });
    view! {
        {link}
        <form method="post" action=Share::url()>
            <input type="hidden" name="conversation" value=id.clone() />
            <button class="button">
                <Icon name="link" />
                {if is_shared { "Share what is new, too" } else { "Share a link to read it" }}
            </button>
        </form>
    }
}
