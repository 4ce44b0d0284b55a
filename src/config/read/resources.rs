//! `[groups.<group>]` and `[resources.<group>.<name>]`: the data that is listed and edited.

use std::collections::{BTreeMap, BTreeSet};

use super::House;
use crate::config::{
    model::{Action, FieldConfig, FieldKind, GroupConfig, ListStyle, ResourceConfig},
    section::{Read, Section, Value, all},
    values,
};

/// Styles that a later version will know.
const LATER_STYLES: &[&str] = &["wagtail", "json-server"];

/// The groups that are declared, and those that resources stand in.
pub(super) fn groups(root: &Section<'_>) -> Read<BTreeMap<String, GroupConfig>> {
    let declared: Read<BTreeMap<String, GroupConfig>> =
        all(root.named("groups").into_iter().map(|(name, value)| {
            let group = value.table(|s| group(s, name))?;
            Ok((name.to_owned(), group))
        }));
    let mut groups = declared?;
    for name in root.names("resources") {
        groups
            .entry(name.to_owned())
            .or_insert_with(|| GroupConfig { title: values::in_words(name) });
    }
    Ok(groups)
}

fn group(s: &Section<'_>, name: &str) -> Read<GroupConfig> {
    let title = s.defaulted_with("title", values::text, || Ok(values::in_words(name)));
    Ok(GroupConfig { title: title? })
}

pub(super) fn resources(root: &Section<'_>, house: &House<'_>) -> Read<Vec<ResourceConfig>> {
    let mut resources = Vec::new();
    for (group, tables) in root.named("resources") {
        let tables = tables.named();
        if let Some((_, value)) = tables.iter().find(|(_, value)| !value.is_table()) {
            let remedy = "a resource has a group and a name: write `[resources.<group>.<name>]`";
            resources.push(Err(value.refuse(remedy)));
            continue;
        }
        for (name, value) in tables {
            resources.push(value.table(|s| resource(s, group, name, house)));
        }
    }
    all(resources)
}

fn resource(s: &Section<'_>, group: &str, name: &str, house: &House<'_>) -> Read<ResourceConfig> {
    let backend = s.required("backend", "write the name of a table under `[backends]`", |v| {
        values::name_of(v, "backends", &house.backends)
    });
    let path = s.required(
        "path",
        "write where the list is on the backend, such as \"/api/contacts\"",
        values::path,
    );
    let title = s.defaulted_with("title", values::text, || Ok(values::in_words(name)));
    let actions = s.defaulted_with("actions", actions, || Ok(all_actions()));
    let style = s.defaulted("style", style, ListStyle::Drf);
    let id = s.defaulted_with("id", values::word, || Ok("id".to_owned()));
    let fields = s.required("fields", "write the fields to show: `[\"name\", \"email\"]`", fields);

    Ok(ResourceConfig {
        group: group.to_owned(),
        name: name.to_owned(),
        backend: backend?,
        path: path?,
        title: title?,
        actions: actions?,
        style: style?,
        id: id?,
        fields: fields?,
    })
}

fn actions(value: &Value<'_>) -> Read<Vec<Action>> {
    let actions = value.list(|v| values::choice(v, values::ACTIONS, &[]))?;
    if actions.is_empty() {
        return Err(value.refuse("is empty; name at least one, or remove the resource"));
    }
    Ok(actions)
}

fn all_actions() -> Vec<Action> {
    values::ACTIONS.iter().map(|(_, action)| *action).collect()
}

fn style(value: &Value<'_>) -> Read<ListStyle> {
    values::choice(value, values::LIST_STYLES, LATER_STYLES)
}

fn fields(value: &Value<'_>) -> Read<Vec<FieldConfig>> {
    let fields = value.list(field)?;
    if fields.is_empty() {
        return Err(value.refuse("is empty; name at least one field to show"));
    }
    match repeated(&fields) {
        Some(name) => Err(value.refuse(&format!("has the field `{name}` twice; remove one"))),
        None => Ok(fields),
    }
}

/// The first name that stands in the list a second time.
fn repeated(fields: &[FieldConfig]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    fields.iter().map(|field| field.name.as_str()).find(|name| !seen.insert(*name))
}

/// A field is a name, or a table with a name.
fn field(value: &Value<'_>) -> Read<FieldConfig> {
    if value.is_table() {
        value.table(field_table)
    } else {
        values::word(value).map(|name| FieldConfig {
            label: values::in_words(&name),
            name,
            kind: FieldKind::Text,
            in_list: true,
            sortable: false,
        })
    }
}

fn field_table(s: &Section<'_>) -> Read<FieldConfig> {
    let name = s.required("name", "write the field's key in the record", values::word);
    let label = s.optional("label", values::text);
    let kind =
        s.defaulted("type", |v| values::choice(v, values::FIELD_KINDS, &[]), FieldKind::Text);
    let in_list = s.defaulted("list", |v| v.boolean(), true);
    let sortable = s.defaulted("sortable", |v| v.boolean(), false);

    let name = name?;
    Ok(FieldConfig {
        label: label?.unwrap_or_else(|| values::in_words(&name)),
        name,
        kind: kind?,
        in_list: in_list?,
        sortable: sortable?,
    })
}
