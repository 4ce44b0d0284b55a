//! The SQL of deliveries and threads.

use sqlx::FromRow;

use super::webhook::Incoming;
use crate::store::{Store, now};

/// How long a finished delivery is remembered, so that a late duplicate is known, in milliseconds.
const REMEMBERED: i64 = 30 * 24 * 60 * 60 * 1000;

/// A row of `deliveries` that is to be worked on.
#[derive(Debug, Clone, FromRow)]
pub struct DeliveryRow {
    pub id: i64,
    pub channel: String,
    pub delivery: String,
    pub thread: String,
    pub text: String,
    pub answer: Option<String>,
    pub attempts: i64,
    pub due_at: i64,
}

/// The tables `deliveries` and `channel_threads`.
#[derive(Debug, Clone)]
pub struct DeliveryStore(Store);

impl DeliveryStore {
    /// In `store`.
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a message; answers whether it is new.
    pub async fn receive(&self, channel: &str, incoming: &Incoming) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "INSERT INTO deliveries (channel, delivery, thread, text, state, due_at, received_at)
             VALUES ($1, $2, $3, $4, 'received', $5, $5) ON CONFLICT (channel, delivery) DO NOTHING",
        )
        .bind(channel)
        .bind(&incoming.delivery)
        .bind(&incoming.thread)
        .bind(&incoming.text)
        .bind(now())
        .execute(self.0.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// What is to be worked on now, in order of arrival.
    pub async fn due(&self, limit: i64) -> sqlx::Result<Vec<DeliveryRow>> {
        sqlx::query_as(
            "SELECT id, channel, delivery, thread, text, answer, attempts, due_at FROM deliveries
             WHERE state IN ('received', 'answered') AND due_at <= $1 ORDER BY id LIMIT $2",
        )
        .bind(now())
        .bind(limit)
        .fetch_all(self.0.pool())
        .await
    }

    /// How many wait, now or later.
    pub async fn waiting(&self) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "SELECT count(*) FROM deliveries WHERE state IN ('received', 'answered')",
        )
        .fetch_one(self.0.pool())
        .await
    }

    /// Takes a row for `millis`; answers whether nobody else did.
    pub async fn claim(&self, row: &DeliveryRow, millis: i64) -> sqlx::Result<Option<DeliveryRow>> {
        let due_at = now().saturating_add(millis);
        let done = sqlx::query("UPDATE deliveries SET due_at = $3 WHERE id = $1 AND due_at = $2")
            .bind(row.id)
            .bind(row.due_at)
            .bind(due_at)
            .execute(self.0.pool())
            .await?;
        Ok((done.rows_affected() == 1).then(|| DeliveryRow { due_at, ..row.clone() }))
    }

    /// Keeps the reply, which is to be delivered at once.
    pub async fn answered(&self, id: i64, answer: &str) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE deliveries SET state = 'answered', answer = $2, attempts = 0 WHERE id = $1",
        )
        .bind(id)
        .bind(answer)
        .execute(self.0.pool())
        .await
        .map(drop)
    }

    /// It is to be tried again at `due_at`.
    pub async fn again(&self, id: i64, attempts: i64, due_at: i64) -> sqlx::Result<()> {
        sqlx::query("UPDATE deliveries SET attempts = $2, due_at = $3 WHERE id = $1")
            .bind(id)
            .bind(attempts)
            .bind(due_at)
            .execute(self.0.pool())
            .await
            .map(drop)
    }

    /// It is over: `delivered` or `failed`.
    pub async fn finish(&self, id: i64, state: &str) -> sqlx::Result<()> {
        sqlx::query("UPDATE deliveries SET state = $2 WHERE id = $1")
            .bind(id)
            .bind(state)
            .execute(self.0.pool())
            .await
            .map(drop)
    }

    /// The conversation that a thread is.
    pub async fn conversation(&self, channel: &str, thread: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT conversation_id FROM channel_threads WHERE channel = $1 AND thread = $2",
        )
        .bind(channel)
        .bind(thread)
        .fetch_optional(self.0.pool())
        .await
    }

    /// From now on, a thread is this conversation.
    pub async fn name_thread(&self, row: &DeliveryRow, conversation: &str) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO channel_threads (channel, thread, conversation_id) VALUES ($1, $2, $3)
             ON CONFLICT (channel, thread) DO NOTHING",
        )
        .bind(&row.channel)
        .bind(&row.thread)
        .bind(conversation)
        .execute(self.0.pool())
        .await
        .map(drop)
    }

    /// Forgets what was over long ago; answers how many.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        let done = sqlx::query(
            "DELETE FROM deliveries WHERE state IN ('delivered', 'failed') AND received_at <= $1",
        )
        .bind(now() - REMEMBERED)
        .execute(self.0.pool())
        .await?;
        Ok(done.rows_affected())
    }
}
