//! What is still to be done, above what it is about: with its time, and the way back.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::{batch, cells::written, script};
use crate::{
    config::FieldConfig,
    data::{
        changes::{Change, Deed, State},
        present,
        resources::{address, change_address, edit_address, new_address},
        service::Resource,
        value::instant,
    },
    error::Result,
    server::state::App,
    session::Caller,
    ui::{icon::Icon, reader::Reader},
};

/// `/data/-/changes`: everything that is still to be done.
pub(super) async fn page(app: App, caller: Caller, reader: Reader) -> Result<impl IntoView> {
    let changes = app.changes.open(&caller, None).await?;
    let nothing = view! {
            <div class="empty">
                <Icon name="check" />
                <strong>"Everything is done"</strong>
                <p>"Changes wait here until they are done, or until you have seen to them."</p>
                <a class="button" href="/data">
                    "Go to the data"
                </a>
            </div>
    };
    let mut notices = Vec::new();
    for change in &changes {
        let resource = app.data().resource(&caller, &change.group, &change.name).await.ok();
        notices.push(notice(&reader, change, resource.as_ref()));
    }
    for batch in app.changes.batches(&caller, None).await? {
        let resource = app.data().resource(&caller, &batch.group, &batch.name).await.ok();
        notices.push(batch::notice(&batch, resource.as_ref()).into_any());
    }
    let nothing = notices.is_empty().then_some(nothing);
    Ok(view! {
        <Title text="Changes" />
        <main id="main" class="page" data-width="narrow" tabindex="-1">
            <div class="page-head">
                <h1>"Changes"</h1>
            </div>
            {notices}
            {nothing}
            {script()}
        </main>
    })
}

/// The notices of some changes of one resource.
pub(super) fn bar(
    reader: &Reader,
    changes: &[Change],
    resource: &Resource,
) -> impl IntoView + use<> {
    changes.iter().map(|change| notice(reader, change, Some(resource))).collect_view()
}

fn notice(reader: &Reader, change: &Change, resource: Option<&Resource>) -> AnyView {
    let (kind, icon) = match change.state {
        State::Refused | State::Conflict => ("error", "warning"),
        State::Held => ("warning", "warning"),
        _ => ("info", "info"),
    };
    let due = OffsetDateTime::from(change.due());
    let title = view! { <strong>{headline(reader, change, due, resource)}</strong> };
    let refusal = change.outcome.refusal.as_ref().map(|refusal| {
        let label = |name: &str| {
            resource.and_then(|resource| resource.field(name)).map(|field| field.label.as_str())
        };
        let sentences = refusal.clone().for_form(|_| false, label).general;
        sentences.into_iter().map(|text| view! { <p>{text}</p> }).collect_view()
    });
    let comparison = match (&change.outcome.theirs, resource) {
        (Some(theirs), Some(resource)) if change.state == State::Conflict => {
            Some(comparison(reader, change, resource, theirs))
        }
        _ => None,
    };
    let has_comparison = comparison.is_some();
    let is_stuck = change.state == State::Held || change.outcome.is_gone;
    let values = resource
        .filter(|_| is_stuck || (change.state == State::Refused && change.deed == Deed::Create))
        .map(|resource| wanted(reader, change, resource));
    let body = view! {
        <Icon name=icon />
        <div>{title} {refusal} {values} {comparison}</div>
        {(!has_comparison || change.deed != Deed::Update).then(|| buttons(change))}
    };
    let role = if change.needs_person() { "alert" } else { "status" };
    let left = (due - OffsetDateTime::now_utc()).whole_milliseconds();
    let left = change.is_under_way().then(|| left.max(0).to_string());
    let id = change.id.clone();
    view! {
        <div class="notice change" data-kind=kind role=role data-change=id data-left=left>
            {body}
        </div>
    }
    .into_any()
}

fn headline(
    reader: &Reader,
    change: &Change,
    due: OffsetDateTime,
    resource: Option<&Resource>,
) -> impl IntoView + use<> {
    let title = &change.title;
    let (will, is_being, not) = match change.deed {
        Deed::Delete => ("will be deleted", "is being deleted", "was not deleted"),
        Deed::Create => ("will be made", "is being made", "was not made"),
        Deed::Update => ("will be saved", "is being saved", "was not saved"),
        Deed::Run(_) => ("will be done", "is being done", "was not done"),
    };
    let title = &match &change.deed {
        Deed::Run(name) => {
            let operation = resource.and_then(|resource| resource.config.operation(name));
            let label = operation.map_or(name, |operation| &operation.label);
            format!("{label}” of “{title}")
        }
        _ => title.clone(),
    };
    match change.state {
        State::Pending => view! {
            {format!("“{title}” {will} ")}
            <time class="countdown" datetime=instant(due)>
                {format!("at {}", reader.second(due))}
            </time>
        }
        .into_any(),
        State::Running => format!("“{title}” {is_being}").into_any(),
        State::Conflict => {
            format!("“{title}” {not}: somebody else has changed it since").into_any()
        }
        _ => format!("“{title}” {not}").into_any(),
    }
}

/// What the person wanted, so that nothing they wrote is out of reach.
fn wanted(reader: &Reader, change: &Change, resource: &Resource) -> impl IntoView + use<> {
    let record = record_of(&change.values);
    let fields = resource.fields.iter().filter(|field| change.values.contains_key(&field.name));
    let rows = fields.map(|field| {
        let shown = written(&present::shown(reader, field, &record));
        view! {
            <div>
                <dt>{field.label.clone()}</dt>
                <dd inner_html=shown></dd>
            </div>
        }
    });
    view! { <dl class="wanted">{rows.collect_view()}</dl> }
}

/// What can be done with a change now.
fn buttons(change: &Change) -> Option<impl IntoView + use<>> {
    let list = address(&change.group, &change.name);
    let button = |word: &'static str, label: &'static str, is_first: bool| {
        let variant = is_first.then_some("primary");
        view! {
            <button class="button" name="do" value=word data-variant=variant>
                {label}
            </button>
        }
    };
    let correct = || {
        let href = edit_address(&list, &change.record);
        view! {
            <a class="button" data-variant="primary" href=href>
                "Correct it"
            </a>
        }
    };
    let buttons = match (change.state, &change.deed) {
        (State::Pending, Deed::Delete) => {
            view! { {button("undo", "Undo", true)} {button("again", "Delete now", false)} }
                .into_any()
        }
        (State::Pending, Deed::Run(_)) => {
            view! { {button("undo", "Undo", true)} {button("again", "Do it now", false)} }.into_any()
        }
        (State::Pending, _) => {
            view! { {button("undo", "Undo", true)} {button("again", "Save now", false)} }.into_any()
        }
        (State::Refused, Deed::Update | Deed::Create) if !change.outcome.is_gone && !change.record.is_empty() => {
            view! { {correct()} {button("undo", "Discard", false)} }.into_any()
        }
        (State::Refused, Deed::Update | Deed::Create) => {
            let href = format!("{}?from={}", new_address(&list), change.id);
            view! {
                <a class="button" data-variant="primary" href=href>
                    "Make it anew"
                </a>
                {button("undo", "Discard", false)}
            }
            .into_any()
        }
        (State::Conflict, Deed::Update) => button("undo", "Discard", false).into_any(),
        (State::Conflict, Deed::Delete) => {
            view! { {button("choose", "Delete all the same", false)} {button("undo", "Keep it", true)} }
                .into_any()
        }
        (State::Refused | State::Held, _) => {
            view! { {button("again", "Send again", true)} {button("undo", "Discard", false)} }
                .into_any()
        }
        _ => return None,
    };
    Some(view! {
        <form class="actions" method="post" action=change_address(&change.id)>
            {buttons}
        </form>
    })
}

/// Both versions of what both have changed, field by field.
fn comparison(
    reader: &Reader,
    change: &Change,
    resource: &Resource,
    theirs: &Map<String, Value>,
) -> impl IntoView + use<> {
    let is_update = change.deed == Deed::Update;
    let clashing = change.clashes(&resource.fields, theirs);
    let differs = |field: &&FieldConfig| match is_update {
        true => clashing.contains(&field.name),
        false => theirs.get(&field.name) != change.opened.values.get(&field.name),
    };
    let fields = resource.fields.iter().filter(differs);
    let rows = fields.map(|field| {
        let cell = |values: &Map<String, Value>| {
            let record = record_of(values);
            let shown = written(&present::shown(reader, field, &record));
            if shown.is_empty() { "<span class=\"nothing\">empty</span>".to_owned() } else { shown }
        };
        let name = format!("pick.{}", field.name);
        let choice = is_update.then(|| {
            view! {
                <td>
                    <label class="check">
                        <input type="radio" name=name.clone() value="mine" required />
                        "Mine"
                    </label>
                    <label class="check">
                        <input type="radio" name=name value="theirs" />
                        "Theirs"
                    </label>
                </td>
            }
        });
        let mine = is_update.then(|| {
            view! { <td data-label="You wrote" inner_html=cell(&change.values)></td> }
        });
        view! {
            <tr>
                <th scope="row">{field.label.clone()}</th>
                <td data-label="When you opened it" inner_html=cell(&change.opened.values)></td>
                <td data-label="Now" inner_html=cell(theirs)></td>
                {mine}
                {choice}
            </tr>
        }
    });
    let rows = rows.collect_view();
    let heads = ["Field", "When you opened it", "Now", "You wrote", "Keep"];
    let heads = heads.into_iter().take(if is_update { 5 } else { 3 });
    let heads = heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view();
    let table = view! {
        <div class="table-scroll" tabindex="0" role="region" aria-label="Both versions">
            <table class="versions">
                <thead>
                    <tr>{heads}</tr>
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </div>
    };
    if !is_update {
        return table.into_any();
    }
    view! {
        <form method="post" action=change_address(&change.id)>
            {table}
            <div class="actions">
                <button class="button" data-variant="primary" name="do" value="choose">
                    "Save what I chose"
                </button>
                <button class="button" name="do" value="undo" formnovalidate>
                    "Discard my change"
                </button>
            </div>
        </form>
    }
    .into_any()
}

/// Values as a record has them, for who reads records.
fn record_of(values: &Map<String, Value>) -> Value {
    Value::Object(values.clone())
}
