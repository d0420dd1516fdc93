//! Parameters as Go's JSON decoder reads them: names in any case, what is unknown
//! passed over, `null` for nothing, and its words for a value of a wrong type.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Parameters that cannot be read; the texts are the original's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// They are no JSON that can be held.
    #[error("ReadInputParameters() -> json: {0}")]
    Json(serde_json::Error),
    /// A value is of a wrong type.
    #[error("ReadInputParameters() -> {0}")]
    Type(#[from] TypeError),
}

/// Reads parameters by `read`.
///
/// # Errors
/// They are not what the module takes; the text says which field.
pub(crate) fn parse<T>(
    parameters: &RawValue,
    read: impl FnOnce(&Value) -> Result<T, TypeError>,
) -> Result<T, ReadError> {
    let value = serde_json::from_str(parameters.get()).map_err(ReadError::Json)?;
    Ok(read(&value)?)
}

/// A value of a wrong type. The text names Go's own types: it is what the original answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("json: cannot unmarshal {found} into Go {place} of type {wanted}")]
pub(crate) struct TypeError {
    found: &'static str,
    place: String,
    wanted: String,
}

/// Where a value stands, in Go's words.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// All of the parameters.
    Whole,
    /// A field of a structure.
    Field {
        holder: &'static str,
        /// The names of the fields that lead to it.
        path: String,
    },
}

impl Place {
    fn mismatch(&self, found: &Value, wanted: &str) -> TypeError {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let place = match self {
            Place::Whole => "value".to_owned(),
            Place::Field { holder, path } => format!("struct field {holder}.{path}"),
        };
        TypeError { found, place, wanted: wanted.to_owned() }
    }

    /// Returns the members of an object, `None` for null.
    pub(crate) fn object<'a>(
        &self,
        value: &'a Value,
        wanted: &str,
    ) -> Result<Option<&'a Map<String, Value>>, TypeError> {
        match value {
            Value::Null => Ok(None),
            Value::Object(members) => Ok(Some(members)),
            other => Err(self.mismatch(other, wanted)),
        }
    }
}

/// An object that Go reads into a structure.
#[derive(Debug, Clone)]
pub(crate) struct Structure<'a> {
    members: Option<&'a Map<String, Value>>,
    name: &'static str,
    path: String,
}

impl<'a> Structure<'a> {
    /// Reads `value`, which stands at `place`, as the structure `name` of the type `wanted`.
    pub(crate) fn new(
        value: &'a Value,
        place: &Place,
        name: &'static str,
        wanted: &str,
    ) -> Result<Structure<'a>, TypeError> {
        let members = place.object(value, wanted)?;
        let path = match place {
            Place::Whole => String::new(),
            Place::Field { path, .. } => format!("{path}."),
        };
        Ok(Structure { members, name, path })
    }

    /// Returns a field and its place; null if it is absent.
    pub(crate) fn field(&self, name: &str) -> (&'a Value, Place) {
        let place = Place::Field { holder: self.name, path: format!("{}{name}", self.path) };
        let value = self.members.and_then(|members| {
            members.get(name).or_else(|| {
                members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v)
            })
        });
        (value.unwrap_or(&Value::Null), place)
    }

    /// Returns a text, empty if absent.
    pub(crate) fn text(&self, name: &str) -> Result<String, TypeError> {
        let (value, place) = self.field(name);
        text(value, &place)
    }

    /// Returns a list of texts, empty if absent.
    pub(crate) fn texts(&self, name: &str) -> Result<Vec<String>, TypeError> {
        let (value, place) = self.field(name);
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(elements) => {
                elements.iter().map(|element| text(element, &place)).collect()
            }
            other => Err(place.mismatch(other, "[]string")),
        }
    }

    /// Returns a truth value, false if absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, TypeError> {
        let (value, place) = self.field(name);
        match value {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            other => Err(place.mismatch(other, "bool")),
        }
    }

    /// Returns a number cut to a whole one, 0 if absent.
    pub(crate) fn whole(&self, name: &str) -> Result<i64, TypeError> {
        Ok(self.number(name)?.map_or(0, cut))
    }

    /// Returns a number, `None` if absent or 0.
    pub(crate) fn number(&self, name: &str) -> Result<Option<f64>, TypeError> {
        let (value, place) = self.field(name);
        match value {
            Value::Null => Ok(None),
            Value::Number(number) => Ok(number.as_f64().filter(|number| *number != 0.0)),
            other => Err(place.mismatch(other, "float64")),
        }
    }
}

/// Cuts a number to a whole one.
#[expect(clippy::cast_possible_truncation, reason = "huge ones are cut to the largest")]
pub(crate) fn cut(number: f64) -> i64 {
    number as i64
}

fn text(value: &Value, place: &Place) -> Result<String, TypeError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        other => Err(place.mismatch(other, "string")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_read_as_by_go() {
        let value = json!({"Paths": ["a", null], "n": 1.9, "m": -1e300, "TEXT": "t", "flag": null});
        let place = Place::Field { holder: "parameters", path: "searches".to_owned() };
        let search = Structure::new(&value, &place, "Search", "file.Search").unwrap();
        assert_eq!(search.texts("paths").unwrap(), ["a", ""]);
        assert_eq!((search.whole("n").unwrap(), search.whole("m").unwrap()), (1, i64::MIN));
        assert_eq!(search.text("text").unwrap(), "t");
        assert!(!search.flag("flag").unwrap());
        let error = search.texts("text").unwrap_err().to_string();
        assert_eq!(
            error,
            "json: cannot unmarshal string into Go struct field Search.searches.text of type []string"
        );
        let error = Structure::new(&json!([]), &Place::Whole, "x", "file.parameters").unwrap_err();
        assert_eq!(
            error.to_string(),
            "json: cannot unmarshal array into Go value of type file.parameters"
        );
    }
}
