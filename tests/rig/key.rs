//! A key, made by GnuPG itself, in a home of its own.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{make_folder, number};

/// The length of a key, in bytes.
const BYTES: usize = 256;

/// A key in its home.
pub(crate) struct Key {
    home: PathBuf,
    fingerprint: String,
}

impl Key {
    /// Makes an RSA key without a passphrase.
    pub(crate) fn generate(home: &Path, owner: &str) -> Key {
        make_folder(home);
        let mut key = Key { home: home.to_owned(), fingerprint: String::new() };
        let arguments = ["--passphrase", "", "--quick-gen-key", owner, "rsa2048", "sign", "never"];
        key.gpg(&arguments, b"");
        key.fingerprint = fingerprint(key.gpg(&["--with-colons", "--list-keys"], b""));
        key
    }

    /// Returns the GnuPG home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the public key, armored.
    pub(crate) fn export(&self) -> Vec<u8> {
        self.gpg(&["--armor", "--export"], b"")
    }

    /// Signs a text; returns the signature on one line, as the platform has them.
    pub(crate) fn sign(&self, text: &str) -> String {
        let armored = self.gpg(&["--armor", "--detach-sign"], text.as_bytes());
        let armored = String::from_utf8(armored).unwrap();
        let (_, body) = armored.split_once("\n\n").unwrap();
        let (body, _) = body.split_once("\n-----").unwrap();
        // The original takes no shorter number, and neither does the platform in an action.
        number::padded(&body.replace('\n', ""), BYTES)
    }

    /// Returns the fingerprint of a public key, which stays outside of the home.
    pub(crate) fn fingerprint_of(&self, armored: &[u8]) -> String {
        fingerprint(self.gpg(&["--with-colons", "--show-keys"], armored))
    }

    /// Adds a public key to the home.
    pub(crate) fn import(&self, armored: &[u8]) {
        self.gpg(&["--import"], armored);
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let mut child = Command::new("gpg")
            .arg("--homedir")
            .arg(&self.home)
            .args(["--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback"])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    }
}

/// Returns the first fingerprint in a list of keys.
fn fingerprint(listed: Vec<u8>) -> String {
    let listed = String::from_utf8(listed).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

impl Drop for Key {
    fn drop(&mut self) {
        let mut gpgconf = Command::new("gpgconf");
        gpgconf.arg("--homedir").arg(&self.home).args(["--kill", "all"]);
        assert!(gpgconf.status().unwrap().success());
    }
}
