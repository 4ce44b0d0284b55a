//! One process at a time on a data directory, and on a database.
//!
//! A server that starts takes runs that are marked as running for what a crash left behind. That is
//! true only if no other process still writes them, as one does for a while after it was told to
//! stop.

use std::{
    fs::{self, File, TryLockError},
    os::unix::fs::DirBuilderExt,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use sqlx::AnyConnection;

use super::{Engine, OpenError, engine::Address};
use crate::config::ServerConfig;

const FILE: &str = "lock";
/// How long another process may take to stop: longer than it drains.
const PATIENCE: Duration = Duration::from_secs(15);
const GLANCE: Duration = Duration::from_millis(50);

/// The data directory is this process's, for as long as the value lives and no longer than the
/// process does.
#[derive(Debug)]
#[must_use]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the directory, creating it when missing, and waits for a process that is stopping.
    pub fn take(data_dir: &Path) -> Result<Self, OpenError> {
        Self::take_within(data_dir, PATIENCE)
    }

    fn take_within(data_dir: &Path, patience: Duration) -> Result<Self, OpenError> {
        let path = || data_dir.display().to_string();
        let unusable = |cause| OpenError::DataDir { path: path(), cause };
        // Conversations and keys are nobody else's on this machine.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(unusable)?;
        let file = File::create(data_dir.join(FILE)).map_err(unusable)?;
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            tracing::info!("waiting for another Breezeway to let go of the data directory");
        }
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                    return Err(OpenError::InUse { path: path() });
                }
                Err(TryLockError::WouldBlock) => sleep(GLANCE),
            }
        }
    }
}

/// The database is this process's, for as long as the value lives and its connection does.
#[derive(Debug)]
#[must_use]
pub struct DatabaseLock {
    _connection: Option<AnyConnection>,
}

impl DatabaseLock {
    /// Takes the configured database, and waits for a process that is stopping. SQLite's file is
    /// left to the lock on its directory.
    pub async fn take(config: &ServerConfig) -> Result<Self, OpenError> {
        Self::take_within(config, PATIENCE).await
    }

    async fn take_within(config: &ServerConfig, patience: Duration) -> Result<Self, OpenError> {
        let address = Address::of(config)?;
        if address.engine() == Engine::Sqlite {
            return Ok(Self { _connection: None });
        }
        let failed = |cause| address.not_opened(cause);
        let mut connection = address.connect().await.map_err(failed)?;
        let began = Instant::now();
        let mut is_free = try_lock(&mut connection).await.map_err(failed)?;
        if !is_free {
            tracing::info!("waiting for another Breezeway to let go of the database");
        }
        while !is_free {
            if began.elapsed() >= patience {
                return Err(OpenError::DatabaseInUse { name: address.name() });
            }
            tokio::time::sleep(GLANCE).await;
            is_free = try_lock(&mut connection).await.map_err(failed)?;
        }
        Ok(Self { _connection: Some(connection) })
    }
}

async fn try_lock(connection: &mut AnyConnection) -> sqlx::Result<bool> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock(2, COALESCE(hashtext(current_schema()), 0))")
        .fetch_one(connection)
        .await
}

#[cfg(test)]
mod tests {
    use super::{
        super::{config_for_tests, testing},
        *,
    };

    #[tokio::test]
    async fn a_second_process_on_a_database_gives_up_too() {
        let folder = tempfile::tempdir().unwrap();
        let Some(url) = testing::postgres(folder.path()).await else { return };
        let config = config_for_tests(folder.path(), Some(&url));
        let first = DatabaseLock::take(&config).await.unwrap();
        let refused = DatabaseLock::take_within(&config, Duration::ZERO).await.unwrap_err();
        assert!(refused.to_string().contains("in use by another Breezeway"), "{refused}");
        drop(first);
        assert!(DatabaseLock::take(&config).await.is_ok());
    }

    #[test]
    fn a_second_process_waits_and_then_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = folder.path().join("data");
        let first = DataDirLock::take(&data_dir).unwrap();
        let refused = DataDirLock::take_within(&data_dir, Duration::ZERO).unwrap_err();
        assert!(refused.to_string().contains("in use by another Breezeway"), "{refused}");

        let second = std::thread::spawn(move || DataDirLock::take(&data_dir));
        drop(first);
        assert!(second.join().unwrap().is_ok());
    }
}
