//! What signs, and the form in which signatures travel.
//!
//! The trait is here, below everything that talks to the outside, so that the
//! API's client and the stages can be given something that signs without
//! knowing OpenPGP or where the key is.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes detached OpenPGP signatures with one key.
pub(crate) trait Signer: fmt::Debug + Send + Sync {
    /// Signs `bytes`, exactly these; returns within a bounded time.
    ///
    /// # Errors
    /// [`SignError::verdict`] says whether to try again.
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError>;

    /// Returns the fingerprint of the key, in upper-case hexadecimal.
    fn fingerprint(&self) -> &str;

    /// Returns a signature that was made elsewhere with its RSA number as long as its key, which the platform
    /// demands; `None` if it stays as it is.
    ///
    /// # Errors
    /// The length of the key could not be read.
    fn padded(&self, line: &str, unknown: Unknown) -> Result<Option<Signature>, SignError>;
}

/// What to do with a signature whose key, and so the right length of whose number, is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// Keep it as it is: this cannot make a good signature bad.
    Keep,
    /// Pad it to the next length that keys usually have.
    Guess,
}

/// A detached signature in the platform's form: the armor's base64 and its
/// checksum on one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Signature(String);

/// A text that cannot be a signature on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature is one line of base64 that ends with its checksum")]
pub(crate) struct NotASignature;

impl Signature {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Signature {
    type Error = NotASignature;

    fn try_from(line: String) -> Result<Signature, NotASignature> {
        // No other character can occur, and `;` or a line feed would break the token's header.
        let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        if line.contains('=') && line.chars().all(base64) {
            Ok(Signature(line))
        } else {
            Err(NotASignature)
        }
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> String {
        signature.0
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why nothing was signed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with the key {key}")]
pub(crate) struct SignError {
    key: String,
    verdict: SignVerdict,
    source: Box<dyn Error + Send + Sync>,
}

/// What to do about a signature that could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignVerdict {
    /// The engine was away, busy or hung: the same request may succeed later.
    RetryLater,
    /// The key or its passphrase is no good: nothing changes until a person does something.
    KeyUnusable,
}

impl SignError {
    /// Returns the error of the key `key`, with what the engine says as its cause.
    pub(crate) fn new(
        key: impl Into<String>,
        verdict: SignVerdict,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> SignError {
        SignError { key: key.into(), verdict, source: source.into() }
    }

    /// Returns what to do next.
    pub(crate) fn verdict(&self) -> SignVerdict {
        self.verdict
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! A signer that needs no key.

    use super::{SignError, Signature, Signer, Unknown};

    /// Signs everything with the same line.
    #[derive(Debug)]
    pub(crate) struct FixedSigner(pub(crate) &'static str);

    /// Signs like RSA as far as it matters: the same text gives the same signature, another one another.
    #[derive(Debug)]
    pub(crate) struct HashSigner;

    impl Signer for HashSigner {
        fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError> {
            use std::hash::{DefaultHasher, Hash, Hasher};
            let mut hasher = DefaultHasher::new();
            bytes.hash(&mut hasher);
            Ok(Signature::try_from(format!("{:x}=BBBB", hasher.finish())).unwrap())
        }

        fn fingerprint(&self) -> &'static str {
            "0000000000000000000000000000000000000000"
        }

        fn padded(&self, _: &str, _: Unknown) -> Result<Option<Signature>, SignError> {
            Ok(None)
        }
    }

    impl Signer for FixedSigner {
        fn sign(&self, _bytes: &[u8]) -> Result<Signature, SignError> {
            Ok(Signature::try_from(self.0.to_owned()).unwrap())
        }

        fn fingerprint(&self) -> &'static str {
            "0000000000000000000000000000000000000000"
        }

        fn padded(&self, _: &str, _: Unknown) -> Result<Option<Signature>, SignError> {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_one_line_of_base64() {
        assert_eq!(Signature::try_from("ab+/==Xy9/".to_owned()).unwrap().as_str(), "ab+/==Xy9/");
        for bad in ["", "abc", "ab;c=", "ab\n=", "ab =", "é="] {
            assert_eq!(Signature::try_from(bad.to_owned()), Err(NotASignature), "{bad:?}");
        }
    }
}
