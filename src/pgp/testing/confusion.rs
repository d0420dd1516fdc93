//! A key that contains the key of another person as a subkey.

#![expect(clippy::disallowed_methods, reason = "tests edit the files of GnuPG homes")]

use std::fs;
use std::path::Path;

use super::super::Fingerprint;
use super::Home;
use super::damage::gpg;

/// Returns a home with a key that contains the primary key `victim` of another home as a subkey, and
/// the fingerprint of the new key.
///
/// The attacker needs only the public key of the victim: the binding signature is the attacker's.
/// GnuPG makes it only for a key whose secret part it has, so here the attacker gets that too.
pub(crate) fn key_that_contains(from: &Home, victim: &Fingerprint) -> (Home, Fingerprint) {
    let attacker = Home::new();
    let config = attacker.path().join("gpg.conf");
    // Created before the victim's key.
    fs::write(&config, "faked-system-time 20260101T000000\n").unwrap();
    let own = attacker.key("rsa1024", None);
    fs::write(&config, "").unwrap();
    let secret = gpg(from.path(), &["--batch", "--export-secret-keys", victim.as_str()], b"");
    gpg(attacker.path(), &["--batch", "--import"], &secret);
    let (created, grip) =
        (field(attacker.path(), victim, "sec", 5), field(attacker.path(), victim, "grp", 9));
    let created = jiff::Timestamp::from_second(created.parse().unwrap()).unwrap();
    // The time of creation is part of a fingerprint.
    let time = format!("{}!", created.strftime("%Y%m%dT%H%M%S"));
    let options = ["--expert", "--faked-system-time", &time, "--edit-key", own.as_str()];
    // 13: an existing key, by its keygrip; s: not for signing; 0: does not expire.
    gpg(attacker.path(), &options, format!("addkey\n13\n{grip}\ns\nq\n0\nsave\n").as_bytes());
    let listed = gpg(
        attacker.path(),
        &["--with-colons", "--with-subkey-fingerprint", "-k", own.as_str()],
        b"",
    );
    let listed = String::from_utf8(listed).unwrap();
    assert!(listed.contains(victim.as_str()), "{listed}");
    (attacker, own)
}

/// Returns a field of the first line of this kind in the list of a secret key.
fn field(home: &Path, key: &Fingerprint, kind: &str, number: usize) -> String {
    let listed = gpg(home, &["--with-colons", "--with-keygrip", "-K", key.as_str()], b"");
    let listed = String::from_utf8(listed).unwrap();
    let mut lines = listed.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields[0] == kind).unwrap()[number].to_owned()
}
