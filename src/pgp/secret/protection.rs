//! Removes the protection of secret numbers: AES in CFB mode, with a key derived from the passphrase.

use openssl::symm::{Cipher, Crypter, Mode};
use zeroize::Zeroizing;

use super::SecretKeyError;
use super::s2k::S2k;

/// The numbers are not encrypted.
const PLAIN: u8 = 0;
/// They are encrypted, and followed by their SHA-1.
const SHA1: u8 = 254;
/// They are encrypted, and followed by the sum of their bytes.
const CHECKSUM: u8 = 255;
/// The block size of AES, in bytes.
const BLOCK_BYTES: usize = 16;

/// What follows the numbers, to recognize a wrong passphrase.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Sum,
    Sha1,
}

impl Check {
    /// Returns the numbers, if what follows them is right.
    fn checked(self, mut plain: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        let size = match self {
            Check::Sum => 2,
            Check::Sha1 => 20,
        };
        let (numbers, found) = plain.split_at_checked(plain.len().checked_sub(size)?)?;
        let is_right = match self {
            Check::Sum => {
                let sum = numbers.iter().fold(0_u16, |sum, byte| sum.wrapping_add((*byte).into()));
                found == sum.to_be_bytes()
            }
            Check::Sha1 => found == openssl::sha::sha1(numbers),
        };
        let length = numbers.len();
        plain.truncate(length);
        is_right.then_some(plain)
    }
}

/// Secret numbers as they are in a packet.
pub(super) enum Protected<'a> {
    Plain(&'a [u8]),
    Encrypted { cipher: Cipher, s2k: S2k<'a>, iv: &'a [u8], data: &'a [u8], check: Check },
}

impl<'a> Protected<'a> {
    /// Parses the bytes after the public numbers.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Protected<'a>, SecretKeyError> {
        let (usage, rest) = bytes.split_first().ok_or(SecretKeyError::Malformed)?;
        let check = match *usage {
            PLAIN => return Ok(Protected::Plain(rest)),
            SHA1 => Check::Sha1,
            CHECKSUM => Check::Sum,
            number => return Err(SecretKeyError::Protection { what: "method", number }),
        };
        let (cipher, rest) = rest.split_first().ok_or(SecretKeyError::Malformed)?;
        // Before the cipher, because a key without its secret numbers has none.
        let (s2k, rest) = S2k::read(rest)?;
        let cipher = match *cipher {
            7 => Cipher::aes_128_cfb128(),
            8 => Cipher::aes_192_cfb128(),
            9 => Cipher::aes_256_cfb128(),
            number => return Err(SecretKeyError::Protection { what: "cipher", number }),
        };
        let (iv, data) = rest.split_at_checked(BLOCK_BYTES).ok_or(SecretKeyError::Malformed)?;
        Ok(Protected::Encrypted { cipher, s2k, iv, data, check })
    }

    /// Returns the numbers without their protection.
    pub(super) fn plain(
        self,
        passphrase: Option<&[u8]>,
    ) -> Result<Zeroizing<Vec<u8>>, SecretKeyError> {
        match self {
            Protected::Plain(bytes) => {
                Check::Sum.checked(Zeroizing::new(bytes.to_vec())).ok_or(SecretKeyError::Malformed)
            }
            Protected::Encrypted { cipher, s2k, iv, data, check } => {
                let passphrase = passphrase.ok_or(SecretKeyError::NoPassphrase)?;
                let key = s2k.key(passphrase, cipher.key_len())?;
                let plain = decrypted(cipher, &key, iv, data)?;
                check.checked(plain).ok_or(SecretKeyError::Passphrase)
            }
        }
    }
}

fn decrypted(
    cipher: Cipher,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SecretKeyError> {
    let mut crypter = Crypter::new(cipher, Mode::Decrypt, key, Some(iv))?;
    let mut plain = Zeroizing::new(vec![0; data.len() + BLOCK_BYTES]);
    let size = crypter.update(data, &mut plain)?;
    plain.truncate(size);
    Ok(plain)
}
