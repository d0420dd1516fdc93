//! OpenPGP by the system's GnuPG. No other module uses GnuPG.
//!
//! GnuPG stores the key, and its agent makes the signatures. So keys of any age, smartcards and
//! passphrases work as the operator has set them up. The signatures are converted to the platform's
//! form, which is a single line.
//!
//! GnuPG consists of several processes, each of which may hang or die. So signing has a time limit
//! and a limited number of threads ([`signer`]).
//!
//! **Padding.** GnuPG omits leading zero bytes of the number of an RSA signature, and the platform
//! rejects a number that is shorter than the key. So every signature is padded to the length of the
//! key before it is returned ([`padding`]).
//!
//! **Digest.** GnuPG chooses the digest, and gpgme has no option for it: SHA-512 by default for
//! RSA, or the value of `digest-algo` in the home's `gpg.conf`. The platform supports SHA-1 and all
//! of SHA-2; a signature with any other digest is rejected here rather than by the platform.

mod armor;
mod configuration;
mod deferred_signer;
mod fingerprint;
mod foreign;
#[cfg(any(test, feature = "platform"))]
mod generate;
mod gnupg;
#[cfg(any(test, feature = "platform"))]
mod gpg_agent;
mod key;
#[cfg(any(test, feature = "data"))]
mod key_block;
#[cfg(any(test, feature = "data"))]
mod key_packets;
#[cfg(any(test, feature = "data"))]
mod key_text_error;
mod mpi;
mod packet;
mod padding;
#[cfg(any(test, feature = "data"))]
mod public_key;
#[cfg(any(test, feature = "data"))]
mod scratch_home;
mod session;
mod shortage;
mod signature;
mod signer;
mod signing_error;
#[cfg(any(test, feature = "platform"))]
mod verify;

pub(crate) use deferred_signer::DeferredSigner;
#[cfg(any(test, feature = "data"))]
pub(crate) use fingerprint::Fingerprint;
#[cfg(feature = "platform")]
pub(crate) use generate::GenerateError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use generate::{NewKey, export, generate};
pub(crate) use gnupg::system_error;
#[cfg(any(test, feature = "platform"))]
pub(crate) use gpg_agent::end_gpg_agent;
pub(crate) use key::KeyError;
#[cfg(feature = "data")]
pub(crate) use public_key::{PublicKey, PublicKeyError};
pub(crate) use signer::GpgSigner;
#[cfg(feature = "platform")]
pub(crate) use verify::VerifyError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use verify::{ImportError, RsaNumbers, Verifier};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
