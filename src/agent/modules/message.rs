//! The line by which the agent passes parameters to a module:
//! `{"class":"parameters","parameters":…}`.
//!
//! The parameters of an operation may be compressed: base64 of gzip of their JSON. The agent
//! unpacks them here, so that modules only receive JSON. Compressed parameters are untrusted, so
//! there is a limit on their unpacked size.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Maximum size of unpacked parameters, in bytes.
const PARAMETERS_BYTES_MAX: u64 = 64 << 20;
/// The first two bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Size of the fixed part of a gzip header, in bytes.
const GZIP_HEADER_BYTES: usize = 10;

const PARAMETERS: &str = "parameters";

/// Why compressed parameters cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("compressed parameters are not a string")]
    NotText,
    #[error("compressed parameters are not base64")]
    Base64(#[source] base64::DecodeError),
    #[error("compressed parameters are incomplete")]
    Short,
    #[error("compressed parameters are not gzip")]
    NotGzip,
    #[error("compressed parameters are damaged")]
    Damaged(#[source] std::io::Error),
    #[error("compressed parameters unpack to more than {PARAMETERS_BYTES_MAX} bytes")]
    TooBig,
    #[error("unpacked parameters are not JSON")]
    NotJson(#[source] serde_json::Error),
}

/// Why a line on stdin is not a message with parameters.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    #[error("message is not a JSON object with class and parameters")]
    Parse(#[source] serde_json::Error),
    #[error("class of message is {0:?}, not \"parameters\"")]
    Class(String),
}

#[derive(Serialize)]
struct OutgoingMessage<'a> {
    class: &'static str,
    parameters: &'a RawValue,
}

#[derive(Deserialize)]
struct IncomingMessage {
    class: String,
    #[serde(default)]
    parameters: Option<Box<RawValue>>,
}

/// Returns the parameters of an operation as JSON, unpacked if `compressed`.
pub(crate) fn unpack(
    parameters: &RawValue,
    compressed: bool,
) -> Result<Box<RawValue>, UnpackError> {
    if !compressed {
        return Ok(parameters.to_owned());
    }
    let text: String = serde_json::from_str(parameters.get()).map_err(|_| UnpackError::NotText)?;
    // Go's decoder skips line breaks.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let packed = STANDARD.decode(text).map_err(UnpackError::Base64)?;
    if packed.len() < GZIP_HEADER_BYTES {
        return Err(UnpackError::Short);
    }
    if !packed.starts_with(&GZIP_MAGIC) {
        return Err(UnpackError::NotGzip);
    }
    let json = gunzip(&packed, PARAMETERS_BYTES_MAX)?;
    serde_json::from_slice(&json).map_err(UnpackError::NotJson)
}

fn gunzip(packed: &[u8], limit: u64) -> Result<Vec<u8>, UnpackError> {
    let mut bytes = Vec::new();
    let mut unpacked = MultiGzDecoder::new(packed).take(limit.saturating_add(1));
    unpacked.read_to_end(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => UnpackError::Short,
        _ => UnpackError::Damaged(error),
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
        return Ok(bytes);
    }
    Err(UnpackError::TooBig)
}

/// Returns the message that passes `parameters` to a module.
pub(crate) fn write(parameters: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&OutgoingMessage { class: PARAMETERS, parameters })?;
    // Line breaks between tokens are white space to JSON, but would end the message. Those in
    // strings are escaped, so that each raw one can be replaced.
    line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

/// Returns the parameters of the message `line`, or `null` if it has none.
pub(crate) fn read(line: &[u8]) -> Result<Box<RawValue>, MessageError> {
    let message: IncomingMessage = serde_json::from_slice(line).map_err(MessageError::Parse)?;
    if message.class != PARAMETERS {
        return Err(MessageError::Class(message.class));
    }
    Ok(message.parameters.unwrap_or_else(|| RawValue::NULL.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> Box<RawValue> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn message_is_one_line_and_reads_as_written() {
        let line = write(&raw("{\"a\":\n [1,\r\n \"x\\ny\"]}")).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(read(&line).unwrap().get()).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, "x\ny"]}));
    }

    #[test]
    fn message_without_parameters_reads_as_null() {
        assert_eq!(read(br#"{"class":"parameters"}"#).unwrap().get(), "null");
        assert_eq!(read(br#"{"class":"parameters","parameters":null}"#).unwrap().get(), "null");
    }

    #[test]
    fn other_messages_are_rejected() {
        assert!(matches!(read(b"hello"), Err(MessageError::Parse(_))));
        assert!(matches!(read(b"{}"), Err(MessageError::Parse(_))));
        assert!(matches!(read(br#"{"class":"stop"}"#), Err(MessageError::Class(_))));
    }

    #[test]
    fn plain_parameters_are_not_changed() {
        assert_eq!(unpack(&raw(r#"{"a": 1.0}"#), false).unwrap().get(), r#"{"a": 1.0}"#);
    }

    /// With the parameters of recorded operations of the original.
    #[test]
    fn compressed_parameters_are_unpacked() {
        let good = "\"H4sIAPlYAmsC/yWMwQqAIBBEf0WWjoF07VeiYJElBXcV3U7Sv2c6l8c8hmlQCYvzVGE3Deo2kFH9Lw6wytlyuLUQ2RwxCJyrAUGmObiS0DJcyhqSzB9GdR5j7EXLQ2/PB3XlPcZqAAAA\"";
        let parameters = unpack(&raw(good), true).unwrap();
        let value: serde_json::Value = serde_json::from_str(parameters.get()).unwrap();
        assert_eq!(value["searches"]["s1"]["names"][0], "^one$");
        let text = |json| unpack(&raw(json), true).unwrap_err().to_string();
        assert_eq!(text("\"bm90IGd6aXA=\""), "compressed parameters are incomplete");
        assert_eq!(text("{}"), "compressed parameters are not a string");
        assert_eq!(text("\"bm90IGd6aXAgYXQgYWxs\""), "compressed parameters are not gzip");
        assert_eq!(text("\"?\""), "compressed parameters are not base64");
    }

    #[test]
    fn parameters_that_unpack_to_too_many_bytes_are_rejected() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &[b' '; 4096]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(gunzip(&packed, 4096).unwrap().len(), 4096);
        assert!(matches!(gunzip(&packed, 4095), Err(UnpackError::TooBig)));
    }
}
