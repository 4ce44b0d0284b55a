//! The first page: what this is, or what one was doing.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{icon::Icon, page::awaited, reader::Reader};
use crate::{
    chat::page::conversation_links,
    data::page::{group_cards, pinned, tile_cards},
    error::Result,
    sandbox::{Person, demo_people},
    server::{context, state::App},
    session::{Caller, Identity},
};

const RECENT: usize = 6;

/// `/`
#[component]
pub fn HomePage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let signed_out = context::with_parts(|parts| parts.uri.query() == Some("signed_out"));
    let page = match caller.identity().cloned() {
        Some(identity) => awaited(signed_in(app, caller, identity)).into_any(),
        None => front(app.sandbox.is_some(), signed_out).into_any(),
    };
    view! {
        <Title text="Home" />
        {page}
    }
}

fn front(is_demo: bool, signed_out: bool) -> impl IntoView {
    view! {
        <main id="main" class="page" tabindex="-1">
            {signed_out.then(signed_out_notice)}
            <div class="front">
                <section class="hero">
                    <h1>"One door to your assistants and your data"</h1>
                    <p>
                        "Sign in once. Chat with your team’s assistants and work with the records behind them; tokens stay on the server."
                    </p>
                    <a
                        class="button"
                        data-variant="primary"
                        data-size="large"
                        href="/auth/login"
                        rel="nofollow"
                    >
                        "Sign in"
                    </a>
                </section>
                {is_demo.then(people)}
            </div>
        </main>
    }
}

fn signed_out_notice() -> impl IntoView {
    view! {
        <div class="notice" data-kind="info" role="status">
            <Icon name="check" />
            <div>"Signed out. Your conversations are kept for when you come back."</div>
        </div>
    }
}

fn people() -> impl IntoView {
    let row = |person: &'static Person| {
        view! {
            <tr>
                <td>{person.name}</td>
                <td>
                    <code>{person.user_name}</code>
                </td>
                <td>{person.tenant_name}</td>
                <td>{person.roles.join(", ")}</td>
            </tr>
        }
    };
    view! {
        <section class="panel" aria-labelledby="people">
            <h2 id="people">"Try it with the demo people"</h2>
            <p>"Two tenants, each with its own data. The password is " <code>"sandbox"</code> " for everyone."</p>
            <div class="table-scroll" tabindex="0" role="region" aria-label="Names, tenants and roles">
                <table class="people">
                    <thead>
                        <tr>
                            <th scope="col">"Name"</th>
                            <th scope="col">"User name"</th>
                            <th scope="col">"Tenant"</th>
                            <th scope="col">"Role"</th>
                        </tr>
                    </thead>
                    <tbody>{demo_people().iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
}

async fn signed_in(app: App, caller: Caller, identity: Identity) -> Result<impl IntoView> {
    let listing = app.chat.conversations(&caller, None, RECENT).await?;
    let mut recent = listing.all();
    recent.truncate(RECENT);
    let first_name = identity.name.split_whitespace().next().unwrap_or_default().to_owned();
    let conversations = if recent.is_empty() {
        view! { <p>"No conversations yet. Ask something to begin."</p> }.into_any()
    } else {
        conversation_links(&recent).into_any()
    };
    let pinned = pinned(&app, &caller).await?;
    let tiles = tile_cards(&app, &caller, &Reader::of_page()).await;
    Ok(view! {
        <main id="main" class="page" tabindex="-1">
            <div class="page-head">
                <h1>{format!("Good to see you, {first_name}")}</h1>
            </div>
            <div class="home-columns">
                <section class="panel">
                    <div class="panel-head">
                        <h2>"Recent conversations"</h2>
                        <a class="button" href="/chat">
                            <Icon name="plus" />
                            "New chat"
                        </a>
                    </div>
                    {conversations}
                </section>
                <section class="home-data">
                    {pinned}
                    <h2>"Data"</h2>
                    {group_cards(&app.resources, &caller)}
                </section>
            </div>
            {tiles}
        </main>
    })
}
