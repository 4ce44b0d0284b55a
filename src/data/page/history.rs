//! What was done to records: who, when, from what to what.

use leptos::prelude::*;
use serde_json::Value;
use time::OffsetDateTime;

use super::cells::written;
use crate::{
    config::FieldConfig,
    data::{
        changes::{Deed, Entry},
        present,
        service::Resource,
    },
    ui::reader::Reader,
};

/// What was done to one record; nothing where nothing was. Of fields that the backend does not show
/// this reader, which are not among those `seen`, nothing is told.
pub(super) fn section(
    reader: &Reader,
    entries: &[Entry],
    resource: &Resource,
    seen: &[String],
) -> Option<impl IntoView + use<>> {
    (!entries.is_empty()).then(|| {
        let entries =
            entries.iter().map(|entry| line(reader, entry, resource, seen)).collect_view();
        view! {
            <section class="history" aria-labelledby="history">
                <h2 id="history">"History"</h2>
                <ol role="list">{entries}</ol>
            </section>
        }
    })
}

/// One entry: a sentence and, of a change, the values before and after.
fn line(
    reader: &Reader,
    entry: &Entry,
    resource: &Resource,
    seen: &[String],
) -> impl IntoView + use<> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(entry.at) * 1_000_000);
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let what = match &entry.deed {
        Deed::Create => "made it".to_owned(),
        Deed::Delete => "deleted it".to_owned(),
        Deed::Update => "changed it".to_owned(),
        Deed::Run(name) => match resource.config.operation(name) {
            Some(operation) => format!("did “{}”", operation.label),
            None => format!("did “{name}”"),
        },
    };
    let changed = (entry.deed == Deed::Update).then(|| {
        let names = entry.is_now.keys();
        let is_shown = |field: &&FieldConfig| field.in_detail && seen.contains(&field.name);
        let fields = names.filter_map(|name| resource.field(name)).filter(is_shown);
        fields.map(|field| values(reader, field, entry)).collect_view()
    });
    view! {
        <li>
            <p>
                <strong>{entry.person.clone()}</strong>
                {format!(" {what} ")}
                <time datetime=at.unix_timestamp().to_string()>{reader.moment(at)}</time>
            </p>
            <dl>{changed}</dl>
        </li>
    }
}

fn values(reader: &Reader, field: &FieldConfig, entry: &Entry) -> impl IntoView + use<> {
    let shown = |values: &serde_json::Map<String, Value>| {
        let record = Value::Object(values.clone());
        let shown = written(&present::shown(reader, field, &record));
        if shown.is_empty() { "<span class=\"nothing\">empty</span>".to_owned() } else { shown }
    };
    view! {
        <div>
            <dt>{field.label.clone()}</dt>
            <dd>
                <del inner_html=shown(&entry.was)></del>
                " → "
                <ins inner_html=shown(&entry.is_now)></ins>
            </dd>
        </div>
    }
}
