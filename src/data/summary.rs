//! What a list comes to: numbers and charts of all its records.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    service::Resource,
    style::lookup,
    value::{day, plain},
};
use crate::{
    config::{
        Action, Aggregate, ChartConfig, ChartKind, FieldConfig, FieldKind, ResourceConfig,
        SummaryConfig, TileConfig,
    },
    ui::chart::{Kind, Series},
};

/// With more days than this a chart shows months.
const DAYS: usize = 62;
/// The most labels of a chart.
const LABELS: usize = 60;
/// The most tiles that nobody chose.
const TILES: usize = 6;

/// What a summary shows: as declared, or what a list that is only read offers by itself. None for a
/// list without numbers, or one that people change.
pub fn config(resource: &Resource) -> Option<SummaryConfig> {
    if let Some(summary) = &resource.config.summary {
        return Some(summary.clone());
    }
    if !may_have(&resource.config) {
        return None;
    }
    let numbers = || resource.fields.iter().filter(|field| field.kind.is_number());
    let totals: Vec<&FieldConfig> = numbers().filter(|field| field.total).collect();
    let tile = |field: &FieldConfig| TileConfig {
        field: field.name.clone(),
        of: if field.total { Aggregate::Sum } else { Aggregate::Average },
        label: None,
    };
    let chart = |x: &FieldConfig, kind, y: Vec<String>| ChartConfig {
        x: x.name.clone(),
        kind,
        y,
        of: Aggregate::Sum,
        title: None,
    };
    // A chart has one scale, and money is counted on another than people.
    let (money, counts): (Vec<&FieldConfig>, Vec<&FieldConfig>) =
        totals.iter().copied().partition(|field| matches!(field.kind, FieldKind::Money { .. }));
    let when = resource.fields.iter().find(|field| is_time(field));
    let lines =
        [counts, money].into_iter().filter(|fields| !fields.is_empty()).filter_map(|fields| {
            let names = fields.iter().map(|field| field.name.clone()).collect();
            Some(chart(when?, ChartKind::Lines, names))
        });
    let mut charts: Vec<ChartConfig> = lines.collect();
    let groups = resource.fields.iter().filter(|field| matches!(field.kind, FieldKind::Choice(_)));
    let first = || totals.iter().take(1).map(|field| field.name.clone()).collect();
    charts.extend(groups.take(2).map(|field| chart(field, ChartKind::Shares, first())));
    Some(SummaryConfig { tiles: numbers().take(TILES).map(tile).collect(), charts })
}

/// Whether [`config`] may have something for a resource, as far as its declaration tells.
pub fn may_have(resource: &ResourceConfig) -> bool {
    let changes = [Action::Create, Action::Update, Action::Delete];
    let is_read_only = !resource.actions.iter().any(|action| changes.contains(action));
    resource.summary.is_some() || (is_read_only && resource.fields.iter().any(|field| field.total))
}

fn is_time(field: &FieldConfig) -> bool {
    field.kind == FieldKind::Date || ["day", "month", "week", "date"].contains(&field.name.as_str())
}

/// The number of a tile; none where no record has one.
pub fn tile(tile: &TileConfig, rows: &[Value]) -> Option<f64> {
    let values: Vec<f64> = rows.iter().filter_map(|row| number(row, &tile.field)).collect();
    aggregate(tile.of, &values)
}

/// Numbers that are ready to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// The shape.
    pub kind: Kind,
    /// What they are of.
    pub labels: Vec<String>,
    /// The numbers.
    pub series: Vec<Series>,
}

/// What a chart shows of some records. Days become months where they are too many; of names that are
/// too many the largest are shown.
pub fn chart(chart: &ChartConfig, resource: &Resource, rows: &[Value]) -> Drawn {
    let x = resource.field(&chart.x);
    let is_days = rows.iter().all(|row| day(&plain(lookup(row, &chart.x))).is_some());
    let mut keys: Vec<String> = rows.iter().map(|row| key(row, &chart.x, 10, is_days)).collect();
    let length = if is_days && distinct(&keys) > DAYS { 7 } else { 10 };
    if length < 10 {
        keys = rows.iter().map(|row| key(row, &chart.x, length, is_days)).collect();
    }
    let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for (key, row) in keys.iter().zip(rows) {
        groups.entry(key).or_default().push(row);
    }
    let value = |rows: &[&Value], field: &str| {
        let values: Vec<f64> = rows.iter().filter_map(|row| number(row, field)).collect();
        aggregate(chart.of, &values)
    };
    let mut labels: Vec<&str> = groups.keys().copied().collect();
    if chart.kind == ChartKind::Shares
        && let Some(first) = chart.y.first()
    {
        let size = |label: &&str| groups.get(label).and_then(|rows| value(rows, first));
        labels.sort_by(|a, b| size(b).partial_cmp(&size(a)).unwrap_or(std::cmp::Ordering::Equal));
        labels.truncate(LABELS / 4);
    }
    // Of what goes on in time, the end counts.
    let labels = labels.split_off(labels.len().saturating_sub(LABELS));
    let series = chart.y.iter().map(|name| Series {
        name: resource.field(name).map_or(name.clone(), |field| field.label.clone()),
        values: labels.iter().map(|label| value(&groups[label], name)).collect(),
    });
    let kind = match chart.kind {
        ChartKind::Bars => Kind::Bars,
        ChartKind::Lines => Kind::Lines,
        ChartKind::Shares => Kind::Shares,
    };
    let series = series.collect();
    let labels = labels.into_iter().map(|label| named(x, label)).collect();
    Drawn { kind, labels, series }
}

fn key(row: &Value, name: &str, length: usize, is_days: bool) -> String {
    let text = plain(lookup(row, name)).into_owned();
    match text.get(..length) {
        Some(beginning) if is_days => beginning.to_owned(),
        _ => text,
    }
}

fn distinct(keys: &[String]) -> usize {
    keys.iter().collect::<std::collections::BTreeSet<_>>().len()
}

/// A value as people call it.
fn named(field: Option<&FieldConfig>, value: &str) -> String {
    let choices = field.map(|field| field.kind.choices()).unwrap_or_default();
    let choice = choices.iter().find(|choice| choice.value == value);
    choice.map_or_else(|| value.to_owned(), |choice| choice.label.clone())
}

fn number(row: &Value, name: &str) -> Option<f64> {
    match lookup(row, name) {
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        value => value.as_f64(),
    }
}

fn aggregate(of: Aggregate, values: &[f64]) -> Option<f64> {
    let last = values.last().copied()?;
    let sum: f64 = values.iter().sum();
    Some(match of {
        Aggregate::Sum => sum,
        Aggregate::Average => sum / values.len() as f64,
        Aggregate::Least => values.iter().copied().fold(f64::INFINITY, f64::min),
        Aggregate::Most => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        Aggregate::Count => values.len() as f64,
        Aggregate::Last => last,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;

    fn resource() -> Resource {
        let text = "[backends.b]\nurl = \"https://b.example\"\n[resources.g.r]\nbackend = \"b\"\n\
                    path = \"/r\"\nactions = [\"list\"]\n\
                    fields = [{ name = \"day\", type = \"date\" }, \
                    { name = \"channel\", type = \"choice\", choices = [\"web\", \"shop\"] }, \
                    { name = \"visits\", type = \"integer\", total = true }]";
        let config = Config::from_text("x.toml".as_ref(), text, &Default::default());
        let config = std::sync::Arc::new(config.unwrap().resources.remove(0));
        Resource { fields: config.fields.clone(), config }
    }

    #[test]
    fn a_list_that_is_only_read_offers_its_numbers() {
        let (resource, rows) = (resource(), rows(2));
        let config = config(&resource).unwrap();
        assert_eq!(tile(&config.tiles[0], &rows), Some(30.0));
        let lines = chart(&config.charts[0], &resource, &rows);
        assert_eq!(lines.labels, ["2026-01-01", "2026-01-02"]);
        assert_eq!(lines.series[0].values, [Some(10.0), Some(20.0)]);
        let shares = chart(&config.charts[1], &resource, &rows);
        assert_eq!(shares.labels, ["Shop", "Web"], "the largest first");
    }

    #[test]
    fn many_days_become_months() {
        let resource = resource();
        let lines = chart(&config(&resource).unwrap().charts[0], &resource, &rows(90));
        assert_eq!(lines.labels, ["2026-01", "2026-02", "2026-03"]);
    }

    fn rows(days: usize) -> Vec<Value> {
        let row = |at: usize| {
            let (month, day) = (at / 30 + 1, at % 30 + 1);
            let channel = if at.is_multiple_of(2) { "web" } else { "shop" };
            let day = day.min(28);
            json!({ "day": format!("2026-{month:02}-{day:02}"), "channel": channel,
                "visits": (10 * (at + 1)).to_string() })
        };
        (0..days).map(row).collect()
    }

    #[test]
    fn numbers_are_put_together_as_asked() {
        let values = [1.0, 4.0, 1.0];
        let all = [Aggregate::Sum, Aggregate::Average, Aggregate::Least, Aggregate::Most];
        let all: Vec<_> = all.into_iter().map(|of| aggregate(of, &values).unwrap()).collect();
        assert_eq!(all, [6.0, 2.0, 1.0, 4.0]);
        assert_eq!(aggregate(Aggregate::Count, &values), Some(3.0));
        assert_eq!(aggregate(Aggregate::Sum, &[]), None);
    }
}
