//! SQLite and PostgreSQL: where they are, and in what they differ.

use std::{path, str::FromStr, sync::Once};

use secrecy::ExposeSecret;
use sqlx::{
    AnyConnection, ConnectOptions, Connection, Transaction, migrate::Migrator,
    sqlite::SqliteConnectOptions,
};
use url::Url;

use super::{Db, OpenError};
use crate::config::ServerConfig;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// Which database it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// Where the database is. May hold a password, and is shown by [`Address::name`] alone.
pub struct Address {
    engine: Engine,
    url: Url,
    name: String,
}

impl Engine {
    /// What brings its tables up to date.
    pub(super) fn migrations(self) -> &'static Migrator {
        match self {
            Self::Sqlite => &SQLITE,
            Self::Postgres => &POSTGRES,
        }
    }

    /// Whether a connection may be found closed: one to a file is not.
    pub(super) fn may_hang_up(self) -> bool {
        self == Self::Postgres
    }

    /// Sets up a new connection. What a connection that has died unseen holds in PostgreSQL, others
    /// do not wait for longer than for another writer of SQLite, and the server not for ever.
    pub(super) async fn prepare(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        let settings = match self {
            Self::Sqlite => "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
            Self::Postgres => {
                "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '30s';
                 SET tcp_keepalives_idle = 60"
            }
        };
        sqlx::raw_sql(settings).execute(connection).await.map(drop)
    }

    /// SQLite takes its write lock at once, and waits for another writer instead of failing at its
    /// first write.
    pub(super) fn begin_writing(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN ISOLATION LEVEL READ COMMITTED",
        }
    }

    /// Makes PostgreSQL's other writers wait until this transaction ends, as SQLite's do.
    pub(super) async fn keep_others_off(
        self,
        tx: &mut Transaction<'static, Db>,
    ) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock(1, COALESCE(hashtext(current_schema()), 0))")
                .execute(&mut **tx)
                .await?;
        }
        Ok(())
    }

    /// Reads as of one moment, which is what any transaction of SQLite does.
    pub(super) fn begin_reading(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN",
            Self::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        }
    }
}

impl Address {
    /// The configured one; without any, a file in the data directory.
    pub fn of(config: &ServerConfig) -> Result<Self, OpenError> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        match config.database_url.as_ref().map(ExposeSecret::expose_secret) {
            None => Self::file(&SqliteConnectOptions::new().filename(config.data_dir.join(FILE))),
            Some(url) if url.starts_with("sqlite:") => {
                Self::file(&SqliteConnectOptions::from_str(url).map_err(|_| OpenError::Url)?)
            }
            Some(url) => {
                let url = Url::parse(url).map_err(|_| OpenError::Url)?;
                let host = url.host_str().unwrap_or_default();
                let name = format!("{} at {host}", url.path().trim_start_matches('/'));
                Ok(Self { engine: Engine::Postgres, url, name })
            }
        }
    }

    fn file(options: &SqliteConnectOptions) -> Result<Self, OpenError> {
        // As a URL it must not be relative, go back, or hold what reads as an encoded letter.
        let path = path::absolute(options.get_filename()).map_err(|_| OpenError::Url)?;
        let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
        let path = match (folder, path.file_name()) {
            (Some(folder), Some(file)) => folder.join(file),
            _ => path,
        };
        let path = path.to_str().ok_or(OpenError::Url)?.replace('%', "%25");
        let name = options.get_filename().display().to_string();
        let options = options.clone().filename(path).create_if_missing(true);
        Ok(Self { engine: Engine::Sqlite, url: options.to_url_lossy(), name })
    }

    /// Which database is there.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// As drivers want it, passwords included.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A connection that is ready to be used.
    pub(super) async fn connect(&self) -> sqlx::Result<AnyConnection> {
        let mut connection = AnyConnection::connect(self.url()).await?;
        self.engine.prepare(&mut connection).await?;
        Ok(connection)
    }

    /// Why there is no connection to it.
    pub(super) fn not_opened(&self, cause: sqlx::Error) -> OpenError {
        OpenError::Open { name: self.name(), cause }
    }

    /// As it may be shown.
    pub fn name(&self) -> String {
        self.name.clone()
    }
}

const FILE: &str = "breezeway.db";
