//! Go's `encoding/json`, as far as what is signed depends on it.
//!
//! Agents verify a signature over text that Go makes from the action after it
//! has read it, so an action is read as Go 1.19 reads it and written as Go
//! writes it, byte for byte:
//!
//! * keys are matched without regard to case, unknown ones dropped, `null` leaves a field as it is;
//! * numbers without a declared type are 64-bit floats;
//! * what is no Unicode becomes U+FFFD; maps are sorted by the bytes of their keys;
//! * `<`, `>`, `&`, U+2028 and U+2029 are escaped.
//!
//! One thing is not copied: a key that is given twice is refused, where Go
//! keeps the last value or mixes the two. A key in two spellings is given twice
//! only if Go would mix the values.
//!
//! **Invariant.** No text, however long or deep, makes this panic or take more
//! than a small multiple of its length in memory.

mod decode;
mod fault;
mod number;
mod scan;
mod string;
mod types;
mod value;

#[cfg(test)]
pub(crate) use fault::Fault;
pub(crate) use fault::ParseError;
pub(crate) use types::Bytes;
pub(crate) use value::Value;

pub(super) use decode::Decoder;
pub(super) use fault::FaultAt;

/// A type of the platform: how Go's JSON reads and writes it.
pub(super) trait GoType: Default {
    /// Whether Go mixes a second value into the first instead of replacing it.
    const MIXES: bool = false;

    /// Returns Go's name of the type.
    fn go_type() -> String;

    /// Reads a value; what does not fit is noted in the decoder and leaves the field as it is.
    fn decode(&mut self, decoder: &mut Decoder<'_>) -> Result<(), FaultAt>;

    fn encode(&self, out: &mut String);

    /// Tells whether `omitempty` leaves the value out.
    fn is_empty(&self) -> bool;
}

/// A type with named fields.
pub(super) trait GoStruct: GoType {
    /// Go's name of the type, without its package.
    const NAME: &'static str;
    /// The keys, as they are written.
    const KEYS: &'static [&'static str];

    /// Reads the value of the field `key`, one of [`GoStruct::KEYS`].
    fn decode_field(&mut self, key: &str, decoder: &mut Decoder<'_>) -> Result<(), FaultAt>;

    /// Tells whether Go mixes a second value of the field `key` into the first.
    fn mixes(key: &str) -> bool;
}

/// Reads a whole text.
///
/// # Errors
/// Go would refuse the text, or it has a key twice.
pub(super) fn read<T: GoType>(text: &[u8]) -> Result<T, ParseError> {
    decode::read(text)
}

/// Returns the text that Go writes for `value`.
pub(super) fn write<T: GoType>(value: &T) -> String {
    let mut out = String::new();
    append(value, &mut out);
    out
}

/// Appends the text that Go writes for `value`.
pub(super) fn append<T: GoType>(value: &T, out: &mut String) {
    value.encode(out);
}

/// Appends a key with what must stand before and after it.
pub(super) fn write_key(key: &str, out: &mut String) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    out.push_str(key);
    out.push_str("\":");
}

/// Tells Go's JSON the fields of a struct: the one list of its keys, in Go's order.
macro_rules! go_struct {
    ($type:ident as $name:literal { $($field:ident: $key:literal $($omitempty:ident)?),* $(,)? }) => {
        impl $crate::action::go_json::GoType for $type {
            const MIXES: bool = true;

            fn go_type() -> String {
                concat!("mig.", $name).to_owned()
            }

            fn decode(
                &mut self,
                decoder: &mut $crate::action::go_json::Decoder<'_>,
            ) -> Result<(), $crate::action::go_json::FaultAt> {
                decoder.fields(self)
            }

            fn encode(&self, out: &mut String) {
                out.push('{');
                $(
                    let omitempty = !stringify!($($omitempty)?).is_empty();
                    if !(omitempty && $crate::action::go_json::GoType::is_empty(&self.$field)) {
                        $crate::action::go_json::write_key($key, out);
                        $crate::action::go_json::GoType::encode(&self.$field, out);
                    }
                )*
                out.push('}');
            }

            fn is_empty(&self) -> bool {
                false
            }
        }

        impl $crate::action::go_json::GoStruct for $type {
            const NAME: &'static str = $name;
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn decode_field(
                &mut self,
                key: &str,
                decoder: &mut $crate::action::go_json::Decoder<'_>,
            ) -> Result<(), $crate::action::go_json::FaultAt> {
                match key {
                    $($key => $crate::action::go_json::GoType::decode(&mut self.$field, decoder),)*
                    _ => decoder.skip(),
                }
            }

            fn mixes(key: &str) -> bool {
                // The field's type is known only by the field: a path to it is enough to ask.
                fn of<T: $crate::action::go_json::GoType, U>(_: fn(&U) -> &T) -> bool {
                    T::MIXES
                }
                match key {
                    $($key => of(|it: &$type| &it.$field),)*
                    _ => false,
                }
            }
        }
    };
}
pub(super) use go_struct;

#[cfg(test)]
mod tests;
