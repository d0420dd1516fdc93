//! A signature on one line, accepted only if it consists of a few small signature packets.
//!
//! GnuPG unpacks compressed packets before it looks for a signature, and a few hundred bytes can
//! unpack to gigabytes. So nothing but signature packets reaches it.

use super::armor::{self, LineError};
#[cfg(feature = "platform")]
use super::fingerprint::Fingerprint;
#[cfg(feature = "platform")]
use super::key::KeyPart;
use super::packet::{Packet, SIGNATURE, packets};
#[cfg(any(test, feature = "platform"))]
use super::signature::{SignaturePacket, SignaturePacketError};
#[cfg(any(test, feature = "platform"))]
use super::verify_error::VerifyError;

/// Maximum number of packets.
const PACKETS_MAX: usize = 16;
/// Size limit of the content of a packet, in bytes.
const PACKET_BYTES_MAX: usize = 4096;
/// Size limit of a line, in bytes: all packets with their headers in base64, and the checksum.
pub(super) const LINE_BYTES_MAX: usize = (PACKETS_MAX * (PACKET_BYTES_MAX + 6)).div_ceil(3) * 4 + 5;

/// Why a line is not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OneLineError {
    /// It is longer than [`LINE_BYTES_MAX`].
    Long,
    Line(LineError),
    /// Its content is not packets of stated lengths.
    Packets,
    /// It has too many packets, or one that is too large or not a signature.
    NotSignatures,
}

/// Returns the content of a line.
pub(super) fn content(line: &str) -> Result<Vec<u8>, OneLineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(OneLineError::Long);
    }
    let content = armor::from_line(line).map_err(OneLineError::Line)?;
    let packets = packets(&content).map_err(|_| OneLineError::Packets)?;
    let is_allowed =
        |packet: &Packet<'_>| packet.tag == SIGNATURE && packet.body.len() <= PACKET_BYTES_MAX;
    if packets.is_empty() {
        return Err(OneLineError::Packets);
    }
    match packets.len() <= PACKETS_MAX && packets.iter().all(is_allowed) {
        true => Ok(content),
        false => Err(OneLineError::NotSignatures),
    }
}

/// A signature on one line. If it has several packets, the first one counts, and only this one
/// reaches GnuPG.
#[cfg(any(test, feature = "platform"))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneLineSignature {
    /// The first packet.
    packet: Vec<u8>,
    first: SignaturePacket,
}

#[cfg(any(test, feature = "platform"))]
impl OneLineSignature {
    pub(crate) fn parse(line: &str) -> Result<OneLineSignature, VerifyError> {
        let mut content = content(line).map_err(|error| match error {
            OneLineError::Long => VerifyError::Long,
            OneLineError::Line(LineError::NoChecksum) => VerifyError::Eof,
            OneLineError::Line(LineError::Base64(at)) => VerifyError::Base64(at),
            OneLineError::Packets => VerifyError::NoSignature,
            OneLineError::NotSignatures => VerifyError::NotSignatures,
        })?;
        let packets = packets(&content).unwrap_or_default();
        let first = packets.first().ok_or(VerifyError::NoSignature)?;
        let end = packets.get(1).map_or(content.len(), |second| second.at);
        let first = SignaturePacket::read(first.body).map_err(|error| match error {
            SignaturePacketError::Version(_) => VerifyError::Unsupported,
            SignaturePacketError::Form => VerifyError::NoSignature,
            SignaturePacketError::Issuer => VerifyError::NoIssuer,
        })?;
        if !first.is_of_document() {
            return Err(VerifyError::Unsupported);
        }
        content.truncate(end);
        Ok(OneLineSignature { packet: content, first })
    }

    /// Returns whether the signature names this primary key or subkey as its issuer.
    #[cfg(feature = "platform")]
    pub(crate) fn names(&self, part: &KeyPart) -> bool {
        part.fingerprint.id() == Some(self.first.issuer)
            && self
                .first
                .issuer_fingerprint
                .is_none_or(|named| Fingerprint::of(&named) == part.fingerprint)
    }

    #[cfg(test)]
    pub(super) fn issuer(&self) -> super::signature::KeyId {
        self.first.issuer
    }

    /// Returns the packet that counts.
    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of a signature by the key 0102030405060708, with a number of nine bits.
    const SIGNED: &[u8] =
        &[4, 0x13, 1, 8, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 0, 9, 1, 1];

    fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[0xc0 | tag, 255][..], &length, body].concat()
    }

    fn fault(data: &[u8]) -> Option<OneLineError> {
        content(armor::to_line(data).unwrap().as_str()).err()
    }

    #[test]
    fn only_a_few_small_signature_packets_are_accepted() {
        let one = packet(SIGNATURE, SIGNED);
        for good in [&one[..], &one.repeat(PACKETS_MAX), &packet(2, &[4; PACKET_BYTES_MAX])] {
            assert_eq!(fault(good), None);
        }
        let large = packet(2, &[4; PACKET_BYTES_MAX]).repeat(PACKETS_MAX);
        assert_eq!(fault(&large), None, "the limit of the line allows every packet");
        for tag in (1..64).filter(|tag| *tag != SIGNATURE) {
            assert_eq!(fault(&packet(tag, SIGNED)), Some(OneLineError::NotSignatures), "{tag}");
            let mixed = [&one[..], &packet(tag, SIGNED)].concat();
            assert_eq!(fault(&mixed), Some(OneLineError::NotSignatures), "{tag}");
        }
        for bad in [one.repeat(PACKETS_MAX + 1), packet(2, &[4; PACKET_BYTES_MAX + 1])] {
            assert_eq!(fault(&bad), Some(OneLineError::NotSignatures));
        }
        let (partial, cut) = ([&[0xc2, 0xe0][..], &one].concat(), &one[..one.len() - 1]);
        let indeterminate = [&[0x8b][..], SIGNED].concat();
        for bad in [&b""[..], &partial, cut, &indeterminate] {
            assert_eq!(fault(bad), Some(OneLineError::Packets), "{bad:?}");
        }
    }

    #[test]
    fn long_line_is_refused_before_it_is_decoded() {
        let long = "!".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(content(&long), Err(OneLineError::Long));
        let text = OneLineSignature::parse(&long).unwrap_err().to_string();
        assert_eq!(text, "signature is longer than 87517 bytes");
    }
}
