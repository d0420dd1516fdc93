//! The objects of a command, read field by field, because their content is not trusted.
//!
//! A field that is missing or has another type counts as empty. Of several fields with one name the
//! last counts, as in Go. Every reader of commands uses this module, so that a count of findings and
//! a list of them never disagree about a damaged command.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields that are read, of all objects in a command.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Field {
    Action,
    Agent,
    Counters,
    Elements,
    Errors,
    FoundAnything,
    Id,
    Module,
    Name,
    Operations,
    Results,
    Status,
    Success,
    TooLarge,
    #[serde(other)]
    Other,
}

/// An object, with its fields unparsed.
#[derive(Debug, Default)]
pub(super) struct RawObject<'a>([Option<&'a RawValue>; Field::Other as usize]);

impl<'a> RawObject<'a> {
    /// Returns the text of a field, or `None` if the field is missing or null.
    pub(super) fn raw(&self, field: Field) -> Option<&'a RawValue> {
        self.0.get(field as usize).copied().flatten()
    }

    /// Parses a field; an invalid or missing one counts as empty.
    pub(super) fn get<T: Deserialize<'a> + Default>(&self, field: Field) -> T {
        lenient(self.raw(field))
    }
}

/// Parses a value; an invalid or missing one counts as empty.
pub(super) fn lenient<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default()
}

impl<'de> Deserialize<'de> for RawObject<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<RawObject<'de>, D::Error> {
        json.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = RawObject<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawObject<'de>, A::Error> {
        let mut object = RawObject::default();
        while let Some(field) = map.next_key::<Field>()? {
            let value = map.next_value::<Option<&RawValue>>()?;
            if let Some(slot) = object.0.get_mut(field as usize) {
                *slot = value;
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_of_equal_fields_counts_and_others_are_ignored() {
        let text = r#"{"id":1,"x":{"id":2},"id":"3","name":null}"#;
        let object: RawObject<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(object.get::<String>(Field::Id), "3");
        assert_eq!(object.get::<u64>(Field::Id), 0);
        assert!(object.raw(Field::Name).is_none() && object.raw(Field::Other).is_none());
    }
}
