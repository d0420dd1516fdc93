//! The numbers at the end of keys and signatures (RFC 4880, section 3.2, and RFC 6637).

/// A part of a public key.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// A number, after its length in bits.
    Number,
    /// Bytes, after their number: the name of a curve, or how a key is derived.
    #[cfg(any(test, feature = "data"))]
    Bytes,
}

/// Tells whether `bytes` are the numbers of a public key of this algorithm; those of an algorithm that
/// is not known may be anything.
#[cfg(any(test, feature = "data"))]
pub(super) fn are_of_key(algorithm: u8, bytes: &[u8]) -> bool {
    use Part::{Bytes, Number};
    let parts: &[Part] = match algorithm {
        // RSA.
        1..=3 => &[Number; 2],
        // Elgamal.
        16 => &[Number; 3],
        // DSA.
        17 => &[Number; 4],
        // ECDH.
        18 => &[Bytes, Number, Bytes],
        // ECDSA and EdDSA.
        19 | 22 => &[Bytes, Number],
        _ => return true,
    };
    are(parts, bytes)
}

/// Tells whether `bytes` are the numbers of a signature of this algorithm; those of an algorithm that
/// is not known may be anything.
pub(super) fn are_of_signature(algorithm: u8, bytes: &[u8]) -> bool {
    let parts: &[Part] = match algorithm {
        1 | 3 => &[Part::Number],
        17 | 19 | 22 => &[Part::Number; 2],
        _ => return true,
    };
    are(parts, bytes)
}

fn are(parts: &[Part], bytes: &[u8]) -> bool {
    let rest = parts.iter().try_fold(bytes, |bytes, part| match part {
        Part::Number => {
            let (bits, rest) = bytes.split_first_chunk()?;
            rest.get(usize::from(u16::from_be_bytes(*bits)).div_ceil(8)..)
        }
        #[cfg(any(test, feature = "data"))]
        Part::Bytes => {
            let (length, rest) = bytes.split_first()?;
            rest.get(usize::from(*length)..)
        }
    });
    rest.is_some_and(<[u8]>::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_their_place() {
        let number = [0, 9, 1, 0xff];
        let two = number.repeat(2);
        for (is, algorithm, bytes) in [
            (true, 1, &two[..]),
            (false, 1, &number),
            (false, 1, &number.repeat(3)),
            (true, 16, &number.repeat(3)),
            (true, 17, &number.repeat(4)),
            (true, 18, &[&[2, 7, 7][..], &number, &[1, 7]].concat()),
            (true, 22, &[&[2, 7, 7][..], &number].concat()),
            (false, 22, &[&[9, 7, 7][..], &number].concat()),
            (true, 99, b"anything"),
        ] {
            assert_eq!(are_of_key(algorithm, bytes), is, "{algorithm} {bytes:?}");
        }
        for (is, algorithm, bytes) in [
            (true, 1, &number[..]),
            (false, 1, &two),
            (true, 22, &two),
            (false, 17, b""),
            (true, 99, b""),
        ] {
            assert_eq!(are_of_signature(algorithm, bytes), is, "{algorithm} {bytes:?}");
        }
        for end in 0..two.len() {
            assert!(!are_of_key(1, &two[..end]), "{end}");
        }
    }
}
