//! Distinguishes a temporary shortage of the host from a permanent fault.
//!
//! A check that failed for lack of descriptors, processes, memory or space is not a verdict: it is
//! tried again.

use std::error::Error;
use std::io;

use rustix::io::Errno;

use crate::disk::transient::is_transient;

/// Errors that may pass where a program is started or a file is replaced.
const BUSY: [Errno; 2] = [
    Errno::BUSY,
    // A program that a package manager is writing.
    Errno::TXTBSY,
];

/// Returns whether an error or one of its causes is a shortage.
pub(crate) fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| is_transient(error) || is_busy(error))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn is_busy(error: &io::Error) -> bool {
    BUSY.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::Context;

    #[test]
    fn a_shortage_is_found_among_the_causes() {
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
