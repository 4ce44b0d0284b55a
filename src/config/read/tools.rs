//! `tools` of an assistant: what it may do with which declared resource.

use super::House;
use crate::config::{
    model::{Action, ResourceConfig, ToolVerb, ToolsConfig},
    problem::{alternatives, suggestion},
    section::{Read, Value},
    values,
};

const REMEDY: &str = "write a resource and what may be done with it, such as \
                      \"crm.contacts:read,create,update\"";

/// All entries. One resource stands in one of them.
pub(super) fn tools(
    value: &Value<'_>,
    house: &House<'_>,
    resources: &Read<Vec<ResourceConfig>>,
) -> Read<Vec<ToolsConfig>> {
    let tools = value.list(|entry| one(entry, house, resources))?;
    for (at, tool) in tools.iter().enumerate() {
        let is_same =
            |other: &ToolsConfig| (&other.group, &other.name) == (&tool.group, &tool.name);
        if tools[..at].iter().any(is_same) {
            let (group, name) = (&tool.group, &tool.name);
            return Err(value.refuse(&format!("names `{group}.{name}` twice; join the verbs")));
        }
    }
    Ok(tools)
}

fn one(
    value: &Value<'_>,
    house: &House<'_>,
    resources: &Read<Vec<ResourceConfig>>,
) -> Read<ToolsConfig> {
    let text = value.text(REMEDY)?;
    let Some((resource, verbs)) = text.split_once(':') else {
        return Err(value.refuse(&format!("`{text}` says nothing of what may be done; {REMEDY}")));
    };
    let known: Vec<&str> = house.resources.iter().map(String::as_str).collect();
    let found = resource.split_once('.').filter(|_| known.contains(&resource));
    let Some((group, name)) = found else {
        let hint = suggestion(resource, &known);
        return Err(value.refuse(&format!("there is no `[resources.{resource}]`; {hint}")));
    };
    let mut read = Vec::new();
    for word in verbs.split(',') {
        let verb = verb(value, word.trim())?;
        if !read.contains(&verb) {
            read.push(verb);
        }
    }
    // A resource that is wrong itself has been told of.
    if let Ok(resources) = resources
        && let Some(config) = resources.iter().find(|it| it.group == group && it.name == name)
    {
        for verb in &read {
            check(value, config, *verb)?;
        }
    }
    Ok(ToolsConfig { group: group.to_owned(), name: name.to_owned(), verbs: read })
}

fn verb(value: &Value<'_>, word: &str) -> Read<ToolVerb> {
    let known = values::TOOL_VERBS;
    if let Some((_, verb)) = known.iter().find(|(name, _)| *name == word) {
        return Ok(*verb);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(value.refuse(&format!("`{word}` is not known here; {}", suggestion(word, &names))))
}

/// What nobody may do, no assistant may do either.
fn check(value: &Value<'_>, config: &ResourceConfig, verb: ToolVerb) -> Read<()> {
    let has = |action| config.actions.contains(&action);
    let is_allowed = match verb {
        ToolVerb::Read => has(Action::List) || has(Action::Read),
        ToolVerb::Create => has(Action::Create),
        // What is changed is read first.
        ToolVerb::Update => has(Action::Update) && has(Action::Read),
    };
    if is_allowed {
        return Ok(());
    }
    let word = values::word_for(values::TOOL_VERBS, &verb);
    let actions: Vec<&str> = config.actions.iter().map(|action| action.word()).collect();
    let resource = format!("{}.{}", config.group, config.name);
    Err(value.refuse(&format!(
        "allows `{word}`, which `[resources.{resource}]` does not; its actions are {}",
        alternatives(&actions)
    )))
}
