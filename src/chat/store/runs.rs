//! The SQL of runs and their log.

use std::iter;

use sqlx::{AssertSqlSafe, FromRow};

use super::{ChatStore, MESSAGE, MessageRow, Tx};
use crate::{
    chat::{
        log::{Entry, Finished},
        wire::{MessageState, RunEvent, Step},
    },
    store::{Db, Engine, millis, now},
};

/// The most rows that one statement inserts.
const ROWS: usize = 128;

/// Why a batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("an event cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A row of `runs` with what its message says.
#[derive(Debug, Clone, FromRow)]
pub struct RunRow {
    pub number: i64,
    pub id: String,
    pub message_id: String,
    pub conversation_id: String,
    pub owner: String,
    pub first_event: i64,
}

/// A run that is to be begun.
pub struct NewRun<'a> {
    pub id: &'a str,
    pub owner: &'a str,
    pub request_id: &'a str,
    pub message_id: &'a str,
}

impl ChatStore {
    /// Adds a run and answers its number in the log.
    pub async fn insert_run(&self, tx: &mut Tx, run: &NewRun<'_>) -> sqlx::Result<i64> {
        sqlx::query_scalar(
            "INSERT INTO runs (id, message_id, owner, request_id, state, first_event, started_at)
             VALUES ($1, $2, $3, $4, $5,
                     (SELECT COALESCE(MAX(position), 0) + 1 FROM run_events), $6)
             RETURNING number",
        )
        .bind(run.id)
        .bind(run.message_id)
        .bind(run.owner)
        .bind(run.request_id)
        .bind(MessageState::Running.as_str())
        .bind(now())
        .fetch_one(&mut **tx)
        .await
    }

    /// The run that this request began, if it did.
    pub async fn run_of_request(
        &self,
        owner: &str,
        request_id: &str,
    ) -> sqlx::Result<Option<RunRow>> {
        self.find_run("WHERE r.owner = $1 AND r.request_id = $2", &[owner, request_id]).await
    }

    /// What a reply is the reply to.
    pub async fn question_of(&self, reply: &str) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT q.text FROM messages r JOIN messages q ON q.id = r.parent_id WHERE r.id = $1",
        )
        .bind(reply)
        .fetch_optional(self.store.pool())
        .await
    }

    /// The owner's run with this id.
    pub async fn run(&self, owner: &str, id: &str) -> sqlx::Result<Option<RunRow>> {
        self.find_run("WHERE r.owner = $1 AND r.id = $2", &[owner, id]).await
    }

    /// Every run that is marked as running.
    pub async fn running_runs(&self) -> sqlx::Result<Vec<RunRow>> {
        sqlx::query_as(AssertSqlSafe(format!("{SELECT_RUN} WHERE r.state = 'running'")))
            .fetch_all(self.store.pool())
            .await
    }

    /// The run that is marked as writing this message.
    pub async fn running_run_of(&self, message: &str) -> sqlx::Result<Option<RunRow>> {
        self.find_run("WHERE r.state = 'running' AND r.message_id = $1", &[message]).await
    }

    async fn find_run(
        &self,
        filter: &'static str,
        values: &[&str],
    ) -> sqlx::Result<Option<RunRow>> {
        let mut query = sqlx::query_as(AssertSqlSafe(format!("{SELECT_RUN} {filter}")));
        for value in values {
            query = query.bind((*value).to_owned());
        }
        query.fetch_optional(self.store.pool()).await
    }

    /// The message a run wrote.
    pub async fn message(&self, id: &str) -> sqlx::Result<Option<MessageRow>> {
        sqlx::query_as(AssertSqlSafe(format!("SELECT {MESSAGE} FROM messages m WHERE m.id = $1")))
            .bind(id)
            .fetch_optional(self.store.pool())
            .await
    }

    /// What a run had logged, in order. A batch is there twice when its commit was tried again
    /// because the answer to it was lost.
    pub async fn events(&self, run: &RunRow) -> Result<Vec<RunEvent>, CommitError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT MIN(event) FROM run_events WHERE position >= $1 AND run = $2
             GROUP BY seq ORDER BY seq",
        )
        .bind(run.first_event)
        .bind(run.number)
        .fetch_all(self.store.pool())
        .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row)?)).collect()
    }

    /// Writes a batch in one transaction.
    pub(in crate::chat) async fn commit(&self, batch: &[Entry]) -> Result<(), CommitError> {
        let rows = batch.iter().flat_map(rows_of).collect::<Result<Vec<_>, _>>()?;
        let (mut rows, engine) = (rows.into_iter(), self.store.engine());
        // One statement is a transaction by itself.
        if rows.len() <= ROWS && batch.iter().all(|entry| entry.finished.is_none()) {
            return Ok(insert_events(engine, self.store.pool(), rows).await?);
        }
        let mut tx = self.store.begin().await?;
        while rows.len() > 0 {
            insert_events(engine, &mut *tx, rows.by_ref().take(ROWS)).await?;
        }
        for entry in batch {
            if let Some(finished) = &entry.finished {
                finish(&mut tx, entry.run.number, &entry.run.message, finished).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// Finishes a message outside the log, for runs that nobody writes any more. One that came to its
    /// end since `run` was read keeps it.
    pub async fn finish(&self, run: &RunRow, finished: &Finished) -> sqlx::Result<()> {
        let mut tx = self.store.begin().await?;
        let running: Option<i64> =
            sqlx::query_scalar("SELECT number FROM runs WHERE number = $1 AND state = 'running'")
                .bind(run.number)
                .fetch_optional(&mut *tx)
                .await?;
        if running.is_some() {
            finish(&mut tx, run.number, &run.message_id, finished).await?;
        }
        tx.commit().await
    }

    /// Removes events that finished messages have absorbed; answers how many.
    pub async fn prune(&self) -> sqlx::Result<u64> {
        let done = sqlx::query(
            "DELETE FROM run_events WHERE position < COALESCE(
                 (SELECT MIN(first_event) FROM runs WHERE state = 'running'),
                 (SELECT MAX(position) + 1 FROM run_events))",
        )
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected())
    }
}

struct EventRow {
    run: i64,
    seq: i64,
    json: String,
}

fn rows_of(entry: &Entry) -> impl Iterator<Item = Result<EventRow, serde_json::Error>> {
    (entry.first_seq..).zip(&entry.events).map(|(seq, event)| {
        Ok(EventRow {
            run: entry.run.number,
            seq: i64::try_from(seq).unwrap_or(i64::MAX),
            json: serde_json::to_string(event)?,
        })
    })
}

const SELECT_RUN: &str =
    "SELECT r.number, r.id, r.message_id, m.conversation_id, r.owner, r.first_event
     FROM runs r JOIN messages m ON m.id = r.message_id";

/// Inserts up to [`ROWS`] rows. Statements are cached by their text, so there is one for every power
/// of two, and what is left of it is filled with rows that nobody keeps.
async fn insert_events<'e>(
    engine: Engine,
    connection: impl sqlx::Executor<'e, Database = Db>,
    rows: impl ExactSizeIterator<Item = EventRow>,
) -> sqlx::Result<()> {
    let places = rows.len().next_power_of_two();
    let mut insert = sqlx::query(AssertSqlSafe(insert_statement(engine, places)));
    let rows = rows.map(Some).chain(iter::repeat_with(|| None));
    for row in rows.take(places) {
        let (place, json) = row.map(|row| ((row.run, row.seq), row.json)).unzip();
        let (run, seq) = place.unzip();
        insert = insert.bind(run).bind(seq).bind(json);
    }
    insert.execute(connection).await.map(drop)
}

fn insert_statement(engine: Engine, places: usize) -> String {
    let row = |place: usize| match engine {
        // Its driver would look every place that has a name up among all the others.
        Engine::Sqlite => "(?, ?, ?)".to_owned(),
        Engine::Postgres => {
            format!("(${}, ${}, ${})", 3 * place + 1, 3 * place + 2, 3 * place + 3)
        }
    };
    let rows: Vec<_> = (0..places).map(row).collect();
    format!(
        "INSERT INTO run_events (run, seq, event)
         SELECT column1, column2, column3 FROM (VALUES {}) AS rows WHERE column1 IS NOT NULL",
        rows.join(", ")
    )
}

async fn finish(tx: &mut Tx, run: i64, message: &str, finished: &Finished) -> sqlx::Result<()> {
    let outcome = &finished.outcome;
    let (input, output) = match finished.usage {
        Some(usage) => (count(usage.input), count(usage.output)),
        None => (None, None),
    };
    sqlx::query(
        "UPDATE conversations SET revision = revision + 1, replied_at = $2
         WHERE id = (SELECT conversation_id FROM messages WHERE id = $1)",
    )
    .bind(message)
    .bind(now())
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE messages SET text = $2, html = $3, is_html = $4, reasoning = $5, reasoning_ms = $6,
             state = $7, problem = $8, status = $9, retry_at = $10, input_tokens = $11,
             output_tokens = $12, finished_at = $13, steps = $14, indexed = 0,
             revision = (SELECT revision FROM conversations WHERE id = messages.conversation_id)
         WHERE id = $1",
    )
    .bind(message)
    .bind(without_nul(&finished.text))
    .bind(without_nul(&finished.html))
    .bind(i64::from(finished.is_html))
    .bind(without_nul(&finished.reasoning))
    .bind(finished.reasoning_time.map(millis))
    .bind(outcome.state.as_str())
    .bind(&outcome.problem)
    .bind(outcome.status.map(i64::from))
    .bind(outcome.retry_at)
    .bind(input)
    .bind(output)
    .bind(now())
    .bind(steps_json(&finished.steps))
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE runs SET state = $2, ended_at = $3 WHERE number = $1")
        .bind(run)
        .bind(outcome.state.as_str())
        .bind(now())
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Steps as a message keeps them; nothing for none.
pub fn steps_json(steps: &[Step]) -> String {
    match steps {
        [] => String::new(),
        steps => serde_json::to_string(steps).unwrap_or_default(),
    }
}

/// PostgreSQL keeps no NUL, and a reply is not to be lost for one.
fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

fn count(tokens: u64) -> Option<i64> {
    i64::try_from(tokens).ok()
}
