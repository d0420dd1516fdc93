//! Tells a host that lacks something for a moment from a fault that stays.
//!
//! What could not be judged for want of descriptors, processes, memory or space is no verdict: it is
//! tried again.

use std::error::Error;
use std::io;

use rustix::io::Errno;

/// What the system says when it lacks something that it may have again later.
const SHORTAGES: [Errno; 11] = [
    Errno::MFILE,
    Errno::NFILE,
    Errno::AGAIN,
    Errno::NOMEM,
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::NOBUFS,
    Errno::IO,
    Errno::INTR,
    Errno::BUSY,
    // A program that a package manager is writing.
    Errno::TXTBSY,
];

/// Returns whether an error or one of its causes is a shortage.
pub(super) fn is_shortage(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let code = error.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        if code.is_some_and(|code| SHORTAGES.iter().any(|errno| errno.raw_os_error() == code)) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::Context;

    #[test]
    fn a_shortage_is_found_among_the_causes() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::AGAIN, Errno::NOMEM, Errno::NOSPC] {
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
