//! Encoding of the server's type `numeric`, which has a wider range than any integer type.
//!
//! MIG's ids have this type. On the wire, such a number consists of digits to the base 10,000, with
//! a sign and the weight of the first digit.

use crate::data::value::SqlValue;

/// The sign field, which also marks the values without digits.
const POSITIVE: u16 = 0;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;
/// Number of bytes before the digits.
const HEAD_BYTES: usize = 8;

/// Decodes a number that the server sent: an integer if possible, else text. Returns `None` if it
/// is damaged.
pub(super) fn read(raw: &[u8]) -> Option<SqlValue> {
    let (head, digits) = raw.split_at_checked(HEAD_BYTES)?;
    let head: Vec<u16> = words(head).collect();
    let [count, weight, sign, scale] = head.as_slice() else { return None };
    let other = |text: &str| Some(SqlValue::Other(text.to_owned()));
    match *sign {
        NAN => return other("NaN"),
        INFINITY => return other("infinity"),
        NEGATIVE_INFINITY => return other("-infinity"),
        POSITIVE | NEGATIVE => {}
        _ => return None,
    }
    let weight = i32::from(i16::from_be_bytes(weight.to_be_bytes()));
    let digits: Vec<u16> = words(digits).take(usize::from(*count)).collect();
    let digit = |place: i32| {
        let at = usize::try_from(weight.checked_sub(place)?).ok()?;
        digits.get(at).copied()
    };
    let is_negative = *sign == NEGATIVE;
    let mut whole = String::new();
    for place in (0..=weight).rev() {
        whole.push_str(&format!("{:04}", digit(place).unwrap_or(0)));
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let minus = if is_negative { "-" } else { "" };
    let mut fraction = String::new();
    for place in 1..=i32::from(*scale).div_euclid(4) + 1 {
        fraction.push_str(&format!("{:04}", digit(-place).unwrap_or(0)));
    }
    let fraction = fraction.trim_end_matches('0');
    let text = match fraction.is_empty() {
        true => format!("{minus}{whole}"),
        false => format!("{minus}{whole}.{fraction}"),
    };
    Some(text.parse().map_or(SqlValue::Other(text), SqlValue::Number))
}

/// Encodes a number for the server. Returns `None` if the text is not a number.
pub(super) fn encode(text: &str) -> Option<Vec<u8>> {
    let special = match text {
        "NaN" => Some(NAN),
        "infinity" => Some(INFINITY),
        "-infinity" => Some(NEGATIVE_INFINITY),
        _ => None,
    };
    if let Some(sign) = special {
        return Some(raw(sign, 0, 0, &[]));
    }
    let (sign, rest) = text.strip_prefix('-').map_or((POSITIVE, text), |rest| (NEGATIVE, rest));
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let lead = (4 - whole.len() % 4) % 4;
    let trail = (4 - fraction.len() % 4) % 4;
    let digits = format!("{}{whole}{fraction}{}", "0".repeat(lead), "0".repeat(trail));
    let places = (whole.len() + lead) / 4;
    let weight = i16::try_from(places.checked_sub(1)?).ok()?;
    let mut groups = Vec::new();
    for group in digits.as_bytes().chunks(4) {
        let group = std::str::from_utf8(group).ok()?;
        groups.push(group.parse().ok()?);
    }
    Some(raw(sign, weight, u16::try_from(fraction.len()).ok()?, &groups))
}

fn raw(sign: u16, weight: i16, scale: u16, digits: &[u16]) -> Vec<u8> {
    let count = u16::try_from(digits.len()).unwrap_or(u16::MAX);
    let head = [count, u16::from_be_bytes(weight.to_be_bytes()), sign, scale];
    head.iter().chain(digits).flat_map(|word| word.to_be_bytes()).collect()
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_encoding_and_decoding() {
        for number in [0, 1, -1, 9_999, 10_000, 28_052_712_325_240, i64::MAX, i64::MIN] {
            let raw = encode(&number.to_string()).unwrap();
            assert_eq!(read(&raw), Some(SqlValue::Number(number)), "{number}");
        }
        // The longest and the smallest number that the server stores.
        let (large, small) =
            (format!("9{}", "0".repeat(131_071)), format!("0.{}7", "0".repeat(16_382)));
        for text in [
            "NaN",
            "infinity",
            "-infinity",
            "1.5",
            "-0.00012",
            "123456789012345678901234567890",
            &large,
            &small,
        ] {
            let raw = encode(text).unwrap();
            assert_eq!(read(&raw), Some(SqlValue::Other(text.to_owned())), "{text}");
        }
        assert_eq!(encode("one"), None);
        assert_eq!(read(&[0, 1]), None);
    }
}
