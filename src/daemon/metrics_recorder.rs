//! The metrics recorder: counts the engine's work, if metrics are configured.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, error, warn};

use super::Event;
use super::finished_counts::{FinishedCounter, FinishedCounts, RunCount};
use super::workers::{Task, TaskOutcome, kind_name};
use crate::api::Posted;
use crate::chain::Chain;
use crate::metrics::{FolderLevel, Metrics};
use crate::names::{JobName, RunId};
use crate::plugin::run::PluginOutcome;
use crate::spool::{DeliveryState, Folder, Run, Spool, SpoolError, Transition};

/// Counts the engine's work, and writes the counts to the metrics file.
#[derive(Debug)]
pub(super) struct MetricsRecorder {
    log: Logger,
    /// `None` unless metrics are configured.
    metrics: Option<Metrics>,
    finished: FinishedCounter,
}

impl MetricsRecorder {
    /// Returns a recorder that records nothing.
    pub(super) fn new(log: Logger) -> MetricsRecorder {
        MetricsRecorder { log, metrics: None, finished: FinishedCounter::default() }
    }

    /// Records from now on, and writes to this file.
    pub(super) fn enable(&mut self, path: PathBuf, now: Timestamp) {
        self.metrics = Some(Metrics::new(path, now));
    }

    /// Counts a launched run.
    pub(super) fn count_launch(&mut self, job: &JobName) {
        if let Some(metrics) = &mut self.metrics {
            metrics.launched(job);
        }
    }

    /// Counts a finished task.
    pub(super) fn count_task(&mut self, task: &Task, outcome: &TaskOutcome, took: Duration) {
        let Some(metrics) = &mut self.metrics else { return };
        if task.attempt > 1 {
            metrics.retried(kind_name(&task.kind));
        }
        match outcome {
            TaskOutcome::Posted(Posted::Accepted { .. }) => metrics.posted("accepted"),
            TaskOutcome::Posted(Posted::Refused { .. }) => metrics.posted("refused"),
            TaskOutcome::Posted(Posted::Unknown { .. }) => metrics.posted("unknown"),
            TaskOutcome::Fetched(_) => metrics.fetched(took),
            TaskOutcome::Delivered(plugin, ended) => {
                let outcome = match ended.as_ref().map(|ended| &ended.outcome) {
                    Ok(PluginOutcome::Delivered) => "delivered",
                    Ok(PluginOutcome::TryLater) => "later",
                    Ok(
                        PluginOutcome::Failed { .. }
                        | PluginOutcome::TimedOut
                        | PluginOutcome::Stopped,
                    )
                    | Err(_) => "failed",
                };
                metrics.delivered(plugin, outcome, took);
            }
            TaskOutcome::Signed(_)
            | TaskOutcome::Searched(..)
            | TaskOutcome::StatusQueried(_)
            | TaskOutcome::TurnedAway
            | TaskOutcome::Stopped => {}
        }
    }

    /// Counts a move.
    pub(super) fn count_move(&mut self, run: &Run, transition: Transition, now: Timestamp) {
        let Some(metrics) = &mut self.metrics else { return };
        let is_finished = matches!(
            transition,
            Transition::Superseded
                | Transition::SentOnly
                | Transition::Collected
                | Transition::FetchGivenUp
                | Transition::Finished
        );
        if is_finished {
            self.finished.add(run);
        }
        let record = run.record();
        if transition == Transition::Fetched
            && let Some(summary) = &record.summary
        {
            metrics.stored(summary);
        }
        let Some(job) = record.job() else { return };
        if transition == Transition::Superseded {
            metrics.superseded(job);
        }
        if is_success(run) {
            metrics.succeeded(job, now);
        }
    }

    /// Reads when each job last succeeded. Only the last finished runs are read; if they did not
    /// succeed, the time stays unknown.
    pub(super) fn read_last_successes(&mut self, spool: &Spool) {
        let Some(metrics) = &mut self.metrics else { return };
        match last_finished(spool) {
            Ok(runs) => {
                for run in runs.iter().filter(|run| is_success(run)) {
                    if let Some(job) = run.record().job() {
                        metrics.succeeded(job, run.stamp().changed);
                    }
                }
            }
            Err(error) => {
                error!(self.log, "cannot read last finished runs"; "error" => Chain(&error));
            }
        }
    }

    /// Writes the metrics file if that is due; returns when it is due again.
    pub(super) fn write(
        &mut self,
        spool: &Spool,
        is_api_up: bool,
        now: Timestamp,
        events: Option<&Sender<Event>>,
    ) -> Option<Timestamp> {
        if !self.metrics.as_ref()?.is_due(now) {
            return self.metrics.as_ref().map(Metrics::due);
        }
        self.finished.start_if_due(spool, now, events, &self.log);
        if self.finished.is_first_under_way() {
            // The file is written when the event with the counts arrives.
            return None;
        }
        let levels = self.levels(spool);
        let metrics = self.metrics.as_mut()?;
        if let Err(error) = metrics.write(&levels, is_api_up, now) {
            warn!(self.log, "cannot write metrics";
                "path" => %metrics.path().display(), "error" => Chain(&error));
        }
        Some(metrics.due())
    }

    fn levels(&self, spool: &Spool) -> Vec<FolderLevel> {
        let mut levels = Vec::new();
        let view = spool.view();
        for folder in Folder::ALL {
            if let Some(count) = self.finished.count(folder) {
                levels.extend(count.map(|count| count.level(folder)));
                continue;
            }
            match RunCount::read(&view, folder) {
                Ok(count) => levels.push(count.level(folder)),
                Err(error) => error!(self.log, "cannot read spool folder";
                    "folder" => %folder, "error" => Chain(&error)),
            }
        }
        levels
    }

    /// Stores the counts of finished runs.
    pub(super) fn finished_counted(&mut self, counts: Result<FinishedCounts, SpoolError>) {
        self.finished.finish(counts, &self.log);
    }

    /// Makes the next write count the finished runs again.
    pub(super) fn recount_finished(&mut self) {
        self.finished.recount();
    }

    /// Returns whether the runs in a folder of finished runs have been counted.
    #[cfg(test)]
    pub(super) fn has_counted(&self, folder: Folder) -> bool {
        self.finished.count(folder).flatten().is_some()
    }
}

/// Returns the last run of each job in `command/done`, and any later one in `action/done`: the runs
/// of `sendonly` jobs end there.
fn last_finished(spool: &Spool) -> Result<Vec<Run>, SpoolError> {
    let (mut fetched, mut later) = (LastRuns::new(), LastRuns::new());
    spool.visit_ids(Folder::CommandDone, &mut |id| note_last(&mut fetched, id))?;
    spool.visit_ids(Folder::ActionDone, &mut |id| {
        if fetched.get(id.stem()).is_none_or(|last| id.slot() > last.slot()) {
            note_last(&mut later, id);
        }
    })?;
    let mut runs = Vec::new();
    for (folder, last) in [(Folder::CommandDone, fetched), (Folder::ActionDone, later)] {
        for id in last.into_values() {
            runs.extend(spool.read_run(folder, &id)?);
        }
    }
    Ok(runs)
}

/// The last run of each job.
type LastRuns = BTreeMap<String, RunId>;

/// Records a run if it is the last of its job so far.
fn note_last(last: &mut LastRuns, id: RunId) {
    match last.get_mut(id.stem()) {
        Some(known) if id.slot() > known.slot() => *known = id,
        Some(_) => {}
        None => {
            last.insert(id.stem().to_owned(), id);
        }
    }
}

/// Returns whether a run is finished and every plugin got its results. A `sendonly` run has no
/// plugins: it succeeds when the API accepts its action.
fn is_success(run: &Run) -> bool {
    let record = run.record();
    match run.folder() {
        Folder::CommandDone => {
            let is_delivered =
                record.plugins.iter().all(|delivery| delivery.state == DeliveryState::Delivered);
            record.summary.is_some() && is_delivered
        }
        Folder::ActionDone => record.settings.send_only && record.action_id.is_some(),
        _ => false,
    }
}
