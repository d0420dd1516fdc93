//! Errors of the system that may pass: it lacks space, memory, descriptors, processes or the like,
//! and may have them again later.

use std::io;

use rustix::io::Errno;

/// The errors that may pass, whatever was being done.
pub(crate) const SHORTAGES: [Errno; 10] = [
    Errno::NOSPC,
    Errno::DQUOT,
    Errno::NOMEM,
    Errno::MFILE,
    Errno::NFILE,
    Errno::AGAIN,
    Errno::IO,
    Errno::INTR,
    Errno::NOBUFS,
    Errno::NOLCK,
];

/// Returns whether an error of the system may be gone later.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    SHORTAGES.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_the_system_itself_may_get_over_pass() {
        assert!(SHORTAGES.iter().all(|errno| is_passing(&io::Error::from(*errno))));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ROFS, Errno::NAMETOOLONG, Errno::LOOP] {
            assert!(!is_passing(&io::Error::from(errno)), "{errno}");
        }
        assert!(!is_passing(&io::Error::other("x")));
    }
}
