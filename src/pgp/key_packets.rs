//! The packets of one public key: whole, of the kinds that a key consists of, in their order.
//!
//! The rules are stricter than those of any GnuPG, so that its releases have nothing to judge but the
//! signatures: what one of them would skip or repair is refused here.

use std::collections::BTreeSet;

use super::fault::KeyFault;
use super::mpi;
use super::packet::{
    PUBLIC_KEY, PUBLIC_SUBKEY, Packet, SECRET_KEY, SECRET_SUBKEY, SIGNATURE, USER_ATTRIBUTE,
    USER_ID, packets,
};
use super::signature::{KeyId, Signature, SignatureError};

/// The only version of keys that all releases of GnuPG and the platform know.
const VERSION: u8 = 4;

/// A part of a key: its tag and its body.
type Part<'a> = (u8, &'a [u8]);

/// The packets of one public key.
#[derive(Debug)]
pub(super) struct KeyPackets<'a>(Vec<Packet<'a>>);

impl<'a> KeyPackets<'a> {
    /// Reads the data of a key.
    ///
    /// # Errors
    /// They are not the packets of exactly one public key.
    pub(super) fn read(data: &'a [u8]) -> Result<KeyPackets<'a>, KeyFault> {
        let packets = packets(data).map_err(KeyFault::Packet)?;
        kinds(&packets)?;
        if packets.first().is_none_or(|packet| packet.tag != PUBLIC_KEY) {
            return Err(KeyFault::First);
        }
        let count = packets.iter().filter(|packet| packet.tag == PUBLIC_KEY).count();
        if count != 1 {
            return Err(KeyFault::Count(count));
        }
        packets.iter().try_for_each(form)?;
        if !packets.iter().any(|packet| packet.tag == USER_ID) {
            return Err(KeyFault::NoUser);
        }
        signed(&packets)?;
        Ok(KeyPackets(packets))
    }

    /// Returns the parts for which the owner of the key `own` answers: keys, user ids, attributes, and the
    /// signatures of this key. A part that is there twice counts once.
    pub(super) fn own(&self, own: &KeyId) -> BTreeSet<Part<'a>> {
        let is_own = |packet: &&Packet<'_>| {
            packet.tag != SIGNATURE
                || Signature::read(packet.body).is_ok_and(|signature| signature.issuer == *own)
        };
        self.0.iter().filter(is_own).map(|packet| (packet.tag, packet.body)).collect()
    }
}

/// Returns what the packets of a tag are, and whether a public key may have them.
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

/// Checks that each packet may be in a public key.
fn kinds(packets: &[Packet<'_>]) -> Result<(), KeyFault> {
    if packets.iter().any(|packet| matches!(packet.tag, SECRET_KEY | SECRET_SUBKEY)) {
        return Err(KeyFault::Secret);
    }
    for packet in packets {
        if let (what, false) = kind(packet.tag) {
            return Err(KeyFault::Tag { tag: packet.tag, what });
        }
    }
    Ok(())
}

/// Checks the content of a packet, as far as it can be checked without keys.
fn form(packet: &Packet<'_>) -> Result<(), KeyFault> {
    let (what, at) = (kind(packet.tag).0, packet.at);
    let is_well = match (packet.tag, packet.body) {
        // The version, the time of creation, the algorithm and its numbers.
        (PUBLIC_KEY | PUBLIC_SUBKEY, [VERSION, _, _, _, _, algorithm, numbers @ ..]) => {
            mpi::are_of_key(*algorithm, numbers)
        }
        (PUBLIC_KEY | PUBLIC_SUBKEY, [version, ..]) if *version != VERSION => {
            return Err(KeyFault::Version { what, at, version: *version });
        }
        (PUBLIC_KEY | PUBLIC_SUBKEY, _) => false,
        (SIGNATURE, body) => match Signature::read(body) {
            Ok(_) => true,
            Err(SignatureError::Version(version)) => {
                return Err(KeyFault::Version { what, at, version });
            }
            Err(SignatureError::Form) => false,
            Err(SignatureError::Issuer) => return Err(KeyFault::Issuer { at }),
        },
        _ => true,
    };
    if is_well { Ok(()) } else { Err(KeyFault::Malformed { what, at }) }
}

/// Checks that a signature follows each user id, attribute and subkey.
fn signed(packets: &[Packet<'_>]) -> Result<(), KeyFault> {
    let next = packets.iter().skip(1).map(|packet| packet.tag).chain([0]);
    for (packet, next) in packets.iter().zip(next) {
        let needs_signature = matches!(packet.tag, USER_ID | USER_ATTRIBUTE | PUBLIC_SUBKEY);
        if needs_signature && next != SIGNATURE {
            return Err(KeyFault::Unsigned { what: kind(packet.tag).0, at: packet.at });
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

    fn read(parts: &[&[u8]]) -> Result<usize, KeyFault> {
        KeyPackets::read(&parts.concat()).map(|packets| packets.0.len())
    }

    #[test]
    fn a_key_is_followed_by_signed_parts() {
        for parts in [
            &[KEY, USER, SIGNED][..],
            &[KEY, SIGNED, USER, SIGNED, SIGNED],
            &[KEY, PHOTO, SIGNED, USER, SIGNED],
            &[KEY, USER, SIGNED, USER, SIGNED, SUBKEY, SIGNED],
        ] {
            assert_eq!(read(parts), Ok(parts.len()));
        }
        let unsigned = |what, at| Err(KeyFault::Unsigned { what, at });
        for (parts, expected) in [
            (&[][..], Err(KeyFault::First)),
            (&[USER, SIGNED], Err(KeyFault::First)),
            (&[SIGNED, KEY, USER, SIGNED], Err(KeyFault::First)),
            (&[KEY], Err(KeyFault::NoUser)),
            (&[KEY, SIGNED], Err(KeyFault::NoUser)),
            (&[KEY, PHOTO, SIGNED], Err(KeyFault::NoUser)),
            (&[KEY, USER], unsigned("user id", 16)),
            (&[KEY, USER, PHOTO, SIGNED], unsigned("user id", 16)),
            (&[KEY, USER, SIGNED, PHOTO], unsigned("user attribute", 45)),
            (&[KEY, USER, SIGNED, SUBKEY], unsigned("subkey", 45)),
            (&[KEY, USER, SIGNED, KEY, USER, SIGNED], Err(KeyFault::Count(2))),
        ] {
            assert_eq!(read(parts), expected, "{parts:?}");
        }
    }

    #[test]
    fn what_is_no_part_of_a_public_key_is_refused_by_its_name() {
        for tag in 1..64 {
            let packet = [0xc0 | tag, 0];
            let read = read(&[KEY, USER, SIGNED, &packet]);
            match tag {
                SECRET_KEY | SECRET_SUBKEY => assert_eq!(read, Err(KeyFault::Secret)),
                PUBLIC_KEY => assert_eq!(read, Err(KeyFault::Count(2))),
                PUBLIC_SUBKEY | USER_ID | USER_ATTRIBUTE | SIGNATURE => {
                    assert!(!matches!(read, Ok(_) | Err(KeyFault::Tag { .. })), "{tag}");
                }
                _ => assert!(matches!(read, Err(KeyFault::Tag { tag: found, .. }) if found == tag)),
            }
        }
    }

    #[test]
    fn a_part_has_the_form_of_its_tag() {
        for version in [2, 3, 5, 6] {
            let mut key = KEY.to_vec();
            key[2] = version;
            let expected = KeyFault::Version { what: "key", at: 0, version };
            assert_eq!(read(&[&key, USER, SIGNED]), Err(expected));
        }
        let whole = [KEY, USER, SIGNED, SUBKEY, SIGNED].concat();
        for at in [0, 19, 45, 61] {
            // A body that is a byte shorter or longer than what is in it.
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
                assert!(matches!(read, Err(KeyFault::Malformed { at: found, .. }) if found == at));
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0_usize..64) {
            let _read = KeyPackets::read(&bytes).is_ok();
            let mut damaged = [KEY, USER, SIGNED, SUBKEY, SIGNED].concat();
            damaged.truncate(at.max(1));
            damaged.extend_from_slice(&bytes);
            let _read = KeyPackets::read(&damaged).is_ok();
        }
    }
}
