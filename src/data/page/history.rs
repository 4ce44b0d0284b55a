//! What was done to records: who, when, from what to what.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;
use time::OffsetDateTime;
use url::form_urlencoded;

use super::{breadcrumb, cells::written, script};
use crate::{
    config::FieldConfig,
    data::{
        changes::{Deed, Entry, Wanted},
        present,
        resources::{address, record_address},
        service::Resource,
        value::instant,
    },
    error::Result,
    server::state::App,
    session::Caller,
    ui::{icon::Icon, reader::Reader},
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

/// `/data/-/history`: what everybody has done, for those who look after it. `before` is the last entry
/// of the page before.
pub(super) async fn page(
    app: App,
    caller: Caller,
    asked: Asked,
    reader: Reader,
) -> Result<impl IntoView> {
    let before = asked.before.as_deref().and_then(|place| place.split_once('-'));
    let before = before.and_then(|(at, id)| Some((at.parse().ok()?, id)));
    let wanted = Wanted {
        limit: PAGE,
        before,
        resource: asked.resource.as_deref(),
        person: asked.person.as_deref(),
    };
    let entries = app.changes.all_history(&caller, &wanted).await?;
    let last = entries.last().filter(|_| entries.len() as i64 == PAGE);
    let older = last.map(|last| {
        let href = asked.address(Some(format!("{}-{}", last.at, last.id)));
        view! {
            <nav class="pagination" aria-label="Pages">
                <a class="button" href=href rel="next">
                    "Older"
                </a>
            </nav>
        }
    });
    let mut rows = Vec::new();
    for entry in &entries {
        rows.push(row(&app, &caller, &reader, entry, &asked).await);
    }
    let chips = asked.chips();
    let nothing = entries.is_empty().then(|| {
        view! {
            <div class="empty">
                <Icon name="inbox" />
                <strong>"Nothing yet"</strong>
                <p>"What people change here stands in this list, with who, when and both values."</p>
            </div>
        }
    });
    Ok(view! {
        <Title text="History" />
        <main id="main" class="page" tabindex="-1">
            {breadcrumb(vec![("Data".to_owned(), "/data".to_owned())], "History")}
            <div class="page-head">
                <h1>"History"</h1>
            </div>
            {chips}
            <section class="history" aria-label="History">
                <ol role="list">{rows}</ol>
            </section>
            {nothing}
            {older}
            {script()}
        </main>
    })
}

/// How many entries stand on a page.
const PAGE: i64 = 50;

/// What of the history an address asks for.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub resource: Option<String>,
    pub person: Option<String>,
    pub before: Option<String>,
}

impl Asked {
    fn address(&self, before: Option<String>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs = [("resource", &self.resource), ("person", &self.person), ("before", &before)];
        for (name, value) in pairs {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/data/-/history?{}", query.finish())
    }

    /// What the list is narrowed by, each of which can be taken away.
    fn chips(&self) -> impl IntoView + use<> {
        let without = [
            (self.resource.clone(), Self { resource: None, ..self.clone() }),
            (self.person.clone(), Self { person: None, ..self.clone() }),
        ];
        let chips = without.into_iter().filter_map(|(words, rest)| {
            let href = rest.address(None);
            words.map(|words| {
                view! {
                    <li>
                        <a class="chip" href=href>
                            <span class="visually-hidden">"Take away: "</span>
                            {words}
                            <Icon name="close" />
                        </a>
                    </li>
                }
            })
        });
        let chips: Vec<_> = chips.collect();
        (!chips.is_empty()).then(|| {
            view! {
                <ul class="chips" role="list" aria-label="Filters in force">
                    {chips}
                </ul>
            }
        })
    }
}

/// An entry among those of other records.
async fn row(
    app: &App,
    caller: &Caller,
    reader: &Reader,
    entry: &Entry,
    asked: &Asked,
) -> impl IntoView + use<> {
    let (group, name) = entry.resource.split_once('.').unwrap_or_default();
    let resource = app.data().resource(caller, group, name).await.ok();
    let list = address(group, name);
    let href = match entry.record.as_str() {
        "" => list,
        id => record_address(&list, id),
    };
    let of_resource = Asked { resource: Some(entry.resource.clone()), ..asked.clone() };
    let of_person = Asked { person: Some(entry.person.clone()), ..asked.clone() };
    let title =
        resource.as_ref().map_or_else(|| entry.resource.clone(), |it| it.config.title.clone());
    let changed = resource.as_ref().map(|resource| every_value(reader, entry, resource));
    view! {
        <li>
            <p>
                <a href=of_person.address(None)>{entry.person.clone()}</a>
                {format!(" {} ", done(entry, resource.as_ref()))}
                <a href=href>{entry.title.clone()}</a>
                " in "
                <a href=of_resource.address(None)>{title}</a>
                " "
                {time_of(reader, entry)}
            </p>
            <dl>{changed}</dl>
        </li>
    }
}

/// All values of an entry, before and after.
fn every_value(reader: &Reader, entry: &Entry, resource: &Resource) -> impl IntoView + use<> {
    let is_said = |field: &&FieldConfig| {
        field.in_detail
            && (entry.is_now.contains_key(&field.name) || entry.was.contains_key(&field.name))
    };
    let fields = resource.fields.iter().filter(is_said);
    fields.map(|field| values(reader, field, entry)).collect_view()
}

fn done(entry: &Entry, resource: Option<&Resource>) -> String {
    match &entry.deed {
        Deed::Create => "made".to_owned(),
        Deed::Delete => "deleted".to_owned(),
        Deed::Update => "changed".to_owned(),
        Deed::Run(name) => {
            let operation = resource.and_then(|resource| resource.config.operation(name));
            format!("did “{}” with", operation.map_or(name, |operation| &operation.label))
        }
    }
}

fn time_of(reader: &Reader, entry: &Entry) -> impl IntoView + use<> {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(entry.at) * 1_000_000);
    let at = at.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    view! { <time datetime=instant(at)>{reader.moment(at)}</time> }
}

/// One entry: a sentence and, of a change, the values before and after.
fn line(
    reader: &Reader,
    entry: &Entry,
    resource: &Resource,
    seen: &[String],
) -> impl IntoView + use<> {
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
                {time_of(reader, entry)}
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
    // What was there before is not always known.
    let was = entry.was.contains_key(&field.name).then(|| {
        view! {
            <del inner_html=shown(&entry.was)></del>
            " → "
        }
    });
    view! {
        <div>
            <dt>{field.label.clone()}</dt>
            <dd>
                {was}
                <ins inner_html=shown(&entry.is_now)></ins>
            </dd>
        </div>
    }
}
