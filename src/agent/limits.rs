//! What a module may take of the host besides time.
//!
//! The time limit is kept by the platform, which may be killed itself; the same limit on
//! the processor's time is kept by the system, so that a module cannot run on for ever
//! with nobody there to end it. A core would hold what was read from the host's files.

use std::io;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// The most memory of a module, by its addresses: patterns, results and libraries.
pub(super) const MEMORY_BYTES_MAX: u64 = 2 << 30;

/// Limits the process `pid`, and what it starts from now on, to `span` of the processor's
/// time and to [`MEMORY_BYTES_MAX`].
pub(super) fn set(pid: Pid, span: Duration) -> io::Result<()> {
    // The system counts whole seconds; one more, so that ours is the limit that is met.
    let seconds = span.as_secs().saturating_add(1);
    let limits = [(Resource::As, MEMORY_BYTES_MAX), (Resource::Core, 0), (Resource::Cpu, seconds)];
    for (resource, most) in limits {
        // What is limited further already stays so.
        let most = getrlimit(resource).maximum.map_or(most, |max| max.min(most));
        prlimit(Some(pid), resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}
