//! The SQL of links under which others can read a conversation, and of what leaves it whole.

use sqlx::{AssertSqlSafe, FromRow};

use super::{ALL, ChatStore, MESSAGE, MessageRow, Tx, walk_back};
use crate::store::now;

/// What a link leads to.
#[derive(Debug, FromRow)]
pub struct SharedRow {
    pub tip_id: String,
    pub title: String,
    pub tenant: Option<String>,
}

/// A message with its place in the tree.
#[derive(Debug, FromRow)]
pub struct TreeRow {
    #[sqlx(flatten)]
    pub message: MessageRow,
    pub parent_id: Option<String>,
}

impl ChatStore {
    /// Lets others read a conversation as far as it is written, under `id` or the link it has already.
    /// A temporary one has none.
    pub async fn share(&self, conversation: &str, id: &str) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO shares (id, conversation_id, tip_id, created_at)
             SELECT $2, c.id, CASE m.state WHEN 'running' THEN m.parent_id ELSE m.id END, $3
             FROM conversations c JOIN messages m ON m.id = c.tip_id
             WHERE c.id = $1 AND c.expires_at IS NULL
             ON CONFLICT (conversation_id) DO UPDATE SET tip_id = excluded.tip_id",
        )
        .bind(conversation)
        .bind(id)
        .bind(now())
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// Ends what is shared before a message that is written on: what will be added was not shared.
    pub(super) async fn share_less(&self, tx: &mut Tx, message: &str) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE shares SET tip_id = (SELECT parent_id FROM messages WHERE id = $1)
             WHERE tip_id = $1",
        )
        .bind(message)
        .execute(&mut **tx)
        .await
        .map(drop)
    }

    /// Takes a link back.
    pub async fn withdraw(&self, conversation: &str) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM shares WHERE conversation_id = $1")
            .bind(conversation)
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// The link of one of the owner's conversations, if it has one.
    pub async fn share_of(&self, owner: &str, conversation: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT s.id FROM shares s JOIN conversations c ON c.id = s.conversation_id
             WHERE c.id = $1 AND c.owner = $2",
        )
        .bind(conversation)
        .bind(owner)
        .fetch_optional(self.store.pool())
        .await
    }

    /// What a link leads to, if it leads anywhere.
    pub async fn shared(&self, id: &str) -> sqlx::Result<Option<SharedRow>> {
        sqlx::query_as(
            "SELECT s.tip_id, c.title, c.tenant
             FROM shares s JOIN conversations c ON c.id = s.conversation_id
             WHERE s.id = $1 AND c.deleted_at IS NULL",
        )
        .bind(id)
        .fetch_optional(self.store.pool())
        .await
    }

    /// The messages from the first one to `tip`.
    pub async fn up_to(&self, tip: &str) -> sqlx::Result<Vec<MessageRow>> {
        walk_back("SELECT $1", self.store.pool(), tip, ALL).await
    }

    /// Every message of a conversation, on whichever branch, in the order they were written.
    pub async fn tree(&self, conversation: &str) -> sqlx::Result<Vec<TreeRow>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {MESSAGE}, m.parent_id FROM messages m
             WHERE m.conversation_id = $1 ORDER BY m.position"
        )))
        .bind(conversation)
        .fetch_all(self.store.pool())
        .await
    }
}
