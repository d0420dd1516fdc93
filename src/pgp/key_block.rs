//! Decodes the text of an armored public key, or rejects it with the reason.
//!
//! The releases of GnuPG and the platform's library tolerate different faults in the armor. So a text
//! must have the form that all of them read in the same way: one block, only blank lines around it, and
//! a correct checksum. GnuPG receives only the decoded bytes.
//!
//! A line may end with white space, except in the base64, where the platform's library rejects it.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};

use super::armor::{checksum, is_checksum};
use super::key_text_error::{KEY_TEXT_BYTES_MAX, KeyTextError};
use super::packet::{PUBLIC_KEY, SECRET_KEY};

/// The first line of a public key.
const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// The last line of a public key.
const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";
/// The first line of a secret key.
const SECRET_BEGIN: &[u8] = b"-----BEGIN PGP PRIVATE KEY BLOCK-----";
/// The longest line of base64 that the platform's library reads.
const LINE_BYTES_MAX: usize = 96;

/// Returns the data of the one public key in an armored text.
pub(super) fn decode(armored: &[u8]) -> Result<Vec<u8>, KeyTextError> {
    if armored.len() > KEY_TEXT_BYTES_MAX {
        return Err(KeyTextError::Long);
    }
    if contains(armored, SECRET_BEGIN) {
        return Err(KeyTextError::Secret);
    }
    match armored.split(|byte| *byte == b'\n').filter(|line| contains(line, BEGIN)).count() {
        0 => return Err(no_block(armored)),
        1 => {}
        count => return Err(KeyTextError::Count(count)),
    }
    let mut lines = Lines { rest: armored, number: 0 };
    while let Some(line) = lines.next() {
        match line.trim_ascii_end() {
            BEGIN => break,
            b"" => {}
            _ => return Err(KeyTextError::Outside(lines.number)),
        }
    }
    headers(&mut lines)?;
    let data = data(&mut lines)?;
    while let Some(line) = lines.next() {
        if !line.trim_ascii_end().is_empty() {
            return Err(KeyTextError::Outside(lines.number));
        }
    }
    Ok(data)
}

/// The remaining lines of a text.
struct Lines<'a> {
    rest: &'a [u8],
    /// The number of the last line that was read.
    number: usize,
}

impl<'a> Lines<'a> {
    /// Returns the next line, without its line feed or CRLF.
    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
        self.rest = rest.get(1..).unwrap_or_default();
        self.number += 1;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// Returns the fault of a text without a key block.
fn no_block(text: &[u8]) -> KeyTextError {
    let tag = match text.first() {
        Some(header @ 0xc0..=0xff) => header & 0x3f,
        Some(header @ 0x80..=0xbf) => (header >> 2) & 0xf,
        _ => 0,
    };
    match tag {
        PUBLIC_KEY => KeyTextError::Binary,
        SECRET_KEY => KeyTextError::Secret,
        _ => KeyTextError::None,
    }
}

/// Reads the headers, such as `Comment: x`, and the blank line after them.
fn headers(lines: &mut Lines<'_>) -> Result<(), KeyTextError> {
    loop {
        let line = lines.next().ok_or(KeyTextError::End)?.trim_ascii_end();
        if line.is_empty() {
            return Ok(());
        }
        // The platform's library recognizes a header by this.
        if !contains(line, b": ") {
            return Err(KeyTextError::Header(lines.number));
        }
    }
}

/// Reads the base64, the checksum and the last line.
fn data(lines: &mut Lines<'_>) -> Result<Vec<u8>, KeyTextError> {
    let (mut base64, mut ends) = (Vec::new(), Vec::new());
    let begin = lines.number + 1;
    let found = loop {
        let line = lines.next().ok_or(KeyTextError::End)?;
        match std::str::from_utf8(line) {
            // Only the last line begins with this, complete or cut short.
            Ok(line) if line.starts_with('-') => break end(line.as_bytes()).and(Ok(None)),
            Ok(line) if is_checksum(line) => {
                break end(lines.next().unwrap_or_default()).and(Ok(Some(line)));
            }
            _ if line.is_empty() || line.len() > LINE_BYTES_MAX => {
                return Err(KeyTextError::Base64(lines.number));
            }
            _ => {
                base64.extend_from_slice(line);
                ends.push(base64.len());
            }
        }
    }?;
    let content = STANDARD.decode(&base64).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => {
                base64.len().saturating_sub(1)
            }
        };
        KeyTextError::Base64(begin + ends.iter().take_while(|end| **end <= at).count())
    })?;
    let expected = checksum(&content);
    match found {
        None => Err(KeyTextError::NoChecksum),
        Some(found) if found != expected => {
            Err(KeyTextError::Checksum { found: found.to_owned(), expected })
        }
        Some(_) => Ok(content),
    }
}

fn end(line: &[u8]) -> Result<(), KeyTextError> {
    if line.trim_ascii_end() == END { Ok(()) } else { Err(KeyTextError::End) }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    /// Longer than one line of base64.
    const DATA: [u8; 100] = [7; 100];

    fn text() -> String {
        String::from_utf8(testing::armored(&DATA)).unwrap()
    }

    fn fault(text: &str) -> KeyTextError {
        decode(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn forms_that_all_readers_accept_are_decoded() {
        let text = text();
        let headers = "BLOCK-----\nVersion: GnuPG v2\nComment: a: b = c\n \t\n";
        for good in [
            text.clone(),
            text.trim_end().to_owned(),
            text.replace('\n', "\r\n"),
            text.replacen("BLOCK-----\n\n", headers, 1),
            text.replace("-----\n", "----- \t\n"),
            format!("\n \r\n\t\n{text}\n \n"),
        ] {
            assert_eq!(decode(good.as_bytes()), Ok(DATA.to_vec()), "{good}");
        }
    }

    #[test]
    fn faults_name_their_line() {
        let text = text();
        let lines: Vec<&str> = text.lines().collect();
        // BEGIN, blank, three lines of base64, the checksum, END.
        assert_eq!(lines.len(), 7);
        let with = |at: usize, line: &str| {
            let mut lines = lines.clone();
            lines[at - 1] = line;
            lines.join("\n")
        };
        let without = |at: usize| [&lines[..at - 1], &lines[at..]].concat().join("\n");
        for (bad, expected) in [
            (String::new(), KeyTextError::None),
            ("no key\n".to_owned(), KeyTextError::None),
            (without(1), KeyTextError::None),
            (with(1, &format!("\u{feff}{}", lines[0])), KeyTextError::Outside(1)),
            (with(1, &format!("> {}", lines[0])), KeyTextError::Outside(1)),
            (format!("pub rsa2048\n{text}"), KeyTextError::Outside(1)),
            (format!("{text}\nx"), KeyTextError::Outside(9)),
            (format!("{text}{text}"), KeyTextError::Count(2)),
            (without(2), KeyTextError::Header(2)),
            (with(2, "Comment:\n"), KeyTextError::Header(2)),
            (with(4, "!"), KeyTextError::Base64(4)),
            (with(4, ""), KeyTextError::Base64(4)),
            (with(4, &format!("{} ", lines[3])), KeyTextError::Base64(4)),
            (with(4, &"A".repeat(97)), KeyTextError::Base64(4)),
            (with(5, "A"), KeyTextError::Base64(5)),
            (with(5, "Bwc"), KeyTextError::Base64(5)),
            (
                with(6, "=AAA="),
                KeyTextError::Checksum { found: "=AAA=".to_owned(), expected: checksum(&DATA) },
            ),
            (
                with(6, "=twTO"),
                KeyTextError::Checksum { found: "=twTO".to_owned(), expected: checksum(&DATA) },
            ),
            (without(6), KeyTextError::NoChecksum),
            (with(7, "-----END PGP PUBLIC"), KeyTextError::End),
            (with(7, "x"), KeyTextError::End),
            (without(7), KeyTextError::End),
            (format!("{}\n", lines[0]), KeyTextError::End),
            (text.replace("PUBLIC", "PRIVATE"), KeyTextError::Secret),
            (format!("{text}{}", text.replace("PUBLIC", "PRIVATE")), KeyTextError::Secret),
            (text.clone() + &"\n".repeat(256 << 10), KeyTextError::Long),
        ] {
            assert_eq!(fault(&bad), expected, "{bad:.300}");
        }
    }

    #[test]
    fn binary_form_is_recognized() {
        for (header, expected) in [
            (0x98, KeyTextError::Binary),
            (0x99, KeyTextError::Binary),
            (0xc6, KeyTextError::Binary),
            (0x95, KeyTextError::Secret),
            (0xc5, KeyTextError::Secret),
            (0xff, KeyTextError::None),
        ] {
            assert_eq!(decode(&[header, 0, 0]), Err(expected));
        }
    }

    #[test]
    fn truncation_and_flipped_bits_are_detected() {
        let text = testing::armored(&DATA);
        for end in 0..text.len() - 1 {
            assert!(decode(&text[..end]).is_err(), "{end}");
        }
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                assert!(decode(&damaged).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_data_survives_a_round_trip(data in proptest::collection::vec(any::<u8>(), 1..300)) {
            prop_assert_eq!(decode(&testing::armored(&data)).unwrap(), data);
        }

        #[test]
        fn no_text_causes_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
            let _read = (decode(&bytes).is_ok(), decode(text.as_bytes()).is_ok());
            let begun = [BEGIN, b"\n\n", &bytes].concat();
            let _read = decode(&begun).is_ok();
        }
    }
}
