//! Skips a JSON value whose content is not needed: the findings of a command, nearly all that the API
//! sends.
//!
//! serde_json skips values too, but takes two fifths of the processor time of a fetch for it. Here,
//! eight bytes of a string are compared at once, and nothing is stored but one bit for each open object
//! or list. The functions are small and run for every few bytes, so they are always inlined: otherwise
//! the gain is lost.
//!
//! **Invariant.** Whatever is skipped is JSON that serde_json skips to the same end. It need not be
//! UTF-8, which whoever uses the text checks. What cannot be skipped here, because it is not JSON, is
//! incomplete or very deep, is left to serde_json, so there is only one description of each error.

/// Number of objects and lists that may be open at once: the bits of `Open::kinds`.
const DEPTH_MAX: u32 = u64::BITS;
/// A word whose bytes are all 1.
const ONES: u64 = u64::MAX / 255;
/// A word of which the highest bit of each byte is set.
const HIGHEST: u64 = ONES << 7;

/// The objects and lists around the position.
#[derive(Debug, Default)]
struct Open {
    /// One bit for each, the innermost last: 1 for an object, 0 for a list.
    kinds: u64,
    depth: u32,
}

impl Open {
    fn push(&mut self, is_object: bool) -> Option<()> {
        self.depth += 1;
        self.kinds = self.kinds << 1 | u64::from(is_object);
        (self.depth <= DEPTH_MAX).then_some(())
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.kinds >>= 1;
    }

    fn is_object(&self) -> bool {
        self.kinds & 1 == 1
    }
}

/// Returns what follows the value at the beginning of `text`; `None` if serde_json must decide.
pub(super) fn value(text: &[u8]) -> Option<&[u8]> {
    let (mut rest, mut open) = (text, Open::default());
    loop {
        let begin = space(rest);
        let (first, more) = begin.split_first()?;
        rest = match first {
            b'"' => string(more)?,
            b'{' => match space(more).strip_prefix(b"}") {
                Some(more) => more,
                None => {
                    open.push(true)?;
                    rest = key(more)?;
                    continue;
                }
            },
            b'[' => match space(more).strip_prefix(b"]") {
                Some(more) => more,
                None => {
                    open.push(false)?;
                    rest = more;
                    continue;
                }
            },
            b't' => more.strip_prefix(b"rue")?,
            b'f' => more.strip_prefix(b"alse")?,
            b'n' => more.strip_prefix(b"ull")?,
            _ => number(begin)?,
        };
        loop {
            if open.depth == 0 {
                return Some(rest);
            }
            let (first, more) = space(rest).split_first()?;
            rest = more;
            match (first, open.is_object()) {
                (b',', true) => {
                    rest = key(rest)?;
                    break;
                }
                (b',', false) => break,
                (b'}', true) | (b']', false) => open.pop(),
                _ => return None,
            }
        }
    }
}

/// Skips white space.
#[inline(always)]
fn space(mut text: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t' | b'\r' | b'\n', rest)) = text.split_first() {
        text = rest;
    }
    text
}

/// Skips a key and its colon.
#[inline(always)]
fn key(text: &[u8]) -> Option<&[u8]> {
    let rest = string(space(text).strip_prefix(b"\"")?)?;
    space(rest).strip_prefix(b":")
}

/// Skips a string after its opening quote.
#[inline(always)]
fn string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        while let Some((word, rest)) = text.split_first_chunk() {
            match plain_bytes(*word) {
                8 => text = rest,
                plain => {
                    text = text.get(plain..)?;
                    break;
                }
            }
        }
        let (first, rest) = text.split_first()?;
        text = match first {
            b'"' => return Some(rest),
            b'\\' => escape(rest)?,
            0..0x20 => return None,
            _ => rest,
        };
    }
}

/// Returns how many bytes precede the first quote, backslash or control character; 8 if there is none.
#[inline(always)]
fn plain_bytes(word: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(word);
    // The highest bit of a byte becomes 1 if the byte is less than the subtrahend, unless it was 1. A
    // borrow can set it wrongly, but only in bytes after one that is found.
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
    let found = (control | quote | backslash) & !word & HIGHEST;
    usize::try_from(found.trailing_zeros() / 8).unwrap_or_default()
}

/// Skips the rest of an escape sequence after its backslash.
#[cold]
#[inline(never)]
fn escape(text: &[u8]) -> Option<&[u8]> {
    match text.split_first()? {
        (b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest) => Some(rest),
        (b'u', rest) => {
            let (digits, rest) = rest.split_first_chunk::<4>()?;
            digits.iter().all(u8::is_ascii_hexdigit).then_some(rest)
        }
        _ => None,
    }
}

#[inline(always)]
fn number(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = text.strip_prefix(b"0").or_else(|| digits(text))?;
    if let Some(fraction) = rest.strip_prefix(b".") {
        rest = digits(fraction)?;
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        rest = match exponent.split_first()? {
            (b'+' | b'-', exponent) => digits(exponent)?,
            _ => digits(exponent)?,
        };
    }
    Some(rest)
}

/// Skips at least one digit.
#[inline(always)]
fn digits(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text;
    while let Some((b'0'..=b'9', more)) = rest.split_first() {
        rest = more;
    }
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;
    use serde_json::Deserializer;

    use super::*;

    /// Parts of JSON; most combinations of a few are not JSON.
    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\u00",
        "\\ud800",
        "\\n",
        "\\x",
        "null",
        "true",
        "false",
        "nul",
        "0",
        "7",
        "-",
        "-0",
        "01",
        ".",
        "1.5",
        "e",
        "E+7",
        "2e-3",
        "1e400",
        " ",
        "\n",
        "\t",
        "\u{1}",
        "\u{1f}",
        "\u{7f}",
        "ä",
        "€",
        "\u{10ffff}",
        "\"k\":",
        "\"\"",
        "{}",
        "[]",
        "\"long text without end",
        "{\"a\":[1,{\"b\":null}],\"c\":\"d\\\"e\"}",
    ];

    /// Returns the number of bytes that serde_json skips.
    fn skipped_by_serde(text: &[u8]) -> Option<usize> {
        let mut values = Deserializer::from_slice(text).into_iter::<IgnoredAny>();
        // The iterator refuses `1x`, whose end is nevertheless certain.
        values.next()?.ok().map(|_| values.byte_offset())
    }

    fn skipped(text: &[u8]) -> Option<usize> {
        value(text).map(|rest| text.len() - rest.len())
    }

    /// Checks that a value is skipped exactly if serde_json skips it, and to the same end.
    #[track_caller]
    fn assert_same(text: &[u8]) {
        // Between brackets the end of each value is certain.
        let list = [b"[", text, b"]"].concat();
        let shown = String::from_utf8_lossy(&list);
        assert_eq!(skipped(&list), skipped_by_serde(&list), "{shown}");
    }

    #[test]
    fn values_are_skipped_to_their_end() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-0",
            "12",
            "-1.50e+007",
            "1E5",
            "\"\"",
            "\"ä\\u00e4\\\\\"",
            "\"eight by\"",
            "\"a\\\"b\"",
            "{}",
            "[ ]",
            " [1 , { \"a\" : [ ] } ,\n\"]\"]",
            "\"\u{7f}\"",
        ] {
            assert_eq!(skipped(text.as_bytes()), Some(text.len()), "{text}");
            let more = format!("{text},1");
            assert_eq!(skipped(more.as_bytes()), Some(text.len()), "{more}");
            assert_same(text.as_bytes());
        }
    }

    #[test]
    fn anything_but_json_is_left_to_serde() {
        for text in [
            "",
            " ",
            "nul",
            "tru",
            "falsy",
            "-",
            "1.",
            ".5",
            "1e",
            "1e+",
            "+1",
            "x",
            "\"",
            "\"a",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u123g\"",
            "\"a\nb\"",
            "\"1234567\u{0}\"",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "{\"a\" 1}",
            "[}",
            "{]",
            "[1}",
            "{\"a\":1]",
        ] {
            assert_eq!(skipped(text.as_bytes()), None, "{text}");
            assert_same(text.as_bytes());
        }
    }

    #[test]
    fn deep_nesting_is_left_to_serde() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        // The innermost empty list is not open.
        let most = usize::try_from(DEPTH_MAX).unwrap() + 1;
        assert_eq!(skipped(nested(most).as_bytes()), Some(2 * most));
        assert_eq!(skipped(nested(most + 1).as_bytes()), None);
        let mixed = format!("{}1{}", "[{\"a\":".repeat(32), "}]".repeat(32));
        assert_eq!(skipped(mixed.as_bytes()), Some(mixed.len()));
        assert_eq!(skipped(mixed.replace("1}]", "1]}").as_bytes()), None);
    }

    #[test]
    fn every_byte_counts_wherever_it_is_in_a_string() {
        for byte in 0..=u8::MAX {
            for at in 0..20 {
                let mut text = b"\"01234567890123456789\"".to_vec();
                text[1 + at] = byte;
                assert_same(&text);
                // The other bytes must not hide it, nor be taken for it.
                text.iter_mut().skip(2 + at).take(5).for_each(|more| *more = byte ^ 1);
                assert_same(&text);
            }
        }
    }

    proptest! {
        #[test]
        fn parts_are_skipped_as_by_serde(
            parts in prop::collection::vec(0..PARTS.len(), 0..12),
        ) {
            let text: String = parts.into_iter().map(|part| PARTS[part]).collect();
            assert_same(text.as_bytes());
        }

        #[test]
        fn damaged_json_is_skipped_as_by_serde(
            value in "[ -~]{0,20}",
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let value = serde_json::json!({"k": [value, 1.5e3, {"x": true, "y": null}], "z": -7});
            let mut text = value.to_string().into_bytes();
            for (at, byte) in damage {
                let at = at.index(text.len());
                text[at] = byte;
            }
            assert_same(&text);
        }
    }
}
