//! The SQL of branches: what stands beside a message, and which branch is shown.

use sqlx::AssertSqlSafe;

use super::{ChatStore, PATH, Tx, touch};
use crate::chat::wire::Role;

impl ChatStore {
    /// The messages of a conversation that have others beside them: id, and what they have in
    /// common; oldest first.
    pub async fn forks(&self, conversation: &str) -> sqlx::Result<Vec<(String, String)>> {
        sqlx::query_as(
            "SELECT id, COALESCE(parent_id, '') || ' ' || role AS place FROM messages
             WHERE conversation_id = $1 AND COALESCE(parent_id, '') || ' ' || role IN
                 (SELECT COALESCE(parent_id, '') || ' ' || role FROM messages
                  WHERE conversation_id = $1 GROUP BY parent_id, role HAVING COUNT(*) > 1)
             ORDER BY position",
        )
        .bind(conversation)
        .fetch_all(self.store.pool())
        .await
    }

    /// The last message of the branch that is shown.
    pub async fn tip(&self, tx: &mut Tx, conversation: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar("SELECT tip_id FROM conversations WHERE id = $1")
            .bind(conversation)
            .fetch_one(&mut **tx)
            .await
    }

    /// Makes a message, or the beginning, the end of the branch that is shown, for what will follow
    /// it.
    pub async fn move_tip(
        &self,
        tx: &mut Tx,
        conversation: &str,
        tip: Option<&str>,
    ) -> sqlx::Result<()> {
        touch(tx, conversation).await?;
        sqlx::query("UPDATE conversations SET tip_id = $2 WHERE id = $1")
            .bind(conversation)
            .bind(tip)
            .execute(&mut **tx)
            .await
            .map(drop)
    }

    /// What a message follows, if it is in this conversation; none within for the first.
    pub async fn parent_of(
        &self,
        tx: &mut Tx,
        conversation: &str,
        message: &str,
        role: Role,
    ) -> sqlx::Result<Option<Option<String>>> {
        sqlx::query_scalar(
            "SELECT parent_id FROM messages WHERE id = $1 AND conversation_id = $2 AND role = $3",
        )
        .bind(message)
        .bind(conversation)
        .bind(role.as_str())
        .fetch_optional(&mut **tx)
        .await
    }

    /// Shows the branch that a message is on, as far as it goes, and marks it as changed from that
    /// message on.
    pub async fn show_branch(
        &self,
        tx: &mut Tx,
        conversation: &str,
        message: &str,
    ) -> sqlx::Result<()> {
        touch(tx, conversation).await?;
        // What was written last below a message is the end of a branch.
        sqlx::query(
            "UPDATE conversations SET tip_id = (
                 WITH RECURSIVE below (id, position) AS (
                     SELECT id, position FROM messages WHERE id = $2
                     UNION ALL
                     SELECT m.id, m.position FROM below JOIN messages m ON m.parent_id = below.id)
                 SELECT id FROM below ORDER BY position DESC LIMIT 1)
             WHERE id = $1",
        )
        .bind(conversation)
        .bind(message)
        .execute(&mut **tx)
        .await?;
        sqlx::query(AssertSqlSafe(format!(
            "{PATH} UPDATE messages SET revision = (SELECT revision FROM conversations WHERE id = $1)
             WHERE id IN (SELECT id FROM path)
               AND position >= (SELECT position FROM messages WHERE id = $2)"
        )))
        .bind(conversation)
        .bind(message)
        .execute(&mut **tx)
        .await
        .map(drop)
    }
}
