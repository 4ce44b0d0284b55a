//! The list of conversations beside a chat.

use leptos::prelude::*;

use super::prompts::PATH;
use crate::{
    chat::{list, view::Listing},
    ui::{icon::Icon, zone::Zone},
};

pub(super) fn sidebar(listing: &Listing, current: &str, zone: &Zone) -> impl IntoView + use<> {
    let days = list::by_day(listing, current, zone);
    let has_older = listing.older.is_some();
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
            {search("")}
            <div class="days" inner_html=days></div>
            <a class="all" href="/chat/all">
                {if has_older { "Older conversations" } else { "All conversations" }}
            </a>
            <a class="all" href=PATH>
                "Saved prompts"
            </a>
        </nav>
    }
}

/// The field that looks for words in all conversations.
pub(super) fn search(words: &str) -> impl IntoView + use<> {
    let words = words.to_owned();
    view! {
        <form class="search" role="search" action="/chat/all">
            <Icon name="search" />
            <input
                type="search"
                name="q"
                value=words
                placeholder="Search"
                aria-label="Search conversations"
                autocomplete="off"
            />
        </form>
    }
}
