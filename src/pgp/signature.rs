//! Parses signature packets to find out which key made the signature (RFC 4880, section 5.2).

use super::mpi;

/// The subpacket with the issuer's key id.
const ISSUER: u8 = 16;
/// The subpacket with the issuer's fingerprint.
const ISSUER_FINGERPRINT: u8 = 33;

/// The id of a key: the last bytes of its fingerprint.
pub(super) type KeyId = [u8; 8];

/// The parsed fields of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignaturePacket {
    /// The key that made the signature.
    pub(super) issuer: KeyId,
    /// Its whole fingerprint, if the signature states it.
    pub(super) issuer_fingerprint: Option<[u8; 20]>,
    /// What it signs: 0 is bytes, 1 is text, and others are parts of keys.
    class: u8,
    /// The digest that is signed.
    digest: u8,
    algorithm: u8,
    /// The length of its numbers in bytes, including the length fields before them.
    pub(super) numbers: usize,
}

impl SignaturePacket {
    fn new(
        (issuer, issuer_fingerprint): (KeyId, Option<[u8; 20]>),
        [class, algorithm, digest]: [u8; 3],
        numbers: &[u8],
    ) -> SignaturePacket {
        let numbers = numbers.len();
        SignaturePacket { issuer, issuer_fingerprint, class, digest, algorithm, numbers }
    }

    /// Returns whether it is an RSA signature, which ends with one number.
    pub(super) fn is_rsa(&self) -> bool {
        matches!(self.algorithm, 1 | 3)
    }

    /// Returns whether it signs a document, with an algorithm and a digest that GnuPG knows. For some
    /// others, GnuPG reports no signature at all, as if it could not be run.
    #[cfg(any(test, feature = "platform"))]
    pub(super) fn is_of_document(&self) -> bool {
        matches!(self.class, 0 | 1)
            && matches!(self.algorithm, 1 | 3 | 17 | 19 | 22)
            && matches!(self.digest, 1..=3 | 8..=11)
    }
}

/// Why the body of a packet is not a valid signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SignaturePacketError {
    /// The version is neither 3 nor 4.
    Version(u8),
    /// The body is cut short, or longer than its content.
    Form,
    /// It does not name exactly one key as its issuer by the id.
    Issuer,
}

impl SignaturePacket {
    /// Parses the body of a signature packet.
    pub(super) fn read(body: &[u8]) -> Result<SignaturePacket, SignaturePacketError> {
        match body {
            [3, 5, rest @ ..] => version_3(rest).ok_or(SignaturePacketError::Form),
            [4, rest @ ..] => {
                let (issuers, numbers) = issuers(rest).ok_or(SignaturePacketError::Form)?;
                let issuer = issuers.only().ok_or(SignaturePacketError::Issuer)?;
                let [class, algorithm, digest, ..] = rest else {
                    return Err(SignaturePacketError::Form);
                };
                Ok(SignaturePacket::new(issuer, [*class, *algorithm, *digest], numbers))
            }
            [3, ..] | [] => Err(SignaturePacketError::Form),
            [version, ..] => Err(SignaturePacketError::Version(*version)),
        }
    }
}

/// Parses the bytes after the version 3 and the length of the hashed part.
fn version_3(bytes: &[u8]) -> Option<SignaturePacket> {
    let ([class, _time @ ..], rest) = bytes.split_first_chunk::<5>()?;
    let (issuer, rest) = rest.split_first_chunk()?;
    let [algorithm, digest, _, _, numbers @ ..] = rest else { return None };
    let is_whole = mpi::are_of_signature(*algorithm, numbers);
    let kinds = [*class, *algorithm, *digest];
    is_whole.then(|| SignaturePacket::new((*issuer, None), kinds, numbers))
}

/// The issuers that a signature names.
#[derive(Default)]
struct Issuers {
    ids: Vec<KeyId>,
    fingerprints: Vec<[u8; 20]>,
    /// Whether there is a fingerprint of another version than 4.
    has_other: bool,
}

impl Issuers {
    /// Returns the id and the fingerprint of the issuer if all ids and fingerprints agree. GnuPG
    /// 2.2 and the platform's library use the id, and GnuPG 2.4 uses the fingerprint.
    fn only(&self) -> Option<(KeyId, Option<[u8; 20]>)> {
        let (id, fingerprint) = (*self.ids.first()?, self.fingerprints.first().copied());
        let agree = self.ids.iter().all(|other| *other == id)
            && self.fingerprints.iter().all(|other| Some(*other) == fingerprint)
            && fingerprint.is_none_or(|fingerprint| fingerprint.ends_with(&id));
        (agree && !self.has_other).then_some((id, fingerprint))
    }
}

/// Parses the bytes after the version 4; returns the issuers and the numbers.
fn issuers(bytes: &[u8]) -> Option<(Issuers, &[u8])> {
    let [_class, algorithm, _digest, rest @ ..] = bytes else { return None };
    let (hashed, rest) = area(rest)?;
    let (unhashed, rest) = area(rest)?;
    let [_, _, numbers @ ..] = rest else { return None };
    let mut issuers = Issuers::default();
    for mut subpackets in [hashed, unhashed] {
        while !subpackets.is_empty() {
            let (kind, body, rest) = subpacket(subpackets)?;
            match (kind, body) {
                (ISSUER, id) => issuers.ids.push(id.try_into().ok()?),
                (ISSUER_FINGERPRINT, [4, fingerprint @ ..]) => {
                    issuers.fingerprints.push(fingerprint.try_into().ok()?);
                }
                (ISSUER_FINGERPRINT, _) => issuers.has_other = true,
                _ => {}
            }
            subpackets = rest;
        }
    }
    mpi::are_of_signature(*algorithm, numbers).then_some((issuers, numbers))
}

/// Splits bytes into the subpackets, which are preceded by their length, and the rest.
fn area(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// Splits bytes into the type and the body of the first subpacket, and the rest.
fn subpacket(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (length, rest) = match bytes {
        [short @ 0..=191, rest @ ..] => (usize::from(*short), rest),
        [high @ 192..=254, low, rest @ ..] => {
            (((usize::from(*high) - 192) << 8) + usize::from(*low) + 192, rest)
        }
        [255, rest @ ..] => {
            let (length, rest) = rest.split_first_chunk()?;
            (usize::try_from(u32::from_be_bytes(*length)).ok()?, rest)
        }
        _ => return None,
    };
    let (subpacket, rest) = rest.split_at_checked(length)?;
    let (kind, body) = subpacket.split_first()?;
    // The highest bit marks a subpacket that the reader must understand.
    Some((kind & 0x7f, body, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: KeyId = [1, 2, 3, 4, 5, 6, 7, 8];
    /// The first two bytes of the digest, and a number of nine bits.
    const TAIL: [u8; 6] = [9, 9, 0, 9, 1, 0xff];

    fn signature(hashed: &[u8], unhashed: &[u8]) -> Vec<u8> {
        let length = |area: &[u8]| [0, u8::try_from(area.len()).unwrap()];
        [&[4, 0x13, 1, 8][..], &length(hashed), hashed, &length(unhashed), unhashed, &TAIL].concat()
    }

    fn issuer(body: &[u8]) -> Result<KeyId, SignaturePacketError> {
        SignaturePacket::read(body).map(|signature| signature.issuer)
    }

    #[test]
    fn issuer_is_found_in_each_area() {
        let id = [&[9, 16][..], &ID].concat();
        let fingerprint = [&[22, 33 | 0x80, 4][..], &[0; 12], &ID].concat();
        let other_fingerprint = [&[22, 33 | 0x80, 4][..], &[9; 12], &ID].concat();
        let time = [5, 2, 0, 0, 0, 0];
        let other = [&[9, 16][..], &[7; 8]].concat();
        let both = [&id[..], &other].concat();
        for (hashed, unhashed, expected) in [
            (&time[..], &id[..], Ok(ID)),
            (&id, &time, Ok(ID)),
            (&[&time[..], &fingerprint].concat(), &id, Ok(ID)),
            (&fingerprint, &[], Err(SignaturePacketError::Issuer)),
            (&fingerprint, &other, Err(SignaturePacketError::Issuer)),
            (
                &[&fingerprint[..], &other_fingerprint].concat(),
                &id,
                Err(SignaturePacketError::Issuer),
            ),
            (&[5, 33, 5, 0, 0, 0], &id, Err(SignaturePacketError::Issuer)),
            (&time, &both, Err(SignaturePacketError::Issuer)),
            (&time, &[], Err(SignaturePacketError::Issuer)),
        ] {
            assert_eq!(issuer(&signature(hashed, unhashed)), expected);
        }
        let old = [&[3, 5, 0x10, 0, 0, 0, 0][..], &ID, &[1, 8], &TAIL].concat();
        assert_eq!(issuer(&old), Ok(ID));
    }

    #[test]
    fn malformed_packets_are_rejected() {
        let whole = signature(&[5, 2, 0, 0, 0, 0], &[&[9, 16][..], &ID].concat());
        for end in 0..whole.len() {
            assert_eq!(issuer(&whole[..end]), Err(SignaturePacketError::Form), "{end}");
        }
        let long = [&whole[..], &[0]].concat();
        let empty = signature(&[0], &[]);
        let short_id = signature(&[3, 16, 1, 2], &[]);
        for bad in [&long, &empty, &short_id, &signature(&[9, 2], &[])] {
            assert_eq!(issuer(bad), Err(SignaturePacketError::Form), "{bad:?}");
        }
        assert_eq!(issuer(&[5, 0]), Err(SignaturePacketError::Version(5)));
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(version in 2_u8..6, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let body = [&[version][..], &bytes].concat();
            let _read = SignaturePacket::read(&body).is_ok();
        }
    }
}
