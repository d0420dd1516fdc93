//! Decides what follows from an attempt to fetch results.

use std::time::Duration;

use jiff::Timestamp;

use super::outcome::{FetchError, Fetched, INVALID, NO_AGENT};
use crate::action::LargeAnswer;
use crate::chain::excerpt;
use crate::spool::{Record, Transition};
use crate::stage::document::DocumentError;
use crate::stage::{Move, Pause, Verdict, grace};

/// Delays before missing commands are requested a second and a third time; after that the document
/// is finished without them.
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];
/// Maximum length of a status in an error text, in bytes.
const STATUS_BYTES_MAX: usize = 40;
/// Maximum length of an agent's name in an error text, in bytes.
const AGENT_BYTES_MAX: usize = 80;

/// Returns the delay before missing commands are requested again; `None`: they are not.
pub(super) fn pause_of(missing_attempts: u32) -> Option<Duration> {
    RETRY_DELAYS.get(usize::try_from(missing_attempts).ok()?).copied()
}

/// Decides what follows from a fetch; commands were missing in `missing_attempts` earlier attempts.
pub(crate) fn fetched(
    fetched: Result<Fetched, FetchError>,
    missing_attempts: u32,
    now: Timestamp,
) -> Verdict {
    match fetched {
        Ok(Fetched { document, summary, large, status }) => {
            Verdict::moved(Move::changing(Transition::Fetched, move |record| {
                record.document = Some(document.clone());
                record.summary = Some(summary);
                record.fetched = Some(now);
                record.status = status.clone().or_else(|| record.status.take());
                record.too_large.clone_from(&large);
                record.error = missing_results(record);
            }))
        }
        Err(error @ FetchError::Document(DocumentError::OtherAction { .. })) => {
            // The next attempt would fail in the same way; the fetched pages stay.
            Verdict::rejected(format!(
                "{}; to fetch anew, move it to command/ready under its own name",
                crate::chain::Chain(&error)
            ))
        }
        // The next attempt would fail in the same way.
        Err(error @ FetchError::Document(DocumentError::Full { .. })) => {
            let reason = crate::chain::Chain(&error).to_string();
            Verdict::moved(Move::refused(Transition::FetchGivenUp, reason))
        }
        Err(FetchError::Stopped) => Verdict::paused(Pause::None),
        Err(FetchError::NotFinal { .. }) => Verdict::paused(Pause::For(grace::POLL)),
        Err(error) => {
            let pause = match &error {
                FetchError::Api(cause) => Pause::after(cause),
                FetchError::Missing { .. } => {
                    Pause::For(pause_of(missing_attempts).unwrap_or_default())
                }
                FetchError::NoAction
                | FetchError::Document(_)
                | FetchError::Crowded(_)
                | FetchError::NotFinal { .. }
                | FetchError::Stopped => Pause::Run(None),
            };
            let text = crate::chain::Chain(&error).to_string();
            let noted = Move::changing(Transition::FetchNoted, move |record| {
                record.error = Some(text.clone());
            });
            Verdict::noted(noted, pause)
        }
    }
}

/// Returns why results are missing in a complete document: no agent was sent the action, or answers
/// are too large.
pub(in crate::stage) fn missing_results(record: &Record) -> Option<String> {
    unanswered(record).or_else(|| too_large(record))
}

fn too_large(record: &Record) -> Option<String> {
    let count = record.summary.map(|summary| summary.too_large).filter(|count| *count > 0)?;
    let name = |answer: &LargeAnswer| match answer.agent.as_str() {
        "" => format!("unknown ({} bytes)", answer.bytes),
        agent => format!("{} ({} bytes)", excerpt(agent, AGENT_BYTES_MAX), answer.bytes),
    };
    let named: Vec<String> = record.too_large.iter().map(name).collect();
    let others = count.saturating_sub(u64::try_from(named.len()).unwrap_or(u64::MAX));
    let others = if others > 0 { format!(" and {others} others") } else { String::new() };
    let (noun, these) =
        if count == 1 { ("agent", "this agent") } else { ("agents", "these agents") };
    Some(format!(
        "the answers of {count} {noun} are too large to be stored: {}{others}; narrow the action's \
         operations for {these}",
        named.join(", ")
    ))
}

/// Returns why there are no results, if no agent was sent the action.
fn unanswered(record: &Record) -> Option<String> {
    record.summary.filter(|summary| summary.sent == 0)?;
    Some(match record.status.as_deref() {
        Some(INVALID) => NO_AGENT.to_owned(),
        Some(status) => format!(
            "no agent was sent the action: the platform has it as `{}`",
            excerpt(status, STATUS_BYTES_MAX)
        ),
        None => "no agent was sent the action".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::action::Summary;
    use crate::spool::testing::record;

    #[test]
    fn fetch_of_more_results_than_a_document_may_have_is_given_up() {
        let full = DocumentError::Full {
            commands: 1_000_000,
            bytes: 64 << 30,
            part: PathBuf::from("runners/job/results/20261122/.7.part"),
        };
        let verdict = fetched(Err(FetchError::Document(full)), 0, Timestamp::UNIX_EPOCH);
        let moved = verdict.moved.unwrap();
        assert_eq!(moved.transition, Transition::FetchGivenUp);
        let mut record = record("job.20261122T120000Z");
        moved.edit.unwrap()(&mut record);
        assert_eq!(
            record.reason.unwrap(),
            "the results exceed the limit of 1000000 commands or 68719476736 bytes: those that \
             were fetched are in runners/job/results/20261122/.7.part"
        );
    }

    #[test]
    fn error_about_answers_that_are_too_large_names_agents_and_the_remedy() {
        let mut record = record("job.20261122T120000Z");
        record.too_large = vec![LargeAnswer { agent: "web".to_owned(), bytes: 70_000_000 }];
        for (too_large, expected) in [
            (
                1,
                "the answers of 1 agent are too large to be stored: web (70000000 bytes); narrow \
                 the action's operations for this agent",
            ),
            (
                3,
                "the answers of 3 agents are too large to be stored: web (70000000 bytes) and 2 \
                 others; narrow the action's operations for these agents",
            ),
        ] {
            record.summary = Some(Summary { sent: 3, too_large, ..Summary::default() });
            assert_eq!(missing_results(&record).unwrap(), expected);
        }
    }
}
