//! Transient system errors: a lack of space, memory, descriptors, processes or the like, which may
//! end without any change by the operator.

use std::io;

use rustix::io::Errno;

/// Errors that are transient whatever the operation was.
pub(crate) const TRANSIENT_ERRORS: [Errno; 10] = [
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

/// Returns whether a retry after this system error may succeed.
pub(crate) fn is_transient(error: &io::Error) -> bool {
    TRANSIENT_ERRORS.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shortages_are_transient() {
        assert!(TRANSIENT_ERRORS.iter().all(|errno| is_transient(&io::Error::from(*errno))));
        for errno in [Errno::NOENT, Errno::ACCESS, Errno::ROFS, Errno::NAMETOOLONG, Errno::LOOP] {
            assert!(!is_transient(&io::Error::from(errno)), "{errno}");
        }
        assert!(!is_transient(&io::Error::other("x")));
    }
}
