//! One process at a time on a data directory.
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

use super::OpenError;

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

#[cfg(test)]
mod tests {
    use super::*;

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
