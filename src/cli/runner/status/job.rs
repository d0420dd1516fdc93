//! The status of a job: its schedule, its next slot and its last run.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::action::Summary;
use crate::chain::Chain;
use crate::cli::runner::next::in_zone;
use crate::cli::runner::outcome;
use crate::clock::elapsed;
use crate::invocation::Program;
use crate::job::Job;
use crate::names::{JobName, RunId};
use crate::spool::{Delivery, DeliveryState, Family, Folder, Record, Run, SpoolError, View};

#[derive(Debug, Serialize)]
pub(super) struct JobReport {
    pub(super) name: JobName,
    pub(super) schedule: String,
    pub(super) paused: bool,
    /// The next slot, in the job's time zone; `None` if the schedule has ended.
    pub(super) next: Option<String>,
    pub(super) last: Option<LastRun>,
    /// Why the last run is unknown.
    #[serde(skip)]
    unreadable: Option<String>,
    /// The number of superseded runs.
    pub(super) superseded: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct LastRun {
    pub(super) run: RunId,
    /// The slot, in the job's time zone.
    pub(super) slot: String,
    pub(super) folder: Folder,
    pub(super) outcome: RunState,
    /// Time from the launch of the run to its end, in seconds.
    pub(super) took_s: Option<u64>,
    pub(super) summary: Option<Summary>,
    pub(super) plugins: Vec<Delivery>,
    /// The path of the results document, relative to the runner's directory.
    pub(super) document: Option<String>,
    pub(super) error: Option<String>,
    /// The newer run that superseded it.
    pub(super) superseded: Option<RunId>,
}

/// The state of a run. The serialized words are part of the JSON output, where programs match them,
/// so they never change; `Display` writes the words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum RunState {
    #[serde(rename = "waits to be sent")]
    Unsent,
    #[serde(rename = "dead letter")]
    DeadLetter,
    #[serde(rename = "runs on the fleet")]
    OnFleet,
    #[serde(rename = "superseded")]
    Superseded,
    /// Sent by a `sendonly` job, which ends the run.
    #[serde(rename = "sent")]
    SentOnly,
    /// The action has ended, but the spool has no command record of the run.
    #[serde(rename = "its action is over")]
    ActionEnded,
    #[serde(rename = "results are being fetched")]
    Fetching,
    #[serde(rename = "results are there, plugins are owed")]
    Delivering,
    #[serde(rename = "given up")]
    GivenUp,
    #[serde(rename = "done")]
    Done,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RunState::Unsent => "waiting to be sent",
            RunState::DeadLetter => "dead letter",
            RunState::OnFleet => "running on the fleet",
            RunState::Superseded => "superseded",
            RunState::SentOnly => "sent",
            RunState::ActionEnded => "action ended",
            RunState::Fetching => "fetching results",
            RunState::Delivering => "results fetched, deliveries owed",
            RunState::GivenUp => "given up",
            RunState::Done => "done",
        })
    }
}

impl JobReport {
    pub(super) fn read(
        job: &Job,
        last: Option<&RunId>,
        view: &View<'_>,
        now: Timestamp,
    ) -> JobReport {
        let found = last.map_or(Ok(None), |id| last_run(id, view));
        let (last, unreadable) = match found {
            Ok(run) => (run.map(|run| LastRun::of(run, job)), None),
            Err(error) => (None, Some(Chain(&error).to_string())),
        };
        let next = job.schedule.next_after(now, &job.zone).map(|next| in_zone(next, &job.zone));
        JobReport {
            name: job.name.clone(),
            schedule: job.schedule.to_string(),
            paused: job.config.paused,
            next,
            last,
            unreadable,
            superseded: 0,
        }
    }

    /// Returns messages for the operator about the last run: it is unknown, or its results or
    /// deliveries were given up.
    pub(super) fn attention(&self) -> Vec<String> {
        if let Some(why) = &self.unreadable {
            return vec![format!("job {}: the state of its last run is unknown: {why}", self.name)];
        }
        let Some(last) = self.last.as_ref().filter(|last| last.folder == Folder::CommandDone)
        else {
            return Vec::new();
        };
        let mut given_up = Vec::new();
        if last.summary.is_none() {
            given_up.push(format!("gave up fetching the results of {}", last.run));
        }
        for delivery in last.plugins.iter().filter(|d| d.state == DeliveryState::GivenUp) {
            given_up.push(format!("gave up delivering {} to plugin {}", last.run, delivery.plugin));
        }
        let retry = Program::Runner.command_here(&["retry", last.run.as_str()]);
        let messages = given_up.into_iter().map(|what| {
            format!(
                "job {}: {what}; retry with `{retry}`, or remove its file from command/done to \
                 accept the loss",
                self.name
            )
        });
        messages.collect()
    }
}

/// Reads a run, from its command record if there is one.
fn last_run(id: &RunId, view: &View<'_>) -> Result<Option<Run>, SpoolError> {
    match view.counting(id, Family::Command)? {
        None => view.counting(id, Family::Action),
        some => Ok(some),
    }
}

impl LastRun {
    fn of(run: Run, job: &Job) -> LastRun {
        let (folder, ended) = (run.folder(), run.stamp().changed);
        let record = run.into_record();
        let has_ended = match folder {
            Folder::CommandDone | Folder::ActionDone => true,
            Folder::New
            | Folder::Invalid
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => false,
        };
        LastRun {
            slot: in_zone(record.slot, &job.zone),
            outcome: RunState::of(folder, &record),
            // The states of deliveries are in the command record: without it they are unknown.
            plugins: match folder {
                Folder::ActionDone if record.has_results() => Vec::new(),
                _ => record.deliveries(),
            },
            // The file was created by the last step of the run.
            took_s: has_ended.then(|| elapsed(record.entered, ended).as_secs()),
            run: record.id,
            folder,
            summary: record.summary,
            document: record.document,
            error: record.reason.or(record.error),
            superseded: record.superseded,
        }
    }
}

impl RunState {
    fn of(folder: Folder, record: &Record) -> RunState {
        match folder {
            Folder::New => RunState::Unsent,
            Folder::Invalid => RunState::DeadLetter,
            Folder::ActionInflight => RunState::OnFleet,
            Folder::ActionDone if record.superseded.is_some() => RunState::Superseded,
            Folder::ActionDone if !record.has_results() => RunState::SentOnly,
            Folder::ActionDone => RunState::ActionEnded,
            Folder::Ready | Folder::CommandInflight => RunState::Fetching,
            Folder::Returned => RunState::Delivering,
            Folder::CommandDone if outcome::has_given_up(record) => RunState::GivenUp,
            Folder::CommandDone => RunState::Done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::RunState;

    #[test]
    fn json_words_of_outcomes_are_fixed_and_in_the_manual() {
        let manual = include_str!("../../../../man/mig-runner.8");
        for (state, word) in [
            (RunState::Unsent, "waits to be sent"),
            (RunState::DeadLetter, "dead letter"),
            (RunState::OnFleet, "runs on the fleet"),
            (RunState::Superseded, "superseded"),
            (RunState::SentOnly, "sent"),
            (RunState::ActionEnded, "its action is over"),
            (RunState::Fetching, "results are being fetched"),
            (RunState::Delivering, "results are there, plugins are owed"),
            (RunState::GivenUp, "given up"),
            (RunState::Done, "done"),
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), word);
            assert!(manual.contains(&format!(".Dq {word}\n")), "{word}");
        }
    }
}
