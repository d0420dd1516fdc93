//! A results document, read command by command.
//!
//! A document may hold as many commands as there are agents; of all of them only
//! one is in memory at a time. Any JSON of the document's form is read, also what a
//! person has reformatted.

use std::fmt;
use std::io::BufReader;
use std::path::Path;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Failure;
use crate::disk::Disk;

/// Takes each command of a document.
type Each<'a> = &'a mut dyn FnMut(&str) -> Result<(), Failure>;

/// Reads a document and hands on each of its commands; returns the name of its job.
///
/// # Errors
/// It is not there, or no whole document; or `each` failed.
pub(super) fn read(disk: &Disk, path: &Path, each: Each<'_>) -> Result<Option<String>, Failure> {
    let reader = BufReader::new(disk.reader(path)?);
    let mut json = serde_json::Deserializer::from_reader(reader);
    let (mut name, mut failed) = (None, None);
    let document = Document { each, name: &mut name, failed: &mut failed };
    let read = json.deserialize_map(document).and_then(|()| json.end());
    match (failed, read) {
        (Some(failure), _) => Err(failure),
        (None, Err(source)) => {
            Err(Failure::Document { path: path.to_owned(), source: Box::new(source) })
        }
        (None, Ok(())) => Ok(name),
    }
}

/// Reads the document's object.
struct Document<'a> {
    each: Each<'a>,
    name: &'a mut Option<String>,
    failed: &'a mut Option<Failure>,
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a results document")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "commands" => map.next_value_seed(Commands {
                    each: &mut *self.each,
                    failed: &mut *self.failed,
                })?,
                "name" => *self.name = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the list of commands, or the `null` that stands for an empty one.
struct Commands<'a> {
    each: Each<'a>,
    failed: &'a mut Option<Failure>,
}

impl<'de> DeserializeSeed<'de> for Commands<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Commands<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of commands")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut commands: A) -> Result<(), A::Error> {
        while let Some(command) = commands.next_element::<Box<RawValue>>()? {
            if let Err(failure) = (self.each)(command.get()) {
                *self.failed = Some(failure);
                return Err(A::Error::custom("stopped"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests write what is read")]

    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    fn commands(text: &str) -> Result<(Vec<String>, Option<String>), Failure> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let path = folder.path().join("7.json");
        std::fs::write(&path, text).unwrap();
        let mut found = Vec::new();
        let name = read(&disk, &path, &mut |command| {
            found.push(command.to_owned());
            Ok(())
        })?;
        Ok((found, name))
    }

    #[test]
    fn commands_are_handed_on_as_they_stand_in_any_layout() {
        let expected = (vec![r#"{"id":1e400}"#.to_owned(), "7".to_owned()], Some("j".to_owned()));
        for text in [
            "{\"action\":{},\"commands\":[\n{\"id\":1e400}\n,7\n],\"name\":\"j\",\"plugin\":\"\"}",
            "{\n \"name\": \"j\", \"more\": [1], \"commands\" : [ {\"id\":1e400} , 7 ] }\n",
        ] {
            assert_eq!(commands(text).unwrap(), expected);
        }
        assert_eq!(commands(r#"{"commands":null}"#).unwrap(), (Vec::new(), None));
    }

    #[test]
    fn what_is_no_whole_document_is_told_with_its_place() {
        for text in ["", "[]", r#"{"commands":[1,"#, r#"{"commands":{}}"#, r#"{"commands":[]}x"#] {
            let failure = commands(text).unwrap_err();
            assert!(matches!(failure, Failure::Document { .. }), "{text}: {failure:?}");
        }
    }

    #[test]
    fn reading_ends_where_its_reader_fails() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let path = folder.path().join("7.json");
        std::fs::write(&path, r#"{"commands":[1,2,3]}"#).unwrap();
        let mut count = 0;
        let read = read(&disk, &path, &mut |_| {
            count += 1;
            Err(Failure::NoHome)
        });
        assert!(matches!(read, Err(Failure::NoHome)));
        assert_eq!(count, 1);
    }
}
