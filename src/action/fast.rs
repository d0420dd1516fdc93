//! Fast parsing of a command, sufficient to count it.

use std::borrow::Cow;

use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::result::{Command, CommandError, OperationResult, ReportedStatus};
use super::{Counters, action_id};

/// The text of a command as it was sent, and the command if it was counted while it was received.
#[derive(Debug)]
pub(crate) struct CommandText<'a> {
    text: &'a str,
    counted: Option<Command>,
}

impl<'a> CommandText<'a> {
    /// Returns the text of a command, which [`Command::count`] returned.
    pub(crate) fn new(text: &'a str, counted: Option<Command>) -> CommandText<'a> {
        CommandText { text, counted }
    }

    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// Returns the command, without the agent and the findings.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub(crate) fn into_command(self) -> Result<Command, CommandError> {
        self.counted.map_or_else(|| Command::parse_for_summary(self.text), Ok)
    }
}

/// A command in the form in which the platform writes nearly all of them, without the findings.
#[derive(Deserialize)]
struct CommonCommand<'a> {
    id: f64,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    action: Object<CommonAction<'a>>,
    results: Vec<Object<CommonResult>>,
    #[serde(rename = "toolarge")]
    too_large: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct CommonAction<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    counters: Counters,
}

#[derive(Deserialize)]
struct CommonResult {
    foundanything: bool,
    success: bool,
}

impl Command {
    /// Reads a command in the common form, and only what a summary needs of it: not the agent and
    /// the findings. Returns `None` if [`Command::parse`] must decide what the command means.
    ///
    /// # Errors
    /// The command has another form, or it is not JSON.
    pub(crate) fn count<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Command>, D::Error> {
        let Object(common) = Object::<CommonCommand<'_>>::deserialize(json)?;
        let Some(id) = action_id(common.id) else { return Ok(None) };
        if common.too_large.is_some() {
            // A placeholder: its agent counts.
            return Ok(None);
        }
        let Object(action) = common.action;
        let result = |Object(result): &Object<CommonResult>| OperationResult {
            found_anything: result.foundanything,
            success: result.success,
            ..OperationResult::default()
        };
        Ok(Some(Command {
            id: id.0,
            status: ReportedStatus::from(common.status.as_ref()),
            action_id: None,
            action_name: action.name.into_owned(),
            counters: action.counters,
            agent: String::new(),
            results: common.results.iter().map(result).collect(),
            too_large: None,
        }))
    }

    /// Parses only what a summary needs of a command, without the agent and the findings. This
    /// takes one pass over the text instead of four, which matters for large numbers of commands.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub(crate) fn parse_for_summary(text: &str) -> Result<Command, CommandError> {
        let mut json = serde_json::Deserializer::from_str(text);
        match Command::count(&mut json) {
            Ok(Some(command)) if json.end().is_ok() => Ok(command),
            _ => Command::parse(text),
        }
    }
}

/// A structure that is read only from an object. By default, it could be read from a list as well.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Object<T>, D::Error> {
        T::deserialize(FromObject(json)).map(Object)
    }
}

struct FromObject<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for FromObject<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fuzz::assert_counted_like_parsed;
    use super::*;

    const COMMON: &str = r#"{"id":7,"action":{"name":"a\u00e4","counters":{"sent":9}},"status":"success",
        "more":[{}],"results":[{"foundanything":true,"success":false,"elements":{"x":1e400}}]}"#;
    /// Parts of commands, in common and in other forms.
    const PARTS: &[&str] = &[
        COMMON,
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        "\\ud800",
        "null",
        "true",
        "false",
        "7",
        "-1",
        "1.5",
        "2.8e13",
        "1e400",
        " ",
        "\n",
        "\"id\":",
        "\"status\":",
        "\"action\":",
        "\"results\":",
        "\"name\":",
        "\"counters\":",
        "\"sent\":",
        "\"foundanything\":",
        "\"success\":",
        "\"toolarge\":",
        "\"agent\":",
        "\"expired\"",
        "\"sent\"",
        "\"\\u0069d\":1,",
        "{\"bytes\":5}",
        "[true,true]",
        "[\"a\",{}]",
        "[7,\"success\",[\"a\",{}],[]]",
        "ä",
    ];

    /// Checks that all parsers count a command in the same way, or refuse it.
    fn assert_same(text: &str) {
        let full = Command::parse(text);
        match (Command::parse_for_summary(text), &full) {
            (Ok(fast), Ok(_)) => assert_counted_like_parsed(text, &fast),
            (fast, full) => assert!(fast.is_err() && full.is_err(), "{text}"),
        }
        let mut json = serde_json::Deserializer::from_str(text);
        if let Ok(Some(counted)) = Command::count(&mut json)
            && json.end().is_ok()
        {
            assert_counted_like_parsed(text, &counted);
        }
    }

    #[test]
    fn common_command_is_counted_without_the_full_parser() {
        let mut json = serde_json::Deserializer::from_str(COMMON);
        assert!(Command::count(&mut json).unwrap().is_some());
    }

    #[test]
    fn fast_and_full_parsing_count_the_same() {
        for text in [
            COMMON,
            &COMMON.replace("true", "null"),
            &COMMON.replace(r#""counters":{"sent":9}"#, r#""counters":7"#),
            &COMMON.replace(r#""counters":{"sent":9}"#, r#""counters":[9]"#),
            &COMMON.replace("success\"", "sent\""),
            &COMMON.replace(r#""id":7"#, r#""id":7,"id":8"#),
            &COMMON.replace(r#""results":[{"#, r#""results":[[true,true],{"#),
            &COMMON.replace(r#"{"name":"a\u00e4","#, r#"["x",{"sent":3}],"z":{"#),
            &COMMON.replace(r#""more""#, r#""toolarge":null,"more""#),
            &COMMON.replace(r#""more""#, r#""toolarge":{"bytes":9},"more""#),
            &format!("{COMMON} x"),
            r#"{"id":2.8e13,"status":"expired","results":null}"#,
            r#"[7,"success",["a",{}],[],null]"#,
        ] {
            assert_same(text);
        }
        assert!(Command::parse_for_summary(&COMMON.replace("7", "-7")).is_err());
    }

    proptest! {
        #[test]
        fn damaged_commands_are_counted_the_same(
            damage in prop::collection::vec((any::<prop::sample::Index>(), 0..60_usize, 0..PARTS.len()), 1..4),
        ) {
            let mut text: Vec<char> = COMMON.chars().collect();
            for (at, length, part) in damage {
                let at = at.index(text.len() + 1);
                // Half of the changes only insert something.
                let end = (at + length.saturating_sub(30)).min(text.len());
                text.splice(at..end, PARTS[part].chars());
            }
            assert_same(&String::from_iter(text));
        }

        #[test]
        fn composed_commands_are_counted_the_same(
            members in prop::collection::vec((0..PARTS.len(), 0..PARTS.len()), 0..8),
        ) {
            let members: Vec<_> = members.iter().map(|(key, value)| [PARTS[*key], PARTS[*value]].concat()).collect();
            assert_same(&format!(r#"{{"id":1,{}}}"#, members.join(",")));
        }
    }
}
