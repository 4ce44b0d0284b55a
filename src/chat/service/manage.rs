//! What people do with whole conversations: list, rename, pin, delete and have back.

use super::{Chat, no_conversation, no_message};
use crate::{
    chat::view::{Before, Listing},
    error::{Error, Result},
    session::Caller,
    store::now,
};

/// The longest note on a reply, in characters.
const LONGEST_NOTE: usize = 2_000;
/// The longest title that a person can give, in characters.
const LONGEST_NAME: usize = 200;

impl Chat {
    /// The caller's conversations from a place on, at most so many.
    pub async fn conversations(
        &self,
        caller: &Caller,
        before: Option<Before>,
        most: usize,
    ) -> Result<Listing> {
        let owner = caller.known()?.owner();
        let store = &self.inner.store;
        let pinned = match &before {
            None => store.pinned(&owner).await?,
            Some(_) => Vec::new(),
        };
        let one_more = i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1);
        let before = before.unwrap_or_default();
        let mut lines = store.conversations(&owner, &before, one_more).await?;
        let has_older = lines.len() > most;
        lines.truncate(most);
        let last = lines.last().filter(|_| has_older);
        let older = last.map(|last| Before { updated_at: last.updated_at, id: last.id.clone() });
        Ok(Listing { pinned, lines, older })
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

    /// Keeps what the caller thinks of one of their replies.
    pub async fn rate(
        &self,
        caller: &Caller,
        message: &str,
        is_good: Option<bool>,
        note: &str,
    ) -> Result<String> {
        let owner = caller.known()?.owner();
        let note = note.trim();
        if note.chars().count() > LONGEST_NOTE {
            return Err(Error::bad_request(format!(
                "A note has at most {LONGEST_NOTE} characters. Shorten it and save it again."
            ))
            .in_field("note"));
        }
        let conversation = self.inner.store.conversation_of(&owner, message).await?;
        let conversation = conversation.ok_or_else(no_message)?;
        let rating = is_good.map(|is_good| if is_good { 1 } else { -1 });
        self.inner.store.rate(&conversation, message, rating, note).await?;
        self.inner.bells.ring(&conversation);
        Ok(conversation)
    }

    /// Takes note that the caller has seen what there is in one of their conversations.
    pub async fn see(&self, caller: &Caller, id: &str) -> Result<()> {
        Ok(self.inner.store.see(&caller.known()?.owner(), id).await?)
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
