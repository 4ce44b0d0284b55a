//! `[groups.<group>]` and `[resources.<group>.<name>]`: the data that is listed and edited.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::House;
use crate::config::{
    model::{
        Action, DataConfig, FieldConfig, GroupConfig, OperationConfig, ResourceConfig, in_sentence,
    },
    problem::suggestion,
    section::{Read, Section, Value, all},
    values,
};

mod fields;
mod styles;
mod summary;

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

/// `<group>.<name>` of every resource, whatever else is wrong with it.
pub(super) fn names(root: &Section<'_>) -> Vec<String> {
    let names = root.names_below("resources");
    names.iter().map(|(group, name)| format!("{group}.{name}")).collect()
}

pub(super) fn resources(root: &Section<'_>, house: &House<'_>) -> Read<Vec<ResourceConfig>> {
    let mut resources = Vec::new();
    let known = &house.resources;
    for (group, tables) in root.named("resources") {
        let tables = tables.named();
        if let Some((_, value)) = tables.iter().find(|(_, value)| !value.is_table()) {
            let remedy = "a resource has a group and a name: write `[resources.<group>.<name>]`";
            resources.push(Err(value.refuse(remedy)));
            continue;
        }
        for (name, value) in tables {
            resources.push(value.table(|s| resource(s, group, name, house, known)));
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
    let icon = s.defaulted("icon", |v| values::choice(v, values::ICONS, &[]), "rows");
    let singular = s.optional("singular", values::text);
    let actions = s.defaulted_with("actions", actions, || Ok(Actions::all()));
    let known_actions = actions.as_ref().map_or_else(|_| Vec::new(), Actions::names);
    let roles = roles(s, &known_actions);
    let style = s.defaulted_with("style", styles::style, || Ok(styles::default()));
    let id = s.defaulted_with("id", values::word, || Ok("id".to_owned()));
    let fields = s.defaulted_with("fields", |v| fields(v, known), || Ok(Vec::new()));
    let summary = match &fields {
        Ok(fields) => s.optional_section("summary", |s| summary::summary(s, fields)),
        Err(reported) => {
            s.know("summary");
            Err(*reported)
        }
    };

    let (title, Actions { actions, mut operations }, mut roles) = (title?, actions?, roles?);
    for operation in &mut operations {
        operation.roles = roles.remove(&operation.name);
    }
    let of_action = |(name, roles): (String, Vec<String>)| Some((name.parse().ok()?, roles));
    Ok(ResourceConfig {
        group: group.to_owned(),
        name: name.to_owned(),
        backend: backend?,
        path: path?,
        icon: icon?,
        singular: singular?.unwrap_or_else(|| singular_of(&title)),
        title,
        actions,
        operations,
        roles: roles.into_iter().filter_map(of_action).collect(),
        style: style?,
        id: id?,
        fields: fields?.into(),
        summary: summary?,
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

/// What can be done with a resource: the usual, and what only its backend knows.
struct Actions {
    actions: Vec<Action>,
    operations: Vec<OperationConfig>,
}

impl Actions {
    fn all() -> Self {
        let actions = values::ACTIONS.iter().map(|(_, action)| *action).collect();
        Self { actions, operations: Vec::new() }
    }

    /// What `roles` can speak of.
    fn names(&self) -> Vec<String> {
        let usual = values::ACTIONS.iter().map(|(name, _)| (*name).to_owned());
        usual.chain(self.operations.iter().map(|operation| operation.name.clone())).collect()
    }
}

/// One entry of `actions`.
enum Named {
    Usual(Action),
    Operation(OperationConfig),
}

/// Names of what is usual, and tables of what is not. Tables alone add to what is usual.
fn actions(value: &Value<'_>) -> Read<Actions> {
    let named = value.list(|v| {
        if v.is_table() {
            return v.table(operation).map(Named::Operation);
        }
        values::choice(v, values::ACTIONS, &[]).map(Named::Usual)
    })?;
    if named.is_empty() {
        return Err(value.refuse("is empty; name at least one, or remove the resource"));
    }
    let (mut usual, mut operations) = (Vec::new(), Vec::new());
    for one in named {
        match one {
            Named::Usual(action) => usual.push(action),
            Named::Operation(operation) => operations.push(operation),
        }
    }
    let actions = if usual.is_empty() { Actions::all().actions } else { usual };
    let mut seen = BTreeSet::new();
    if let Some(twice) = operations.iter().find(|operation| !seen.insert(&operation.name)) {
        return Err(value.refuse(&format!("has `{}` twice; remove one", twice.name)));
    }
    Ok(Actions { actions, operations })
}

fn operation(s: &Section<'_>) -> Read<OperationConfig> {
    let name = s.required("name", "write what it is called, such as \"win\"", operation_name);
    let label = s.optional("label", values::text);
    let path = s.optional("path", values::word);
    let name = name?;
    Ok(OperationConfig {
        label: label?.unwrap_or_else(|| values::in_words(&name)),
        path: path?.unwrap_or_else(|| name.clone()),
        roles: None,
        name,
    })
}

/// One that is not usual, and can stand in an address.
fn operation_name(value: &Value<'_>) -> Read<String> {
    let name = values::word(value)?;
    if name.parse::<Action>().is_ok() || name == "all" {
        return Err(value.refuse("is the name of something usual; choose another"));
    }
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_plain { Ok(name) } else { Err(value.refuse("takes letters, digits, `-` and `_`")) }
}

/// Who may do what: a list of roles for each action, or for all of them under `all`.
fn roles(s: &Section<'_>, actions: &[String]) -> Read<BTreeMap<String, Vec<String>>> {
    let read = s.named("roles").into_iter().map(|(name, value)| {
        if name != "all" && !actions.iter().any(|action| action == name) {
            let names: Vec<&str> = actions.iter().map(String::as_str).chain(["all"]).collect();
            return Err(value.refuse(&format!("is no action; {}", suggestion(name, &names))));
        }
        Ok((name.to_owned(), role_names(&value)?))
    });
    let mut named: BTreeMap<String, Vec<String>> = all(read)?;
    if let Some(usual) = named.remove("all") {
        for action in actions {
            named.entry(action.clone()).or_insert_with(|| usual.clone());
        }
    }
    Ok(named)
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
