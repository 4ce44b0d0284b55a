//! The SQL of deliveries and threads.

use sqlx::{AssertSqlSafe, FromRow};

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
    pub pieces: i64,
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

    /// What is to be worked on now, in order of arrival. A message waits for the one before it in its
    /// thread to be answered.
    pub async fn due(&self, limit: i64) -> sqlx::Result<Vec<DeliveryRow>> {
        sqlx::query_as(
            "SELECT id, channel, delivery, thread, text, answer, attempts, due_at, pieces
             FROM deliveries d
             WHERE state IN ('received', 'answered') AND due_at <= $1 AND NOT EXISTS (
                 SELECT 1 FROM deliveries e WHERE e.channel = d.channel AND e.thread = d.thread
                 AND e.id < d.id AND e.state = 'received')
             ORDER BY id LIMIT $2",
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

    /// Takes a row for `millis` and counts an attempt; nothing when somebody else was quicker.
    pub async fn claim(&self, row: &DeliveryRow, millis: i64) -> sqlx::Result<Option<DeliveryRow>> {
        let claimed = DeliveryRow {
            due_at: now().saturating_add(millis),
            attempts: row.attempts + 1,
            ..row.clone()
        };
        let taken = self.change(row, "attempts = $3, due_at = $4", &claimed).await?;
        Ok(taken.then_some(claimed))
    }

    /// Keeps others off a row for another `millis`; nothing when it is no longer ours.
    pub async fn renew(&self, row: &DeliveryRow, millis: i64) -> sqlx::Result<Option<DeliveryRow>> {
        let renewed = DeliveryRow { due_at: now().saturating_add(millis), ..row.clone() };
        let kept = self.change(row, "attempts = $3, due_at = $4", &renewed).await?;
        Ok(kept.then_some(renewed))
    }

    /// Keeps the reply. Posting it is another step, with attempts of its own, and due at once.
    pub async fn answered(&self, row: &DeliveryRow, answer: &str) -> sqlx::Result<bool> {
        let answer = Some(answer.to_owned());
        let next = DeliveryRow { answer, attempts: 0, due_at: now(), ..row.clone() };
        let set = "state = 'answered', attempts = $3, due_at = $4, answer = $5";
        self.change(row, set, &next).await
    }

    /// It is to be tried again at `due_at`, after this many attempts.
    pub async fn again(&self, row: &DeliveryRow, attempts: i64, due_at: i64) -> sqlx::Result<bool> {
        let next = DeliveryRow { attempts, due_at, ..row.clone() };
        self.change(row, "attempts = $3, due_at = $4", &next).await
    }

    /// The channel has taken this many pieces of the reply; nothing changes hands.
    pub async fn took(&self, row: &DeliveryRow, pieces: i64) -> sqlx::Result<()> {
        sqlx::query("UPDATE deliveries SET pieces = $2 WHERE id = $1 AND pieces < $2")
            .bind(row.id)
            .bind(pieces)
            .execute(self.0.pool())
            .await
            .map(drop)
    }

    /// It is over: the reply is there, or will never be.
    pub async fn finish(&self, row: &DeliveryRow, is_delivered: bool) -> sqlx::Result<bool> {
        let set = match is_delivered {
            true => "state = 'delivered', attempts = $3, due_at = $4",
            false => "state = 'failed', attempts = $3, due_at = $4",
        };
        self.change(row, set, row).await
    }

    /// Changes a row that is still as it was when it was claimed; answers whether it was.
    async fn change(
        &self,
        was: &DeliveryRow,
        set: &'static str,
        next: &DeliveryRow,
    ) -> sqlx::Result<bool> {
        let statement = format!(
            "UPDATE deliveries SET {set} WHERE id = $1 AND due_at = $2
             AND state IN ('received', 'answered')"
        );
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(was.id)
            .bind(was.due_at)
            .bind(next.attempts)
            .bind(next.due_at);
        let query = if set.contains("$5") { query.bind(&next.answer) } else { query };
        Ok(query.execute(self.0.pool()).await?.rows_affected() == 1)
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
