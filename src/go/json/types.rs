//! [`GoType`] for Go's plain types: strings, numbers, booleans, times, bytes and lists.

use std::fmt;

use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine};

use super::decode::Decoder;
use super::error::{JsonFault, LocatedFault};
use super::scan::ValueKind;
use super::{GoType, number, string};
use crate::go::time::Time;

/// Go's standard encoding, which ignores unused bits of the last character.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

impl GoType for String {
    fn go_type() -> String {
        "string".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        match decoder.scan.start_value()? {
            ValueKind::String => *self = string::decode(decoder.scan.string()?.raw).0.into_owned(),
            ValueKind::Null => decoder.scan.word(ValueKind::Null)?,
            other => decoder.mismatch::<String>(other)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        string::encode(self, out);
    }

    fn is_empty(&self) -> bool {
        String::is_empty(self)
    }
}

impl GoType for bool {
    fn go_type() -> String {
        "bool".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        match decoder.scan.start_value()? {
            kind @ (ValueKind::True | ValueKind::False) => {
                decoder.scan.word(kind)?;
                *self = kind == ValueKind::True;
            }
            ValueKind::Null => decoder.scan.word(ValueKind::Null)?,
            other => decoder.mismatch::<bool>(other)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }

    fn is_empty(&self) -> bool {
        !self
    }
}

/// Implements [`GoType`] for number types, given Go's name and how to parse and write each.
macro_rules! go_number {
    ($($type:ty as $name:literal: $read:expr, $write:expr;)*) => {$(
        impl GoType for $type {
            fn go_type() -> String {
                $name.to_owned()
            }

            fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
                match decoder.scan.start_value()? {
                    ValueKind::Number => {
                        let at = decoder.scan.at();
                        let literal = decoder.scan.number()?;
                        let read: fn(&str) -> Option<$type> = $read;
                        match read(literal) {
                            Some(number) => *self = number,
                            None => decoder.record_number(at, literal, $name),
                        }
                    }
                    ValueKind::Null => decoder.scan.word(ValueKind::Null)?,
                    other => decoder.mismatch::<$type>(other)?,
                }
                Ok(())
            }

            fn encode(&self, out: &mut String) {
                let write: fn($type, &mut String) = $write;
                write(*self, out);
            }

            fn is_empty(&self) -> bool {
                *self == <$type>::default()
            }
        }
    )*};
}

go_number! {
    f64 as "float64": number::decode, number::encode;
    i64 as "int": |literal| literal.parse().ok(), |number, out| out.push_str(&number.to_string());
    u16 as "uint16": unsigned, |number, out| out.push_str(&number.to_string());
    u8 as "uint8": unsigned, |number, out| out.push_str(&number.to_string());
}

/// Parses an unsigned integer. Go accepts no sign, not even that of `-0`.
fn unsigned<T: std::str::FromStr>(literal: &str) -> Option<T> {
    literal.parse().ok().filter(|_| !literal.starts_with('-'))
}

impl GoType for Time {
    fn go_type() -> String {
        "time.Time".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        let kind = decoder.scan.start_value()?;
        if kind == ValueKind::Null {
            return decoder.scan.word(ValueKind::Null);
        }
        // The opening bracket of an object or array is already consumed.
        let opened = usize::from(matches!(kind, ValueKind::Object | ValueKind::Array));
        let at = decoder.scan.at() - opened;
        decoder.skip_rest(kind)?;
        match Time::from_json(decoder.scan.since(at)) {
            Ok(time) => *self = time,
            Err(error) => decoder.record(LocatedFault { at, fault: JsonFault::Time(error) }),
        }
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        out.push('"');
        out.push_str(&self.to_string());
        out.push('"');
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// A list; `None` is Go's nil slice, written as `null`.
impl<T: GoType> GoType for Option<Vec<T>> {
    const MERGES: bool = true;

    fn go_type() -> String {
        format!("[]{}", T::go_type())
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        match decoder.scan.start_value()? {
            ValueKind::Array => *self = Some(decoder.list()?),
            ValueKind::Null => {
                decoder.scan.word(ValueKind::Null)?;
                *self = None;
            }
            other => decoder.mismatch::<Self>(other)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        let Some(list) = self else { return out.push_str("null") };
        out.push('[');
        for (index, element) in list.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            element.encode(out);
        }
        out.push(']');
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_none_or(Vec::is_empty)
    }
}

/// Bytes, written in base64. They may be a key, so `Debug` does not show them.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(Vec<u8>);

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Bytes {
        Bytes(bytes)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl GoType for Bytes {
    fn go_type() -> String {
        "[]uint8".to_owned()
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault> {
        let kind = decoder.scan.start_value()?;
        let at = decoder.scan.at();
        match kind {
            ValueKind::String => {
                // Go ignores line breaks inside base64.
                let text: Vec<u8> =
                    string::decode(decoder.scan.string()?.raw).0.into_owned().into();
                let text: Vec<u8> =
                    text.into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
                match BASE64.decode(&text) {
                    Ok(bytes) => self.0 = bytes,
                    Err(error) => {
                        let fault = JsonFault::Base64(bad_byte(&error, text.len()));
                        decoder.record(LocatedFault { at, fault });
                    }
                }
            }
            ValueKind::Array => self.0 = decoder.list()?,
            ValueKind::Null => {
                decoder.scan.word(ValueKind::Null)?;
                self.0.clear();
            }
            other => decoder.mismatch::<Bytes>(other)?,
        }
        Ok(())
    }

    fn encode(&self, out: &mut String) {
        out.push('"');
        BASE64.encode_string(&self.0, out);
        out.push('"');
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn bad_byte(error: &DecodeError, length: usize) -> usize {
    match error {
        DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => *at,
        DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => length,
    }
}
