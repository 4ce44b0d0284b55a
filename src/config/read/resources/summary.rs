//! `summary` of a resource: what is added up and drawn.

use crate::config::{
    model::{Aggregate, ChartConfig, ChartKind, FieldConfig, SummaryConfig, TileConfig},
    problem::suggestion,
    section::{Read, Section, Value},
    values,
};

/// `fields` are those that are declared; of a resource that declares none any name is taken.
pub(super) fn summary(s: &Section<'_>, fields: &[FieldConfig]) -> Read<SummaryConfig> {
    let tiles = s.defaulted("tiles", |v| v.list(|v| tile(v, fields)), Vec::new());
    let charts = s.defaulted("charts", |v| v.list(|v| chart(v, fields)), Vec::new());
    Ok(SummaryConfig { tiles: tiles?, charts: charts? })
}

/// A field's name, or a table.
fn tile(value: &Value<'_>, fields: &[FieldConfig]) -> Read<TileConfig> {
    if !value.is_table() {
        let field = number(value, fields)?;
        return Ok(TileConfig { field, of: Aggregate::Sum, label: None });
    }
    value.table(|s| {
        let field =
            s.required("field", "write the name of a field of numbers", |v| number(v, fields));
        let of = of(s);
        let label = s.optional("label", values::text);
        Ok(TileConfig { field: field?, of: of?, label: label? })
    })
}

fn chart(value: &Value<'_>, fields: &[FieldConfig]) -> Read<ChartConfig> {
    value.table(|s| {
        let x = s.required("x", "write the field that records are put together by", |v| {
            known(v, fields, |_| true)
        });
        let kind = s.defaulted("kind", |v| values::choice(v, values::CHARTS, &[]), ChartKind::Bars);
        let y = s.required("y", "write the fields of numbers: `[\"visitors\"]`", |v| {
            v.list(|v| number(v, fields))
        });
        let of = of(s);
        let title = s.optional("title", values::text);
        Ok(ChartConfig { x: x?, kind: kind?, y: y?, of: of?, title: title? })
    })
}

fn of(s: &Section<'_>) -> Read<Aggregate> {
    s.defaulted("of", |v| values::choice(v, values::AGGREGATES, &[]), Aggregate::Sum)
}

fn number(value: &Value<'_>, fields: &[FieldConfig]) -> Read<String> {
    known(value, fields, |field| field.kind.is_number())
}

fn known(
    value: &Value<'_>,
    fields: &[FieldConfig],
    fits: fn(&FieldConfig) -> bool,
) -> Read<String> {
    let name = values::word(value)?;
    let names: Vec<&str> =
        fields.iter().filter(|field| fits(field)).map(|field| field.name.as_str()).collect();
    if fields.is_empty() || names.contains(&name.as_str()) {
        return Ok(name);
    }
    let hint = suggestion(&name, &names);
    Err(value.refuse(&format!("is no field that can stand here; {hint}")))
}
