//! The faults of a text that should be one armored public key, as found before GnuPG reads it.

use super::packet::PacketError;

/// Size limit of such a text, in bytes. The platform sends keys to unknown clients, so this limits the
/// memory that they can use. A key that is larger has signatures by many other keys, which the
/// platform does not need.
pub(super) const KEY_TEXT_BYTES_MAX: usize = 256 << 10;

/// The remedy for a damaged key.
const EXPORT_AGAIN: &str = "export the key again with gpg --armor --export KEY";

/// Why a text is not one armored public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyTextError {
    #[error("it contains no armored public key: create one with gpg --armor --export KEY")]
    None,
    /// It contains a key that must stay with its owner.
    #[error("it contains a secret key: use the output of gpg --armor --export KEY instead")]
    Secret,
    /// It contains several keys.
    #[error("it contains {0} public keys: give exactly one")]
    Count(usize),
    /// It is not armored.
    #[error(
        "it contains a public key in binary form: create the armored form with gpg --armor --export KEY"
    )]
    Binary,
    #[error(
        "it is longer than {KEY_TEXT_BYTES_MAX} bytes: create a shorter one with gpg --armor \
         --export-options export-minimal --export KEY"
    )]
    Long,
    #[error("its line {0} has text outside of the key block: remove it")]
    Outside(usize),
    #[error(
        "its line {0} is neither an armor header nor the blank line after them: {EXPORT_AGAIN}"
    )]
    Header(usize),
    #[error("its line {0} is not in base64: {EXPORT_AGAIN}")]
    Base64(usize),
    #[error("it is cut short, its END line is missing: {EXPORT_AGAIN}")]
    End,
    #[error("it has no checksum before its END line: {EXPORT_AGAIN}")]
    NoChecksum,
    #[error("it is damaged, its checksum is {found} and not {expected}: {EXPORT_AGAIN}")]
    Checksum {
        /// The checksum in the armor.
        found: String,
        /// The checksum of the data.
        expected: String,
    },
    #[error("{0}: {EXPORT_AGAIN}")]
    Packet(PacketError),
    /// A packet does not belong in a public key.
    #[error(
        "it contains {what} (packet tag {tag}), which does not belong in a public key: {EXPORT_AGAIN}"
    )]
    Tag {
        tag: u8,
        /// The kind of packet.
        what: &'static str,
    },
    #[error("it does not begin with a public key: {EXPORT_AGAIN}")]
    First,
    #[error("its key has no user id: {EXPORT_AGAIN}")]
    NoUser,
    /// A user id, attribute or subkey has no signature after it.
    #[error("the {what} at byte {at} of its data has no signature: {EXPORT_AGAIN}")]
    Unsigned { what: &'static str, at: usize },
    /// The content of a packet does not match its tag.
    #[error("the {what} at byte {at} of its data is malformed: {EXPORT_AGAIN}")]
    Malformed { what: &'static str, at: usize },
    /// A packet is larger than any that GnuPG creates.
    #[error(
        "the {what} at byte {at} of its data has {limit} bytes or more: remove it from the key"
    )]
    Large {
        what: &'static str,
        at: usize,
        /// The smallest size that is refused.
        limit: usize,
    },
    /// A signature names no issuer, or several.
    #[error(
        "the signature at byte {at} of its data does not name one key as its issuer: {EXPORT_AGAIN}"
    )]
    Issuer { at: usize },
    /// Not every release of GnuPG supports packets of this version.
    #[error("the {what} at byte {at} of its data is of version {version}, not 4")]
    Version { what: &'static str, at: usize, version: u8 },
}
