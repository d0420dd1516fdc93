//! JSON numbers: Go converts every number in parameters to a 64-bit float and back.
//!
//! Go and Rust print the same shortest digits of a float; only the notation differs.

use std::fmt::Write;

/// Integers with at most this number of digits are exact as floats and written unchanged.
const EXACT_DIGITS_MAX: usize = 15;

/// Appends the number `literal` as Go writes it after parsing it. Returns `None` if it is too large
/// for a float.
pub(super) fn canonical(literal: &str, out: &mut String) -> Option<()> {
    let digits = literal.strip_prefix('-').unwrap_or(literal);
    if digits.len() <= EXACT_DIGITS_MAX && digits.bytes().all(|b| b.is_ascii_digit()) {
        out.push_str(literal);
    } else {
        encode(decode(literal)?, out);
    }
    Some(())
}

/// Parses a JSON number. Returns `None` if it is too large for a float.
pub(super) fn decode(literal: &str) -> Option<f64> {
    literal.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Appends a float as Go's JSON writes it.
pub(super) fn encode(number: f64, out: &mut String) {
    let size = number.abs();
    let written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                write!(out, "{digits}e+{exponent}")
            }
            _ => write!(out, "{text}"),
        }
    } else {
        write!(out, "{number}")
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(literal: &str) -> String {
        let mut out = String::new();
        canonical(literal, &mut out).unwrap();
        out
    }

    #[test]
    fn numbers_are_written_as_by_go() {
        for (literal, text) in [
            ("-0", "-0"),
            ("-0.0", "-0"),
            ("1.0", "1"),
            ("1e20", "100000000000000000000"),
            ("1e21", "1e+21"),
            ("-1.5E+300", "-1.5e+300"),
            ("1e-6", "0.000001"),
            ("9.99e-7", "9.99e-7"),
            ("5e-324", "5e-324"),
            ("123456789012345678", "123456789012345680"),
            ("999999999999999", "999999999999999"),
            ("9999999999999999", "10000000000000000"),
        ] {
            assert_eq!(printed(literal), text);
        }
        assert_eq!(canonical("1e309", &mut String::new()), None);
    }

    proptest! {
        #[test]
        fn a_written_number_parses_to_itself(number in any::<f64>().prop_filter("JSON has only finite numbers", |n| n.is_finite())) {
            let mut out = String::new();
            encode(number, &mut out);
            prop_assert_eq!(decode(&out).map(f64::to_bits), Some(number.to_bits()));
            prop_assert_eq!(printed(&out), out);
        }
    }
}
