//! Who answers: the assistant that is asked for, and what its provider is told.

use super::{Chat, MessageRow, Question};
use crate::{
    chat::{
        provider::{self, Turn},
        view::Who,
        wire::{MessageState, Role},
    },
    config::AssistantConfig,
    error::{Error, Result},
    session::Caller,
};

impl Chat {
    /// The assistant that answers when none is named.
    pub fn default_assistant(&self) -> Option<&AssistantConfig> {
        self.inner.assistants.get(self.inner.default.as_ref()?)
    }

    /// Who answers this caller when nobody is named.
    pub fn answerer(&self, caller: &Caller) -> Result<&AssistantConfig> {
        self.assistant(caller, None)
    }

    /// Everybody who answers, by name.
    pub fn assistants(&self) -> impl Iterator<Item = &AssistantConfig> {
        self.inner.assistants.values()
    }

    /// The assistant with this name.
    pub fn assistant_named(&self, name: &str) -> Option<&AssistantConfig> {
        self.inner.assistants.get(name)
    }

    /// What the provider is told: the system prompt, then every message that says something.
    pub(super) async fn turns(
        &self,
        conversation: &str,
        assistant: &AssistantConfig,
        history: &[MessageRow],
    ) -> Result<Vec<Turn>> {
        let ids = history.iter().map(|row| row.id.as_str());
        let mut files = self.files_told(conversation, assistant, ids).await?;
        let said = history.iter().map(|row| Turn {
            role: match row.role() {
                Role::User => provider::Role::User,
                Role::Assistant => provider::Role::Assistant,
            },
            text: row.text.clone(),
            files: files.remove(&row.id).unwrap_or_default(),
        });
        let mut said: Vec<Turn> =
            said.filter(|turn| !turn.text.is_empty() || !turn.files.is_empty()).collect();
        let told = assistant.history.unwrap_or(usize::MAX);
        let told = said.split_off(said.len().saturating_sub(told));
        let system = assistant.system.iter();
        let system = system.map(|text| Turn::new(provider::Role::System, text.clone()));
        Ok(system.chain(told).collect())
    }

    /// What people call an assistant, and what can be asked of it; of the usual one where none is
    /// named.
    pub fn who(&self, name: Option<&str>) -> Who {
        let named = name.and_then(|name| self.inner.assistants.get(name));
        match named.or_else(|| self.default_assistant()) {
            Some(known) => Who {
                title: known.title.clone(),
                can_redo: !provider::dialect(known.provider).keeps_history(),
                may_act: true,
            },
            None => Who { title: "Assistant".to_owned(), can_redo: false, may_act: true },
        }
    }

    /// Who is to answer a question: the assistant it names, else the one whose model it names.
    pub(super) fn chosen(&self, caller: &Caller, question: &Question) -> Result<&AssistantConfig> {
        let asked = match (&question.assistant, &question.model) {
            (Some(name), _) => Some(name),
            (None, Some(model)) => Some(self.of_model(model)),
            (None, None) => None,
        };
        let field = if question.assistant.is_some() { "assistant_id" } else { "model" };
        self.assistant(caller, asked.map(String::as_str)).map_err(|error| error.in_field(field))
    }

    /// The assistant with this model, if it is the only one; else what was said, as a name.
    fn of_model<'a>(&'a self, model: &'a String) -> &'a String {
        let mut with_model =
            self.inner.assistants.values().filter(|assistant| assistant.model == *model);
        match (with_model.next(), with_model.next()) {
            (Some(only), None) if !self.inner.assistants.contains_key(model) => &only.name,
            _ => model,
        }
    }

    /// The one that is asked for, which a channel has no say in, else the usual one.
    pub(super) fn assistant(
        &self,
        caller: &Caller,
        asked: Option<&str>,
    ) -> Result<&AssistantConfig> {
        let asked = match caller {
            Caller::Channel(channel) => channel.assistant.as_deref(),
            Caller::Session(_) | Caller::Nobody => asked,
        };
        let name = asked.or(self.inner.default.as_deref()).ok_or_else(|| {
            Error::not_found("No assistant is set up here. Add [assistants] to Leptos.toml.")
        })?;
        self.inner
            .assistants
            .get(name)
            .ok_or_else(|| Error::bad_request(format!("There is no assistant called {name}.")))
    }
}

/// Names the conversation to a service that keeps it. An agent that was left in the middle of its
/// steps would take the next question for the answer to its last one, so after that the conversation
/// has another name.
pub(super) fn thread(conversation: &str, history: &[MessageRow]) -> String {
    let is_left =
        |row: &&MessageRow| !matches!(row.state(), MessageState::Done) && !row.reasoning.is_empty();
    match history.iter().filter(is_left).count() {
        0 => conversation.to_owned(),
        count => format!("{conversation}-{count}"),
    }
}
