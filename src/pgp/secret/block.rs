//! Decodes the armor of an exported secret key.
//!
//! An export is requested in armor, because the option `armor` in gpg.conf would armor it anyway.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::SecretKeyError;
use super::packet::SecretPacket;
use crate::pgp::fingerprint::Fingerprint;
use crate::pgp::packet::packets;

const BEGIN: &[u8] = b"-----BEGIN PGP PRIVATE KEY BLOCK-----";
const END: &[u8] = b"-----END PGP PRIVATE KEY BLOCK-----";

/// The packets of an exported secret key.
pub(in crate::pgp) struct SecretBlock(Zeroizing<Vec<u8>>);

impl SecretBlock {
    pub(in crate::pgp) fn from_armor(armored: &[u8]) -> Result<SecretBlock, SecretKeyError> {
        let lines = armored.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let mut lines = lines.skip_while(|line| *line != BEGIN);
        // Headers such as `Comment:` end at the first empty line.
        lines.find(|line| line.is_empty()).ok_or(SecretKeyError::Armor)?;
        let mut base64 = Zeroizing::new(Vec::with_capacity(armored.len()));
        loop {
            match lines.next().ok_or(SecretKeyError::Armor)? {
                END => break,
                // The checksum. The key itself contains a better one.
                [b'=', ..] => {}
                line => base64.extend_from_slice(line),
            }
        }
        // Longer than the result, so that the buffer never moves.
        let mut data = Zeroizing::new(vec![0; base64.len()]);
        let size = STANDARD.decode_slice(&*base64, &mut data).map_err(|_| SecretKeyError::Armor)?;
        data.truncate(size);
        Ok(SecretBlock(data))
    }

    /// Returns the packet of the primary key or subkey with this fingerprint.
    pub(in crate::pgp) fn part(
        &self,
        fingerprint: &Fingerprint,
    ) -> Result<SecretPacket<'_>, SecretKeyError> {
        let packets = packets(&self.0).map_err(SecretKeyError::Packet)?;
        let mut parts = packets.iter().filter_map(|packet| SecretPacket::read(packet).ok());
        parts.find(|part| part.fingerprint == *fingerprint).ok_or(SecretKeyError::Missing)
    }
}
