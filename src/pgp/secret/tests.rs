//! Exports of the real GnuPG, whole and damaged, and keys with every supported protection.

use openssl::symm::{Cipher, Crypter, Mode};

use super::s2k::S2k;
use super::*;
use crate::action::Signer;
use crate::pgp::packet::{SECRET_KEY, USER_ID, packets};
use crate::pgp::testing::damage::{Piece, gpg, pieces};
use crate::pgp::testing::{Home, secret};
use crate::pgp::{Fingerprint, GpgSigner};

const PASSPHRASE: &str = "open sesame";
/// The digest that the tests sign.
const DIGEST: Sha256Digest = [7; 32];
const SALT: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const IV: [u8; 16] = [9; 16];

/// An exported key in packets.
struct Export {
    key: Fingerprint,
    pieces: Vec<Piece>,
}

impl Export {
    /// Generates a key without a passphrase, and exports it.
    fn new() -> Export {
        let home = Home::new();
        let key = home.key("rsa1024", None);
        let pieces = pieces(&gpg(home.path(), &["--export-secret-keys"], b""));
        assert_eq!(pieces[0].tag, SECRET_KEY);
        Export { key, pieces }
    }

    /// Returns the bytes of the public key and the secret numbers, without their checksum.
    fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        let body = self.pieces[0].body();
        // Version, time, algorithm, the modulus and the exponent 65537, then the method.
        let public = 6 + 2 + 128 + 2 + 3;
        assert_eq!(body[public], 0, "not protected");
        (body[..public].to_vec(), body[public + 1..body.len() - 2].to_vec())
    }

    /// Returns the packet with the numbers protected in this way.
    fn protected(&self, usage: u8, cipher: u8, s2k: &[u8]) -> Piece {
        let (public, mut plain) = self.parts();
        if usage == 254 {
            plain.extend_from_slice(&openssl::sha::sha1(&plain));
        } else {
            let sum = plain.iter().fold(0_u16, |sum, byte| sum.wrapping_add((*byte).into()));
            plain.extend_from_slice(&sum.to_be_bytes());
        }
        let aes = match cipher {
            7 => Cipher::aes_128_cfb128(),
            8 => Cipher::aes_192_cfb128(),
            _ => Cipher::aes_256_cfb128(),
        };
        let (read, rest) = S2k::read(s2k).unwrap_or_else(|error| panic!("{error}"));
        assert!(rest.is_empty());
        let key = read.key(PASSPHRASE.as_bytes(), aes.key_len()).unwrap();
        let mut crypter = Crypter::new(aes, Mode::Encrypt, &key, Some(&IV)).unwrap();
        let mut data = vec![0; plain.len() + 16];
        let size = crypter.update(&plain, &mut data).unwrap();
        let body = [&public, &[usage, cipher][..], s2k, &IV, &data[..size]].concat();
        Piece::new(SECRET_KEY, &body)
    }

    /// Unlocks the key in `data`, and signs.
    fn sign(&self, data: &[u8], passphrase: Option<&str>) -> Result<Vec<u8>, SecretKeyError> {
        let block = SecretBlock::from_armor(&armored(data))?;
        block.part(&self.key)?.unlock(passphrase.map(str::as_bytes))?.sign(&DIGEST)
    }
}

/// Armors data as a secret key.
fn armored(data: &[u8]) -> Vec<u8> {
    let armored = crate::pgp::testing::armored(data);
    String::from_utf8(armored).unwrap().replace("PUBLIC", "PRIVATE").into_bytes()
}

/// A description of a key derivation: iterated and salted, with this digest and coded count.
fn iterated(digest: u8, count: u8) -> Vec<u8> {
    [&[3, digest][..], &SALT, &[count]].concat()
}

#[test]
fn gnupg_uses_the_same_protections() {
    let salted = [&[1, 8][..], &SALT].concat();
    let cases = [
        (254, 7, iterated(2, 0x60)),
        (254, 9, iterated(8, 0)),
        (254, 9, iterated(10, 0xff)),
        (254, 8, iterated(11, 0x60)),
        (255, 7, iterated(2, 0x60)),
        (254, 9, salted),
        (254, 7, vec![0, 9]),
    ];
    let export = Export::new();
    let plain = export.sign(&export.pieces[0].bytes, None).unwrap();
    assert_eq!(plain.len(), 128);
    for (usage, cipher, s2k) in cases {
        let case = format!("{usage} {cipher} {s2k:?}");
        let piece = export.protected(usage, cipher, &s2k);
        let signed = export.sign(&piece.bytes, Some(PASSPHRASE));
        assert_eq!(signed.unwrap(), plain, "{case}");
        let wrong = export.sign(&piece.bytes, Some("close"));
        assert!(matches!(wrong, Err(SecretKeyError::Passphrase)), "{case}");
        let none = export.sign(&piece.bytes, None);
        assert!(matches!(none, Err(SecretKeyError::NoPassphrase)), "{case}");
        // GnuPG derives the same key.
        let home = Home::new();
        let rest = export.pieces[1..].iter().map(|piece| piece.bytes.as_slice());
        let whole: Vec<&[u8]> = std::iter::once(piece.bytes.as_slice()).chain(rest).collect();
        gpg(home.path(), &["--batch", "--import"], &whole.concat());
        let signer = GpgSigner::open(home.path(), export.key.as_str(), Some(secret(PASSPHRASE)));
        signer.unwrap().sign(b"text").unwrap_or_else(|error| {
            panic!("{case}: {}", crate::chain::Chain(&error));
        });
    }
}

#[test]
fn damaged_bytes_of_a_key_are_noticed() {
    let export = Export::new();
    for (piece, passphrase) in [
        (export.pieces[0].clone(), None),
        (export.protected(254, 7, &iterated(2, 0)), Some(PASSPHRASE)),
        (export.protected(255, 9, &iterated(8, 0)), Some(PASSPHRASE)),
    ] {
        export.sign(&piece.bytes, passphrase).unwrap();
        let head = piece.bytes.len() - piece.body().len();
        for at in 0..piece.bytes.len() {
            let mut damaged = piece.bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            let signed = export.sign(&damaged, passphrase);
            // The bits of the header include the difference between a primary key and a subkey.
            assert!(signed.is_err() || at < head, "{at}");
            assert!(export.sign(&piece.bytes[..at], passphrase).is_err(), "{at}");
        }
        let mut long = piece.body().to_vec();
        long.push(0);
        assert!(export.sign(&Piece::new(SECRET_KEY, &long).bytes, passphrase).is_err());
    }
}

#[test]
fn numbers_of_another_key_are_rejected() {
    let (export, other) = (Export::new(), Export::new());
    let (public, _) = export.parts();
    let (foreign, _) = other.parts();
    let body = [&public, &other.pieces[0].body()[foreign.len()..]].concat();
    let mixed = export.sign(&Piece::new(SECRET_KEY, &body).bytes, None);
    assert!(matches!(mixed, Err(SecretKeyError::Numbers)));
    let missing = export.sign(&other.pieces[0].bytes, None);
    assert!(matches!(missing, Err(SecretKeyError::Missing)));
}

#[test]
fn key_without_its_secret_numbers_is_recognized() {
    let export = Export::new();
    let (public, _) = export.parts();
    // As GnuPG writes a missing key, and a key on a smartcard with its serial number.
    for stub in
        [&[254, 7, 101, 2, b'G', b'N', b'U', 1][..], &[255, 0, 101, 0, b'G', b'N', b'U', 2, 1, 9]]
    {
        let body = [&public, stub].concat();
        let signed = export.sign(&Piece::new(SECRET_KEY, &body).bytes, None);
        assert!(matches!(signed, Err(SecretKeyError::Stub)), "{stub:?}");
    }
    for (usage, cipher, s2k, what) in [
        (253, 7, iterated(2, 0), "method"),
        (7, 7, iterated(2, 0), "method"),
        (254, 2, iterated(2, 0), "cipher"),
        (254, 7, vec![2, 2], "key derivation"),
        (254, 7, iterated(1, 0), "digest"),
    ] {
        let body = [&public, &[usage, cipher][..], &s2k, &IV, &[0; 300]].concat();
        let signed = export.sign(&Piece::new(SECRET_KEY, &body).bytes, Some(PASSPHRASE));
        let error = signed.unwrap_err();
        assert!(
            matches!(error, SecretKeyError::Protection { what: found, .. } if found == what),
            "{error}"
        );
    }
}

#[test]
fn armor_is_decoded_or_rejected() {
    let export = Export::new();
    let text = armored(&export.pieces[0].bytes);
    let sign = |text: &[u8]| {
        let block = SecretBlock::from_armor(text)?;
        block.part(&export.key)?.unlock(None)?.sign(&DIGEST)
    };
    sign(&text).unwrap();
    let text = String::from_utf8(text).unwrap();
    sign(text.replace('\n', "\r\n").as_bytes()).unwrap();
    sign(text.replacen("\n\n", "\nVersion: x\nComment: y\n\n", 1).as_bytes()).unwrap();
    for end in 0..text.len() - 1 {
        assert!(sign(&text.as_bytes()[..end]).is_err(), "{end}");
    }
    for bad in [text.replacen("\n\n", "\n\n!", 1), text.replace("PRIVATE", "PUBLIC")] {
        assert!(matches!(sign(bad.as_bytes()), Err(SecretKeyError::Armor)));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_cause_a_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..400), usage in 250_u8..=255) {
        let numbers = [0, 9, 1, 1].repeat(2);
        let body = [&[4, 0, 0, 0, 0, 1][..], &numbers, &[usage], &bytes].concat();
        let piece = Piece::new(SECRET_KEY, &body);
        for packet in packets(&piece.bytes).unwrap_or_default() {
            if let Ok(part) = super::packet::SecretPacket::read(&packet) {
                proptest::prop_assert!(part.unlock(Some(b"x")).is_err());
            }
        }
        let user = Piece::new(USER_ID, &bytes);
        let _read = SecretBlock::from_armor(&bytes).is_ok();
        let _read = SecretBlock::from_armor(&armored(&user.bytes)).unwrap().part(&Fingerprint::new("A")).is_err();
    }
}
