//! Keeps the signer's memory out of the swap space.

use std::io;

use rustix::mm::{MlockAllFlags, mlockall, munlockall};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Memory that must remain available below the limit, in bytes. Once the memory is locked, an
/// allocation beyond the limit fails and ends the process.
const HEADROOM_BYTES: usize = 32 << 20;

/// Locks the memory of this process, now and in future. Only pages that are used take up memory, but
/// the limit counts all.
///
/// # Errors
/// The limit of locked memory is too low. The process continues without the lock.
pub(super) fn lock_memory() -> io::Result<()> {
    let limit = getrlimit(Resource::Memlock);
    // A service manager may forbid the call; then the lower limit applies.
    setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, ..limit }).ok();
    mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT)?;
    let mut headroom = Vec::<u8>::new();
    if headroom.try_reserve_exact(HEADROOM_BYTES).is_err() {
        munlockall()?;
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    Ok(())
}
