//! An armored public key: its text decoded, or refused with the reason.
//!
//! GnuPG's releases differ in what armor they forgive, and the platform's library forgives other things
//! again. So a text has to be what all of them read in the same way: one block, nothing but blank lines
//! around it, and a checksum that is right. GnuPG is given the decoded bytes only.
//!
//! White space may end a line, except in the base64, where the platform's library refuses it.

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};

use super::armor::{checksum, is_checksum};
use super::fault::KeyFault;
use super::packet::{PUBLIC_KEY, SECRET_KEY};

/// The longest text of a key.
pub(super) const BYTES_MAX: usize = 1024 * 1024;

/// The first line of a public key.
const BEGIN: &[u8] = b"-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// The last line of a public key.
const END: &[u8] = b"-----END PGP PUBLIC KEY BLOCK-----";
/// The first line of a secret key.
const SECRET_BEGIN: &[u8] = b"-----BEGIN PGP PRIVATE KEY BLOCK-----";
/// The longest line of base64 that the platform's library reads.
const LINE_BYTES_MAX: usize = 96;

/// Returns the data of the one public key in an armored text.
///
/// # Errors
/// The text is anything else, or it is damaged.
pub(super) fn decode(armored: &[u8]) -> Result<Vec<u8>, KeyFault> {
    if armored.len() > BYTES_MAX {
        return Err(KeyFault::Long);
    }
    if contains(armored, SECRET_BEGIN) {
        return Err(KeyFault::Secret);
    }
    match armored.split(|byte| *byte == b'\n').filter(|line| contains(line, BEGIN)).count() {
        0 => return Err(no_block(armored)),
        1 => {}
        count => return Err(KeyFault::Count(count)),
    }
    let mut lines = Lines { rest: armored, number: 0 };
    while let Some(line) = lines.next() {
        match line.trim_ascii_end() {
            BEGIN => break,
            b"" => {}
            _ => return Err(KeyFault::Outside(lines.number)),
        }
    }
    headers(&mut lines)?;
    let data = data(&mut lines)?;
    while let Some(line) = lines.next() {
        if !line.trim_ascii_end().is_empty() {
            return Err(KeyFault::Outside(lines.number));
        }
    }
    Ok(data)
}

/// The lines that are left of a text.
struct Lines<'a> {
    rest: &'a [u8],
    /// The number of the line that was read last.
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

/// Says what a text without a key block is.
fn no_block(text: &[u8]) -> KeyFault {
    let tag = match text.first() {
        Some(header @ 0xc0..=0xff) => header & 0x3f,
        Some(header @ 0x80..=0xbf) => (header >> 2) & 0xf,
        _ => 0,
    };
    match tag {
        PUBLIC_KEY => KeyFault::Binary,
        SECRET_KEY => KeyFault::Secret,
        _ => KeyFault::None,
    }
}

/// Reads the headers, such as `Comment: x`, and the blank line after them.
fn headers(lines: &mut Lines<'_>) -> Result<(), KeyFault> {
    loop {
        let line = lines.next().ok_or(KeyFault::End)?.trim_ascii_end();
        if line.is_empty() {
            return Ok(());
        }
        // The platform's library knows a header by this.
        if !contains(line, b": ") {
            return Err(KeyFault::Header(lines.number));
        }
    }
}

/// Reads the base64, the checksum and the last line.
fn data(lines: &mut Lines<'_>) -> Result<Vec<u8>, KeyFault> {
    let (mut base64, mut ends) = (Vec::new(), Vec::new());
    let begin = lines.number + 1;
    let found = loop {
        let line = lines.next().ok_or(KeyFault::End)?;
        match std::str::from_utf8(line) {
            // Only the last line begins with this, whole or cut short.
            Ok(line) if line.starts_with('-') => break end(line.as_bytes()).and(Ok(None)),
            Ok(line) if is_checksum(line) => {
                break end(lines.next().unwrap_or_default()).and(Ok(Some(line)));
            }
            _ if line.is_empty() || line.len() > LINE_BYTES_MAX => {
                return Err(KeyFault::Base64(lines.number));
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
        KeyFault::Base64(begin + ends.iter().take_while(|end| **end <= at).count())
    })?;
    let expected = checksum(&content);
    match found {
        None => Err(KeyFault::NoChecksum),
        Some(found) if found != expected => {
            Err(KeyFault::Checksum { found: found.to_owned(), expected })
        }
        Some(_) => Ok(content),
    }
}

fn end(line: &[u8]) -> Result<(), KeyFault> {
    if line.trim_ascii_end() == END { Ok(()) } else { Err(KeyFault::End) }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing;
    use super::*;

    /// Longer than a line of base64.
    const DATA: [u8; 100] = [7; 100];

    fn text() -> String {
        String::from_utf8(testing::armored(&DATA)).unwrap()
    }

    fn fault(text: &str) -> KeyFault {
        decode(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn each_form_that_all_readers_take_is_decoded() {
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
    fn each_fault_has_its_line() {
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
            (String::new(), KeyFault::None),
            ("no key\n".to_owned(), KeyFault::None),
            (without(1), KeyFault::None),
            (with(1, &format!("\u{feff}{}", lines[0])), KeyFault::Outside(1)),
            (with(1, &format!("> {}", lines[0])), KeyFault::Outside(1)),
            (format!("pub rsa2048\n{text}"), KeyFault::Outside(1)),
            (format!("{text}\nx"), KeyFault::Outside(9)),
            (format!("{text}{text}"), KeyFault::Count(2)),
            (without(2), KeyFault::Header(2)),
            (with(2, "Comment:\n"), KeyFault::Header(2)),
            (with(4, "!"), KeyFault::Base64(4)),
            (with(4, ""), KeyFault::Base64(4)),
            (with(4, &format!("{} ", lines[3])), KeyFault::Base64(4)),
            (with(4, &"A".repeat(97)), KeyFault::Base64(4)),
            (with(5, "A"), KeyFault::Base64(5)),
            (with(5, "Bwc"), KeyFault::Base64(5)),
            (
                with(6, "=AAA="),
                KeyFault::Checksum { found: "=AAA=".to_owned(), expected: checksum(&DATA) },
            ),
            (
                with(6, "=twTO"),
                KeyFault::Checksum { found: "=twTO".to_owned(), expected: checksum(&DATA) },
            ),
            (without(6), KeyFault::NoChecksum),
            (with(7, "-----END PGP PUBLIC"), KeyFault::End),
            (with(7, "x"), KeyFault::End),
            (without(7), KeyFault::End),
            (format!("{}\n", lines[0]), KeyFault::End),
            (text.replace("PUBLIC", "PRIVATE"), KeyFault::Secret),
            (format!("{text}{}", text.replace("PUBLIC", "PRIVATE")), KeyFault::Secret),
            (text.clone() + &"\n".repeat(BYTES_MAX), KeyFault::Long),
        ] {
            assert_eq!(fault(&bad), expected, "{bad:.300}");
        }
    }

    #[test]
    fn the_binary_form_is_told_from_nonsense() {
        for (header, expected) in [
            (0x98, KeyFault::Binary),
            (0x99, KeyFault::Binary),
            (0xc6, KeyFault::Binary),
            (0x95, KeyFault::Secret),
            (0xc5, KeyFault::Secret),
            (0xff, KeyFault::None),
        ] {
            assert_eq!(decode(&[header, 0, 0]), Err(expected));
        }
    }

    #[test]
    fn each_cut_and_each_flipped_bit_is_noticed() {
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
        fn any_data_goes_there_and_back(data in proptest::collection::vec(any::<u8>(), 1..300)) {
            prop_assert_eq!(decode(&testing::armored(&data)).unwrap(), data);
        }

        #[test]
        fn no_text_is_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in any::<String>()) {
            let _read = (decode(&bytes).is_ok(), decode(text.as_bytes()).is_ok());
            let begun = [BEGIN, b"\n\n", &bytes].concat();
            let _read = decode(&begun).is_ok();
        }
    }
}
