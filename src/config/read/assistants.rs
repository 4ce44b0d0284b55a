//! `[assistants.<name>]`: who answers in the chat.

use std::collections::BTreeMap;

use super::House;
use crate::config::{
    model::{AssistantConfig, ChatProvider},
    section::{Read, Section, Value, all},
    values,
};

const PATH: &str = "/v1/chat/completions";

pub(super) fn assistants(
    root: &Section<'_>,
    house: &House<'_>,
) -> Read<BTreeMap<String, AssistantConfig>> {
    all(root.named("assistants").into_iter().map(|(name, value)| {
        let assistant = value.table(|s| assistant(s, name, house))?;
        Ok((name.to_owned(), assistant))
    }))
}

fn assistant(s: &Section<'_>, name: &str, house: &House<'_>) -> Read<AssistantConfig> {
    let title = s.defaulted_with("title", values::text, || Ok(name.to_owned()));
    let provider = s.required("provider", "write `provider = \"openai\"`", provider);
    let backend = s.required("backend", "write the name of a table under `[backends]`", |v| {
        values::name_of(v, "backends", &house.backends)
    });
    let path = s.defaulted_with("path", values::path, || Ok(PATH.to_owned()));
    let model = s.required("model", "write the model's name as the backend knows it", values::text);
    let system = s.optional("system", values::text);
    let greeting = s.optional("greeting", values::text);
    let suggestions = s.defaulted("suggestions", |v| v.list(values::text), Vec::new());

    Ok(AssistantConfig {
        name: name.to_owned(),
        title: title?,
        provider: provider?,
        backend: backend?,
        path: path?,
        model: model?,
        system: system?,
        greeting: greeting?,
        suggestions: suggestions?,
    })
}

fn provider(value: &Value<'_>) -> Read<ChatProvider> {
    values::choice(value, values::PROVIDERS, &["anthropic", "ollama", "drupal", "json"])
}
