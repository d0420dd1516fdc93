//! OpenPGP by the system's GnuPG: the one place that talks to it.
//!
//! GnuPG keeps the key, and its agent does the signing, so keys of any age,
//! smartcards and passphrases work as the operator set them up. What comes out
//! is brought into the platform's form, a signature on one line.
//!
//! GnuPG is several processes, each of which may hang or die. So signing has
//! a deadline and a bounded number of threads ([`signer`]).
//!
//! **Digest.** GnuPG chooses it and gpgme cannot: SHA-512 by default for RSA,
//! or what `digest-algo` in the home's `gpg.conf` says. The platform verifies
//! SHA-1 and all of SHA-2; any other digest is refused here instead of there.

mod agent;
mod armor;
mod engine;
mod generate;
mod key;
mod session;
mod signer;
mod verify;

pub(crate) use agent::end_agent;
#[cfg(test)]
pub(crate) use agent::stop_agent;
pub(crate) use armor::ArmorError;
pub(crate) use generate::{GenerateError, NewKey, export, generate};
pub(crate) use key::{Fingerprint, KeyError, SecretKey, find};
pub(crate) use signer::{Keyring, SignFault};
pub(crate) use verify::{ImportError, Verifier, VerifyError};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
