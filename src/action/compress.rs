//! Operations that ask for it are compressed: gzip, in base64, in place of the parameters.
//!
//! The bytes differ from those of Go's compressor, their content does not; what
//! is signed is the compressed form, so agents agree with us whoever made it.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Operation, Value};

/// Why compressed parameters cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InflateError {
    /// They are no string.
    #[error("compressed parameters must be a string")]
    NoString,
    /// They are not in base64.
    #[error("compressed parameters are not in base64")]
    Base64(#[source] base64::DecodeError),
    /// They are no gzip, or are cut.
    #[error("cannot decompress the parameters")]
    Gzip(#[source] std::io::Error),
    /// They become too large.
    #[error("the parameters have more than {0} bytes when decompressed")]
    Large(u64),
}

/// Compresses the parameters if the operation wants it and they are not compressed yet.
pub(super) fn compress(operation: &mut Operation) {
    if !operation.want_compressed || operation.is_compressed {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; if it did, the parameters would go as they are.
    let written = encoder.write_all(operation.parameters.as_json().as_bytes());
    if let Ok(bytes) = written.and_then(|()| encoder.finish()) {
        operation.parameters = Value::string(&STANDARD.encode(bytes));
        operation.is_compressed = true;
    }
}

impl Operation {
    /// Returns the parameters as JSON, decompressed if need be.
    ///
    /// # Errors
    /// They are marked compressed and are not, or have more than `bytes_max` bytes.
    pub(crate) fn plain_parameters(&self, bytes_max: u64) -> Result<Vec<u8>, InflateError> {
        if !self.is_compressed {
            return Ok(self.parameters.as_json().as_bytes().to_vec());
        }
        let text = self.parameters.as_string().ok_or(InflateError::NoString)?;
        let bytes = STANDARD.decode(text.as_bytes()).map_err(InflateError::Base64)?;
        let mut plain = Vec::new();
        let mut reader = MultiGzDecoder::new(bytes.as_slice()).take(bytes_max.saturating_add(1));
        let length = reader.read_to_end(&mut plain).map_err(InflateError::Gzip)?;
        if u64::try_from(length).is_ok_and(|length| length > bytes_max) {
            return Err(InflateError::Large(bytes_max));
        }
        Ok(plain)
    }
}
