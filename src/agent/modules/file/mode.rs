//! File modes as Go writes them: letters for type and special bits, then nine permission letters.

use rustix::fs::{FileType, Mode, RawMode};

/// Returns the text of an `st_mode`: `-rw-r--r--`, `urwxr-xr-x`, `dtrwxrwxrwx`.
///
/// Unlike in `ls`, each special bit adds its own letter before the permissions, so the length
/// varies. Without such a letter, the text starts with a hyphen.
pub(super) fn text(mode: RawMode) -> String {
    let bits = Mode::from_raw_mode(mode);
    let mut text = String::with_capacity(12);
    text.push_str(match FileType::from_raw_mode(mode) {
        FileType::Directory => "d",
        FileType::Symlink => "L",
        FileType::BlockDevice | FileType::CharacterDevice => "D",
        FileType::Fifo => "p",
        FileType::Socket => "S",
        FileType::RegularFile => "",
        FileType::Unknown => "?",
    });
    let character = FileType::from_raw_mode(mode) == FileType::CharacterDevice;
    for (letter, set) in [
        ('u', bits.contains(Mode::SUID)),
        ('g', bits.contains(Mode::SGID)),
        ('c', character),
        ('t', bits.contains(Mode::SVTX)),
    ] {
        if set {
            text.push(letter);
        }
    }
    if text.is_empty() {
        text.push('-');
    }
    for (bit, letter) in [
        (Mode::RUSR, 'r'),
        (Mode::WUSR, 'w'),
        (Mode::XUSR, 'x'),
        (Mode::RGRP, 'r'),
        (Mode::WGRP, 'w'),
        (Mode::XGRP, 'x'),
        (Mode::ROTH, 'r'),
        (Mode::WOTH, 'w'),
        (Mode::XOTH, 'x'),
    ] {
        text.push(if bits.contains(bit) { letter } else { '-' });
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use super::*;

    #[test]
    fn modes_are_written_as_in_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["mode"].as_array().unwrap() {
            let octal = vector["st_mode_octal"].as_str().unwrap();
            let mode = RawMode::from_str_radix(octal, 8).unwrap();
            assert_eq!(text(mode), vector["string"].as_str().unwrap(), "{octal}");
        }
    }
}
