//! The packets of ICMP echo, RFC 792 and RFC 4443.

use super::PAYLOAD;

/// Size of the header, in bytes.
const HEADER_BYTES: usize = 8;
/// Number of repetitions of the payload.
const REPEATS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpVersion {
    V4,
    V6,
}

impl IcmpVersion {
    fn request_type(self) -> u8 {
        match self {
            IcmpVersion::V4 => 8,
            IcmpVersion::V6 => 128,
        }
    }

    fn reply_type(self) -> u8 {
        match self {
            IcmpVersion::V4 => 0,
            IcmpVersion::V6 => 129,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct EchoRequest {
    pub(super) version: IcmpVersion,
    /// Marks our requests; `None` if the system sets it, and delivers only answers to our requests.
    pub(super) id: Option<u16>,
    /// The number of the request.
    pub(super) sequence: u16,
}

impl EchoRequest {
    pub(super) fn packet(&self) -> Vec<u8> {
        let packet = self.with_checksum(0);
        match self.version {
            IcmpVersion::V4 => self.with_checksum(checksum(&packet)),
            // The checksum covers addresses that the system chooses, so the system computes it.
            IcmpVersion::V6 => packet,
        }
    }

    fn with_checksum(&self, checksum: u16) -> Vec<u8> {
        let mut packet = vec![self.version.request_type(), 0];
        for field in [checksum, self.id.unwrap_or_default(), self.sequence] {
            packet.extend(field.to_be_bytes());
        }
        packet.extend(PAYLOAD.repeat(REPEATS));
        packet
    }

    /// Returns whether `packet` is the answer to this request.
    pub(super) fn is_answer(&self, packet: &[u8]) -> bool {
        let Some((header, payload)) = packet.split_at_checked(HEADER_BYTES) else { return false };
        let [kind, code, _, _, id @ .., high, low] = header else { return false };
        let id = id.first_chunk().copied().map(u16::from_be_bytes);
        *kind == self.version.reply_type()
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

/// Returns the payload of an IPv4 packet.
pub(super) fn ipv4_payload(packet: &[u8]) -> &[u8] {
    let words = packet.first().map_or(0, |first| usize::from(first & 0x0f));
    packet.get(words * 4..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_has_a_correct_checksum() {
        let packet =
            EchoRequest { version: IcmpVersion::V4, id: Some(0x1234), sequence: 7 }.packet();
        assert_eq!((packet.len(), packet[0], packet[1]), (HEADER_BYTES + 45, 8, 0));
        assert_eq!(packet[4..8], [0x12, 0x34, 0, 7]);
        // The checksum of a packet with its checksum is 0.
        assert_eq!(checksum(&packet), 0);
        // The example of RFC 1071.
        let example = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&example), !0xddf2);
    }

    #[test]
    fn only_the_answer_to_the_request_is_accepted() {
        for (version, reply) in [(IcmpVersion::V4, 0), (IcmpVersion::V6, 129)] {
            let request = EchoRequest { version, id: Some(5), sequence: 2 };
            let mut answer = request.packet();
            assert!(!request.is_answer(&answer), "the request itself");
            answer[0] = reply;
            assert!(request.is_answer(&answer));
            assert!(!EchoRequest { sequence: 3, ..request }.is_answer(&answer), "a late answer");
            assert!(!EchoRequest { id: Some(6), ..request }.is_answer(&answer), "another process");
            assert!(EchoRequest { id: None, ..request }.is_answer(&answer));
            assert!(!request.is_answer(&answer[..answer.len() - 1]), "another payload");
            assert!(!request.is_answer(&answer[..7]) && !request.is_answer(&[]));
            answer[0] = 3;
            assert!(!request.is_answer(&answer), "an error message");
        }
    }

    #[test]
    fn ipv4_header_may_have_any_length() {
        assert_eq!(ipv4_payload(&[0x45; 24]), [0x45; 4]);
        for nothing in [&[0x46; 24][..4], &[0x4f; 24], &[]] {
            assert!(ipv4_payload(nothing).is_empty(), "{nothing:?}");
        }
    }
}
