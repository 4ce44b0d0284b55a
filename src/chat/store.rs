//! The SQL of conversations, messages, runs and their log.

use std::str::FromStr;

use sqlx::{AssertSqlSafe, FromRow, QueryBuilder, Transaction};

use super::{
    log::{Entry, Finished},
    wire::{ConversationLine, MessageState, Outcome, Role, RunEvent},
};
use crate::store::{Db, Store, millis, now};

/// Rows inserted by one statement: enough to spread its cost, few enough to keep its plan cached.
const ROWS: usize = 100;

/// Why a batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("an event cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A row of `messages`.
#[derive(Debug, Clone, FromRow)]
pub struct MessageRow {
    pub id: String,
    pub role: String,
    pub state: String,
    pub assistant: Option<String>,
    pub text: String,
    pub html: String,
    pub is_html: bool,
    pub reasoning: String,
    pub reasoning_ms: Option<i64>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub problem: Option<String>,
    pub status: Option<i64>,
    pub retry_at: Option<i64>,
    pub created_at: i64,
}

/// What a conversation is called, and which of its states it is in.
#[derive(Debug, Clone, FromRow)]
pub struct ConversationHead {
    pub title: String,
    pub revision: i64,
}

impl MessageRow {
    /// Who wrote it.
    pub fn role(&self) -> Role {
        if self.role == Role::User.as_str() { Role::User } else { Role::Assistant }
    }

    /// How far it has come.
    pub fn state(&self) -> MessageState {
        MessageState::from_str(&self.state).unwrap_or(MessageState::Interrupted)
    }

    /// How it came to its end. One that is marked as running, and is not, was interrupted.
    pub fn outcome(&self) -> Outcome {
        let state = match self.state() {
            MessageState::Running => MessageState::Interrupted,
            state => state,
        };
        let status = self.status.and_then(|status| u16::try_from(status).ok());
        Outcome { state, problem: self.problem.clone(), status, retry_at: self.retry_at }
    }
}

impl FromStr for MessageState {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        [Self::Running, Self::Done, Self::Stopped, Self::Interrupted, Self::Failed]
            .into_iter()
            .find(|state| state.as_str() == name)
            .ok_or(())
    }
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

/// A question and the empty reply to it.
pub struct NewTurn<'a> {
    pub conversation_id: &'a str,
    pub text: &'a str,
    pub question_id: &'a str,
    pub reply_id: &'a str,
    /// Who is to answer.
    pub assistant: &'a str,
}

/// A message that a client brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// Who wrote it.
    pub role: Role,
    /// What it says.
    pub text: String,
}

/// A message that is to be added.
#[derive(Clone, Copy)]
struct NewMessage<'a> {
    id: &'a str,
    role: Role,
    state: MessageState,
    text: &'a str,
    html: &'a str,
    assistant: Option<&'a str>,
}

/// The chat tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ChatStore {
    store: Store,
}

type Tx = Transaction<'static, Db>;

/// Conversations and messages.
impl ChatStore {
    /// The tables in `store`.
    pub fn new(store: Store) -> Self {
        Self { store }
    }

    /// Begins a transaction that will write.
    pub async fn begin(&self) -> sqlx::Result<Tx> {
        self.store.begin().await
    }

    /// The owner's conversations, last changed first.
    pub async fn conversations(
        &self,
        owner: &str,
        most: i64,
    ) -> sqlx::Result<Vec<ConversationLine>> {
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT id, title, updated_at FROM conversations
             WHERE owner = $1 ORDER BY updated_at DESC, id DESC LIMIT $2",
        )
        .bind(owner)
        .bind(most)
        .fetch_all(self.store.pool())
        .await?;
        let line = |(id, title, updated_at)| ConversationLine { id, title, updated_at };
        Ok(rows.into_iter().map(line).collect())
    }

    /// The head of a conversation, if it is the owner's.
    pub async fn head_of(&self, owner: &str, id: &str) -> sqlx::Result<Option<ConversationHead>> {
        sqlx::query_as("SELECT title, revision FROM conversations WHERE id = $1 AND owner = $2")
            .bind(id)
            .bind(owner)
            .fetch_optional(self.store.pool())
            .await
    }

    /// The head of a conversation, whoever's it is.
    pub async fn head(&self, id: &str) -> sqlx::Result<Option<ConversationHead>> {
        sqlx::query_as("SELECT title, revision FROM conversations WHERE id = $1")
            .bind(id)
            .fetch_optional(self.store.pool())
            .await
    }

    /// The ids of the branch that is shown, oldest first, each with its revision.
    pub async fn path(&self, conversation: &str) -> sqlx::Result<Vec<(String, i64)>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "{PATH} SELECT m.id, m.revision FROM path JOIN messages m ON m.id = path.id
             ORDER BY m.position"
        )))
        .bind(conversation)
        .fetch_all(self.store.pool())
        .await
    }

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

    /// Adds an empty reply below the tip.
    pub async fn insert_reply(
        &self,
        tx: &mut Tx,
        conversation: &str,
        id: &str,
        assistant: &str,
    ) -> sqlx::Result<()> {
        let reply = NewMessage {
            id,
            role: Role::Assistant,
            state: MessageState::Running,
            text: "",
            html: "",
            assistant: Some(assistant),
        };
        insert_message(tx, conversation, reply).await
    }

    /// The messages that changed after a revision, on whichever branch, oldest first.
    pub async fn changed(&self, conversation: &str, since: i64) -> sqlx::Result<Vec<MessageRow>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {MESSAGE} FROM messages m
             WHERE m.conversation_id = $1 AND m.revision > $2 ORDER BY m.position"
        )))
        .bind(conversation)
        .bind(since)
        .fetch_all(self.store.pool())
        .await
    }

    /// The conversation a message is in, if it is the owner's.
    pub async fn conversation_of(
        &self,
        owner: &str,
        message: &str,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT c.id FROM conversations c JOIN messages m ON m.conversation_id = c.id
             WHERE m.id = $1 AND c.owner = $2",
        )
        .bind(message)
        .bind(owner)
        .fetch_optional(self.store.pool())
        .await
    }

    /// The messages of a conversation's branch that is shown, oldest first.
    pub async fn messages(&self, conversation: &str) -> sqlx::Result<Vec<MessageRow>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "{PATH} SELECT {MESSAGE} FROM path JOIN messages m ON m.id = path.id
             ORDER BY m.position"
        )))
        .bind(conversation)
        .fetch_all(self.store.pool())
        .await
    }

    /// Adds a conversation.
    pub async fn insert_conversation(
        &self,
        tx: &mut Tx,
        id: &str,
        owner: &str,
        tenant: Option<&str>,
        title: &str,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO conversations (id, owner, tenant, title, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $5)",
        )
        .bind(id)
        .bind(owner)
        .bind(tenant)
        .bind(title)
        .bind(now())
        .execute(&mut **tx)
        .await
        .map(drop)
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

    /// Adds a message that a client brought along, with its HTML.
    pub async fn insert_seed(
        &self,
        tx: &mut Tx,
        conversation: &str,
        id: &str,
        seed: &Seed,
        html: &str,
    ) -> sqlx::Result<()> {
        let done = MessageState::Done;
        let message = NewMessage {
            id,
            role: seed.role,
            state: done,
            text: &seed.text,
            html,
            assistant: None,
        };
        insert_message(tx, conversation, message).await
    }

    /// Adds a question and the empty reply to it, at the end of the branch that is shown.
    pub async fn insert_turn(&self, tx: &mut Tx, turn: NewTurn<'_>) -> sqlx::Result<()> {
        touch(tx, turn.conversation_id).await?;
        let question = NewMessage {
            id: turn.question_id,
            role: Role::User,
            state: MessageState::Done,
            text: turn.text,
            html: "",
            assistant: None,
        };
        insert_message(tx, turn.conversation_id, question).await?;
        self.insert_reply(tx, turn.conversation_id, turn.reply_id, turn.assistant).await
    }

    /// Marks the last reply of the branch that is shown as being written again; answers whether it
    /// was that and is not being written or done already.
    pub async fn reopen(
        &self,
        tx: &mut Tx,
        message: &str,
        conversation: &str,
    ) -> sqlx::Result<bool> {
        touch(tx, conversation).await?;
        let done = sqlx::query(
            "UPDATE messages SET state = $2, problem = NULL, status = NULL, retry_at = NULL,
                 revision = (SELECT revision FROM conversations WHERE id = $4)
             WHERE id = $1 AND state <> $2 AND state <> $3
               AND id = (SELECT tip_id FROM conversations WHERE id = $4)",
        )
        .bind(message)
        .bind(MessageState::Running.as_str())
        .bind(MessageState::Done.as_str())
        .bind(conversation)
        .execute(&mut **tx)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// The reply that is being written in a conversation, if any.
    pub async fn running_message(
        &self,
        tx: &mut Tx,
        conversation: &str,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT id FROM messages WHERE conversation_id = $1 AND state = $2
             ORDER BY position DESC LIMIT 1",
        )
        .bind(conversation)
        .bind(MessageState::Running.as_str())
        .fetch_optional(&mut **tx)
        .await
    }
}

/// Moves a conversation to the top of the list, and to its next revision.
async fn touch(tx: &mut Tx, conversation: &str) -> sqlx::Result<()> {
    sqlx::query("UPDATE conversations SET updated_at = $2, revision = revision + 1 WHERE id = $1")
        .bind(conversation)
        .bind(now())
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Adds a message below the tip, and makes it the tip.
async fn insert_message(
    tx: &mut Tx,
    conversation: &str,
    message: NewMessage<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO messages (id, conversation_id, parent_id, revision, position, role, state,
                               text, html, assistant, created_at)
         SELECT $2, c.id, c.tip_id, c.revision,
                (SELECT COALESCE(MAX(position), 0) + 1 FROM messages WHERE conversation_id = c.id),
                $3, $4, $5, $6, $7, $8
         FROM conversations c WHERE c.id = $1",
    )
    .bind(conversation)
    .bind(message.id)
    .bind(message.role.as_str())
    .bind(message.state.as_str())
    .bind(message.text)
    .bind(message.html)
    .bind(message.assistant)
    .bind(now())
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE conversations SET tip_id = $2 WHERE id = $1")
        .bind(conversation)
        .bind(message.id)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Runs and their log.
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

    /// What a run had logged, in order.
    pub async fn events(&self, run: &RunRow) -> Result<Vec<RunEvent>, CommitError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT event FROM run_events WHERE position >= $1 AND run = $2 ORDER BY position",
        )
        .bind(run.first_event)
        .bind(run.number)
        .fetch_all(self.store.pool())
        .await?;
        rows.iter().map(|row| Ok(serde_json::from_str(row)?)).collect()
    }

    /// Writes a batch in one transaction.
    pub(super) async fn commit(&self, batch: &[Entry]) -> Result<(), CommitError> {
        let rows = batch.iter().flat_map(rows_of).collect::<Result<Vec<_>, _>>()?;
        let mut tx = self.store.begin().await?;
        for rows in rows.chunks(ROWS) {
            insert_events(&mut tx, rows).await?;
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

/// From a conversation's tip back to its first message.
const PATH: &str = "WITH RECURSIVE path (id) AS (
         SELECT tip_id FROM conversations WHERE id = $1
         UNION ALL
         SELECT m.parent_id FROM path JOIN messages m ON m.id = path.id)";

/// The columns of a [`MessageRow`].
const MESSAGE: &str = "m.id, m.role, m.state, m.assistant, m.text, m.html, m.is_html, m.reasoning,
     m.reasoning_ms, m.input_tokens, m.output_tokens, m.problem, m.status, m.retry_at, m.created_at";

const SELECT_RUN: &str =
    "SELECT r.number, r.id, r.message_id, m.conversation_id, r.owner, r.first_event
     FROM runs r JOIN messages m ON m.id = r.message_id";

async fn insert_events(tx: &mut Tx, rows: &[EventRow]) -> sqlx::Result<()> {
    let mut insert = QueryBuilder::new("INSERT INTO run_events (run, seq, event) ");
    insert.push_values(rows, |mut row, event| {
        row.push_bind(event.run).push_bind(event.seq).push_bind(&event.json);
    });
    insert.build().execute(&mut **tx).await.map(drop)
}

async fn finish(tx: &mut Tx, run: i64, message: &str, finished: &Finished) -> sqlx::Result<()> {
    let outcome = &finished.outcome;
    let (input, output) = match finished.usage {
        Some(usage) => (count(usage.input), count(usage.output)),
        None => (None, None),
    };
    sqlx::query(
        "UPDATE conversations SET revision = revision + 1
         WHERE id = (SELECT conversation_id FROM messages WHERE id = $1)",
    )
    .bind(message)
    .execute(&mut **tx)
    .await?;
    sqlx::query(
        "UPDATE messages SET text = $2, html = $3, is_html = $4, reasoning = $5, reasoning_ms = $6,
             state = $7, problem = $8, status = $9, retry_at = $10, input_tokens = $11,
             output_tokens = $12, finished_at = $13,
             revision = (SELECT revision FROM conversations WHERE id = messages.conversation_id)
         WHERE id = $1",
    )
    .bind(message)
    .bind(&finished.text)
    .bind(&finished.html)
    .bind(i64::from(finished.is_html))
    .bind(&finished.reasoning)
    .bind(finished.reasoning_time.map(millis))
    .bind(outcome.state.as_str())
    .bind(&outcome.problem)
    .bind(outcome.status.map(i64::from))
    .bind(outcome.retry_at)
    .bind(input)
    .bind(output)
    .bind(now())
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

fn count(tokens: u64) -> Option<i64> {
    i64::try_from(tokens).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A conversation that older versions made, as long as any.
    const LENGTH: i64 = 2_500;

    #[tokio::test]
    async fn a_long_conversation_of_an_older_version_becomes_a_branch_and_can_go() {
        let folder = tempfile::tempdir().unwrap();
        let older = Store::up_to(folder.path(), 4).await;
        let mut tx = older.begin().await.unwrap();
        sqlx::query("INSERT INTO conversations VALUES ('c', 'ada', NULL, 'Old', 1, 1)")
            .execute(&mut *tx)
            .await
            .unwrap();
        for position in 1..=LENGTH {
            let role = if position % 2 == 1 { "user" } else { "assistant" };
            sqlx::query("INSERT INTO messages VALUES ($1, 'c', $2, $3, 'done', $1, '', NULL, 1)")
                .bind(format!("m{position}"))
                .bind(position)
                .bind(role)
                .execute(&mut *tx)
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();
        older.close().await;

        let store = ChatStore::new(Store::for_tests(folder.path()).await);
        let messages = store.messages("c").await.unwrap();
        let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
        let all: Vec<String> = (1..=LENGTH).map(|position| format!("m{position}")).collect();
        assert_eq!(texts, all);

        let mut tx = store.begin().await.unwrap();
        let turn = NewTurn {
            conversation_id: "c",
            text: "And?",
            question_id: "q",
            reply_id: "r",
            assistant: "guide",
        };
        store.insert_turn(&mut tx, turn).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(store.question_of("r").await.unwrap().as_deref(), Some("And?"));
        assert_eq!(store.messages("c").await.unwrap().len(), all.len() + 2);

        sqlx::query("DELETE FROM conversations").execute(store.store.pool()).await.unwrap();
        let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM messages")
            .fetch_one(store.store.pool())
            .await
            .unwrap();
        assert_eq!(left, 0);
    }
}
