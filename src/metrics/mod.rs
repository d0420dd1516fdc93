//! Metrics for Prometheus: counted by the daemon, written to a text file for the node exporter.
//!
//! Counts begin anew with each start, as counters do. Names and units are in
//! mig-runner(8) and do not change.
//!
//! **Failure.** A file that cannot be written stops nobody; it is tried again.

mod form;
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
use form::Form;

/// How long it is at least between two writes.
const WRITE_SPAN_MIN: Duration = Duration::from_secs(15);
/// How long it is at most between two writes: ages grow by themselves.
const WRITE_SPAN_MAX: Duration = Duration::from_secs(60);

/// A number of things that took time, and how long they took together.
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

/// What is in a folder of the spool now.
#[derive(Debug, Clone)]
pub(crate) struct FolderLevel {
    /// The folder's path in the spool.
    pub(crate) folder: &'static str,
    /// How many runs are there.
    pub(crate) entries: usize,
    /// The slot of the oldest.
    pub(crate) oldest: Option<Timestamp>,
}

/// All that is measured.
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
    /// Returns metrics that are written to `path` and begin at `now`.
    pub(crate) fn new(path: PathBuf, now: Timestamp) -> Metrics {
        Metrics {
            path,
            began: now,
            written: None,
            changed: true,
            launches: BTreeMap::new(),
            superseded: BTreeMap::new(),
            // What may happen is there from the start, so that its first time is seen as a change.
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

    /// Counts work that was done again because it had failed.
    pub(crate) fn retried(&mut self, work: &'static str) {
        self.changed = true;
        *self.retries.entry(work).or_default() += 1;
    }

    /// Counts an attempt to fetch results.
    pub(crate) fn fetched(&mut self, took: Duration) {
        self.changed = true;
        self.fetches.add(took);
    }

    /// Counts a plugin that ran.
    pub(crate) fn delivered(&mut self, plugin: &PluginName, outcome: &'static str, took: Duration) {
        self.changed = true;
        self.deliveries.entry(plugin.to_string()).or_default().add(took);
        *self.delivered.entry((plugin.to_string(), outcome)).or_default() += 1;
    }

    /// Counts the results of a run.
    pub(crate) fn stored(&mut self, summary: &Summary) {
        self.changed = true;
        let Summary { sent, answered, found, failed, expired, not_final, missing } = summary;
        let sum = &mut self.results;
        for (sum, more) in [
            (&mut sum.sent, sent),
            (&mut sum.answered, answered),
            (&mut sum.found, found),
            (&mut sum.failed, failed),
            (&mut sum.expired, expired),
            (&mut sum.not_final, not_final),
            (&mut sum.missing, missing),
        ] {
            *sum = sum.saturating_add(*more);
        }
    }

    /// Notes when a run of a job was finished with nothing given up.
    pub(crate) fn succeeded(&mut self, job: &JobName, at: Timestamp) {
        self.changed = true;
        let last = self.successes.entry(job.to_string()).or_insert(at);
        *last = at.max(*last);
    }

    /// Returns when the file is to be written next.
    pub(crate) fn due(&self) -> Timestamp {
        let span = if self.changed { WRITE_SPAN_MIN } else { WRITE_SPAN_MAX };
        self.written.map_or(Timestamp::MIN, |written| after(written, span))
    }

    /// Tells whether the file is to be written at `now`, also after the clock was set back.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.due() || self.written.is_some_and(|written| now < written)
    }

    /// Writes the file; `folders` is what is in the spool, `api_up` whether the API serves.
    ///
    /// # Errors
    /// It cannot be written; the next time is as far off as after a success.
    pub(crate) fn write(
        &mut self,
        folders: &[FolderLevel],
        api_up: bool,
        now: Timestamp,
    ) -> Result<(), DiskError> {
        (self.written, self.changed) = (Some(now), false);
        publish(&self.path, self.text(folders, api_up, now).as_bytes())
    }

    /// Returns where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn text(&self, folders: &[FolderLevel], api_up: bool, now: Timestamp) -> String {
        let mut form = Form::default();
        let name = "mig_runner_build_info";
        form.metric(name, "gauge", "The version that runs; always 1.");
        form.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1);
        let name = "mig_runner_start_time_seconds";
        form.metric(name, "gauge", "When the runner started, in seconds since 1970.");
        form.sample(name, &[], self.began.as_second());
        let name = "mig_runner_api_up";
        form.metric(name, "gauge", "Whether the API served at the last call: 1, or 0.");
        form.sample(name, &[], u8::from(api_up));
        self.spool(&mut form, folders, now);
        self.work(&mut form);
        self.outcome(&mut form);
        form.finish()
    }

    fn spool(&self, form: &mut Form, folders: &[FolderLevel], now: Timestamp) {
        let name = "mig_runner_spool_entries";
        form.metric(name, "gauge", "Runs in each folder of the spool.");
        for level in folders {
            form.sample(name, &[("folder", level.folder)], level.entries);
        }
        let name = "mig_runner_spool_oldest_age_seconds";
        form.metric(name, "gauge", "How long the slot of a folder's oldest run is past.");
        for level in folders {
            let age = level.oldest.map_or(0, |oldest| elapsed(oldest, now).as_secs());
            form.sample(name, &[("folder", level.folder)], age);
        }
    }

    fn work(&self, form: &mut Form) {
        let name = "mig_runner_launches_total";
        form.metric(name, "counter", "Runs that the schedule began.");
        for (job, count) in &self.launches {
            form.sample(name, &[("job", job)], count);
        }
        let name = "mig_runner_superseded_total";
        form.metric(name, "counter", "Runs not sent because a newer run of their job was waiting.");
        for (job, count) in &self.superseded {
            form.sample(name, &[("job", job)], count);
        }
        let name = "mig_runner_posts_total";
        form.metric(name, "counter", "Actions posted, by what is known of the outcome.");
        for (outcome, count) in &self.posts {
            form.sample(name, &[("outcome", outcome)], count);
        }
        let name = "mig_runner_retries_total";
        form.metric(name, "counter", "Work that was done again because it had failed.");
        for (work, count) in &self.retries {
            form.sample(name, &[("work", work)], count);
        }
        let name = "mig_runner_fetch_duration_seconds";
        form.metric(name, "summary", "How long attempts to fetch results took.");
        durations(form, name, &[], self.fetches);
    }

    fn outcome(&self, form: &mut Form) {
        let name = "mig_runner_delivery_duration_seconds";
        form.metric(name, "summary", "How long plugins ran.");
        for (plugin, took) in &self.deliveries {
            durations(form, name, &[("plugin", plugin)], *took);
        }
        let name = "mig_runner_deliveries_total";
        form.metric(name, "counter", "Plugins that ran, by how they ended.");
        for ((plugin, outcome), count) in &self.delivered {
            form.sample(name, &[("plugin", plugin), ("outcome", outcome)], count);
        }
        let name = "mig_runner_results_total";
        form.metric(name, "counter", "Commands of the runs fetched, by status; some have several.");
        let Summary { sent, answered, found, failed, expired, not_final, missing } = self.results;
        for (status, count) in [
            ("sent", sent),
            ("answered", answered),
            ("found", found),
            ("failed", failed),
            ("expired", expired),
            ("not_final", not_final),
            ("missing", missing),
        ] {
            form.sample(name, &[("status", status)], count);
        }
        let name = "mig_runner_last_success_timestamp_seconds";
        form.metric(
            name,
            "gauge",
            "When a run of the job was last finished, in seconds since 1970.",
        );
        for (job, at) in &self.successes {
            form.sample(name, &[("job", job)], at.as_second());
        }
    }
}

fn durations(form: &mut Form, name: &str, labels: &[(&str, &str)], took: Durations) {
    form.sample(&format!("{name}_sum"), labels, took.sum.as_secs_f64());
    form.sample(&format!("{name}_count"), labels, took.count);
}
