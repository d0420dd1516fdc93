//! Which errors of the system say that it lacks something that it may have later.

use std::io;

use rustix::io::Errno;

/// What the system says where it lacks something: room, memory, processes, descriptors.
pub(crate) const LACKING: [Errno; 10] = [
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
    let passing = |errno: Errno| error.raw_os_error() == Some(errno.raw_os_error());
    LACKING.into_iter().any(passing)
}
