//! `/data/{group}/{name}`: one page of a list, and everything that leads to another.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;

use super::{
    address,
    batch::{self, Bulk},
    breadcrumb,
    cells::{Column, Rows},
    narrow::{Tools, hidden},
    pending, proposal, script, stale_notice,
};
use crate::{
    config::{Action, FieldConfig, in_sentence},
    data::{
        access,
        changes::{Batch, Change},
        present,
        query::{ListQuery, Sort},
        resources::{asked_address, bulk_address, new_address},
        service::{Listing, Resource},
        views::View,
    },
    error::{Error, Kind, Result},
    server::{context, state::App},
    session::Caller,
    store::new_id,
    ui::{icon::Icon, page::request_id, reader::Reader},
};

/// A list as a reader sees it.
pub(super) struct ListView<'a> {
    pub resource: &'a Resource,
    pub query: &'a ListQuery,
    pub reader: &'a Reader,
    /// What the reader still wants done to records of it.
    pub changes: &'a [Change],
    /// The same of many at once.
    pub batches: &'a [Batch],
    /// Lists under names.
    pub views: &'a [View],
    /// Whether it is on their first page.
    pub is_pinned: bool,
    /// What they may do with many of them.
    pub bulk: Option<Bulk<'a>>,
    /// Whether they may make new ones.
    pub may_create: bool,
    /// Whether a file may bring some.
    pub may_import: bool,
    /// Whether there is somebody to ask about it.
    pub may_ask: bool,
}

pub(super) async fn page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    query: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let data = app.data();
    let group_title = app.resources.group(&group)?.title.clone();
    let title = app.resources.find(&group, &name)?.title.clone();
    let trail = vec![("Data".to_owned(), "/data".to_owned()), (group_title, "/data".to_owned())];
    let body = match data.resource(&caller, &group, &name).await {
        Ok(resource) => {
            let query = resource.query(&query);
            let list = data.list(&caller, &resource, &query, &reader.zone).await;
            let changes = app.changes.open(&caller, Some(&resource.config)).await?;
            let batches = app.changes.batches(&caller, Some(&resource)).await?;
            let views = app.views.of(&caller, &resource).await?;
            let pins = app.views.pins(&caller).await?;
            let may = |action| access::may(&resource.config, &caller, action);
            let view = ListView {
                resource: &resource,
                query: &query,
                reader: &reader,
                changes: &changes,
                batches: &batches,
                views: &views,
                is_pinned: pins.contains(&format!("{group}.{name}")),
                bulk: Bulk::of(&resource, &caller),
                may_create: may(Action::Create),
                may_import: may(Action::Create) || may(Action::Update),
                may_ask: app.config.chat.is_some(),
            };
            match list {
                Ok(mut list) => {
                    view.preview(&mut list.rows);
                    view.view(&list)
                }
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => view.out(&error),
            }
        }
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => view! {
            {head(&title, String::new(), ())}
            {trouble(&error)}
        }
        .into_any(),
    };
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="wide" tabindex="-1">
            <div class="progress" role="progressbar" aria-label="Loading" hidden></div>
            {breadcrumb(trail, &title)}
            {body}
            {script()}
        </main>
    })
}

/// Whether there is nothing to show, and trying again would not help.
fn is_final(error: &Error) -> bool {
    let kind = error.kind();
    matches!(kind, Kind::NotFound | Kind::BadRequest | Kind::Forbidden | Kind::Unauthenticated)
}

fn head<E: IntoView>(title: &str, count: String, end: E) -> impl IntoView + use<E> {
    view! {
        <div class="page-head">
            <div class="title">
                <h1>{title.to_owned()}</h1>
                <p class="count">{count}</p>
            </div>
            {end}
        </div>
    }
}

impl ListView<'_> {
    /// The address of this list with another query.
    pub(super) fn href(&self, query: &ListQuery) -> String {
        match query.write() {
            query if query.is_empty() => address(&self.resource.config),
            query => format!("?{query}"),
        }
    }

    /// The list, where the backend answered.
    fn view(&self, list: &Listing) -> AnyView {
        let stale = list.as_of.map(|at| stale_notice(self.reader, at));
        let body = if list.rows.is_empty() {
            self.nothing_found().into_any()
        } else {
            view! {
                {self.table(list)}
                {self.pagination(list)}
            }
            .into_any()
        };
        view! {
            {head(&self.resource.config.title, self.count(list), self.ends(list.as_of.is_none()))}
            {pending::bar(self.reader, self.changes, self.resource)}
            {self.batch_notices()}
            {Tools(self).view()}
            {stale}
            {body}
        }
        .into_any()
    }

    /// What stands at the end of the head: the search, and the way to a new record where there is one.
    fn ends(&self, is_there: bool) -> impl IntoView + use<> {
        let new = (self.may_create && is_there).then(|| {
            let label = format!("New {}", in_sentence(&self.resource.config.singular));
            let href = new_address(&address(&self.resource.config));
            view! {
                <a class="button" data-variant="primary" href=href data-key="n">
                    <Icon name="plus" />
                    {label}
                </a>
            }
        });
        let asked = ListQuery { columns: None, is_dense: false, page: 1, ..self.query.clone() };
        let asked = asked_address(address(&self.resource.config), &asked.write());
        let ask = self.may_ask.then(|| proposal::ask_about(&asked));
        view! { <div class="ends">{self.search()} {ask} {new}</div> }
    }

    fn batch_notices(&self) -> impl IntoView + use<> {
        let notices = self.batches.iter().map(|batch| batch::notice(batch, Some(self.resource)));
        notices.collect_view()
    }

    /// Lays what is still to be saved over the rows.
    fn preview(&self, rows: &mut [Value]) {
        for change in self.changes.iter().filter(|change| change.is_under_way()) {
            let of_change =
                |row: &&mut Value| present::id(&self.resource.config, row) == change.record;
            if let Some(Value::Object(row)) = rows.iter_mut().find(of_change) {
                row.extend(change.values.clone());
            }
        }
    }

    /// The frame of the list, where the backend did not.
    fn out(&self, error: &Error) -> AnyView {
        view! {
            {head(&self.resource.config.title, String::new(), self.ends(false))}
            {pending::bar(self.reader, self.changes, self.resource)}
            {self.batch_notices()}
            {Tools(self).view()}
            {trouble(error)}
        }
        .into_any()
    }

    fn count(&self, list: &Listing) -> String {
        let Some(total) = list.total else {
            return format!("Page {}", self.query.page);
        };
        let (one, many) = match self.query.is_narrowed() {
            true => ("match", "matches"),
            false => ("record", "records"),
        };
        let number = self.reader.number(&total.to_string(), None);
        format!("{number} {}", if total == 1 { one } else { many })
    }

    fn table(&self, list: &Listing) -> impl IntoView + use<> {
        let columns = self.resource.columns(self.query);
        let headers = columns.iter().map(|field| self.header_cell(field)).collect_view();
        let rows = Rows {
            reader: self.reader,
            resource: &self.resource.config,
            list: address(&self.resource.config),
            columns: columns.iter().map(|field| Column::new(field)).collect(),
            changes: self.changes,
            can_be_chosen: self.picks(list),
        };
        let rows = rows.write(&list.rows);
        let totals = self.totals(&columns, list);
        let label = self.resource.config.title.clone();
        let density = self.query.is_dense.then_some("compact");
        let pick = self.picks(list).then(|| {
            view! {
                <th class="pick">
                    <span class="visually-hidden">"Choose"</span>
                </th>
            }
        });
        let table = view! {
            <div class="table-scroll" tabindex="0" role="region" aria-label=label>
                <table class="records" data-density=density>
                    <thead>
                        <tr>{pick} {headers}</tr>
                    </thead>
                    <tbody inner_html=rows></tbody>
                    {totals}
                </table>
            </div>
        };
        match self.bulk.as_ref().filter(|_| self.picks(list)) {
            None => table.into_any(),
            Some(bulk) => {
                let shown = list.rows.len() as u64;
                let query = ListQuery { page: 1, ..self.query.clone() }.write();
                let to = bulk_address(&address(&self.resource.config));
                view! {
                    <form class="bulk-form" method="post" action=to>
                        <input type="hidden" name="query" value=query />
                        <input type="hidden" name="request" value=new_id() />
                        {list.total.map(|total| {
                            view! { <input type="hidden" name="count" value=total.to_string() /> }
                        })}
                        {bulk.view(self.resource, list.total, shown)}
                        {table}
                    </form>
                }
                .into_any()
            }
        }
    }

    /// Whether rows can be chosen.
    fn picks(&self, list: &Listing) -> bool {
        self.bulk.is_some() && list.as_of.is_none()
    }

    fn header_cell(&self, field: &FieldConfig) -> impl IntoView + use<> {
        let at_end = field.kind.is_number().then_some("end");
        let label = field.label.clone();
        if !(field.sortable && self.resource.sorts()) {
            return view! {
                <th scope="col" data-align=at_end>
                    {label}
                </th>
            }
            .into_any();
        }
        let (sorted, icon, next) = sort_state(&field.name, self.query.sort.as_ref());
        let href = self.href(&ListQuery { sort: Some(next), page: 1, ..self.query.clone() });
        view! {
            <th scope="col" aria-sort=sorted data-align=at_end>
                <a href=href>{label} <Icon name=icon /></a>
            </th>
        }
        .into_any()
    }

    /// What columns come to that are added up, on this page.
    fn totals(&self, columns: &[&FieldConfig], list: &Listing) -> Option<impl IntoView + use<>> {
        columns.iter().any(|field| field.total).then(|| {
            let is_all = list.total.is_some_and(|total| total == list.rows.len() as u64);
            let name = if is_all { "Total" } else { "Total of this page" };
            let first = columns.first().filter(|field| field.total);
            let first = first.map(|field| present::sum(self.reader, field, &list.rows));
            let name = first.map_or_else(|| name.to_owned(), |sum| format!("{name}: {sum}"));
            let cell = |field: &&FieldConfig| {
                let sum = field.total.then(|| present::sum(self.reader, field, &list.rows));
                view! {
                    <td data-label=field.label.clone() data-align="end">
                        {sum}
                    </td>
                }
            };
            view! {
                <tfoot>
                    <tr>
                        {self.picks(list).then(|| view! { <td></td> })}
                        <th scope="row">{name}</th>
                        {columns.iter().skip(1).map(cell).collect_view()}
                    </tr>
                </tfoot>
            }
        })
    }

    fn nothing_found(&self) -> impl IntoView + use<> {
        let things = self.resource.config.things();
        if !self.query.is_narrowed() {
            return view! {
                <div class="empty">
                    <Icon name="inbox" />
                    <strong>{format!("No {things} yet")}</strong>
                    <p>"They appear here as soon as there are some."</p>
                </div>
            }
            .into_any();
        }
        let (words, remedy) = match (self.query.q.as_str(), self.query.filters.is_empty()) {
            ("", _) => (format!("No {things} pass these filters"), "Take some of them away."),
            (q, true) => (format!("Nothing matches “{q}”"), "Try fewer or other words."),
            (q, false) => (
                format!("Nothing matches “{q}” and these filters"),
                "Try other words, or take filters away.",
            ),
        };
        let ListQuery { columns, is_dense, page_size, .. } = self.query.clone();
        let all = ListQuery { columns, is_dense, page_size, ..ListQuery::default() };
        view! {
            <div class="empty">
                <Icon name="search" />
                <strong>{words}</strong>
                <p>{remedy}</p>
                <a class="button" href=self.href(&all)>
                    {format!("Show all {things}")}
                </a>
            </div>
        }
        .into_any()
    }

    fn search(&self) -> Option<impl IntoView + use<>> {
        self.resource.searches().then(|| {
            let placeholder = format!("Search {}", self.resource.config.things());
            let rest = ListQuery { q: String::new(), page: 1, ..self.query.clone() };
            view! {
                <form class="search" role="search" method="get">
                    <label class="visually-hidden" for="q">
                        "Search"
                    </label>
                    <input
                        id="q"
                        type="search"
                        name="q"
                        value=self.query.q.clone()
                        placeholder=placeholder
                    />
                    {hidden(rest.pairs())}
                    <button class="button">
                        <Icon name="search" />
                        "Search"
                    </button>
                </form>
            }
        })
    }

    fn pagination(&self, list: &Listing) -> impl IntoView + use<> {
        let here = self.query.page;
        let to = |page: u64| self.href(&ListQuery { page, cursor: None, ..self.query.clone() });
        let is_counted = self.query.cursor.is_none() && list.cursor.is_none();
        let numbers = list.total.filter(|_| is_counted).map(|total| {
            let last = total.div_ceil(list.page_size.max(1)).max(1);
            let number = |page: Option<u64>| match page {
                None => view! { <li><span>"…"</span></li> }.into_any(),
                Some(page) => view! {
                    <li>
                        <a
                            href=to(page)
                            aria-current=(page == here).then_some("page")
                            aria-label=format!("Page {page}")
                        >
                            {page}
                        </a>
                    </li>
                }
                .into_any(),
            };
            let numbers = page_numbers(here, last).into_iter().map(number).collect_view();
            view! { <ol role="list">{numbers}</ol> }
        });
        // Who does not count pages knows no way back but to the first.
        let previous = match self.query.cursor {
            Some(_) => step("First page", (here > 1).then(|| to(1)), "first"),
            None => step("Previous", (here > 1).then(|| to(here - 1)), "prev"),
        };
        let after = ListQuery { page: here + 1, cursor: list.cursor.clone(), ..self.query.clone() };
        let next = step("Next", list.has_next(here).then(|| self.href(&after)), "next");
        view! {
            <nav class="pagination" aria-label="Pages">
                {previous}
                {numbers}
                {next}
                {self.page_size_form(list)}
            </nav>
        }
    }

    fn page_size_form(&self, list: &Listing) -> Option<impl IntoView + use<>> {
        let mut sizes = self.resource.page_sizes();
        if !sizes.contains(&list.page_size) {
            // The backend keeps to its own.
            sizes = vec![list.page_size];
        }
        (sizes.len() > 1).then(|| {
            let option = |size: &u64| {
                view! {
                    <option selected=*size == list.page_size>{*size}</option>
                }
            };
            let rest = ListQuery { page: 1, ..self.query.clone() }.pairs();
            let rest = rest.into_iter().filter(|(name, _)| name != "page_size").collect();
            view! {
                <form class="page-size" method="get">
                    {hidden(rest)}
                    <label>
                        "Rows "
                        <select name="page_size">{sizes.iter().map(option).collect_view()}</select>
                    </label>
                    <button class="button">"Show"</button>
                </form>
            }
        })
    }
}

/// What the header says, its icon, and the order that its link asks for.
fn sort_state(field: &str, sort: Option<&Sort>) -> (Option<&'static str>, &'static str, Sort) {
    let next = |descending| Sort { field: field.to_owned(), descending };
    match sort.filter(|sort| sort.field == field) {
        Some(Sort { descending: false, .. }) => (Some("ascending"), "sort-up", next(true)),
        Some(Sort { descending: true, .. }) => (Some("descending"), "sort-down", next(false)),
        None => (None, "sort", next(false)),
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
    let mut pages = vec![1, current.saturating_sub(1), current, current.saturating_add(1), last];
    pages.retain(|page| (1..=last).contains(page));
    pages.sort_unstable();
    pages.dedup();
    let mut numbers = Vec::new();
    let mut previous = 0;
    for page in pages {
        if page > previous + 1 {
            numbers.push(None);
        }
        numbers.push(Some(page));
        previous = page;
    }
    numbers
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_numbers_show_the_ends_and_the_neighbours() {
        assert_eq!(page_numbers(1, 1), [Some(1)]);
        assert_eq!(page_numbers(1, 10), [Some(1), Some(2), None, Some(10)]);
        assert_eq!(page_numbers(5, 10), [Some(1), None, Some(4), Some(5), Some(6), None, Some(10)]);
        assert_eq!(page_numbers(u64::MAX, 2), [Some(1), Some(2)]);
    }

    #[test]
    fn a_header_asks_for_the_other_order() {
        let (name, reverse) = (Sort::read("name"), Sort::read("-name"));
        assert_eq!(sort_state("name", None), (None, "sort", name.clone().unwrap()));
        assert_eq!(sort_state("name", name.as_ref()).2, reverse.clone().unwrap());
        assert_eq!(sort_state("name", reverse.as_ref()).2, name.unwrap());
    }
}
