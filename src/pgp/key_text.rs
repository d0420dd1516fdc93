//! A public key in an armored text, as far as it can be read without GnuPG.

#[cfg(any(test, feature = "platform"))]
use sha2::{Digest, Sha256};

use super::fingerprint::Fingerprint;
use super::key::KeyPart;
use super::key_block;
use super::key_packets::KeyPackets;
use super::key_text_error::KeyTextError;
#[cfg(feature = "data")]
use super::signature::KeyId;

/// One public key. Its self-signatures are not checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyText {
    /// The primary key, then the subkeys.
    parts: Vec<KeyPart>,
    /// The packets.
    data: Vec<u8>,
}

impl KeyText {
    /// Reads the one key in an armored text.
    pub(crate) fn read(armored: &[u8]) -> Result<KeyText, KeyTextError> {
        let data = key_block::decode(armored)?;
        let parts = KeyPackets::read(&data)?.parts();
        Ok(KeyText { parts, data })
    }

    /// Returns the primary key and the subkeys.
    pub(crate) fn parts(&self) -> &[KeyPart] {
        &self.parts
    }

    /// Returns the fingerprint of the primary key, by which the platform identifies the key.
    pub(crate) fn fingerprint(&self) -> Option<&Fingerprint> {
        self.parts.first().map(|primary| &primary.fingerprint)
    }

    /// Returns the packets.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns a text that identifies these packets.
    #[cfg(any(test, feature = "platform"))]
    pub(super) fn mark(&self) -> String {
        let digest = Sha256::digest(&self.data);
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The ids of a key that an investigator has: of the primary key, and of the subkeys if the key
/// itself is known.
///
/// A signature names the key that made it only by such an id. So no two investigators may have a
/// part with the same one.
#[cfg(feature = "data")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyIds {
    primary: Option<KeyId>,
    subkeys: Vec<KeyId>,
}

#[cfg(feature = "data")]
impl KeyIds {
    /// Returns the ids of the key with this fingerprint, which may be known itself.
    pub(crate) fn new(fingerprint: &str, key: Option<&KeyText>) -> KeyIds {
        let subkeys = key.into_iter().flat_map(|key| key.parts().iter().skip(1));
        KeyIds {
            primary: Fingerprint::parse(fingerprint).and_then(|known| known.id()),
            subkeys: subkeys.filter_map(|part| part.fingerprint.id()).collect(),
        }
    }

    /// Returns whether a part of this key and a part of another one have the same id.
    pub(crate) fn meet(&self, other: &KeyIds) -> bool {
        let ids = |key: &KeyIds| [key.primary.as_slice(), &key.subkeys].concat();
        let others = ids(other);
        ids(self).iter().any(|id| others.contains(id))
    }

    /// Returns whether a subkey of this key has the id of another primary key.
    #[cfg(feature = "platform")]
    pub(crate) fn claims(&self, other: &KeyIds) -> bool {
        other.primary.is_some_and(|primary| self.subkeys.contains(&primary))
    }
}
