//! `[groups.<group>]` and `[resources.<group>.<name>]`: the data that is listed and edited.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::House;
use crate::config::{
    model::{Action, DataConfig, FieldConfig, GroupConfig, ResourceConfig, in_sentence},
    section::{Read, Section, Value, all},
    values,
};

mod fields;
mod styles;

/// The longest that a change may wait.
const LONGEST_UNDO: Duration = Duration::from_secs(3_600);

pub(super) fn data(s: &Section<'_>) -> Read<DataConfig> {
    let undo = s.defaulted("undo", undo, Duration::from_secs(10));
    let admins = s.defaulted("admins", role_names, Vec::new());
    Ok(DataConfig { undo: undo?, admins: admins? })
}

fn undo(value: &Value<'_>) -> Read<Duration> {
    match values::wait(value)? {
        span if span <= LONGEST_UNDO => Ok(span),
        _ => Err(value.refuse("is longer than an hour; changes would come as a surprise")),
    }
}

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
    let known = root.names_below("resources");
    let known: Vec<String> = known.iter().map(|(group, name)| format!("{group}.{name}")).collect();
    for (group, tables) in root.named("resources") {
        let tables = tables.named();
        if let Some((_, value)) = tables.iter().find(|(_, value)| !value.is_table()) {
            let remedy = "a resource has a group and a name: write `[resources.<group>.<name>]`";
            resources.push(Err(value.refuse(remedy)));
            continue;
        }
        for (name, value) in tables {
            resources.push(value.table(|s| resource(s, group, name, house, &known)));
        }
    }
    all(resources)
}

fn resource(
    s: &Section<'_>,
    group: &str,
    name: &str,
    house: &House<'_>,
    known: &[String],
) -> Read<ResourceConfig> {
    let backend = s.required("backend", "write the name of a table under `[backends]`", |v| {
        values::name_of(v, "backends", &house.backends)
    });
    let path = s.required(
        "path",
        "write where the list is on the backend, such as \"/api/contacts\"",
        values::path,
    );
    let title = s.defaulted_with("title", values::text, || Ok(values::in_words(name)));
    let singular = s.optional("singular", values::text);
    let actions = s.defaulted_with("actions", actions, || Ok(all_actions()));
    let roles = s.section("roles", roles);
    let style = s.defaulted_with("style", styles::style, || Ok(styles::default()));
    let id = s.defaulted_with("id", values::word, || Ok("id".to_owned()));
    let fields = s.defaulted_with("fields", |v| fields(v, known), || Ok(Vec::new()));

    let title = title?;
    Ok(ResourceConfig {
        group: group.to_owned(),
        name: name.to_owned(),
        backend: backend?,
        path: path?,
        singular: singular?.unwrap_or_else(|| singular_of(&title)),
        title,
        actions: actions?,
        roles: roles?,
        style: style?,
        id: id?,
        fields: fields?.into(),
    })
}

/// `Companies` → `company`: what English does most of the time; `singular` is for the rest.
fn singular_of(title: &str) -> String {
    let title = in_sentence(title);
    match (title.strip_suffix("ies"), title.strip_suffix("ss"), title.strip_suffix('s')) {
        (Some(stem), _, _) => format!("{stem}y"),
        (None, None, Some(stem)) => stem.to_owned(),
        _ => title,
    }
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

/// Who may do what: a list of roles for each action, or for all of them under `all`.
fn roles(s: &Section<'_>) -> Read<BTreeMap<Action, Vec<String>>> {
    let usual = s.optional("all", role_names);
    let each = values::ACTIONS.iter().map(|(name, action)| {
        let named = s.optional(name, role_names);
        named.map(|named| (*action, named))
    });
    let each: Vec<(Action, Option<Vec<String>>)> = all(each)?;
    let usual = usual?;
    let named = each.into_iter().filter_map(|(action, named)| {
        let named = named.or_else(|| usual.clone())?;
        Some((action, named))
    });
    Ok(named.collect())
}

fn role_names(value: &Value<'_>) -> Read<Vec<String>> {
    value.list(values::word)
}

fn fields(value: &Value<'_>, known: &[String]) -> Read<Vec<FieldConfig>> {
    let fields = value.list(|v| fields::field(v, known))?;
    if fields.is_empty() {
        return Err(value.refuse(
            "is empty; name at least one field to show, or remove the key to have them worked out",
        ));
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
