//! OpenPGP by the system's GnuPG. No other module uses GnuPG.
//!
//! GnuPG stores the key. So keys of any age, smartcards and passphrases work as the operator has set
//! them up. The signatures have the platform's form, which is a single line.
//!
//! **Who signs.** A signature by GnuPG takes a process, and with a passphrase gpg-agent derives its key
//! again each time, one signature after the other: two a second where the runner needs hundreds. So the
//! daemon unlocks the key once, in a *signer*: a process that does nothing else, which exports the key
//! through GnuPG and signs with OpenSSL on all cores ([`signer_process`]). OpenSSL is linked for TLS
//! anyway, and the Rust crate `rsa`, which other libraries of OpenPGP use, has an open advisory on its
//! timing (RUSTSEC-2023-0071). A direct connection with gpg-agent would not help: the agent makes one
//! signature at a time. Commands that sign once or twice, and keys that cannot be exported, still sign
//! through GnuPG ([`signer`]).
//!
//! GnuPG consists of several processes, each of which may hang, die or work on hostile bytes for
//! hours. So its library is used only in child processes of our own, with a time limit for each call
//! ([`worker`], and the signer while it opens its key).
//!
//! **Untrusted bytes.** GnuPG receives only what has been parsed here before: a signature consists of
//! a few small signature packets ([`one_line`]), and a key of the packets of one key
//! ([`key_packets`]). The sizes and numbers of both are limited.
//!
//! **Padding.** GnuPG omits leading zero bytes of the number of an RSA signature, and the platform
//! rejects a number that is shorter than the key. So every signature is padded to the length of the
//! key before it is returned ([`padding`]). The signer's numbers have the full length.
//!
//! **Digest.** The signer uses SHA-256 ([`document_signature`]). GnuPG chooses the digest itself, and
//! gpgme has no option for it: SHA-512 by default for RSA, or the value of `digest-algo` in the home's
//! `gpg.conf`. The platform supports SHA-1 and all of SHA-2; a signature with any other digest is
//! rejected here rather than by the platform.

mod armor;
mod calls;
mod configuration;
mod deferred_signer;
mod document_signature;
mod environment;
mod fingerprint;
mod foreign;
mod gnupg;
#[cfg(any(test, feature = "platform"))]
mod gpg_agent;
mod held_key;
mod key;
#[cfg(any(test, feature = "data"))]
mod key_block;
#[cfg(any(test, feature = "data"))]
mod key_packets;
#[cfg(any(test, feature = "data"))]
mod key_text;
#[cfg(any(test, feature = "data"))]
mod key_text_error;
mod mpi;
#[cfg(any(test, feature = "platform"))]
mod new_key;
mod one_line;
mod packet;
mod padding;
#[cfg(any(test, feature = "data"))]
mod public_key;
#[cfg(any(test, feature = "data"))]
mod public_key_error;
#[cfg(any(test, feature = "data"))]
mod scratch_home;
mod secret;
mod shortage;
mod signature;
mod signer;
mod signer_process;
mod signing_error;
#[cfg(any(test, feature = "platform"))]
#[cfg_attr(
    not(feature = "platform"),
    expect(dead_code, reason = "only the platform uses all of it")
)]
mod verify;
#[cfg(any(test, feature = "platform"))]
mod verify_error;
mod wire;
mod worker;
mod worker_error;

pub(crate) use deferred_signer::DeferredSigner;
pub(crate) use environment::set_gnupg_environment;
#[cfg(any(test, feature = "data"))]
pub(crate) use fingerprint::Fingerprint;
pub(crate) use gnupg::system_error;
#[cfg(any(test, feature = "platform"))]
pub(crate) use gpg_agent::end_gpg_agent;
pub(crate) use key::KeyError;
#[cfg(feature = "data")]
pub(crate) use key_text::KeyIds;
#[cfg(any(test, feature = "data"))]
pub(crate) use key_text::KeyText;
#[cfg(feature = "platform")]
pub(crate) use new_key::GenerateError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use new_key::{NewKey, export, generate};
#[cfg(any(test, feature = "platform"))]
pub(crate) use one_line::OneLineSignature;
#[cfg(feature = "data")]
pub(crate) use public_key::PublicKey;
#[cfg(feature = "data")]
pub(crate) use public_key_error::PublicKeyError;
pub(crate) use signer::GpgSigner;
pub(crate) use signer_process::{
    ARGUMENT as SIGNER_ARGUMENT, end_signers, serve as serve_as_signer,
};
#[cfg(feature = "platform")]
pub(crate) use verify::ImportError;
#[cfg(any(test, feature = "platform"))]
pub(crate) use verify::{RsaNumbers, Verifier};
#[cfg(any(test, feature = "platform"))]
pub(crate) use verify_error::VerifyError;
pub(crate) use worker::{ARGUMENT as WORKER_ARGUMENT, end_workers, serve as serve_as_worker};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
