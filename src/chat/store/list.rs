//! The SQL of the list of conversations, and of what is looked for in them.

use sqlx::AssertSqlSafe;

use super::{ChatStore, Tx};
use crate::chat::{
    markdown::plain,
    view::{Before, ConversationLine},
    wire::Role,
};
use crate::store::{Engine, Flag};

/// How many messages are added to the index in one transaction: readers of replies wait for no more
/// than that.
const INDEXED_AT_ONCE: i64 = 20;
/// How many places the index answers with at most.
const PLACES: i64 = 200;
/// What stands around a word that was found: characters that no text keeps.
pub const MARKS: [char; 2] = ['\u{2}', '\u{3}'];
/// Stands behind what PostgreSQL would take for a part of an address or a tag.
const SEAM: char = '\u{1}';
/// What PostgreSQL's index has spaces for, lest it make one of several words.
const TAKEN_OUT: &str = r"<>&/\.:@_+~-";

/// A place where words were found.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Found {
    #[sqlx(flatten)]
    pub line: ConversationLine,
    /// The message; none for the title.
    pub message_id: Option<String>,
    /// The words around, with [`MARKS`] around those that were looked for.
    pub words: String,
}

#[derive(sqlx::FromRow)]
struct ToIndex {
    id: String,
    conversation_id: String,
    owner: String,
    role: String,
    text: String,
    #[sqlx(try_from = "Flag")]
    is_temporary: bool,
}

impl ChatStore {
    /// The owner's conversations that stand above the others, last changed first.
    pub async fn pinned(&self, owner: &str) -> sqlx::Result<Vec<ConversationLine>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {LINE} FROM conversations c
             WHERE owner = $1 AND pinned_at IS NOT NULL AND {LISTED}
             ORDER BY updated_at DESC, id DESC"
        )))
        .bind(owner)
        .fetch_all(self.store.pool())
        .await
    }

    /// The owner's other conversations from a place on, last changed first.
    pub async fn conversations(
        &self,
        owner: &str,
        before: &Before,
        most: i64,
    ) -> sqlx::Result<Vec<ConversationLine>> {
        sqlx::query_as(AssertSqlSafe(format!(
            "SELECT {LINE} FROM conversations c
             WHERE owner = $1 AND pinned_at IS NULL AND {LISTED} AND (updated_at, id) < ($2, $3)
             ORDER BY updated_at DESC, id DESC LIMIT $4"
        )))
        .bind(owner)
        .bind(before.updated_at)
        .bind(&before.id)
        .bind(most)
        .fetch_all(self.store.pool())
        .await
    }

    /// Where the owner's titles and messages hold all of these words, of which there is at least
    /// one, and the last one may be the beginning of one; the best places first.
    pub async fn find(&self, owner: &str, words: &[&str]) -> sqlx::Result<Vec<Found>> {
        let ([begin, end], parting) = (MARKS, TAKEN_OUT.replace('\\', r"\\"));
        let statement = match self.store.engine() {
            Engine::Sqlite => format!(
                "SELECT {LINE}, r.message_id,
                     snippet(search, 1, '{begin}', '{end}', '…', 24) AS words
                 FROM search JOIN search_rows r ON r.id = search.rowid
                     JOIN conversations c ON c.id = r.conversation_id
                 WHERE search MATCH 'who : ' || $3 || ' AND body : (' || $2 || ')'
                     AND c.owner = $1 AND {LISTED}
                 ORDER BY r.message_id IS NOT NULL, bm25(search, 0.0, 1.0), r.id DESC
                 LIMIT {PLACES}"
            ),
            // Every word is looked for by itself: phrases take memory without measure to mark.
            Engine::Postgres => format!(
                "SELECT {LINE}, r.message_id, replace(
                     ts_headline('breezeway',
                         regexp_replace(left(r.body, 200000), '([{parting}])', '\\1{SEAM}', 'g'),
                         query, 'StartSel={begin}, StopSel={end}, MaxWords=24, MinWords=12'),
                     '{SEAM}', '') AS words
                 FROM CAST(NULLIF(CAST(plainto_tsquery('breezeway', $2) AS TEXT), '') || ':*'
                         AS TSQUERY) AS query,
                     search_rows r JOIN conversations c ON c.id = r.conversation_id
                 WHERE r.words @@ query AND r.who = $3 AND c.owner = $1 AND {LISTED}
                 ORDER BY r.message_id IS NOT NULL, ts_rank(r.words, query) DESC, r.id DESC
                 LIMIT {PLACES}"
            ),
        };
        sqlx::query_as(AssertSqlSafe(statement))
            .bind(owner)
            .bind(query(self.store.engine(), words))
            .bind(token(owner))
            .fetch_all(self.store.pool())
            .await
    }

    /// Adds some messages to the index that are not in it yet; answers whether there may be more.
    pub async fn index_some(&self) -> sqlx::Result<bool> {
        let mut tx = self.store.begin().await?;
        let rows: Vec<ToIndex> = sqlx::query_as(
            "SELECT m.id, m.conversation_id, c.owner, m.role, m.text,
                    c.expires_at IS NOT NULL AS is_temporary
             FROM messages m JOIN conversations c ON c.id = m.conversation_id
             WHERE m.indexed = 0 AND m.state <> 'running' LIMIT $1",
        )
        .bind(INDEXED_AT_ONCE)
        .fetch_all(&mut *tx)
        .await?;
        for row in &rows {
            index(&mut tx, row).await?;
        }
        tx.commit().await?;
        Ok(rows.len() as i64 == INDEXED_AT_ONCE)
    }
}

async fn index(tx: &mut Tx, row: &ToIndex) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM search_rows WHERE conversation_id = $1 AND message_id = $2")
        .bind(&row.conversation_id)
        .bind(&row.id)
        .execute(&mut **tx)
        .await?;
    let text = if row.role == Role::User.as_str() { row.text.clone() } else { plain(&row.text) };
    if !row.is_temporary && !text.is_empty() {
        sqlx::query(
            "INSERT INTO search_rows (who, conversation_id, message_id, body)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(token(&row.owner))
        .bind(&row.conversation_id)
        .bind(&row.id)
        .bind(text.replace(MARKS, ""))
        .execute(&mut **tx)
        .await?;
    }
    sqlx::query("UPDATE messages SET indexed = 1 WHERE id = $1")
        .bind(&row.id)
        .execute(&mut **tx)
        .await
        .map(drop)
}

/// Words as the database's index takes them: every one as it is, and the last one as a beginning,
/// which for PostgreSQL the statement says.
fn query(engine: Engine, words: &[&str]) -> String {
    let quoted = |word: &&str| format!("\"{}\"", word.replace('"', "\"\""));
    match engine {
        Engine::Sqlite => words.iter().map(quoted).collect::<Vec<_>>().join(" AND ") + " *",
        Engine::Postgres => words.join(" ").replace(|letter| TAKEN_OUT.contains(letter), " "),
    }
}

/// The owner's name as one word of letters and digits, as the triggers write it too.
fn token(owner: &str) -> String {
    owner.bytes().fold("o".to_owned(), |token, byte| token + &format!("{byte:02x}"))
}

/// The columns of a [`ConversationLine`].
pub(super) const LINE: &str = "c.id, c.title, c.updated_at, c.pinned_at IS NOT NULL AS pinned,
     c.replied_at > c.read_at AS unread";

/// What is in lists at all.
const LISTED: &str = "c.deleted_at IS NULL AND c.expires_at IS NULL";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_never_the_language_of_the_index() {
        let sqlite = |words: &[&str]| query(Engine::Sqlite, words);
        assert_eq!(sqlite(&["open", "deals"]), "\"open\" AND \"deals\" *");
        assert_eq!(sqlite(&["a\"", "OR", "\"b"]), "\"a\"\"\" AND \"OR\" AND \"\"\"b\" *");
        assert_eq!(query(Engine::Postgres, &["it's", "a.b-c"]), "it's a b c");
    }

    #[test]
    fn what_is_taken_out_of_words_is_taken_out_of_the_index() {
        let migration = include_str!("../../../migrations/postgres/0013_begin.sql");
        let blanks = " ".repeat(TAKEN_OUT.len());
        assert!(migration.contains(&format!("'{TAKEN_OUT}', '{blanks}'")));
    }
}
