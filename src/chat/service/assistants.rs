//! Who answers: the assistant that is asked for, and what its provider is told.

use super::{Chat, MessageRow, Question};
use crate::{
    chat::{
        provider::{self, Turn},
        view::Who,
        wire::{Found, MessageState, Role, Step},
    },
    config::AssistantConfig,
    data::Standing,
    error::{Error, Result},
    session::Caller,
};

/// Of how many replies, and of how many steps of one, an assistant is told later, the last ones.
const RECALLED: usize = 20;
const REMEMBERED: usize = 8;

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

    /// What the provider is told: the system prompt, then every message that says something. `begun` is
    /// what was done for the reply that is to be written, where it was begun before.
    pub(super) async fn turns(
        &self,
        conversation: &str,
        assistant: &AssistantConfig,
        history: &[MessageRow],
        begun: &[Step],
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
        let memory = match assistant.tools.is_empty() {
            true => None,
            false => self.memory(history, begun).await?,
        };
        let system: Vec<String> = assistant.system.iter().cloned().chain(memory).collect();
        let system =
            (!system.is_empty()).then(|| Turn::new(provider::Role::System, system.join("\n\n")));
        Ok(system.into_iter().chain(told).collect())
    }

    /// What was done for earlier replies, in our own words: what was found then is not told again, and
    /// what has become of a change is known by now. It stands among the instructions, where nothing is
    /// that a backend said.
    async fn memory(&self, history: &[MessageRow], begun: &[Step]) -> Result<Option<String>> {
        let replies = history.iter().filter(|row| row.role() == Role::Assistant);
        let replies: Vec<&MessageRow> = replies.collect();
        let mut lines = Vec::new();
        for row in &replies[replies.len().saturating_sub(RECALLED)..] {
            let done = self.remembered(&row.steps()).await?;
            lines.extend(done.map(|done| format!("- For an earlier reply: {done}")));
        }
        let done = self.remembered(begun).await?;
        lines.extend(done.map(|done| format!("- For the reply that you are writing: {done}")));
        Ok((!lines.is_empty()).then(|| {
            let lines = lines.join("\n");
            format!("What was done with tools in this conversation, in this order:\n{lines}")
        }))
    }

    /// The last of these steps in a line, and whatever was proposed; none for none.
    async fn remembered(&self, steps: &[Step]) -> Result<Option<String>> {
        let mut done = Vec::new();
        let last = steps.len().saturating_sub(REMEMBERED);
        let kept = steps.iter().enumerate();
        for (_, step) in kept.filter(|(at, step)| *at >= last || step.proposal().is_some()) {
            let more = match &step.found {
                Found::Proposal { change, values, .. } => {
                    in_words(&self.inner.tools.standing(change, values).await?)
                }
                Found::Trouble { .. } => " (did not work)",
                _ => "",
            };
            done.push(format!("{}{more}", step.headline));
        }
        Ok((!done.is_empty()).then(|| done.join("; ")))
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

/// What has become of a change, for the assistant that proposed it.
fn in_words(standing: &Standing) -> &'static str {
    match standing {
        Standing::Open => " (not confirmed yet)",
        Standing::Working | Standing::Stuck => " (confirmed, not done yet)",
        Standing::Done { as_proposed: true, .. } => " (confirmed and done)",
        Standing::Done { as_proposed: false, .. } => " (confirmed with other values, and done)",
        Standing::Refused(_) => " (confirmed, and refused by the backend)",
        Standing::Replaced(_) => " (the person has written something else instead)",
        Standing::Unclear => " (confirmed; nobody knows whether it was done)",
        Standing::Discarded => " (taken back)",
        Standing::Lapsed => " (never confirmed)",
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
