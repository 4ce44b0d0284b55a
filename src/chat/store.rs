//! The SQL of conversations and messages; of branches, runs and the rest in the modules below.

mod branches;
mod files;
mod list;
mod manage;
mod prompts;
mod runs;
mod shares;

use std::{str::FromStr, time::Duration};

use sqlx::{AssertSqlSafe, FromRow, Transaction};

pub use self::{
    files::FileRow,
    list::{Found, MARKS},
    manage::FirstWords,
    runs::{CommitError, NewRun, RunRow, steps_json},
    shares::TreeRow,
};

use self::list::LINE;
use super::{
    view::ConversationLine,
    wire::{MessageState, Outcome, Role, Step},
};
use crate::store::{Db, Flag, Store, millis, now};

/// How long a temporary conversation lasts after its last message.
const TEMPORARY: Duration = Duration::from_secs(24 * 60 * 60);

/// A row of `messages`.
#[derive(Debug, Clone, FromRow)]
pub struct MessageRow {
    pub id: String,
    pub role: String,
    pub state: String,
    pub assistant: Option<String>,
    pub text: String,
    pub html: String,
    #[sqlx(try_from = "Flag")]
    pub is_html: bool,
    pub reasoning: String,
    pub reasoning_ms: Option<i64>,
    pub input_tokens: Option<i64>,
    pub output_tokens: Option<i64>,
    pub problem: Option<String>,
    pub status: Option<i64>,
    pub retry_at: Option<i64>,
    pub created_at: i64,
    pub rating: Option<i64>,
    pub rating_note: Option<String>,
    pub steps: String,
}

/// A conversation, and which of its states it is in.
#[derive(Debug, Clone, FromRow)]
pub struct ConversationHead {
    #[sqlx(flatten)]
    pub line: ConversationLine,
    pub revision: i64,
    /// When it goes, milliseconds since 1970, where it is a temporary one.
    pub expires_at: Option<i64>,
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

    /// What was done on the way.
    pub fn steps(&self) -> Vec<Step> {
        // What another version has written and is not understood is left out.
        serde_json::from_str(&self.steps).unwrap_or_default()
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

/// What has changed in a conversation since a revision.
pub struct Changed {
    pub head: ConversationHead,
    /// The ids of the branch that is shown, oldest first, each with its revision.
    pub path: Vec<(String, i64)>,
    /// The messages that changed, on whichever branch, oldest first.
    pub rows: Vec<MessageRow>,
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

pub type Tx = Transaction<'static, Db>;

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

    /// Whether the owner has this conversation.
    pub async fn has(&self, owner: &str, id: &str) -> sqlx::Result<bool> {
        let one: Option<i64> = sqlx::query_scalar(
            "SELECT 1 FROM conversations WHERE id = $1 AND owner = $2 AND deleted_at IS NULL",
        )
        .bind(id)
        .bind(owner)
        .fetch_optional(self.store.pool())
        .await?;
        Ok(one.is_some())
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

    /// What has changed in a conversation since a revision, as of one moment; none when it is gone.
    pub async fn changes(&self, id: &str, since: i64) -> sqlx::Result<Option<Changed>> {
        let mut tx = self.store.snapshot().await?;
        let head: Option<ConversationHead> =
            sqlx::query_as(head("")).bind(id).fetch_optional(&mut *tx).await?;
        let Some(head) = head else { return Ok(None) };
        if head.revision == since {
            return Ok(Some(Changed { head, path: Vec::new(), rows: Vec::new() }));
        }
        let path = sqlx::query_as(AssertSqlSafe(format!(
            "{PATH} SELECT m.id, m.revision FROM path JOIN messages m ON m.id = path.id
             ORDER BY m.position"
        )))
        .bind(id)
        .fetch_all(&mut *tx)
        .await?;
        let rows = sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {MESSAGE} FROM messages m
             WHERE m.conversation_id = $1 AND m.revision > $2 ORDER BY m.position"
        )))
        .bind(id)
        .bind(since)
        .fetch_all(&mut *tx)
        .await?;
        Ok(Some(Changed { head, path, rows }))
    }

    /// The owner's conversation and the branch of it that is shown, as of one moment; of the branch at
    /// most so many messages, the last ones.
    pub async fn conversation(
        &self,
        owner: &str,
        id: &str,
        most: i64,
    ) -> sqlx::Result<Option<(ConversationHead, Vec<MessageRow>)>> {
        let mut tx = self.store.snapshot().await?;
        let head: Option<ConversationHead> = sqlx::query_as(head("AND c.owner = $2"))
            .bind(id)
            .bind(owner)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(head) = head else { return Ok(None) };
        let rows = branch(&mut *tx, id, most).await?;
        Ok(Some((head, rows)))
    }

    /// At most so many messages before one of a conversation, back to its first.
    pub async fn messages_before(&self, message: &str, most: i64) -> sqlx::Result<Vec<MessageRow>> {
        let before = "SELECT parent_id FROM messages WHERE id = $1";
        walk_back(before, self.store.pool(), message, most).await
    }

    /// The conversation a message is in, if it is the owner's.
    pub async fn conversation_of(
        &self,
        owner: &str,
        message: &str,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar(
            "SELECT c.id FROM conversations c JOIN messages m ON m.conversation_id = c.id
             WHERE m.id = $1 AND c.owner = $2 AND c.deleted_at IS NULL",
        )
        .bind(message)
        .bind(owner)
        .fetch_optional(self.store.pool())
        .await
    }

    /// The messages of a conversation's branch that is shown, oldest first.
    pub async fn messages(&self, conversation: &str) -> sqlx::Result<Vec<MessageRow>> {
        branch(self.store.pool(), conversation, ALL).await
    }

    /// Adds a conversation.
    pub async fn insert_conversation(
        &self,
        tx: &mut Tx,
        id: &str,
        owner: &str,
        tenant: Option<&str>,
        title: &str,
        is_temporary: bool,
    ) -> sqlx::Result<()> {
        let now = now();
        sqlx::query(
            "INSERT INTO conversations
                 (id, owner, tenant, title, created_at, updated_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $5, $6)",
        )
        .bind(id)
        .bind(owner)
        .bind(tenant)
        .bind(title)
        .bind(now)
        .bind(is_temporary.then(|| now + millis(TEMPORARY)))
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
        let is_open = done.rows_affected() == 1;
        if is_open {
            self.share_less(tx, message).await?;
        }
        Ok(is_open)
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

/// Moves a conversation to the top of the list, and to its next revision. A temporary one lasts
/// longer.
async fn touch(tx: &mut Tx, conversation: &str) -> sqlx::Result<()> {
    let now = now();
    sqlx::query(
        "UPDATE conversations SET updated_at = $2, revision = revision + 1,
             expires_at = CASE WHEN expires_at IS NULL THEN NULL ELSE $3 END
         WHERE id = $1",
    )
    .bind(conversation)
    .bind(now)
    .bind(now + millis(TEMPORARY))
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

/// Every message of a branch, however long.
pub const ALL: i64 = i64::MAX;

/// The last messages of the branch of a conversation that is shown, oldest first.
async fn branch<'e>(
    connection: impl sqlx::Executor<'e, Database = Db>,
    conversation: &str,
    most: i64,
) -> sqlx::Result<Vec<MessageRow>> {
    let tip = "SELECT tip_id FROM conversations WHERE id = $1";
    walk_back(tip, connection, conversation, most).await
}

/// At most so many messages from one of them back towards the first, oldest first. `begin` selects the
/// one by `id`, its `$1`.
async fn walk_back<'e>(
    begin: &'static str,
    connection: impl sqlx::Executor<'e, Database = Db>,
    id: &str,
    most: i64,
) -> sqlx::Result<Vec<MessageRow>> {
    sqlx::query_as(AssertSqlSafe(format!(
        "WITH RECURSIVE path (id, n) AS (
             SELECT ({begin}), 1
             UNION ALL
             SELECT m.parent_id, n + 1 FROM path JOIN messages m ON m.id = path.id WHERE n < $2)
         SELECT {MESSAGE} FROM path JOIN messages m ON m.id = path.id ORDER BY m.position"
    )))
    .bind(id)
    .bind(most)
    .fetch_all(connection)
    .await
}

/// A [`ConversationHead`], unless the conversation was deleted.
fn head(filter: &'static str) -> AssertSqlSafe<String> {
    AssertSqlSafe(format!(
        "SELECT {LINE}, c.revision, c.expires_at FROM conversations c
         WHERE c.id = $1 AND c.deleted_at IS NULL {filter}"
    ))
}

/// From a conversation's tip back to its first message.
const PATH: &str = "WITH RECURSIVE path (id) AS (
         SELECT tip_id FROM conversations WHERE id = $1
         UNION ALL
         SELECT m.parent_id FROM path JOIN messages m ON m.id = path.id)";

/// The columns of a [`MessageRow`].
const MESSAGE: &str = "m.id, m.role, m.state, m.assistant, m.text, m.html, m.is_html, m.reasoning,
     m.reasoning_ms, m.input_tokens, m.output_tokens, m.problem, m.status, m.retry_at, m.created_at,
     m.rating, m.rating_note, m.steps";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{transcript::Transcript, wire::RunEvent};

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

        let store = ChatStore::new(Store::up_to(folder.path(), i64::MAX).await);
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

    #[tokio::test]
    async fn what_was_committed_twice_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = ChatStore::new(Store::for_tests(folder.path()).await);
        for seq in [1_i64, 2, 1, 2, 3] {
            let event = RunEvent::Text { text: seq.to_string() };
            let event = serde_json::to_string(&event).unwrap();
            sqlx::query("INSERT INTO run_events (run, seq, event) VALUES (7, $1, $2)")
                .bind(seq)
                .bind(event)
                .execute(store.store.pool())
                .await
                .unwrap();
        }
        let [id, message_id, conversation_id, owner] = ["r", "m", "c", "ada"].map(str::to_owned);
        let run = RunRow { number: 7, id, message_id, conversation_id, owner, first_event: 0 };
        let events = store.events(&run).await.unwrap();
        assert_eq!(Transcript::of(events).source, "123");
    }
}
