//! Hashes of what is in a file, several in one pass.

use std::io::{self, Read};

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

/// How much is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A way to hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-2 of 256 bits.
    Sha2With256,
    /// SHA-2 of 384 bits.
    Sha2With384,
    /// SHA-2 of 512 bits.
    Sha2With512,
    /// SHA-3 of 224 bits.
    Sha3With224,
    /// SHA-3 of 256 bits.
    Sha3With256,
    /// SHA-3 of 384 bits.
    Sha3With384,
    /// SHA-3 of 512 bits.
    Sha3With512,
}

impl Algorithm {
    /// Returns how many hexadecimal digits a hash has.
    pub(super) fn digits(self) -> usize {
        self.begin().output_size() * 2
    }

    fn begin(self) -> Box<dyn DynDigest> {
        match self {
            Algorithm::Md5 => Box::new(Md5::default()),
            Algorithm::Sha1 => Box::new(Sha1::default()),
            Algorithm::Sha2With256 => Box::new(Sha256::default()),
            Algorithm::Sha2With384 => Box::new(Sha384::default()),
            Algorithm::Sha2With512 => Box::new(Sha512::default()),
            Algorithm::Sha3With224 => Box::new(Sha3_224::default()),
            Algorithm::Sha3With256 => Box::new(Sha3_256::default()),
            Algorithm::Sha3With384 => Box::new(Sha3_384::default()),
            Algorithm::Sha3With512 => Box::new(Sha3_512::default()),
        }
    }
}

/// Returns the hashes of `source`, each in upper-case hexadecimal digits.
pub(super) fn digests(mut source: impl Read, algorithms: &[Algorithm]) -> io::Result<Vec<String>> {
    let mut hashers: Vec<_> = algorithms.iter().map(|algorithm| algorithm.begin()).collect();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
    }
    Ok(hashers.into_iter().map(|hasher| hex(&hasher.finalize())).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
