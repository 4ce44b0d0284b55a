//! The tokens a session holds, and their refresh.
//!
//! A refresh happens once per grant whatever the concurrency: callers queue on the grant's lock, the
//! first one starts a task of its own that exchanges **and** saves, and the rest find a fresh token
//! when their turn comes. The task owns the lock, so a caller that goes away cancels nothing: with
//! rotating refresh tokens a lost answer would sign the person out.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
};

use super::{Sessions, seal::Sealer, store::SessionKey};
use crate::{
    error::{Error, Kind, Result},
    store::now,
};

const PURPOSE: &str = "grant";
/// A token that ends within this time is refreshed before it is used.
const REFRESH_AHEAD: Duration = Duration::from_secs(30);
/// The waits before new tokens are tried to be saved again.
const SAVE_PAUSES: [Duration; 4] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
];
/// How long another node's refresh may go unnoticed.
const CACHED_FOR: Duration = Duration::from_secs(10);

/// The tokens of one session.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Sent to backends as a bearer.
    pub access_token: SecretString,
    /// How long the access token is good; `None` when the provider did not say.
    pub life: Option<Life>,
    /// Buys the next access token.
    pub refresh_token: Option<SecretString>,
}

/// The life of an access token, milliseconds since 1970.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Life {
    ends_at: i64,
    refresh_at: i64,
}

impl Life {
    /// A life of `duration` that begins now. It is refreshed half a minute before its end, or in
    /// its last quarter when it is short.
    pub fn starting_now(duration: Duration) -> Self {
        let margin = (duration / 4).min(REFRESH_AHEAD);
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let ends_at = now().saturating_add(millis(duration));
        Self { ends_at, refresh_at: ends_at.saturating_sub(millis(margin)) }
    }
}

/// What the provider's token endpoint can answer to a refresh.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The provider withdrew the grant (`invalid_grant`), or knows us no more (`invalid_client`).
    #[error("the provider has ended the grant")]
    Ended,
    /// Anything else: the grant is kept and the next request tries again.
    #[error("the provider could not refresh the grant now: {0}")]
    NotNow(String),
}

/// Where refresh tokens are exchanged; the `auth` room implements it.
#[async_trait]
pub trait TokenEndpoint: Send + Sync {
    /// Buys new tokens. A field the provider leaves out keeps its old value.
    async fn refresh(&self, grant: &Grant) -> Result<Grant, RefreshError>;
}

/// All grants. Cheap to clone.
#[derive(Clone)]
pub struct Grants {
    sessions: Sessions,
    sealer: Sealer,
    endpoint: Option<Arc<dyn TokenEndpoint>>,
    cache: Cache<SessionKey, Arc<Stored>>,
    locks: Cache<SessionKey, Arc<Mutex<()>>>,
    runtime: Handle,
}

struct Stored {
    grant: Grant,
    version: i64,
}

impl Grants {
    /// Grants beside `sessions`, refreshed at `endpoint` in tasks on `runtime`.
    pub fn new(
        sessions: Sessions,
        sealer: Sealer,
        endpoint: Option<Arc<dyn TokenEndpoint>>,
        runtime: Handle,
    ) -> Self {
        Self {
            sessions,
            sealer,
            endpoint,
            cache: Cache::builder().max_capacity(100_000).time_to_live(CACHED_FOR).build(),
            locks: Cache::builder().time_to_idle(Duration::from_secs(120)).build(),
            runtime,
        }
    }

    /// Keeps the grant of a session that has just started.
    pub async fn keep(&self, key: &SessionKey, grant: &Grant) -> Result<()> {
        let sealed = self.seal(grant)?;
        Ok(self.sessions.tables().insert_grant(key, &sealed).await?)
    }

    /// An access token that is good for use now.
    ///
    /// Refreshes one that is about to end. When the provider has ended the grant, the session ends
    /// too and this answers 401; when the provider cannot be reached, a token that still has some
    /// life is used, else this answers 503 and the grant is kept.
    pub async fn access_token(&self, key: &SessionKey) -> Result<SecretString> {
        let stored = match self.cache.get(key) {
            Some(stored) => stored,
            None => self.load(key).await?.ok_or_else(Error::unauthenticated)?,
        };
        if !stored.grant.needs_refresh() || !self.can_refresh(&stored.grant) {
            return Ok(stored.grant.access_token.clone());
        }
        match self.refresh(key).await {
            Err(error) if error.kind() == Kind::Unavailable && !stored.grant.has_ended() => {
                Ok(stored.grant.access_token.clone())
            }
            other => other,
        }
    }

    /// Forgets the cached grant of a session that has ended.
    pub fn forget(&self, key: &SessionKey) {
        self.cache.invalidate(key);
    }

    fn can_refresh(&self, grant: &Grant) -> bool {
        self.endpoint.is_some() && grant.refresh_token.is_some()
    }

    async fn refresh(&self, key: &SessionKey) -> Result<SecretString> {
        let lock = self.locks.get_with(key.clone(), || Arc::new(Mutex::new(())));
        let turn = lock.lock_owned().await;
        let (this, key) = (self.clone(), key.clone());
        self.runtime
            .spawn(async move { this.refresh_in_turn(&key, turn).await })
            .await
            .map_err(Error::internal)?
    }

    /// Runs with the grant's lock held until the new tokens are saved.
    async fn refresh_in_turn(
        &self,
        key: &SessionKey,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<SecretString> {
        let stored = self.load(key).await?.ok_or_else(Error::unauthenticated)?;
        if !stored.grant.needs_refresh() {
            return Ok(stored.grant.access_token.clone());
        }
        let endpoint = self.endpoint.as_ref().ok_or_else(Error::unauthenticated)?;
        match endpoint.refresh(&stored.grant).await {
            Ok(grant) => self.save(key, stored.version, grant).await,
            Err(RefreshError::Ended) => {
                tracing::info!("a grant was ended by its provider; so is its session");
                self.forget(key);
                self.sessions.end_by_key(key).await?;
                Err(Error::unauthenticated())
            }
            Err(cause @ RefreshError::NotNow(_)) => Err(Error::unavailable(
                "The sign-in service does not answer, so your access could not be renewed. You \
                 are still signed in; try again in a moment.",
            )
            .because(cause)),
        }
    }

    /// Compare-and-swap: a session that was signed out meanwhile stays signed out.
    async fn save(&self, key: &SessionKey, version: i64, grant: Grant) -> Result<SecretString> {
        let sealed = self.seal(&grant)?;
        if !self.swap(key, version, &sealed).await? {
            self.forget(key);
            let current = self.load(key).await?.ok_or_else(Error::unauthenticated)?;
            return Ok(current.grant.access_token.clone());
        }
        let token = grant.access_token.clone();
        self.cache.insert(key.clone(), Arc::new(Stored { grant, version: version + 1 }));
        Ok(token)
    }

    /// Tries for a while: the old refresh token is spent, so a new grant that is not saved is a
    /// person signed out.
    async fn swap(&self, key: &SessionKey, version: i64, sealed: &[u8]) -> Result<bool> {
        let tables = self.sessions.tables();
        for pause in SAVE_PAUSES {
            match tables.swap_grant(key, version, sealed).await {
                Ok(swapped) => return Ok(swapped),
                Err(cause) => tracing::warn!(%cause, "new tokens could not be saved; trying again"),
            }
            tokio::time::sleep(pause).await;
        }
        Ok(tables.swap_grant(key, version, sealed).await?)
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Arc<Stored>>> {
        let Some(row) = self.sessions.tables().find_grant(key).await? else { return Ok(None) };
        let plain = self.sealer.open_sealed(PURPOSE, &row.sealed).map_err(Error::internal)?;
        let plain: PlainGrant = serde_json::from_slice(&plain).map_err(Error::internal)?;
        let stored = Arc::new(Stored { grant: plain.into(), version: row.version });
        self.cache.insert(key.clone(), stored.clone());
        Ok(Some(stored))
    }

    fn seal(&self, grant: &Grant) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(&PlainGrant::from(grant)).map_err(Error::internal)?;
        self.sealer.seal(PURPOSE, &plain).map_err(Error::internal)
    }
}

impl Grant {
    fn needs_refresh(&self) -> bool {
        self.life.is_some_and(|life| life.refresh_at <= now())
    }

    fn has_ended(&self) -> bool {
        self.life.is_some_and(|life| life.ends_at <= now())
    }
}

/// A grant's form before it is sealed.
#[derive(Serialize, Deserialize)]
struct PlainGrant {
    access_token: String,
    life: Option<Life>,
    refresh_token: Option<String>,
}

impl From<&Grant> for PlainGrant {
    fn from(grant: &Grant) -> Self {
        let expose = |secret: &SecretString| secret.expose_secret().to_owned();
        Self {
            access_token: expose(&grant.access_token),
            life: grant.life,
            refresh_token: grant.refresh_token.as_ref().map(expose),
        }
    }
}

impl From<PlainGrant> for Grant {
    fn from(plain: PlainGrant) -> Self {
        Self {
            access_token: plain.access_token.into(),
            life: plain.life,
            refresh_token: plain.refresh_token.map(SecretString::from),
        }
    }
}
