//! Verification of signatures with the keys of the active investigators.
//!
//! The database decides who is an investigator. The GnuPG home only contains the keys, which GnuPG
//! needs for verifying. A key that was added to the database later is imported when a signature of
//! an unknown key is found.
//!
//! **Failure.** Only a verdict is final. If a key could not be imported for a temporary reason (no
//! space, no descriptors, GnuPG could not be started), the import is repeated with the next
//! signature of an unknown key. Until then such a signature counts as unchecked, not as invalid.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::action::Action;
use crate::chain::Chain;
use crate::data::{DataError, InvestigatorRow, Store};
use crate::pgp::{Fingerprint, ImportError, RsaNumbers, Verifier, VerifyError};
use crate::relay::{ActionVerifier, VerificationError};

/// Time before a key that was refused is imported again, unless it is replaced.
const REFUSED_RETRY_DELAY: Duration = Duration::from_secs(60);

/// Why a signature is not accepted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignatureError {
    /// The signature is invalid; the text is that of the original's OpenPGP library.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("Error while finding investigator")]
    Data(#[from] DataError),
    /// The key of an investigator is not imported yet. The signature may be made with it.
    #[error("cannot import the key of investigator {name}")]
    Import {
        /// The name of the investigator.
        name: String,
        source: ImportError,
    },
    /// GnuPG does not find a key that it has imported.
    #[error("GnuPG cannot read its keyring")]
    Keyring,
}

impl SignatureError {
    /// Returns whether the signature was checked and found invalid. Otherwise it could not be
    /// checked, and may be valid.
    pub(crate) fn is_verdict(&self) -> bool {
        match self {
            SignatureError::Verify(error) => {
                !matches!(error, VerifyError::GnuPg(_) | VerifyError::Configuration(_))
            }
            SignatureError::Data(_) | SignatureError::Import { .. } | SignatureError::Keyring => {
                false
            }
        }
    }
}

/// The result of importing a key, with a hash of the key's text.
#[derive(Debug)]
enum Import {
    Done(u64),
    /// GnuPG refused the key at this time.
    Refused(u64, Instant),
}

impl Import {
    /// Returns whether the key with this hash need not be imported now.
    fn is_current(&self, key: u64) -> bool {
        match self {
            Import::Done(known) => *known == key,
            Import::Refused(known, at) => *known == key && at.elapsed() < REFUSED_RETRY_DELAY,
        }
    }
}

/// The imports since the start.
#[derive(Debug, Default)]
struct Imports {
    /// The latest import, by fingerprint.
    known: HashMap<String, Import>,
    /// The number of successful imports.
    count: usize,
    /// The last logged error of a key that is not imported, by fingerprint.
    logged: HashMap<String, String>,
}

impl Imports {
    /// Returns the keys that GnuPG has imported.
    fn done(&self) -> Vec<Fingerprint> {
        let done = self.known.iter().filter(|(_, import)| matches!(import, Import::Done(_)));
        done.filter_map(|(fingerprint, _)| Fingerprint::parse(fingerprint)).collect()
    }
}

/// The investigators, and the verifier with their keys.
#[derive(Debug)]
pub(crate) struct Signers {
    store: Arc<Store>,
    verifier: Verifier,
    imports: Mutex<Imports>,
    log: slog::Logger,
}

impl Signers {
    /// Returns the signers of `store`, whose keys are imported into `verifier` when needed.
    pub(crate) fn new(store: Arc<Store>, verifier: Verifier, log: slog::Logger) -> Signers {
        Signers { store, verifier, imports: Mutex::default(), log }
    }

    /// Imports the public key of a new investigator.
    pub(crate) fn admit(&self, publickey: &[u8]) -> Result<Fingerprint, ImportError> {
        self.verifier.import(publickey)
    }

    /// Returns the active investigator who has signed `data` with the one-line `signature`.
    /// `numbers` says whether the RSA number may be short.
    pub(crate) fn who_signed(
        &self,
        data: &[u8],
        signature: &str,
        numbers: RsaNumbers,
    ) -> Result<InvestigatorRow, SignatureError> {
        let count = self.imports.lock().unwrap_or_else(PoisonError::into_inner).count;
        let verify = || self.verifier.verify(data, signature, numbers);
        let by = match verify() {
            Err(unknown @ (VerifyError::UnknownEntity | VerifyError::UnusableKey)) => {
                self.after_import(count, verify, signature, unknown)?
            }
            verified => verified?,
        };
        let investigator = self.store.investigator(by.as_str())?;
        let active = investigator.filter(InvestigatorRow::is_active);
        active.ok_or(SignatureError::Verify(VerifyError::UnknownEntity))
    }

    /// Imports missing keys, and verifies a signature of an unknown key again if more than `count`
    /// keys are imported now.
    fn after_import(
        &self,
        count: usize,
        verify: impl Fn() -> Result<Fingerprint, VerifyError>,
        signature: &str,
        unknown: VerifyError,
    ) -> Result<Fingerprint, SignatureError> {
        let mut imports = self.imports.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = self.import(&mut imports)?;
        // Another thread may have imported the key meanwhile.
        let error = match imports.count > count {
            false => unknown,
            true => match verify() {
                Ok(by) => return Ok(by),
                Err(error) => error,
            },
        };
        match (error, missing) {
            (VerifyError::UnknownEntity, Some(missing)) => Err(missing),
            // GnuPG treats a keyring that it cannot open as an empty one.
            (VerifyError::UnknownEntity, None)
                if Verifier::names_issuer(signature, &imports.done()) =>
            {
                Err(SignatureError::Keyring)
            }
            (error, _) => Err(error.into()),
        }
    }

    /// Imports the keys that are new. A key that cannot be imported does not affect others, and is
    /// logged when the reason changes. Returns the first error that is temporary.
    fn import(&self, imports: &mut Imports) -> Result<Option<SignatureError>, DataError> {
        let mut missing = None;
        for investigator in self.store.investigators()? {
            let InvestigatorRow { name, fingerprint, publickey, .. } = &investigator;
            let key = hash(publickey);
            let is_known =
                imports.known.get(fingerprint).is_some_and(|import| import.is_current(key));
            if !investigator.is_active() || publickey.is_empty() || is_known {
                continue;
            }
            let Err(error) = self.verifier.import(publickey) else {
                imports.count += 1;
                imports.known.insert(fingerprint.clone(), Import::Done(key));
                imports.logged.remove(fingerprint);
                continue;
            };
            let text = Chain(&error).to_string();
            if imports.logged.get(fingerprint) != Some(&text) {
                slog::error!(self.log, "cannot use key";
                    "investigator" => name, "error" => &text);
                imports.logged.insert(fingerprint.clone(), text);
            }
            if error.is_verdict() {
                imports.known.insert(fingerprint.clone(), Import::Refused(key, Instant::now()));
            } else {
                let name = name.clone();
                missing = missing.or(Some(SignatureError::Import { name, source: error }));
            }
        }
        Ok(missing)
    }
}

impl ActionVerifier for Signers {
    fn verify(&self, action: &Action) -> Result<(), VerificationError> {
        let text = action.signed_text();
        for signature in action.signatures.iter().flatten() {
            // An earlier release of the API accepted short numbers; such actions are run.
            self.who_signed(text.as_bytes(), signature, RsaNumbers::AnyLength).map_err(
                |error| match error.is_verdict() {
                    true => VerificationError::Refused(error.into()),
                    false => VerificationError::Unavailable(error.into()),
                },
            )?;
        }
        Ok(())
    }
}

fn hash(key: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests move GnuPG's files away")]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::action::Signer;
    use crate::clock::{Clock, SystemClock};
    use crate::data::Permissions;
    use crate::data::testing::{DatabaseKind as Kind, Tables};
    use crate::pgp::testing::Home;
    use crate::pgp::{GpgSigner, PublicKey, export};
    use crate::platform::testing::SmallDisk;
    use crate::testing::is_root;

    #[test]
    fn damaged_key_in_the_database_is_not_imported() {
        let (home, keys) = (Home::new(), Home::new());
        let key = home.key("rsa1024", None);
        let armored = export(home.path(), &key).unwrap();
        let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
        let signature = keyring.sign(b"text").unwrap();
        let who = |key_in_database: &[u8]| {
            let tables = Tables::new(Kind::Sqlite);
            let store = Arc::new(tables.open().unwrap());
            let (permissions, now) = (Permissions::RUNNER, SystemClock.now());
            store
                .insert_investigator("bob", key.as_str(), key_in_database, permissions, now)
                .unwrap();
            let log = slog::Logger::root(slog::Discard, slog::o!());
            let signers = Signers::new(store, Verifier::new(keys.path()), log);
            signers.who_signed(b"text", signature.as_str(), RsaNumbers::FullLength)
        };
        let imported = || PublicKey::export(keys.path(), &key).unwrap();
        let error = who(&armored[..armored.len() / 2]).unwrap_err();
        assert!(matches!(error, SignatureError::Verify(VerifyError::UnknownEntity)), "{error}");
        assert_eq!(imported(), None);
        assert_eq!(who(&armored).unwrap().name, "bob");
        assert_eq!(imported(), Some(armored.clone()));
    }

    /// Signers with one investigator, and the investigator's signature over `text`.
    struct SignedText {
        _home: Home,
        _tables: Tables,
        signers: Signers,
        signature: String,
    }

    impl SignedText {
        fn new(keys: &Path) -> SignedText {
            let home = Home::new();
            let key = home.key("rsa1024", None);
            let armored = export(home.path(), &key).unwrap();
            let keyring = GpgSigner::open(home.path(), key.as_str(), None).unwrap();
            let signature = keyring.sign(b"text").unwrap().to_string();
            let tables = Tables::new(Kind::Sqlite);
            let store = Arc::new(tables.open().unwrap());
            let (permissions, now) = (Permissions::RUNNER, SystemClock.now());
            store.insert_investigator("bob", key.as_str(), &armored, permissions, now).unwrap();
            let log = slog::Logger::root(slog::Discard, slog::o!());
            let signers = Signers::new(store, Verifier::new(keys), log);
            SignedText { _home: home, _tables: tables, signers, signature }
        }

        fn who(&self) -> Result<String, SignatureError> {
            self.signers
                .who_signed(b"text", &self.signature, RsaNumbers::FullLength)
                .map(|found| found.name)
        }
    }

    #[test]
    fn failed_import_is_repeated_later() {
        let keys = Home::new();
        let away = keys.path().with_extension("away");
        let signed = SignedText::new(keys.path());
        std::fs::rename(keys.path(), &away).unwrap();
        let error = signed.who().unwrap_err();
        assert!(!error.is_verdict(), "{error}");
        std::fs::rename(&away, keys.path()).unwrap();
        assert_eq!(signed.who().unwrap(), "bob");
    }

    #[test]
    fn unreadable_keyring_is_not_a_verdict() {
        let keys = Home::new();
        let signed = SignedText::new(keys.path());
        assert_eq!(signed.who().unwrap(), "bob");
        let (ring, away) = (keys.path().join("pubring.kbx"), keys.path().join("away"));
        std::fs::rename(&ring, &away).unwrap();
        std::fs::create_dir(&ring).unwrap();
        let error = signed.who().unwrap_err();
        assert!(!error.is_verdict(), "{error}");
        std::fs::remove_dir(&ring).unwrap();
        std::fs::rename(&away, &ring).unwrap();
        assert_eq!(signed.who().unwrap(), "bob");
    }

    #[test]
    fn import_on_a_full_disk_is_repeated_as_root() {
        if !is_root("it mounts a small file system") {
            return;
        }
        // From "no room for the folder" to "no room for the last file".
        for free_kib in (0..=48).step_by(8) {
            let keys = tempfile::tempdir().unwrap();
            let _mount = SmallDisk::mount(keys.path(), 64 + 4);
            // 4 KiB for the options of the platform's keyring: GnuPG starts no agent, which would outlive
            // the disk.
            std::fs::write(keys.path().join("gpg.conf"), "no-autostart\n").unwrap();
            let signed = SignedText::new(keys.path());
            let fill = keys.path().join("fill");
            std::fs::write(&fill, vec![0; (64 - free_kib) << 10]).unwrap();
            match signed.who() {
                Ok(name) => assert_eq!(name, "bob"),
                Err(error) => assert!(!error.is_verdict(), "{free_kib} KiB free: {error:?}"),
            }
            std::fs::remove_file(&fill).unwrap();
            assert_eq!(signed.who().unwrap(), "bob", "{free_kib} KiB were free");
        }
    }

    #[test]
    fn replaced_key_is_imported_again() {
        let keys = Home::new();
        let signed = SignedText::new(keys.path());
        let whole = signed.signers.store.investigators().unwrap().remove(0);
        let change = |key: &[u8]| {
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let path = signed._tables.folder().join("mig.db");
            let file = rusqlite::Connection::open(path).unwrap();
            file.execute(&format!("update investigators set publickey = x'{key}'"), []).unwrap();
        };
        change(b"no key");
        let error = signed.who().unwrap_err();
        assert!(matches!(error, SignatureError::Verify(VerifyError::UnknownEntity)), "{error}");
        change(&whole.publickey);
        assert_eq!(signed.who().unwrap(), "bob");
    }
}
