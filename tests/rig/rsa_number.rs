//! The RSA number of a signature, which GnuPG, unlike the runner, writes without leading zero bytes.
//!
//! The original rejects a number that is shorter than the key, both in tokens and in actions. The
//! platform of these tests accepts one in a token, so the tests check tokens themselves.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The lengths of the numbers of common keys, in bytes.
const USUAL: [usize; 4] = [128, 256, 384, 512];

/// Returns the packet in a signature on one line, without its checksum.
fn packet(line: &str) -> Vec<u8> {
    let (base64, checksum) = line.rsplit_once('=').unwrap();
    assert_eq!(checksum.len(), 4, "{line}");
    STANDARD.decode(base64).unwrap()
}

/// Returns the length of the header of a signature packet of GnuPG or of the runner.
fn head(packet: &[u8]) -> usize {
    match packet {
        [0x88, ..] | [0xc2, 0..=191, ..] => 2,
        [0x89, ..] | [0xc2, 192..=223, ..] => 3,
        other => panic!("not the header of a signature: {:x?}", &other[..2]),
    }
}

/// Returns the offset of the number, including its length field, in a signature packet.
fn offset(packet: &[u8]) -> usize {
    let two = |at: usize| usize::from(packet[at]) << 8 | usize::from(packet[at + 1]);
    let body = head(packet);
    assert_eq!((packet[body], packet[body + 2]), (4, 1), "version 4, RSA");
    let unhashed = body + 6 + two(body + 4);
    unhashed + 2 + two(unhashed) + 2
}

/// Returns whether the number of a signature has a length that no common key has.
pub(crate) fn is_short(line: &str) -> bool {
    let packet = packet(line);
    !USUAL.contains(&(packet.len() - offset(&packet) - 2))
}

/// Returns a signature of GnuPG with its number padded to `bytes` bytes.
pub(crate) fn padded(line: &str, bytes: usize) -> String {
    let packet = packet(line);
    let at = offset(&packet);
    let (body, number) = (head(&packet), &packet[at + 2..]);
    let bits = u16::try_from(bytes * 8).unwrap().to_be_bytes();
    let body = [&packet[body..at], &bits, &vec![0; bytes - number.len()], number].concat();
    let length = u16::try_from(body.len()).unwrap().to_be_bytes();
    let whole = [&[0x89][..], &length, &body].concat();
    format!("{}{}", STANDARD.encode(&whole), checksum(&whole))
}

/// Returns the checksum of OpenPGP's armor.
fn checksum(content: &[u8]) -> String {
    let crc = content.iter().fold(0x00b7_04ce_u32, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 16), |crc, _| {
            let crc = crc << 1;
            if crc & 0x0100_0000 == 0 { crc } else { crc ^ 0x0186_4cfb }
        })
    });
    format!("={}", STANDARD.encode(&crc.to_be_bytes()[1..]))
}
