//! The tokens a session holds, and their refresh.
//!
//! A refresh happens once per grant whatever the concurrency: callers queue on the grant's lock, the
//! first one starts a task of its own that exchanges **and** saves, and the rest find a fresh token
//! when their turn comes. The task owns the lock, so a caller that goes away cancels nothing: with
//! rotating refresh tokens a lost answer would sign the person out. A lease in the database does for
//! other nodes what the lock does here.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use axum::http::HeaderValue;
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use super::{
    Sessions,
    seal::Sealer,
    store::{GrantRow, SessionKey},
};
use crate::{
    error::{Error, Kind, Result},
    store::{Lease, millis, now},
};

const PURPOSE: &str = "grant";
/// A token that ends within this time is refreshed before it is used.
const REFRESH_AHEAD: Duration = Duration::from_secs(30);
/// The waits before an exchange that failed at once is tried again.
const RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(1)];
/// An exchange that took this long is not tried again by the same refresh: people are waiting.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a request that could do with the old token waits for the new one.
pub const PROMPT: Duration = Duration::from_secs(1);
/// How long a grant is left alone after a refresh that failed; doubled each time.
const COOL_DOWN: Duration = Duration::from_secs(1);
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(30);
/// A backend that refuses fresh tokens too does not get another one sooner than this.
const BETWEEN_REFUSALS: Duration = Duration::from_secs(30);
/// Longer than any refresh takes: `PATIENCE`, one more exchange of at most fifteen seconds, and
/// `SAVE_PAUSES`.
const LEASE: Duration = Duration::from_secs(60);
/// How often a node looks whether another one has finished a refresh.
const LEASE_POLL: Duration = Duration::from_millis(100);
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
    /// What buys the next access token.
    pub renewal: Renewal,
}

/// What buys the next access token of a grant.
#[derive(Debug, Clone)]
pub enum Renewal {
    /// A refresh token.
    RefreshToken(SecretString),
    /// Our own registration, as a machine client.
    ClientCredentials,
    /// Nothing: when it ends, somebody must sign in again.
    None,
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
        let ends_at = now().saturating_add(millis(duration));
        Self { ends_at, refresh_at: ends_at.saturating_sub(millis(margin)) }
    }

    /// How long it is from now.
    pub fn left(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.ends_at - now()).unwrap_or(0))
    }

    /// Whether a new token should be had before this one is used.
    pub fn is_ending(&self) -> bool {
        self.refresh_at <= now()
    }
}

/// What the provider's token endpoint can answer to a refresh.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The provider withdrew the grant (`invalid_grant`), or knows us no more (`invalid_client`).
    #[error("the provider has ended the grant")]
    Ended,
    /// Anything else: the grant is kept and a later request tries again.
    #[error("the provider could not refresh the grant now: {0}")]
    NotNow(String),
}

/// Where new tokens are had; the `auth` room implements it.
#[async_trait]
pub trait TokenEndpoint: Send + Sync {
    /// Buys new tokens. What the provider leaves out keeps its old value. Takes at most fifteen
    /// seconds.
    async fn renew(&self, grant: &Grant) -> Result<Grant, RefreshError>;

    /// Tells the provider that the tokens are no longer needed, where it wants to know.
    async fn revoke(&self, grant: &Grant);
}

/// All grants. Cheap to clone.
#[derive(Clone)]
pub struct Grants {
    sessions: Sessions,
    sealer: Sealer,
    endpoint: Arc<dyn TokenEndpoint>,
    cache: Cache<SessionKey, Arc<Stored>>,
    locks: Cache<SessionKey, Arc<Mutex<()>>>,
    /// Grants whose refresh failed a moment ago.
    cooling: Cache<SessionKey, Cooling>,
    /// Grants that were refreshed because a backend refused them a moment ago.
    refused: Cache<SessionKey, ()>,
    runtime: Handle,
    tasks: TaskTracker,
}

struct Stored {
    grant: Grant,
    bearer: HeaderValue,
    version: i64,
}

#[derive(Clone, Copy)]
struct Cooling {
    until: Instant,
    pause: Duration,
}

/// Why a refresh is wanted.
#[derive(Clone)]
enum Reason {
    /// The token ends soon.
    Ending,
    /// A backend refused this token.
    Refused(HeaderValue),
}

impl Grants {
    /// Grants beside `sessions`, refreshed at `endpoint` in tasks on `runtime`.
    pub fn new(
        sessions: Sessions,
        sealer: Sealer,
        endpoint: Arc<dyn TokenEndpoint>,
        runtime: Handle,
    ) -> Self {
        Self {
            sessions,
            sealer,
            endpoint,
            cache: Cache::builder().max_capacity(100_000).time_to_live(CACHED_FOR).build(),
            locks: Cache::builder().time_to_idle(2 * LEASE).build(),
            cooling: Cache::builder().time_to_live(2 * LONGEST_COOL_DOWN).build(),
            refused: Cache::builder().time_to_live(BETWEEN_REFUSALS).build(),
            runtime,
            tasks: TaskTracker::new(),
        }
    }

    /// Keeps the grant of a session that has just started.
    pub async fn keep(&self, key: &SessionKey, grant: &Grant) -> Result<()> {
        let sealed = self.seal(grant)?;
        Ok(self.sessions.tables().insert_grant(key, &sealed).await?)
    }

    /// An `Authorization` value that is good for use now.
    ///
    /// Refreshes a token that is about to end. When the provider has ended the grant, the session
    /// ends too and this answers 401; when the provider cannot be reached, or is slow, a token that
    /// still has some life is used, else this answers 503 and the grant is kept.
    pub async fn bearer(&self, key: &SessionKey) -> Result<HeaderValue> {
        let stored = self.current(key).await?;
        if !stored.grant.is_ending() {
            return Ok(stored.bearer.clone());
        }
        let has_ended = stored.grant.has_ended();
        if !stored.grant.can_renew() {
            return if has_ended { Err(ended()) } else { Ok(stored.bearer.clone()) };
        }
        if has_ended {
            return self.refresh(key, Reason::Ending).await;
        }
        match timeout(PROMPT, self.refresh(key, Reason::Ending)).await {
            Ok(Err(error)) if error.kind() == Kind::Unavailable => Ok(stored.bearer.clone()),
            Ok(other) => other,
            Err(_) => Ok(stored.bearer.clone()),
        }
    }

    /// A fresh `Authorization` value in place of `used`, which a backend has just refused; `None`
    /// when there is no better one to be had now.
    pub async fn renew(&self, key: &SessionKey, used: &HeaderValue) -> Result<Option<HeaderValue>> {
        let stored = self.current(key).await?;
        if stored.bearer != *used {
            return Ok(Some(stored.bearer.clone()));
        }
        if !stored.grant.can_renew() || self.refused.contains_key(key) {
            return Ok(None);
        }
        match self.refresh(key, Reason::Refused(used.clone())).await {
            Ok(fresh) => Ok(Some(fresh)),
            Err(error) if error.kind() == Kind::Unavailable => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends a session with its grant, whoever leaves meanwhile. The provider is told of the tokens that
    /// were there last, and nobody waits for that.
    pub async fn end(&self, key: &SessionKey) -> Result<()> {
        let (this, key) = (self.clone(), *key);
        let work = async move {
            let taken = this.sessions.tables().take_grant(&key).await?;
            this.cache.invalidate(&key);
            this.sessions.end_by_key(&key).await?;
            match taken.map(|row| this.open(&row)) {
                Some(Ok(grant)) => this.revoke(grant),
                Some(Err(cause)) => {
                    tracing::warn!(%cause, "tokens could not be read, to revoke them")
                }
                None => {}
            }
            Ok(())
        };
        self.tasks.spawn_on(work, &self.runtime).await.map_err(Error::internal)?
    }

    fn revoke(&self, grant: Grant) {
        let endpoint = self.endpoint.clone();
        self.tasks.spawn_on(async move { endpoint.revoke(&grant).await }, &self.runtime);
    }

    /// Waits for what is under way, so that no new tokens are lost and no old ones kept.
    pub async fn settle(&self, at_most: Duration) {
        self.tasks.close();
        if timeout(at_most, self.tasks.wait()).await.is_err() {
            tracing::warn!("refreshes were still under way when the server stopped");
        }
    }

    async fn current(&self, key: &SessionKey) -> Result<Arc<Stored>> {
        match self.cache.get(key) {
            Some(stored) => Ok(stored),
            None => self.load(key).await?.ok_or_else(Error::unauthenticated),
        }
    }

    async fn refresh(&self, key: &SessionKey, reason: Reason) -> Result<HeaderValue> {
        let lock = self.locks.get_with(*key, || Arc::new(Mutex::new(())));
        let turn = lock.lock_owned().await;
        let (this, key) = (self.clone(), *key);
        let work = async move { this.refresh_in_turn(&key, reason, turn).await };
        self.tasks.spawn_on(work, &self.runtime).await.map_err(Error::internal)?
    }

    /// Runs with the grant's lock held until the new tokens are saved.
    async fn refresh_in_turn(
        &self,
        key: &SessionKey,
        reason: Reason,
        _turn: OwnedMutexGuard<()>,
    ) -> Result<HeaderValue> {
        let give_up = Instant::now() + LEASE + LEASE / 4;
        while Instant::now() < give_up {
            let stored = self.load(key).await?.ok_or_else(Error::unauthenticated)?;
            if !stored.needs(&reason) {
                return Ok(stored.bearer.clone());
            }
            self.check_cool(key)?;
            if let Some(lease) = self.lease(key).await? {
                let outcome = self.refresh_alone(key, &reason).await;
                lease.give_back().await;
                return outcome;
            }
            tokio::time::sleep(LEASE_POLL).await;
        }
        Err(not_now("another node holds the lease"))
    }

    async fn lease(&self, key: &SessionKey) -> Result<Option<Lease>> {
        let store = self.sessions.tables().store();
        Ok(Lease::take(store, &format!("refresh {}", key.to_hex()), LEASE).await?)
    }

    /// Runs with the grant's lease held. What another node did before that is not done again.
    async fn refresh_alone(&self, key: &SessionKey, reason: &Reason) -> Result<HeaderValue> {
        let stored = self.load(key).await?.ok_or_else(Error::unauthenticated)?;
        if !stored.needs(reason) {
            return Ok(stored.bearer.clone());
        }
        match self.exchange(&stored.grant).await {
            Ok(grant) => {
                self.cooling.invalidate(key);
                if matches!(reason, Reason::Refused(_)) {
                    self.refused.insert(*key, ());
                }
                self.save(key, stored.version, grant).await
            }
            Err(RefreshError::Ended) => self.withdraw(key, stored.version).await,
            Err(RefreshError::NotNow(cause)) => {
                self.cool_down(key);
                Err(not_now(&cause))
            }
        }
    }

    async fn exchange(&self, grant: &Grant) -> Result<Grant, RefreshError> {
        let endpoint = &self.endpoint;
        let began = Instant::now();
        for pause in RETRY_PAUSES {
            match endpoint.renew(grant).await {
                Err(RefreshError::NotNow(cause)) if began.elapsed() < PATIENCE => {
                    tracing::info!(cause, "a refresh failed; trying again");
                }
                other => return other,
            }
            tokio::time::sleep(pause).await;
        }
        endpoint.renew(grant).await
    }

    /// The provider has ended the grant, and so the session: unless another node, whose lease ran
    /// out before it was done, has saved a newer one.
    async fn withdraw(&self, key: &SessionKey, version: i64) -> Result<HeaderValue> {
        let current = self.load(key).await?.ok_or_else(Error::unauthenticated)?;
        if current.version != version {
            return Ok(current.bearer.clone());
        }
        tracing::info!("a grant was ended by its provider; so is its session");
        self.cache.invalidate(key);
        self.sessions.end_by_key(key).await?;
        Err(Error::unauthenticated())
    }

    /// Compare-and-swap: a session that was signed out meanwhile stays signed out, and the tokens it
    /// would have had are given back.
    async fn save(&self, key: &SessionKey, version: i64, grant: Grant) -> Result<HeaderValue> {
        let sealed = self.seal(&grant)?;
        if !self.swap(key, version, &sealed).await? {
            self.cache.invalidate(key);
            return match self.load(key).await? {
                Some(current) => Ok(current.bearer.clone()),
                None => {
                    self.endpoint.revoke(&grant).await;
                    Err(Error::unauthenticated())
                }
            };
        }
        let stored = Stored::new(grant, version + 1)?;
        let bearer = stored.bearer.clone();
        self.cache.insert(*key, Arc::new(stored));
        Ok(bearer)
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

    fn check_cool(&self, key: &SessionKey) -> Result<()> {
        match self.cooling.get(key) {
            Some(cooling) if Instant::now() < cooling.until => {
                Err(not_now("the last refresh failed a moment ago"))
            }
            _ => Ok(()),
        }
    }

    fn cool_down(&self, key: &SessionKey) {
        let pause = match self.cooling.get(key) {
            Some(before) => (before.pause * 2).min(LONGEST_COOL_DOWN),
            None => COOL_DOWN,
        };
        self.cooling.insert(*key, Cooling { until: Instant::now() + pause, pause });
    }

    async fn load(&self, key: &SessionKey) -> Result<Option<Arc<Stored>>> {
        let Some(row) = self.sessions.tables().find_grant(key).await? else { return Ok(None) };
        let stored = Arc::new(Stored::new(self.open(&row)?, row.version)?);
        self.cache.insert(*key, stored.clone());
        Ok(Some(stored))
    }

    fn open(&self, row: &GrantRow) -> Result<Grant> {
        let plain = self.sealer.open_sealed(PURPOSE, &row.sealed).map_err(Error::internal)?;
        let plain: PlainGrant = serde_json::from_slice(&plain).map_err(Error::internal)?;
        Ok(plain.into())
    }

    fn seal(&self, grant: &Grant) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(&PlainGrant::from(grant)).map_err(Error::internal)?;
        self.sealer.seal(PURPOSE, &plain).map_err(Error::internal)
    }
}

impl Stored {
    fn new(grant: Grant, version: i64) -> Result<Self> {
        Ok(Self { bearer: bearer(&grant.access_token)?, grant, version })
    }

    fn needs(&self, reason: &Reason) -> bool {
        match reason {
            Reason::Ending => self.grant.is_ending(),
            Reason::Refused(used) => self.bearer == *used || self.grant.is_ending(),
        }
    }
}

impl Grant {
    fn can_renew(&self) -> bool {
        !matches!(self.renewal, Renewal::None)
    }

    fn is_ending(&self) -> bool {
        self.life.is_some_and(|life| life.is_ending())
    }

    fn has_ended(&self) -> bool {
        self.life.is_some_and(|life| life.ends_at <= now())
    }
}

/// `Bearer <token>`, marked so that it is never printed.
pub fn bearer(token: &SecretString) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
        .map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}

fn ended() -> Error {
    Error::new(
        Kind::Unauthenticated,
        "Your access has ended and cannot be renewed. Sign in again; nothing was lost.",
    )
}

fn not_now(cause: &str) -> Error {
    Error::unavailable(
        "The sign-in service does not answer, so your access could not be renewed. You are still \
         signed in; try again in a moment.",
    )
    .because(cause)
}

/// A grant's form before it is sealed.
#[derive(Serialize, Deserialize)]
struct PlainGrant {
    access_token: String,
    life: Option<Life>,
    refresh_token: Option<String>,
    #[serde(default)]
    machine: bool,
}

impl From<&Grant> for PlainGrant {
    fn from(grant: &Grant) -> Self {
        let expose = |secret: &SecretString| secret.expose_secret().to_owned();
        Self {
            access_token: expose(&grant.access_token),
            life: grant.life,
            refresh_token: match &grant.renewal {
                Renewal::RefreshToken(token) => Some(expose(token)),
                Renewal::ClientCredentials | Renewal::None => None,
            },
            machine: matches!(grant.renewal, Renewal::ClientCredentials),
        }
    }
}

impl From<PlainGrant> for Grant {
    fn from(plain: PlainGrant) -> Self {
        Self {
            access_token: plain.access_token.into(),
            life: plain.life,
            renewal: match plain.refresh_token {
                _ if plain.machine => Renewal::ClientCredentials,
                Some(token) => Renewal::RefreshToken(token.into()),
                None => Renewal::None,
            },
        }
    }
}
