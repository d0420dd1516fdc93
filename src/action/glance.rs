//! A quick look at a command: enough to count it.

use std::borrow::Cow;

use serde::Deserialize;

use super::result::{Command, CommandError, OperationResult};
use super::status::ReportedStatus;
use super::{Counters, action_id};

/// A command as the platform writes nearly all of them: read in one pass, without what was found.
#[derive(Deserialize)]
struct Usual<'a> {
    id: f64,
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow)]
    action: UsualAction<'a>,
    results: Vec<UsualResult>,
}

/// The fields of its action.
#[derive(Deserialize)]
struct UsualAction<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    counters: Counters,
}

/// The fields of its results.
#[derive(Deserialize)]
struct UsualResult {
    foundanything: bool,
    success: bool,
}

impl Command {
    /// Reads of a command what a summary needs, and neither the agent nor what was found: one pass
    /// over the text instead of four, which counts where there are many.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub(crate) fn glance(text: &str) -> Result<Command, CommandError> {
        let Ok(usual) = serde_json::from_str::<Usual<'_>>(text) else {
            // Something is missing or of another type: whatever that means is said in one place.
            return Command::parse(text);
        };
        let result = |UsualResult { foundanything, success }: &UsualResult| OperationResult {
            found_anything: *foundanything,
            success: *success,
            ..OperationResult::default()
        };
        Ok(Command {
            id: action_id(usual.id).ok_or(CommandError::NoId)?.0,
            status: ReportedStatus::from(usual.status.as_ref()),
            action_id: None,
            action_name: usual.action.name.into_owned(),
            counters: usual.action.counters,
            agent: String::new(),
            results: usual.results.iter().map(result).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Summary;
    use super::*;

    #[test]
    fn a_glance_counts_as_a_look_does() {
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
            let (glance, look) = (Command::glance(text), Command::parse(text));
            match (glance, look) {
                (Ok(glance), Ok(look)) => assert_eq!(counted(glance), counted(look), "{text}"),
                (glance, look) => assert!(glance.is_err() && look.is_err(), "{text}"),
            }
        }
        assert!(Command::glance(&whole.replace("7", "-7")).is_err());
    }
}
