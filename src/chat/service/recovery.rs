//! Replies that did not come to their end: taken up again by people, saved as far as they came
//! when nobody writes them any more.

use std::{sync::Arc, time::Duration};

use super::{Chat, Job, MessageRow, assistants::thread, busy, no_message};
use crate::{
    chat::{
        live::{LiveRun, RunTarget},
        log::Finished,
        provider::{self, Turn},
        reply::Begun,
        store::RunRow,
        transcript::Transcript,
        wire::{MessageState, Outcome, Role, RunEvent, Started},
    },
    config::AssistantConfig,
    error::{Error, Result},
    session::Caller,
    store::{millis, new_id, now},
    ui::reader::Habits,
};

/// How long a conversation that was deleted can be had back.
const UNDO: Duration = Duration::from_secs(60 * 60);
/// What a provider is told when an unfinished reply is to be carried on.
const CONTINUE: &str =
    "Continue your last message exactly where it stops. Do not repeat any of it.";

impl Chat {
    /// Takes up the last reply of a conversation again, from what it has, when it did not come to
    /// its end.
    pub async fn resume(&self, caller: &Caller, message: &str, habits: Habits) -> Result<Started> {
        let (this, caller, message) = (self.clone(), caller.clone(), message.to_owned());
        self.unhurried(async move { this.resume_to_end(&caller, &message, habits).await }).await
    }

    async fn resume_to_end(
        &self,
        caller: &Caller,
        message: &str,
        habits: Habits,
    ) -> Result<Started> {
        let owner = caller.known()?.owner();
        let conversation =
            self.inner.store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let mut history = self.conversation_rows(&owner, &conversation).await?;
        let reply = history.pop().filter(|last| last.id == message).ok_or_else(|| {
            Error::conflict("Only the last reply can be taken up again. Reload the page.")
        })?;
        let state = reply.state();
        if reply.role() != Role::Assistant || matches!(state, MessageState::Done) {
            return Err(Error::conflict("This reply is complete. Reload the page."));
        }
        let reply = match (state, self.inner.live.of_message(message)) {
            (MessageState::Running, Some(live)) if !live.has_ended() => return Err(busy()),
            (MessageState::Running, _) => self.recovered(reply).await?,
            _ => reply,
        };
        let assistant = self.assistant(caller, reply.assistant.as_deref())?.clone();
        let begun = match can_be_continued(&assistant, &reply) {
            true => Begun { steps: reply.steps(), text: reply.text },
            false => Begun::default(),
        };
        let mut turns = self.turns(&conversation, &assistant, &history, &begun.steps).await?;
        let live = self.begin_again(&owner, &conversation, message, &assistant.name).await?;
        if !begun.text.is_empty() {
            turns.push(Turn::new(provider::Role::Assistant, begun.text.clone()));
            turns.push(Turn::new(provider::Role::User, CONTINUE));
        }
        let thread = thread(&conversation, &history);
        Ok(self.spawn(live, caller, Job { assistant, turns, thread, begun, habits }))
    }

    async fn begin_again(
        &self,
        owner: &str,
        conversation: &str,
        message: &str,
        assistant: &str,
    ) -> Result<Arc<LiveRun>> {
        let mut tx = self.inner.store.begin().await?;
        if !self.inner.store.reopen(&mut tx, message, conversation).await? {
            return Err(busy());
        }
        let at = RunTarget {
            owner: owner.to_owned(),
            conversation: conversation.to_owned(),
            message: message.to_owned(),
        };
        self.begin_run(tx, at, assistant, &new_id()).await
    }

    /// Saves what a lost run had logged, and answers with the message as it is then.
    pub(super) async fn recovered(&self, reply: MessageRow) -> Result<MessageRow> {
        if let Some(run) = self.inner.store.running_run_of(&reply.id).await? {
            self.recover_run(&run).await?;
        }
        self.inner.store.message(&reply.id).await?.ok_or_else(no_message)
    }

    async fn recover_run(&self, run: &RunRow) -> Result<()> {
        let events = self.inner.store.events(run).await.map_err(Error::internal)?;
        let reply = self.inner.store.message(&run.message_id).await?.ok_or_else(no_message)?;
        self.inner.store.finish(run, &interrupted(&reply, &events)).await?;
        self.inner.bells.ring(&run.conversation_id);
        Ok(())
    }

    /// Marks the runs that nobody writes any more as interrupted, with the text that had been logged:
    /// at the start those that a crash left behind, later those whose end could not be saved.
    pub async fn recover(&self) -> Result<usize> {
        let mut runs = self.inner.store.running_runs().await?;
        runs.retain(|run| self.inner.live.get(&run.id).is_none_or(|live| live.has_ended()));
        for run in &runs {
            self.recover_run(run).await?;
        }
        Ok(runs.len())
    }

    /// Recovers runs, then removes what was deleted an hour ago, and log entries that finished
    /// messages have absorbed.
    pub async fn prune(&self) -> Result<u64> {
        self.recover().await?;
        self.inner.to_index.notify_one();
        self.inner.store.remove_deleted(now() - millis(UNDO)).await?;
        self.sweep_files().await?;
        Ok(self.inner.store.prune().await?)
    }
}

/// What `reply` is left with by a run that wrote `events` and no end. A run that wrote nothing leaves
/// what there was.
pub(super) fn interrupted(reply: &MessageRow, events: &[RunEvent]) -> Finished {
    let told = Transcript::of(events.iter().cloned());
    let outcome = Outcome::of(MessageState::Interrupted);
    let unsaid = |reasoning, outcome| Finished {
        text: reply.text.clone(),
        html: reply.html.clone(),
        steps: reply.steps(),
        is_html: reply.is_html,
        reasoning,
        reasoning_time: None,
        usage: None,
        outcome,
    };
    if told.is_empty() {
        return unsaid(reply.reasoning.clone(), outcome);
    }
    Finished {
        text: told.text(),
        html: told.rendered(),
        is_html: told.is_html,
        steps: told.steps,
        ..unsaid(told.reasoning, outcome)
    }
}

/// Whether the assistant can be told where its reply stopped. One that keeps the conversation itself
/// does not know what of it arrived, and HTML that broke off has no place to go on from: these
/// replies are begun anew.
fn can_be_continued(assistant: &AssistantConfig, reply: &MessageRow) -> bool {
    !reply.is_html && !provider::dialect(assistant.provider).keeps_history()
}
