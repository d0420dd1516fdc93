//! Metrics for Prometheus: the daemon counts events and writes a text file for the node exporter.
//!
//! Counters begin at zero with each start. Names and units are documented in mig-runner(8) and do
//! not change.
//!
//! **Failure.** If the file cannot be written, the next regular write tries again.

mod exposition;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::action::Summary;
use crate::clock::{after, elapsed};
use crate::disk::{DiskError, publish};
use crate::names::{JobName, PluginName};
use exposition::Exposition;

/// Minimum time between two writes.
const WRITE_SPAN_MIN: Duration = Duration::from_secs(15);
/// Maximum time between two writes, because ages grow even if nothing happens.
const WRITE_SPAN_MAX: Duration = Duration::from_secs(60);

/// The number and the total duration of some operations.
#[derive(Debug, Clone, Copy, Default)]
struct Durations {
    count: u64,
    sum: Duration,
}

impl Durations {
    fn add(&mut self, took: Duration) {
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(took);
    }
}

/// The current content of a folder of the spool.
#[derive(Debug, Clone)]
pub(crate) struct FolderLevel {
    /// The path of the folder in the spool.
    pub(crate) folder: &'static str,
    /// The number of runs in the folder.
    pub(crate) entries: usize,
    /// The slot of the oldest run.
    pub(crate) oldest: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Metrics {
    path: PathBuf,
    began: Timestamp,
    written: Option<Timestamp>,
    changed: bool,
    launches: BTreeMap<String, u64>,
    superseded: BTreeMap<String, u64>,
    posts: BTreeMap<&'static str, u64>,
    retries: BTreeMap<&'static str, u64>,
    fetches: Durations,
    deliveries: BTreeMap<String, Durations>,
    delivered: BTreeMap<(String, &'static str), u64>,
    results: Summary,
    successes: BTreeMap<String, Timestamp>,
}

impl Metrics {
    /// Returns metrics that are written to `path`; the counters begin at `now`.
    pub(crate) fn new(path: PathBuf, now: Timestamp) -> Metrics {
        Metrics {
            path,
            began: now,
            written: None,
            changed: true,
            launches: BTreeMap::new(),
            superseded: BTreeMap::new(),
            // All outcomes have counters from the start, so that the first POST shows as a change.
            posts: ["accepted", "refused", "unknown"].map(|outcome| (outcome, 0)).into(),
            retries: BTreeMap::new(),
            fetches: Durations::default(),
            deliveries: BTreeMap::new(),
            delivered: BTreeMap::new(),
            results: Summary::default(),
            successes: BTreeMap::new(),
        }
    }

    pub(crate) fn launched(&mut self, job: &JobName) {
        self.changed = true;
        *self.launches.entry(job.to_string()).or_default() += 1;
    }

    /// Counts a run of `job` that a newer one superseded.
    pub(crate) fn superseded(&mut self, job: &JobName) {
        self.changed = true;
        *self.superseded.entry(job.to_string()).or_default() += 1;
    }

    pub(crate) fn posted(&mut self, outcome: &'static str) {
        self.changed = true;
        *self.posts.entry(outcome).or_default() += 1;
    }

    /// Counts a retry after a failure.
    pub(crate) fn retried(&mut self, work: &'static str) {
        self.changed = true;
        *self.retries.entry(work).or_default() += 1;
    }

    /// Counts an attempt to fetch results.
    pub(crate) fn fetched(&mut self, took: Duration) {
        self.changed = true;
        self.fetches.add(took);
    }

    /// Counts a delivery to a plugin.
    pub(crate) fn delivered(&mut self, plugin: &PluginName, outcome: &'static str, took: Duration) {
        self.changed = true;
        self.deliveries.entry(plugin.to_string()).or_default().add(took);
        *self.delivered.entry((plugin.to_string(), outcome)).or_default() += 1;
    }

    /// Counts the results of a run.
    pub(crate) fn stored(&mut self, summary: &Summary) {
        self.changed = true;
        let Summary { sent, answered, found, failed, expired, not_final, missing, too_large } =
            summary;
        let sum = &mut self.results;
        for (sum, more) in [
            (&mut sum.sent, sent),
            (&mut sum.answered, answered),
            (&mut sum.found, found),
            (&mut sum.failed, failed),
            (&mut sum.expired, expired),
            (&mut sum.not_final, not_final),
            (&mut sum.missing, missing),
            (&mut sum.too_large, too_large),
        ] {
            *sum = sum.saturating_add(*more);
        }
    }

    /// Records the time at which a run of a job finished without anything being given up.
    pub(crate) fn succeeded(&mut self, job: &JobName, at: Timestamp) {
        self.changed = true;
        let last = self.successes.entry(job.to_string()).or_insert(at);
        *last = at.max(*last);
    }

    /// Returns the time of the next write.
    pub(crate) fn due(&self) -> Timestamp {
        let span = if self.changed { WRITE_SPAN_MIN } else { WRITE_SPAN_MAX };
        self.written.map_or(Timestamp::MIN, |written| after(written, span))
    }

    /// Returns whether a write is due at `now`, including after the clock was set back.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due() || self.written.is_some_and(|written| now < written)
    }

    /// Writes the file; `api_up` is whether API, network and key were available at the last call.
    /// After an error the next write is due at the same time as after a success.
    pub(crate) fn write(
        &mut self,
        folders: &[FolderLevel],
        api_up: bool,
        now: Timestamp,
    ) -> Result<(), DiskError> {
        (self.written, self.changed) = (Some(now), false);
        publish(&self.path, self.text(folders, api_up, now).as_bytes())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn text(&self, folders: &[FolderLevel], api_up: bool, now: Timestamp) -> String {
        let mut text = Exposition::default();
        let name = "mig_runner_build_info";
        text.metric(name, "gauge", "The version of the runner; always 1.");
        text.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let name = "mig_runner_start_time_seconds";
        text.metric(name, "gauge", "Time at which the runner started, in seconds since 1970.");
        text.sample(name, &[], self.began.as_second());
        let name = "mig_runner_api_up";
        text.metric(
            name,
            "gauge",
            "Whether API, network and key were available at the last call: 1 or 0.",
        );
        text.sample(name, &[], u8::from(api_up));
        self.write_spool(&mut text, folders, now);
        self.write_work(&mut text);
        self.write_outcomes(&mut text);
        text.finish()
    }

    fn write_spool(&self, text: &mut Exposition, folders: &[FolderLevel], now: Timestamp) {
        let name = "mig_runner_spool_entries";
        text.metric(name, "gauge", "Number of runs in each folder of the spool.");
        for level in folders {
            text.sample(name, &[("folder", level.folder)], level.entries);
        }
        let name = "mig_runner_spool_oldest_age_seconds";
        text.metric(name, "gauge", "Age of the slot of the oldest run in each folder.");
        for level in folders {
            let age = level.oldest.map_or(0, |oldest| elapsed(oldest, now).as_secs());
            text.sample(name, &[("folder", level.folder)], age);
        }
    }

    fn write_work(&self, text: &mut Exposition) {
        let name = "mig_runner_launches_total";
        text.metric(name, "counter", "Runs launched by the schedule.");
        for (job, count) in &self.launches {
            text.sample(name, &[("job", job)], count);
        }
        let name = "mig_runner_superseded_total";
        text.metric(name, "counter", "Runs not sent because a newer run of their job was waiting.");
        for (job, count) in &self.superseded {
            text.sample(name, &[("job", job)], count);
        }
        let name = "mig_runner_posts_total";
        text.metric(name, "counter", "Actions posted, by outcome.");
        for (outcome, count) in &self.posts {
            text.sample(name, &[("outcome", outcome)], count);
        }
        let name = "mig_runner_retries_total";
        text.metric(name, "counter", "Retries after a failure.");
        for (work, count) in &self.retries {
            text.sample(name, &[("work", work)], count);
        }
        let name = "mig_runner_fetch_duration_seconds";
        text.metric(name, "summary", "Duration of attempts to fetch results.");
        write_durations(text, name, &[], self.fetches);
    }

    fn write_outcomes(&self, text: &mut Exposition) {
        let name = "mig_runner_delivery_duration_seconds";
        text.metric(name, "summary", "Duration of plugin runs.");
        for (plugin, took) in &self.deliveries {
            write_durations(text, name, &[("plugin", plugin)], *took);
        }
        let name = "mig_runner_deliveries_total";
        text.metric(name, "counter", "Plugin runs, by outcome.");
        for ((plugin, outcome), count) in &self.delivered {
            text.sample(name, &[("plugin", plugin), ("outcome", outcome)], count);
        }
        let name = "mig_runner_results_total";
        text.metric(name, "counter", "Commands of the runs fetched, by status; some have several.");
        let Summary { sent, answered, found, failed, expired, not_final, missing, too_large } =
            self.results;
        for (status, count) in [
            ("sent", sent),
            ("answered", answered),
            ("found", found),
            ("failed", failed),
            ("expired", expired),
            ("not_final", not_final),
            ("missing", missing),
            ("too_large", too_large),
        ] {
            text.sample(name, &[("status", status)], count);
        }
        let name = "mig_runner_last_success_timestamp_seconds";
        text.metric(
            name,
            "gauge",
            "Time at which a run of the job last succeeded, in seconds since 1970.",
        );
        for (job, at) in &self.successes {
            text.sample(name, &[("job", job)], at.as_second());
        }
    }
}

fn write_durations(text: &mut Exposition, name: &str, labels: &[(&str, &str)], took: Durations) {
    text.sample(&format!("{name}_sum"), labels, took.sum.as_secs_f64());
    text.sample(&format!("{name}_count"), labels, took.count);
}
