//! The packets of ICMP's echo, RFC 792 and 4443.

use super::PAYLOAD;

/// The bytes before the payload.
const HEADER_BYTES: usize = 8;
/// How often the payload is repeated.
const REPEATS: usize = 3;

/// The two versions of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// That of IPv4.
    V4,
    /// That of IPv6.
    V6,
}

impl Version {
    fn request(self) -> u8 {
        match self {
            Version::V4 => 8,
            Version::V6 => 128,
        }
    }

    fn reply(self) -> u8 {
        match self {
            Version::V4 => 0,
            Version::V6 => 129,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Echo {
    /// The version of the protocol.
    pub(super) version: Version,
    /// Who asks; `None` where the system puts that in, and gives us only what is for us.
    pub(super) id: Option<u16>,
    /// Which one of our requests it is.
    pub(super) sequence: u16,
}

impl Echo {
    pub(super) fn packet(&self) -> Vec<u8> {
        let packet = self.with_checksum(0);
        match self.version {
            Version::V4 => self.with_checksum(checksum(&packet)),
            // Its checksum covers addresses that the system chooses, which therefore makes it.
            Version::V6 => packet,
        }
    }

    fn with_checksum(&self, checksum: u16) -> Vec<u8> {
        let mut packet = vec![self.version.request(), 0];
        for field in [checksum, self.id.unwrap_or_default(), self.sequence] {
            packet.extend(field.to_be_bytes());
        }
        packet.extend(PAYLOAD.repeat(REPEATS));
        packet
    }

    /// Tells whether `packet` is the answer to this request.
    pub(super) fn is_answer(&self, packet: &[u8]) -> bool {
        let Some((header, payload)) = packet.split_at_checked(HEADER_BYTES) else { return false };
        let [kind, code, _, _, id @ .., high, low] = header else { return false };
        let id = id.first_chunk().copied().map(u16::from_be_bytes);
        *kind == self.version.reply()
            && *code == 0
            && (self.id.is_none() || self.id == id)
            && u16::from_be_bytes([*high, *low]) == self.sequence
            && payload == PAYLOAD.repeat(REPEATS)
    }
}

/// Returns the Internet checksum, RFC 1071.
fn checksum(packet: &[u8]) -> u16 {
    let word = |pair: &[u8]| match pair {
        [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
        [high] => u32::from(*high) << 8,
        _ => 0,
    };
    let mut sum: u32 = packet.chunks(2).map(word).sum();
    while let carry @ 1.. = sum >> 16 {
        sum = (sum & 0xffff) + carry;
    }
    !u16::try_from(sum).unwrap_or_default()
}

/// Returns what an IPv4 packet carries.
pub(super) fn within_ipv4(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |first| usize::from(first & 0x0f));
    packet.get(words * 4..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_right_checksum() {
        let packet = Echo { version: Version::V4, id: Some(0x1234), sequence: 7 }.packet();
        assert_eq!((packet.len(), packet[0], packet[1]), (HEADER_BYTES + 45, 8, 0));
        assert_eq!(packet[4..8], [0x12, 0x34, 0, 7]);
        // Over a packet that has the right one it comes to nothing.
        assert_eq!(checksum(&packet), 0);
        // The example of RFC 1071.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&example), !0xddf2);
    }

    #[test]
    fn only_its_own_answer_is_the_answer() {
        for (version, reply) in [(Version::V4, 0), (Version::V6, 129)] {
            let echo = Echo { version, id: Some(5), sequence: 2 };
            let mut answer = echo.packet();
            assert!(!echo.is_answer(&answer), "its own request");
            answer[0] = reply;
            assert!(echo.is_answer(&answer));
            assert!(!Echo { sequence: 3, ..echo }.is_answer(&answer), "a late one");
            assert!(!Echo { id: Some(6), ..echo }.is_answer(&answer), "somebody else's");
            assert!(Echo { id: None, ..echo }.is_answer(&answer));
            assert!(!echo.is_answer(&answer[..answer.len() - 1]), "another one's");
            assert!(!echo.is_answer(&answer[..7]) && !echo.is_answer(&[]));
            answer[0] = 3;
            assert!(!echo.is_answer(&answer), "an error");
        }
    }

    #[test]
    fn the_header_of_ipv4_has_any_length() {
        assert_eq!(within_ipv4(&[0x45; 24]), [0x45; 4]);
        for nothing in [&[0x46; 24][..4], &[0x4f; 24], &[]] {
            assert!(within_ipv4(nothing).is_empty(), "{nothing:?}");
        }
    }
}
