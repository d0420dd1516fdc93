//! A public key in a text: whose it is, and whether the platform can verify with it.
//!
//! The verdict is the same with all releases of GnuPG. The text and its packets are checked here first,
//! more strictly than GnuPG does. GnuPG then imports the key into a home that is thrown away, because only
//! an import checks the self-signatures. What GnuPG drops there is missing in its export: such a key is
//! refused, too, as the platform's own library refuses it.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use gpgme::{Context, Error, ExportMode, Key, KeyAlgorithm, KeyListMode, Subkey, UserIdSignature};

use super::Fingerprint;
use super::engine;
use super::fault::KeyFault;
use super::key_block;
use super::key_packets::KeyPackets;
use super::scratch::Scratch;
use super::shortage;
use crate::disk::{Context as _, DiskError};
use crate::spawn::converse;

/// How many hexadecimal digits a fingerprint has: no RSA key has one of another length.
const DIGITS: usize = 40;

/// A key with which the platform can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The fingerprint of the key, by which the platform knows it.
    pub(crate) fingerprint: Fingerprint,
    /// Whose key it is.
    pub(crate) owner: String,
    data: Vec<u8>,
}

/// Why a text is not one key that the platform can verify with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicKeyError {
    /// The text is not one armored public key.
    #[error(transparent)]
    Text(#[from] KeyFault),
    /// GnuPG has no folder to work in.
    #[error("GnuPG has no folder to work in")]
    Folder(#[from] DiskError),
    /// GnuPG imports nothing of it.
    #[error(
        "GnuPG finds no valid self-signature in it: export the key again with gpg --armor --export \
         KEY, and check whether this machine's clock is behind"
    )]
    SelfSignature,
    /// A part of it is damaged.
    #[error(
        "GnuPG refuses {count} of the user ids, subkeys and signatures of the key {key}: import it \
         into your keyring, and export it with gpg --armor --export-options export-clean --export {key}"
    )]
    Partial {
        key: Fingerprint,
        /// How many parts GnuPG refuses.
        count: usize,
    },
    /// It is over, or called back.
    #[error("the key {key} {why}")]
    Unusable {
        key: Fingerprint,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The platform's library does not know keys of this type.
    #[error(
        "the key {key} is of type {algorithm}, which the platform cannot verify: use an RSA key"
    )]
    Type { key: Fingerprint, algorithm: String },
    #[error("GnuPG cannot read it")]
    Engine(#[source] Error),
}

impl Fingerprint {
    /// Returns the fingerprint that somebody typed, in groups or not.
    pub(crate) fn parse(text: &str) -> Option<Fingerprint> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits);
        let is_whole = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_whole.then(|| Fingerprint::new(digits))
    }
}

impl PublicKey {
    /// Returns the key with this fingerprint in a GnuPG home, armored; nothing if it is not there.
    ///
    /// # Errors
    /// GnuPG failed.
    pub(crate) fn export(
        home: &Path,
        fingerprint: &Fingerprint,
    ) -> Result<Option<Vec<u8>>, PublicKeyError> {
        match home.metadata() {
            Ok(found) if found.is_dir() => {}
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).context("look at", home)?;
            }
            Ok(_) | Err(_) => return Ok(None),
        }
        let mut armored = Vec::new();
        let _turn = converse();
        let mut context = engine::context(home).map_err(PublicKeyError::Engine)?;
        context
            .export([fingerprint.as_str()], ExportMode::empty(), &mut armored)
            .map_err(PublicKeyError::Engine)?;
        Ok(Some(armored).filter(|armored| !armored.is_empty()))
    }

    /// Reads the one key in an armored text. GnuPG works in a folder of its own, which is made in the folder
    /// `parent` and removed.
    ///
    /// # Errors
    /// There is not exactly one key, it is damaged, or the platform would not take its signatures.
    pub(crate) fn read(parent: &Path, armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let data = key_block::decode(armored)?;
        let given = KeyPackets::read(&data)?;
        let scratch = Scratch::make(parent)?;
        let _turn = converse();
        let imported = engine::import(scratch.path(), &data).map_err(PublicKeyError::Engine)?;
        let Some(fingerprint) = imported else {
            // GnuPG imports nothing on a full disk either.
            shortage::probe(scratch.path()).context("write into", scratch.path())?;
            return Err(PublicKeyError::SelfSignature);
        };
        let mut context = engine::context(scratch.path()).map_err(PublicKeyError::Engine)?;
        // This has GnuPG check the signatures on user ids once more, of which an import checks the first.
        context
            .set_key_list_mode(KeyListMode::LOCAL | KeyListMode::SIGS)
            .map_err(PublicKeyError::Engine)?;
        let key = context.get_key(fingerprint.as_str()).map_err(PublicKeyError::Engine)?;
        let damaged = lost(&mut context, &given, &fingerprint)? + damaged(&key);
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

/// Returns how many parts for which the owner of a key answers GnuPG has left out of its import.
fn lost(
    context: &mut Context,
    given: &KeyPackets<'_>,
    fingerprint: &Fingerprint,
) -> Result<usize, PublicKeyError> {
    let mut exported = Vec::new();
    context.set_armor(false);
    context
        .export([fingerprint.as_str()], ExportMode::empty(), &mut exported)
        .map_err(PublicKeyError::Engine)?;
    let id = fingerprint.id().ok_or(PublicKeyError::Engine(Error::INV_VALUE))?;
    let given = given.own(&id);
    if exported.is_empty() {
        // It was imported a moment ago, so GnuPG could not read its keyring.
        return Err(PublicKeyError::Engine(Error::NOT_PROCESSED));
    }
    let kept = KeyPackets::read(&exported).map_or_else(|_| BTreeSet::new(), |kept| kept.own(&id));
    Ok(given.difference(&kept).count())
}

/// Returns how many signatures on the user ids of a key do not hold; those of other keys cannot be checked.
fn damaged(key: &Key) -> usize {
    let is_bad =
        |signature: &UserIdSignature<'_>| signature.status().code() == Error::BAD_SIGNATURE.code();
    key.user_ids().map(|user| user.signatures().filter(is_bad).count()).sum()
}

/// Checks that the platform can verify with a key; returns whose it is.
fn check(key: &Key, fingerprint: &Fingerprint) -> Result<String, PublicKeyError> {
    let primary = key.primary_key().ok_or(PublicKeyError::Engine(Error::INV_VALUE))?;
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
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0, "nothing is left");
        read
    }

    #[test]
    fn one_rsa_key_is_read_and_nothing_else() {
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
        assert!(matches!(read(&both).unwrap_err(), PublicKeyError::Text(KeyFault::Count(2))));
        for none in [&b""[..], b"no key", b"-----BEGIN PGP SIGNATURE-----"] {
            assert!(matches!(read(none).unwrap_err(), PublicKeyError::Text(KeyFault::None)));
        }
        let cut = &armored[..armored.len() / 2];
        assert!(read(cut).is_err());
        let secret = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx\n";
        assert!(matches!(read(secret).unwrap_err(), PublicKeyError::Text(KeyFault::Secret)));
    }

    #[test]
    fn a_key_that_is_not_there_is_none() {
        let home = testing::Home::new();
        let typed = "0xe608 92bb 9bd8 9a69 f759  a1a0 a3d6 5217 3b76 3e8f";
        let fingerprint = Fingerprint::parse(typed).unwrap();
        assert_eq!(fingerprint.as_str(), "E60892BB9BD89A69F759A1A0A3D652173B763E8F");
        assert_eq!(PublicKey::export(home.path(), &fingerprint).unwrap(), None);
        assert_eq!(PublicKey::export(&home.path().join("none"), &fingerprint).unwrap(), None);
        // The name is too long to be looked at: that says nothing about the key.
        let unseen = PublicKey::export(&home.path().join("n".repeat(300)), &fingerprint);
        assert!(matches!(unseen, Err(PublicKeyError::Folder(_))), "{unseen:?}");
        for wrong in ["", "E608", "G60892BB9BD89A69F759A1A0A3D652173B763E8F"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
