//! The SQL of sessions and grants, and the store that tower-sessions keeps its records in.
//!
//! A session row is made at sign-in and only ever updated after: a response that ends later than a
//! sign-out cannot bring the session back.

use std::{
    collections::HashMap,
    io::{self, Write},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::FromRow;
use tower_sessions::{
    SessionStore,
    session::{Id, Record},
    session_store,
};

use super::Identity;
use crate::store::{Store, millis, now};

/// Names a session in the database: the SHA-256 of its cookie's value. A stolen database cannot be
/// turned back into cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// The key of the session whose cookie holds `id`.
    pub fn of(id: &Id) -> Self {
        let mut text = io::Cursor::new([0; 32]);
        // An id is 22 characters, so there is room for it.
        let _ = write!(text, "{id}");
        let length = usize::try_from(text.position()).unwrap_or(0);
        Self(Sha256::digest(&text.get_ref()[..length]).into())
    }

    /// The key that a row, a form or an address holds; it names a session, and opens none.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: Option<Vec<u8>> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok())
            .collect();
        Some(Self(digits?.try_into().ok()?))
    }

    /// The key as the database holds it.
    pub fn to_hex(self) -> String {
        use std::fmt::Write;
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// A row of `sessions`.
#[derive(Debug, FromRow)]
pub struct SessionRow {
    pub data: String,
    pub created_at: i64,
    pub last_seen_at: i64,
    pub expires_at: i64,
}

/// A session as its owner sees it.
#[derive(Debug, FromRow)]
pub struct OwnedRow {
    pub id: String,
    pub created_at: i64,
    pub last_seen_at: i64,
    pub device: Option<String>,
}

/// Whose sessions a provider ends: a person's, one browser's, or both named at once.
#[derive(Debug)]
pub struct Ended<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `sub`
    pub subject: Option<&'a str>,
    /// `sid`
    pub provider_session: Option<&'a str>,
}

/// A row of `grants`.
#[derive(Debug, FromRow)]
pub struct GrantRow {
    pub sealed: Vec<u8>,
    pub version: i64,
}

/// The tables `sessions` and `grants`.
#[derive(Debug, Clone)]
pub struct SessionStoreTables {
    store: Store,
    idle: Duration,
}

impl SessionStoreTables {
    /// Rows are kept for `idle` after the last request.
    pub fn new(store: Store, idle: Duration) -> Self {
        Self { store, idle }
    }

    /// The database they are in.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The session, unless it has ended.
    pub async fn find(&self, key: &SessionKey) -> sqlx::Result<Option<SessionRow>> {
        sqlx::query_as(
            "SELECT data, created_at, last_seen_at, expires_at FROM sessions
             WHERE id = $1 AND expires_at > $2",
        )
        .bind(key.to_hex())
        .bind(now())
        .fetch_optional(self.store.pool())
        .await
    }

    /// Notes that the session was used.
    pub async fn touch(&self, key: &SessionKey, seen: i64, expires: i64) -> sqlx::Result<()> {
        sqlx::query("UPDATE sessions SET last_seen_at = $2, expires_at = $3 WHERE id = $1")
            .bind(key.to_hex())
            .bind(seen)
            .bind(expires)
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Notes whose session it is.
    pub async fn describe(
        &self,
        key: &SessionKey,
        identity: &Identity,
        provider_session: Option<&str>,
        device: Option<&str>,
    ) -> sqlx::Result<()> {
        sqlx::query(
            "UPDATE sessions SET issuer = $2, subject = $3, provider_session = $4, device = $5
             WHERE id = $1",
        )
        .bind(key.to_hex())
        .bind(&identity.issuer)
        .bind(identity.account())
        .bind(provider_session)
        .bind(device)
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// A person's sessions, the one used last first.
    pub async fn of_person(&self, identity: &Identity) -> sqlx::Result<Vec<OwnedRow>> {
        sqlx::query_as(
            "SELECT id, created_at, last_seen_at, device FROM sessions
             WHERE issuer = $1 AND subject = $2 AND expires_at > $3
             ORDER BY last_seen_at DESC, id",
        )
        .bind(&identity.issuer)
        .bind(identity.account())
        .bind(now())
        .fetch_all(self.store.pool())
        .await
    }

    /// The sessions that a provider's word is about.
    pub async fn of_provider(&self, ended: &Ended<'_>) -> sqlx::Result<Vec<SessionKey>> {
        let keys: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM sessions WHERE issuer = $1
             AND ($2 IS NULL OR subject = $2) AND ($3 IS NULL OR provider_session = $3)",
        )
        .bind(ended.issuer)
        .bind(ended.subject)
        .bind(ended.provider_session)
        .fetch_all(self.store.pool())
        .await?;
        Ok(keys.iter().filter_map(|key| SessionKey::from_hex(key)).collect())
    }

    /// Whether a logout token was used.
    pub async fn was_used(&self, issuer: &str, jti: &str) -> sqlx::Result<bool> {
        let used: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM logout_tokens WHERE issuer = $1 AND jti = $2")
                .bind(issuer)
                .bind(jti)
                .fetch_one(self.store.pool())
                .await?;
        Ok(used > 0)
    }

    /// Notes that a logout token was used.
    pub async fn note_use(&self, issuer: &str, jti: &str, ends_at: i64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO logout_tokens (issuer, jti, ends_at) VALUES ($1, $2, $3)
             ON CONFLICT (issuer, jti) DO NOTHING",
        )
        .bind(issuer)
        .bind(jti)
        .bind(ends_at)
        .execute(self.store.pool())
        .await
        .map(drop)
    }

    /// Removes the session and, with it, its grant.
    pub async fn delete(&self, key: &SessionKey) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM sessions WHERE id = $1")
            .bind(key.to_hex())
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Removes sessions that have ended, and logout tokens that nobody can use again; answers how
    /// many sessions.
    pub async fn delete_expired(&self) -> sqlx::Result<u64> {
        sqlx::query("DELETE FROM logout_tokens WHERE ends_at <= $1")
            .bind(now())
            .execute(self.store.pool())
            .await?;
        let done = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1")
            .bind(now())
            .execute(self.store.pool())
            .await?;
        Ok(done.rows_affected())
    }

    /// The session's grant.
    pub async fn find_grant(&self, key: &SessionKey) -> sqlx::Result<Option<GrantRow>> {
        sqlx::query_as("SELECT sealed, version FROM grants WHERE session_id = $1")
            .bind(key.to_hex())
            .fetch_optional(self.store.pool())
            .await
    }

    /// Removes the session's grant; answers what it was.
    pub async fn take_grant(&self, key: &SessionKey) -> sqlx::Result<Option<GrantRow>> {
        sqlx::query_as("DELETE FROM grants WHERE session_id = $1 RETURNING sealed, version")
            .bind(key.to_hex())
            .fetch_optional(self.store.pool())
            .await
    }

    /// Keeps the grant of a new session.
    pub async fn insert_grant(&self, key: &SessionKey, sealed: &[u8]) -> sqlx::Result<()> {
        sqlx::query("INSERT INTO grants (session_id, sealed, version) VALUES ($1, $2, 1)")
            .bind(key.to_hex())
            .bind(sealed)
            .execute(self.store.pool())
            .await
            .map(drop)
    }

    /// Replaces a grant if it is still at `version`; answers whether it was.
    pub async fn swap_grant(
        &self,
        key: &SessionKey,
        version: i64,
        sealed: &[u8],
    ) -> sqlx::Result<bool> {
        let done = sqlx::query(
            "UPDATE grants SET sealed = $3, version = version + 1
             WHERE session_id = $1 AND version = $2",
        )
        .bind(key.to_hex())
        .bind(version)
        .bind(sealed)
        .execute(self.store.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn insert(&self, record: &Record) -> session_store::Result<bool> {
        let at = now();
        let idle = millis(self.idle);
        let done = sqlx::query(
            "INSERT INTO sessions (id, data, created_at, last_seen_at, expires_at)
             VALUES ($1, $2, $3, $3, $4) ON CONFLICT (id) DO NOTHING",
        )
        .bind(SessionKey::of(&record.id).to_hex())
        .bind(encode(&record.data)?)
        .bind(at)
        .bind(at.saturating_add(idle))
        .execute(self.store.pool())
        .await
        .map_err(backend)?;
        Ok(done.rows_affected() == 1)
    }
}

#[async_trait]
impl SessionStore for SessionStoreTables {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        while !self.insert(record).await? {
            record.id = Id::default();
        }
        Ok(())
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        sqlx::query("UPDATE sessions SET data = $2 WHERE id = $1")
            .bind(SessionKey::of(&record.id).to_hex())
            .bind(encode(&record.data)?)
            .execute(self.store.pool())
            .await
            .map(drop)
            .map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let Some(row) = self.find(&SessionKey::of(id)).await.map_err(backend)? else {
            return Ok(None);
        };
        let expiry = i128::from(row.expires_at) * 1_000_000;
        Ok(Some(Record {
            id: *id,
            data: decode(&row.data)?,
            expiry_date: time::OffsetDateTime::from_unix_timestamp_nanos(expiry)
                .map_err(|cause| session_store::Error::Decode(cause.to_string()))?,
        }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        Self::delete(self, &SessionKey::of(id)).await.map_err(backend)
    }
}

fn encode(data: &HashMap<String, Value>) -> session_store::Result<String> {
    serde_json::to_string(data).map_err(|cause| session_store::Error::Encode(cause.to_string()))
}

fn decode(data: &str) -> session_store::Result<HashMap<String, Value>> {
    serde_json::from_str(data).map_err(|cause| session_store::Error::Decode(cause.to_string()))
}

fn backend(cause: sqlx::Error) -> session_store::Error {
    session_store::Error::Backend(cause.to_string())
}
