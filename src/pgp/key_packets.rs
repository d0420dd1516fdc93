//! The packets of one public key: complete, of the kinds that a key consists of, in their order.
//!
//! The rules are stricter than those of any release of GnuPG: packets that a release would skip or
//! repair are rejected here. GnuPG then only has to check the signatures.

use std::collections::BTreeSet;

use sha1::{Digest, Sha1};

use super::fingerprint::Fingerprint;
use super::key::KeyPart;
use super::key_text_error::KeyTextError;
use super::mpi;
use super::packet::{
    PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SECRET_KEY, SECRET_SUBKEY, SIGNATURE, USER_ATTRIBUTE,
    USER_ID, packets,
};
use super::signature::{KeyId, SignaturePacket, SignaturePacketError};

/// The only version of keys that the platform and all releases of GnuPG support.
const VERSION: u8 = 4;

/// Size limit of a user attribute, in bytes: more than any reasonable photo.
const ATTRIBUTE_BYTES_MAX: usize = 128 << 10;
/// Size limit of any other packet, in bytes.
const PACKET_BYTES_MAX: usize = 64 << 10;

/// The tag and the body of a packet.
type TagAndBody<'a> = (u8, &'a [u8]);

/// The packets of one public key.
#[derive(Debug)]
pub(super) struct KeyPackets<'a>(Vec<Packet<'a>>);

impl<'a> KeyPackets<'a> {
    /// Parses the data of exactly one public key.
    pub(super) fn read(data: &'a [u8]) -> Result<KeyPackets<'a>, KeyTextError> {
        let packets = packets(data).map_err(KeyTextError::Packet)?;
        check_kinds(&packets)?;
        if packets.first().is_none_or(|packet| packet.tag != PUBLIC_KEY) {
            return Err(KeyTextError::First);
        }
        let count = packets.iter().filter(|packet| packet.tag == PUBLIC_KEY).count();
        if count != 1 {
            return Err(KeyTextError::Count(count));
        }
        packets.iter().try_for_each(check_size)?;
        packets.iter().try_for_each(check_form)?;
        if !packets.iter().any(|packet| packet.tag == USER_ID) {
            return Err(KeyTextError::NoUser);
        }
        check_signed(&packets)?;
        Ok(KeyPackets(packets))
    }

    /// Returns the primary key, then the subkeys.
    pub(super) fn parts(&self) -> Vec<KeyPart> {
        let is_key = |packet: &&Packet<'_>| matches!(packet.tag, PUBLIC_KEY | PUBLIC_SUBKEY);
        self.0.iter().filter(is_key).map(|packet| part(packet.body)).collect()
    }

    /// Returns the packets that the owner of the key `own` is responsible for: keys, user ids,
    /// attributes, and the signatures by this key. Duplicates count once.
    pub(super) fn own(&self, own: &KeyId) -> BTreeSet<TagAndBody<'a>> {
        let is_own = |packet: &&Packet<'_>| {
            packet.tag != SIGNATURE
                || SignaturePacket::read(packet.body)
                    .is_ok_and(|signature| signature.issuer == *own)
        };
        self.0.iter().filter(is_own).map(|packet| (packet.tag, packet.body)).collect()
    }
}

/// Returns a description of the packets with a tag, and whether a public key may contain them.
fn kind(tag: u8) -> (&'static str, bool) {
    match tag {
        PUBLIC_KEY => ("key", true),
        SIGNATURE => ("signature", true),
        USER_ID => ("user id", true),
        USER_ATTRIBUTE => ("user attribute", true),
        PUBLIC_SUBKEY => ("subkey", true),
        1 | 3 | 9 | 18 | 20 => ("encrypted data", false),
        4 => ("the head of a signature", false),
        8 => ("compressed data", false),
        10 => ("a marker", false),
        11 => ("literal data", false),
        12 => ("trust of a keyring", false),
        19 => ("a modification code", false),
        21 => ("padding", false),
        _ => ("something unknown", false),
    }
}

/// Checks that a public key may contain each packet.
fn check_kinds(packets: &[Packet<'_>]) -> Result<(), KeyTextError> {
    if packets.iter().any(|packet| matches!(packet.tag, SECRET_KEY | SECRET_SUBKEY)) {
        return Err(KeyTextError::Secret);
    }
    for packet in packets {
        if let (what, false) = kind(packet.tag) {
            return Err(KeyTextError::Tag { tag: packet.tag, what });
        }
    }
    Ok(())
}

/// Returns the key in the body of its packet (RFC 4880, section 12.2).
fn part(body: &[u8]) -> KeyPart {
    // A packet of a key is shorter than its limit, so its length fits into two bytes.
    let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let digest = Sha1::new().chain_update([0x99]).chain_update(length).chain_update(body);
    let bits = match body {
        [_, _, _, _, _, 1..=3, high, low, ..] => u16::from_be_bytes([*high, *low]),
        _ => 0,
    };
    KeyPart {
        fingerprint: Fingerprint::of(&digest.finalize().into()),
        modulus_bytes: usize::from(bits).div_ceil(8),
    }
}

/// Checks that a packet is not larger than any that GnuPG creates for a key.
fn check_size(packet: &Packet<'_>) -> Result<(), KeyTextError> {
    let limit = match packet.tag {
        USER_ATTRIBUTE => ATTRIBUTE_BYTES_MAX,
        _ => PACKET_BYTES_MAX,
    };
    match packet.body.len() < limit {
        true => Ok(()),
        false => Err(KeyTextError::Large { what: kind(packet.tag).0, at: packet.at, limit }),
    }
}

/// Checks the content of a packet as far as possible without keys.
fn check_form(packet: &Packet<'_>) -> Result<(), KeyTextError> {
    let (what, at) = (kind(packet.tag).0, packet.at);
    let is_well_formed = match (packet.tag, packet.body) {
        // Version, time of creation, algorithm, and the numbers of the algorithm.
        (PUBLIC_KEY | PUBLIC_SUBKEY, [VERSION, _, _, _, _, algorithm, numbers @ ..]) => {
            mpi::are_of_key(*algorithm, numbers)
        }
        (PUBLIC_KEY | PUBLIC_SUBKEY, [version, ..]) if *version != VERSION => {
            return Err(KeyTextError::Version { what, at, version: *version });
        }
        (PUBLIC_KEY | PUBLIC_SUBKEY, _) => false,
        (SIGNATURE, body) => match SignaturePacket::read(body) {
            Ok(_) => true,
            Err(SignaturePacketError::Version(version)) => {
                return Err(KeyTextError::Version { what, at, version });
            }
            Err(SignaturePacketError::Form) => false,
            Err(SignaturePacketError::Issuer) => return Err(KeyTextError::Issuer { at }),
        },
        _ => true,
    };
    if is_well_formed { Ok(()) } else { Err(KeyTextError::Malformed { what, at }) }
}

/// Checks that a signature follows each user id, attribute and subkey.
fn check_signed(packets: &[Packet<'_>]) -> Result<(), KeyTextError> {
    let next = packets.iter().skip(1).map(|packet| packet.tag).chain([0]);
    for (packet, next) in packets.iter().zip(next) {
        let needs_signature = matches!(packet.tag, USER_ID | USER_ATTRIBUTE | PUBLIC_SUBKEY);
        if needs_signature && next != SIGNATURE {
            return Err(KeyTextError::Unsigned { what: kind(packet.tag).0, at: packet.at });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[u8] = &[0xc6, 14, 4, 0, 0, 0, 0, 1, 0, 9, 1, 1, 0, 9, 1, 1];
    const SUBKEY: &[u8] = &[0xce, 14, 4, 0, 0, 0, 0, 1, 0, 9, 1, 1, 0, 9, 1, 1];
    const USER: &[u8] = &[0xcd, 1, b'x'];
    const PHOTO: &[u8] = &[0xd1, 1, 1];
    const SIGNED: &[u8] =
        &[0xc2, 24, 4, 0x13, 1, 8, 0, 0, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 0, 9, 1, 1];

    fn read(parts: &[&[u8]]) -> Result<usize, KeyTextError> {
        KeyPackets::read(&parts.concat()).map(|packets| packets.0.len())
    }

    #[test]
    fn key_must_be_followed_by_signed_parts() {
        for parts in [
            &[KEY, USER, SIGNED][..],
            &[KEY, SIGNED, USER, SIGNED, SIGNED],
            &[KEY, PHOTO, SIGNED, USER, SIGNED],
            &[KEY, USER, SIGNED, USER, SIGNED, SUBKEY, SIGNED],
        ] {
            assert_eq!(read(parts), Ok(parts.len()));
        }
        let unsigned = |what, at| Err(KeyTextError::Unsigned { what, at });
        for (parts, expected) in [
            (&[][..], Err(KeyTextError::First)),
            (&[USER, SIGNED], Err(KeyTextError::First)),
            (&[SIGNED, KEY, USER, SIGNED], Err(KeyTextError::First)),
            (&[KEY], Err(KeyTextError::NoUser)),
            (&[KEY, SIGNED], Err(KeyTextError::NoUser)),
            (&[KEY, PHOTO, SIGNED], Err(KeyTextError::NoUser)),
            (&[KEY, USER], unsigned("user id", 16)),
            (&[KEY, USER, PHOTO, SIGNED], unsigned("user id", 16)),
            (&[KEY, USER, SIGNED, PHOTO], unsigned("user attribute", 45)),
            (&[KEY, USER, SIGNED, SUBKEY], unsigned("subkey", 45)),
            (&[KEY, USER, SIGNED, KEY, USER, SIGNED], Err(KeyTextError::Count(2))),
        ] {
            assert_eq!(read(parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn packets_that_do_not_belong_in_a_public_key_are_named() {
        for tag in 1..64 {
            let packet = [0xc0 | tag, 0];
            let read = read(&[KEY, USER, SIGNED, &packet]);
            match tag {
                SECRET_KEY | SECRET_SUBKEY => assert_eq!(read, Err(KeyTextError::Secret)),
                PUBLIC_KEY => assert_eq!(read, Err(KeyTextError::Count(2))),
                PUBLIC_SUBKEY | USER_ID | USER_ATTRIBUTE | SIGNATURE => {
                    assert!(!matches!(read, Ok(_) | Err(KeyTextError::Tag { .. })), "{tag}");
                }
                _ => assert!(
                    matches!(read, Err(KeyTextError::Tag { tag: found, .. }) if found == tag)
                ),
            }
        }
    }

    #[test]
    fn content_of_a_packet_must_match_its_tag() {
        for version in [2, 3, 5, 6] {
            let mut key = KEY.to_vec();
            key[2] = version;
            let expected = KeyTextError::Version { what: "key", at: 0, version };
            assert_eq!(read(&[&key, USER, SIGNED]), Err(expected));
        }
        let whole = [KEY, USER, SIGNED, SUBKEY, SIGNED].concat();
        for at in [0, 19, 45, 61] {
            // A body that is a byte shorter or longer than its content.
            for longer in [false, true] {
                let mut data = whole.clone();
                let end = at + 2 + usize::from(data[at + 1]);
                if longer {
                    data[at + 1] += 1;
                    data.insert(end, 0);
                } else {
                    data[at + 1] -= 1;
                    data.remove(end - 1);
                }
                let read = read(&[&data]);
                assert!(
                    matches!(read, Err(KeyTextError::Malformed { at: found, .. }) if found == at)
                );
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..64) {
            let _read = KeyPackets::read(&bytes).is_ok();
            let mut damaged = [KEY, USER, SIGNED, SUBKEY, SIGNED].concat();
            damaged.truncate(at.max(1));
            damaged.extend_from_slice(&bytes);
            let _read = KeyPackets::read(&damaged).is_ok();
        }
    }
}
