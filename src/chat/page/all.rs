//! `/chat/all`: every conversation by day, and what words are found in.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

use super::sidebar::search;
use crate::{
    chat::{
        list,
        view::{Before, Hit, Listing},
    },
    error::{Error, Result},
    server::{context, state::App},
    session::Caller,
    ui::{icon::Icon, page::awaited, zone::Zone},
};

/// How many conversations a page of the list has.
const LISTED: usize = 100;

/// `/chat/all?before=…`, `/chat/all?q=…`
#[component]
pub fn AllPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    awaited(all(context::app(), context::caller(), query))
}

async fn all(app: App, caller: Caller, query: ParamsMap) -> Result<impl IntoView> {
    let words = query.get("q").map(|words| words.trim().to_owned()).unwrap_or_default();
    let content = if words.is_empty() {
        let before = query.get("before").map(|place| place.parse()).transpose();
        let before = before.map_err(|()| {
            Error::bad_request("`before` is not a place in the list. Go back to its beginning.")
        })?;
        listed(&app.chat.conversations(&caller, before, LISTED).await?).into_any()
    } else {
        found(&app.chat.find(&caller, &words).await?, &words).into_any()
    };
    let title =
        if words.is_empty() { "Conversations".to_owned() } else { format!("“{words}”") };
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <div class="page-head">
                <h1 dir="auto">{title}</h1>
                <a class="button" href="/chat">
                    <Icon name="plus" />
                    "New chat"
                </a>
            </div>
            {search(&words)}
            {content}
        </main>
    })
}

fn listed(listing: &Listing) -> impl IntoView + use<> {
    let is_empty = listing.pinned.is_empty() && listing.lines.is_empty();
    let days = list::by_day(listing, "", &Zone::of_page());
    let older = listing.older.as_ref().map(older);
    view! {
        <div class="days" inner_html=days></div>
        {is_empty.then(|| view! { <p class="empty">"No conversations here. Ask something to begin."</p> })}
        {older}
    }
}

fn older(before: &Before) -> impl IntoView + use<> {
    let address = format!("/chat/all?before={before}");
    view! {
        <a class="button" href=address rel="next">
            "Older conversations"
        </a>
    }
}

fn found(hits: &[Hit], words: &str) -> impl IntoView + use<> {
    let count = match hits.len() {
        0 => format!(
            "Nothing was found for “{words}”. Every word must be there; only the last one may be \
             the beginning of a word."
        ),
        1 => "Found in one conversation.".to_owned(),
        count => format!("Found in {count} conversations."),
    };
    let hits = list::hits(hits);
    view! {
        <p role="status">{count} " " <a href="/chat/all">"Show all"</a></p>
        <div class="contents" inner_html=hits></div>
    }
}
