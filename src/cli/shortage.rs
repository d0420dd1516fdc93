//! Temporary shortages: failures caused by a lack of disk space, memory, file descriptors or locks.
//!
//! They must never end with an exit status that means "the operator has to change something",
//! because the service manager does not restart the program after such a status.

use std::error::Error;
use std::io;

use rustix::io::Errno;

#[cfg(feature = "data")]
use crate::data::{self, Shortage};
use crate::exit::Exit;
use crate::pgp;

/// Returns the exit status for the first cause of `error` that is a temporary shortage.
pub(super) fn exit(error: &(dyn Error + 'static)) -> Option<Exit> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let number = match cause.downcast_ref::<io::Error>() {
            Some(error) => error.raw_os_error(),
            None => pgp::system_error(cause),
        };
        if let Some(exit) = number.and_then(|number| exit_of(Errno::from_raw_os_error(number))) {
            return Some(exit);
        }
        #[cfg(feature = "data")]
        if let Some(shortage) = data::shortage(cause) {
            return Some(match shortage {
                Shortage::Disk => Exit::Io,
                Shortage::Memory => Exit::System,
                Shortage::Busy => Exit::Locked,
            });
        }
        next = cause.source();
    }
    None
}

fn exit_of(errno: Errno) -> Option<Exit> {
    match errno {
        Errno::NOSPC | Errno::DQUOT | Errno::IO | Errno::STALE => Some(Exit::Io),
        Errno::NOMEM
        | Errno::MFILE
        | Errno::NFILE
        | Errno::AGAIN
        | Errno::INTR
        | Errno::NOBUFS
        | Errno::NOLCK => Some(Exit::System),
        _ => None,
    }
}
