//! The console's pages: all collections, one list, one record.

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::{use_params_map, use_query_map};
use url::form_urlencoded;

use super::{
    Resources,
    island::ShowsLoading,
    resources::Group,
    wire::{Column, Field, ListQuery, RecordList, Row, Shown},
};
use crate::{
    config::ResourceConfig,
    error::{Error, Kind, Result},
    server::{context, state::App},
    session::Caller,
    ui::{
        icon::Icon,
        page::{awaited, request_id},
    },
};

const PAGE_SIZES: [u64; 4] = [25, 50, 100, 200];
/// How many resources a group's card names.
const NAMED: usize = 3;

/// `/data`
#[component]
pub fn IndexPage() -> impl IntoView {
    let app = context::app();
    let groups = app.resources.groups().iter().map(group_section).collect_view();
    let nothing = app.resources.groups().is_empty().then(nothing_declared);
    view! {
        <Title text="Data" />
        <main id="main" class="page" tabindex="-1">
            <div class="page-head">
                <h1>"Data"</h1>
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
    let (group, name) = (param("group"), param("name"));
    let query = list_query();
    awaited(list(app, caller, group, name, query))
}

/// `/data/{group}/{name}/{id}`
#[component]
pub fn RecordPage() -> impl IntoView {
    let (app, caller) = (context::app(), context::caller());
    let (group, name, id) = (param("group"), param("name"), param("id"));
    awaited(record(app, caller, group, name, id))
}

/// A card for each group, naming a few of its resources.
pub fn group_cards(resources: &Resources) -> impl IntoView + use<> {
    let card = |group: &Group| {
        let first = group.resources.first().map(address).unwrap_or_default();
        let titles: Vec<_> =
            group.resources.iter().take(NAMED).map(|resource| resource.title.clone()).collect();
        let more = group.resources.len().saturating_sub(NAMED);
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
    let cards = resources.groups().iter().map(card).collect_view();
    view! {
        <ul class="cards" role="list">
            {cards}
        </ul>
    }
}

fn group_section(group: &Group) -> impl IntoView + use<> {
    let card = |resource: &ResourceConfig| {
        view! {
            <li>
                <a class="card" href=address(resource)>
                    <strong>{resource.title.clone()}</strong>
                </a>
            </li>
        }
    };
    let cards = group.resources.iter().map(card).collect_view();
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

async fn list(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    query: ListQuery,
) -> Result<impl IntoView> {
    let resource = app.resources.find(&group, &name)?.clone();
    let group_title = app.resources.group(&group)?.title.clone();
    let title = resource.title.clone();
    let answer = app.data().list(&caller, &group, &name, &query).await;
    let (count, body) = match answer {
        Ok(list) => (count(&list, &query), list_body(&resource, &list, &query).into_any()),
        Err(error) if error.kind() == Kind::NotFound || error.kind() == Kind::BadRequest => {
            return Err(error);
        }
        Err(error) => (String::new(), trouble(&error).into_any()),
    };
    let search = search_form(&resource, &query);
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="wide" tabindex="-1">
            <ShowsLoading>
                {breadcrumb(vec![("Data".to_owned(), "/data".to_owned()), (group_title, "/data".to_owned())], &title)}
                <div class="page-head">
                    <div class="title">
                        <h1>{title.clone()}</h1>
                        <p class="count">{count}</p>
                    </div>
                    {search}
                </div>
                {body}
            </ShowsLoading>
        </main>
    })
}

fn list_body(
    resource: &ResourceConfig,
    list: &RecordList,
    query: &ListQuery,
) -> impl IntoView + use<> {
    if list.rows.is_empty() {
        return nothing_found(resource, query).into_any();
    }
    let headers = list.columns.iter().map(|column| header_cell(column, query)).collect_view();
    let rows = list.rows.iter().map(|row| table_row(resource, &list.columns, row)).collect_view();
    view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label=resource.title.clone()>
            <table class="records">
                <thead>
                    <tr>{headers}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
        {pagination(list.total, query)}
    }
    .into_any()
}

fn header_cell(column: &Column, query: &ListQuery) -> impl IntoView + use<> {
    let at_end = column.at_end.then_some("end");
    if !column.sortable {
        return view! {
            <th scope="col" data-align=at_end>
                {column.label.clone()}
            </th>
        }
        .into_any();
    }
    let (sorted, icon, next) = sort_state(&column.name, &query.sort);
    let href = address_of(&ListQuery { sort: next, page: 1, ..query.clone() });
    view! {
        <th scope="col" aria-sort=sorted data-align=at_end>
            <a href=href>{column.label.clone()} <Icon name=icon /></a>
        </th>
    }
    .into_any()
}

/// What the header says, its icon, and the order that its link asks for.
fn sort_state(column: &str, sort: &str) -> (Option<&'static str>, &'static str, String) {
    if sort == column {
        return (Some("ascending"), "sort-up", format!("-{column}"));
    }
    if sort.strip_prefix('-') == Some(column) {
        return (Some("descending"), "sort-down", column.to_owned());
    }
    (None, "sort", column.to_owned())
}

/// The first cell with a value names the row and leads to the record.
fn table_row(resource: &ResourceConfig, columns: &[Column], row: &Row) -> impl IntoView + use<> {
    let href = record_address(resource, &row.id);
    let mut cells = columns.iter().zip(&row.cells);
    let name = cells.next().map(|(_, cell)| cell.text().to_owned()).filter(|text| !text.is_empty());
    let name = name.unwrap_or_else(|| format!("#{}", row.id));
    let cells = cells
        .map(|(column, cell)| {
            view! {
                <td data-label=column.label.clone() data-align=column.at_end.then_some("end")>
                    {shown(cell)}
                </td>
            }
        })
        .collect_view();
    view! {
        <tr>
            <th scope="row">
                <a href=href>{name}</a>
            </th>
            {cells}
        </tr>
    }
}

fn shown(value: &Shown) -> impl IntoView + use<> {
    match value.clone() {
        // An empty text would be written as a blank, and the cell would no longer be `:empty`.
        Shown::Text { text } => (!text.is_empty()).then_some(text).into_any(),
        Shown::Link { text, href } => {
            view! { <a href=href rel="noopener noreferrer">{text}</a> }.into_any()
        }
        Shown::Pill { text, good } => view! {
            <span class="pill" data-tone=good.then_some("good")>
                {text}
            </span>
        }
        .into_any(),
    }
}

fn count(list: &RecordList, query: &ListQuery) -> String {
    match (list.total, query.q.is_empty()) {
        (1, true) => "1 record".to_owned(),
        (total, true) => format!("{total} records"),
        (1, false) => "1 match".to_owned(),
        (total, false) => format!("{total} matches"),
    }
}

fn nothing_found(resource: &ResourceConfig, query: &ListQuery) -> impl IntoView + use<> {
    let things = resource.title.to_lowercase();
    if query.q.is_empty() {
        return view! {
            <div class="empty">
                <Icon name="inbox" />
                <strong>{format!("No {things} yet")}</strong>
                <p>"They appear here as soon as there are some."</p>
            </div>
        }
        .into_any();
    }
    view! {
        <div class="empty">
            <Icon name="search" />
            <strong>{format!("Nothing matches “{}”", query.q)}</strong>
            <p>"Try fewer or other words."</p>
            <a class="button" href="?">
                "Clear search"
            </a>
        </div>
    }
    .into_any()
}

fn trouble(error: &Error) -> impl IntoView + use<> {
    context::report(error);
    view! {
        <div class="notice" data-kind="error" role="alert">
            <Icon name="warning" />
            <div>
                <strong>"The list cannot be shown"</strong>
                <p>{error.message().to_owned()}</p>
                <p class="trace">{format!("Request {}", request_id())}</p>
            </div>
            <a class="button" href="">
                <Icon name="refresh" />
                "Retry"
            </a>
        </div>
    }
}

fn search_form(resource: &ResourceConfig, query: &ListQuery) -> impl IntoView + use<> {
    let placeholder = format!("Search {}", resource.title.to_lowercase());
    view! {
        <form class="search" role="search" method="get">
            <label class="visually-hidden" for="q">
                "Search"
            </label>
            <input id="q" type="search" name="q" value=query.q.clone() placeholder=placeholder />
            {(!query.sort.is_empty())
                .then(|| view! { <input type="hidden" name="sort" value=query.sort.clone() /> })}
            <button class="button">
                <Icon name="search" />
                "Search"
            </button>
        </form>
    }
}

fn pagination(total: u64, query: &ListQuery) -> impl IntoView + use<> {
    let last = total.div_ceil(query.page_size).max(1);
    let to = |page: u64| address_of(&ListQuery { page, ..query.clone() });
    let numbers = page_numbers(query.page, last)
        .into_iter()
        .map(|page| match page {
            None => view! { <li><span>"…"</span></li> }.into_any(),
            Some(page) => {
                let current = (page == query.page).then_some("page");
                view! {
                    <li>
                        <a href=to(page) aria-current=current aria-label=format!("Page {page}")>
                            {page}
                        </a>
                    </li>
                }
                .into_any()
            }
        })
        .collect_view();
    let previous = step("Previous", (query.page > 1).then(|| to(query.page - 1)), "prev");
    let next = step("Next", (query.page < last).then(|| to(query.page + 1)), "next");
    view! {
        <nav class="pagination" aria-label="Pages">
            {previous}
            <ol role="list">{numbers}</ol>
            {next}
            {page_size_form(query)}
        </nav>
    }
}

fn step(title: &'static str, href: Option<String>, rel: &'static str) -> impl IntoView {
    match href {
        Some(href) => view! { <a class="button" href=href rel=rel>{title}</a> }.into_any(),
        None => view! { <span class="button" aria-disabled="true">{title}</span> }.into_any(),
    }
}

/// The first, the last and those around the current one; `None` for a gap.
fn page_numbers(current: u64, last: u64) -> Vec<Option<u64>> {
    let mut numbers = Vec::new();
    let mut previous = 0;
    for page in (1..=last).filter(|page| *page == 1 || *page == last || page.abs_diff(current) <= 1)
    {
        if page > previous + 1 {
            numbers.push(None);
        }
        numbers.push(Some(page));
        previous = page;
    }
    numbers
}

fn page_size_form(query: &ListQuery) -> impl IntoView + use<> {
    let option = |size: u64| {
        view! {
            <option selected=size == query.page_size>{size}</option>
        }
    };
    view! {
        <form class="page-size" method="get">
            <input type="hidden" name="q" value=query.q.clone() />
            <input type="hidden" name="sort" value=query.sort.clone() />
            <label>"Rows " <select name="page_size">{PAGE_SIZES.map(option).collect_view()}</select></label>
            <button class="button">"Show"</button>
        </form>
    }
}

async fn record(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    id: String,
) -> Result<impl IntoView> {
    let resource = app.resources.find(&group, &name)?.clone();
    let group_title = app.resources.group(&group)?.title.clone();
    let record = app.data().read(&caller, &group, &name, &id).await?;
    let list = address(&resource);
    let trail = vec![
        ("Data".to_owned(), "/data".to_owned()),
        (group_title, "/data".to_owned()),
        (resource.title.clone(), list.clone()),
    ];
    let back = format!("Back to {}", resource.title.to_lowercase());
    Ok(view! {
        <Title text=record.title.clone() />
        <main id="main" class="page" tabindex="-1">
            {breadcrumb(trail, &record.title)}
            <div class="page-head">
                <h1>{record.title}</h1>
                <a class="button" href=list>
                    <Icon name="chevron-left" />
                    {back}
                </a>
            </div>
            <dl class="record">{record.fields.iter().map(field).collect_view()}</dl>
        </main>
    })
}

fn field(field: &Field) -> impl IntoView + use<> {
    view! {
        <div data-wide=field.wide.then_some("")>
            <dt>{field.label.clone()}</dt>
            <dd>{shown(&field.value)}</dd>
        </div>
    }
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

fn address(resource: &ResourceConfig) -> String {
    format!("/data/{}/{}", resource.group, resource.name)
}

fn record_address(resource: &ResourceConfig, id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("{}/{}", address(resource), id.replace('+', "%20"))
}

/// The query of a list's address; what has its default value is left out.
fn address_of(query: &ListQuery) -> String {
    let usual = ListQuery::default();
    let mut pairs = form_urlencoded::Serializer::for_suffix(String::from("?"), 1);
    if !query.q.is_empty() {
        pairs.append_pair("q", &query.q);
    }
    if !query.sort.is_empty() {
        pairs.append_pair("sort", &query.sort);
    }
    if query.page_size != usual.page_size {
        pairs.append_pair("page_size", &query.page_size.to_string());
    }
    if query.page != usual.page {
        pairs.append_pair("page", &query.page.to_string());
    }
    pairs.finish()
}

fn list_query() -> ListQuery {
    let map = use_query_map().get_untracked();
    let usual = ListQuery::default();
    let number = |name: &str, usual: u64| {
        map.get(name).and_then(|value| value.parse().ok()).filter(|n| *n > 0).unwrap_or(usual)
    };
    ListQuery {
        page: number("page", usual.page),
        page_size: number("page_size", usual.page_size).min(PAGE_SIZES[PAGE_SIZES.len() - 1]),
        q: map.get("q").unwrap_or_default().trim().to_owned(),
        sort: map.get("sort").unwrap_or_default(),
    }
}

fn param(name: &str) -> String {
    use_params_map().get_untracked().get(name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_numbers_show_the_ends_and_the_neighbours() {
        assert_eq!(page_numbers(1, 1), [Some(1)]);
        assert_eq!(page_numbers(1, 10), [Some(1), Some(2), None, Some(10)]);
        assert_eq!(page_numbers(5, 10), [Some(1), None, Some(4), Some(5), Some(6), None, Some(10)]);
    }

    #[test]
    fn an_address_holds_what_is_not_usual() {
        assert_eq!(address_of(&ListQuery::default()), "?");
        let query = ListQuery { q: "a b".into(), sort: "-name".into(), page: 2, page_size: 50 };
        assert_eq!(address_of(&query), "?q=a+b&sort=-name&page_size=50&page=2");
    }

    #[test]
    fn a_header_asks_for_the_other_order() {
        assert_eq!(sort_state("name", ""), (None, "sort", "name".to_owned()));
        assert_eq!(sort_state("name", "name").2, "-name");
        assert_eq!(sort_state("name", "-name").2, "name");
    }
}
