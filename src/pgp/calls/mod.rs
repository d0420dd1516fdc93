//! The calls of GnuPG's library. Only a worker makes them ([`super::worker`]), and a signer while it
//! opens its key ([`super::signer_process`]).
//!
//! Each call is a value with what the call needs, so that a parent can send it to its worker. A
//! worker makes one call at a time, and in between it may run the program `gpg` itself, to find the
//! cause of a failure.

#[cfg(any(test, feature = "data"))]
mod check_key;
#[cfg(any(test, feature = "platform"))]
mod check_signature;
#[cfg(any(test, feature = "platform"))]
mod engine;
#[cfg(any(test, feature = "data"))]
mod export;
mod find_key;
#[cfg(any(test, feature = "platform"))]
mod generate;
mod read_lengths;
mod session;
mod sign;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(any(test, feature = "data"))]
pub(super) use check_key::CheckKey;
#[cfg(any(test, feature = "platform"))]
pub(super) use check_signature::CheckSignature;
#[cfg(any(test, feature = "platform"))]
pub(super) use engine::CheckEngine;
#[cfg(any(test, feature = "data"))]
pub(super) use export::Export;
pub(super) use find_key::{FindKey, signing_part};
#[cfg(any(test, feature = "platform"))]
pub(super) use generate::Generate;
pub(super) use read_lengths::ReadLengths;
pub(super) use session::{Digests, Passphrase, Session};
pub(super) use sign::Sign;

/// A call of GnuPG's library, with the values that it needs.
pub(super) trait Call {
    type Answer: Serialize + DeserializeOwned;

    /// Makes the call.
    fn run(self, calls: &mut Calls) -> Self::Answer;
}

/// What a worker keeps from one call for later ones.
#[derive(Default)]
pub(super) struct Calls {
    /// The key of the last signature, with the library's context for it.
    session: Option<session::Session>,
}
