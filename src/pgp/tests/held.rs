//! Keys that a signer holds.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::Stdio;
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
fn key_that_changes_is_opened_again() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    let edit = |args: &[&str], typed: &[u8]| drop(damage::gpg(home.path(), args, typed));
    held.sign();

    // The configuration.
    let config = home.path().join("gpg.conf");
    std::fs::write(&config, "digest-algo FOO\n").unwrap();
    assert!(held.error().contains("selected digest algorithm is invalid"));
    std::fs::write(&config, "compliance de-vs\n").unwrap();
    assert!(held.error().contains("GnuPG's compliance mode forbids the signature"));
    // The digest of GnuPG is of no importance.
    std::fs::write(&config, "digest-algo MD5\narmor\ncomment x\n").unwrap();
    verified(home.path(), TEXT, &held.sign());

    // Another expiry.
    let how = ["--batch", "--pinentry-mode", "loopback", "--passphrase", "open sesame"];
    let extend = ["--quick-set-expire", key.as_str(), "1y"];
    run_tool(home.path(), "gpg", &[&how[..], &extend].concat());
    held.said();
    held.sign();
    assert_eq!(held.said().len(), 1);

    // Disabled.
    edit(&["--edit-key", key.as_str()], b"disable\nsave\n");
    assert!(held.error().contains("is disabled"), "{}", held.error());
    edit(&["--edit-key", key.as_str()], b"enable\nsave\n");
    held.sign();

    // Revoked.
    let certificate = home.path().join(format!("openpgp-revocs.d/{key}.rev"));
    let text = std::fs::read_to_string(&certificate).unwrap();
    let (_, certificate) = text.split_once(":-----BEGIN").unwrap();
    edit(&["--batch", "--import"], format!("-----BEGIN{certificate}").as_bytes());
    assert!(held.error().contains("is revoked"), "{}", held.error());

    // Removed.
    let grip = keygrip(home.path(), key.as_str());
    std::fs::remove_file(home.path().join(format!("private-keys-v1.d/{grip}.key"))).unwrap();
    assert!(held.error().contains("no secret key") || held.error().contains("is revoked"));
}

#[test]
fn changed_passphrase_is_noticed() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    held.sign();
    change_passphrase(home.path(), key.as_str(), "open sesame", "close");
    // A new agent does not remember the former passphrase.
    end_gpg_agent(home.path()).unwrap();
    assert!(held.error().contains("the passphrase is wrong"), "{}", held.error());
    change_passphrase(home.path(), key.as_str(), "close", "open sesame");
    verified(home.path(), TEXT, &held.sign());
}

/// Changes the passphrase of a key. GnuPG writes it into the same file.
fn change_passphrase(home: &Path, key: &str, from: &str, to: &str) {
    let how = ["--no-tty", "--quiet", "--pinentry-mode", "loopback", "--command-fd", "0"];
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args(how).args(["--passwd", key]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{from}\n{to}\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn removed_key_no_longer_signs() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let file =
        home.path().join(format!("private-keys-v1.d/{}.key", keygrip(home.path(), key.as_str())));
    let content = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    for _ in 0..2 {
        assert!(held.error().contains("no secret key"), "{}", held.error());
    }
    std::fs::write(&file, content).unwrap();
    held.sign();
}

#[test]
fn expiry_is_noticed_at_the_time_of_the_signature() {
    let home = Home::new();
    let key = quick_key(home.path(), &[], "rsa1024", "sign", "2d");
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let group = held.group();
    held.clock.pass(Duration::from_secs(2 * 86400 - 60));
    held.sign();
    assert_eq!(held.group(), group);
    // GnuPG is asked again. By its own clock the key is still valid.
    held.clock.pass(Duration::from_secs(60));
    held.sign();
    let other = held.group();
    assert_ne!(other, group);
    // A clock before the creation of the key.
    held.clock.set(Timestamp::from_second(1_000_000).unwrap());
    held.sign();
    assert_ne!(held.group(), other);
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
fn errors_of_the_passphrase_are_those_of_gnupg() {
    let home = Home::new();
    let key = home.key("rsa1024", Some("open sesame"));
    for (passphrase, expected) in
        [(Some("close"), "the passphrase is wrong"), (None, "the key needs a passphrase")]
    {
        end_gpg_agent(home.path()).unwrap();
        let held = Held::new(home.path(), key.as_str(), passphrase);
        let error = held.signer.sign(TEXT).unwrap_err();
        assert_eq!(error.verdict(), SignVerdict::KeyUnusable);
        assert!(text(&error).contains(expected), "{}", text(&error));
        assert!(text(&error).contains(key.as_str()));
        assert!(held.said().is_empty());
    }
    end_gpg_agent(home.path()).unwrap();
    std::fs::write(home.path().join("gpg-agent.conf"), "no-allow-loopback-pinentry\n").unwrap();
    let held = Held::new(home.path(), key.as_str(), Some("open sesame"));
    assert!(held.error().contains("no-allow-loopback-pinentry"), "{}", held.error());
}

#[test]
fn key_that_gnupg_does_not_export_stays_with_gnupg() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    add_subkey(home.path(), key.as_str(), "", "rsa1024");
    // GnuPG omits the subkey from the export, as it omits a key on a smartcard.
    let config = home.path().join("gpg.conf");
    std::fs::write(&config, "export-filter drop-subkey=usage=~s\n").unwrap();
    let held = Held::new(home.path(), key.as_str(), None);
    for _ in 0..3 {
        verify(home.path(), TEXT, held.sign().as_str(), RsaNumbers::FullLength).unwrap();
    }
    let said = held.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("cannot unlock key; GnuPG makes each signature"), "{said:?}");
    assert!(said[0].contains("does not contain the part that signs"), "{said:?}");
    assert_eq!(held.signer.group(), None, "no signer remains");
    std::fs::remove_file(&config).unwrap();
    held.sign();
    assert!(held.said()[0].starts_with("unlocked key"));
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

#[test]
fn stopped_signer_is_ended_at_the_time_limit() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    held.sign();
    let group = held.group();
    kill_process_group(group, Signal::STOP).unwrap();
    let signer = held.signer.with_timeout(Duration::from_millis(100));
    let error = signer.sign(TEXT).unwrap_err();
    assert_eq!(error.verdict(), SignVerdict::RetryLater);
    assert_eq!(kill_process(group, Signal::CONT), Err(rustix::io::Errno::SRCH), "it is reaped");
    signer.with_timeout(AMPLE).sign(TEXT).unwrap();
}

#[test]
fn hanging_gnupg_blocks_no_caller() {
    let home = Home::new();
    let key = home.key("rsa1024", None);
    let held = Held::new(home.path(), key.as_str(), None);
    let hanging = crate::pgp::testing::hang::HangingGpg::new(home.path());
    let signer = held.signer.with_timeout(Duration::from_secs(2));
    let errors: Vec<SignError> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..4).map(|_| scope.spawn(|| signer.sign(TEXT).unwrap_err())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(errors.iter().all(|error| text(error).contains("no answer from gpg-agent in 2 s")));
    hanging.assert_ended();
    drop(hanging);
    signer.with_timeout(AMPLE).sign(TEXT).unwrap();
}
