//! Looking up, starting and ending sessions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::http::HeaderMap;
use moka::sync::Cache;
use serde_json::Value;
use tower_sessions::{Session, session::Id};

use super::{
    Identity,
    caller::{ActiveSession, Caller},
    cookie, device,
    store::{Ended, OwnedRow, SessionKey, SessionRow, SessionStoreTables},
    wire::SessionLine,
};
use crate::{
    config::SessionConfig,
    error::{Error, Result},
    store::{Store, millis, now},
};

const IDENTITY: &str = "identity";
/// How stale a cached session may be: the longest another node's sign-out goes unnoticed.
const CACHED_FOR: Duration = Duration::from_secs(10);
/// How often `last_seen_at` is written for a busy session.
const TOUCH_EVERY: i64 = 60_000;
/// How much of what a browser calls itself is kept.
const LONGEST_DEVICE: usize = 400;

/// Who has just signed in, and where.
pub struct Arrival<'a> {
    /// Who.
    pub identity: &'a Identity,
    /// What the provider calls its own session (`sid`), so that it can end ours too.
    pub provider_session: Option<&'a str>,
    /// The browser, as it calls itself.
    pub device: Option<&'a str>,
}

/// The sessions of everyone who is signed in. Cheap to clone.
#[derive(Clone)]
pub struct Sessions {
    tables: SessionStoreTables,
    cache: Cache<SessionKey, Arc<ActiveSession>>,
    /// Sessions that ended here a moment ago: a request that read the row before it was gone must
    /// not bring one back into the cache.
    ended: Cache<SessionKey, ()>,
    config: SessionConfig,
    /// The cookie's name.
    cookie: &'static str,
}

impl Sessions {
    /// Sessions kept in `store`.
    pub fn new(store: Store, config: SessionConfig, https: bool) -> Self {
        Self {
            tables: SessionStoreTables::new(store, config.idle),
            cache: Cache::builder().max_capacity(100_000).time_to_live(CACHED_FOR).build(),
            ended: Cache::builder().time_to_live(2 * CACHED_FOR).build(),
            config,
            cookie: cookie::name(https),
        }
    }

    /// The tables, for tower-sessions and for grants.
    pub(super) fn tables(&self) -> &SessionStoreTables {
        &self.tables
    }

    /// Who sends the cookie that `session` was read from.
    pub async fn caller(&self, session: &Session) -> Result<Caller> {
        match session.id() {
            Some(id) => Ok(self.find(&id).await?.map_or(Caller::Nobody, Caller::Session)),
            None => Ok(Caller::Nobody),
        }
    }

    /// Who sends these headers: the same, for requests that never change the session.
    pub async fn caller_of(&self, headers: &HeaderMap) -> Result<Caller> {
        let id = cookie::value(headers, self.cookie).and_then(|value| value.parse().ok());
        match id {
            Some(id) => Ok(self.find(&id).await?.map_or(Caller::Nobody, Caller::Session)),
            None => Ok(Caller::Nobody),
        }
    }

    /// The signed-in session of this cookie, if there is one and it has not ended.
    async fn find(&self, id: &Id) -> Result<Option<Arc<ActiveSession>>> {
        let active = self.find_by_key(&SessionKey::of(id)).await?;
        if let Some(active) = &active {
            self.touch(active);
        }
        Ok(active)
    }

    /// The session of this name, if it has not ended; that somebody asks for it is no use of it.
    pub async fn find_by_key(&self, key: &SessionKey) -> Result<Option<Arc<ActiveSession>>> {
        let active = match self.cache.get(key) {
            Some(active) => active,
            None => match self.load(key).await? {
                Some(active) => active,
                None => return Ok(None),
            },
        };
        if active.has_ended(now()) {
            self.cache.invalidate(key);
            return Ok(None);
        }
        Ok(Some(active))
    }

    /// Signs a browser in: whatever session it had ends, and a new id is given.
    pub async fn start(&self, session: &Session, arrival: &Arrival<'_>) -> Result<SessionKey> {
        let Arrival { identity, provider_session, device } = arrival;
        if let Some(id) = session.id() {
            self.forget(&SessionKey::of(&id));
        }
        session.clear().await;
        session.cycle_id().await.map_err(Error::internal)?;
        session.insert(IDENTITY, identity).await.map_err(Error::internal)?;
        session.save().await.map_err(Error::internal)?;
        let id = session.id().ok_or_else(|| Error::internal("a saved session has no id"))?;
        let key = SessionKey::of(&id);
        let device = device.map(|device| device.chars().take(LONGEST_DEVICE).collect::<String>());
        self.tables.describe(&key, identity, *provider_session, device.as_deref()).await?;
        Ok(key)
    }

    /// Where a person is signed in, the session used last first.
    pub async fn of_person(&self, caller: &Caller) -> Result<Vec<SessionLine>> {
        let here = caller.signed_in()?;
        let rows = self.tables.of_person(&here.identity).await?;
        let line = |row: OwnedRow| SessionLine {
            is_here: row.id == here.key.to_hex(),
            id: row.id,
            device: device::describe(row.device.as_deref().unwrap_or_default()),
            since: row.created_at / 1000,
            last_used: row.last_seen_at / 1000,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// The sessions that a provider's word is about.
    pub async fn of_provider(&self, ended: &Ended<'_>) -> Result<Vec<SessionKey>> {
        Ok(self.tables.of_provider(ended).await?)
    }

    /// Whether a logout token was used before.
    pub async fn was_used(&self, issuer: &str, jti: &str) -> Result<bool> {
        Ok(self.tables.was_used(issuer, jti).await?)
    }

    /// Remembers that a logout token, good until `ends_at`, was used.
    pub async fn note_use(&self, issuer: &str, jti: &str, ends_at: i64) -> Result<()> {
        Ok(self.tables.note_use(issuer, jti, ends_at).await?)
    }

    /// Signs a browser out: the row is gone before this returns.
    pub async fn end(&self, session: &Session) -> Result<()> {
        if let Some(id) = session.id() {
            self.forget(&SessionKey::of(&id));
            session.flush().await.map_err(Error::internal)?;
        }
        Ok(())
    }

    /// Ends a session by its name alone; the cookie that leads to it may be anywhere.
    pub async fn end_by_key(&self, key: &SessionKey) -> Result<()> {
        self.forget(key);
        Ok(self.tables.delete(key).await?)
    }

    /// Removes the rows of sessions that have ended.
    pub async fn remove_expired(&self) -> Result<u64> {
        Ok(self.tables.delete_expired().await?)
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Arc<ActiveSession>>> {
        let Some(row) = self.tables.find(key).await? else { return Ok(None) };
        let Some(identity) = identity(&row)? else { return Ok(None) };
        let active = Arc::new(ActiveSession {
            key: *key,
            identity,
            ends_at: row.created_at.saturating_add(millis(self.config.absolute)),
            idle_ends_at: AtomicI64::new(row.expires_at),
            last_seen_at: AtomicI64::new(row.last_seen_at),
        });
        self.cache.insert(*key, active.clone());
        if self.ended.contains_key(key) {
            self.cache.invalidate(key);
            return Ok(None);
        }
        Ok(Some(active))
    }

    /// Takes a session that is ending out of the cache, and keeps it out.
    fn forget(&self, key: &SessionKey) {
        self.ended.insert(*key, ());
        self.cache.invalidate(key);
    }

    /// Moves the idle end, at most once a minute, without making the request wait.
    fn touch(&self, active: &Arc<ActiveSession>) {
        let at = now();
        if at - active.last_seen_at.load(Ordering::Relaxed) < TOUCH_EVERY {
            return;
        }
        let expires = at.saturating_add(millis(self.config.idle)).min(active.ends_at);
        active.last_seen_at.store(at, Ordering::Relaxed);
        active.idle_ends_at.store(expires, Ordering::Relaxed);
        let (tables, active) = (self.tables.clone(), active.clone());
        tokio::spawn(async move {
            if let Err(cause) = tables.touch(&active.key, at, expires).await {
                tracing::warn!(%cause, "a session's last use could not be noted");
            }
        });
    }
}

fn identity(row: &SessionRow) -> Result<Option<Identity>> {
    let mut data: Value = serde_json::from_str(&row.data).map_err(Error::internal)?;
    match data.get_mut(IDENTITY) {
        Some(identity) => {
            serde_json::from_value(identity.take()).map(Some).map_err(Error::internal)
        }
        None => Ok(None),
    }
}
