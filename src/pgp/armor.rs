//! Converts signatures between GnuPG's armor and the platform's single line.
//!
//! The line is the base64 of the armor without line breaks and, after its last `=`, the checksum.
//! The platform needs that `=` to find the end of the base64, so a line always has a checksum,
//! whether GnuPG wrote one or not.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};
use serde::{Deserialize, Serialize};

use crate::action::Signature;

const BEGIN: &str = "-----BEGIN PGP SIGNATURE-----";
const END: &str = "-----END PGP SIGNATURE-----";
/// The length of a checksum, including its `=`.
const CHECKSUM_CHARS: usize = 5;

/// Why a text is not an armored signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum ArmorError {
    /// The first line, the last line or the content is missing.
    #[error("GnuPG's signature is not armored")]
    Form,
    #[error("GnuPG's signature is not in base64: {0}")]
    Base64(String),
    #[error("GnuPG's signature is damaged: its checksum is {found}, not {expected}")]
    Checksum {
        /// The checksum in the armor.
        found: String,
        /// The checksum of the content.
        expected: String,
    },
}

/// Why a line is not a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineError {
    /// There is no `=`, so the platform finds no content.
    NoChecksum,
    /// The byte at this offset is not base64.
    Base64(usize),
}

/// Returns the content of an armored signature.
pub(super) fn from_armor(armored: &str) -> Result<Vec<u8>, ArmorError> {
    let mut lines = armored.lines().map(str::trim_end).skip_while(|line| *line != BEGIN).skip(1);
    // Headers such as `Version:` and `Comment:` end at the first empty line.
    lines.find(|line| line.is_empty()).ok_or(ArmorError::Form)?;
    let (mut base64, mut found) = (String::new(), None);
    loop {
        match lines.next().ok_or(ArmorError::Form)? {
            END => break,
            line if is_checksum(line) => found = Some(line.to_owned()),
            line => base64.push_str(line),
        }
    }
    let content =
        STANDARD.decode(&base64).map_err(|error| ArmorError::Base64(error.to_string()))?;
    let expected = checksum(&content);
    match found {
        Some(found) if found != expected => Err(ArmorError::Checksum { found, expected }),
        _ => Ok(content),
    }
}

/// Converts the content of a signature to one line.
pub(super) fn to_line(content: &[u8]) -> Result<Signature, ArmorError> {
    let line = STANDARD.encode(content) + &checksum(content);
    Signature::try_from(line).map_err(|_| ArmorError::Form)
}

/// Returns the content of a line. As on the platform, the checksum is not verified.
pub(super) fn from_line(line: &str) -> Result<Vec<u8>, LineError> {
    let last = line.rfind('=').ok_or(LineError::NoChecksum)?;
    let (base64, tail) = line.split_at(last);
    // A final `=` is not a checksum but padding at the end of the base64.
    let base64 = if is_checksum(tail) { base64 } else { line };
    STANDARD.decode(base64).map_err(|error| {
        LineError::Base64(match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => base64.len(),
        })
    })
}

/// Returns whether a line has the form of a checksum.
pub(super) fn is_checksum(line: &str) -> bool {
    line.len() == CHECKSUM_CHARS && line.starts_with('=')
}

/// Returns the checksum of OpenPGP's armor, a 24-bit CRC, in its text form.
pub(super) fn checksum(content: &[u8]) -> String {
    let mut crc: u32 = 0x00b7_04ce;
    for byte in content {
        crc ^= u32::from(*byte) << 16;
        for _ in 0..8 {
            crc <<= 1;
            if crc & 0x0100_0000 != 0 {
                crc ^= 0x0186_4cfb;
            }
        }
    }
    let [_, bytes @ ..] = crc.to_be_bytes();
    format!("={}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Recorded from the original, and accepted by the platform.
    const LINE: &str = "wsBcBAABCAAQBQJrAj5uCRAx+JQ5CBtqMQAAdzAIANC+8KQ3M6fRy7kKnZYPxvveDhJyoZqNIs9ykdGETBS7nQzCCwKqZcJzhxy63J2uHJzmCt+A/CeSbvi1sD2xzeODsSIH4w+8qf1Qlfd2nGbIjJ3w0Kpl6w9l+gm6GG/WKkuUAjGj8VSEv9OHd90KDy38u7p9K6W418hVmbgYdcTPCcOzB369SDMTYPLjxH4BXkYiLLO8Bs4Z32gefoUursejpnYJOtErfNngfj7Hvm1/dzCc6ZUgfhbnmZ0ytzHzsrqVA6UilUc+q+/1EQ4TC5XcrwmCR2YIlUl0kFhjxwJrVsq+w/4beTC7qAxO8hUBFcpqqFrKP+/xPZYkA4DVraM==JXKo";

    fn line(armored: &str) -> Result<Signature, ArmorError> {
        to_line(&from_armor(armored)?)
    }

    fn armored(headers: &str, checksum: &str) -> String {
        let base64 = &LINE[..LINE.len() - CHECKSUM_CHARS];
        let lines: Vec<&str> =
            base64.as_bytes().chunks(64).map(|c| std::str::from_utf8(c).unwrap()).collect();
        format!("{BEGIN}\n{headers}\n{}\n{checksum}{END}\n", lines.join("\n"))
    }

    #[test]
    fn armored_signature_is_converted_to_one_line() {
        for headers in ["", "Version: GnuPG v2\n", "Version: x\nComment: a: b = c\n"] {
            for checksum in ["=JXKo\n", ""] {
                assert_eq!(line(&armored(headers, checksum)).unwrap().as_str(), LINE);
            }
        }
        let crlf = armored("Comment: x\n", "=JXKo\n").replace('\n', "\r\n");
        assert_eq!(line(&crlf).unwrap().as_str(), LINE);
    }

    #[test]
    fn text_without_valid_armor_is_rejected() {
        assert!(matches!(line(&armored("", "=AAAA\n")), Err(ArmorError::Checksum { .. })));
        for bad in ["", "x", BEGIN, &format!("{BEGIN}\n\nAAAA"), &format!("{BEGIN}\nAAAA\n{END}")] {
            assert_eq!(line(bad), Err(ArmorError::Form), "{bad}");
        }
        assert!(matches!(line(&format!("{BEGIN}\n\n!\n{END}")), Err(ArmorError::Base64(_))));
    }

    #[test]
    fn line_is_split_at_its_last_equals_sign() {
        let content = from_line(LINE).unwrap();
        assert_eq!(content.len(), 95 + 192);
        // The platform accepts a wrong checksum, and a missing one if the base64 has padding.
        assert_eq!(from_line(&LINE.replace("=JXKo", "=AAAA")), Ok(content.clone()));
        assert_eq!(from_line(&LINE.replace("=JXKo", "")), Ok(content));
        assert_eq!(from_line("AAAA"), Err(LineError::NoChecksum));
        assert_eq!(from_line(""), Err(LineError::NoChecksum));
        assert_eq!(from_line("!!!notbase64!!!=AAAA"), Err(LineError::Base64(0)));
    }

    proptest! {
        #[test]
        fn any_content_survives_a_round_trip(content in proptest::collection::vec(any::<u8>(), 1..300)) {
            let base64 = STANDARD.encode(&content);
            let line = line(&format!("{BEGIN}\n\n{base64}\n{END}")).unwrap();
            prop_assert_eq!(from_line(line.as_str()).unwrap(), content);
        }

        #[test]
        fn no_text_causes_a_panic(text in any::<String>()) {
            let _read = (line(&text).is_ok(), from_line(&text).is_ok());
        }
    }
}
