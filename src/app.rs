//! The HTML around every page, and the table of pages.

use leptos::{config::LeptosOptions, prelude::*};
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

use crate::{
    chat::page::{AllPage, ConversationPage, NewChatPage, PromptsPage, SharedPage},
    data::page::{
        BatchPage, ChangePage, ChangesPage, EditPage, HistoryPage, ImportPage, IndexPage, ListPage,
        NewPage, RecordPage, SummaryPage,
    },
    server::context,
    session::page::SessionsPage,
    ui::{header::SiteHeader, home::HomePage},
};

const VIEWPORT: &str = "width=device-width, initial-scale=1, viewport-fit=cover, \
                        interactive-widget=resizes-content";

/// The document around `body`.
pub fn shell<V: IntoView>(options: LeptosOptions, body: impl FnOnce() -> V) -> impl IntoView {
    provide_meta_context();
    let stylesheet = context::app().stylesheet.clone();
    let body = body();
    let scripts = context::with_parts(|parts| has_islands(parts.uri.path()))
        .then(|| view! { <HydrationScripts options=options.clone() islands=true /> });
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8" />
                <meta name="viewport" content=VIEWPORT />
                <meta name="color-scheme" content="light dark" />
                <link rel="icon" href="/favicon.svg" type="image/svg+xml" />
                <link id="style" rel="stylesheet" href=stylesheet />
                <AutoReload options=options />
                {scripts}
                <MetaTags />
            </head>
            <body>
                <a class="skip-link" href="#main">
                    "Skip to the content"
                </a>
                <SiteHeader />
                {body}
            </body>
        </html>
    }
}

/// Whether a page has something that must come alive; pages of data do with a small script.
fn has_islands(path: &str) -> bool {
    path != "/data" && !path.starts_with("/data/")
}

/// The table of pages. Every page waits for its data, so that its status is right.
#[component]
pub fn Pages() -> impl IntoView {
    provide_meta_context();
    view! {
        <Title formatter=|title: String| format!("{title} · Breezeway") />
        <Router>
            <Routes fallback=|| ()>
                <Route path=path!("/") view=HomePage ssr=SsrMode::Async />
                <Route path=path!("/chat") view=NewChatPage ssr=SsrMode::Async />
                <Route path=path!("/chat/all") view=AllPage ssr=SsrMode::Async />
                <Route path=path!("/shared/:id") view=SharedPage ssr=SsrMode::Async />
                <Route path=path!("/chat/:id") view=ConversationPage ssr=SsrMode::Async />
                <Route path=path!("/settings/prompts") view=PromptsPage ssr=SsrMode::Async />
                <Route path=path!("/settings/sessions") view=SessionsPage ssr=SsrMode::Async />
                <Route path=path!("/data") view=IndexPage ssr=SsrMode::Async />
                <Route path=path!("/data/-/history") view=HistoryPage ssr=SsrMode::Async />
                <Route path=path!("/data/-/changes") view=ChangesPage ssr=SsrMode::Async />
                <Route path=path!("/data/-/changes/:id") view=ChangePage ssr=SsrMode::Async />
                <Route path=path!("/data/-/batches/:id") view=BatchPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name/-/summary") view=SummaryPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name/-/import") view=ImportPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name/-/new") view=NewPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name/:id/edit") view=EditPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name") view=ListPage ssr=SsrMode::Async />
                <Route path=path!("/data/:group/:name/:id") view=RecordPage ssr=SsrMode::Async />
            </Routes>
        </Router>
    }
}
