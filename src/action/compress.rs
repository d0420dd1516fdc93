//! Operations that ask for it are compressed: gzip, in base64, in place of the parameters.
//!
//! The bytes differ from those of Go's compressor, their content does not; what
//! is signed is the compressed form, so agents agree with us whoever made it.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Operation;
use crate::go::json::CanonicalJson;

/// Compresses the parameters if the operation wants it and they are not compressed yet.
pub(super) fn compress(operation: &mut Operation) {
    if !operation.want_compressed || operation.is_compressed {
        return;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; if it did, the parameters would go as they are.
    let written = encoder.write_all(operation.parameters.as_str().as_bytes());
    if let Ok(bytes) = written.and_then(|()| encoder.finish()) {
        operation.parameters = CanonicalJson::string(&STANDARD.encode(bytes));
        operation.is_compressed = true;
    }
}
