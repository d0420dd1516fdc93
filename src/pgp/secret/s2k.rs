//! Derives a key from a passphrase: OpenPGP's "string-to-key" (RFC 4880, section 3.7).

use openssl::hash::{Hasher, MessageDigest};
use zeroize::Zeroizing;

use super::SecretKeyError;

/// The bytes of one call of the digest, at least.
const CHUNK_BYTES: usize = 16 << 10;
/// The type of GnuPG's own extension: the packet has no secret numbers.
const GNU: u8 = 101;
/// Length of a salt, in bytes.
const SALT_BYTES: usize = 8;

/// How a key is derived.
pub(super) struct S2k<'a> {
    digest: MessageDigest,
    salt: &'a [u8],
    /// The number of bytes that are hashed; at least the salt and the passphrase once.
    count: usize,
}

impl<'a> S2k<'a> {
    /// Parses the description at the beginning of `bytes`; returns the rest too.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(S2k<'a>, &'a [u8]), SecretKeyError> {
        let [kind, digest, rest @ ..] = bytes else { return Err(SecretKeyError::Malformed) };
        let (salted, iterated) = match *kind {
            0 => (false, false),
            1 => (true, false),
            3 => (true, true),
            GNU => return Err(SecretKeyError::Stub),
            number => return Err(SecretKeyError::Protection { what: "key derivation", number }),
        };
        let digest = match *digest {
            2 => MessageDigest::sha1(),
            8 => MessageDigest::sha256(),
            9 => MessageDigest::sha384(),
            10 => MessageDigest::sha512(),
            11 => MessageDigest::sha224(),
            number => return Err(SecretKeyError::Protection { what: "digest", number }),
        };
        let size = if salted { SALT_BYTES } else { 0 };
        let (salt, rest) = rest.split_at_checked(size).ok_or(SecretKeyError::Malformed)?;
        if !iterated {
            return Ok((S2k { digest, salt, count: 0 }, rest));
        }
        let (coded, rest) = rest.split_first().ok_or(SecretKeyError::Malformed)?;
        // At most 65011712.
        let count = (16 + usize::from(coded & 15)) << (usize::from(coded >> 4) + 6);
        Ok((S2k { digest, salt, count }, rest))
    }

    /// Derives a key of `size` bytes.
    pub(super) fn key(
        &self,
        passphrase: &[u8],
        size: usize,
    ) -> Result<Zeroizing<Vec<u8>>, SecretKeyError> {
        let mut key = Zeroizing::new(Vec::with_capacity(size + self.digest.size()));
        let mut zeros = 0;
        while key.len() < size {
            // A longer key than the digest continues with digests of a further leading zero each.
            let mut hasher = Hasher::new(self.digest)?;
            hasher.update(&vec![0; zeros])?;
            self.hash(passphrase, &mut hasher)?;
            let mut digest = hasher.finish()?;
            key.extend_from_slice(&digest);
            zeroize::Zeroize::zeroize(&mut *digest);
            zeros += 1;
        }
        key.truncate(size);
        Ok(key)
    }

    /// Hashes the salt and the passphrase again and again until `count` bytes are hashed.
    fn hash(&self, passphrase: &[u8], hasher: &mut Hasher) -> Result<(), SecretKeyError> {
        let once = self.salt.len() + passphrase.len();
        if once == 0 {
            return Ok(());
        }
        // Long chunks of whole repetitions: one call for each would take several times as long.
        let repetitions = CHUNK_BYTES.div_ceil(once);
        let mut chunk = Zeroizing::new(Vec::with_capacity(once * repetitions));
        for _ in 0..repetitions {
            chunk.extend_from_slice(self.salt);
            chunk.extend_from_slice(passphrase);
        }
        let mut left = self.count.max(once);
        while left > 0 {
            let piece = chunk.get(..left).unwrap_or(&chunk);
            hasher.update(piece)?;
            left -= piece.len();
        }
        Ok(())
    }
}
