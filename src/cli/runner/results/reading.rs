//! Reads a results document one command at a time.
//!
//! A document has one command per agent, possibly very many; only one of them is in memory at a
//! time. Any JSON layout is accepted, so that reformatted documents can be read as well.

use std::error::Error as StdError;
use std::fmt;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::cli::failure::{Explain, Failure};
use crate::disk::Disk;
use crate::exit::Exit;

/// A file is not a complete results document.
#[derive(Debug, thiserror::Error)]
#[error("{} is not a valid results document", path.display())]
pub(super) struct InvalidDocument {
    pub(super) path: PathBuf,
    pub(super) source: Box<dyn StdError + Send + Sync>,
}

impl Explain for InvalidDocument {
    fn exit(&self) -> Exit {
        Exit::Data
    }
}

/// Handles the text of one command.
type Each<'a> = &'a mut dyn FnMut(&str) -> Result<(), Failure>;

/// Calls `each` with every command of a document, and returns the name of its job.
///
/// # Errors
/// `InvalidDocument` if the file is not a complete document; failures of `each` are passed on.
pub(super) fn read(disk: &Disk, path: &Path, each: Each<'_>) -> Result<Option<String>, Failure> {
    read_from(BufReader::new(disk.reader(path)?), path, each)
}

/// As [`read`], from the content of the document at `path`.
pub(super) fn read_from(
    reader: impl Read,
    path: &Path,
    each: Each<'_>,
) -> Result<Option<String>, Failure> {
    let mut json = serde_json::Deserializer::from_reader(reader);
    let (mut name, mut failed) = (None, None);
    let document = Document { each, name: &mut name, failed: &mut failed };
    let read = json.deserialize_map(document).and_then(|()| json.end());
    match (failed, read) {
        (Some(failure), _) => Err(failure),
        (None, Err(source)) => {
            Err(InvalidDocument { path: path.to_owned(), source: Box::new(source) }.into())
        }
        (None, Ok(())) => Ok(name),
    }
}

/// Deserializes the document's object.
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

/// Deserializes the list of commands, or `null`, which stands for an empty list.
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
    #![expect(clippy::disallowed_methods, reason = "tests write documents directly")]

    use std::sync::Arc;

    use super::*;
    use crate::cli::runner::installation::InstallationError;
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
    fn commands_keep_their_text_in_any_layout() {
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
    fn incomplete_document_is_an_error() {
        for text in ["", "[]", r#"{"commands":[1,"#, r#"{"commands":{}}"#, r#"{"commands":[]}x"#] {
            let failure = commands(text).unwrap_err();
            assert!(failure.downcast_ref::<InvalidDocument>().is_some(), "{text}: {failure:?}");
        }
    }

    #[test]
    fn reading_stops_when_a_command_fails() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let path = folder.path().join("7.json");
        std::fs::write(&path, r#"{"commands":[1,2,3]}"#).unwrap();
        let mut count = 0;
        let read = read(&disk, &path, &mut |_| {
            count += 1;
            Err(InstallationError::NoHome.into())
        });
        assert!(read.unwrap_err().downcast_ref::<InstallationError>().is_some());
        assert_eq!(count, 1);
    }
}
