//! Temporary shortages: failures caused by a lack of disk space, memory, file descriptors or locks.
//!
//! They must never end with an exit status that means "the operator has to change something",
//! because the service manager does not restart the program after such a status.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::chain::causes;
#[cfg(feature = "data")]
use crate::data;
use crate::disk::transient::{self, Shortage};
use crate::exit::Exit;
use crate::pgp;

/// Returns the exit status for the first cause of `error` that is a temporary shortage.
pub(super) fn exit(error: &(dyn Error + 'static)) -> Option<Exit> {
    causes(error).find_map(of).map(|shortage| match shortage {
        Shortage::Disk => Exit::Io,
        Shortage::System => Exit::System,
        #[cfg(feature = "data")]
        Shortage::Busy => Exit::Locked,
    })
}

/// Returns the shortage that `cause` itself reports, if any.
fn of(cause: &(dyn Error + 'static)) -> Option<Shortage> {
    let number = match cause.downcast_ref::<io::Error>() {
        Some(error) => error.raw_os_error(),
        None => pgp::system_error(cause),
    };
    let shortage = number.map(Errno::from_raw_os_error).and_then(|errno| match errno {
        // A file on a network file system that was unavailable; a restart opens the files again.
        Errno::STALE => Some(Shortage::Disk),
        errno => transient::of(errno),
    });
    #[cfg(feature = "data")]
    let shortage = shortage.or_else(|| data::shortage(cause));
    shortage
}
