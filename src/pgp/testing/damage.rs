//! Keys that are damaged on purpose, and tables of the expected verdicts on them.

#![expect(clippy::disallowed_methods, reason = "tests edit the files of GnuPG homes")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::super::Fingerprint;
use super::super::packet::{Packet, packets};
use super::super::public_key::PublicKey;
use super::{Home, armored};

/// The verdict on a key that is accepted.
pub(in crate::pgp) const ACCEPTED: &str = "accepted";

/// A packet of a key, including its header.
#[derive(Debug, Clone)]
pub(in crate::pgp) struct Piece {
    pub(in crate::pgp) tag: u8,
    pub(in crate::pgp) bytes: Vec<u8>,
}

impl Piece {
    /// Returns a packet with a header of the new format.
    pub(in crate::pgp) fn new(tag: u8, body: &[u8]) -> Piece {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        Piece { tag, bytes: [&[0xc0 | tag, 255][..], &length, body].concat() }
    }

    pub(in crate::pgp) fn body(&self) -> &[u8] {
        packets(&self.bytes).unwrap()[0].body
    }

    /// Returns the packet with a bit flipped in the byte `before_end` bytes before its end.
    pub(in crate::pgp) fn flipped(&self, before_end: usize) -> Piece {
        let mut piece = self.clone();
        let at = piece.bytes.len() - before_end;
        piece.bytes[at] ^= 1;
        piece
    }
}

pub(in crate::pgp) fn pieces(data: &[u8]) -> Vec<Piece> {
    let packets = packets(data).unwrap();
    let ends = packets.iter().map(|packet| packet.at).skip(1).chain([data.len()]);
    let piece = |(packet, end): (&Packet<'_>, usize)| Piece {
        tag: packet.tag,
        bytes: data[packet.at..end].to_vec(),
    };
    packets.iter().zip(ends).map(piece).collect()
}

pub(in crate::pgp) fn data(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| piece.bytes.clone()).collect()
}

/// Returns the verdict on a text; checks that no temporary files remain.
pub(in crate::pgp) fn verdict(text: &[u8]) -> String {
    let parent = tempfile::tempdir().unwrap();
    let verdict = match PublicKey::read(parent.path(), text) {
        Ok(_) => ACCEPTED.to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    verdict
}

/// Keys and the expected verdicts on them.
#[derive(Default)]
pub(in crate::pgp) struct Table(Vec<(String, Vec<u8>, &'static str)>);

impl Table {
    pub(in crate::pgp) fn text(&mut self, name: &str, text: &[u8], verdict: &'static str) {
        self.0.push((name.to_owned(), text.to_vec(), verdict));
    }

    /// Adds a key, armored with a correct checksum.
    pub(in crate::pgp) fn key(&mut self, name: &str, pieces: &[Piece], verdict: &'static str) {
        self.text(name, &armored(&data(pieces)), verdict);
    }

    /// Adds a key in which packet number `at` is replaced.
    pub(in crate::pgp) fn with(
        &mut self,
        name: &str,
        key: &[Piece],
        at: usize,
        piece: Piece,
        verdict: &'static str,
    ) {
        let mut key = key.to_vec();
        key[at] = piece;
        self.key(name, &key, verdict);
    }

    pub(in crate::pgp) fn check(self) {
        let wrong: Vec<String> = self
            .0
            .into_iter()
            .filter_map(|(name, text, expected)| {
                let found = verdict(&text);
                (!found.contains(expected)).then(|| format!("{name}: {found}, not {expected}"))
            })
            .collect();
        assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    }
}

/// Runs `gpg` with `typed` as the input of its commands.
pub(in crate::pgp) fn gpg(home: &Path, args: &[&str], typed: &[u8]) -> Vec<u8> {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args(["--no-tty", "--quiet", "--command-fd", "0"]);
    command.args(["--pinentry-mode", "loopback", "--passphrase", ""]).args(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(typed).unwrap();
    let output = child.wait_with_output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    // An editing command that has no effect ends with status 0 as well.
    assert!(
        output.status.success() && !messages.contains("not changed"),
        "gpg {args:?}: {messages}"
    );
    output.stdout
}

/// A key in its own home.
pub(in crate::pgp) struct Sample {
    pub(in crate::pgp) home: Home,
    pub(in crate::pgp) key: Fingerprint,
}

impl Sample {
    /// Generates a key with this content of gpg.conf.
    pub(in crate::pgp) fn new(algorithm: &str, config: &str) -> Sample {
        let home = Home::new();
        std::fs::write(home.path().join("gpg.conf"), config).unwrap();
        let key = home.key(algorithm, None);
        Sample { home, key }
    }

    /// Changes the key with `gpg --batch`; returns its packets.
    pub(in crate::pgp) fn changed(&self, args: &[&str]) -> Vec<Piece> {
        gpg(self.home.path(), &[&["--batch"], args].concat(), b"");
        self.pieces()
    }

    pub(in crate::pgp) fn pieces(&self) -> Vec<Piece> {
        pieces(&gpg(self.home.path(), &["--export", self.key.as_str()], b""))
    }

    /// Adds a minimal photo.
    pub(in crate::pgp) fn with_photo(&self) -> Vec<Piece> {
        let photo = self.home.path().join("photo.jpg");
        let head = [0xff, 0xd8, 0xff, 0xe0, 0, 16];
        let rest = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xd9";
        std::fs::write(&photo, [&head[..], rest].concat()).unwrap();
        let typed = format!("addphoto\n{}\ny\nsave\n", photo.display());
        self.edited(&["--photo-viewer", "true"], &typed)
    }

    /// Edits the key with the commands `typed`; returns its packets.
    pub(in crate::pgp) fn edited(&self, options: &[&str], typed: &str) -> Vec<Piece> {
        let args = [options, &["--edit-key", self.key.as_str()]].concat();
        gpg(self.home.path(), &args, typed.as_bytes());
        self.pieces()
    }

    pub(in crate::pgp) fn revoked(&self) -> Vec<Piece> {
        let file = self.home.path().join(format!("openpgp-revocs.d/{}.rev", self.key));
        let text = std::fs::read_to_string(file).unwrap();
        let (_, certificate) = text.split_once(":-----BEGIN").unwrap();
        gpg(
            self.home.path(),
            &["--batch", "--import"],
            format!("-----BEGIN{certificate}").as_bytes(),
        );
        self.pieces()
    }
}

/// Returns the indexes of the packets with a tag.
pub(in crate::pgp) fn positions(pieces: &[Piece], tag: u8) -> Vec<usize> {
    (0..pieces.len()).filter(|at| pieces[*at].tag == tag).collect()
}
