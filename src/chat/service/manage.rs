//! What people do with whole conversations: list, rename, pin, delete and have back.

use super::{Chat, no_conversation};
use crate::{
    chat::wire::ConversationLine,
    error::{Error, Result},
    session::Caller,
    store::now,
};

/// How many conversations the list shows.
const LISTED: i64 = 200;
/// The longest title that a person can give, in characters.
const LONGEST_NAME: usize = 200;

impl Chat {
    /// The caller's conversations, last changed first.
    pub async fn conversations(&self, caller: &Caller) -> Result<Vec<ConversationLine>> {
        let owner = caller.known()?.owner();
        Ok(self.inner.store.conversations(&owner, LISTED).await?)
    }

    /// Calls one of the caller's conversations otherwise.
    pub async fn rename(&self, caller: &Caller, id: &str, title: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        if title.is_empty() || title.chars().count() > LONGEST_NAME {
            return Err(Error::bad_request(format!(
                "A title has 1 to {LONGEST_NAME} characters. The old one is kept."
            ))
            .in_field("title"));
        }
        if !self.inner.store.rename(&owner, id, &title).await? {
            return Err(no_conversation());
        }
        self.inner.bells.ring(id);
        Ok(())
    }

    /// Puts one of the caller's conversations above the others, or back among them.
    pub async fn pin(&self, caller: &Caller, id: &str, pinned: bool) -> Result<()> {
        let owner = caller.known()?.owner();
        let is_there = self.inner.store.pin(&owner, id, pinned.then(now)).await?;
        is_there.then_some(()).ok_or_else(no_conversation)
    }

    /// Deletes one of the caller's conversations, which for an hour can be had back. A reply that is
    /// being written there is stopped.
    pub async fn delete(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        if !self.inner.store.delete(&owner, id).await? {
            return Err(no_conversation());
        }
        if let Some(live) = self.inner.live.of_conversation(id) {
            live.stop.cancel();
        }
        self.inner.bells.ring(id);
        Ok(())
    }

    /// Gives the caller a conversation back that they deleted.
    pub async fn restore(&self, caller: &Caller, id: &str) -> Result<()> {
        let owner = caller.known()?.owner();
        let is_there = self.inner.store.restore(&owner, id).await?;
        is_there.then_some(()).ok_or_else(|| {
            Error::not_found("This conversation was not deleted, or is gone for good.")
        })
    }

    /// What a conversation of the caller's is called that can be had back.
    pub async fn deleted_title(&self, caller: &Caller, id: &str) -> Result<Option<String>> {
        Ok(self.inner.store.deleted_title(&caller.known()?.owner(), id).await?)
    }
}
