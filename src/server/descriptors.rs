//! Room for connections. Each is a file descriptor, and a stream from a backend is two.

use std::io;

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

/// For how many descriptors the kernel's table is made at once.
const TABLE: u64 = 16 << 10;

/// Takes as many descriptors as the system allows, to be called before there are threads.
///
/// The limit that shells and service managers set is a soft one of 1,024 in most places, for the sake
/// of programs that use `select`; five hundred streams are more. And a table that grows while threads
/// share it stops them for some ten milliseconds each time it doubles, so it is large from the start.
pub fn make_room() {
    if let Err(cause) = raise_limit().and_then(grow_table) {
        tracing::warn!(%cause, "the number of connections stays limited");
    }
}

fn raise_limit() -> Result<u64, Errno> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    Ok(maximum.unwrap_or(u64::MAX))
}

/// The table grows to hold the highest descriptor there ever was.
fn grow_table(limit: u64) -> Result<(), Errno> {
    let highest = i32::try_from(limit.min(TABLE) - 1).unwrap_or(i32::MAX);
    fcntl_dupfd_cloexec(io::stderr(), highest).map(drop)
}
