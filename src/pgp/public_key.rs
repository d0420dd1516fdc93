//! Reads a public key from a text and checks whether the platform can verify signatures with it.
//!
//! The verdict is the same with all releases of GnuPG. First the text and its packets are checked
//! here, more strictly than by GnuPG. Then GnuPG imports the key into a temporary home, because
//! only an import checks the self-signatures. Parts that GnuPG drops are missing from its export;
//! such a key is rejected as well, because the platform's own library rejects it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use gpgme::{Context, Error, ExportMode, Key, KeyAlgorithm, KeyListMode, Subkey, UserIdSignature};

use super::fingerprint::Fingerprint;
use super::gnupg;
use super::key_block;
use super::key_packets::KeyPackets;
use super::key_text_error::KeyTextError;
use super::scratch_home::ScratchHome;
use super::shortage;
use crate::disk::{Context as _, DiskError};
use crate::spawn::begin_library_call;

/// A key with which the platform can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The fingerprint of the primary key, by which the platform identifies it.
    pub(crate) fingerprint: Fingerprint,
    /// The first user id.
    pub(crate) owner: String,
    data: Vec<u8>,
}

/// Why a text is not one key that the platform can use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicKeyError {
    #[error(transparent)]
    Text(#[from] KeyTextError),
    #[error("cannot create a temporary folder for GnuPG")]
    Folder(#[from] DiskError),
    #[error(
        "GnuPG finds no valid self-signature in it: export the key again with gpg --armor --export \
         KEY, and check whether this machine's clock is behind"
    )]
    SelfSignature,
    /// Some parts of it are damaged.
    #[error(
        "GnuPG rejects {count} of the user ids, subkeys and signatures of the key {key}: import it \
         into your keyring, and export it with gpg --armor --export-options export-clean --export {key}"
    )]
    Partial { key: Fingerprint, count: usize },
    /// It has expired or is revoked, for example.
    #[error("the key {key} {why}")]
    Unusable { key: Fingerprint, why: &'static str },
    /// The platform's library does not support keys of this type.
    #[error(
        "the key {key} is of type {algorithm}, which the platform cannot verify: use an RSA key"
    )]
    Type { key: Fingerprint, algorithm: String },
    #[error("GnuPG cannot read it")]
    GnuPg(#[source] Error),
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
        let mut armored = Vec::new();
        let _call = begin_library_call();
        let mut context = gnupg::context(home).map_err(PublicKeyError::GnuPg)?;
        context
            .export([fingerprint.as_str()], ExportMode::empty(), &mut armored)
            .map_err(PublicKeyError::GnuPg)?;
        Ok(Some(armored).filter(|armored| !armored.is_empty()))
    }

    /// Reads the one key in an armored text. GnuPG uses a temporary home in the folder `parent`.
    pub(crate) fn read(parent: &Path, armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let data = key_block::decode(armored)?;
        let given = KeyPackets::read(&data)?;
        let scratch = ScratchHome::create(parent)?;
        let _call = begin_library_call();
        let imported = gnupg::import(scratch.path(), &data).map_err(PublicKeyError::GnuPg)?;
        let Some(fingerprint) = imported else {
            // The reason may also be a full disk.
            shortage::probe(scratch.path()).context("write into", scratch.path())?;
            return Err(PublicKeyError::SelfSignature);
        };
        let mut context = gnupg::context(scratch.path()).map_err(PublicKeyError::GnuPg)?;
        // In this mode GnuPG checks all signatures on user ids; an import checks only the first.
        context
            .set_key_list_mode(KeyListMode::LOCAL | KeyListMode::SIGS)
            .map_err(PublicKeyError::GnuPg)?;
        let key = context.get_key(fingerprint.as_str()).map_err(PublicKeyError::GnuPg)?;
        let damaged =
            count_dropped(&mut context, &given, &fingerprint)? + count_bad_signatures(&key);
        if damaged > 0 {
            return Err(PublicKeyError::Partial { key: fingerprint, count: damaged });
        }
        let owner = check(&key, &fingerprint)?;
        Ok(PublicKey { fingerprint, owner, data })
    }

    /// Returns the packets of the key.
    #[cfg(any(test, feature = "platform"))]
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }
}

/// Returns the number of packets of the owner of a key that GnuPG did not import.
fn count_dropped(
    context: &mut Context,
    given: &KeyPackets<'_>,
    fingerprint: &Fingerprint,
) -> Result<usize, PublicKeyError> {
    let mut exported = Vec::new();
    context.set_armor(false);
    context
        .export([fingerprint.as_str()], ExportMode::empty(), &mut exported)
        .map_err(PublicKeyError::GnuPg)?;
    let id = fingerprint.id().ok_or(PublicKeyError::GnuPg(Error::INV_VALUE))?;
    let given = given.own(&id);
    if exported.is_empty() {
        // The key has just been imported, so GnuPG could not read its keyring.
        return Err(PublicKeyError::GnuPg(Error::NOT_PROCESSED));
    }
    let kept = KeyPackets::read(&exported).map_or_else(|_| BTreeSet::new(), |kept| kept.own(&id));
    Ok(given.difference(&kept).count())
}

/// Returns the number of bad signatures on the user ids of a key. Signatures by other keys cannot
/// be checked.
fn count_bad_signatures(key: &Key) -> usize {
    let is_bad =
        |signature: &UserIdSignature<'_>| signature.status().code() == Error::BAD_SIGNATURE.code();
    key.user_ids().map(|user| user.signatures().filter(is_bad).count()).sum()
}

/// Checks that the platform can verify signatures with a key; returns its first user id.
fn check(key: &Key, fingerprint: &Fingerprint) -> Result<String, PublicKeyError> {
    let primary = key.primary_key().ok_or(PublicKeyError::GnuPg(Error::INV_VALUE))?;
    let why = [
        (key.is_revoked(), "is revoked"),
        (key.is_expired(), "is expired: extend it, and export it again"),
        (key.is_disabled(), "is disabled"),
        (key.is_invalid(), "is invalid"),
    ];
    if let Some((_, why)) = why.into_iter().find(|(is, _)| *is) {
        return Err(PublicKeyError::Unusable { key: fingerprint.clone(), why });
    }
    let signing: Vec<Subkey<'_>> =
        key.subkeys().filter(|part| part.can_sign() && !part.is_bad()).collect();
    if signing.is_empty() {
        return Err(PublicKeyError::Unusable { key: fingerprint.clone(), why: "cannot sign" });
    }
    for part in signing.iter().chain([&primary]) {
        if !matches!(part.algorithm(), KeyAlgorithm::Rsa | KeyAlgorithm::RsaSign) {
            let algorithm = part.algorithm_name().unwrap_or_else(|_| "unknown".to_owned());
            return Err(PublicKeyError::Type { key: fingerprint.clone(), algorithm });
        }
    }
    Ok(key.user_ids().next().and_then(|user| user.id().ok()).unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
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
