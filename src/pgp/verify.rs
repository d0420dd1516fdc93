//! Verifies signatures for the one-host platform. Each investigator's key has a GnuPG home of its
//! own, below one folder.
//!
//! GnuPG finds a key by an id, and a key can contain the key of another person as a subkey. In a common
//! home, such a key would make the id ambiguous, and the other person's signatures could not be
//! verified. In a home of its own, a key is never mistaken for another one.
//!
//! The homes are a cache: a platform removes those of earlier ones at its start, and imports each
//! key when it is first needed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gpgme::Error;

use super::calls::CheckEngine;
use super::calls::CheckSignature;
use super::fingerprint::Fingerprint;
use super::key_text::KeyText;
use super::key_text_error::KeyTextError;
use super::one_line::OneLineSignature;
use super::padding;
use super::public_key::{self, PublicKey};
use super::public_key_error::PublicKeyError;
use super::scratch_home::{self, ScratchHome};
use super::signature::KeyId;
use super::verify_error::VerifyError;
use super::worker;
use crate::disk::{Context, DiskError};

/// Time limit for a signature. GnuPG checks one in milliseconds.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of characters of a home's name: a fingerprint, a hyphen and a mark.
const NAME_CHARS: usize = 40 + 1 + 16;

/// The homes of the investigators' keys.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    folder: PathBuf,
}

/// Why a key was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    #[error(transparent)]
    Key(#[from] PublicKeyError),
    /// The investigator has another fingerprint.
    #[error("the stored key is {found}")]
    Fingerprint {
        /// The fingerprint of the stored key.
        found: String,
    },
    /// The key contains the key of another investigator.
    #[error(
        "a part of it has the id of a part of the key of investigator {owner}: use a key without this part"
    )]
    Shared {
        /// The name of the other investigator.
        owner: String,
    },
    #[error("cannot use the keyring")]
    Folder(#[from] DiskError),
}

impl From<KeyTextError> for ImportError {
    fn from(error: KeyTextError) -> ImportError {
        PublicKeyError::from(error).into()
    }
}

impl ImportError {
    /// Returns whether the fault lies with the key. Otherwise a retry may succeed.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            ImportError::Key(error) => error.is_verdict(),
            ImportError::Folder(_) => false,
            ImportError::Fingerprint { .. } | ImportError::Shared { .. } => true,
        }
    }
}

/// Which lengths of RSA numbers are accepted in a signature that GnuPG calls good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RsaNumbers {
    /// Only numbers of the key's length, as the original's agents require.
    FullLength,
    /// Also shorter numbers, because GnuPG omits leading zero bytes.
    AnyLength,
}

impl Verifier {
    /// Returns a verifier with its homes in `folder`, which only its owner can enter.
    pub(crate) fn new(folder: &Path) -> Verifier {
        Verifier { folder: folder.to_owned() }
    }

    /// Checks that GnuPG is installed and can be started.
    pub(crate) fn check_gnupg(&self) -> Result<(), VerifyError> {
        let checked = worker::call(CheckEngine { home: self.folder.clone() }, VERIFY_TIMEOUT)?;
        checked.map_err(|error| VerifyError::GnuPg(error.0))
    }

    /// Removes the homes that an earlier process has left.
    pub(crate) fn remove_all(&self) -> Result<(), DiskError> {
        for entry in fs::read_dir(&self.folder).context("list", &self.folder)? {
            let entry = entry.context("list", &self.folder)?;
            if entry.file_name().to_str().is_some_and(is_home) {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Checks an armored key; returns its fingerprint.
    pub(crate) fn check(&self, armored: &[u8]) -> Result<Fingerprint, ImportError> {
        Ok(PublicKey::read(&self.folder, armored)?.fingerprint)
    }

    /// Checks a key and creates its home, unless it has one.
    pub(crate) fn import(&self, key: &KeyText) -> Result<(), ImportError> {
        let home = self.home(key);
        if home.is_dir() {
            return Ok(());
        }
        let scratch = ScratchHome::create(&self.folder).map_err(PublicKeyError::from)?;
        public_key::import(&scratch, key)?;
        Ok(scratch.keep_as(&home)?)
    }

    /// Removes the home of a key.
    pub(crate) fn remove(&self, key: &KeyText) -> Result<(), DiskError> {
        remove(&self.home(key))
    }

    /// Checks that a key, which has been imported, has made a signature for `data`.
    ///
    /// # Errors
    /// `UnknownEntity` if GnuPG does not find the key in its home.
    pub(crate) fn verify(
        &self,
        key: &KeyText,
        data: &[u8],
        signature: &OneLineSignature,
        numbers: RsaNumbers,
    ) -> Result<(), VerifyError> {
        verify_in(&self.home(key), key, data, signature, numbers)
    }

    /// Returns the home of a key. Another text of the same key has another home.
    pub(super) fn home(&self, key: &KeyText) -> PathBuf {
        let fingerprint = key.fingerprint().map(Fingerprint::as_str).unwrap_or_default();
        self.folder.join(format!("{fingerprint}-{}", key.mark()))
    }
}

/// Checks a signature with the key in `home`.
pub(super) fn verify_in(
    home: &Path,
    key: &KeyText,
    data: &[u8],
    signature: &OneLineSignature,
    numbers: RsaNumbers,
) -> Result<(), VerifyError> {
    let call = CheckSignature {
        home: home.to_owned(),
        data: data.to_vec(),
        signature: signature.packet().to_vec(),
    };
    let by = worker::call(call, VERIFY_TIMEOUT)??;
    if !key.parts().iter().any(|part| part.fingerprint == by) {
        return Err(VerifyError::GnuPg(Error::NOT_PROCESSED));
    }
    match numbers == RsaNumbers::FullLength && is_short(signature, key) {
        true => Err(VerifyError::Short),
        false => Ok(()),
    }
}

/// Returns whether the number of a signature is shorter than its key.
fn is_short(signature: &OneLineSignature, key: &KeyText) -> bool {
    let length = |id: &KeyId, _| {
        let part = key.parts().iter().find(|part| part.fingerprint.id() == Some(*id))?;
        Some(part.modulus_bytes)
    };
    padding::pad(signature.packet(), length).is_some()
}

/// Returns whether this is the name of a key's home, or of a temporary one.
fn is_home(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_hexdigit() || c == '-';
    name.starts_with(scratch_home::PREFIX) || name.len() == NAME_CHARS && name.chars().all(is_plain)
}

fn remove(home: &Path) -> Result<(), DiskError> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).context("remove", home),
        _ => Ok(()),
    }
}
