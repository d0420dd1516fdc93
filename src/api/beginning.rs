//! The beginning of an item that is too large: the members of its command that come before the
//! results.
//!
//! The API writes id, action and agent before the results. A member after the results is unknown
//! here.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

use super::wanted::Wanted;
use crate::action::LargeCommand;

/// What is known of a large item.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    /// Whether the item is certainly not a command.
    pub(super) is_unwanted: bool,
    pub(super) command: LargeCommand,
}

impl Beginning {
    /// Reads the beginning of an item, of which `wanted` names the value.
    pub(super) fn of(text: &[u8], wanted: Wanted) -> Beginning {
        let mut found = Beginning::default();
        let mut json = serde_json::Deserializer::from_slice(text);
        // This always fails, because the text is incomplete.
        Level::Item.seed(&mut found, wanted).deserialize(&mut json).ok();
        found
    }

    fn is_complete(&self) -> bool {
        let LargeCommand { id, action, agent, status: _ } = &self.command;
        id.is_some() && action.is_some() && agent.is_some()
    }
}

#[derive(Debug, Clone, Copy)]
enum Level {
    Item,
    Data,
    Entry,
    Command,
}

impl Level {
    fn seed(self, found: &mut Beginning, wanted: Wanted) -> Seed<'_> {
        Seed { found, wanted, level: self }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Key {
    Data,
    Name,
    Value,
    Id,
    Action,
    Agent,
    Status,
    Results,
    #[serde(other)]
    Other,
}

struct Seed<'f> {
    found: &'f mut Beginning,
    wanted: Wanted,
    level: Level,
}

impl Seed<'_> {
    fn at(&mut self, level: Level) -> Seed<'_> {
        level.seed(self.found, self.wanted)
    }

    /// Reads a member of the command.
    fn member<'de, A: MapAccess<'de>>(&mut self, key: &Key, map: &mut A) -> Result<(), A::Error> {
        if matches!(key, Key::Results) && self.found.is_complete() {
            return Err(A::Error::custom("the rest is not needed"));
        }
        let command = &mut self.found.command;
        let member = match key {
            Key::Id => &mut command.id,
            Key::Action => &mut command.action,
            Key::Agent => &mut command.agent,
            Key::Status => &mut command.status,
            _ => return map.next_value::<IgnoredAny>().map(drop),
        };
        *member = Some(map.next_value::<&RawValue>()?.to_owned());
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        match self.level {
            Level::Data => json.deserialize_seq(self),
            Level::Item | Level::Entry | Level::Command => json.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item with a command")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.at(Level::Entry))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut is_command = false;
        while let Some(key) = map.next_key::<Key>()? {
            match (self.level, &key) {
                (Level::Item, Key::Data) => map.next_value_seed(self.at(Level::Data))?,
                (Level::Entry, Key::Name) => {
                    is_command = self.wanted.is_name(&map.next_value::<String>()?);
                    self.found.is_unwanted = !is_command;
                }
                (Level::Entry, Key::Value) if is_command => {
                    map.next_value_seed(self.at(Level::Command))?;
                }
                (Level::Command, key) => self.member(key, &mut map)?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Beginning {
        Beginning::of(text.as_bytes(), Wanted::Commands)
    }

    #[test]
    fn members_before_the_results_are_known() {
        let text = r#"{"href":"x","data":[{"name":"command","value":{"id":5,"action":{"name":"a"},
            "agent":{"name":"five"},"status":"success","results":[{"elements":"xxx"#;
        let Beginning { is_unwanted, command } = of(text);
        let text = |raw: Option<Box<RawValue>>| raw.unwrap().get().to_owned();
        assert!(!is_unwanted);
        assert_eq!((text(command.id), text(command.status)), ("5".into(), "\"success\"".into()));
        assert_eq!(text(command.agent), r#"{"name":"five"}"#);
        assert_eq!(text(command.action), r#"{"name":"a"}"#);
    }

    #[test]
    fn other_items_and_odd_ones_have_no_command() {
        assert!(of(r#"{"data":[{"name":"action","value":{"id":5,"#).is_unwanted);
        for odd in ["", "[", "{", r#"{"data":7"#, r#"{"data":[{"value":{"id":5,"name":"command"#] {
            let Beginning { is_unwanted, command } = of(odd);
            assert!(!is_unwanted && command.id.is_none(), "{odd}");
        }
    }
}
