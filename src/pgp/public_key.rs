//! Reads a public key from a text and checks whether the platform can verify signatures with it.
//!
//! The verdict is the same with all releases of GnuPG. First the text and its packets are checked
//! here, more strictly than by GnuPG. Then GnuPG imports the key into a temporary home, because
//! only an import checks the self-signatures.

use std::io;
use std::path::Path;
use std::time::Duration;

use gpgme::Error;

use super::calls::{CheckKey, Export};
use super::fingerprint::Fingerprint;
use super::key_text::KeyText;
use super::public_key_error::PublicKeyError;
use super::scratch_home::ScratchHome;
use super::shortage;
use super::worker;
use crate::disk::Context as _;

/// Time limit for checking or exporting a key, which may have many signatures.
pub(super) const KEY_TIMEOUT: Duration = Duration::from_secs(30);

/// A key with which the platform can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The fingerprint of the primary key, by which the platform identifies it.
    pub(crate) fingerprint: Fingerprint,
    /// The first user id.
    pub(crate) owner: String,
}

impl PublicKey {
    /// Returns the key with this fingerprint in a GnuPG home, armored; `None` if the home does not
    /// contain it.
    pub(crate) fn export(
        home: &Path,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Vec<u8>>, PublicKeyError> {
        match home.metadata() {
            Ok(found) if found.is_dir() => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("access", home)?;
            }
            Ok(_) | Err(_) => return Ok(None),
        }
        let call = Export { home: home.to_owned(), key: fingerprint.clone() };
        let exported = worker::call(call, KEY_TIMEOUT)?;
        let armored = exported.map_err(|error| PublicKeyError::GnuPg(error.0))?.0;
        Ok(Some(armored).filter(|armored| !armored.is_empty()))
    }

    /// Reads the one key in an armored text. GnuPG uses a temporary home in the folder `parent`.
    pub(crate) fn read(parent: &Path, armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let key = KeyText::read(armored)?;
        import(&ScratchHome::create(parent)?, &key)
    }
}

/// Imports a key into an empty home, and checks it.
pub(super) fn import(home: &ScratchHome, key: &KeyText) -> Result<PublicKey, PublicKeyError> {
    let call = CheckKey { home: home.path().to_owned(), data: key.data().to_vec() };
    let checked = worker::call(call, KEY_TIMEOUT)?;
    if matches!(checked, Err(PublicKeyError::SelfSignature)) {
        // The reason may also be a full disk.
        shortage::probe(home.path()).context("write into", home.path())?;
    }
    let checked = checked?;
    // Both have read the same packets.
    if key.fingerprint() != Some(&checked.fingerprint) {
        return Err(PublicKeyError::GnuPg(Error::INV_VALUE));
    }
    Ok(PublicKey { fingerprint: checked.fingerprint, owner: checked.owner })
}

#[cfg(test)]
mod tests {
    use super::super::key_text_error::KeyTextError;
    use super::super::{NewKey, export, generate, testing};
    use super::*;

    fn read(armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let parent = tempfile::tempdir().unwrap();
        let read = PublicKey::read(parent.path(), armored);
        assert_eq!(
            std::fs::read_dir(parent.path()).unwrap().count(),
            0,
            "the temporary home is left"
        );
        read
    }

    #[test]
    fn only_a_single_rsa_key_is_accepted() {
        let home = testing::Home::new();
        let rsa = home.key("rsa2048", None);
        let armored = PublicKey::export(home.path(), &rsa).unwrap().unwrap();
        assert_eq!(armored, export(home.path(), &rsa).unwrap());
        let key = read(&armored).unwrap();
        assert_eq!((key.fingerprint, key.owner.as_str()), (rsa, "Test <test@localhost>"));
        let other = NewKey { owner: "Other <o@localhost>", algorithm: "ed25519", passphrase: None };
        let ed25519 = generate(home.path(), other).unwrap();
        let other = export(home.path(), &ed25519).unwrap();
        let error = read(&other).unwrap_err();
        assert!(matches!(error, PublicKeyError::Type { .. }), "{error}");
        let both = [armored.as_slice(), &other].concat();
        assert!(matches!(read(&both).unwrap_err(), PublicKeyError::Text(KeyTextError::Count(2))));
        for none in [&b""[..], b"no key", b"-----BEGIN PGP SIGNATURE-----"] {
            assert!(matches!(read(none).unwrap_err(), PublicKeyError::Text(KeyTextError::None)));
        }
        let cut = &armored[..armored.len() / 2];
        assert!(read(cut).is_err());
        let secret = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx\n";
        assert!(matches!(read(secret).unwrap_err(), PublicKeyError::Text(KeyTextError::Secret)));
    }

    #[test]
    fn export_of_a_missing_key_is_none() {
        let home = testing::Home::new();
        let fingerprint = Fingerprint::parse("E60892BB9BD89A69F759A1A0A3D652173B763E8F").unwrap();
        assert_eq!(PublicKey::export(home.path(), &fingerprint).unwrap(), None);
        assert_eq!(PublicKey::export(&home.path().join("none"), &fingerprint).unwrap(), None);
        // The path is too long to be accessed, so it is unknown whether the key exists.
        let unknown = PublicKey::export(&home.path().join("n".repeat(300)), &fingerprint);
        assert!(matches!(unknown, Err(PublicKeyError::Folder(_))), "{unknown:?}");
    }
}
