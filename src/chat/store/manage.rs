//! The SQL of what people and their programs do with whole conversations: call them otherwise, pin
//! them, delete them, name them.

use sqlx::FromRow;

use super::{ChatStore, Tx};
use crate::store::now;

/// How a conversation began.
#[derive(Debug, FromRow)]
pub struct FirstWords {
    pub question: String,
    pub reply: String,
}

impl ChatStore {
    /// Calls a conversation otherwise; answers whether it is the owner's.
    pub async fn rename(&self, owner: &str, id: &str, title: &str) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "UPDATE conversations SET title = $3, title_by = 'person', revision = revision + 1
             WHERE id = $2 AND owner = $1 AND deleted_at IS NULL",
        )
        .bind(owner)
        .bind(id)
        .bind(title)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What was said first in a conversation whose title is still the beginning of it; none where it
    /// has another, or none is wanted.
    pub async fn first_words(&self, id: &str) -> sqlx::Result<Option<FirstWords>> {
        sqlx::query_as(
            "SELECT q.text AS question, r.text AS reply FROM conversations c
                 JOIN messages q ON q.conversation_id = c.id AND q.parent_id IS NULL
                 JOIN messages r ON r.parent_id = q.id AND r.state = 'done'
             WHERE c.id = $1 AND c.title_by = 'text' AND c.expires_at IS NULL
               AND c.deleted_at IS NULL
             ORDER BY r.position DESC LIMIT 1",
        )
        .bind(id)
        .fetch_optional(self.store.pool())
        .await
    }

    /// Gives a conversation a title that no person has given it; without one it keeps what it has, and
    /// nobody is asked again.
    pub async fn entitle(&self, id: &str, title: Option<&str>) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE conversations SET title = COALESCE($2, title), title_by = 'assistant',
                 revision = revision + 1
             WHERE id = $1 AND title_by = 'text'",
        )
        .bind(id)
        .bind(title)
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// Keeps what a person thinks of a reply; none takes it back.
    pub async fn rate(
        &self,
        conversation: &str,
        message: &str,
        rating: Option<i64>,
        note: &str,
    ) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        sqlx::query("UPDATE conversations SET revision = revision + 1 WHERE id = $1")
            .bind(conversation)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE messages SET rating = $2, rating_note = $3,
                 revision = (SELECT revision FROM conversations WHERE id = $4)
             WHERE id = $1 AND role = 'assistant'",
        )
        .bind(message)
        .bind(rating)
        .bind(rating.and(Some(note)))
        .bind(conversation)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Has pages show a message anew.
    pub async fn touch_message(&self, conversation: &str, message: &str) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        sqlx::query("UPDATE conversations SET revision = revision + 1 WHERE id = $1")
            .bind(conversation)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "UPDATE messages SET revision = (SELECT revision FROM conversations WHERE id = $2)
             WHERE id = $1",
        )
        .bind(message)
        .bind(conversation)
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    }

    /// Takes note that the owner has seen what there is in a conversation.
    pub async fn see(&self, owner: &str, id: &str) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE conversations SET read_at = $3
             WHERE id = $2 AND owner = $1 AND replied_at > read_at",
        )
        .bind(owner)
        .bind(id)
        .bind(now())
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// Puts a conversation above the others, or back among them; answers whether it is the owner's.
    pub async fn pin(&self, owner: &str, id: &str, at: Option<i64>) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "UPDATE conversations SET pinned_at = $3
             WHERE id = $2 AND owner = $1 AND deleted_at IS NULL",
        )
        .bind(owner)
        .bind(id)
        .bind(at)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Hides a conversation, and forgets the names that clients have for it; answers whether it was
    /// the owner's and there.
    pub async fn delete(&self, owner: &str, id: &str) -> sqlx::Result<bool> {
        let mut tx = self.store.begin().await?;
        let done = sqlx::query(
            "UPDATE conversations SET deleted_at = $3, revision = revision + 1
             WHERE id = $2 AND owner = $1 AND deleted_at IS NULL",
        )
        .bind(owner)
        .bind(id)
        .bind(now())
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 1 {
            sqlx::query("DELETE FROM conversation_names WHERE conversation_id = $1")
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Shows a conversation again that was deleted; answers its title, if it is the owner's and not
    /// gone for good.
    pub async fn restore(&self, owner: &str, id: &str) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "UPDATE conversations SET deleted_at = NULL, revision = revision + 1
             WHERE id = $2 AND owner = $1 AND deleted_at IS NOT NULL",
        )
        .bind(owner)
        .bind(id)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What a deleted conversation is called, while it can be had back.
    pub async fn deleted_title(&self, owner: &str, id: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT title FROM conversations
             WHERE id = $1 AND owner = $2 AND deleted_at IS NOT NULL",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(self.store.pool())
        .await
    }

    /// Removes for good what was deleted before `time`, and temporary conversations whose time is over; answers how many conversations.
    pub async fn remove_deleted(&self, time: i64) -> sqlx::Result<u64> {
        let done =
            sqlx::query("DELETE FROM conversations WHERE deleted_at < $1 OR expires_at < $2")
                .bind(time)
                .bind(now())
                .execute(self.store.pool())
                .await?;
        Ok(done.rows_affected())
    }

    /// The conversation that this owner's clients have this name for.
    pub async fn named(
        &self,
        tx: &mut Tx,
        owner: &str,
        name: &str,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT conversation_id FROM conversation_names WHERE owner = $1 AND name = $2",
        )
        .bind(owner)
        .bind(name)
        .fetch_optional(&mut **tx)
        .await
    }

    /// Gives a conversation a name.
    pub async fn insert_name(
        &self,
        tx: &mut Tx,
        owner: &str,
        name: &str,
        conversation: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO conversation_names (owner, name, conversation_id) VALUES ($1, $2, $3)",
        )
        .bind(owner)
        .bind(name)
        .bind(conversation)
        .execute(&mut **tx)
        .await
        .map(drop)
    }
}
