//! What stands between a list's head and its table: filters, columns, and what is in force of them.

use leptos::prelude::*;

use super::{address, list::ListView};
use crate::{
    config::{FieldConfig, FieldKind},
    data::{
        present,
        query::{FILTER, Filter, ListQuery, Test},
        resources::{export_address, import_address, summary_address, views_address},
        summary,
        views::View,
    },
    ui::icon::Icon,
};

/// The tools of a list.
pub(super) struct Tools<'v, 'a>(pub &'v ListView<'a>);

impl Tools<'_, '_> {
    pub(super) fn view(&self) -> impl IntoView + use<> {
        let (resource, query) = (self.0.resource, self.0.query);
        let filters: Vec<_> =
            resource.fields.iter().filter(|field| resource.narrows_by(field)).collect();
        let in_force = query.filters.len();
        let filter_button = (!filters.is_empty()).then(|| {
            let count = (in_force > 0).then(|| view! { <span class="badge">{in_force}</span> });
            view! {
                <button class="button" type="button" popovertarget="filters">
                    <Icon name="filter" />
                    "Filter"
                    {count}
                </button>
            }
        });
        let filter_sheet = (!filters.is_empty()).then(|| self.filter_sheet(&filters));
        view! {
            <div class="tools">
                {filter_button}
                <button class="button" type="button" popovertarget="columns">
                    <Icon name="columns" />
                    "Columns"
                </button>
                {self.export()}
                {self.0.may_import.then(|| self.import())}
                {summary::config(resource).map(|_| self.summary())}
                <button class="button" type="button" popovertarget="views">
                    <Icon name="pin" />
                    "Views"
                </button>
                {self.chips()}
            </div>
            {filter_sheet}
            {self.column_sheet()}
            {self.view_sheet()}
        }
    }

    /// The way to all of it in a file.
    fn export(&self) -> impl IntoView + use<> {
        let query = ListQuery { page: 1, ..self.0.query.clone() };
        let list = address(&self.0.resource.config);
        let href = format!("{}?{}", export_address(&list), query.write());
        view! {
            <a class="button" href=href download>
                <Icon name="download" />
                "Export"
            </a>
        }
    }

    /// The way to what all of it comes to.
    fn summary(&self) -> impl IntoView + use<> {
        let query = ListQuery { page: 1, columns: None, ..self.0.query.clone() };
        let list = address(&self.0.resource.config);
        let href = format!("{}?{}", summary_address(&list), query.write());
        view! {
            <a class="button" href=href>
                <Icon name="chart" />
                "Summary"
            </a>
        }
    }

    /// Lists under names, and a name for this one.
    fn view_sheet(&self) -> impl IntoView + use<> {
        let list = address(&self.0.resource.config);
        let query = ListQuery { page: 1, ..self.0.query.clone() }.write();
        let to = views_address(&list);
        let row = |view: &View| {
            let href = format!("{list}?{}", view.query);
            let current = (view.query == query).then_some("page");
            let shared = view.is_shared.then(|| view! { <span class="hint">"shared"</span> });
            let remove = view.is_own.then(|| {
                view! {
                    <form method="post" action=to.clone()>
                        <input type="hidden" name="query" value=query.clone() />
                        <button
                            class="button"
                            data-variant="quiet"
                            data-shape="icon"
                            name="remove"
                            value=view.id.clone()
                        >
                            <Icon name="trash" />
                            <span class="visually-hidden">{format!("Remove {}", view.name)}</span>
                        </button>
                    </form>
                }
            });
            view! {
                <li>
                    <a href=href aria-current=current>
                        {view.name.clone()}
                    </a>
                    {shared}
                    {remove}
                </li>
            }
        };
        let rows = self.0.views.iter().map(row).collect_view();
        let none = self.0.views.is_empty().then(|| {
            view! { <p class="hint">"Filter, sort and choose columns, then give it a name here."</p> }
        });
        let pin =
            if self.0.is_pinned { "Unpin from the first page" } else { "Pin to the first page" };
        let pin_value = if self.0.is_pinned { "0" } else { "1" };
        view! {
            <section id="views" class="sheet" popover aria-labelledby="views-title">
                <div class="sheet-head">
                    <h2 id="views-title">"Views"</h2>
                    {close_button("views")}
                </div>
                <div class="sheet-body">
                    {none}
                    <ul class="views" role="list">{rows}</ul>
                    <form class="keep-view" method="post" action=to.clone()>
                        <input type="hidden" name="query" value=query.clone() />
                        <div class="field">
                            <label for="view-name">"Save this list as"</label>
                            <input
                                id="view-name"
                                type="text"
                                name="name"
                                required
                                maxlength="60"
                                autocomplete="off"
                            />
                        </div>
                        <label class="check">
                            <input type="checkbox" name="shared" value="1" />
                            "For everybody here"
                        </label>
                        <button class="button" data-variant="primary">
                            "Save"
                        </button>
                    </form>
                    <form method="post" action=to>
                        <input type="hidden" name="query" value=query />
                        <button class="button" name="pin" value=pin_value>
                            <Icon name="pin" />
                            {pin}
                        </button>
                    </form>
                </div>
            </section>
        }
    }

    /// The way in for a file.
    fn import(&self) -> impl IntoView + use<> {
        let list = address(&self.0.resource.config);
        view! {
            <a class="button" href=import_address(&list)>
                <Icon name="upload" />
                "Import"
            </a>
        }
    }

    /// One chip for each filter, which takes it away.
    fn chips(&self) -> Option<impl IntoView + use<>> {
        let query = self.0.query;
        (!query.filters.is_empty()).then(|| {
            let chip = |(at, filter): (usize, &Filter)| {
                let mut rest = ListQuery { page: 1, ..query.clone() };
                rest.filters.remove(at);
                let words = self.in_words(filter);
                view! {
                    <li>
                        <a class="chip" href=self.0.href(&rest)>
                            <span class="visually-hidden">"Take away: "</span>
                            {words}
                            <Icon name="close" />
                        </a>
                    </li>
                }
            };
            let chips = query.filters.iter().enumerate().map(chip).collect_view();
            let none = ListQuery { filters: Vec::new(), page: 1, ..query.clone() };
            view! {
                <ul class="chips" role="list" aria-label="Filters in force">
                    {chips}
                    <li>
                        <a class="button" data-variant="quiet" href=self.0.href(&none)>
                            "Clear all"
                        </a>
                    </li>
                </ul>
            }
        })
    }

    fn in_words(&self, filter: &Filter) -> String {
        let field = self.0.resource.field(&filter.field);
        let label = field.map_or(filter.field.as_str(), |field| &field.label);
        let word = |text: &str| {
            field
                .map_or_else(|| text.to_owned(), |field| present::bound(self.0.reader, field, text))
        };
        match &filter.test {
            Test::OneOf(values) => {
                let words: Vec<String> = values.iter().map(|value| word(value)).collect();
                format!("{label}: {}", words.join(" or "))
            }
            Test::From(value) => format!("{label} from {}", word(value)),
            Test::To(value) => format!("{label} to {}", word(value)),
            Test::Has(value) => format!("{label} has “{value}”"),
        }
    }

    fn filter_sheet(&self, filters: &[&FieldConfig]) -> impl IntoView + use<> {
        let query = self.0.query;
        let rest = ListQuery { filters: Vec::new(), page: 1, ..query.clone() };
        let clear = self.0.href(&rest);
        let controls = filters.iter().map(|field| self.control(field)).collect_view();
        sheet("filters", "Filter", rest.pairs(), controls, ("Clear all", clear))
    }

    fn control(&self, field: &FieldConfig) -> impl IntoView + use<> {
        let tests: Vec<&Test> = self
            .0
            .query
            .filters
            .iter()
            .filter(|filter| filter.field == field.name)
            .map(|filter| &filter.test)
            .collect();
        let name = format!("{FILTER}{}", field.name);
        match &field.kind {
            FieldKind::Choice(_) | FieldKind::MultiChoice(_) | FieldKind::Boolean => {
                options(field, name, &chosen(&tests), self.0.resource.asks_exactly()).into_any()
            }
            kind if kind.is_number() => range(field, name, "number", &tests).into_any(),
            kind if kind.is_time() => range(field, name, "date", &tests).into_any(),
            _ => {
                let has = tests.iter().find_map(|test| match test {
                    Test::Has(text) => Some(text.clone()),
                    _ => None,
                });
                text(field, format!("{name}.has"), has).into_any()
            }
        }
    }

    fn column_sheet(&self) -> impl IntoView + use<> {
        let (resource, query) = (self.0.resource, self.0.query);
        let shown: Vec<&str> =
            resource.columns(query).iter().map(|field| field.name.as_str()).collect();
        let fields = resource.fields.iter().filter(|field| !field.kind.is_wide());
        let fields = fields.map(|field| {
            view! {
                <label class="check">
                    <input
                        type="checkbox"
                        name="columns"
                        value=field.name.clone()
                        checked=shown.contains(&field.name.as_str())
                    />
                    {field.label.clone()}
                </label>
            }
        });
        let rest = ListQuery { columns: None, is_dense: false, ..query.clone() };
        let usual = self.0.href(&rest);
        let body = view! {
            <fieldset>
                <legend>"Shown"</legend>
                {fields.collect_view()}
            </fieldset>
            <fieldset>
                <legend>"Rows"</legend>
                <label class="check">
                    <input type="radio" name="density" value="" checked=!query.is_dense />
                    "Comfortable"
                </label>
                <label class="check">
                    <input type="radio" name="density" value="compact" checked=query.is_dense />
                    "Compact"
                </label>
            </fieldset>
        };
        sheet("columns", "Columns", rest.pairs(), body, ("As usual", usual))
    }
}

/// What a form sends along unseen.
pub(super) fn hidden(pairs: Vec<(String, String)>) -> impl IntoView {
    let field = |(name, value): (String, String)| {
        view! { <input type="hidden" name=name value=value /> }
    };
    pairs.into_iter().map(field).collect_view()
}

/// A panel that asks for the list in another way. `kept` goes along unseen; `reset` is the way back.
fn sheet<B: IntoView>(
    id: &'static str,
    title: &'static str,
    kept: Vec<(String, String)>,
    body: B,
    (reset, usual): (&'static str, String),
) -> impl IntoView + use<B> {
    let named_by = format!("{id}-title");
    let title_id = named_by.clone();
    view! {
        <section id=id class="sheet" popover aria-labelledby=named_by>
            <form method="get">
                <div class="sheet-head">
                    <h2 id=title_id>{title}</h2>
                    {close_button(id)}
                </div>
                {hidden(kept)}
                <div class="sheet-body">{body}</div>
                <div class="actions">
                    <button class="button" data-variant="primary">
                        "Show"
                    </button>
                    <a class="button" href=usual>
                        {reset}
                    </a>
                </div>
            </form>
        </section>
    }
}

fn close_button(sheet: &'static str) -> impl IntoView {
    view! {
        <button
            class="button"
            data-variant="quiet"
            data-shape="icon"
            type="button"
            popovertarget=sheet
            popovertargetaction="hide"
        >
            <Icon name="close" />
            <span class="visually-hidden">"Close"</span>
        </button>
    }
}

fn chosen<'a>(tests: &[&'a Test]) -> Vec<&'a str> {
    let values = tests.iter().filter_map(|test| match test {
        Test::OneOf(values) => Some(values.iter().map(String::as_str)),
        _ => None,
    });
    values.flatten().collect()
}

fn options(
    field: &FieldConfig,
    name: String,
    chosen: &[&str],
    only_one: bool,
) -> impl IntoView + use<> {
    let kind = if only_one { "radio" } else { "checkbox" };
    let pair = |(value, label): (&str, &str)| (value.to_owned(), label.to_owned());
    let options: Vec<(String, String)> = match &field.kind {
        FieldKind::Boolean => [("true", "Yes"), ("false", "No")].into_iter().map(pair).collect(),
        kind => kind.choices().iter().map(|it| pair((&it.value, &it.label))).collect(),
    };
    let option = |(value, label): (String, String)| {
        let checked = chosen.contains(&value.as_str());
        view! {
            <label class="check">
                <input type=kind name=name.clone() value=value checked=checked />
                {label}
            </label>
        }
    };
    view! {
        <fieldset>
            <legend>{field.label.clone()}</legend>
            {options.into_iter().map(option).collect_view()}
        </fieldset>
    }
}

fn range(
    field: &FieldConfig,
    name: String,
    kind: &'static str,
    tests: &[&Test],
) -> impl IntoView + use<> {
    let from = tests.iter().find_map(|test| match test {
        Test::From(value) => Some(value.clone()),
        _ => None,
    });
    let to = tests.iter().find_map(|test| match test {
        Test::To(value) => Some(value.clone()),
        _ => None,
    });
    let step = (kind == "number").then_some("any");
    view! {
        <fieldset>
            <legend>{field.label.clone()}</legend>
            <div class="pair">
                <label>
                    "From " <input type=kind step=step name=format!("{name}.from") value=from />
                </label>
                <label>"To " <input type=kind step=step name=format!("{name}.to") value=to /></label>
            </div>
        </fieldset>
    }
}

fn text(field: &FieldConfig, name: String, has: Option<String>) -> impl IntoView + use<> {
    view! {
        <div class="field">
            <label for=name.clone()>{format!("{} has", field.label)}</label>
            <input id=name.clone() type="text" name=name value=has autocomplete="off" />
        </div>
    }
}
