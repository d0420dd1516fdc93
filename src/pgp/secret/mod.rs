//! Reads the secret RSA key that GnuPG exports, and signs with it.
//!
//! GnuPG exports a secret key as armored OpenPGP packets, protected with the passphrase if there is
//! one. Only the signer process does this ([`super::signer_process`]), and only with the export of its
//! own GnuPG. Even so, every length is checked: another program may be called `gpg`.
//!
//! **Invariant.** All copies of the key that are made here are wiped: buffers when they are dropped,
//! and OpenSSL's numbers when the key is freed.

mod block;
mod packet;
mod protection;
mod rsa;
mod s2k;

pub(super) use block::SecretBlock;
pub(super) use rsa::{RsaKey, Sha256Digest};

use super::packet::PacketError;

/// Why no key can be used from an export.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretKeyError {
    #[error("its export is not armored")]
    Armor,
    #[error("its export is damaged: {0}")]
    Packet(#[source] PacketError),
    #[error("its export does not contain the part that signs")]
    Missing,
    #[error("its export is malformed")]
    Malformed,
    /// The export names the key without its secret numbers.
    #[error(
        "its secret numbers are not in the export: they are on a smartcard or on another machine"
    )]
    Stub,
    /// Only the methods that GnuPG uses for an export are supported.
    #[error("its export is protected with the {what} {number}, which is not supported")]
    Protection {
        what: &'static str,
        /// The number in OpenPGP.
        number: u8,
    },
    #[error("its export is protected with a passphrase, and none is configured")]
    NoPassphrase,
    #[error("its export is protected with another passphrase, or damaged")]
    Passphrase,
    #[error("the numbers of its export do not belong together")]
    Numbers,
    #[error("OpenSSL rejects it")]
    OpenSsl(#[from] openssl::error::ErrorStack),
}

#[cfg(test)]
mod tests;
