//! `/data/{group}/{name}/{id}`: one record with all its fields, and what was done to it.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;

use super::{
    address, breadcrumb, cells::written, history, pending, proposal::ask_about, script,
    stale_notice, trail,
};
use crate::{
    config::{Action, FieldConfig, FieldKind, OperationConfig},
    data::{
        access,
        changes::{Change, Deed},
        form::Opened,
        present,
        resources::{delete_address, edit_address, file_address, record_address, run_address},
        style::lookup,
    },
    error::Result,
    server::state::App,
    session::Caller,
    store::new_id,
    ui::{icon::Icon, reader::Reader},
};

/// How much of its history a page shows.
const SHOWN: i64 = 50;

pub(super) async fn page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    id: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    let config = &resource.config;
    let mut record = data.read(&caller, &resource, &id).await?;
    let changes = app.changes.of_record(&caller, config, &id).await?;
    let is_seen = seen(&record.value);
    for change in &changes {
        preview(&mut record.value, change);
    }
    // A deletion is held against what the person sees, with what they have changed themselves.
    let opened = Opened::on(&resource.fields, &record.value, &reader.zone);
    let history = app.changes.history(&caller, config, &id, SHOWN).await?;
    let title = present::title(&reader, config, &resource.fields, &record.value);
    let list = address(config);
    let back = format!("Back to {}", config.things());
    let shown = resource.fields.iter().filter(|field| field.in_detail);
    let may_replace = record.as_of.is_none() && access::may(config, &caller, Action::Update);
    let fields = shown.map(|one| {
        let to = (may_replace && one.in_form && one.kind.is_file())
            .then(|| file_address(&list, &id, &one.name));
        field(&reader, one, &record.value, to)
    });
    let fields = fields.collect_view();
    let stale = record.as_of.map(|at| stale_notice(&reader, at));
    let may = |action| record.as_of.is_none() && access::may(config, &caller, action);
    let is_deleted = changes.iter().any(|change| change.deed == Deed::Delete);
    let operations = config
        .operations
        .iter()
        .filter(|it| access::may_run(it, &caller) && record.as_of.is_none() && !is_deleted);
    let operations = operations.map(|it| operation_form(&list, &id, &title, it)).collect_view();
    let edit = (may(Action::Update) && !is_deleted).then(|| edit_button(&list, &id));
    let ask = app.config.chat.is_some().then(|| ask_about(&record_address(&list, &id)));
    let delete =
        (may(Action::Delete) && !is_deleted).then(|| delete_form(&list, &id, &title, &opened));
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" tabindex="-1">
            {script()}
            {breadcrumb(trail(&app, config), &title)}
            <div class="page-head">
                <h1>{title}</h1>
                <div class="actions">
                    <a class="button back" href=list>
                        <Icon name="chevron-left" />
                        {back}
                    </a>
                    {ask}
                    {delete}
                    {operations}
                    {edit}
                </div>
            </div>
            {stale}
            {pending::bar(&reader, &changes, &resource)}
            <dl class="record">{fields}</dl>
            {history::section(&reader, &history, &resource, &is_seen)}
        </main>
    })
}

/// The names of what the backend shows this person of a record.
fn seen(record: &Value) -> Vec<String> {
    record.as_object().map(|record| record.keys().cloned().collect()).unwrap_or_default()
}

/// Lays what is still to be saved over a record.
fn preview(record: &mut Value, change: &Change) {
    if let (Value::Object(record), true) = (record, change.is_under_way()) {
        record.extend(change.values.clone());
    }
}

fn edit_button(list: &str, id: &str) -> impl IntoView + use<> {
    view! {
        <a class="button" data-variant="primary" href=edit_address(list, id) data-key="e">
            <Icon name="pencil" />
            "Edit"
        </a>
    }
}

fn operation_form(
    list: &str,
    id: &str,
    title: &str,
    operation: &OperationConfig,
) -> impl IntoView + use<> {
    view! {
        <form method="post" action=run_address(list, id)>
            <input type="hidden" name="request" value=new_id() />
            <input type="hidden" name="title" value=title.to_owned() />
            <button class="button" name="run" value=operation.name.clone()>
                {operation.label.clone()}
            </button>
        </form>
    }
}

/// Replaces a file at once; with a script, with a bar that shows how far it has come.
fn file_form(field: &FieldConfig, to: String, has_file: bool) -> impl IntoView + use<> {
    let accept = match &field.kind {
        FieldKind::File(rule) | FieldKind::Image(rule) if !rule.accept.is_empty() => {
            Some(rule.accept.join(","))
        }
        FieldKind::Image(_) => Some("image/*".to_owned()),
        _ => None,
    };
    let remove = has_file.then(|| {
        let to = format!("{to}?remove");
        view! {
            <form method="post" action=to>
                <button class="button" data-variant="quiet">
                    "Remove"
                </button>
            </form>
        }
    });
    let label = if has_file { "Replace" } else { "Upload" };
    view! {
        <div class="actions">
            <form class="file-form actions" method="post" action=to enctype="multipart/form-data">
                <input
                    type="file"
                    name="file"
                    accept=accept
                    required
                    aria-label=format!("File for {}", field.label)
                />
                <button class="button">{label}</button>
                <progress max="1" value="0" hidden aria-label="Upload"></progress>
            </form>
            {remove}
        </div>
    }
}

/// Deleting can be taken back, so nobody is asked whether they are sure.
fn delete_form(list: &str, id: &str, title: &str, opened: &Opened) -> impl IntoView + use<> {
    view! {
        <form method="post" action=delete_address(list, id)>
            <input type="hidden" name="opened" value=opened.write() />
            <input type="hidden" name="title" value=title.to_owned() />
            <button class="button" data-variant="danger">
                <Icon name="trash" />
                "Delete"
            </button>
        </form>
    }
}

/// A value and, of a file, where another one is sent in its place.
fn field(
    reader: &Reader,
    field: &FieldConfig,
    record: &Value,
    to: Option<String>,
) -> impl IntoView + use<> {
    let has_file = !lookup(record, &field.name).is_null();
    let wide = (field.kind.is_wide() || to.is_some()).then_some("");
    let replace = to.map(|to| file_form(field, to, has_file));
    view! {
        <div data-wide=wide>
            <dt>{field.label.clone()}</dt>
            <dd inner_html=written(&present::shown(reader, field, record))></dd>
            {replace}
        </div>
    }
}
