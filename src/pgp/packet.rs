//! Splits bytes into OpenPGP packets, which have a tag and a body (RFC 4880, section 4).
//!
//! Only packets that state their length are supported. Indeterminate and partial lengths are for
//! streams; keys and signatures do not need them.

/// Maximum number of packets in a block.
const PACKETS_MAX: usize = 4096;

#[cfg(any(test, feature = "data"))]
pub(super) const PUBLIC_KEY: u8 = 6;
pub(super) const SIGNATURE: u8 = 2;
pub(super) const SECRET_KEY: u8 = 5;
pub(super) const SECRET_SUBKEY: u8 = 7;
#[cfg(any(test, feature = "data"))]
pub(super) const USER_ID: u8 = 13;
#[cfg(any(test, feature = "data"))]
pub(super) const PUBLIC_SUBKEY: u8 = 14;
/// A user attribute, such as a photo.
#[cfg(any(test, feature = "data"))]
pub(super) const USER_ATTRIBUTE: u8 = 17;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) tag: u8,
    /// The content, without the header.
    pub(super) body: &'a [u8],
    /// The offset of its header.
    pub(super) at: usize,
}

/// Why bytes are not complete packets. Each offset is that of a packet's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PacketError {
    /// The byte is not the first of a header.
    #[error("no OpenPGP packet begins at byte {0} of its data")]
    Header(usize),
    /// The length is indeterminate or partial.
    #[error("the packet at byte {0} of its data does not state its length")]
    Length(usize),
    /// The data ends inside the packet.
    #[error("the packet at byte {0} of its data is cut short")]
    Cut(usize),
    #[error("it has over {PACKETS_MAX} packets")]
    Count,
}

/// Returns the packets that `bytes` consist of; each byte belongs to one of them.
pub(super) fn packets(bytes: &[u8]) -> Result<Vec<Packet<'_>>, PacketError> {
    let (mut rest, mut packets) = (bytes, Vec::new());
    while !rest.is_empty() {
        if packets.len() == PACKETS_MAX {
            return Err(PacketError::Count);
        }
        let (packet, after) = first(rest, bytes.len() - rest.len())?;
        packets.push(packet);
        rest = after;
    }
    Ok(packets)
}

/// Splits `bytes`, which begin at the offset `at`, into the first packet and the rest.
fn first(bytes: &[u8], at: usize) -> Result<(Packet<'_>, &[u8]), PacketError> {
    let (header, rest) = bytes.split_first().ok_or(PacketError::Cut(at))?;
    let (tag, length) = match header {
        0xc0..=0xff => (header & 0x3f, new_length(rest)),
        0x80..=0xbf => ((header >> 2) & 0xf, old_length(header & 3, rest)),
        _ => return Err(PacketError::Header(at)),
    };
    // The tag 0 is reserved.
    if tag == 0 {
        return Err(PacketError::Header(at));
    }
    let (length, rest) = match length {
        Length::Known(length, rest) => (length, rest),
        Length::Unknown => return Err(PacketError::Length(at)),
        Length::Cut => return Err(PacketError::Cut(at)),
    };
    let (body, rest) = rest.split_at_checked(length).ok_or(PacketError::Cut(at))?;
    Ok((Packet { tag, body, at }, rest))
}

/// The length of a body as stated in its header.
enum Length<'a> {
    /// The length, and the bytes after the header.
    Known(usize, &'a [u8]),
    /// It is indeterminate or partial.
    Unknown,
    /// The header is cut short.
    Cut,
}

impl<'a> Length<'a> {
    /// Reads a number of `count` bytes.
    fn number(bytes: &'a [u8], count: usize) -> Length<'a> {
        let Some((number, rest)) = bytes.split_at_checked(count) else { return Length::Cut };
        let number = number.iter().fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
        // A length beyond the address space is longer than any data.
        usize::try_from(number).map_or(Length::Cut, |length| Length::Known(length, rest))
    }
}

fn old_length(kind: u8, bytes: &[u8]) -> Length<'_> {
    match kind {
        0 => Length::number(bytes, 1),
        1 => Length::number(bytes, 2),
        2 => Length::number(bytes, 4),
        _ => Length::Unknown,
    }
}

fn new_length(bytes: &[u8]) -> Length<'_> {
    match bytes {
        [high @ 192..=223, low, rest @ ..] => {
            Length::Known(((usize::from(*high) - 192) << 8) + usize::from(*low) + 192, rest)
        }
        [short @ 0..=191, rest @ ..] => Length::Known(usize::from(*short), rest),
        [224..=254, ..] => Length::Unknown,
        [255, rest @ ..] => Length::number(rest, 4),
        [192..=223] | [] => Length::Cut,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the tags and the lengths of the bodies.
    fn read(bytes: &[u8]) -> Result<Vec<(u8, usize)>, PacketError> {
        Ok(packets(bytes)?.iter().map(|packet| (packet.tag, packet.body.len())).collect())
    }

    #[test]
    fn both_forms_of_headers_are_read() {
        let body = |length: usize| vec![7; length];
        for (header, packet) in [
            (&[0x98, 0][..], (6, 0)),
            (&[0x98, 3], (6, 3)),
            (&[0xb5, 1, 0], (13, 256)),
            (&[0x9a, 0, 1, 0, 1], (6, 65_537)),
            (&[0xcd, 191], (13, 191)),
            (&[0xd1, 192, 0], (17, 192)),
            (&[0xd1, 223, 255], (17, 8383)),
            (&[0xff, 255, 0, 0, 0, 1], (63, 1)),
        ] {
            let whole = [header, &body(packet.1)].concat();
            assert_eq!(read(&whole), Ok(vec![packet]), "{header:?}");
            assert_eq!(read(&[&whole[..], &whole].concat()), Ok(vec![packet, packet]));
            let at = whole.len();
            assert_eq!(read(&[&whole[..], &[0]].concat()), Err(PacketError::Header(at)));
            for end in 1..whole.len() {
                assert_eq!(read(&whole[..end]), Err(PacketError::Cut(0)), "{header:?} {end}");
            }
        }
        assert_eq!(read(&[]), Ok(Vec::new()));
        assert_eq!(
            packets(&[0xc2, 1, 9, 0xcd, 1, 8]).unwrap()[1],
            Packet { tag: 13, body: &[8], at: 3 }
        );
    }

    #[test]
    fn packet_without_a_length_is_rejected() {
        for partial in 224..=254 {
            assert_eq!(read(&[0xc6, partial, 0, 0]), Err(PacketError::Length(0)));
        }
        assert_eq!(read(&[0x98, 0, 0x9b, 1]), Err(PacketError::Length(2)));
        for header in [0, 0x41, 0x7f, 0x80, 0xc0] {
            assert_eq!(read(&[header, 0]), Err(PacketError::Header(0)));
        }
        assert_eq!(read(&[0x9a, 255, 255, 255, 255]), Err(PacketError::Cut(0)));
        assert!(read(&[0x98, 0].repeat(PACKETS_MAX)).is_ok());
        assert_eq!(read(&[0x98, 0].repeat(PACKETS_MAX + 1)), Err(PacketError::Count));
    }

    proptest! {
        #[test]
        fn each_byte_belongs_to_one_packet(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(packets) = packets(&bytes) {
                let ends = packets.iter().map(|packet| packet.at).skip(1).chain([bytes.len()]);
                for (packet, end) in packets.iter().zip(ends) {
                    prop_assert!(bytes[packet.at..end].ends_with(packet.body));
                }
            }
        }
    }
}
