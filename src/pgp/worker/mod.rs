//! GnuPG in child processes of our own, with a time limit for each call.
//!
//! A call of GnuPG's library cannot be interrupted, and `gpg` may work on hostile bytes for hours or
//! hang. So no program calls the library itself. It starts itself again as a *worker*, which makes
//! the calls. A worker is the leader of its own session and process group, to which the `gpg` that
//! the library starts belongs too. At the time limit of a call, the whole group is killed. The processes
//! have no terminal and never ask for a passphrase: if one is needed, the call contains it.
//!
//! ```text
//! caller ──▶ pool ──socket, JSON──▶ worker ──library──▶ gpg
//!                                   └─────one group──────┘
//! ```
//!
//! A worker serves many calls, because the library needs several processes for its first one.
//!
//! **Invariants.** A worker makes one call at a time. Its environment contains only what GnuPG
//! needs, and no secret. No worker and no `gpg` outlives the program: the program kills them at its
//! end ([`end_workers`]). If the program was killed itself, its end of the socket is closed, and the
//! worker then kills its own group. An agent that `gpg` has started leaves the group and stays: it
//! belongs to the user ([`super::end_gpg_agent`]).
//!
//! **Failure.** A call without an answer is a [`WorkerError`], which says nothing about the bytes
//! that were to be checked.

mod pool;
mod process;
mod protocol;
mod serve;

use std::time::Duration;

use super::calls::Call;
use super::worker_error::WorkerError;
use pool::Pool;
pub(super) use process::Process;
use protocol::Request;
pub(super) use protocol::{answer, line, next_request, request_bytes};
pub(crate) use serve::serve;
pub(super) use serve::{limit_descriptors, parent_socket};

/// The argument with which a program becomes a worker. Help texts do not show it.
pub(crate) const ARGUMENT: &str = "gnupg-worker";
/// The arguments with which this program's executable becomes a worker.
#[cfg(not(test))]
const ARGUMENTS: [&str; 1] = [ARGUMENT];
/// The same for the executable of the unit tests.
#[cfg(test)]
const ARGUMENTS: [&str; 3] = ["--exact", "pgp::worker::tests::serve_as_a_worker", "--nocapture"];

/// The workers of this process.
static POOL: Pool = Pool::new(&ARGUMENTS);

/// Lets a worker make a call; returns after `span` at the latest.
pub(super) fn call<C: Call + Into<Request>>(
    call: C,
    span: Duration,
) -> Result<C::Answer, WorkerError> {
    POOL.call(call, span)
}

/// Ends all workers, and with them every `gpg` that they have started. Later calls fail.
pub(crate) fn end_workers() {
    POOL.close();
}

#[cfg(test)]
mod tests;
