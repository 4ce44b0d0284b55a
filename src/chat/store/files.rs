//! The SQL of files that people add to their messages.

use std::collections::HashSet;

use serde_json::Value;
use sqlx::{AssertSqlSafe, FromRow};

use super::{ChatStore, Tx};
use crate::store::now;

/// A row of `files`.
#[derive(Debug, Clone, FromRow)]
pub struct FileRow {
    pub id: String,
    pub message_id: Option<String>,
    pub name: String,
    pub kind: String,
    pub size: i64,
    /// Which service was given it, if one was.
    pub given_to: Option<String>,
    /// What that service said of it, as JSON.
    pub given_as: Option<String>,
}

/// Selects [`FileRow`]s.
fn files(filter: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT f.id, f.message_id, f.name, f.kind, f.size, f.given_to, f.given_as
         FROM files f {filter}"
    ))
}

impl ChatStore {
    /// Adds a file that is in no message yet, if the owner's have at most so many bytes with it;
    /// answers whether they have.
    pub async fn insert_file(&self, owner: &str, file: &FileRow, most: i64) -> sqlx::Result<bool> {
        let mut tx = self.store.begin().await?;
        let done = sqlx::query(
            "INSERT INTO files (id, owner, name, kind, size, created_at, given_to, given_as)
             SELECT $1, $2, $3, $4, $5, $6, $8, $9
             WHERE (SELECT COALESCE(SUM(size), 0) FROM files WHERE owner = $2) <= $7 - $5",
        )
        .bind(&file.id)
        .bind(owner)
        .bind(&file.name)
        .bind(&file.kind)
        .bind(file.size)
        .bind(now())
        .bind(most)
        .bind(&file.given_to)
        .bind(&file.given_as)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// How many bytes the owner's files have together.
    pub async fn bytes_of(&self, owner: &str) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM files WHERE owner = $1",
        )
        .bind(owner)
        .fetch_one(self.store.pool())
        .await
    }

    /// The owner's file with this id.
    pub async fn file(&self, owner: &str, id: &str) -> sqlx::Result<Option<FileRow>> {
        sqlx::query_as(files("WHERE f.owner = $1 AND f.id = $2"))
            .bind(owner)
            .bind(id)
            .fetch_optional(self.store.pool())
            .await
    }

    /// The files of one of the owner's messages, in their order.
    pub async fn files_of(&self, owner: &str, message: &str) -> sqlx::Result<Vec<FileRow>> {
        sqlx::query_as(files("WHERE f.owner = $1 AND f.message_id = $2 ORDER BY f.place"))
            .bind(owner)
            .bind(message)
            .fetch_all(self.store.pool())
            .await
    }

    /// The files of a conversation's messages, in their order.
    pub async fn files_in(&self, conversation: &str) -> sqlx::Result<Vec<FileRow>> {
        sqlx::query_as(files(
            "JOIN messages m ON m.id = f.message_id WHERE m.conversation_id = $1 ORDER BY f.place",
        ))
        .bind(conversation)
        .fetch_all(self.store.pool())
        .await
    }

    /// Puts a file of the owner's into a message; answers whether it was there and in none.
    pub async fn attach(
        &self,
        tx: &mut Tx,
        owner: &str,
        file: &str,
        message: &str,
        place: i64,
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "UPDATE files SET message_id = $3, place = $4
             WHERE id = $2 AND owner = $1 AND message_id IS NULL",
        )
        .bind(owner)
        .bind(file)
        .bind(message)
        .bind(place)
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps what a service said of a file when it was given it.
    pub async fn note_given(&self, id: &str, to: &str, said: &Value) -> sqlx::Result<()> {
        sqlx::query("UPDATE files SET given_to = $2, given_as = $3 WHERE id = $1")
            .bind(id)
            .bind(to)
            .bind(said.to_string())
            .execute(self.store.pool())
            .await?;
        Ok(())
    }

    /// Removes a file of the owner's that is in no message; answers whether there was one.
    pub async fn remove_unsent(&self, owner: &str, id: &str) -> sqlx::Result<bool> {
        let done =
            sqlx::query("DELETE FROM files WHERE owner = $1 AND id = $2 AND message_id IS NULL")
                .bind(owner)
                .bind(id)
                .execute(self.store.pool())
                .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets files that were never sent, and came before `time`.
    pub async fn forget_unsent(&self, time: i64) -> sqlx::Result<u64> {
        let done = sqlx::query("DELETE FROM files WHERE message_id IS NULL AND created_at < $1")
            .bind(time)
            .execute(self.store.pool())
            .await?;
        Ok(done.rows_affected())
    }

    /// The ids of all files.
    pub async fn file_ids(&self) -> sqlx::Result<HashSet<String>> {
        let ids: Vec<String> =
            sqlx::query_scalar("SELECT id FROM files").fetch_all(self.store.pool()).await?;
        Ok(ids.into_iter().collect())
    }
}
