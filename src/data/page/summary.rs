//! `/data/{group}/{name}/-/summary`: what a list comes to, in numbers and charts. Every chart has its
//! numbers beside it.

use leptos::prelude::*;
use leptos_meta::Title;
use serde_json::Value;

use super::{address, breadcrumb, script, stale_notice, trail};
use crate::{
    config::{Aggregate, ChartConfig, FieldKind, SummaryConfig, TileConfig},
    data::{
        present,
        query::ListQuery,
        resources::{asked_address, summary_address},
        service::Resource,
        summary::{self, Drawn},
        value::day,
    },
    error::{Error, Result},
    server::state::App,
    session::Caller,
    ui::{chart::Chart, icon::Icon, reader::Reader},
};

/// The most records that are added up.
const MOST: usize = 5_000;

pub(super) async fn page(
    app: App,
    caller: Caller,
    group: String,
    name: String,
    query: String,
    reader: Reader,
) -> Result<impl IntoView> {
    let data = app.data();
    let resource = data.resource(&caller, &group, &name).await?;
    let Some(config) = summary::config(&resource) else {
        return Err(Error::not_found("Nothing is added up here. Go back to the list."));
    };
    let query = resource.query(&query);
    let all = data.all(&caller, &resource, &query, &reader.zone, MOST).await?;
    let rows = &all.rows;
    let stale = all.as_of.map(|at| stale_notice(&reader, at));
    let more = (rows.len() >= MOST).then(|| {
        view! { <p class="count">{format!("Of the first {MOST} records")}</p> }
    });
    let title = format!("{}: summary", resource.config.title);
    let list = address(&resource.config);
    let back = asked_address(list, &query.write());
    let charts = config.charts.iter().map(|chart| plot(&reader, &resource, chart, rows));
    Ok(view! {
        <Title text=title.clone() />
        <main id="main" class="page" data-width="wide" tabindex="-1">
            {breadcrumb(trail(&app, &resource.config), "Summary")}
            <div class="page-head">
                <div class="title">
                    <h1>{resource.config.title.clone()}</h1>
                    <p class="count">{narrowed(&query, rows.len())}</p>
                </div>
                <a class="button" href=back>
                    <Icon name="chevron-left" />
                    "All records"
                </a>
            </div>
            {stale}
            {more}
            {tiles(&reader, &resource, &config, rows)}
            <div class="plots">{charts.collect_view()}</div>
            {script()}
        </main>
    })
}

fn narrowed(query: &ListQuery, count: usize) -> String {
    match query.is_narrowed() {
        true => format!("{count} matches"),
        false => format!("{count} records"),
    }
}

/// The numbers of a resource as tiles, without anything around them.
pub(super) fn tiles(
    reader: &Reader,
    resource: &Resource,
    config: &SummaryConfig,
    rows: &[Value],
) -> impl IntoView + use<> {
    let tile = |tile: &TileConfig| {
        let field = resource.field(&tile.field);
        let label = tile.label.clone().unwrap_or_else(|| label_of(resource, &tile.field, tile.of));
        let number = summary::tile(tile, rows);
        let number = number.map_or_else(
            || "–".to_owned(),
            |number| match (field, tile.of) {
                (Some(field), of) if of != Aggregate::Count => {
                    present::figure(reader, field, number)
                }
                _ => reader.number(&number.to_string(), None),
            },
        );
        view! {
            <div class="tile">
                <dt>{label}</dt>
                <dd>{number}</dd>
            </div>
        }
    };
    view! { <dl class="tiles">{config.tiles.iter().map(tile).collect_view()}</dl> }
}

fn label_of(resource: &Resource, name: &str, of: Aggregate) -> String {
    let label = resource.field(name).map_or(name, |field| &field.label);
    match of {
        Aggregate::Sum => label.to_owned(),
        Aggregate::Average => format!("{label}, on average"),
        Aggregate::Least => format!("{label}, at least"),
        Aggregate::Most => format!("{label}, at most"),
        Aggregate::Count => format!("{label}, records"),
        Aggregate::Last => format!("{label}, last"),
    }
}

/// A chart, and its numbers as a table.
fn plot(
    reader: &Reader,
    resource: &Resource,
    config: &ChartConfig,
    rows: &[Value],
) -> impl IntoView + use<> {
    let drawn = summary::chart(config, resource, rows);
    let title = config.title.clone().unwrap_or_else(|| title_of(resource, config));
    let field = config.y.first().and_then(|name| resource.field(name)).cloned();
    let format = |number: f64| match &field {
        // A currency on every tick is noise.
        Some(field) if !matches!(field.kind, FieldKind::Money { .. }) => {
            present::figure(reader, field, number)
        }
        _ => reader.number(&present::digits(number), None),
    };
    let Drawn { kind, labels, series } = &drawn;
    let labels: &Vec<String> = &labels.iter().map(|label| called(reader, label)).collect();
    let chart = Chart { title: &title, kind: *kind, labels, series, format: &format };
    let svg = format!("{}{}{}", chart.svg(), chart.narrow(), chart.legend());
    let heads = series.iter().map(|one| {
        view! {
            <th scope="col" data-align="end">
                {one.name.clone()}
            </th>
        }
    });
    let heads = heads.collect_view();
    let lines = labels.iter().enumerate().map(|(at, label)| {
        let cells = series.iter().map(|one| {
            let number = one.values.get(at).copied().flatten().map(format);
            view! { <td data-align="end">{number}</td> }
        });
        view! {
            <tr>
                <th scope="row">{label.clone()}</th>
                {cells.collect_view()}
            </tr>
        }
    });
    let x = resource.field(&config.x).map_or(config.x.clone(), |field| field.label.clone());
    view! {
        <section class="plot-card">
            <h2>{title.clone()}</h2>
            <figure class="plot" inner_html=svg></figure>
            <details>
                <summary>"The numbers"</summary>
                <div class="table-scroll" tabindex="0" role="region" aria-label=title.clone()>
                    <table class="versions">
                        <thead>
                            <tr>
                                <th scope="col">{x}</th>
                                {heads}
                            </tr>
                        </thead>
                        <tbody>{lines.collect_view()}</tbody>
                    </table>
                </div>
            </details>
        </section>
    }
}

/// A label as the reader writes days, where it is one.
fn called(reader: &Reader, label: &str) -> String {
    let day = day(label).filter(|_| label.len() == 10);
    day.map_or_else(|| label.to_owned(), |day| reader.day(day))
}

fn title_of(resource: &Resource, chart: &ChartConfig) -> String {
    let label = |name: &String| resource.field(name).map_or(name.clone(), |it| it.label.clone());
    let names: Vec<String> = chart.y.iter().map(label).collect();
    format!("{} by {}", names.join(", "), crate::config::in_sentence(&label(&chart.x)))
}

/// The tiles of a resource, leading to its summary; nothing where it has none or is out of reach.
pub async fn card(
    app: &App,
    caller: &Caller,
    reader: &Reader,
    group: &str,
    name: &str,
) -> Option<AnyView> {
    let data = app.data();
    let resource = data.resource(caller, group, name).await.ok()?;
    let mut config = summary::config(&resource)?;
    config.tiles.truncate(3);
    let query = ListQuery::default();
    let all = data.all(caller, &resource, &query, &reader.zone, MOST).await.ok()?;
    let tiles = tiles(reader, &resource, &config, &all.rows);
    let href = summary_address(&address(&resource.config));
    let view = view! {
        <li class="tile-card">
            <a href=href>{resource.config.title.clone()}</a>
            {tiles}
        </li>
    };
    Some(view.into_any())
}
