//! Which investigator a signature is attributed to, with keys that are damaged, confusing or
//! replaced.

#![expect(clippy::disallowed_methods, reason = "the tests move GnuPG's files away")]

use std::path::{Path, PathBuf};

use super::*;
use crate::action::Signer;
use crate::clock::{Clock, SystemClock};
use crate::data::testing::{DatabaseKind as Kind, Tables};
use crate::data::{InvestigatorStatus, Permissions};
use crate::pgp::testing::Home;
use crate::pgp::testing::confusion::key_that_contains;
use crate::pgp::testing::hang::HangingGpg;
use crate::pgp::{GpgSigner, export};
use crate::platform::testing::SmallDisk;
use crate::testing::{Logged, is_root};

/// An investigator's key in its own home, and a signature over `text`.
struct SigningKey {
    home: Home,
    fingerprint: Fingerprint,
    armored: Vec<u8>,
    signature: String,
}

impl SigningKey {
    fn new() -> SigningKey {
        let home = Home::new();
        let fingerprint = home.key("rsa1024", None);
        SigningKey::of(home, fingerprint)
    }

    fn of(home: Home, fingerprint: Fingerprint) -> SigningKey {
        let armored = export(home.path(), &fingerprint).unwrap();
        let signer = GpgSigner::open(home.path(), fingerprint.as_str(), None).unwrap();
        let signature = signer.sign(b"text").unwrap().to_string();
        SigningKey { home, fingerprint, armored, signature }
    }
}

/// Signers on a database, with their keyrings in a folder.
struct Rig {
    keys: PathBuf,
    tables: Tables,
    signers: Signers,
    logged: Logged,
}

impl Rig {
    fn new(keys: &Path) -> Rig {
        let (tables, logged) = (Tables::new(Kind::Sqlite), Logged::default());
        let store = Arc::new(tables.open().unwrap());
        let signers = Signers::new(store, Verifier::new(keys), logged.logger());
        Rig { keys: keys.to_owned(), tables, signers, logged }
    }

    /// Inserts an investigator directly into the database.
    fn insert(&self, name: &str, key: &SigningKey) {
        let (permissions, now) = (Permissions::RUNNER, SystemClock.now());
        self.signers
            .store
            .insert_investigator(name, key.fingerprint.as_str(), &key.armored, permissions, now)
            .unwrap();
    }

    fn who(&self, key: &SigningKey) -> Result<String, SignatureError> {
        let found = self.signers.who_signed(b"text", &key.signature, RsaNumbers::FullLength);
        found.map(|found| found.name)
    }

    fn assert_unknown(&self, key: &SigningKey) {
        let error = self.who(key).unwrap_err();
        assert!(matches!(error, SignatureError::Verify(VerifyError::UnknownEntity)), "{error}");
    }

    fn run(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.tables.folder().join("mig.db")).unwrap();
        file.execute(sql, []).unwrap();
    }

    fn set_key(&self, key: &[u8]) {
        let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        self.run(&format!("update investigators set publickey = x'{key}'"));
    }

    /// Returns the homes of the imported keys.
    fn homes(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.keys).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.join("gpg.conf").exists()).collect()
    }
}

#[test]
fn damaged_key_in_the_database_is_not_imported() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    rig.set_key(&bob.armored[..bob.armored.len() / 2]);
    rig.assert_unknown(&bob);
    rig.assert_unknown(&bob);
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
    let [line] = rig.logged.take().try_into().unwrap();
    assert!(line.starts_with("cannot use key, investigator: bob, error: it is cut"), "{line}");
    rig.set_key(&bob.armored);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    assert_eq!(rig.homes().len(), 1);
}

#[test]
fn key_that_contains_the_key_of_another_investigator_does_not_lock_that_one_out() {
    let alice = SigningKey::new();
    let (home, fingerprint) = key_that_contains(&alice.home, &alice.fingerprint);
    let mallory = SigningKey::of(home, fingerprint);
    for order in [["alice", "mallory"], ["mallory", "alice"]] {
        let keys = Home::new();
        let rig = Rig::new(keys.path());
        for name in order {
            rig.insert(name, if name == "alice" { &alice } else { &mallory });
        }
        for _ in 0..2 {
            assert_eq!(rig.who(&alice).unwrap(), "alice", "{order:?}");
            rig.assert_unknown(&mallory);
            assert_eq!(rig.who(&alice).unwrap(), "alice", "{order:?}");
        }
        let [home] = rig.homes().try_into().unwrap();
        let name = home.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(name.starts_with(alice.fingerprint.as_str()), "{name}");
        let line = "cannot use key, investigator: mallory, error: a part of it has the id of a \
                    part of the key of investigator alice: use a key without this part";
        assert_eq!(rig.logged.take(), [line], "{order:?}");
    }
}

#[test]
fn key_that_contains_the_key_of_another_investigator_is_not_admitted() {
    let (keys, alice) = (Home::new(), SigningKey::new());
    let (home, fingerprint) = key_that_contains(&alice.home, &alice.fingerprint);
    let mallory = SigningKey::of(home, fingerprint);
    let rig = Rig::new(keys.path());
    rig.insert("alice", &alice);
    let error = rig.signers.admit(&mallory.armored).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a part of it has the id of a part of the key of investigator alice: use a key without this part"
    );
    rig.signers.admit(&alice.armored).unwrap();
    // Nor the other way round, if the attacker comes first.
    rig.run("delete from investigators");
    rig.insert("mallory", &mallory);
    let error = rig.signers.admit(&alice.armored).unwrap_err();
    assert!(error.to_string().contains("investigator mallory: "), "{error}");
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
}

#[test]
fn key_of_another_fingerprint_is_refused() {
    let (keys, bob, eve) = (Home::new(), SigningKey::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    rig.set_key(&eve.armored);
    rig.assert_unknown(&eve);
    rig.assert_unknown(&bob);
    let line = rig.logged.take().remove(0);
    assert!(line.ends_with(&format!("the stored key is {}", eve.fingerprint)), "{line}");
}

#[test]
fn key_of_a_disabled_or_removed_investigator_is_removed() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    for (status, number) in [("disabled", 0), ("active", 1)] {
        rig.run(&format!("update investigators set status = '{status}'"));
        match number {
            0 => rig.assert_unknown(&bob),
            _ => assert_eq!(rig.who(&bob).unwrap(), "bob"),
        }
        assert_eq!(rig.homes().len(), number, "{status}");
    }
    let id = rig.signers.store.investigators().unwrap()[0].id;
    let (status, now) = (InvestigatorStatus::Disabled, SystemClock.now());
    rig.signers.store.set_investigator_status(id, status, now).unwrap();
    rig.signers.withdraw(bob.fingerprint.as_str());
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
    rig.run("update investigators set status = 'active'");
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    rig.run("delete from investigators");
    rig.assert_unknown(&bob);
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
}

#[test]
fn failed_import_is_repeated_later() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let away = keys.path().with_extension("away");
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    std::fs::rename(keys.path(), &away).unwrap();
    let error = rig.who(&bob).unwrap_err();
    assert!(!error.is_verdict(), "{error}");
    std::fs::rename(&away, keys.path()).unwrap();
    assert_eq!(rig.who(&bob).unwrap(), "bob");
}

#[test]
fn key_whose_home_is_damaged_or_missing_is_imported_again() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    std::fs::remove_dir_all(&rig.homes()[0]).unwrap();
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    let ring = rig.homes()[0].join("pubring.kbx");
    std::fs::remove_file(&ring).unwrap();
    std::fs::create_dir(&ring).unwrap();
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    assert_eq!(rig.homes().len(), 1);
}

#[test]
fn hanging_gpg_is_not_a_verdict_and_is_killed() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    let hanging = HangingGpg::new(&rig.homes()[0]);
    let error = rig.who(&bob).unwrap_err();
    let text = Chain(&error).to_string();
    let expected =
        "cannot verify a signature: no answer from GnuPG in 10 s; its processes were ended";
    assert_eq!((text.as_str(), error.is_verdict()), (expected, false));
    hanging.assert_ended();
    drop(hanging);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
}

#[test]
fn import_on_a_full_disk_is_repeated_as_root() {
    if !is_root("it mounts a small file system") {
        return;
    }
    // From "no room for the folder" to "no room for the last file".
    for free_kib in (0..=48).step_by(8) {
        let (keys, bob) = (tempfile::tempdir().unwrap(), SigningKey::new());
        let _mount = SmallDisk::mount(keys.path(), 64);
        let rig = Rig::new(keys.path());
        rig.insert("bob", &bob);
        let fill = keys.path().join("fill");
        std::fs::write(&fill, vec![0; (64 - free_kib) << 10]).unwrap();
        match rig.who(&bob) {
            Ok(name) => assert_eq!(name, "bob"),
            Err(error) => assert!(!error.is_verdict(), "{free_kib} KiB free: {error:?}"),
        }
        std::fs::remove_file(&fill).unwrap();
        assert_eq!(rig.who(&bob).unwrap(), "bob", "{free_kib} KiB were free");
    }
}

#[test]
fn replaced_key_is_imported_again() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
    rig.set_key(b"no key");
    rig.assert_unknown(&bob);
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
    rig.set_key(&bob.armored);
    assert_eq!(rig.who(&bob).unwrap(), "bob");
}

#[test]
fn action_with_many_signatures_is_refused_unchecked() {
    let (keys, bob) = (Home::new(), SigningKey::new());
    let rig = Rig::new(keys.path());
    rig.insert("bob", &bob);
    let mut action = Action::parse(b"{}").unwrap();
    action.signatures = Some(vec![bob.signature.clone(); SIGNATURES_MAX + 1]);
    let error = rig.signers.verify(&action).unwrap_err();
    assert_eq!(error.to_string(), "the action has more than 64 signatures");
    assert!(rig.homes().is_empty(), "{:?}", rig.homes());
}
