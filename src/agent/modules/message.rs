//! The line that carries an operation's parameters to its module:
//! `{"class":"parameters","parameters":…}`.
//!
//! An operation may bring its parameters compressed, as the base64 of the gzip of
//! their JSON; the agent unpacks them here, so that a module only ever sees JSON.
//! What was packed comes from outside and is unpacked up to a limit only.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most that compressed parameters may unpack to.
const PARAMETERS_BYTES_MAX: u64 = 64 << 20;
/// The first two bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The size of the part of a gzip header that is always there.
const GZIP_HEADER_BYTES: usize = 10;

const PARAMETERS: &str = "parameters";

/// Parameters that cannot be handed to a module; the texts are the original's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackError {
    /// They are said to be compressed but are no text.
    #[error("Compressed parameter was not a string")]
    NotText,
    /// Their text is no base64.
    #[error("illegal base64 data")]
    Base64(#[source] base64::DecodeError),
    /// They end too early.
    #[error("unexpected EOF")]
    Short,
    /// They are no gzip.
    #[error("gzip: invalid header")]
    NotGzip,
    #[error("gzip: invalid data")]
    Damaged(#[source] std::io::Error),
    /// They are too big when unpacked.
    #[error("compressed parameters unpack to more than {PARAMETERS_BYTES_MAX} bytes")]
    TooBig,
    /// They are no JSON when unpacked.
    #[error("unpacked parameters are no JSON")]
    NotJson(#[source] serde_json::Error),
}

/// A line on stdin that is no message with parameters.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MessageError {
    /// The line is no such JSON.
    #[error("the message is no JSON object with class and parameters")]
    Parse(#[source] serde_json::Error),
    /// The message is of another class.
    #[error("the class of the message is {0:?}, not \"parameters\"")]
    Class(String),
}

#[derive(Serialize)]
struct Outgoing<'a> {
    class: &'static str,
    parameters: &'a RawValue,
}

#[derive(Deserialize)]
struct Incoming {
    class: String,
    #[serde(default)]
    parameters: Option<Box<RawValue>>,
}

/// Returns the parameters of an operation as JSON, unpacked if `compressed`.
///
/// # Errors
/// They are not what `compressed` says. The agent reports the error's text after
/// `runModule() -> Failed to make modules.Message: `.
pub(crate) fn unpack(parameters: &RawValue, compressed: bool) -> Result<Box<RawValue>, PackError> {
    if !compressed {
        return Ok(parameters.to_owned());
    }
    let text: String = serde_json::from_str(parameters.get()).map_err(|_| PackError::NotText)?;
    // Go's decoder passes over line breaks.
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let packed = STANDARD.decode(text).map_err(PackError::Base64)?;
    if packed.len() < GZIP_HEADER_BYTES {
        return Err(PackError::Short);
    }
    if !packed.starts_with(&GZIP_MAGIC) {
        return Err(PackError::NotGzip);
    }
    let json = gunzip(&packed, PARAMETERS_BYTES_MAX)?;
    serde_json::from_slice(&json).map_err(PackError::NotJson)
}

fn gunzip(packed: &[u8], limit: u64) -> Result<Vec<u8>, PackError> {
    let mut bytes = Vec::new();
    let mut unpacked = MultiGzDecoder::new(packed).take(limit.saturating_add(1));
    unpacked.read_to_end(&mut bytes).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => PackError::Short,
        _ => PackError::Damaged(error),
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
        return Ok(bytes);
    }
    Err(PackError::TooBig)
}

/// Returns the line that hands `parameters` to a module.
///
/// # Errors
/// serde cannot write them, which a value that was parsed rules out.
pub(crate) fn write(parameters: &RawValue) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(&Outgoing { class: PARAMETERS, parameters })?;
    // Line breaks between tokens are white space to JSON, and the end of the message to a module.
    // Within a string they are escaped, so that each raw one may go.
    line.iter_mut().filter(|byte| matches!(**byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    line.push(b'\n');
    Ok(line)
}

/// Returns the parameters of the message `line`, `null` if it has none.
///
/// # Errors
/// The line is no message of the class `parameters`.
pub(crate) fn read(line: &[u8]) -> Result<Box<RawValue>, MessageError> {
    let message: Incoming = serde_json::from_slice(line).map_err(MessageError::Parse)?;
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
    fn a_message_is_one_line_and_reads_as_written() {
        let line = write(&raw("{\"a\":\n [1,\r\n \"x\\ny\"]}")).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(read(&line).unwrap().get()).unwrap();
        assert_eq!(value, serde_json::json!({"a": [1, "x\ny"]}));
    }

    #[test]
    fn a_message_without_parameters_has_null() {
        assert_eq!(read(br#"{"class":"parameters"}"#).unwrap().get(), "null");
        assert_eq!(read(br#"{"class":"parameters","parameters":null}"#).unwrap().get(), "null");
    }

    #[test]
    fn other_messages_are_refused() {
        assert!(matches!(read(b"hello"), Err(MessageError::Parse(_))));
        assert!(matches!(read(b"{}"), Err(MessageError::Parse(_))));
        assert!(matches!(read(br#"{"class":"stop"}"#), Err(MessageError::Class(_))));
    }

    #[test]
    fn plain_parameters_pass_as_they_are() {
        assert_eq!(unpack(&raw(r#"{"a": 1.0}"#), false).unwrap().get(), r#"{"a": 1.0}"#);
    }

    /// The original's recordings of operations that say they are compressed.
    #[test]
    fn compressed_parameters_as_recorded() {
        let good = "\"H4sIAPlYAmsC/yWMwQqAIBBEf0WWjoF07VeiYJElBXcV3U7Sv2c6l8c8hmlQCYvzVGE3Deo2kFH9Lw6wytlyuLUQ2RwxCJyrAUGmObiS0DJcyhqSzB9GdR5j7EXLQ2/PB3XlPcZqAAAA\"";
        let parameters = unpack(&raw(good), true).unwrap();
        let value: serde_json::Value = serde_json::from_str(parameters.get()).unwrap();
        assert_eq!(value["searches"]["s1"]["names"][0], "^one$");
        let text = |json| unpack(&raw(json), true).unwrap_err().to_string();
        assert_eq!(text("\"bm90IGd6aXA=\""), "unexpected EOF");
        assert_eq!(text("{}"), "Compressed parameter was not a string");
        assert_eq!(text("\"bm90IGd6aXAgYXQgYWxs\""), "gzip: invalid header");
        assert_eq!(text("\"?\""), "illegal base64 data");
    }

    #[test]
    fn a_bomb_is_refused() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &[b' '; 4096]).unwrap();
        let packed = packed.finish().unwrap();
        assert_eq!(gunzip(&packed, 4096).unwrap().len(), 4096);
        assert!(matches!(gunzip(&packed, 4095), Err(PackError::TooBig)));
    }
}
