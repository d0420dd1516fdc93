//! Distinguishes a temporary shortage of the host from a permanent fault.
//!
//! This is the one place that decides whether an operation failed because the host lacks space,
//! memory, descriptors, processes or the like. Callers repeat such an operation, because its
//! failure says nothing about the request itself.

#[cfg(feature = "platform")]
use std::error::Error;
use std::io;

use rustix::io::Errno;

/// What the host, or a database in a file of the host, lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// The disk is full or fails.
    Disk,
    /// There is too little memory, or there are too few descriptors, processes or locks.
    System,
    /// Another process has locked the file.
    #[cfg(feature = "data")]
    Busy,
}

/// Errors of the system that can be temporary, whatever the operation.
const TRANSIENT_ERRORS: [(Errno, Shortage); 10] = [
    (Errno::NOSPC, Shortage::Disk),
    (Errno::DQUOT, Shortage::Disk),
    (Errno::IO, Shortage::Disk),
    (Errno::NOMEM, Shortage::System),
    (Errno::MFILE, Shortage::System),
    (Errno::NFILE, Shortage::System),
    (Errno::AGAIN, Shortage::System),
    (Errno::INTR, Shortage::System),
    (Errno::NOBUFS, Shortage::System),
    (Errno::NOLCK, Shortage::System),
];

/// Errors that can be temporary when a program is started or a file is replaced.
#[cfg(feature = "platform")]
const BUSY: [Errno; 2] = [
    Errno::BUSY,
    // A package manager is writing the program.
    Errno::TXTBSY,
];

/// Returns the system's error numbers for shortages.
pub(crate) fn errnos() -> impl Iterator<Item = Errno> {
    TRANSIENT_ERRORS.into_iter().map(|(errno, _)| errno)
}

/// Returns what the host lacks according to an error number of the system.
pub(crate) fn of(errno: Errno) -> Option<Shortage> {
    TRANSIENT_ERRORS.iter().find(|(known, _)| *known == errno).map(|(_, shortage)| *shortage)
}

/// Returns whether an error of the system can be temporary.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    Errno::from_io_error(error).and_then(of).is_some()
}

/// Returns whether an error or one of its causes can be temporary, when a program is started or a
/// file is read.
#[cfg(feature = "platform")]
pub(crate) fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let is_busy = |error| Errno::from_io_error(error).is_some_and(|errno| BUSY.contains(&errno));
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| is_transient(error) || is_busy(error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortages_are_transient() {
        assert!(errnos().all(|errno| is_transient(&io::Error::from(errno))));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ROFS, Errno::NAMETOOLONG, Errno::LOOP] {
            assert!(!is_transient(&io::Error::from(errno)), "{errno}");
        }
        assert!(!is_transient(&io::Error::other("x")));
    }

    #[test]
    #[cfg(feature = "platform")]
    fn shortage_is_found_among_the_causes() {
        use std::path::Path;

        use crate::disk::Context;
        for errno in
            [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::NOSPC, Errno::TXTBSY]
        {
            let error = io::Error::from(errno);
            assert!(is_shortage(&error), "{errno}");
            let error = Err::<(), _>(error).context("read", Path::new("/x")).unwrap_err();
            assert!(is_shortage(&error), "{error:?}");
        }
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::NOEXEC] {
            assert!(!is_shortage(&io::Error::from(errno)), "{errno}");
        }
    }
}
