//! The fingerprint of a key.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::signature::KeyId;

/// The number of hexadecimal digits of the fingerprint of any RSA key.
#[cfg(any(test, feature = "data"))]
const DIGITS: usize = 40;

/// The fingerprint of a key, in upper-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(super) fn new(text: &str) -> Fingerprint {
        Fingerprint(text.to_ascii_uppercase())
    }

    /// Parses a fingerprint as a user types it, with or without spaces and `0x`.
    #[cfg(any(test, feature = "data"))]
    pub(crate) fn parse(text: &str) -> Option<Fingerprint> {
        let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let digits = digits.strip_prefix("0x").unwrap_or(&digits);
        let is_whole = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_hexdigit());
        is_whole.then(|| Fingerprint::new(digits))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the fingerprint of a key of version 4 with this digest.
    pub(super) fn of(digest: &[u8; 20]) -> Fingerprint {
        Fingerprint(digest.iter().map(|byte| format!("{byte:02X}")).collect())
    }

    /// Returns the digest of a key of version 4, of which this is the fingerprint.
    pub(super) fn digest(&self) -> Option<[u8; 20]> {
        let mut digest = [0; 20];
        if self.0.len() != 2 * digest.len() {
            return None;
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(self.0.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        Some(digest)
    }

    /// Returns the id of a key of version 4: the last eight bytes.
    pub(super) fn id(&self) -> Option<KeyId> {
        let (_, digits) = self.0.split_at_checked(self.0.len().checked_sub(16)?)?;
        Some(u64::from_str_radix(digits, 16).ok()?.to_be_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_is_parsed_as_users_type_it() {
        let typed = "0xe608 92bb 9bd8 9a69 f759  a1a0 a3d6 5217 3b76 3e8f";
        let fingerprint = Fingerprint::parse(typed).unwrap();
        assert_eq!(fingerprint.as_str(), "E60892BB9BD89A69F759A1A0A3D652173B763E8F");
        let digest = fingerprint.digest().unwrap();
        assert_eq!((digest[0], digest[19]), (0xe6, 0x8f));
        assert_eq!(Fingerprint::of(&digest), fingerprint);
        assert_eq!(
            (Fingerprint::new("E6").digest(), Fingerprint::new(&"X".repeat(40)).digest()),
            (None, None)
        );
        for wrong in ["", "E608", "G60892BB9BD89A69F759A1A0A3D652173B763E8F"] {
            assert_eq!(Fingerprint::parse(wrong), None, "{wrong}");
        }
    }
}
