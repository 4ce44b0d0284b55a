//! The database behind one type.
//!
//! Rooms keep their SQL in a `store.rs` of their own and get the pool from here. Statements use
//! `$1`-style parameters and no dialect, so one set of queries serves SQLite and PostgreSQL.

mod lease;
mod lock;

use std::{
    str::FromStr,
    time::{Duration, SystemTime},
};

use sqlx::{
    Connection, SqliteConnection, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

pub use self::{lease::Lease, lock::DataDirLock};

use crate::config::ServerConfig;

/// The database driver of this build.
pub type Db = sqlx::Sqlite;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "The data directory {path} cannot be created or written: {cause}. Choose another with \
         [server] data_dir, or make it writable."
    )]
    DataDir { path: String, cause: std::io::Error },
    #[error(
        "The data directory {path} is in use by another Breezeway. Stop that one, or choose \
         another directory with [server] data_dir."
    )]
    InUse { path: String },
    #[error("`database_url` is not a SQLite URL; write sqlite:path/to/file.db")]
    Url,
    #[error(
        "The database {name} cannot be opened: {cause}. Check that it is writable and one of \
         Breezeway's."
    )]
    Open { name: String, cause: sqlx::Error },
    #[error("The database {name} could not be brought up to date: {cause}. Nothing was lost.")]
    Migrate { name: String, cause: MigrateError },
}

/// An open database, migrated to this version. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Opens the configured database, creating the file when missing. The data directory is there:
    /// who opens the store of a real site holds its [`DataDirLock`].
    pub async fn open(config: &ServerConfig) -> Result<Self, OpenError> {
        let options = connect_options(config)?;
        let name = options.get_filename().display().to_string();
        let pool = SqlitePoolOptions::new()
            .max_connections(8)
            .acquire_timeout(Duration::from_secs(10))
            .before_acquire(|connection, _| Box::pin(async { Ok(is_clean(connection)) }))
            .connect_with(options)
            .await
            .map_err(|cause| OpenError::Open { name: name.clone(), cause })?;
        MIGRATIONS.run(&pool).await.map_err(|cause| OpenError::Migrate { name, cause })?;
        Ok(Self { pool })
    }

    /// The pool, for statements outside a transaction.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins a transaction that will write. It takes SQLite's write lock at once, so that it
    /// waits for another writer instead of failing at its first write.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Db>> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// A database in `folder`.
    #[cfg(test)]
    pub async fn for_tests(folder: &std::path::Path) -> Self {
        Self::up_to(folder, i64::MAX).await
    }

    /// A database in `folder`, as far as the migration with this number brings it.
    #[cfg(test)]
    pub async fn up_to(folder: &std::path::Path, last: i64) -> Self {
        let text = format!("[server]\ndata_dir = \"{}\"\n", folder.display());
        let config =
            crate::config::Config::from_text(folder, &text, &std::collections::BTreeMap::new());
        let options = connect_options(&config.unwrap().server).unwrap();
        let pool = SqlitePool::connect_with(options).await.unwrap();
        let mut migrations = MIGRATIONS.migrations.to_vec();
        migrations.retain(|migration| migration.version <= last);
        Migrator { migrations: migrations.into(), ..Migrator::DEFAULT }.run(&pool).await.unwrap();
        Self { pool }
    }

    /// Writes everything out and closes.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a connection that was given back is in no transaction.
///
/// When a disk is full SQLite ends the transaction by itself, and the driver, told that there is none
/// to roll back, counts one for ever. The next one on that connection is then part of what is never
/// committed, and reads a state that never changes.
pub fn is_clean(connection: &SqliteConnection) -> bool {
    !connection.is_in_transaction()
}

/// Milliseconds since 1970, as every table keeps time.
pub fn now() -> i64 {
    millis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// A span as every table keeps it: in milliseconds.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn connect_options(config: &ServerConfig) -> Result<SqliteConnectOptions, OpenError> {
    use secrecy::ExposeSecret;
    let options = match &config.database_url {
        Some(url) => {
            SqliteConnectOptions::from_str(url.expose_secret()).map_err(|_| OpenError::Url)?
        }
        None => SqliteConnectOptions::new().filename(config.data_dir.join("breezeway.db")),
    };
    Ok(options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .busy_timeout(Duration::from_secs(5))
        .foreign_keys(true))
}
