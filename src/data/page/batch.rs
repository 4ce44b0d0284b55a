//! Changes of many records: choosing a file, looking at what it asks for, watching it being done, and
//! the report of what did not work out.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;
use time::OffsetDateTime;

use super::{address, breadcrumb, cells::written, form::Typed, script, trail};
use crate::{
    config::{Action, FieldConfig, FieldKind, OperationConfig, in_sentence},
    data::{
        access,
        changes::{Batch, Change, Deed, State, TROUBLE},
        form, present,
        resources::{
            address as list_address, batch_address, bulk_address, export_address, import_address,
            record_address, report_address,
        },
        service::Resource,
    },
    error::Result,
    server::state::App,
    session::Caller,
    ui::{icon::Icon, reader::Reader, zone::Zone},
};

/// How many lines of a file are shown before it is imported.
const PREVIEWED: i64 = 20;
/// How many changes that did not work out are named.
const NAMED: i64 = 200;

pub(super) async fn import_page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
) -> Result<impl IntoView> {
    let resource = app.data().resource(&caller, &group, &name).await?;
    let config = &resource.config;
    if !access::may(config, &caller, Action::Update) {
        access::check(config, &caller, Action::Create)?;
    }
    Ok(import_view(&app, &resource, None))
}

/// The page on which a file is chosen; `problem` is what was wrong with the last one.
pub fn import_view(
    app: &App,
    resource: &Resource,
    problem: Option<String>,
) -> impl IntoView + use<> {
    let config = &resource.config;
    let list = address(config);
    let title = format!("Import {}", config.things());
    let notice = problem.map(|problem| {
        view! {
            <div class="notice" data-kind="error" role="alert">
                <Icon name="warning" />
                <div>
                    <strong>"The file was not taken"</strong>
                    <p>{problem}</p>
                </div>
            </div>
        }
    });
    let has_moments = resource.fields.iter().any(|field| field.kind == FieldKind::DateTime);
    let clock = has_moments.then(|| {
        view! {
            <p>
                "A time with a space, such as 2026-01-31 14:02, is one of your own clock; one with a T is \
                taken as the backend writes it."
            </p>
        }
    });
    let fields = form::entered(&resource.fields).map(|field| {
        let required = field.rules.required.then_some(" (required)");
        view! { <li><code>{field.name.clone()}</code> " " {field.label.clone()} {required}</li> }
    });
    view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            {breadcrumb(trail(app, config), "Import")}
            <div class="page-head">
                <h1>{title}</h1>
            </div>
            {notice}
            <form
                class="import-form"
                method="post"
                action=import_address(&list)
                enctype="multipart/form-data"
            >
                <div class="field">
                    <label for="file">"CSV file"</label>
                    <input
                        id="file"
                        type="file"
                        name="file"
                        accept=".csv,text/csv,text/plain"
                        required
                        aria-describedby="file-help"
                    />
                    <p class="hint" id="file-help">
                        "UTF-8, up to 20,000 records. You see what it does before anything is written."
                    </p>
                </div>
                <div class="actions">
                    <button class="button" data-variant="primary">
                        "Preview"
                    </button>
                    <a class="button" href=list.clone()>
                        "Cancel"
                    </a>
                </div>
            </form>
            <section class="import-help">
                <h2>"What the file should look like"</h2>
                <p>
                    "The first line names the columns. A line with an "
                    <code>{config.id.clone()}</code>
                    " changes that record, and leaves alone what is empty; a line without makes a new one. "
                    <a href=format!("{}?page_size=25", export_address(&list)) download>
                        "An export"
                    </a> " has the right form."
                </p>
                {clock}
                <ul>{fields.collect_view()}</ul>
            </section>
        </main>
    }
}

pub(super) async fn page(
    app: App,
    caller: Caller,
    id: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let batch = app.changes.batch(&caller, &id).await?;
    let resource = app.data().resource(&caller, &batch.group, &batch.name).await?;
    let title = headline(&batch, Some(&resource));
    let trouble = app.changes.some_of(&batch, &TROUBLE, NAMED).await?;
    let preview = match batch.tally.is_draft() {
        true => app.changes.some_of(&batch, &[State::Draft], PREVIEWED).await?,
        false => Vec::new(),
    };
    let kind = match batch.deed {
        None => "Import",
        Some(_) => "Changes",
    };
    let progress = (!batch.tally.is_draft()).then(|| progress(&reader, &batch));
    let notes = batch.notes.iter().map(|note| view! { <p>{note.clone()}</p> }).collect_view();
    let tally = &batch.tally;
    let is_running = tally.left > 0 && !tally.waits();
    let again = is_running.then(|| {
        view! {
            <noscript>
                <meta http-equiv="refresh" content="2" />
            </noscript>
        }
    });
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="wide" tabindex="-1">
            {again}
            {breadcrumb(trail(&app, &resource.config), kind)}
            <div class="page-head">
                <h1>{title.clone()}</h1>
                {buttons(&batch, &trouble)}
            </div>
            {notes}
            {progress}
            {(!trouble.is_empty()).then(|| report(&trouble, &batch, &resource))}
            {(!preview.is_empty()).then(|| previewed(&reader, &preview, &batch, &resource))}
            {script()}
        </main>
    })
}

/// So many records, in words; of a resource that is out of reach nobody knows what they are called.
fn counted(count: u64, resource: Option<&Resource>) -> String {
    match (count, resource) {
        (1, Some(resource)) => format!("1 {}", in_sentence(&resource.config.singular)),
        (1, None) => "1 record".to_owned(),
        (count, Some(resource)) => format!("{count} {}", resource.config.things()),
        (count, None) => format!("{count} records"),
    }
}

/// What a batch does, or did.
pub(super) fn headline(batch: &Batch, resource: Option<&Resource>) -> String {
    let tally = &batch.tally;
    let all = counted(tally.all(), resource);
    match &batch.deed {
        None if tally.is_draft() => format!("Import of {all}: nothing is written yet"),
        None => format!("Import of {all}"),
        Some(Deed::Delete) => format!("Deleting {all}"),
        Some(Deed::Run(name)) => {
            let operation = resource.and_then(|resource| resource.config.operation(name));
            let label = operation.map_or(name, |operation| &operation.label);
            format!("{label}: {all}")
        }
        Some(_) => format!("Changing {all}"),
    }
}

/// A bar, and the counts in words.
fn progress(reader: &Reader, batch: &Batch) -> impl IntoView + use<> {
    let tally = batch.tally;
    let number = |count: u64| reader.number(&count.to_string(), None);
    let over = tally.done + tally.failed;
    let all = over + tally.left;
    let words = [
        (tally.done > 0 || tally.left == 0).then(|| format!("{} done", number(tally.done))),
        (tally.left > 0).then(|| format!("{} left", number(tally.left))),
        (tally.failed > 0).then(|| format!("{} did not work out", number(tally.failed))),
        (tally.invalid > 0).then(|| format!("{} left out", number(tally.invalid))),
        (tally.dropped > 0).then(|| format!("{} taken back", number(tally.dropped))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    view! {
        <div
            class="batch-progress"
            data-batch=(tally.left > 0).then(|| batch.id.clone())
            role="status"
        >
            <progress max=all.max(1) value=over aria-label="Progress"></progress>
            <p>{words.join(" · ")}</p>
        </div>
    }
}

/// What can be done with it now.
fn buttons(batch: &Batch, trouble: &[Change]) -> impl IntoView + use<> {
    let tally = batch.tally;
    let button = |word: &'static str, label: String, variant: Option<&'static str>| {
        view! {
            <button class="button" name="do" value=word data-variant=variant>
                {label}
            </button>
        }
    };
    let primary = Some("primary");
    let close = list_address(&batch.group, &batch.name);
    let buttons = if tally.is_draft() {
        let import = (tally.draft > 0).then(|| {
            let label = match tally.draft {
                1 => "Import 1 record".to_owned(),
                count => format!("Import {count} records"),
            };
            button("confirm", label, primary)
        });
        view! { {import} {button("stop", "Cancel".to_owned(), None)} }.into_any()
    } else if tally.left > 0 {
        let undo = if tally.waits() { "Undo" } else { "Stop" };
        let now = tally.waits().then(|| button("confirm", "Do it now".to_owned(), None));
        view! { {button("stop", undo.to_owned(), primary)} {now} }.into_any()
    } else {
        let can_retry = trouble.iter().any(Change::can_be_tried_again);
        let retry = can_retry.then(|| button("retry", "Try again".to_owned(), primary));
        view! {
            {retry}
            {button("close", if tally.failed > 0 { "Discard the rest" } else { "Close" }.to_owned(), None)}
            <a class="button" href=close>
                "Go to the list"
            </a>
        }
        .into_any()
    };
    view! {
        <form class="actions" method="post" action=batch_address(&batch.id)>
            {buttons}
        </form>
    }
}

/// What did not work out, or cannot.
fn report(trouble: &[Change], batch: &Batch, resource: &Resource) -> impl IntoView + use<> {
    let list = address(&resource.config);
    let label = |name: &str| resource.field(name).map(|field| field.label.as_str());
    let row = |change: &Change| {
        let why = change.why(label);
        let place = (change.place > 0).then_some(change.place);
        let title = match change.record.as_str() {
            "" => change.title.clone().into_any(),
            id => view! { <a href=record_address(&list, id)>{change.title.clone()}</a> }.into_any(),
        };
        view! {
            <tr>
                <td data-label="Line">{place}</td>
                <th scope="row">{title}</th>
                <td data-label="Why">{why}</td>
            </tr>
        }
    };
    let count = batch.tally.failed + batch.tally.invalid;
    let shown = trouble.len() as u64;
    let more = (count > shown).then(|| {
        view! { <p class="count">{format!("The first {shown} of {count}")}</p> }
    });
    let title = if batch.tally.is_draft() { "Left out" } else { "What did not work out" };
    view! {
        <section class="batch-report" aria-labelledby="trouble">
            <h2 id="trouble">{title}</h2>
            <div class="table-scroll" tabindex="0" role="region" aria-label="Why, line by line">
                <table class="versions">
                    <thead>
                        <tr>
                            <th scope="col">"Line"</th>
                            <th scope="col">"Record"</th>
                            <th scope="col">"Why"</th>
                        </tr>
                    </thead>
                    <tbody>{trouble.iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            {more}
            <p>
                <a class="button" href=report_address(&batch.id) download>
                    <Icon name="download" />
                    "Download as CSV"
                </a>
            </p>
        </section>
    }
}

/// The first of what will be done.
fn previewed(
    reader: &Reader,
    preview: &[Change],
    batch: &Batch,
    resource: &Resource,
) -> impl IntoView + use<> {
    let is_said =
        |field: &&FieldConfig| preview.iter().any(|change| change.values.contains_key(&field.name));
    let fields: Vec<&FieldConfig> = resource.fields.iter().filter(is_said).collect();
    let heads = fields.iter().map(|field| view! { <th scope="col">{field.label.clone()}</th> });
    let row = |change: &Change| {
        let record = Value::Object(change.values.clone());
        let cells = fields.iter().map(|field| {
            let shown = written(&present::shown(reader, field, &record));
            view! { <td data-label=field.label.clone() inner_html=shown></td> }
        });
        let what = match change.deed {
            Deed::Create => "New".to_owned(),
            _ => format!("Changes #{}", change.record),
        };
        view! {
            <tr>
                <th scope="row">{what}</th>
                {cells.collect_view()}
            </tr>
        }
    };
    let (shown, all) = (preview.len() as u64, batch.tally.draft);
    let more = (all > shown).then(|| format!("The first {shown} of {all}"));
    view! {
        <section class="batch-report" aria-labelledby="preview">
            <h2 id="preview">"What will be written"</h2>
            <div class="table-scroll" tabindex="0" role="region" aria-label="Line by line">
                <table class="versions">
                    <thead>
                        <tr>
                            <th scope="col">"What"</th>
                            {heads.collect_view()}
                        </tr>
                    </thead>
                    <tbody>{preview.iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            <p class="count">{more}</p>
        </section>
    }
}

/// A batch in a line, above the list that it changes.
pub(super) fn notice(batch: &Batch, resource: Option<&Resource>) -> impl IntoView + use<> {
    let tally = batch.tally;
    let (kind, icon) = if tally.failed > 0 { ("error", "warning") } else { ("info", "info") };
    let title = headline(batch, resource);
    let words = match (tally.left, tally.failed) {
        _ if tally.is_draft() => "Waits for you to look at it.".to_owned(),
        (0, 0) => "All done.".to_owned(),
        (0, failed) => format!("{failed} did not work out."),
        (left, _) => format!("{left} left."),
    };
    let due = OffsetDateTime::from_unix_timestamp_nanos(i128::from(tally.due_at) * 1_000_000);
    let left = due.map(|due| (due - OffsetDateTime::now_utc()).whole_milliseconds().max(0));
    let waits = tally.waits().then(|| left.map(|left| left.to_string()).ok()).flatten();
    let undo = tally.waits().then(|| {
        view! {
            <button class="button" data-variant="primary" name="do" value="stop">
                "Undo"
            </button>
        }
    });
    let close = (tally.left == 0 && tally.failed == 0 && !tally.is_draft()).then(|| {
        view! {
            <button class="button" name="do" value="close">
                "Close"
            </button>
        }
    });
    let to = batch_address(&batch.id);
    let href = to.clone();
    view! {
        <div
            class="notice change"
            data-kind=kind
            role="status"
            data-batch=(tally.left > 0).then(|| batch.id.clone())
            data-left=waits
        >
            <Icon name=icon />
            <div>
                <strong>{title}</strong>
                <p>{words}</p>
            </div>
            <form class="actions" method="post" action=to>
                {undo}
                <a class="button" href=href>
                    "Details"
                </a>
                {close}
            </form>
        </div>
    }
}

/// What can be done with the records that are chosen.
pub(super) struct Bulk<'a> {
    pub may_update: bool,
    pub may_delete: bool,
    pub operations: Vec<&'a OperationConfig>,
}

impl<'a> Bulk<'a> {
    pub(super) fn of(resource: &'a Resource, caller: &Caller) -> Option<Self> {
        let config = &resource.config;
        let operations =
            config.operations.iter().filter(|it| access::may_run(it, caller)).collect();
        let may = |action| access::may(config, caller, action);
        let bulk =
            Self { may_update: may(Action::Update), may_delete: may(Action::Delete), operations };
        (bulk.may_update || bulk.may_delete || !bulk.operations.is_empty()).then_some(bulk)
    }

    /// The bar above the rows; `all` is how many there are on all pages.
    pub(super) fn view(
        &self,
        resource: &Resource,
        all: Option<u64>,
        shown: u64,
    ) -> impl IntoView + use<> {
        let button = |word: String, label: String, variant: Option<&'static str>| {
            view! {
                <button class="button" name="do" value=word data-variant=variant>
                    {label}
                </button>
            }
        };
        let update = self.may_update.then(|| button("edit".to_owned(), "Change…".to_owned(), None));
        let operations = self.operations.iter();
        let operations =
            operations.map(|it| button(format!("run {}", it.name), it.label.clone(), None));
        let delete = self
            .may_delete
            .then(|| button("delete".to_owned(), "Delete".to_owned(), Some("danger")));
        let all = all.filter(|all| *all > shown).map(|all| {
            let words = format!("All {}, on all pages", counted(all, Some(resource)));
            view! {
                <label class="check">
                    <input type="checkbox" name="all" value="1" />
                    {words}
                </label>
            }
        });
        view! {
            <div class="bulk" role="group" aria-label="With the chosen">
                <span class="bulk-count">"With the chosen:"</span>
                {update}
                {operations.collect_view()}
                {delete}
                {all}
            </div>
        }
    }
}

/// A form over many records.
pub struct BulkForm<'a> {
    /// What goes along unseen: which records they are.
    pub chosen: &'a [(String, String)],
    /// How many they are.
    pub count: usize,
    /// The fields that are ticked.
    pub set: &'a [String],
    /// Where its reader is.
    pub zone: &'a Zone,
    /// What was typed, and what is wrong with it.
    pub typed: &'a Typed,
}

/// The page on which values for many records are filled in.
pub fn bulk_form(app: &App, resource: &Resource, many: &BulkForm<'_>) -> impl IntoView + use<> {
    let BulkForm { chosen, count, set, zone, typed } = *many;
    let config = &resource.config;
    let list = address(config);
    let to = bulk_address(&list);
    let title = format!("Change {}", counted(count as u64, Some(resource)));
    let hidden = chosen.iter().cloned().map(|(name, value)| {
        view! { <input type="hidden" name=name value=value /> }
    });
    let fields = form::entered(&resource.fields)
        .map(|field| super::form::bulk_row(field, zone, set.contains(&field.name), typed));
    let wrong = typed.refusal.fields.iter().filter(|(name, _)| !name.is_empty()).count();
    let general = typed.refusal.fields.iter().filter(|(name, _)| name.is_empty());
    let general = general.map(|(_, problem)| problem.clone()).collect();
    view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            {breadcrumb(trail(app, config), "Change")}
            <div class="page-head">
                <h1>{title}</h1>
            </div>
            {super::form::summary(general, wrong)}
            <p>"Tick what is to be changed. Everything else stays as it is, in each of them."</p>
            <form class="record-form" method="post" action=to>
                <input type="hidden" name="do" value="set" />
                <input type="hidden" name="zone" value=zone.name().to_owned() />
                {hidden.collect_view()}
                {fields.collect_view()}
                <div class="actions">
                    <button class="button" data-variant="primary">
                        "Change them"
                    </button>
                    <a class="button" href=list>
                        "Cancel"
                    </a>
                </div>
            </form>
            {script()}
        </main>
    }
}
