//! A secret-key packet: the public numbers of an RSA key, and its protected secret numbers (RFC 4880,
//! section 5.5.3).

use zeroize::Zeroizing;

use super::SecretKeyError;
use super::protection::Protected;
use super::rsa::{PublicNumbers, RsaKey, SecretNumbers};
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::mpi;
use crate::pgp::packet::{Packet, SECRET_KEY, SECRET_SUBKEY};

/// The only version of keys that the platform and all releases of GnuPG support.
const VERSION: u8 = 4;
/// Size limit of a packet, in bytes. A key of 16384 bits has about 9 KiB.
const PACKET_BYTES_MAX: usize = 64 << 10;
/// Length of the fields before the numbers: version, time of creation, algorithm.
const HEAD_BYTES: usize = 6;

/// The packet of an RSA key.
pub(in crate::pgp) struct SecretPacket<'a> {
    pub(super) fingerprint: Fingerprint,
    public: PublicNumbers<'a>,
    /// The bytes after the public numbers.
    protected: &'a [u8],
}

impl<'a> SecretPacket<'a> {
    /// Parses a packet that must be that of a secret RSA key.
    pub(super) fn read(packet: &Packet<'a>) -> Result<SecretPacket<'a>, SecretKeyError> {
        let is_meant = matches!(packet.tag, SECRET_KEY | SECRET_SUBKEY);
        let body = Some(packet.body).filter(|body| is_meant && body.len() <= PACKET_BYTES_MAX);
        let body = body.ok_or(SecretKeyError::Malformed)?;
        let [VERSION, _, _, _, _, 1 | 3, numbers @ ..] = body else {
            return Err(SecretKeyError::Malformed);
        };
        let (n, rest) = mpi::number(numbers).ok_or(SecretKeyError::Malformed)?;
        let (e, protected) = mpi::number(rest).ok_or(SecretKeyError::Malformed)?;
        let public = numbers.len() - protected.len() + HEAD_BYTES;
        let public = body.get(..public).ok_or(SecretKeyError::Malformed)?;
        let fingerprint = Fingerprint::of(&openssl::sha::sha1(&hashed(public)));
        Ok(SecretPacket { fingerprint, public: PublicNumbers { n, e }, protected })
    }

    /// Removes the protection, and returns the key.
    pub(in crate::pgp) fn unlock(
        &self,
        passphrase: Option<&[u8]>,
    ) -> Result<RsaKey, SecretKeyError> {
        let plain: Zeroizing<Vec<u8>> = Protected::read(self.protected)?.plain(passphrase)?;
        let numbers = SecretNumbers::read(&plain).ok_or(SecretKeyError::Malformed)?;
        RsaKey::new(&self.public, &numbers)
    }
}

/// Returns the bytes of a public key whose SHA-1 is the fingerprint (RFC 4880, section 12.2).
fn hashed(public: &[u8]) -> Vec<u8> {
    // A packet is shorter than its limit, so its length fits into two bytes.
    let length = u16::try_from(public.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&[0x99][..], &length, public].concat()
}
