//! SQLite and PostgreSQL: where they are, and in what they differ.

use std::{path, str::FromStr, sync::Once};

use secrecy::ExposeSecret;
use sqlx::{
    AnyConnection, ConnectOptions, Transaction, migrate::Migrator, sqlite::SqliteConnectOptions,
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

    /// Sets up a new connection.
    pub(super) async fn prepare(self, connection: &mut AnyConnection) -> sqlx::Result<()> {
        if self == Self::Sqlite {
            sqlx::raw_sql("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
                .execute(connection)
                .await?;
        }
        Ok(())
    }

    /// SQLite takes its write lock at once, and waits for another writer instead of failing at its
    /// first write.
    pub(super) fn begin_writing(self) -> &'static str {
        match self {
            Self::Sqlite => "BEGIN IMMEDIATE",
            Self::Postgres => "BEGIN",
        }
    }

    /// The same for PostgreSQL, whose transactions would let each other by: until this one ends.
    pub(super) async fn keep_others_off(
        self,
        tx: &mut Transaction<'static, Db>,
    ) -> sqlx::Result<()> {
        if self == Self::Postgres {
            sqlx::query("SELECT pg_advisory_xact_lock(1, hashtext(current_schema()))")
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
        // Relative, its first folder would be read as a host.
        let path = path::absolute(options.get_filename()).map_err(|_| OpenError::Url)?;
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

    /// As it may be shown.
    pub fn name(&self) -> String {
        self.name.clone()
    }
}

const FILE: &str = "breezeway.db";
