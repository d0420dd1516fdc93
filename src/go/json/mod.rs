//! Go's `encoding/json`, as far as signed text depends on it.
//!
//! Agents verify a signature over text that Go generates from the parsed action. So an
//! action is parsed as Go 1.19 parses it and written as Go writes it, byte for byte:
//!
//! * keys match without regard to case, unknown keys are dropped, `null` leaves a field unchanged;
//! * numbers without a declared type are 64-bit floats;
//! * invalid Unicode becomes U+FFFD; maps are sorted by the bytes of their keys;
//! * `<`, `>`, `&`, U+2028 and U+2029 are escaped.
//!
//! One behaviour is not copied: a duplicate key is an error, where Go keeps the last value or
//! merges both. A key in two spellings is a duplicate only if Go would merge the values.
//!
//! **Invariant.** No text, however long or deeply nested, causes a panic or takes more than a
//! small multiple of its length in memory.

mod canonical;
mod decode;
mod error;
mod number;
mod scan;
mod string;
mod types;

#[cfg(test)]
mod tests;

pub(crate) use canonical::CanonicalJson;
pub(crate) use decode::Decoder;
#[cfg(test)]
pub(crate) use error::JsonFault;
pub(crate) use error::{LocatedFault, ParseError};
pub(crate) use types::Bytes;

/// A Rust type that is parsed and written as Go's JSON handles its Go counterpart.
pub(crate) trait GoType: Default {
    /// Whether Go merges a second value of a field into the first instead of replacing it.
    const MERGES: bool = false;

    /// Returns Go's name of the type, for error messages.
    fn go_type() -> String;

    /// Parses a value into `self`. A value of the wrong type is recorded in the decoder and
    /// leaves `self` unchanged; only a syntax error is returned.
    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault>;

    fn encode(&self, out: &mut String);

    /// Returns whether `omitempty` omits the value.
    fn is_empty(&self) -> bool;
}

/// A type with named fields.
pub(crate) trait GoStruct: GoType {
    /// Go's name of the type, without its package.
    const NAME: &'static str;
    /// The keys, as Go writes them.
    const KEYS: &'static [&'static str];

    /// Parses the value of the field `key`, one of [`GoStruct::KEYS`].
    fn decode_field(&mut self, key: &str, decoder: &mut Decoder<'_>) -> Result<(), LocatedFault>;

    /// Returns whether Go merges a second value of the field `key` into the first.
    fn merges(key: &str) -> bool;
}

/// Parses a whole text.
///
/// # Errors
/// Go would reject the text, or it has a duplicate key.
pub(crate) fn parse<T: GoType>(text: &[u8]) -> Result<T, ParseError> {
    decode::parse(text)
}

/// Returns the JSON that Go writes for `value`.
pub(crate) fn to_string<T: GoType>(value: &T) -> String {
    let mut out = String::new();
    append(value, &mut out);
    out
}

/// Appends the JSON that Go writes for `value`.
pub(crate) fn append<T: GoType>(value: &T, out: &mut String) {
    value.encode(out);
}

/// Appends a key with its quotes and colon, and a comma unless it is the object's first.
pub(crate) fn append_key(key: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
}

/// Implements [`GoType`] and [`GoStruct`] for a struct: the only list of its keys, in Go's order.
macro_rules! go_struct {
    ($type:ident as $name:literal { $($field:ident: $key:literal $($omitempty:ident)?),* $(,)? }) => {
        impl $crate::go::json::GoType for $type {
            const MERGES: bool = true;

            fn go_type() -> String {
                concat!("mig.", $name).to_owned()
            }

            fn decode(
                &mut self,
                decoder: &mut $crate::go::json::Decoder<'_>,
            ) -> Result<(), $crate::go::json::LocatedFault> {
                decoder.fields(self)
            }

            fn encode(&self, out: &mut String) {
                out.push('{');
                $(
                    let omitempty = !stringify!($($omitempty)?).is_empty();
                    if !(omitempty && $crate::go::json::GoType::is_empty(&self.$field)) {
                        $crate::go::json::append_key($key, out);
                        $crate::go::json::GoType::encode(&self.$field, out);
                    }
                )*
                out.push('}');
            }

            fn is_empty(&self) -> bool {
                false
            }
        }

        impl $crate::go::json::GoStruct for $type {
            const NAME: &'static str = $name;
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn decode_field(
                &mut self,
                key: &str,
                decoder: &mut $crate::go::json::Decoder<'_>,
            ) -> Result<(), $crate::go::json::LocatedFault> {
                match key {
                    $($key => $crate::go::json::GoType::decode(&mut self.$field, decoder),)*
                    _ => decoder.skip(),
                }
            }

            fn merges(key: &str) -> bool {
                // A macro cannot name a field's type; a function that returns the field infers it.
                fn merges_field<T: $crate::go::json::GoType, U>(_: fn(&U) -> &T) -> bool {
                    T::MERGES
                }
                match key {
                    $($key => merges_field(|it: &$type| &it.$field),)*
                    _ => false,
                }
            }
        }
    };
}
pub(crate) use go_struct;
