//! The multiprecision integers at the end of keys and signatures (RFC 4880, section 3.2, and RFC
//! 6637).

/// A field of a key or a signature.
#[derive(Debug, Clone, Copy)]
enum Field {
    /// A number, preceded by its length in bits.
    Number,
    /// Bytes, preceded by their length: the name of a curve or the parameters of key derivation.
    #[cfg(any(test, feature = "data"))]
    Bytes,
}

/// Returns whether `bytes` are the numbers of a public key of this algorithm. For an unknown
/// algorithm, any bytes are valid.
#[cfg(any(test, feature = "data"))]
pub(super) fn are_of_key(algorithm: u8, bytes: &[u8]) -> bool {
    use Field::{Bytes, Number};
    let fields: &[Field] = match algorithm {
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
    match_fields(fields, bytes)
}

/// Returns whether `bytes` are the numbers of a signature of this algorithm. For an unknown
/// algorithm, any bytes are valid.
pub(super) fn are_of_signature(algorithm: u8, bytes: &[u8]) -> bool {
    let fields: &[Field] = match algorithm {
        1 | 3 => &[Field::Number],
        17 | 19 | 22 => &[Field::Number; 2],
        _ => return true,
    };
    match_fields(fields, bytes)
}

/// Splits `bytes` into the first number, without the length field before it, and the rest.
pub(super) fn number(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (bits, rest) = bytes.split_first_chunk()?;
    // No number of a key or signature is zero. GnuPG 2.4 reports nothing about such a signature, as
    // if it could not be checked now.
    let bits = Some(u16::from_be_bytes(*bits)).filter(|bits| *bits > 0)?;
    rest.split_at_checked(usize::from(bits).div_ceil(8))
}

fn match_fields(fields: &[Field], bytes: &[u8]) -> bool {
    let rest = fields.iter().try_fold(bytes, |bytes, field| match field {
        Field::Number => number(bytes).map(|(_, rest)| rest),
        #[cfg(any(test, feature = "data"))]
        Field::Bytes => {
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
    fn numbers_must_fill_all_bytes() {
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
            (false, 1, &[0, 0]),
            (false, 19, &[0, 0, 0, 0]),
            (true, 99, b""),
        ] {
            assert_eq!(are_of_signature(algorithm, bytes), is, "{algorithm} {bytes:?}");
        }
        for end in 0..two.len() {
            assert!(!are_of_key(1, &two[..end]), "{end}");
        }
    }
}
