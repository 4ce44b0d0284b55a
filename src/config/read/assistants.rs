//! `[assistants.<name>]`: who answers in the chat.

use std::collections::BTreeMap;

use super::{House, tools};
use crate::{
    chat::{files, wire::LONGEST_MESSAGE},
    config::{
        model::{AssistantConfig, ChatProvider, ResourceConfig},
        section::{Read, Section, Value, all},
        values,
    },
};

impl ChatProvider {
    /// Whether a model is asked directly, which does whatever it is told.
    pub(in crate::config) fn is_a_model(self) -> bool {
        matches!(self, Self::OpenAi | Self::Anthropic | Self::Ollama)
    }

    /// Where replies are usually had.
    fn usual_path(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("/v1/chat/completions"),
            Self::Anthropic => Some("/v1/messages"),
            Self::Ollama => Some("/api/chat"),
            Self::Drupal => Some("/api/deepchat"),
            Self::Json => None,
        }
    }
}

pub(super) fn assistants(
    root: &Section<'_>,
    house: &House<'_>,
    resources: &Read<Vec<ResourceConfig>>,
) -> Read<BTreeMap<String, AssistantConfig>> {
    all(root.named("assistants").into_iter().map(|(name, value)| {
        let assistant = value.table(|s| assistant(s, name, house, resources))?;
        Ok((name.to_owned(), assistant))
    }))
}

fn assistant(
    s: &Section<'_>,
    name: &str,
    house: &House<'_>,
    resources: &Read<Vec<ResourceConfig>>,
) -> Read<AssistantConfig> {
    let title = s.defaulted_with("title", values::text, || Ok(name.to_owned()));
    let provider = s.required("provider", "write `provider = \"openai\"`", provider);
    let backend = s.required("backend", "write the name of a table under `[backends]`", |v| {
        values::name_of(v, "backends", &house.backends)
    });
    let path = s.optional("path", values::path);
    let model = s.optional("model", values::text);
    let processor = s.optional("processor", values::word);
    let system = s.optional("system", values::text);
    let temperature = s.optional("temperature", values::temperature);
    let max_tokens = s.optional("max_tokens", values::tokens);
    let description = s.optional("description", values::text);
    let history = s.optional("history", values::count);
    let max_message = s.defaulted("max_message", values::message_size, LONGEST_MESSAGE);
    let titles = s.optional("titles", |v| v.boolean());
    let files = s.defaulted("files", |v| v.list(values::file_kind), Vec::new());
    let upload = s.optional("upload", values::path);
    let max_file = s.defaulted("max_file", values::size, 20 << 20);
    let max_files = s.defaulted("max_files", values::count, 10);
    let greeting = s.optional("greeting", values::text);
    let suggestions = s.defaulted("suggestions", |v| v.list(values::text), Vec::new());
    let tools = s.defaulted("tools", |v| tools::tools(v, house, resources), Vec::new());

    let provider = provider?;
    check_tuning(s, provider);
    check_tools(s, provider);
    check_files(s, provider, files.as_deref().unwrap_or_default());
    Ok(AssistantConfig {
        name: name.to_owned(),
        title: title?,
        provider,
        backend: backend?,
        path: usual_or(s, provider, path?)?,
        model: named(s, provider, model?)?,
        system: system?,
        processor: processor?,
        temperature: temperature?,
        max_tokens: max_tokens?,
        description: description?,
        history: history?,
        max_message: max_message?,
        titles: titles?.unwrap_or(provider.is_a_model()),
        files: files?,
        upload: upload?,
        max_file: max_file?,
        max_files: max_files?,
        greeting: greeting?,
        suggestions: suggestions?,
        tools: tools?,
    })
}

fn provider(value: &Value<'_>) -> Read<ChatProvider> {
    values::choice(value, values::PROVIDERS, &[])
}

fn usual_or(s: &Section<'_>, provider: ChatProvider, path: Option<String>) -> Read<String> {
    match path.or_else(|| provider.usual_path().map(str::to_owned)) {
        Some(path) => Ok(path),
        None => Err(s.refuse("path", "is missing; write where the backend takes messages")),
    }
}

/// Whoever speaks to a plain endpoint need not name a model.
fn named(s: &Section<'_>, provider: ChatProvider, model: Option<String>) -> Read<String> {
    let remedy = match provider {
        ChatProvider::Json => return Ok(model.unwrap_or_default()),
        ChatProvider::Drupal => "write the assistant's machine name in Drupal",
        _ => "write the model's name as the backend knows it",
    };
    model.ok_or_else(|| s.refuse("model", &format!("is missing; {remedy}")))
}

/// What a service of its own decides cannot be decided here.
fn check_tuning(s: &Section<'_>, provider: ChatProvider) {
    if provider != ChatProvider::Drupal && s.has("processor") {
        s.refuse("processor", "has no effect: only Drupal has processors");
    }
    if !matches!(provider, ChatProvider::Drupal | ChatProvider::Json) {
        return;
    }
    for key in ["temperature", "max_tokens", "history", "titles"] {
        if s.has(key) {
            s.refuse(key, "has no effect with this provider; set it where the model is set up");
        }
    }
    if provider == ChatProvider::Drupal && s.has("system") {
        s.refuse("system", "has no effect with Drupal; write it into the assistant there");
    }
}

/// Who takes no tools would never use one, and nobody would know why.
fn check_tools(s: &Section<'_>, provider: ChatProvider) {
    if s.has("tools") && !matches!(provider, ChatProvider::OpenAi | ChatProvider::Anthropic) {
        s.refuse(
            "tools",
            "has no effect with this provider; only `openai` and `anthropic` take tools",
        );
    }
}

/// Files that a service cannot be told of are not taken, rather than left out in silence.
fn check_files(s: &Section<'_>, provider: ChatProvider, files: &[String]) {
    if provider.is_a_model() && s.has("upload") {
        s.refuse("upload", "has no effect: this provider takes files with the question");
    }
    if provider == ChatProvider::Drupal && s.has("files") && !s.has("upload") {
        s.refuse("files", "needs `upload`: Drupal takes files apart from questions");
    }
    let reads = |kind: &String| kind.starts_with("image/") || files::is_text_pattern(kind);
    if provider == ChatProvider::Ollama && !files.iter().all(reads) {
        s.refuse(
            "files",
            "holds more than Ollama takes: write kinds of `image/*` and `text/*` only",
        );
    }
}
