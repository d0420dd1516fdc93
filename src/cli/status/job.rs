//! A job: its schedule, its next run, and how the last one went.

use jiff::Timestamp;
use serde::Serialize;

use super::Failure;
use crate::action::Summary;
use crate::cli::next::in_zone;
use crate::cli::outcome;
use crate::clock::elapsed;
use crate::invocation::Program;
use crate::job::Job;
use crate::names::{JobName, RunId};
use crate::spool::{Delivery, DeliveryState, Family, Folder, Record, Run, View};

#[derive(Debug, Serialize)]
pub(super) struct JobReport {
    pub(super) name: JobName,
    pub(super) schedule: String,
    /// Whether its slots pass without a run.
    pub(super) paused: bool,
    /// Its next slot, in its zone; none if it is finished.
    pub(super) next: Option<String>,
    pub(super) last: Option<Last>,
    /// How many of its runs were superseded by newer ones.
    pub(super) superseded: usize,
}

/// The last run of a job.
#[derive(Debug, Serialize)]
pub(super) struct Last {
    pub(super) run: RunId,
    /// Its slot, in the job's zone.
    pub(super) slot: String,
    pub(super) folder: Folder,
    /// How it stands, in words.
    pub(super) outcome: &'static str,
    /// How long it took from its launch until it was over, in seconds.
    pub(super) took_s: Option<u64>,
    /// What the results came to.
    pub(super) summary: Option<Summary>,
    /// What became of the deliveries.
    pub(super) plugins: Vec<Delivery>,
    /// The results document, below the runner's directory.
    pub(super) document: Option<String>,
    /// What went wrong last.
    pub(super) error: Option<String>,
    /// The newer run that took its place.
    pub(super) superseded: Option<RunId>,
}

impl JobReport {
    /// Reads what is known of a job, and the record of its last run.
    pub(super) fn read(
        job: &Job,
        last: Option<&RunId>,
        view: &View<'_>,
        now: Timestamp,
    ) -> Result<JobReport, Failure> {
        let last = match last {
            None => None,
            Some(id) => {
                let run = match view.counting(id, Family::Command)? {
                    None => view.counting(id, Family::Action)?,
                    some => some,
                };
                run.map(|run| Last::of(run, job))
            }
        };
        let next = job.schedule.next_after(now, &job.zone).map(|next| in_zone(next, &job.zone));
        Ok(JobReport {
            name: job.name.clone(),
            schedule: job.schedule.to_string(),
            paused: job.config.paused,
            next,
            last,
            superseded: 0,
        })
    }

    /// Returns what of its last run was given up.
    pub(super) fn attention(&self) -> Vec<String> {
        let Some(last) = self.last.as_ref().filter(|last| last.folder == Folder::CommandDone)
        else {
            return Vec::new();
        };
        let mut given_up = Vec::new();
        if last.summary.is_none() {
            given_up.push(format!("the results of {} were given up", last.run));
        }
        for delivery in last.plugins.iter().filter(|d| d.state == DeliveryState::GivenUp) {
            given_up.push(format!("plugin {} was given up for {}", delivery.plugin, last.run));
        }
        let retry = Program::Runner.command_here(&["retry", last.run.as_str()]);
        let told = given_up.into_iter().map(|what| {
            format!(
                "job {}: {what}; `{retry}` tries again; removing its file from command/done \
                 accepts the loss",
                self.name
            )
        });
        told.collect()
    }
}

impl Last {
    fn of(run: Run, job: &Job) -> Last {
        let (folder, ended) = (run.folder(), run.stamp().changed);
        let record = run.into_record();
        let is_over = match folder {
            Folder::CommandDone | Folder::ActionDone => true,
            Folder::New
            | Folder::Invalid
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => false,
        };
        Last {
            slot: in_zone(record.slot, &job.zone),
            outcome: word(folder, &record),
            // What became of the deliveries is in the command record: without it nothing is known.
            plugins: match folder {
                Folder::ActionDone if record.has_results() => Vec::new(),
                _ => record.deliveries(),
            },
            // The file came there by the last thing that was done with the run.
            took_s: is_over.then(|| elapsed(record.entered, ended).as_secs()),
            run: record.id,
            folder,
            summary: record.summary,
            document: record.document,
            error: record.reason.or(record.error),
            superseded: record.superseded,
        }
    }
}

/// Returns how a run stands.
fn word(folder: Folder, record: &Record) -> &'static str {
    match folder {
        Folder::New => "waits to be sent",
        Folder::Invalid => "dead letter",
        Folder::ActionInflight => "runs on the fleet",
        Folder::ActionDone if record.superseded.is_some() => "superseded",
        Folder::ActionDone if !record.has_results() => "sent",
        Folder::ActionDone => "its action is over",
        Folder::Ready | Folder::CommandInflight => "results are being fetched",
        Folder::Returned => "results are there, plugins are owed",
        Folder::CommandDone if outcome::needs_person(record) => "given up",
        Folder::CommandDone => "done",
    }
}
