//! What the engine counts of its own work, if metrics are wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use slog::{error, warn};

use super::engine::Engine;
use super::tally::Level;
use super::workers::{Outcome, Task};
use crate::api::Posted;
use crate::chain::Chain;
use crate::metrics::FolderLevel;
use crate::names::RunId;
use crate::plugin::run::PluginOutcome;
use crate::spool::{DeliveryState, Folder, Run, SpoolError, Transition};
use crate::stage::Work;

impl Engine {
    /// Counts a piece of work that is done.
    pub(super) fn measure(&mut self, task: &Task, outcome: &Outcome, took: Duration) {
        let Some(metrics) = &mut self.metrics else { return };
        if task.attempt > 1 {
            metrics.retried(name(&task.work));
        }
        match outcome {
            Outcome::Posted(Posted::Accepted { .. }) => metrics.posted("accepted"),
            Outcome::Posted(Posted::Refused { .. }) => metrics.posted("refused"),
            Outcome::Posted(Posted::Unknown { .. }) => metrics.posted("unknown"),
            Outcome::Fetched(_) => metrics.fetched(took),
            Outcome::Delivered(plugin, ended) => {
                let ended = match ended.as_ref().map(|ended| &ended.outcome) {
                    Ok(PluginOutcome::Delivered) => "delivered",
                    Ok(PluginOutcome::TryLater) => "later",
                    Ok(
                        PluginOutcome::Failed { .. }
                        | PluginOutcome::TimedOut
                        | PluginOutcome::Stopped,
                    )
                    | Err(_) => "failed",
                };
                metrics.delivered(plugin, ended, took);
            }
            Outcome::Signed(_) | Outcome::Searched(..) | Outcome::Probed(_) | Outcome::Stopped => {}
        }
    }

    /// Counts what a move means.
    pub(super) fn measure_move(&mut self, run: &Run, transition: Transition, now: Timestamp) {
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
            self.tally.add(run);
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

    /// Reads when each job last succeeded, as far as its last finished run tells.
    pub(super) fn measure_past(&mut self) {
        if self.metrics.is_none() {
            return;
        }
        match self.last_finished() {
            Ok(runs) => {
                let Some(metrics) = &mut self.metrics else { return };
                for run in runs.iter().filter(|run| is_success(run)) {
                    if let Some(job) = run.record().job() {
                        metrics.succeeded(job, run.stamp().changed);
                    }
                }
            }
            Err(error) => {
                error!(self.parts.log, "cannot look at the spool"; "error" => Chain(&error));
            }
        }
    }

    /// Returns the last run of each job in `command/done`, and a later one in `action/done` if there is
    /// one: those of `sendonly` jobs end there.
    fn last_finished(&self) -> Result<Vec<Run>, SpoolError> {
        let spool = &self.parts.spool;
        let (mut fetched, mut later) = (Last::new(), Last::new());
        spool.visit_ids(Folder::CommandDone, &mut |id| note_last(&mut fetched, id))?;
        spool.visit_ids(Folder::ActionDone, &mut |id| {
            if fetched.get(id.stem()).is_none_or(|last| id.slot() > last.slot()) {
                note_last(&mut later, id);
            }
        })?;
        let mut runs = Vec::new();
        for (folder, last) in [(Folder::CommandDone, fetched), (Folder::ActionDone, later)] {
            for id in last.into_values() {
                runs.extend(spool.take(folder, &id)?);
            }
        }
        Ok(runs)
    }

    /// Writes the metrics if it is time; returns when it is again.
    pub(super) fn write_metrics(&mut self, now: Timestamp) -> Option<Timestamp> {
        if !self.metrics.as_ref()?.is_due(now) {
            return self.metrics.as_ref().map(crate::metrics::Metrics::due);
        }
        self.count_finished(now);
        if self.tally.is_awaited() {
            // Written as soon as the finished runs are counted, which is an event.
            return None;
        }
        let levels = self.levels();
        let api_up = self.breaker.failures() == 0;
        let metrics = self.metrics.as_mut()?;
        if let Err(error) = metrics.write(&levels, api_up, now) {
            warn!(self.parts.log, "cannot write metrics";
                "path" => %metrics.path().display(), "error" => Chain(&error));
        }
        Some(metrics.due())
    }

    fn levels(&self) -> Vec<FolderLevel> {
        let mut levels = Vec::new();
        let view = self.parts.spool.view();
        for folder in Folder::ALL {
            if let Some(level) = self.tally.level(folder) {
                levels.extend(level.map(|level| level.of(folder)));
                continue;
            }
            match Level::count(&view, folder) {
                Ok(level) => levels.push(level.of(folder)),
                Err(error) => error!(self.parts.log, "cannot look at the spool";
                    "folder" => %folder, "error" => Chain(&error)),
            }
        }
        levels
    }
}

/// The last run of each job.
type Last = BTreeMap<String, RunId>;

/// Remembers a run if it is the last one of its job so far.
fn note_last(last: &mut Last, id: RunId) {
    match last.get_mut(id.stem()) {
        Some(known) if id.slot() > known.slot() => *known = id,
        Some(_) => {}
        None => {
            last.insert(id.stem().to_owned(), id);
        }
    }
}

/// Returns whether a run is finished and brought its results to all who wanted them: nobody does if it
/// is `sendonly` and the API has its action.
fn is_success(run: &Run) -> bool {
    let record = run.record();
    let taken = |state| state == DeliveryState::Delivered;
    match run.folder() {
        Folder::CommandDone => {
            record.summary.is_some() && record.plugins.iter().all(|delivery| taken(delivery.state))
        }
        Folder::ActionDone => record.settings.send_only && record.action_id.is_some(),
        _ => false,
    }
}

/// Returns the word for a work, in metrics and log.
pub(super) fn name(work: &Work) -> &'static str {
    match work {
        Work::Sign { .. } => "sign",
        Work::Post => "post",
        Work::Search => "search",
        Work::Probe => "probe",
        Work::Fetch => "fetch",
        Work::Deliver(_) => "deliver",
    }
}
