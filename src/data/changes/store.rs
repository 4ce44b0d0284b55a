//! The SQL of changes, and of what they came to.

mod batches;

use std::sync::Arc;

use sqlx::{AssertSqlSafe, FromRow};

use crate::store::{Db, Memo, Store, now};

/// How long what is over is remembered, so that a page that waits for it learns how it ended, in
/// milliseconds.
const REMEMBERED: i64 = 24 * 60 * 60 * 1000;
/// The most changes that are shown at once.
const MOST: i64 = 200;
const COLUMNS: &str = "id, owner, tenant, session, resource, record, title, action, fields, opened, \
                       state, outcome, due_at, created_at, batch, place, message";

/// A row of `changes`.
#[derive(Debug, Clone, FromRow)]
pub struct ChangeRow {
    pub id: String,
    pub owner: String,
    pub tenant: String,
    pub session: String,
    pub resource: String,
    pub record: String,
    pub title: String,
    pub action: String,
    pub fields: String,
    pub opened: String,
    pub state: String,
    pub outcome: String,
    pub due_at: i64,
    pub created_at: i64,
    pub batch: String,
    pub place: i64,
    /// The message of an assistant that proposes it; empty for what the person wants by themselves.
    pub message: String,
}

/// A row of `batches`.
#[derive(Debug, Clone, FromRow)]
pub struct BatchRow {
    pub id: String,
    pub owner: String,
    pub tenant: String,
    pub resource: String,
    pub action: String,
    pub notes: String,
    pub created_at: i64,
}

/// A change that is ours to do.
#[derive(Debug)]
pub struct Claimed {
    pub row: ChangeRow,
    /// Whether somebody began it and did not say how it ended.
    pub was_begun: bool,
}

/// A row of `audit_log`.
#[derive(Debug, Clone, FromRow)]
pub struct EntryRow {
    pub id: String,
    pub at: i64,
    pub tenant: String,
    pub owner: String,
    pub person: String,
    pub resource: String,
    pub record: String,
    pub title: String,
    pub action: String,
    pub was: String,
    pub is_now: String,
}

/// Whose changes: the person, and the tenant they are in.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub owner: &'a str,
    pub tenant: &'a str,
}

impl Whose<'_> {
    /// What is asked of their changes, as one text.
    fn question(&self, resource: Option<&str>) -> String {
        [self.owner, self.tenant, resource.unwrap_or_default()].join("\0")
    }
}

/// What came of keeping a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is there.
    New,
    /// It was there before: its form was sent twice.
    Known,
    /// It is not: what it was to take the place of is being done, or is done.
    TooLate,
}

/// The tables `changes` and `audit_log`.
#[derive(Debug, Clone)]
pub struct ChangeStore {
    store: Store,
    /// What every list asks for, and is mostly nothing.
    open: Memo<Arc<[ChangeRow]>>,
    unseen: Memo<Arc<[BatchRow]>>,
    tallies: Memo<Arc<[(String, i64, i64)]>>,
}

/// Lets what was read be forgotten when it is dropped: also where nobody waits for the end.
struct Writing<'a>(&'a ChangeStore);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.open.forget();
        self.0.unseen.forget();
        self.0.tallies.forget();
    }
}

impl ChangeStore {
    /// In `store`.
    pub fn new(store: Store) -> Self {
        let (open, unseen, tallies) = Default::default();
        Self { store, open, unseen, tallies }
    }

    /// To be held by whoever writes.
    fn writing(&self) -> Writing<'_> {
        Writing(self)
    }

    /// Keeps a change, in the place of those of the same person that it `replaces` and that are not
    /// done.
    pub async fn keep(&self, row: &ChangeRow, replaces: &[String]) -> sqlx::Result<Kept> {
        let _writing = self.writing();
        let mut tx = self.store.begin().await?;
        for id in replaces {
            let dropped = sqlx::query(
                "UPDATE changes SET state = 'dropped', outcome = $4
                 WHERE id = $1 AND owner = $2 AND tenant = $3
                 AND state IN ('pending', 'refused', 'conflict', 'held')",
            )
            .bind(id)
            .bind(&row.owner)
            .bind(&row.tenant)
            .bind("{\"is_replaced\":true}")
            .execute(&mut *tx)
            .await?;
            if dropped.rows_affected() == 0 && is_begun(&mut tx, row, id).await? {
                tx.rollback().await?;
                return Ok(Kept::TooLate);
            }
        }
        let is_new = insert(&mut tx, row).await?;
        tx.commit().await?;
        Ok(if is_new { Kept::New } else { Kept::Known })
    }

    /// One change of a person's.
    pub async fn find(&self, whose: Whose<'_>, id: &str) -> sqlx::Result<Option<ChangeRow>> {
        let sql =
            format!("SELECT {COLUMNS} FROM changes WHERE id = $1 AND owner = $2 AND tenant = $3");
        sqlx::query_as(AssertSqlSafe(sql))
            .bind(id)
            .bind(whose.owner)
            .bind(whose.tenant)
            .fetch_optional(self.store.pool())
            .await
    }

    /// What of a person's changes is not over, the oldest first; of one resource, or of all.
    pub async fn open(
        &self,
        whose: Whose<'_>,
        resource: Option<&str>,
    ) -> sqlx::Result<Arc<[ChangeRow]>> {
        let question = whose.question(resource);
        self.open.get(question, self.read_open(whose, resource)).await
    }

    async fn read_open(
        &self,
        whose: Whose<'_>,
        resource: Option<&str>,
    ) -> sqlx::Result<Arc<[ChangeRow]>> {
        let of_one = if resource.is_some() { "AND resource = $3" } else { "" };
        let sql = format!(
            "SELECT {COLUMNS} FROM changes WHERE owner = $1 AND tenant = $2
             AND batch = '' AND state NOT IN ('done', 'dropped', 'draft') {of_one}
             ORDER BY created_at, id LIMIT {MOST}"
        );
        let mut query = sqlx::query_as(AssertSqlSafe(sql)).bind(whose.owner).bind(whose.tenant);
        if let Some(resource) = resource {
            query = query.bind(resource);
        }
        query.fetch_all(self.store.pool()).await.map(Into::into)
    }

    /// What is to be done now by itself: what is due, and what somebody began and did not end.
    pub async fn due(&self) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT id FROM changes WHERE state IN ('pending', 'running') AND due_at <= $1
             AND batch = '' ORDER BY due_at, created_at LIMIT 500",
        )
        .bind(now())
        .fetch_all(self.store.pool())
        .await
    }

    /// What a session still wants done.
    pub async fn of_session(&self, session: &str) -> sqlx::Result<Vec<String>> {
        sqlx::query_scalar(
            "SELECT id FROM changes WHERE session = $1 AND state = 'pending' ORDER BY created_at",
        )
        .bind(session)
        .fetch_all(self.store.pool())
        .await
    }

    /// Takes a change that is due at `at` or before to do it; nobody else does until `until`. Answers
    /// it as it was: one that was running was begun, and nobody knows how far it came.
    pub async fn claim(&self, id: &str, at: i64, until: i64) -> sqlx::Result<Option<Claimed>> {
        let _writing = self.writing();
        let sql = format!(
            "SELECT {COLUMNS} FROM changes WHERE id = $1
             AND (state = 'pending' AND due_at <= $2 OR state = 'running' AND due_at <= $3)"
        );
        let row: Option<ChangeRow> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(id)
            .bind(at)
            .bind(now())
            .fetch_optional(self.store.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let done = sqlx::query(
            "UPDATE changes SET state = 'running', due_at = $4
             WHERE id = $1 AND state = $2 AND due_at = $3",
        )
        .bind(id)
        .bind(&row.state)
        .bind(row.due_at)
        .bind(until)
        .execute(self.store.pool())
        .await?;
        let was_begun = row.state == "running";
        let row = ChangeRow { due_at: until, ..row };
        Ok((done.rows_affected() == 1).then_some(Claimed { row, was_begun }))
    }

    /// Lets everybody go on with what was begun: whoever began it is gone.
    pub async fn release(&self) -> sqlx::Result<()> {
        let _writing = self.writing();
        sqlx::query("UPDATE changes SET due_at = $1 WHERE state = 'running'")
            .bind(now())
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Says how a change that was claimed ended, and what it did, if it did something; unless somebody
    /// else has claimed it since.
    pub async fn settle(
        &self,
        row: &ChangeRow,
        state: &str,
        outcome: &str,
        entry: Option<&EntryRow>,
    ) -> sqlx::Result<()> {
        let _writing = self.writing();
        let mut tx = self.store.begin().await?;
        let done = sqlx::query(
            "UPDATE changes SET state = $3, outcome = $4, record = $5, title = $6
             WHERE id = $1 AND due_at = $2 AND state = 'running'",
        )
        .bind(&row.id)
        .bind(row.due_at)
        .bind(state)
        .bind(outcome)
        .bind(&row.record)
        .bind(&row.title)
        .execute(&mut *tx)
        .await?;
        if let Some(entry) = entry.filter(|_| done.rows_affected() == 1) {
            insert_entry(&mut tx, entry).await?;
        }
        tx.commit().await
    }

    /// Takes a change back before it is begun; answers whether it was early enough.
    pub async fn drop(&self, whose: Whose<'_>, id: &str) -> sqlx::Result<bool> {
        let _writing = self.writing();
        let done = sqlx::query(
            "UPDATE changes SET state = 'dropped' WHERE id = $1 AND owner = $2 AND tenant = $3
             AND (state IN ('pending', 'refused', 'conflict', 'held')
                  OR state = 'draft' AND message <> '')",
        )
        .bind(id)
        .bind(whose.owner)
        .bind(whose.tenant)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Has a change done at `due_at`, with this session's credentials.
    pub async fn again(
        &self,
        whose: Whose<'_>,
        id: &str,
        session: &str,
        due_at: i64,
    ) -> sqlx::Result<bool> {
        let _writing = self.writing();
        let done = sqlx::query(
            "UPDATE changes SET state = 'pending', session = $4, due_at = $5
             WHERE id = $1 AND owner = $2 AND tenant = $3
             AND state IN ('pending', 'refused', 'conflict', 'held')",
        )
        .bind(id)
        .bind(whose.owner)
        .bind(whose.tenant)
        .bind(session)
        .bind(due_at)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Wants the same again with other values; answers whether it was not known what became of it.
    pub async fn renew(&self, row: &ChangeRow) -> sqlx::Result<bool> {
        let _writing = self.writing();
        let done = sqlx::query(
            "UPDATE changes SET state = 'pending', session = $4, due_at = $5, outcome = '{}',
             fields = $6, title = $7
             WHERE id = $1 AND owner = $2 AND tenant = $3 AND state = 'held'",
        )
        .bind(&row.id)
        .bind(&row.owner)
        .bind(&row.tenant)
        .bind(&row.session)
        .bind(row.due_at)
        .bind(&row.fields)
        .bind(&row.title)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// A change that an assistant proposes, whoever's it is.
    pub async fn proposal(&self, id: &str) -> sqlx::Result<Option<ChangeRow>> {
        let sql = format!("SELECT {COLUMNS} FROM changes WHERE id = $1 AND message <> ''");
        sqlx::query_as(AssertSqlSafe(sql)).bind(id).fetch_optional(self.store.pool()).await
    }

    /// Has a proposal done at `due_at`, with these values and this session's credentials; answers
    /// whether it waited for that. What was refused before has another place then.
    pub async fn confirm(
        &self,
        whose: Whose<'_>,
        id: &str,
        session: &str,
        fields: &str,
        due_at: i64,
    ) -> sqlx::Result<bool> {
        let _writing = self.writing();
        let done = sqlx::query(
            "UPDATE changes SET place = CASE state WHEN 'refused' THEN place + 1 ELSE place END,
             state = 'pending', session = $4, fields = $5, due_at = $6, outcome = '{}'
             WHERE id = $1 AND owner = $2 AND tenant = $3 AND message <> ''
             AND state IN ('draft', 'refused')",
        )
        .bind(id)
        .bind(whose.owner)
        .bind(whose.tenant)
        .bind(session)
        .bind(fields)
        .bind(due_at)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Forgets what is over. Of a proposal it is remembered how it ended for as long as the message
    /// that shows it is there.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        let _writing = self.writing();
        let done = sqlx::query(
            "DELETE FROM changes WHERE state IN ('done', 'dropped') AND created_at < $1
             AND (message = ''
                  OR NOT EXISTS (SELECT 1 FROM messages WHERE messages.id = changes.message))",
        )
        .bind(now().saturating_sub(REMEMBERED))
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected())
    }

    /// Keeps an entry of the history by itself.
    pub async fn note(&self, entry: &EntryRow) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        insert_entry(&mut tx, entry).await?;
        tx.commit().await
    }

    /// What was done to one record, the newest first.
    pub async fn history_of(
        &self,
        tenant: &str,
        resource: &str,
        record: &str,
        limit: i64,
    ) -> sqlx::Result<Vec<EntryRow>> {
        sqlx::query_as(
            "SELECT id, at, tenant, owner, person, resource, record, title, action, was, is_now
             FROM audit_log WHERE resource = $1 AND record = $2 AND tenant = $3
             ORDER BY at DESC, id DESC LIMIT $4",
        )
        .bind(resource)
        .bind(record)
        .bind(tenant)
        .bind(limit)
        .fetch_all(self.store.pool())
        .await
    }
}

type Tx = sqlx::Transaction<'static, Db>;

/// Whether a change can no longer be replaced. One that its own form has replaced already can.
async fn is_begun(tx: &mut Tx, by: &ChangeRow, id: &str) -> sqlx::Result<bool> {
    let begun: Option<String> = sqlx::query_scalar(
        "SELECT id FROM changes WHERE id = $1 AND owner = $2 AND tenant = $3
         AND state IN ('running', 'done')",
    )
    .bind(id)
    .bind(&by.owner)
    .bind(&by.tenant)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(begun.is_some())
}

/// Answers whether it is new.
async fn insert(tx: &mut Tx, row: &ChangeRow) -> sqlx::Result<bool> {
    let done = sqlx::query(
        "INSERT INTO changes (id, owner, tenant, session, resource, record, title, action, fields,
         opened, state, outcome, due_at, created_at, batch, place, message)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(&row.id)
    .bind(&row.owner)
    .bind(&row.tenant)
    .bind(&row.session)
    .bind(&row.resource)
    .bind(&row.record)
    .bind(&row.title)
    .bind(&row.action)
    .bind(&row.fields)
    .bind(&row.opened)
    .bind(&row.state)
    .bind(&row.outcome)
    .bind(row.due_at)
    .bind(row.created_at)
    .bind(&row.batch)
    .bind(row.place)
    .bind(&row.message)
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What of the history is wanted.
#[derive(Debug, Default)]
pub struct Wanted<'a> {
    /// The newest of it; this many.
    pub limit: i64,
    /// Only what is older than this entry.
    pub before: Option<(i64, &'a str)>,
    /// Only of this resource.
    pub resource: Option<&'a str>,
    /// Only of whoever is called so.
    pub person: Option<&'a str>,
}

impl ChangeStore {
    /// What was done to whichever record of a tenant, the newest first.
    pub async fn history(&self, tenant: &str, wanted: &Wanted<'_>) -> sqlx::Result<Vec<EntryRow>> {
        let (at, id) = wanted.before.unwrap_or((i64::MAX, ""));
        sqlx::query_as(
            "SELECT id, at, tenant, owner, person, resource, record, title, action, was, is_now
             FROM audit_log WHERE tenant = $1 AND (at < $2 OR at = $2 AND id < $3)
             AND ($4 = '' OR resource = $4) AND ($5 = '' OR person = $5)
             ORDER BY at DESC, id DESC LIMIT $6",
        )
        .bind(tenant)
        .bind(at)
        .bind(id)
        .bind(wanted.resource.unwrap_or_default())
        .bind(wanted.person.unwrap_or_default())
        .bind(wanted.limit)
        .fetch_all(self.store.pool())
        .await
    }
}

async fn insert_entry(tx: &mut Tx, entry: &EntryRow) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO audit_log (id, at, tenant, owner, person, resource, record, title, action, was,
         is_now) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(&entry.id)
    .bind(entry.at)
    .bind(&entry.tenant)
    .bind(&entry.owner)
    .bind(&entry.person)
    .bind(&entry.resource)
    .bind(&entry.record)
    .bind(&entry.title)
    .bind(&entry.action)
    .bind(&entry.was)
    .bind(&entry.is_now)
    .execute(&mut **tx)
    .await
    .map(drop)
}
