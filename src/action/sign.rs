//! The interface of signers, and signatures in the platform's format.
//!
//! The trait is in layer 2 so that the API client and the stages can use a signer without knowing
//! OpenPGP or where the key is.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Creates detached OpenPGP signatures with one key.
pub(crate) trait Signer: fmt::Debug + Send + Sync {
    /// Signs exactly `bytes`; returns within a bounded time.
    ///
    /// # Errors
    /// [`SignError::verdict`] says whether to try again.
    fn sign(&self, bytes: &[u8]) -> Result<Signature, SignError>;

    fn fingerprint(&self) -> &str;

    /// Pads the RSA number of a signature that was created elsewhere to the length of its key, as
    /// the platform demands. Returns `None` if the signature needs no change.
    ///
    /// # Errors
    /// The length of the key could not be read.
    fn padded(&self, line: &str, unknown: UnknownKey) -> Result<Option<Signature>, SignError>;
}

/// What to do with a signature whose key is not available, so that the right length is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownKey {
    /// Keep the signature: padding to a wrong length would invalidate it.
    Keep,
    /// Pad the signature to the next usual key length.
    Guess,
}

/// A detached signature in the platform's format: the armor's base64 and its checksum on one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Signature(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signature must be one line of base64 that ends with its checksum")]
pub(crate) struct InvalidSignature;

impl Signature {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Signature {
    type Error = InvalidSignature;

    fn try_from(line: String) -> Result<Signature, InvalidSignature> {
        // Other characters cannot occur; `;` or a line feed would break the token's header.
        let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        if line.contains('=') && line.chars().all(base64) {
            Ok(Signature(line))
        } else {
            Err(InvalidSignature)
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

/// Signing failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot sign with the key {key}")]
pub(crate) struct SignError {
    key: String,
    verdict: SignVerdict,
    source: Box<dyn Error + Send + Sync>,
}

/// What to do after signing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignVerdict {
    /// GnuPG was unavailable, busy or hung: the same request may succeed later.
    RetryLater,
    /// The key or its passphrase is unusable until the operator intervenes.
    KeyUnusable,
}

impl SignError {
    /// Returns the error for the key `key`, with GnuPG's error as its cause.
    pub(crate) fn new(
        key: impl Into<String>,
        verdict: SignVerdict,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> SignError {
        SignError { key: key.into(), verdict, source: source.into() }
    }

    pub(crate) fn verdict(&self) -> SignVerdict {
        self.verdict
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Signers for tests, without a key.

    use super::{SignError, Signature, Signer, UnknownKey};

    /// Returns the same signature for every text.
    #[derive(Debug)]
    pub(crate) struct FixedSigner(pub(crate) &'static str);

    /// Like RSA, returns the same signature for the same text and different ones for different
    /// texts.
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

        fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
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

        fn padded(&self, _: &str, _: UnknownKey) -> Result<Option<Signature>, SignError> {
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signature_is_one_line_of_base64() {
        assert_eq!(Signature::try_from("ab+/==Xy9/".to_owned()).unwrap().as_str(), "ab+/==Xy9/");
        for bad in ["", "abc", "ab;c=", "ab\n=", "ab =", "é="] {
            assert_eq!(Signature::try_from(bad.to_owned()), Err(InvalidSignature), "{bad:?}");
        }
    }
}
