//! The sandbox: a real backend inside the same binary, so that everything runs with no config.
//!
//! It listens on a loopback port of its own, keeps its own SQLite file and is reached over HTTP
//! like any other backend. Nothing outside this room knows its tables; what it lends are
//! addresses, two registered clients and the few pages that a browser must see.

mod assistant;
mod authorize;
mod chat;
mod collections;
mod drupal;
mod misc;
mod oauth;
mod pages;
mod people;
mod tokens;

use std::{
    future::ready,
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderMap, header},
    serve::ListenerExt,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use time::OffsetDateTime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::{collections::Collections, oauth::Provider, tokens::Tokens};
use crate::{config::ProviderEndpoints, store};

pub use self::people::{Person, demo_people};

/// The sandbox's database inside the data directory.
const DATABASE: &str = "sandbox.db";

/// Everything the sandbox stores apart from its collections. Times are Unix seconds; codes, tokens
/// and session ids are kept as fingerprints only.
const SCHEMA: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS passwords (user_name TEXT PRIMARY KEY, hash TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sign_ins (
        id TEXT PRIMARY KEY, subject TEXT NOT NULL, expires INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS consents (
        subject TEXT NOT NULL, client_id TEXT NOT NULL, scope TEXT NOT NULL,
        PRIMARY KEY (subject, client_id))",
    "CREATE TABLE IF NOT EXISTS codes (
        id TEXT PRIMARY KEY, grant_id TEXT NOT NULL, client_id TEXT NOT NULL,
        subject TEXT NOT NULL, scope TEXT NOT NULL, redirect_uri TEXT NOT NULL,
        challenge TEXT NOT NULL, nonce TEXT, expires INTEGER NOT NULL,
        uses INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS refresh_tokens (
        id TEXT PRIMARY KEY, grant_id TEXT NOT NULL, client_id TEXT NOT NULL,
        subject TEXT NOT NULL, scope TEXT NOT NULL, expires INTEGER NOT NULL,
        uses INTEGER NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS revoked (id TEXT PRIMARY KEY, expires INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS drupal_sessions (
        id TEXT PRIMARY KEY, seed TEXT NOT NULL, expires INTEGER NOT NULL)",
];

/// Removes what has expired, so that the file does not grow with every start.
const CLEAN_UP: &[&str] = &[
    "DELETE FROM sign_ins WHERE expires <= unixepoch()",
    "DELETE FROM codes WHERE expires <= unixepoch()",
    "DELETE FROM refresh_tokens WHERE expires <= unixepoch()",
    "DELETE FROM revoked WHERE expires <= unixepoch()",
    "DELETE FROM drupal_sessions WHERE expires <= unixepoch()",
];

/// How to start a [`Sandbox`].
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Breezeway's own address as browsers see it, without a path: `http://127.0.0.1:3000`.
    pub public_origin: String,
    /// Where `sandbox.db` lives; created when missing.
    pub data_dir: PathBuf,
    /// Where the web client may have people sent back to after sign-in; compared exactly.
    pub redirect_uris: Vec<String>,
    /// Where the web client may have people sent to after sign-out; compared exactly.
    pub post_logout_uris: Vec<String>,
    /// How long an access token works.
    pub access_token_life: Duration,
    /// The pause between two pieces of a streamed reply.
    pub pace: Duration,
}

impl SandboxOptions {
    /// For Breezeway itself at this public origin: its own addresses registered, tokens that last
    /// five minutes so that refreshing really happens, replies at a readable pace.
    pub fn new(public_origin: &str, data_dir: PathBuf) -> Self {
        let origin = public_origin.trim_end_matches('/');
        Self {
            redirect_uris: vec![format!("{origin}/auth/callback")],
            post_logout_uris: vec![format!("{origin}/"), format!("{origin}/?signed_out")],
            access_token_life: Duration::from_secs(5 * 60),
            pace: Duration::from_millis(30),
            public_origin: origin.to_owned(),
            data_dir,
        }
    }
}

/// Why the sandbox could not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox cannot use its directory, its port or the system's random numbers: {0}")]
    Io(#[from] io::Error),
    #[error("the sandbox cannot use its database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the sandbox's address is not a URL: {0}")]
    Address(#[from] url::ParseError),
    #[error(transparent)]
    Key(#[from] tokens::BadKey),
    #[error(transparent)]
    People(#[from] people::PasswordError),
}

/// A running sandbox. It stops when the token given to [`Sandbox::start`] is cancelled.
pub struct Sandbox {
    state: SandboxState,
    endpoints: ProviderEndpoints,
}

impl Sandbox {
    /// Opens the data, seeds it the first time, and serves on a free loopback port.
    pub async fn start(
        options: SandboxOptions,
        stop: CancellationToken,
    ) -> Result<Sandbox, SandboxError> {
        tokio::fs::create_dir_all(&options.data_dir).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let api = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        let pool = open_database(&options.data_dir.join(DATABASE)).await?;
        people::seed_passwords(&pool).await?;

        let provider = Provider::open(&pool, &options, api).await?;
        let endpoints = provider.endpoints()?;
        let key = setting(&pool, "signing_key").await?;
        let tokens = Tokens::open(pool.clone(), &provider.issuer, options.access_token_life, &key)?;
        let state = SandboxState {
            collections: Collections::open(pool.clone()).await?,
            drupal_key: setting(&pool, "drupal_private_key").await?.into(),
            provider: Arc::new(provider),
            tokens: Arc::new(tokens),
            pace: options.pace,
            busy: Arc::new(AtomicBool::new(true)),
            pool,
        };
        serve(listener, api_routes(state.clone()), stop);
        Ok(Sandbox { state, endpoints })
    }

    /// The loopback address of its API, ending in a slash.
    pub fn api_url(&self) -> &Url {
        &self.state.provider.api
    }

    /// Where its identity provider answers: some for browsers, the rest on loopback.
    pub fn endpoints(&self) -> ProviderEndpoints {
        self.endpoints.clone()
    }

    /// Id and secret of the registered web client.
    pub fn client(&self) -> (&str, &SecretString) {
        let client = &self.state.provider.web;
        (client.id, &client.secret)
    }

    /// Id and secret of the client that acts for itself, by `client_credentials`.
    pub fn machine_client(&self) -> (&str, &SecretString) {
        let client = &self.state.provider.machine;
        (client.id, &client.secret)
    }

    /// An access token of the client that acts for itself.
    pub fn machine_token(&self) -> Option<SecretString> {
        let client = self.state.provider.machine.id;
        let token = self.state.tokens.for_client(client, oauth::MACHINE_SCOPE).ok()?;
        Some(token.access_token.into())
    }

    /// What a browser must see; to be nested at `/sandbox` of the public address.
    pub fn browser_routes(&self) -> Router {
        authorize::routes().with_state(self.state.clone())
    }
}

/// What the sandbox's handlers share.
#[derive(Clone)]
pub(crate) struct SandboxState {
    pub pool: SqlitePool,
    pub collections: Collections,
    pub tokens: Arc<Tokens>,
    pub provider: Arc<Provider>,
    /// Part of what Drupal's CSRF tokens are made from.
    pub drupal_key: Arc<str>,
    /// The pause between two pieces of a streamed reply.
    pub pace: Duration,
    /// Whether the next `/busy` is refused; every other one is.
    pub busy: Arc<AtomicBool>,
}

impl FromRef<SandboxState> for Collections {
    fn from_ref(state: &SandboxState) -> Self {
        state.collections.clone()
    }
}

fn api_routes(state: SandboxState) -> Router {
    Router::new()
        .merge(oauth::routes())
        .merge(drupal::routes())
        .merge(chat::routes())
        .merge(misc::routes())
        .merge(collections::routes())
        .nest("/sandbox", authorize::routes())
        .fallback(misc::not_found)
        .with_state(state)
}

fn serve(listener: TcpListener, app: Router, stop: CancellationToken) {
    // Replies stream in pieces of a few bytes, which Nagle's algorithm would hold back.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "the sandbox could not set TCP_NODELAY");
        }
    });
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
    tokio::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the sandbox stopped serving");
        }
    });
}

async fn open_database(path: &Path) -> Result<SqlitePool, sqlx::Error> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(ready(Ok(store::is_clean(connection)))))
        .connect_with(options)
        .await?;
    for statement in SCHEMA.iter().chain(CLEAN_UP) {
        sqlx::query(*statement).execute(&pool).await?;
    }
    Ok(pool)
}

/// A secret of this data directory: random when first asked for, the same ever after.
async fn setting(pool: &SqlitePool, name: &str) -> Result<String, SandboxError> {
    sqlx::query("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(random_token()?)
        .execute(pool)
        .await?;
    let value = sqlx::query_scalar("SELECT value FROM settings WHERE name = ?")
        .bind(name)
        .fetch_one(pool)
        .await?;
    Ok(value)
}

/// 32 random bytes in base64url: 43 characters that nobody can guess.
fn random_token() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored in place of a secret that only has to be recognised.
fn fingerprint(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}

/// The current time in Unix seconds.
fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// The value of a request cookie.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fresh sandbox database that lives as long as its directory.
    pub(super) async fn database() -> (tempfile::TempDir, SqlitePool) {
        let directory = tempfile::tempdir().unwrap();
        let pool = open_database(&directory.path().join(DATABASE)).await.unwrap();
        (directory, pool)
    }

    #[tokio::test]
    async fn a_setting_is_made_once() {
        let (_directory, pool) = database().await;
        let first = setting(&pool, "client_secret").await.unwrap();
        assert_eq!(first.len(), 43);
        assert_eq!(setting(&pool, "client_secret").await.unwrap(), first);
        assert_ne!(setting(&pool, "signing_key").await.unwrap(), first);
    }

    #[test]
    fn cookies_are_found_by_their_exact_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=1; sandbox=two=2".parse().unwrap());
        headers.append(header::COOKIE, "b=3".parse().unwrap());
        assert_eq!(cookie(&headers, "a"), Some("1"));
        assert_eq!(cookie(&headers, "sandbox"), Some("two=2"));
        assert_eq!(cookie(&headers, "b"), Some("3"));
        assert_eq!(cookie(&headers, "sand"), None);
    }
}
