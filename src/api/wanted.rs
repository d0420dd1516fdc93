//! The wanted values of an item.
//!
//! The end of a value is found by reading all of it. A command is counted meanwhile, so that it need
//! not be parsed a second time. If it does not have the form in which the platform writes
//! nearly all commands, it is parsed again by whoever counts it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::cursor::Cursor;
use crate::action::Command;

/// The name of a command's value.
const COMMAND: &str = "command";

/// The values that a walk looks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wanted {
    /// Commands, which are counted.
    Commands,
    /// Values for whose name this returns true.
    Named(fn(&str) -> bool),
}

/// A wanted value.
#[derive(Debug)]
pub(super) struct Value<'v> {
    /// The value, byte for byte as it was sent.
    pub(super) text: &'v str,
    /// The command in it, without the agent and the findings. `None` if values other than commands
    /// are wanted, or if the command does not have the common form.
    pub(super) command: Option<Command>,
}

impl Value<'_> {
    /// Returns a copy of the value.
    pub(super) fn to_raw(&self) -> serde_json::Result<Box<RawValue>> {
        RawValue::from_string(self.text.to_owned())
    }
}

/// The keys that lead to a value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Key {
    Collection,
    Items,
    Error,
    Data,
    Name,
    Value,
    #[serde(other)]
    Other,
}

impl Wanted {
    /// Returns whether values of this name are wanted.
    pub(super) fn is_name(self, name: &str) -> bool {
        match self {
            Wanted::Commands => name == COMMAND,
            Wanted::Named(is_it) => is_it(name),
        }
    }

    /// Returns the wanted values of an item.
    pub(super) fn of_item<'b>(self, item: &mut Cursor<'b>) -> serde_json::Result<Vec<Value<'b>>> {
        let mut values = Vec::new();
        item.object("an item", |item, key| match key {
            Key::Data => item.list("a list of data", |data| {
                values.extend(self.of_entry(data)?);
                Ok(())
            }),
            _ => item.skip(),
        })?;
        Ok(values)
    }

    /// Returns the value of an entry, if it is wanted; name and value may be in either order.
    fn of_entry<'b>(self, entry: &mut Cursor<'b>) -> serde_json::Result<Option<Value<'b>>> {
        let (mut is_wanted, mut value) = (None, None);
        entry.object("a name and a value", |entry, key| {
            match key {
                Key::Name => is_wanted = Some(self.is_name(&entry.value::<String>()?)),
                Key::Value if is_wanted != Some(false) => value = Some(self.value(entry)?),
                _ => entry.skip()?,
            }
            Ok(())
        })?;
        Ok(value.filter(|_| is_wanted == Some(true)))
    }

    /// Reads a value that is or may be wanted.
    fn value<'b>(self, value: &mut Cursor<'b>) -> serde_json::Result<Value<'b>> {
        if matches!(self, Wanted::Commands) {
            value.skip_space();
            let begin = *value;
            match Command::count(&mut *value) {
                Ok(command) => {
                    if let Ok(text) = std::str::from_utf8(value.text_since(begin)) {
                        return Ok(Value { text, command });
                    }
                }
                Err(error) if error.is_eof() => return Err(error),
                Err(_) => {}
            }
            // The command has another form, or it is not JSON.
            *value = begin;
        }
        Ok(Value { text: value.value::<&RawValue>()?.get(), command: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fuzz;
    use super::*;

    const COMMAND: &str = r#" {"id" : 7, "action":{"name":"a\u00e4","counters":{"sent":9}},"status":"success",
        "more":[{}],"results":[{"foundanything":true,"success":false,"elements":{"x":[1e400,"\ud800"]}}]} "#;
    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "null",
        "true",
        "7",
        "-1.5",
        " ",
        "\"id\":",
        "\"status\":",
        "\"action\":",
        "\"results\":",
        "\"counters\":",
        "\"success\":",
        "\"toolarge\":",
        "\"expired\"",
        "{\"bytes\":5}",
        "[true,true]",
        "[\"a\",{}]",
        "\u{e4}",
    ];

    fn item(command: &str) -> String {
        format!(r#"{{"href":"h","data":[{{"name":"command","value":{command}}}]}}"#)
    }

    #[test]
    fn command_is_counted_while_its_end_is_found() {
        let item = item(COMMAND);
        let values = Wanted::Commands.of_item(&mut Cursor::new(item.as_bytes())).unwrap();
        let [Value { text, command: Some(command) }] = values.as_slice() else {
            panic!("{values:?}");
        };
        assert_eq!((*text, command.id, command.results.len()), (COMMAND.trim(), 7, 1));
    }

    #[test]
    fn command_that_is_not_utf_8_is_refused() {
        let mut item = item(COMMAND).into_bytes();
        let at = item.windows(5).position(|bytes| bytes == b"ud800").unwrap() - 1;
        item.splice(at..at + 6, [0xff]);
        assert!(Wanted::Commands.of_item(&mut Cursor::new(&item)).is_err());
    }

    proptest! {
        #[test]
        fn damaged_commands_are_read_and_counted_the_same(
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..60_usize, 0..PARTS.len()), 1..4),
        ) {
            let mut command: Vec<char> = COMMAND.chars().collect();
            for (at, length, part) in damage {
                let at = at.index(command.len() + 1);
                // Half of the changes only insert something.
                let end = (at + length.saturating_sub(30)).min(command.len());
                command.splice(at..end, PARTS[part].chars());
            }
            let item = item(&String::from_iter(command));
            fuzz::page(format!(r#"{{"collection":{{"items":[{item}]}}}}"#).as_bytes());
        }
    }
}
