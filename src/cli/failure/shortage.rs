//! What the system lacks for the moment: a failure with such a cause is never reported as one that
//! a person has to mend, because the service manager does not start the program again then.

use std::error::Error;
use std::io;

use rustix::io::Errno;

#[cfg(feature = "data")]
use crate::data::{self, Shortage};
use crate::exit::Exit;
use crate::pgp;

/// Returns how a program ends that failed because of what the system lacks; nothing if no cause of
/// `error` is of that kind.
pub(super) fn exit(error: &(dyn Error + 'static)) -> Option<Exit> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let number = match cause.downcast_ref::<io::Error>() {
            Some(error) => error.raw_os_error(),
            None => pgp::system_error(cause),
        };
        if let Some(exit) = number.and_then(|number| of(Errno::from_raw_os_error(number))) {
            return Some(exit);
        }
        #[cfg(feature = "data")]
        if let Some(lacks) = data::shortage(cause) {
            return Some(match lacks {
                Shortage::Disk => Exit::Io,
                Shortage::Memory => Exit::System,
                Shortage::Busy => Exit::Locked,
            });
        }
        next = cause.source();
    }
    None
}

/// Returns how a program ends for an error of the system that may pass.
fn of(errno: Errno) -> Option<Exit> {
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
