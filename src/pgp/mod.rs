//! OpenPGP by the system's GnuPG: the one place that talks to it.
//!
//! GnuPG keeps the key, and its agent does the signing, so keys of any age,
//! smartcards and passphrases work as the operator set them up. What comes out
//! is brought into the platform's form, a signature on one line.
//!
//! GnuPG is several processes, each of which may hang or die. So signing has
//! a deadline and a bounded number of threads ([`signer`]).
//!
//! **Padding.** GnuPG drops leading zero bytes of an RSA signature's number, and
//! the platform refuses a number that is shorter than the key. So every
//! signature is brought to the key's length before it leaves ([`padding`]).
//!
//! **Digest.** GnuPG chooses it and gpgme cannot: SHA-512 by default for RSA,
//! or what `digest-algo` in the home's `gpg.conf` says. The platform verifies
//! SHA-1 and all of SHA-2; any other digest is refused here instead of there.

#[cfg(any(test, feature = "platform"))]
mod agent;
mod armor;
mod elsewhere;
mod engine;
#[cfg(any(test, feature = "data"))]
mod fault;
#[cfg(any(test, feature = "platform"))]
mod generate;
mod key;
#[cfg(any(test, feature = "data"))]
mod key_block;
#[cfg(any(test, feature = "data"))]
mod key_packets;
mod late;
mod mpi;
mod packet;
mod padding;
#[cfg(any(test, feature = "data"))]
mod public;
#[cfg(any(test, feature = "data"))]
mod scratch;
mod session;
mod setup;
mod shortage;
mod signature;
mod signer;
#[cfg(any(test, feature = "platform"))]
mod verify;

#[cfg(any(test, feature = "platform"))]
pub(crate) use agent::end_agent;
pub(crate) use armor::ArmorError;
pub(crate) use engine::system_error;
#[cfg(feature = "platform")]
pub(crate) use generate::GenerateError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use generate::{NewKey, export, generate};
pub(crate) use key::{Fingerprint, KeyError};
pub(crate) use late::LateKeyring;
#[cfg(feature = "data")]
pub(crate) use public::{PublicKey, PublicKeyError};
pub(crate) use signer::Keyring;
#[cfg(feature = "platform")]
pub(crate) use verify::VerifyError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use verify::{ImportError, Numbers, Verifier};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
