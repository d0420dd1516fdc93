//! JSON strings as Go decodes and encodes them.
//!
//! Go replaces each invalid byte and each lone surrogate escape with U+FFFD when decoding, so that
//! the encoded text is always valid Unicode.

use std::borrow::Cow;

const REPLACEMENT: char = '\u{fffd}';

/// Decodes a raw string; also returns whether anything in it was replaced with U+FFFD.
pub(super) fn decode(raw: &[u8]) -> (Cow<'_, str>, bool) {
    if !raw.contains(&b'\\')
        && let Ok(text) = std::str::from_utf8(raw)
    {
        return (Cow::Borrowed(text), false);
    }
    let mut text = String::with_capacity(raw.len());
    let mut replaced = false;
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (plain, escape) = rest.split_at(at);
        replaced |= push_bytes(&mut text, plain);
        let (c, after) = unescape(escape);
        replaced |= c.is_none();
        text.push(c.unwrap_or(REPLACEMENT));
        rest = after;
    }
    replaced |= push_bytes(&mut text, rest);
    (Cow::Owned(text), replaced)
}

/// Appends bytes as text; returns whether any were invalid UTF-8.
fn push_bytes(text: &mut String, bytes: &[u8]) -> bool {
    let mut replaced = false;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        // Go replaces each invalid byte, not each invalid sequence.
        text.extend(chunk.invalid().iter().map(|_| REPLACEMENT));
        replaced |= !chunk.invalid().is_empty();
    }
    replaced
}

/// Splits off the leading escape and decodes it; `None` for a lone surrogate.
fn unescape(escape: &[u8]) -> (Option<char>, &[u8]) {
    if let Some((unit, rest)) = code_unit(escape) {
        return match (unit, code_unit(rest)) {
            (0xd800..=0xdbff, Some((low @ 0xdc00..=0xdfff, rest))) => {
                let c = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                (char::from_u32(c), rest)
            }
            _ => (char::from_u32(unit), rest),
        };
    }
    let [_, letter, rest @ ..] = escape else { return (None, &[]) };
    let c = match letter {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(*other),
    };
    (Some(c), rest)
}

/// Splits off a leading `\uXXXX`.
fn code_unit(escape: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = escape.strip_prefix(b"\\u")?.split_at_checked(4)?;
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

/// Appends `text` as a JSON string as Go 1.19 writes it, safe inside HTML.
pub(super) fn encode(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(is_escaped) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        if let Some(c) = chars.next() {
            push_escape(c, out);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

fn is_escaped(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '"' | '\\' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}')
}

fn push_escape(c: char, out: &mut String) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        _ => {
            out.push_str("\\u");
            let digit = |shift: u32| char::from_digit(u32::from(c) >> shift & 0xf, 16);
            out.extend([12, 8, 4, 0].into_iter().filter_map(digit));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lone_surrogates_are_replaced_and_pairs_are_not() {
        for (raw, text) in [
            (r"\ud83d\ude00", "😀"),
            (r"\ud83d\ud83d\ude00", "\u{fffd}😀"),
            (r"\ude00\ud83d", "\u{fffd}\u{fffd}"),
            (r"\ud800\u0041\n", "\u{fffd}A\n"),
            (r"\/\b\f\u00E9", "/\u{8}\u{c}é"),
        ] {
            assert_eq!(decode(raw.as_bytes()).0, text);
        }
    }

    #[test]
    fn each_invalid_byte_is_replaced() {
        assert_eq!(decode(b"\xe2\x82(\xed\xa0\x80").0, "\u{fffd}\u{fffd}(\u{fffd}\u{fffd}\u{fffd}");
        assert!(decode(b"\xff\\n").1 && !decode(b"\\ufffd").1);
    }

    proptest! {
        #[test]
        fn an_encoded_string_decodes_to_itself(text in any::<String>()) {
            let mut out = String::new();
            encode(&text, &mut out);
            prop_assert_eq!(decode(&out.as_bytes()[1..out.len() - 1]).0, text);
        }
    }
}
