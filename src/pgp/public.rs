//! A public key in a text: whose it is, and whether the platform can verify with it.
//!
//! GnuPG reads the text and imports nothing, so that a key can be refused before
//! anybody relies on it.

use std::path::Path;

use gpgme::{Error, ExportMode, Key, KeyAlgorithm, Subkey};

use super::Fingerprint;
use super::engine;

/// How an armored public key begins.
const HEAD: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// How an armored secret key begins.
const SECRET_HEAD: &str = "-----BEGIN PGP PRIVATE KEY BLOCK-----";

/// How many hexadecimal digits a fingerprint has: no RSA key has one of another length.
const DIGITS: usize = 40;

/// A key with which the platform can verify signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The fingerprint of the key, by which the platform knows it.
    pub(crate) fingerprint: Fingerprint,
    /// Whose key it is.
    pub(crate) owner: String,
}

/// Why a text is not one key that the platform can verify with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicKeyError {
    /// It is not armored, or nothing of the kind.
    #[error("it holds no armored public key: gpg --armor --export KEY writes one")]
    None,
    /// It is what nobody else should see.
    #[error("it holds a secret key: keep that, and give what gpg --armor --export KEY writes")]
    Secret,
    /// There is not exactly one.
    #[error("it holds {0} public keys: give one")]
    Count(usize),
    /// It is over, or called back.
    #[error("the key {key} {why}")]
    Unusable {
        /// The key.
        key: Fingerprint,
        /// What is the matter with it.
        why: &'static str,
    },
    /// The platform's library does not know keys of this type.
    #[error(
        "the key {key} is of type {algorithm}, which the platform cannot verify: use an RSA key"
    )]
    Type {
        /// The key.
        key: Fingerprint,
        /// The type.
        algorithm: String,
    },
    /// GnuPG failed.
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
        if !home.exists() {
            return Ok(None);
        }
        let mut armored = Vec::new();
        let mut context = engine::context(home).map_err(PublicKeyError::Engine)?;
        context
            .export([fingerprint.as_str()], ExportMode::empty(), &mut armored)
            .map_err(PublicKeyError::Engine)?;
        Ok(Some(armored).filter(|armored| !armored.is_empty()))
    }

    /// Reads the one key in an armored text. GnuPG needs a `home` to work in, and changes nothing there.
    ///
    /// # Errors
    /// There is not exactly one key, or the platform would not take its signatures.
    pub(crate) fn read(home: &Path, armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        let text = String::from_utf8_lossy(armored);
        if text.contains(SECRET_HEAD) {
            return Err(PublicKeyError::Secret);
        }
        if !text.contains(HEAD) {
            return Err(PublicKeyError::None);
        }
        let mut context = engine::context(home).map_err(PublicKeyError::Engine)?;
        let found: Result<Vec<Key>, Error> =
            context.read_keys(armored).map_err(PublicKeyError::Engine)?.collect();
        let mut keys = found.map_err(PublicKeyError::Engine)?;
        let count = keys.len();
        let Some(key) = keys.pop().filter(|_| count == 1) else {
            return Err(PublicKeyError::Count(count));
        };
        check(&key)
    }
}

fn check(key: &Key) -> Result<PublicKey, PublicKeyError> {
    let (primary, fingerprint) = key
        .primary_key()
        .and_then(|primary| Some((primary, Fingerprint::new(primary.fingerprint().ok()?))))
        .ok_or(PublicKeyError::Engine(Error::INV_VALUE))?;
    let why = [
        (key.is_revoked(), "is revoked"),
        (key.is_expired(), "is expired: extend it, and export it again"),
        (key.is_disabled(), "is disabled"),
        (key.is_invalid(), "is invalid"),
    ];
    if let Some((_, why)) = why.into_iter().find(|(is, _)| *is) {
        return Err(PublicKeyError::Unusable { key: fingerprint, why });
    }
    let signing: Vec<Subkey<'_>> =
        key.subkeys().filter(|part| part.can_sign() && !part.is_bad()).collect();
    if signing.is_empty() {
        return Err(PublicKeyError::Unusable { key: fingerprint, why: "cannot sign" });
    }
    for part in signing.iter().chain([&primary]) {
        if !matches!(part.algorithm(), KeyAlgorithm::Rsa | KeyAlgorithm::RsaSign) {
            let algorithm = part.algorithm_name().unwrap_or_else(|_| "unknown".to_owned());
            return Err(PublicKeyError::Type { key: fingerprint, algorithm });
        }
    }
    let owner =
        key.user_ids().next().and_then(|user| user.id().ok()).unwrap_or_default().to_owned();
    Ok(PublicKey { fingerprint, owner })
}

#[cfg(test)]
mod tests {
    use super::super::{NewKey, export, generate, testing};
    use super::*;

    fn read(armored: &[u8]) -> Result<PublicKey, PublicKeyError> {
        // GnuPG is given a home of its own, to see that nothing is left in it.
        let home = testing::Home::new();
        let read = PublicKey::read(home.path(), armored);
        let has = |name: &str| home.path().join(name).exists();
        assert!(
            !has("pubring.kbx")
                || std::fs::metadata(home.path().join("pubring.kbx")).unwrap().len() < 100
        );
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
        assert!(matches!(read(&both).unwrap_err(), PublicKeyError::Count(2)));
        for none in [&b""[..], b"no key", b"-----BEGIN PGP SIGNATURE-----"] {
            assert!(matches!(read(none).unwrap_err(), PublicKeyError::None));
        }
        let cut = &armored[..armored.len() / 2];
        assert!(read(cut).is_err());
        let secret = b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxx\n";
        assert!(matches!(read(secret).unwrap_err(), PublicKeyError::Secret));
    }

    #[test]
    fn a_key_that_is_not_there_is_none() {
        let home = testing::Home::new();
        let typed = "0xe608 92bb 9bd8 9a69 f759  a1a0 a3d6 5217 3b76 3e8f";
        let fingerprint = Fingerprint::parse(typed).unwrap();
        assert_eq!(fingerprint.as_str(), "E60892BB9BD89A69F759A1A0A3D652173B763E8F");
        assert_eq!(PublicKey::export(home.path(), &fingerprint).unwrap(), None);
        assert_eq!(PublicKey::export(&home.path().join("none"), &fingerprint).unwrap(), None);
        for wrong in ["", "E608", "G60892BB9BD89A69F759A1A0A3D652173B763E8F"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
