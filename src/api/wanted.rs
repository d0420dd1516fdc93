//! The wanted values of an item.
//!
//! serde_json finds the end of a value by parsing all of it. A command is counted meanwhile, so that
//! it need not be parsed a second time. If it does not have the form in which the platform writes
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
            let begin = *value;
            match value.parse(|command| Command::count(command)) {
                Ok((command, text)) => {
                    if let Ok(text) = std::str::from_utf8(text) {
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
