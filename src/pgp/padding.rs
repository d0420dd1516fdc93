//! Pads the number of an RSA signature to the length of the key's modulus.
//!
//! GnuPG writes the number of an RSA signature without its leading zero bytes, so in one signature
//! of 256 the number is shorter than the key. The platform's library requires the full length.
//! Padding restores the zero bytes and corrects the length of the packet. It changes no hashed
//! byte, and GnuPG accepts the padded form as well.
//!
//! **Invariant.** Padding only makes a number longer, and only by zero bytes at its beginning.

use super::packet::{Packet, SIGNATURE, packets};
use super::signature::{KeyId, SignaturePacket};

/// Maximum length of a number, in bytes: its length in bits must fit into two bytes.
const NUMBER_BYTES_MAX: usize = 8191;
/// GnuPG only creates RSA keys whose length in bytes is a multiple of this.
const KEY_STEP_BYTES: usize = 4;

/// Returns the ids of the keys that made the signatures in `data`; none if it is not complete
/// packets.
pub(super) fn issuers(data: &[u8]) -> Vec<KeyId> {
    let packets = packets(data).unwrap_or_default();
    packets.iter().filter_map(|packet| Some(signature(packet)?.issuer)).collect()
}

/// Returns `data` with each RSA number padded to the length in bytes that `length` returns for the
/// key and the current length of the number; `None` if no padding is needed or `data` is not
/// complete packets.
pub(super) fn pad(data: &[u8], length: impl Fn(&KeyId, usize) -> Option<usize>) -> Option<Vec<u8>> {
    let packets = packets(data).ok()?;
    let ends = packets.iter().map(|packet| packet.at).skip(1).chain([data.len()]);
    let (mut padded, mut has_changed) = (Vec::new(), false);
    for (packet, end) in packets.iter().zip(ends) {
        match padded_body(packet, &length) {
            Some(body) => {
                let header = *data.get(packet.at)?;
                let is_five = data.get(packet.at.checked_add(1)?) == Some(&255);
                push_header(header, is_five, body.len(), &mut padded)?;
                padded.extend_from_slice(&body);
                has_changed = true;
            }
            None => padded.extend_from_slice(data.get(packet.at..end)?),
        }
    }
    has_changed.then_some(padded)
}

/// Returns the length of the key that probably made a number of `bytes` bytes; `None` if a key may
/// have exactly this length.
pub(super) fn probable(bytes: usize) -> Option<usize> {
    let whole = bytes.checked_next_multiple_of(KEY_STEP_BYTES)?;
    (whole > bytes).then_some(whole)
}

/// Parses a packet as a signature.
fn signature(packet: &Packet<'_>) -> Option<SignaturePacket> {
    (packet.tag == SIGNATURE).then(|| SignaturePacket::read(packet.body).ok())?
}

/// Returns the body of a packet with its number padded; `None` if no padding is needed.
fn padded_body(
    packet: &Packet<'_>,
    length: &impl Fn(&KeyId, usize) -> Option<usize>,
) -> Option<Vec<u8>> {
    let signature = signature(packet).filter(SignaturePacket::is_rsa)?;
    let (signed, numbers) =
        packet.body.split_at_checked(packet.body.len().checked_sub(signature.numbers)?)?;
    // The last field of the packet is the number, preceded by its length in bits.
    let (_bits, number) = numbers.split_at_checked(2)?;
    let whole = length(&signature.issuer, number.len())?;
    let missing = whole.checked_sub(number.len()).filter(|missing| *missing > 0)?;
    if whole > NUMBER_BYTES_MAX {
        return None;
    }
    let bits = u16::try_from(whole.checked_mul(8)?).ok()?;
    Some([signed, &bits.to_be_bytes(), &vec![0; missing], number].concat())
}

/// Appends the header of a packet whose body has this length, in the form of its former header.
/// `is_five` is whether a header of the new form has a length field of five bytes.
fn push_header(header: u8, is_five: bool, length: usize, out: &mut Vec<u8>) -> Option<()> {
    let long = u32::try_from(length).ok()?;
    let is_new = header & 0x40 != 0;
    if is_new {
        out.push(header);
        match u8::try_from(length) {
            Ok(short @ 0..=191) if !is_five => out.push(short),
            _ if !is_five && length < 8384 => {
                let rest = u16::try_from(length).ok()?.checked_sub(192)?;
                let [high, low] = rest.to_be_bytes();
                out.extend([high.checked_add(192)?, low]);
            }
            _ => {
                out.push(255);
                out.extend(long.to_be_bytes());
            }
        }
        return Some(());
    }
    let [one, two, three, four] = long.to_be_bytes();
    // If the length no longer fits, the next longer form is used.
    let kind = match header & 3 {
        0 if length <= usize::from(u8::MAX) => 0,
        0 | 1 if length <= usize::from(u16::MAX) => 1,
        _ => 2,
    };
    out.push(header & !3 | kind);
    match kind {
        0 => out.push(four),
        1 => out.extend([three, four]),
        _ => out.extend([one, two, three, four]),
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: KeyId = [1, 2, 3, 4, 5, 6, 7, 8];

    /// Returns the body of a signature with this number.
    fn body(algorithm: u8, number: &[u8]) -> Vec<u8> {
        let bits = u16::try_from(number.len() * 8).unwrap().to_be_bytes();
        let area = [&[0, 10, 9, 16][..], &ID].concat();
        [&[4, 0, algorithm, 8][..], &area, &[0, 0, 9, 9], &bits, number].concat()
    }

    fn packet(header: &[u8], number: &[u8]) -> Vec<u8> {
        [header, &body(1, number)].concat()
    }

    fn to(whole: usize) -> impl Fn(&KeyId, usize) -> Option<usize> {
        move |id, _| (*id == ID).then_some(whole)
    }

    /// The length of a body without its number.
    const REST: usize = 22;

    fn header(form: u8, length: usize) -> Vec<u8> {
        let long = u32::try_from(length).unwrap().to_be_bytes();
        match form {
            0 => vec![0x88, long[3]],
            1 => vec![0x89, long[2], long[3]],
            2 => [&[0x8a][..], &long].concat(),
            3 => vec![0xc2, long[3]],
            4 => {
                let rest = u16::try_from(length - 192).unwrap().to_be_bytes();
                vec![0xc2, rest[0] + 192, rest[1]]
            }
            _ => [&[0xc2, 255][..], &long].concat(),
        }
    }

    #[test]
    fn number_is_padded_with_every_form_of_header() {
        // The form of the header before and after, and the length of the padded number.
        for (before, after, whole) in [
            (0, 0, 128),
            (1, 1, 128),
            (2, 2, 128),
            (3, 3, 128),
            (5, 5, 128),
            (0, 1, 256 - REST),
            (3, 4, 192 - REST),
            (4, 4, 256),
            (1, 1, 384),
        ] {
            for missing in [1, 2] {
                let number = vec![7; whole - missing];
                let full = [&vec![0; missing][..], &number].concat();
                let short = packet(&header(before, REST + number.len()), &number);
                let long = packet(&header(after, REST + whole), &full);
                assert_eq!(pad(&short, to(whole)), Some(long.clone()), "{before} {after} {whole}");
                assert_eq!(pad(&long, to(whole)), None, "{before} {after} {whole}");
            }
        }
    }

    #[test]
    fn each_signature_is_padded_to_the_length_of_its_key() {
        let (mut other, short) = (packet(&[0xc2, 27], &[7; 5]), packet(&[0x88, 28], &[7; 6]));
        // A signature by another key.
        other[10] = 9;
        let foreign = [0xcd, 1, b'x'];
        let data = [&other[..], &foreign, &short, &short].concat();
        let long = packet(&[0x88, 30], &[0, 0, 7, 7, 7, 7, 7, 7]);
        assert_eq!(pad(&data, to(8)), Some([&other[..], &foreign, &long, &long].concat()));
        assert_eq!(issuers(&data), [[9, 2, 3, 4, 5, 6, 7, 8], ID, ID]);
    }

    #[test]
    fn only_short_rsa_numbers_are_padded() {
        let whole = packet(&[0x88, 30], &[7; 8]);
        // A number of full length or longer than the key, an unknown key, a key of impossible
        // length.
        for length in [None, Some(0), Some(7), Some(8), Some(usize::MAX), Some(8192)] {
            assert_eq!(pad(&whole, |_, _| length), None, "{length:?}");
        }
        let two = [7, 7, 0, 8, 7];
        let dsa = [&[0x88][..], &[u8::try_from(REST + 5).unwrap()], &body(17, &two)].concat();
        assert_eq!(pad(&dsa, to(8)), None);
        for end in 0..whole.len() {
            assert_eq!(pad(&whole[..end], to(9)), None, "{end}");
        }
        assert_eq!(pad(b"no packets", to(8)), None);
    }

    #[test]
    fn version_3_signature_is_padded() {
        let v3 = |bits: u8, number: &[u8]| {
            let rest = [&[3, 5, 0, 0, 0, 0, 0][..], &ID, &[1, 8, 9, 9, 0, bits], number].concat();
            [&[0x88, u8::try_from(rest.len()).unwrap()], &rest[..]].concat()
        };
        assert_eq!(pad(&v3(16, &[7, 7]), to(4)), Some(v3(32, &[0, 0, 7, 7])));
    }

    #[test]
    fn probable_length_of_a_key_is_a_multiple_of_the_step() {
        for (bytes, whole) in [
            (128, None),
            (127, Some(128)),
            (254, Some(256)),
            (256, None),
            (383, Some(384)),
            (0, None),
        ] {
            assert_eq!(probable(bytes), whole, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), whole in 0_usize..9000) {
            let _padded = pad(&bytes, |_, _| Some(whole));
            let _issuers = issuers(&bytes);
        }
    }
}
