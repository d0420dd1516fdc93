//! JSON parameters, decoded with the tolerance of Go's decoder.
//!
//! Go matches field names in any case, ignores unknown fields, and reads `null` as if the field was
//! absent, or as an empty string within a list. This file brings an object into the form that serde
//! expects; serde checks the types.

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The parameters do not have the form that the module expects.
#[derive(Debug, thiserror::Error)]
#[error("invalid parameters")]
pub(crate) struct ParameterError(#[source] serde_json::Error);

/// Reads the parameters of a module. All fields of `T` must have defaults.
pub(super) fn read<T: DeserializeOwned>(parameters: &RawValue) -> Result<T, ParameterError> {
    // Decoded to a `Value` first, so that errors do not contain a line and column.
    let value: Value = serde_json::from_str(parameters.get()).map_err(ParameterError)?;
    fields(value).map_err(ParameterError)
}

/// Deserializes a structure whose field names are in lower case, as Go does.
pub(super) fn fields<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<T, D::Error> {
    let members = Option::<Map<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let is_exact = |(name, _): &(String, Value)| !name.bytes().any(|b| b.is_ascii_uppercase());
    let (mut fields, others): (Map<_, _>, Map<_, _>) = members.into_iter().partition(is_exact);
    for (name, value) in others {
        // Among several spellings of a name, the exact one takes precedence.
        fields.entry(name.to_ascii_lowercase()).or_insert(value);
    }
    fields.retain(|_, value| !value.is_null());
    for element in fields.values_mut().filter_map(Value::as_array_mut).flatten() {
        if element.is_null() {
            *element = Value::String(String::new());
        }
    }
    let object = Value::Object(fields);
    T::deserialize(&object).map_err(|error| {
        // serde does not name the faulty field, so each field is deserialized alone to find it.
        let is_faulty = |(name, value): &(&String, &Value)| {
            let alone = Map::from_iter([((*name).clone(), (*value).clone())]);
            T::deserialize(&Value::Object(alone)).is_err()
        };
        match object.as_object().into_iter().flatten().find(is_faulty) {
            Some((name, _)) => D::Error::custom(format_args!("{name}: {error}")),
            None => D::Error::custom(error),
        }
    })
}

/// A structure within a map, deserialized by [`fields`].
#[derive(Debug)]
pub(super) struct Fields<T>(pub(super) T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Fields<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        fields(deserializer).map(Fields)
    }
}

/// Truncates a number to an integer. A number that is out of range becomes the nearest integer.
#[expect(clippy::cast_possible_truncation, reason = "truncation is the purpose")]
pub(crate) fn truncate(number: f64) -> i64 {
    number as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Chain;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sample {
        paths: Vec<String>,
        number: f64,
        text: String,
        flag: bool,
        #[serde(deserialize_with = "fields")]
        inner: Inner,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Inner {
        names: Vec<String>,
    }

    fn sample(json: &str) -> Result<Sample, String> {
        let parameters: &RawValue = serde_json::from_str(json).unwrap();
        read(parameters).map_err(|error| Chain(&error).to_string())
    }

    #[test]
    fn fields_are_read_as_in_go() {
        let read = sample(
            r#"{"Paths": ["a", null], "NUMBER": 1.9, "TEXT": "no", "text": "t", "flag": null,
                "unknown": {}, "Inner": {"names": null, "NAMES": ["n"]}}"#,
        );
        let read = read.unwrap();
        assert_eq!(read.paths, ["a", ""]);
        assert_eq!((read.number, read.text.as_str(), read.flag), (1.9, "t", false));
        assert_eq!(read.inner.names, [""; 0], "the exact name counts");
        assert_eq!(sample("null").unwrap().paths, [""; 0]);
        assert_eq!(sample(r#"{"inner": null}"#).unwrap().inner.names, [""; 0]);
        assert_eq!((truncate(1.9), truncate(-1e300)), (1, i64::MIN));
    }

    #[test]
    fn errors_name_the_field() {
        for (json, expected) in [
            ("[]", "invalid type: sequence, expected a map"),
            (r#"{"text": 1}"#, "text: invalid type: integer `1`, expected a string"),
            (r#"{"Paths": "a"}"#, "paths: invalid type: string \"a\", expected a sequence"),
            (
                r#"{"inner": {"names": [1]}}"#,
                "inner: names: invalid type: integer `1`, expected a string",
            ),
            (r#"{"number": 1e999}"#, "number out of range at line 1 column 16"),
        ] {
            assert_eq!(sample(json).unwrap_err(), format!("invalid parameters: {expected}"));
        }
    }
}
