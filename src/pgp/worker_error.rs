//! Why a worker did not answer. It is never a verdict on what GnuPG was to check.

use std::io;
use std::time::Duration;

/// A request to GnuPG that has no answer. The same request may succeed later.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error("cannot start a process for GnuPG")]
    Start(#[source] io::Error),
    /// GnuPG hangs. Its processes were killed.
    #[error("no answer from GnuPG in {} s; its processes were ended", .0.as_secs())]
    Timeout(Duration),
    #[error("the process for GnuPG ended without an answer")]
    Ended(#[source] io::Error),
    #[error("this program is stopping, so GnuPG is not used")]
    Closed,
}
