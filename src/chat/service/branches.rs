//! Branches: questions in other words, further replies to the same question, and which of them is
//! shown.

use super::{Chat, Position, gone_on, no_message};
use crate::{
    chat::{
        live::RunTarget,
        store::Tx,
        wire::{Role, Started},
    },
    error::Result,
    session::Caller,
    store::new_id,
    ui::reader::Habits,
};

impl Chat {
    /// Begins another reply beside one of the caller's, to the same question, and shows it.
    pub async fn regenerate(
        &self,
        caller: &Caller,
        reply: &str,
        habits: Habits,
    ) -> Result<Started> {
        let (this, caller, reply) = (self.clone(), caller.clone(), reply.to_owned());
        self.unhurried(async move { this.regenerate_to_end(&caller, &reply, habits).await }).await
    }

    async fn regenerate_to_end(
        &self,
        caller: &Caller,
        reply: &str,
        habits: Habits,
    ) -> Result<Started> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let conversation = store.conversation_of(&owner, reply).await?.ok_or_else(no_message)?;
        let row = store.message(reply).await?.ok_or_else(no_message)?;
        let assistant = self.assistant(caller, row.assistant.as_deref())?.clone();
        let mut tx = store.begin().await?;
        self.refuse_when_busy(&mut tx, &conversation).await?;
        let parent = store.parent_of(&mut tx, &conversation, reply, Role::Assistant).await?;
        let parent = parent.ok_or_else(no_message)?;
        store.move_tip(&mut tx, &conversation, parent.as_deref()).await?;
        let id = new_id();
        store.insert_reply(&mut tx, &conversation, &id, &assistant.name).await?;
        let at = RunTarget { owner, conversation, message: id };
        let live = self.begin_run(tx, at, &assistant.name, &new_id()).await?;
        self.write(live, caller, assistant, habits).await
    }

    /// Shows the branch that one of the caller's messages is on; answers its conversation.
    pub async fn show_branch(&self, caller: &Caller, message: &str) -> Result<String> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let conversation = store.conversation_of(&owner, message).await?.ok_or_else(no_message)?;
        let mut tx = store.begin().await?;
        self.refuse_when_busy(&mut tx, &conversation).await?;
        store.show_branch(&mut tx, &conversation, message).await?;
        tx.commit().await?;
        self.inner.bells.ring(&conversation);
        Ok(conversation)
    }

    /// Makes the place for a question the end of the branch that is shown.
    pub(super) async fn go_to(
        &self,
        tx: &mut Tx,
        conversation: &str,
        position: &Position,
    ) -> Result<()> {
        let store = &self.inner.store;
        match position {
            Position::End => Ok(()),
            Position::After(known) => {
                let tip = store.tip(tx, conversation).await?;
                if tip.as_ref() == Some(known) { Ok(()) } else { Err(gone_on()) }
            }
            Position::Beside(question) => {
                let parent = store.parent_of(tx, conversation, question, Role::User).await?;
                let parent = parent.ok_or_else(no_message)?;
                Ok(store.move_tip(tx, conversation, parent.as_deref()).await?)
            }
        }
    }
}
