//! The *signer*: a child process of our own that holds the unlocked key and makes the signatures.
//!
//! A signature by GnuPG takes a new process, and with a passphrase gpg-agent derives its key again for
//! each signature, one after the other. So the key is unlocked once. The signer exports the part of
//! the key with which GnuPG signs, and signs with OpenSSL, on all cores: a signature takes a
//! millisecond, and no process.
//!
//! ```text
//! signing thread ─┐                                        ┌▶ gpg, once
//! signing thread ─┼─ socket: digests ──▶ signer, one group ┤
//! signing thread ─┘ ◀── RSA numbers ────                   └─ a thread for each core: OpenSSL
//! ```
//!
//! **Why a process of its own.** The key is in the memory of a process that does nothing else: it
//! reads no action, no answer of the API and no file. It receives only digests of 32 bytes each. The
//! parent builds the signature around the number ([`super::document_signature`]). A fault or a crash of
//! the runner exposes no key.
//!
//! **Memory.** Other processes of the user cannot trace the signer or read its memory, it writes no
//! core file, and its memory is never swapped out where the limit of locked memory allows that
//! ([`memory`]). The key is never written to a file and never sent to the parent. All buffers with it
//! are wiped; those of GnuPG's library, through which it passes once, are not.
//!
//! **The same key as GnuPG.** Before the signer exports the key, GnuPG makes a test signature, which is
//! discarded ([`opening`]). If GnuPG cannot sign, the caller gets GnuPG's own error. Otherwise the test
//! signature shows which part of the key GnuPG signs with. The signer also returns the states of the
//! files on which the key depends ([`stamps`]). The parent compares these states before each signature.
//! It opens the key again if a file has changed, if the key has expired, or if the signer has ended
//! ([`super::held_key`]).
//!
//! **Other keys.** A key that GnuPG does not export, such as one on a smartcard, stays with GnuPG: a
//! worker makes each signature ([`super::worker`]).
//!
//! **Invariants.** A signer serves one key. It starts no process after it has opened the key. It does
//! not outlive the program: it is killed at the program's end ([`end_signers`]), or kills its own
//! group when the parent's end of the socket is closed.

mod memory;
mod opening;
mod protocol;
mod registry;
mod serve;
mod stamps;
mod unlocked;

pub(super) use protocol::{OpenKey, Outcome};
pub(crate) use registry::end_signers;
pub(crate) use serve::serve;
pub(super) use stamps::Stamps;
pub(super) use unlocked::{Unlocked, open};

/// The argument with which a program becomes a signer. Help texts do not show it.
pub(crate) const ARGUMENT: &str = "gnupg-signer";
/// The arguments with which this program's executable becomes a signer.
#[cfg(not(test))]
const ARGUMENTS: [&str; 1] = [ARGUMENT];
/// The same for the executable of the unit tests.
#[cfg(test)]
const ARGUMENTS: [&str; 3] =
    ["--exact", "pgp::signer_process::tests::serve_as_a_signer", "--nocapture"];

#[cfg(test)]
mod tests;
