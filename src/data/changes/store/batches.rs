//! The SQL of changes of many records at once.

use std::sync::Arc;

use sqlx::AssertSqlSafe;

use super::{BatchRow, COLUMNS, ChangeRow, ChangeStore, Whose, insert};
use crate::store::now;

/// How long a batch that nobody has confirmed is kept, in milliseconds.
const UNCONFIRMED: i64 = 24 * 60 * 60 * 1000;

impl ChangeStore {
    /// Keeps a batch and its changes, unless it is there; answers whether it is new.
    pub async fn keep_batch(&self, batch: &BatchRow, changes: &[ChangeRow]) -> sqlx::Result<bool> {
        let _writing = self.writing();
        let mut tx = self.store.begin().await?;
        let done = sqlx::query(
            "INSERT INTO batches (id, owner, tenant, resource, action, notes, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
        )
        .bind(&batch.id)
        .bind(&batch.owner)
        .bind(&batch.tenant)
        .bind(&batch.resource)
        .bind(&batch.action)
        .bind(&batch.notes)
        .bind(batch.created_at)
        .execute(&mut *tx)
        .await?;
        let is_new = done.rows_affected() == 1;
        for change in changes.iter().filter(|_| is_new) {
            insert(&mut tx, change).await?;
        }
        tx.commit().await?;
        Ok(is_new)
    }

    /// One batch of a person's.
    pub async fn find_batch(&self, whose: Whose<'_>, id: &str) -> sqlx::Result<Option<BatchRow>> {
        sqlx::query_as(
            "SELECT id, owner, tenant, resource, action, notes, created_at FROM batches
             WHERE id = $1 AND owner = $2 AND tenant = $3",
        )
        .bind(id)
        .bind(whose.owner)
        .bind(whose.tenant)
        .fetch_optional(self.store.pool())
        .await
    }

    /// A person's batches whose reports they have not closed; of one resource, or of all.
    pub async fn unseen_batches(
        &self,
        whose: Whose<'_>,
        resource: Option<&str>,
    ) -> sqlx::Result<Arc<[BatchRow]>> {
        let question = whose.question(resource);
        self.unseen.get(question, self.read_unseen(whose, resource)).await
    }

    async fn read_unseen(
        &self,
        whose: Whose<'_>,
        resource: Option<&str>,
    ) -> sqlx::Result<Arc<[BatchRow]>> {
        let of_one = if resource.is_some() { "AND resource = $3" } else { "" };
        let sql = format!(
            "SELECT id, owner, tenant, resource, action, notes, created_at FROM batches
             WHERE owner = $1 AND tenant = $2 AND is_seen = 0 {of_one}
             AND EXISTS (SELECT 1 FROM changes WHERE batch = batches.id AND state <> 'dropped')
             ORDER BY created_at DESC, id DESC LIMIT 20"
        );
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(whose.owner).bind(whose.tenant);
        if let Some(resource) = resource {
            query = query.bind(resource);
        }
        query.fetch_all(self.store.pool()).await.map(Into::into)
    }

    /// How many of its changes are in which state, and when the first of those that wait is due.
    pub async fn tally(&self, batch: &str) -> sqlx::Result<Arc<[(String, i64, i64)]>> {
        let read = async {
            let counts = sqlx::query_as(
                "SELECT state, count(*), min(due_at) FROM changes WHERE batch = $1 GROUP BY state",
            );
            counts.bind(batch).fetch_all(self.store.pool()).await.map(Into::into)
        };
        self.tallies.get(batch.to_owned(), read).await
    }

    /// Some of its changes in these states, in their order.
    pub async fn of_batch(
        &self,
        batch: &str,
        states: &[&'static str],
        limit: i64,
    ) -> sqlx::Result<Vec<ChangeRow>> {
        let states = quoted(states);
        let sql = format!(
            "SELECT {COLUMNS} FROM changes WHERE batch = $1 AND state IN ({states})
             ORDER BY place, id LIMIT $2"
        );
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(batch)
            .bind(limit)
            .fetch_all(self.store.pool())
            .await
    }

    /// The next of its changes that are due.
    pub async fn due_of_batch(&self, batch: &str, limit: i64) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT id FROM changes WHERE batch = $1 AND state IN ('pending', 'running')
             AND due_at <= $2 ORDER BY place, id LIMIT $3",
        )
        .bind(batch)
        .bind(now())
        .bind(limit)
        .fetch_all(self.store.pool())
        .await
    }

    /// The batches of which something is due.
    pub async fn due_batches(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT DISTINCT batch FROM changes WHERE state IN ('pending', 'running')
             AND due_at <= $1 AND batch <> ''",
        )
        .bind(now())
        .fetch_all(self.store.pool())
        .await
    }

    /// Has all of its changes in one of these states done at `due_at`, with this session's credentials;
    /// but for what must not be done twice, and may have been done.
    pub async fn wake_batch(
        &self,
        batch: &str,
        states: &[&'static str],
        session: &str,
        due_at: i64,
    ) -> sqlx::Result<u64> {
        let _writing = self.writing();
        let states = quoted(states);
        let sql = format!(
            "UPDATE changes SET state = 'pending', session = $2, due_at = $3
             WHERE batch = $1 AND state IN ({states})
             AND NOT (action NOT IN ('update', 'delete') AND outcome LIKE '%\"is_unclear\":true%')"
        );
        let done = sqlx::query(AssertSqlSafe(sql))
            .bind(batch)
            .bind(session)
            .bind(due_at)
            .execute(self.store.pool())
            .await?;
        Ok(done.rows_affected())
    }

    /// Takes back all of its changes that are in one of these states; answers how many.
    pub async fn drop_of_batch(&self, batch: &str, states: &[&'static str]) -> sqlx::Result<u64> {
        let _writing = self.writing();
        let states = quoted(states);
        let sql = format!(
            "UPDATE changes SET state = 'dropped' WHERE batch = $1 AND state IN ({states})"
        );
        let done = sqlx::query(AssertSqlSafe(sql)).bind(batch).execute(self.store.pool()).await?;
        Ok(done.rows_affected())
    }

    /// Notes that the person has closed its report.
    pub async fn close_batch(&self, batch: &str) -> sqlx::Result<()> {
        let _writing = self.writing();
        sqlx::query("UPDATE batches SET is_seen = 1 WHERE id = $1")
            .bind(batch)
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Forgets batches that nobody has confirmed, and those of which nothing is left.
    pub async fn prune_batches(&self) -> sqlx::Result<()> {
        let _writing = self.writing();
        let long_ago = now().saturating_sub(UNCONFIRMED);
        sqlx::query("DELETE FROM changes WHERE state IN ('draft', 'invalid') AND created_at < $1")
            .bind(long_ago)
            .execute(self.store.pool())
            .await?;
        sqlx::query(
            "DELETE FROM batches WHERE created_at < $1
             AND NOT EXISTS (SELECT 1 FROM changes WHERE batch = batches.id)",
        )
        .bind(long_ago)
        .execute(self.store.pool())
        .await
        .map(drop)
    }
}

/// Names of states, which are ours, as a list of SQL.
fn quoted(states: &[&'static str]) -> String {
    states.iter().map(|state| format!("'{state}'")).collect::<Vec<_>>().join(", ")
}
