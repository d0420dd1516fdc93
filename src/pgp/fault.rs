//! What can be wrong with a public key in a text, before GnuPG looks at it.

use super::key_block::BYTES_MAX;
use super::packet::PacketError;

/// What to do about damage.
const AGAIN: &str = "export the key again with gpg --armor --export KEY";

/// Why a text is not one armored public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyFault {
    /// There is no key block.
    #[error("it holds no armored public key: gpg --armor --export KEY writes one")]
    None,
    /// It holds what only its owner may see.
    #[error("it holds a secret key: keep that, and give what gpg --armor --export KEY writes")]
    Secret,
    /// There is not exactly one key.
    #[error("it holds {0} public keys: give one")]
    Count(usize),
    /// It is not armored.
    #[error(
        "it holds a public key in binary form: gpg --armor --export KEY writes the armored form"
    )]
    Binary,
    /// It is longer than what is read.
    #[error(
        "it has over {BYTES_MAX} bytes: gpg --armor --export-options export-minimal --export KEY \
         writes fewer"
    )]
    Long,
    /// Something stands before or after the block.
    #[error("its line {0} has something outside of the key block: give the block alone")]
    Outside(usize),
    /// A line is neither a header nor the blank line after the headers.
    #[error("its line {0} is neither an armor header nor the blank line after them: {AGAIN}")]
    Header(usize),
    /// A line is not in base64.
    #[error("its line {0} is not in base64: {AGAIN}")]
    Base64(usize),
    /// The last line is missing.
    #[error("it is cut short, its END line is missing: {AGAIN}")]
    End,
    /// The checksum is missing.
    #[error("it has no checksum before its END line: {AGAIN}")]
    NoChecksum,
    /// The checksum belongs to something else.
    #[error("it is damaged, its checksum is {found} and not {expected}: {AGAIN}")]
    Checksum {
        /// What the armor says.
        found: String,
        /// What the data come to.
        expected: String,
    },
    /// The data are not whole packets.
    #[error("{0}: {AGAIN}")]
    Packet(PacketError),
    /// A packet does not belong to a public key.
    #[error("it holds {what} (packet tag {tag}), which does not belong in a public key: {AGAIN}")]
    Tag {
        tag: u8,
        /// What such a packet is.
        what: &'static str,
    },
    /// It does not begin with the key.
    #[error("it does not begin with a public key: {AGAIN}")]
    First,
    /// There is no user id.
    #[error("its key has no user id: {AGAIN}")]
    NoUser,
    /// A part has no signature after it.
    #[error("the {what} at byte {at} of its data has no signature: {AGAIN}")]
    Unsigned {
        /// What kind of part it is.
        what: &'static str,
        at: usize,
    },
    /// The content of a packet does not have the form that its tag demands.
    #[error("the {what} at byte {at} of its data is malformed: {AGAIN}")]
    Malformed {
        /// What kind of packet it is.
        what: &'static str,
        at: usize,
    },
    /// A signature names no issuer, or several.
    #[error("the signature at byte {at} of its data does not name one key as its issuer: {AGAIN}")]
    Issuer { at: usize },
    /// Not every release of GnuPG knows packets of this version.
    #[error("the {what} at byte {at} of its data is of version {version}, not 4")]
    Version {
        /// What kind of packet it is.
        what: &'static str,
        at: usize,
        version: u8,
    },
}
