//! Keys that a signer holds.

mod changes;

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use rustix::process::kill_process_group;

use super::*;
use crate::action::Signature;
use crate::clock::testing::TestClock;
use crate::clock::{Clock, SystemClock};
use crate::pgp::armor::from_line;
use crate::pgp::testing::short::{CLOCK, SHORT};
use crate::pgp::testing::{damage, import};
use crate::testing::{Logged, retried};

/// A key that is held, with its log and its clock.
struct Held {
    signer: GpgSigner,
    log: Logged,
    clock: Arc<TestClock>,
}

impl Held {
    fn new(home: &Path, key: &str, passphrase: Option<&str>) -> Held {
        let (log, clock) = (Logged::default(), Arc::new(TestClock::new(SystemClock.now())));
        let signer = GpgSigner::open(home, key, passphrase.map(secret)).unwrap();
        let signer = signer.held(Arc::clone(&clock) as Arc<dyn Clock>, log.logger());
        Held { signer, log, clock }
    }

    fn sign(&self) -> Signature {
        self.signer.sign(TEXT).unwrap()
    }

    fn error(&self) -> String {
        text(&self.signer.sign(TEXT).unwrap_err())
    }

    fn group(&self) -> Pid {
        self.signer.group().unwrap()
    }

    /// Returns the lines about the key since the last call.
    fn said(&self) -> Vec<String> {
        let mut said = self.log.take();
        // Depends on the limits of the user who runs the tests.
        said.retain(|line| !line.starts_with("cannot lock the memory"));
        said
    }
}

/// Checks that the program `gpg` calls a signature good; returns what it says about it.
fn good(home: &Path, text: &[u8], signature: &Signature) -> String {
    let files = ["sig", "data"].map(|name| home.join(name));
    std::fs::write(&files[0], from_line(signature.as_str()).unwrap()).unwrap();
    std::fs::write(&files[1], text).unwrap();
    let paths = files.each_ref().map(|file| file.to_str().unwrap());
    let args = ["--status-fd", "1", "--verify", paths[0], paths[1]];
    let said = String::from_utf8(run_tool(home, "gpg", &args).stdout).unwrap();
    assert!(said.contains("GOODSIG"), "{said}");
    let valid = said.lines().find_map(|line| line.strip_prefix("[GNUPG:] VALIDSIG "));
    valid.unwrap().to_owned()
}

/// Checks that a signature is good and made by a signer; returns the fingerprint of the part of the
/// key.
fn verified(home: &Path, text: &[u8], signature: &Signature) -> String {
    let valid = good(home, text, signature);
    // Version 4, RSA, SHA-256, of bytes.
    assert!(valid.contains(" 4 0 1 8 00 "), "{valid}");
    valid.split(' ').next().unwrap().to_owned()
}

/// Adds a subkey that signs.
fn add_subkey(home: &Path, key: &str, passphrase: &str, algorithm: &str) {
    let how = ["--batch", "--pinentry-mode", "loopback", "--passphrase", passphrase];
    let add = ["--quick-add-key", key, algorithm, "sign", "never"];
    run_tool(home, "gpg", &[&how[..], &add].concat());
}

#[test]
fn signatures_are_good_for_gpg_and_for_the_platform() {
    for (algorithm, passphrase) in [
        ("rsa2048", None),
        ("rsa2048", Some("open sesame")),
        ("rsa3072", None),
        ("rsa4096", Some("öffne dich \u{2713}")),
    ] {
        let home = Home::new();
        let key = home.key(algorithm, passphrase);
        let held = Held::new(home.path(), key.as_str(), passphrase);
        let signature = held.sign();
        assert_eq!(verified(home.path(), TEXT, &signature), key.as_str(), "{algorithm}");
        let by = verify(home.path(), TEXT, signature.as_str(), RsaNumbers::FullLength).unwrap();
        assert_eq!(by, key);
        // The same bytes in the same second, again and after the key has been opened again.
        let group = held.group();
        assert_eq!(held.sign(), signature);
        assert_eq!(held.group(), group);
        kill_process_group(group, Signal::KILL).unwrap();
        assert_eq!(held.sign(), signature);
        held.clock.pass(Duration::from_secs(1));
        assert_ne!(held.sign(), signature);
        let said = held.said();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(
            said[0].starts_with(&format!("unlocked key, key: {key}, subkey: {key}")),
            "{said:?}"
        );
        assert!(signature.as_str().starts_with("ws"), "the header of the original");
    }
}

#[test]
fn held_key_makes_the_recorded_signatures() {
    for short in SHORT {
        let home = Home::new();
        import(home.path(), short.secret);
        let (text, line) = short.token();
        let key = verify(home.path(), text.as_bytes(), line, RsaNumbers::AnyLength).unwrap();
        let held = Held::new(home.path(), key.as_str(), None);
        let time = CLOCK.split_once(' ').unwrap().1.trim_end().trim_end_matches('!');
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S", time).unwrap();
        held.clock.set(time.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp());
        // Only the digest differs from GnuPG's default, so the number cannot be the recorded one; the
        // length is that of the key even if the number begins with zeros.
        for number in 0..2000 {
            let text = format!("text {number}");
            let signature = held.signer.sign(text.as_bytes()).unwrap();
            let content = from_line(signature.as_str()).unwrap();
            let numbers = &content[content.len() - short.bytes - 2..];
            assert_eq!(usize::from(u16::from_be_bytes([numbers[0], numbers[1]])), short.bytes * 8);
            if numbers[2] == 0 {
                let by = verify(
                    home.path(),
                    text.as_bytes(),
                    signature.as_str(),
                    RsaNumbers::FullLength,
                );
                assert_eq!(by.unwrap(), key);
                break;
            }
            assert!(number < 1999, "no number began with a zero");
        }
    }
}

#[test]
fn part_that_signs_is_the_one_that_gnupg_takes() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    assert_eq!(verified(home.path(), TEXT, &held.sign()), key.as_str());
    add_subkey(home.path(), key.as_str(), "open sesame", "rsa2048");
    let with_gnupg = || {
        let signer =
            GpgSigner::open(home.path(), key.as_str(), Some(secret("open sesame"))).unwrap();
        let valid = good(home.path(), TEXT, &signer.sign(TEXT).unwrap());
        valid.split(' ').next().unwrap().to_owned()
    };
    let subkey = with_gnupg();
    // Not before the creation of the subkey.
    held.clock.set(SystemClock.now());
    assert_ne!(subkey, key.as_str());
    assert_eq!(verified(home.path(), TEXT, &held.sign()), subkey);
    assert_eq!(held.said().len(), 2);
    // Without the secret of the primary key.
    let grip = keygrip(home.path(), key.as_str());
    std::fs::remove_file(home.path().join(format!("private-keys-v1.d/{grip}.key"))).unwrap();
    assert_eq!(verified(home.path(), TEXT, &held.sign()), subkey);
    assert_eq!(with_gnupg(), subkey);
    assert!(held.said()[0].starts_with("unlocked key"));
}

/// Returns the keygrip of the primary key.
fn keygrip(home: &Path, key: &str) -> String {
    let list = ["--with-colons", "--with-keygrip", "--list-keys", key];
    let listed = String::from_utf8(run_tool(home, "gpg", &list).stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with("grp:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

#[test]
fn threads_sign_at_once() {
    let home = Home::new();
    let key = home.key("rsa2048", None);
    let held = Held::new(home.path(), key.as_str(), None);
    // The first signatures open the key, and only one of them does so.
    let signatures: Vec<(String, Signature)> = std::thread::scope(|scope| {
        let sign = |thread: usize| {
            let held = &held;
            scope.spawn(move || {
                let text = |number| format!("text {thread} {number}");
                let sign =
                    |text: String| (text.clone(), held.signer.sign(text.as_bytes()).unwrap());
                (0..20).map(text).map(sign).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..16).map(sign).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(held.said().len(), 1);
    let different: BTreeSet<&str> = signatures.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(different.len(), 16 * 20);
    for (text, signature) in signatures.iter().step_by(40) {
        verify(home.path(), text.as_bytes(), signature.as_str(), RsaNumbers::FullLength).unwrap();
    }
}

#[test]
fn key_with_another_protection_is_unlocked() {
    for passphrase in ["a", &"long ".repeat(40)] {
        let home = Home::new();
        let options = ["s2k-digest-algo SHA512", "s2k-cipher-algo AES256", "s2k-count 1024"];
        std::fs::write(home.path().join("gpg.conf"), options.join("\n")).unwrap();
        std::fs::write(home.path().join("gpg-agent.conf"), "s2k-count 1024\n").unwrap();
        let key = home.key("rsa1024", Some(passphrase));
        let held = Held::new(home.path(), key.as_str(), Some(passphrase));
        assert_eq!(verified(home.path(), TEXT, &held.sign()), key.as_str());
        assert!(held.said()[0].starts_with("unlocked key"));
    }
}

#[test]
fn key_is_unlocked_ahead() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let Held { signer, log, .. } = Held::new(home.path(), key.as_str(), None);
    let signer = Arc::new(signer);
    signer.unlock_in_background();
    retried(|| signer.group().ok_or(()), |()| true).unwrap();
    let group = signer.group();
    signer.sign(TEXT).unwrap();
    assert_eq!(signer.group(), group);
    assert_eq!(log.take().iter().filter(|line| line.starts_with("unlocked key")).count(), 1);
}
