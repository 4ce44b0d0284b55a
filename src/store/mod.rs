//! The database behind one type.
//!
//! Rooms keep their SQL in a `store.rs` of their own and get the pool from here. Statements use
//! `$1`-style parameters and no dialect, so one set of queries serves SQLite and PostgreSQL. What the
//! two have not in common is [`Engine`]'s to know.

mod engine;
mod flag;
mod lease;
mod lock;
mod memo;

use std::{
    future::ready,
    io,
    time::{Duration, SystemTime},
};

use sqlx::{
    AnyPool, Connection, Transaction,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::MigrateError,
};
use uuid::Uuid;

pub use self::{
    engine::Engine,
    flag::Flag,
    lease::Lease,
    lock::{DataDirLock, DatabaseLock},
    memo::Memo,
};

use self::engine::Address;
use crate::config::ServerConfig;

/// How many connections there are at most.
const CONNECTIONS: u32 = 8;

/// The driver that speaks to either database.
pub type Db = sqlx::Any;

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
    #[error(
        "The database {name} is in use by another Breezeway. Stop that one, or choose another \
         database with [server] database_url."
    )]
    DatabaseInUse { name: String },
    #[error(
        "`database_url` is not the address of a database; write sqlite:path/to/file.db or \
         postgres://user:password@host/database"
    )]
    Url,
    #[error(
        "The database {name} cannot be opened: {cause}. Check that it is there, writable and one of \
         Breezeway's."
    )]
    Open { name: String, cause: sqlx::Error },
    #[error("The database {name} could not be brought up to date: {cause}. Nothing was lost.")]
    Migrate { name: String, cause: MigrateError },
}

/// An open database, migrated to this version. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    engine: Engine,
}

impl Store {
    /// Opens the configured database, creating SQLite's file when missing. The data directory is
    /// there: who opens the store of a real site holds its [`DataDirLock`], and the [`DatabaseLock`].
    pub async fn open(config: &ServerConfig) -> Result<Self, OpenError> {
        let address = Address::of(config)?;
        let store = Self::connect(&address).await.map_err(|cause| address.not_opened(cause))?;
        match address.engine().migrations().run(&store.pool).await {
            Ok(()) => Ok(store),
            Err(cause) => Err(OpenError::Migrate { name: address.name(), cause }),
        }
    }

    async fn connect(address: &Address) -> sqlx::Result<Self> {
        let engine = address.engine();
        // A pool would try for ten seconds, and then say no more than that.
        address.connect().await?.close().await?;
        let options: AnyConnectOptions = address.url().parse()?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            // A socket lives with the runtime that opens it: opened later, it would be that of a
            // thread which serves requests, and end before the runs do.
            .min_connections(if engine.may_hang_up() { CONNECTIONS } else { 0 })
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(engine.may_hang_up())
            .after_connect(move |connection, _| Box::pin(engine.prepare(connection)))
            .before_acquire(|connection, _| Box::pin(ready(Ok(is_clean(connection)))))
            .connect_with(options)
            .await?;
        Ok(Self { pool, engine })
    }

    /// The pool, for statements outside a transaction.
    pub fn pool(&self) -> &AnyPool {
        &self.pool
    }

    /// Which database it is, for the few statements that the two have not in common.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Begins a transaction that will write, and is the only one that does until it ends: what it
    /// has read stays true.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Db>> {
        let Self { pool, engine } = self.clone();
        unhurried(async move {
            let mut tx = pool.begin_with(engine.begin_writing()).await?;
            engine.keep_others_off(&mut tx).await?;
            Ok(tx)
        })
        .await
    }

    /// Begins a transaction that reads, all of it as of one moment.
    pub async fn snapshot(&self) -> sqlx::Result<Transaction<'static, Db>> {
        let Self { pool, engine } = self.clone();
        unhurried(async move { pool.begin_with(engine.begin_reading()).await }).await
    }

    /// A database of a test's own, in `folder` or named after it.
    #[cfg(test)]
    pub async fn for_tests(folder: &std::path::Path) -> Self {
        let config = config_for_tests(folder, testing::postgres(folder).await.as_deref());
        Self::open(&config).await.unwrap()
    }

    /// A SQLite database in `folder`, as far as the migration with this number brings it.
    #[cfg(test)]
    pub async fn up_to(folder: &std::path::Path, last: i64) -> Self {
        use sqlx::migrate::Migrator;
        let address = Address::of(&config_for_tests(folder, None)).unwrap();
        let store = Self::connect(&address).await.unwrap();
        let mut migrations = address.engine().migrations().migrations.to_vec();
        migrations.retain(|migration| migration.version <= last);
        let some = Migrator { migrations: migrations.into(), ..Migrator::DEFAULT };
        some.run(&store.pool).await.unwrap();
        store
    }

    /// Writes everything out and closes.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Begins a transaction whether or not the one who asked still waits for it. PostgreSQL's driver
/// would give a connection back without knowing that it is in one (sqlx #4393).
async fn unhurried(
    begin: impl Future<Output = sqlx::Result<Transaction<'static, Db>>> + Send + 'static,
) -> sqlx::Result<Transaction<'static, Db>> {
    match tokio::spawn(begin).await {
        Ok(begun) => begun,
        Err(cause) => Err(sqlx::Error::Io(io::Error::other(cause))),
    }
}

#[cfg(test)]
fn config_for_tests(folder: &std::path::Path, database_url: Option<&str>) -> ServerConfig {
    let mut text = format!("[server]\ndata_dir = \"{}\"\n", folder.display());
    if let Some(url) = database_url {
        text += &format!("database_url = \"{url}\"\n");
    }
    let config =
        crate::config::Config::from_text(folder, &text, &std::collections::BTreeMap::new());
    config.unwrap().server
}

/// Whether a connection that was given back is in no transaction.
///
/// When a disk is full SQLite ends the transaction by itself, and the driver, told that there is none
/// to roll back, counts one for ever. The next one on that connection is then part of what is never
/// committed, and reads a state that never changes.
pub fn is_clean(connection: &impl Connection) -> bool {
    !connection.is_in_transaction()
}

/// An id that nothing else has; newer ones sort behind older ones.
pub fn new_id() -> String {
    Uuid::now_v7().simple().to_string()
}

/// Milliseconds since 1970, as every table keeps time.
pub fn now() -> i64 {
    millis(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// A span as every table keeps it: in milliseconds.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// Makes a place for a test's tables, wherever the tests are told that PostgreSQL is.
#[cfg(test)]
#[path = "../../tests/http/postgres.rs"]
mod testing;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_wait_for_a_transaction_leaves_none_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::for_tests(folder.path()).await;
        for pause in 0..400 {
            let wait = Duration::from_micros(5 * pause);
            let _ = tokio::time::timeout(wait, store.snapshot()).await.map(drop);
        }
        let mut all = Vec::new();
        for _ in 0..CONNECTIONS {
            all.push(store.pool().acquire().await.unwrap());
        }
        for connection in &mut all {
            let mut tx = connection.begin_with(store.engine().begin_writing()).await.unwrap();
            sqlx::query("DELETE FROM leases").execute(&mut *tx).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    #[tokio::test]
    async fn any_path_is_a_place_for_a_database() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a%41", "b%2Fc", "d e?f#g", "h/../i"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            Store::open(&config_for_tests(&path, None)).await.unwrap().close().await;
            assert!(path.join("breezeway.db").exists(), "{name}");
        }
    }
}
