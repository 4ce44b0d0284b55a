//! The console's pages: all collections, one list, one record, its form, and what is still to be done.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};

use tokio::time::timeout;

use super::{
    Resources, access,
    resources::{self, Group},
    summary as data_summary,
};
use crate::{
    config::ResourceConfig,
    error::Result,
    server::{context, state::App},
    session::Caller,
    ui::{icon::Icon, page::awaited, reader::Reader, zone::Zone},
};

pub mod batch;
mod cells;
pub mod form;
mod history;
mod list;
mod narrow;
mod pending;
pub mod proposal;
mod record;
pub mod summary;

/// How many resources a group's card names.
const NAMED: usize = 3;

/// `/data`
#[component]
pub fn IndexPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let groups = visible(&app.resources, &caller);
    let nothing = groups.is_empty().then(nothing_declared);
    let history = app.changes.may_see_all(&caller).then(|| {
        view! {
            <a class="button" href="/data/-/history">
                "History"
            </a>
        }
    });
    let groups = groups.into_iter().map(group_section).collect_view();
    view! {
        <Title text="Data" />
        <main id="main" class="page" tabindex="-1">
            <div class="page-head">
                <h1>"Data"</h1>
                <div class="actions">
                    <a class="button" href=resources::CHANGES>
                        "Changes"
                    </a>
                    {history}
                </div>
            </div>
            {groups}
            {nothing}
        </main>
    }
}

/// `/data/{group}/{name}`
#[component]
pub fn ListPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let query = context::with_parts(|parts| parts.uri.query().unwrap_or_default().to_owned());
    let reader = Reader::of_page();
    awaited(list::page(app, caller, param("group"), param("name"), query, reader))
}

/// `/data/{group}/{name}/{id}`
#[component]
pub fn RecordPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let (group, name, id) = (param("group"), param("name"), param("id"));
    awaited(record::page(app, caller, group, name, id, Reader::of_page()))
}

/// `/data/{group}/{name}/-/new`
#[component]
pub fn NewPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let from = use_query_map().get_untracked().get("from");
    awaited(form::new_page(app, caller, param("group"), param("name"), from, Reader::of_page()))
}

/// `/data/{group}/{name}/{id}/edit`
#[component]
pub fn EditPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let (group, name, id) = (param("group"), param("name"), param("id"));
    awaited(form::edit_page(app, caller, group, name, id, Reader::of_page()))
}

/// `/data/{group}/{name}/-/import`
#[component]
pub fn ImportPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    awaited(batch::import_page(app, caller, param("group"), param("name")))
}

/// `/data/{group}/{name}/-/summary`
#[component]
pub fn SummaryPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let query = context::with_parts(|parts| parts.uri.query().unwrap_or_default().to_owned());
    let reader = Reader::of_page();
    awaited(summary::page(app, caller, param("group"), param("name"), query, reader))
}

/// `/data/-/batches/{id}`
#[component]
pub fn BatchPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    awaited(batch::page(app, caller, param("id"), Reader::of_page()))
}

/// `/data/-/history`
#[component]
pub fn HistoryPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let query = use_query_map().get_untracked();
    let said = |name: &str| query.get(name).filter(|text| !text.is_empty());
    let asked = history::Asked {
        resource: said("resource"),
        person: said("person"),
        before: said("before"),
    };
    awaited(history::page(app, caller, asked, Reader::of_page()))
}

/// `/data/-/changes`
#[component]
pub fn ChangesPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    awaited(pending::page(app, caller, Reader::of_page()))
}

/// `/data/-/changes/{id}`
#[component]
pub fn ChangePage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    awaited(proposal::change_page(app, caller, param("id"), Reader::of_page()))
}

/// A card for each group, naming a few of its resources.
pub fn group_cards(resources: &Resources, caller: &Caller) -> impl IntoView + use<> {
    let card = |(group, resources): (&Group, Vec<&ResourceConfig>)| {
        let first = resources.first().map(|resource| address(resource)).unwrap_or_default();
        let titles: Vec<&str> =
            resources.iter().take(NAMED).map(|resource| resource.title.as_str()).collect();
        let more = resources.len().saturating_sub(NAMED);
        let titles = titles.join(", ");
        let text = if more > 0 { format!("{titles} and {more} more") } else { titles };
        view! {
            <li>
                <a class="card" href=first>
                    <strong>{group.title.clone()}</strong>
                    <span>{text}</span>
                </a>
            </li>
        }
    };
    let cards = visible(resources, caller).into_iter().map(card).collect_view();
    view! {
        <ul class="cards" role="list">
            {cards}
        </ul>
    }
}

/// The resources that the caller has put on the first page.
pub async fn pinned(app: &App, caller: &Caller) -> Result<Option<impl IntoView + use<>>> {
    let pins = app.views.pins(caller).await?;
    let find = |pin: &String| {
        let (group, name) = pin.split_once('.')?;
        let resource = app.resources.find(group, name).ok()?;
        access::of(resource, caller).next().map(|_| resource.clone())
    };
    let pinned: Vec<_> = pins.iter().filter_map(find).collect();
    Ok((!pinned.is_empty()).then(|| {
        let card = |resource: &Arc<ResourceConfig>| {
            view! {
                <li>
                    <a class="card" href=address(resource)>
                        <strong><Icon name=resource.icon />{resource.title.clone()}</strong>
                    </a>
                </li>
            }
        };
        view! {
            <h2>"Pinned"</h2>
            <ul class="cards" role="list">
                {pinned.iter().map(card).collect_view()}
            </ul>
        }
    }))
}

/// The most resources whose numbers stand on the first page, and how long they are waited for.
const TILED: usize = 2;
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What the resources that are only read come to. A backend that is slow or out is left out.
pub async fn tile_cards(
    app: &App,
    caller: &Caller,
    reader: &Reader,
) -> Option<impl IntoView + use<>> {
    let all = visible(&app.resources, caller).into_iter().flat_map(|(_, resources)| resources);
    let tiled = all.filter(|resource| data_summary::may_have(resource)).take(TILED);
    let cards =
        tiled.map(|resource| summary::card(app, caller, reader, &resource.group, &resource.name));
    let cards = timeout(PATIENCE, join_all(cards)).await.unwrap_or_default();
    let cards: Vec<AnyView> = cards.into_iter().flatten().collect();
    (!cards.is_empty()).then(|| {
        view! {
            <section class="home-tiles">
                <h2>"At a glance"</h2>
                <ul class="plots" role="list">
                    {cards}
                </ul>
            </section>
        }
    })
}

/// The groups of which this caller may see something, each with that.
fn visible<'a>(
    resources: &'a Resources,
    caller: &Caller,
) -> Vec<(&'a Group, Vec<&'a ResourceConfig>)> {
    let seen = |group: &'a Group| {
        let resources = group.resources.iter().map(|resource| &**resource);
        resources.filter(|resource| access::of(resource, caller).next().is_some()).collect()
    };
    let groups = resources.groups().iter().map(|group| (group, seen(group)));
    groups.filter(|(_, seen): &(_, Vec<_>)| !seen.is_empty()).collect()
}

fn group_section((group, resources): (&Group, Vec<&ResourceConfig>)) -> impl IntoView + use<> {
    let card = |resource: &ResourceConfig| {
        view! {
            <li>
                <a class="card" href=address(resource)>
                    <strong><Icon name=resource.icon />{resource.title.clone()}</strong>
                </a>
            </li>
        }
    };
    let cards = resources.into_iter().map(card).collect_view();
    view! {
        <section class="group">
            <h2>{group.title.clone()}</h2>
            <ul class="cards" role="list">
                {cards}
            </ul>
        </section>
    }
}

fn nothing_declared() -> impl IntoView {
    view! {
        <div class="empty">
            <Icon name="inbox" />
            <strong>"No data yet"</strong>
            <p>"Declare a collection under [resources] in Leptos.toml and it appears here."</p>
        </div>
    }
}

/// The way to what is below a list.
fn trail(app: &App, config: &ResourceConfig) -> Vec<(String, String)> {
    let group = app.resources.group(&config.group).map(|group| group.title.clone());
    vec![
        ("Data".to_owned(), "/data".to_owned()),
        (group.unwrap_or_else(|_| config.group.clone()), "/data".to_owned()),
        (config.title.clone(), address(config)),
    ]
}

fn breadcrumb(trail: Vec<(String, String)>, here: &str) -> impl IntoView + use<> {
    let link = |(title, href): (String, String)| view! { <li><a href=href>{title}</a></li> };
    view! {
        <nav class="breadcrumb" aria-label="Breadcrumb">
            <ol role="list">
                {trail.into_iter().map(link).collect_view()}
                <li>
                    <span aria-current="page">{here.to_owned()}</span>
                </li>
            </ol>
        </nav>
    }
}

/// What stands above data that is not the newest, because its backend is out.
fn stale_notice(reader: &Reader, as_of: time::OffsetDateTime) -> impl IntoView + use<> {
    let words = format!("Showing data from {}.", reader.time(as_of));
    view! {
        <div class="notice" data-kind="warning" role="status">
            <Icon name="warning" />
            <div>
                <strong>{words}</strong>
                <p>"The backend cannot be reached right now, so nothing can be changed."</p>
            </div>
            <a class="button" href="">
                <Icon name="refresh" />
                "Try again"
            </a>
        </div>
    }
}

/// The page's script, which is told what zone the page was written for.
fn script() -> impl IntoView {
    let nonce = leptos::nonce::use_nonce();
    let zone = Zone::of_page().name().to_owned();
    view! { <script type="module" src="/data.js" nonce=nonce data-zone=zone></script> }
}

fn address(resource: &ResourceConfig) -> String {
    resources::address(&resource.group, &resource.name)
}

fn param(name: &str) -> String {
    use_params_map().get_untracked().get(name).unwrap_or_default()
}
