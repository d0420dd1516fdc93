//! Hashes of a file's content, several in one pass.

use std::io::{self, Read};

use md5::Md5;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use crate::modules::file::HashAlgorithm;

/// Size of the read buffer, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

fn hasher(algorithm: HashAlgorithm) -> Box<dyn DynDigest> {
    match algorithm {
        HashAlgorithm::Md5 => Box::new(Md5::default()),
        HashAlgorithm::Sha1 => Box::new(Sha1::default()),
        HashAlgorithm::Sha2With256 => Box::new(Sha256::default()),
        HashAlgorithm::Sha2With384 => Box::new(Sha384::default()),
        HashAlgorithm::Sha2With512 => Box::new(Sha512::default()),
        HashAlgorithm::Sha3With224 => Box::new(Sha3_224::default()),
        HashAlgorithm::Sha3With256 => Box::new(Sha3_256::default()),
        HashAlgorithm::Sha3With384 => Box::new(Sha3_384::default()),
        HashAlgorithm::Sha3With512 => Box::new(Sha3_512::default()),
    }
}

/// Returns the hashes of `source`, in upper-case hexadecimal digits.
pub(super) fn digests(
    mut source: impl Read,
    algorithms: &[HashAlgorithm],
) -> io::Result<Vec<String>> {
    let mut hashers: Vec<_> = algorithms.iter().map(|algorithm| hasher(*algorithm)).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_have_the_number_of_digits_that_parameters_must_have() {
        for algorithm in [
            HashAlgorithm::Md5,
            HashAlgorithm::Sha1,
            HashAlgorithm::Sha2With256,
            HashAlgorithm::Sha2With384,
            HashAlgorithm::Sha2With512,
            HashAlgorithm::Sha3With224,
            HashAlgorithm::Sha3With256,
            HashAlgorithm::Sha3With384,
            HashAlgorithm::Sha3With512,
        ] {
            let digests = digests(&b""[..], &[algorithm]).unwrap();
            assert_eq!(digests[0].len(), algorithm.digits(), "{algorithm:?}");
        }
    }
}
