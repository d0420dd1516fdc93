//! Fast parsing of a command, sufficient to count it.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::result::{Command, CommandError, OperationResult, ReportedStatus};
use super::{Counters, action_id};

/// A command in the form in which the platform writes nearly all of them, without the findings.
#[derive(Deserialize)]
struct CommonCommand<'a> {
    id: f64,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    action: CommonAction<'a>,
    results: Vec<CommonResult>,
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
    /// Parses only what a summary needs of a command, without the agent and the findings. This
    /// takes one pass over the text instead of four, which matters for large numbers of commands.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub(crate) fn parse_for_summary(text: &str) -> Result<Command, CommandError> {
        let Ok(common) = serde_json::from_str::<CommonCommand<'_>>(text) else {
            // A field is missing or has another type: `parse` decides what that means.
            return Command::parse(text);
        };
        if common.too_large.is_some() {
            // A placeholder: its agent counts.
            return Command::parse(text);
        }
        let result = |CommonResult { foundanything, success }: &CommonResult| OperationResult {
            found_anything: *foundanything,
            success: *success,
            ..OperationResult::default()
        };
        Ok(Command {
            id: action_id(common.id).ok_or(CommandError::NoId)?.0,
            status: ReportedStatus::from(common.status.as_ref()),
            action_id: None,
            action_name: common.action.name.into_owned(),
            counters: common.action.counters,
            agent: String::new(),
            results: common.results.iter().map(result).collect(),
            too_large: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Summary;
    use super::*;

    #[test]
    fn fast_and_full_parsing_count_the_same() {
        let counted = |command: Command| {
            let mut summary = Summary::default();
            summary.add(&command);
            (command.id, command.action_name, command.counters.sent, summary)
        };
        let whole = r#"{"id":7,"action":{"name":"a\u00e4","counters":{"sent":9}},"status":"success",
            "more":[{}],"results":[{"foundanything":true,"success":false,"elements":{"x":1e400}}]}"#;
        for text in [
            whole,
            &whole.replace("true", "null"),
            &whole.replace(r#""counters":{"sent":9}"#, r#""counters":7"#),
            &whole.replace("success\"", "sent\""),
            &whole.replace(r#""id":7"#, r#""id":7,"id":8"#),
            r#"{"id":2.8e13,"status":"expired","results":null}"#,
        ] {
            match (Command::parse_for_summary(text), Command::parse(text)) {
                (Ok(fast), Ok(full)) => assert_eq!(counted(fast), counted(full), "{text}"),
                (fast, full) => assert!(fast.is_err() && full.is_err(), "{text}"),
            }
        }
        assert!(Command::parse_for_summary(&whole.replace("7", "-7")).is_err());
    }
}
