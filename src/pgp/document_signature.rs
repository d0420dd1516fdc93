//! Builds an OpenPGP signature of version 4 for a document (RFC 4880, section 5.2.3).
//!
//! The hashed part has the time and the issuer's fingerprint; the unhashed part has the issuer's id,
//! by which the platform's library finds the key. The header has the form of the original's.

use super::packet::SIGNATURE;
use super::secret::Sha256Digest;

/// The type of a signature of bytes.
const BINARY_DOCUMENT: u8 = 0;
const RSA: u8 = 1;
const SHA256: u8 = 8;
/// A subpacket with the time of the signature.
const CREATION_TIME: u8 = 2;
/// A subpacket with the id of the issuer.
const ISSUER: u8 = 16;
/// A subpacket with the fingerprint of the issuer.
const ISSUER_FINGERPRINT: u8 = 33;
/// The version of keys and of signatures.
const VERSION: u8 = 4;

/// A signature to be made.
#[derive(Debug)]
pub(super) struct DocumentSignature {
    /// The packet's body up to the end of the hashed part.
    hashed: Vec<u8>,
    issuer: [u8; 8],
}

impl DocumentSignature {
    /// Returns a signature by the key with this fingerprint, made at `seconds` after 1970.
    pub(super) fn new(fingerprint: &[u8; 20], seconds: u32) -> DocumentSignature {
        let time = [&[5, CREATION_TIME][..], &seconds.to_be_bytes()].concat();
        let whose = [&[22, ISSUER_FINGERPRINT, VERSION][..], fingerprint].concat();
        let head = [VERSION, BINARY_DOCUMENT, RSA, SHA256, 0, 6 + 23];
        let [_, _, _, _, _, _, _, _, _, _, _, _, issuer @ ..] = *fingerprint;
        DocumentSignature { hashed: [&head[..], &time, &whose].concat(), issuer }
    }

    /// Returns the digest that is to be signed.
    pub(super) fn digest(&self, document: &[u8]) -> Sha256Digest {
        let length = u32::try_from(self.hashed.len()).unwrap_or(u32::MAX);
        let mut hasher = openssl::sha::Sha256::new();
        hasher.update(document);
        hasher.update(&self.hashed);
        hasher.update(&[VERSION, 0xff]);
        hasher.update(&length.to_be_bytes());
        hasher.finish()
    }

    /// Returns the packet with the number that RSA makes of the digest. The number has the length of
    /// the modulus, at most 8191 bytes.
    pub(super) fn packet(&self, digest: &Sha256Digest, number: &[u8]) -> Option<Vec<u8>> {
        let [first, second, ..] = *digest;
        let bits = u16::try_from(number.len().checked_mul(8)?).ok()?.to_be_bytes();
        let unhashed = [&[0, 10, 9, ISSUER][..], &self.issuer].concat();
        let body = [&self.hashed[..], &unhashed, &[first, second], &bits, number].concat();
        Some([&[0xc0 | SIGNATURE][..], &length(body.len())?, &body].concat())
    }
}

/// Returns the length of a packet in the new form of headers.
fn length(length: usize) -> Option<Vec<u8>> {
    if let Ok(short @ 0..=191) = u8::try_from(length) {
        return Some(vec![short]);
    }
    // An RSA number of up to 8191 bytes makes a longer packet than this form has, whose limit is 8383.
    let [high, low] = u16::try_from(length).ok()?.checked_sub(192)?.to_be_bytes();
    (length < 8384).then(|| vec![high.saturating_add(192), low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgp::packet::packets;
    use crate::pgp::signature::SignaturePacket;

    #[test]
    fn packet_names_its_issuer_and_is_not_shorter_than_its_key() {
        let fingerprint: [u8; 20] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let signature = DocumentSignature::new(&fingerprint, 0x0102_0304);
        let digest = signature.digest(b"text");
        // Also a number that begins with zeros.
        for size in [64, 128, 256, 512, 2048, 8191] {
            let packet = signature.packet(&digest, &vec![0; size]).unwrap();
            let found = packets(&packet).unwrap();
            assert_eq!((found.len(), found[0].tag), (1, SIGNATURE), "{size}");
            assert_eq!(found[0].body[8..12], [1, 2, 3, 4]);
            assert!(found[0].body.ends_with(&vec![0; size]));
            let read = SignaturePacket::read(found[0].body).unwrap();
            assert_eq!(read.issuer_fingerprint, Some(fingerprint));
            assert!(read.is_rsa() && read.numbers == size + 2);
        }
        assert_eq!(signature.packet(&digest, &[0; 8192]), None);
        assert_ne!(digest, DocumentSignature::new(&fingerprint, 0x0102_0305).digest(b"text"));
    }
}
