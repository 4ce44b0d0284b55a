//! What stands between a list's head and its table: filters, columns, and what is in force of them.

use leptos::prelude::*;

use super::{address, list::ListView};
use crate::{
    config::{FieldConfig, FieldKind},
    data::{
        present,
        query::{FILTER, Filter, ListQuery, Test},
        resources::{export_address, import_address},
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
                {self.chips()}
            </div>
            {filter_sheet}
            {self.column_sheet()}
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
                    <button
                        class="button"
                        data-variant="quiet"
                        data-shape="icon"
                        type="button"
                        popovertarget=id
                        popovertargetaction="hide"
                    >
                        <Icon name="close" />
                        <span class="visually-hidden">"Close"</span>
                    </button>
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
