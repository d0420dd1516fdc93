//! Recorded signatures with a short RSA number: a token and an action for each key length, made by
//! GnuPG 2.2.40.

use super::super::{armor, padding};
use crate::action::{Action, Signature};

/// A token and an action that were signed with one key at the same time.
pub(crate) struct ShortSignatures {
    /// The length of the key, in bytes.
    pub(crate) bytes: usize,
    /// The public key, armored.
    pub(crate) public: &'static [u8],
    /// The secret key, armored, without a passphrase.
    pub(crate) secret: &'static [u8],
    token: &'static str,
    pub(crate) action: &'static str,
}

pub(crate) const SHORT: [ShortSignatures; 2] = [
    ShortSignatures {
        bytes: 256,
        public: include_bytes!("../../../tests/data/short/rsa2048/public.asc"),
        secret: include_bytes!("../../../tests/data/short/rsa2048/secret.asc"),
        token: include_str!("../../../tests/data/short/rsa2048/token"),
        action: include_str!("../../../tests/data/short/rsa2048/action.json"),
    },
    ShortSignatures {
        bytes: 384,
        public: include_bytes!("../../../tests/data/short/rsa3072/public.asc"),
        secret: include_bytes!("../../../tests/data/short/rsa3072/secret.asc"),
        token: include_str!("../../../tests/data/short/rsa3072/token"),
        action: include_str!("../../../tests/data/short/rsa3072/action.json"),
    },
];

/// The option of GnuPG that sets the time of new signatures to that of the recorded ones.
pub(crate) const CLOCK: &str = "faked-system-time 20261130T040000!\n";

impl ShortSignatures {
    /// Returns the signed text of the token, and its signature.
    pub(crate) fn token(&self) -> (String, &'static str) {
        let (claim, signature) = self.token.trim_end().rsplit_once(';').unwrap();
        (format!("{claim}\n"), signature)
    }

    /// Returns the signature of the action.
    pub(crate) fn signature(&self) -> String {
        let action = Action::parse(self.action.as_bytes()).unwrap();
        action.signatures.unwrap().remove(0)
    }

    /// Returns the signed text of the action.
    pub(crate) fn signed_text(&self) -> String {
        Action::parse(self.action.as_bytes()).unwrap().signed_text()
    }

    /// Returns a signature of the key, padded.
    pub(crate) fn padded(&self, line: &str) -> Signature {
        let content = armor::from_line(line).unwrap();
        armor::to_line(&padding::pad(&content, |_, _| Some(self.bytes)).unwrap()).unwrap()
    }
}

/// Returns whether a line is a signature with a number of a length that no common RSA key has.
pub(crate) fn is_short(line: &str) -> bool {
    armor::from_line(line)
        .is_ok_and(|content| padding::pad(&content, |_, bytes| padding::probable(bytes)).is_some())
}
