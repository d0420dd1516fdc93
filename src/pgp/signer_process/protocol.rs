//! What a signer and its parent say to each other.
//!
//! First the parent sends the key to open, and the signer answers, both as a worker's call and its
//! answer ([`super::super::worker`]). Then the parent sends digests, and the signer answers with the
//! numbers of RSA, in any order. A digest and its answer consist of fixed fields and have the same id.

use std::io::{self, Read};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Stamps;
use crate::pgp::calls::Passphrase;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::secret::Sha256Digest;
use crate::pgp::signing_error::SigningError;
use crate::pgp::wire;

/// The longest number that a signature can have, in bytes: its length in bits fits into two bytes.
const NUMBER_BYTES_MAX: usize = 8191;
/// Length of an id, in bytes.
const ID_BYTES: usize = 8;

/// The key that a signer opens.
#[derive(Serialize, Deserialize)]
pub(in crate::pgp) struct OpenKey {
    #[serde(with = "wire::path")]
    pub(in crate::pgp) home: PathBuf,
    pub(in crate::pgp) key: Fingerprint,
    pub(in crate::pgp) passphrase: Option<Passphrase>,
}

/// The answer: an error is the one with which GnuPG itself does not sign.
pub(super) type OpenAnswer = Result<Opened, SigningError>;

/// The result of opening a key.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) struct Opened {
    /// The files on which this depends, as they were before.
    pub(in crate::pgp) stamps: Stamps,
    pub(in crate::pgp) outcome: Outcome,
    /// Why the memory of the signer is not locked.
    pub(in crate::pgp) unlocked_memory: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::pgp) enum Outcome {
    /// The signer signs with this part of the key.
    Unlocked(SigningPart),
    /// Only GnuPG can sign with the key, for this reason.
    GnuPgOnly(String),
}

/// The primary key or subkey that signs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::pgp) struct SigningPart {
    pub(in crate::pgp) fingerprint: Fingerprint,
    pub(super) modulus_bytes: usize,
    /// When the key and this part begin to be valid, in seconds since 1970.
    pub(super) begins: i64,
    /// When the first of the two expires; `None` if neither does.
    pub(super) ends: Option<i64>,
}

impl SigningPart {
    pub(in crate::pgp) fn is_valid_at(&self, seconds: i64) -> bool {
        self.begins <= seconds && self.ends.is_none_or(|end| seconds < end)
    }
}

/// A digest to be signed.
pub(super) struct SignRequest {
    pub(super) id: u64,
    pub(super) digest: Sha256Digest,
}

impl SignRequest {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.id.to_be_bytes()[..], &self.digest].concat()
    }

    pub(super) fn read(source: &mut impl Read) -> io::Result<SignRequest> {
        let (mut id, mut digest) = ([0; ID_BYTES], [0; 32]);
        source.read_exact(&mut id)?;
        source.read_exact(&mut digest)?;
        Ok(SignRequest { id: u64::from_be_bytes(id), digest })
    }
}

/// The number of a signature; an empty one means that OpenSSL failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SignAnswer {
    pub(super) id: u64,
    pub(super) number: Vec<u8>,
}

impl SignAnswer {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        // A key has at most 16384 bits.
        let length = u16::try_from(self.number.len()).unwrap_or_default();
        let number = self.number.get(..length.into()).unwrap_or_default();
        [&self.id.to_be_bytes()[..], &length.to_be_bytes(), number].concat()
    }

    pub(super) fn read(source: &mut impl Read) -> io::Result<SignAnswer> {
        let (mut id, mut length) = ([0; ID_BYTES], [0; 2]);
        source.read_exact(&mut id)?;
        source.read_exact(&mut length)?;
        let length = usize::from(u16::from_be_bytes(length));
        if length > NUMBER_BYTES_MAX {
            return Err(io::Error::other("the number is too long"));
        }
        let mut number = vec![0; length];
        source.read_exact(&mut number)?;
        Ok(SignAnswer { id: u64::from_be_bytes(id), number })
    }
}
