//! `/shared/{id}`: a conversation as others may read it.

use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::hooks::use_params_map;

use crate::{
    chat::render::turns,
    error::Result,
    server::{context, state::App},
    session::Caller,
    ui::page::awaited,
};

/// `/shared/{id}`
#[component]
pub fn SharedPage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id").unwrap_or_default();
    awaited(shared(context::app(), context::caller(), id))
}

async fn shared(app: App, caller: Caller, id: String) -> Result<impl IntoView> {
    let shared = app.chat.shared(&caller, &id).await?;
    let turns = turns(&shared.messages, |name| app.chat.who(name).for_readers());
    Ok(view! {
        <Title text=shared.title.clone() />
        <Meta name="robots" content="noindex, nofollow" />
        <main id="main" class="page shared" data-width="narrow" tabindex="-1">
            <h1 dir="auto">{shared.title}</h1>
            <p class="hint">
                "A conversation that somebody shared, as it was then. You can read it, and nothing more."
            </p>
            <div class="messages" inner_html=turns></div>
        </main>
    })
}
