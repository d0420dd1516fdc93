//! `command/returned`: runs every plugin with the results, independently of the others.
//!
//! **Invariant.** Delivery is at least once: a crash between a plugin's exit and the record of it
//! runs the plugin again, with the same ids in its environment. Recording the last plugin and
//! moving the run to `command/done` are one write. Therefore, if a run in `command/returned` owes
//! nothing, the operator put it there.

use std::time::Duration;

use jiff::Timestamp;

use super::fetch::missing_results;
use super::{Move, PastAttempts, Pause, Verdict};
use crate::chain::{Chain, excerpt};
use crate::clock::after;
use crate::names::PluginName;
use crate::plugin::run::{PluginExit, PluginOutcome};
use crate::spool::{DeliveryState, Record, Transition};

/// Size limit of the last line of a plugin's output in the record, in bytes.
const OUTPUT_BYTES_MAX: usize = 400;

/// What to do with a run in `command/returned`.
#[derive(Debug)]
pub(crate) enum DeliveryPlan {
    /// The run cannot be there; contains the reason.
    Reject(String),
    Move(Move),
    /// These plugins are due, in this order; others are due at the time, if any.
    Start(Vec<PluginName>, Option<Timestamp>),
}

/// Decides what to do with a run in `command/returned`. `past` returns the attempts made with a
/// plugin, or `None` while the plugin runs.
pub(crate) fn decide(
    record: &Record,
    now: Timestamp,
    giveup: Duration,
    past: impl Fn(&PluginName) -> Option<PastAttempts>,
) -> DeliveryPlan {
    let Some(fetched) = record.fetched else {
        return DeliveryPlan::Reject(
            "its results are not on disk: move it to command/ready to fetch them".to_owned(),
        );
    };
    if !is_owed(record) {
        return DeliveryPlan::Move(finish_or_retry(record, now));
    }
    let limit = after(fetched, giveup);
    let mut due = Vec::new();
    let mut next: Option<Timestamp> = None;
    for delivery in record.plugins.iter().filter(|d| d.state == DeliveryState::Owed) {
        match past(&delivery.plugin) {
            None => {}
            Some(past) if past.should_give_up(now, limit) => {
                return DeliveryPlan::Move(settled(
                    record,
                    &delivery.plugin,
                    DeliveryState::GivenUp,
                    None,
                ));
            }
            Some(PastAttempts { not_before, .. }) if not_before <= now => {
                due.push(delivery.plugin.clone());
            }
            Some(PastAttempts { not_before: at, .. }) => {
                next = Some(next.map_or(at, |other| other.min(at)));
            }
        }
    }
    DeliveryPlan::Start(due, next)
}

/// Returns the move for a run that owes nothing. If plugins were given up, the operator put the run
/// back to have them tried again.
fn finish_or_retry(record: &Record, now: Timestamp) -> Move {
    if record.plugins.iter().all(|delivery| delivery.state != DeliveryState::GivenUp) {
        return Move::unchanged(Transition::Finished);
    }
    Move::changing(Transition::Delivered, move |record| {
        for delivery in record.plugins.iter_mut().filter(|d| d.state == DeliveryState::GivenUp) {
            delivery.state = DeliveryState::Owed;
        }
        record.fetched = Some(now);
        record.error = missing_results(record);
    })
}

/// Decides what follows from the end of a plugin.
pub(crate) fn ended(record: &Record, plugin: &PluginName, ended: &PluginExit) -> Verdict {
    let why = match &ended.outcome {
        PluginOutcome::Delivered => {
            return Verdict::moved(settled(record, plugin, DeliveryState::Delivered, None));
        }
        // It runs again at the next start.
        PluginOutcome::Stopped => return Verdict::paused(Pause::None),
        PluginOutcome::TryLater => "it asked to be run again later".to_owned(),
        PluginOutcome::Failed { why } => Chain(why).to_string(),
        PluginOutcome::TimedOut => "it exceeded its time limit and was killed".to_owned(),
    };
    let last_line = ended.output.lines().next_back().unwrap_or_default();
    let last_line = excerpt(last_line, OUTPUT_BYTES_MAX);
    let error = if last_line.is_empty() {
        format!("plugin {plugin}: {why}")
    } else {
        format!("plugin {plugin}: {why}: {last_line}")
    };
    failed(error)
}

/// Decides what follows if a plugin could not be started.
pub(crate) fn failed(error: String) -> Verdict {
    let noted =
        Move::changing(Transition::Delivered, move |record| record.error = Some(error.clone()));
    Verdict::noted(noted, Pause::Run(None))
}

/// Returns the transition to `record`'s new state: the run is finished once no delivery is owed.
/// The engine decides this when it writes the record, because several plugins may have ended while
/// writing was impossible. Each outcome was then decided while the other deliveries were still
/// owed.
pub(crate) fn transition(record: &Record) -> Transition {
    if is_owed(record) { Transition::Delivered } else { Transition::Finished }
}

/// Returns the move that records the final state of a plugin; the last plugin finishes the run.
fn settled(
    record: &Record,
    plugin: &PluginName,
    state: DeliveryState,
    error: Option<String>,
) -> Move {
    let others_owed = record
        .plugins
        .iter()
        .any(|delivery| delivery.state == DeliveryState::Owed && delivery.plugin != *plugin);
    let transition = if others_owed { Transition::Delivered } else { Transition::Finished };
    let plugin = plugin.clone();
    Move::changing(transition, move |record| {
        for delivery in record.plugins.iter_mut().filter(|d| d.plugin == plugin) {
            delivery.state = state;
        }
        match state {
            // Errors of other plugins stay in the record until those plugins are delivered too.
            DeliveryState::Delivered
                if record.plugins.iter().all(|d| d.state == DeliveryState::Delivered) =>
            {
                record.error = missing_results(record);
            }
            DeliveryState::Delivered
            | DeliveryState::Owed
            | DeliveryState::GivenUp
            | DeliveryState::Skipped => {
                record.error = error.clone().or_else(|| record.error.take());
            }
        }
    })
}

fn is_owed(record: &Record) -> bool {
    record.plugins.iter().any(|delivery| delivery.state == DeliveryState::Owed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::Delivery;
    use crate::spool::testing::record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn returned(states: &[DeliveryState]) -> Record {
        let mut record = record("job.20261122T120000Z");
        record.fetched = Some(at(0));
        record.plugins = ["a", "b"]
            .iter()
            .zip(states)
            .map(|(name, state)| Delivery { plugin: name.parse().unwrap(), state: *state })
            .collect();
        record
    }

    fn shown(plan: DeliveryPlan, mut record: Record) -> String {
        match plan {
            DeliveryPlan::Reject(_) => "reject".to_owned(),
            DeliveryPlan::Start(due, next) => {
                let due: Vec<_> = due.iter().map(PluginName::as_str).collect();
                format!("{due:?} {:?}", next.map(|at_| at_.as_second() - at(0).as_second()))
            }
            DeliveryPlan::Move(moved) => {
                let transition = moved.transition;
                if let Some(edit) = moved.edit {
                    edit(&mut record);
                }
                let states: Vec<_> = record.plugins.iter().map(|d| d.state).collect();
                format!("{transition:?} {states:?}")
            }
        }
    }

    #[test]
    fn plugins_are_tried_independently() {
        use DeliveryState::{Delivered, GivenUp, Owed};
        let giveup = Duration::from_secs(1000);
        // States, now, when `a` failed last → plan. The results were fetched at 0.
        for (states, now, failed, expected) in [
            (&[][..], 1, None, "Finished []"),
            (&[Delivered, Delivered], 1, None, "Finished [Delivered, Delivered]"),
            (&[Owed, Owed], 1, None, r#"["a"] Some(7)"#),
            (&[Owed, Owed], 7, None, r#"["a", "b"] None"#),
            (&[Owed, Delivered], 1, None, r#"["a"] None"#),
            (&[Owed, Owed], 1000, None, r#"["a", "b"] None"#),
            (&[Owed, Owed], 1000, Some(999), r#"["a", "b"] None"#),
            (&[Owed, Owed], 1000, Some(1000), "Delivered [GivenUp, Owed]"),
            (&[Owed, GivenUp], 1001, Some(1000), "Finished [GivenUp, GivenUp]"),
            // The clock was set back in between.
            (&[Owed, Delivered], 999, Some(1000), r#"["a"] None"#),
            (&[Delivered, GivenUp], 1, None, "Delivered [Delivered, Owed]"),
        ] {
            let record = returned(states);
            let plan = decide(&record, at(now), giveup, |plugin| {
                let of_a = PastAttempts { not_before: at(0), failed: failed.map(at) };
                let of_b = PastAttempts { not_before: at(7), failed: None };
                Some(if plugin.as_str() == "a" { of_a } else { of_b })
            });
            assert_eq!(shown(plan, record), expected, "{states:?} {now} {failed:?}");
        }
    }

    #[test]
    fn running_plugin_is_left_alone_and_missing_results_are_rejected() {
        let mut record = returned(&[DeliveryState::Owed]);
        let giveup = Duration::from_secs(10);
        let plan = decide(&record, at(20), giveup, |_| None);
        assert_eq!(shown(plan, record.clone()), "[] None");
        record.fetched = None;
        assert_eq!(shown(decide(&record, at(20), giveup, |_| None), record), "reject");
    }

    #[test]
    fn last_plugin_finishes_the_run() {
        use DeliveryState::{Delivered, Owed};
        let took = Duration::ZERO;
        for (states, expected) in [
            (&[Owed, Owed], "Delivered [Delivered, Owed]"),
            (&[Owed, Delivered], "Finished [Delivered, Delivered]"),
        ] {
            let record = returned(states);
            let done = PluginExit {
                outcome: PluginOutcome::Delivered,
                output: String::new(),
                lines: 0,
                took,
            };
            let verdict = ended(&record, &"a".parse().unwrap(), &done);
            assert_eq!(shown(DeliveryPlan::Move(verdict.moved.unwrap()), record), expected);
        }
    }

    #[test]
    fn failure_is_recorded_with_the_last_line_of_output() {
        let record = returned(&[DeliveryState::Owed]);
        let output = "one\ntwo\u{1b}[2J\n".to_owned();
        let late =
            PluginExit { outcome: PluginOutcome::TryLater, output, lines: 2, took: Duration::ZERO };
        let verdict = ended(&record, &"a".parse().unwrap(), &late);
        let mut noted = record;
        (verdict.moved.unwrap().edit.unwrap())(&mut noted);
        let expected = "plugin a: it asked to be run again later: two\\u{1b}[2J";
        assert_eq!(noted.error.as_deref(), Some(expected));
        assert_eq!(verdict.pause, Pause::Run(None));
    }
}
