//! Failed attempts and retry times, from the retry report of the running runner.
//!
//! **Failure.** If the report cannot be read, or is not from the running runner, retry times are
//! omitted; the rest of the status is complete.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use crate::chain::Chain;
use crate::cli::runner::spool_access::SpoolAccess;
use crate::names::{PluginName, RunId};
use crate::spool::{Folder, RetryAttempt, RetryReport, RetryTime};

/// The failed attempts that the runner will repeat.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The failures and next attempt of the API; set while the API, the network or the key is
    /// unavailable.
    pub(super) api: Option<RetryTime>,
    /// Why the retry report cannot be read.
    pub(super) unknown: Option<String>,
    runs: HashMap<RunId, Vec<RetryAttempt>>,
}

/// The failed attempts of a run.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RunAttempts {
    /// The number of consecutive failures of the run or of the API; the maximum of several.
    pub(super) failures: Option<u32>,
    /// The time of the next attempt; the earliest of several.
    pub(super) next_attempt: Option<Timestamp>,
    /// Whether the run is only waiting for the API to be available.
    #[serde(skip)]
    waits_for_api: bool,
    /// The plugins whose deliveries failed.
    pub(super) plugins: Vec<PluginAttempt>,
}

/// The failed deliveries to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PluginAttempt {
    pub(super) plugin: PluginName,
    #[serde(flatten)]
    pub(super) retry: RetryTime,
}

/// The condition for the next attempt of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Api,
    /// The operator: the job is paused or missing.
    Operator,
    Nothing,
}

impl Attempts {
    /// Reads the retry report of the running runner, whose process id is `process`.
    pub(super) fn read(spool: &SpoolAccess<'_>, process: Option<u32>) -> Attempts {
        let Some(process) = process else { return Attempts::default() };
        match spool.view().retry_report() {
            Ok(Some(retry_report)) if retry_report.process == process => Attempts::of(retry_report),
            // Nothing failed, or the report is from an earlier runner that was killed.
            Ok(_) => Attempts::default(),
            Err(error) => {
                Attempts { unknown: Some(Chain(&error).to_string()), ..Attempts::default() }
            }
        }
    }

    pub(super) fn of(retry_report: RetryReport) -> Attempts {
        let mut runs: HashMap<RunId, Vec<RetryAttempt>> = HashMap::new();
        for attempt in retry_report.attempts {
            runs.entry(attempt.run.clone()).or_default().push(attempt);
        }
        Attempts { api: retry_report.api, unknown: None, runs }
    }

    /// Returns the failed attempts of a run in this folder.
    pub(super) fn of_run(&self, folder: Folder, run: &RunId, need: Need) -> RunAttempts {
        let mut found = RunAttempts::default();
        if need == Need::Operator {
            return found;
        }
        let reported = self.runs.get(run).into_iter().flatten();
        // Failures reported for another folder do not count: the run has moved on since.
        for RetryAttempt { plugin, retry, .. } in
            reported.filter(|attempt| attempt.folder == folder)
        {
            found.add(*retry);
            if let Some(plugin) = plugin.clone() {
                found.plugins.push(PluginAttempt { plugin, retry: *retry });
            }
        }
        if let (Some(api), Need::Api) = (self.api, need) {
            // Its next attempt is due when both its own time and the API's have come.
            let own = found.next_attempt.unwrap_or(api.next_attempt);
            found.waits_for_api = own <= api.next_attempt;
            found.add(api);
            found.next_attempt = Some(own.max(api.next_attempt));
        }
        found
    }
}

impl RunAttempts {
    fn add(&mut self, retry: RetryTime) {
        self.failures = self.failures.max(Some(retry.failures));
        let next = self.next_attempt.unwrap_or(retry.next_attempt);
        self.next_attempt = Some(next.min(retry.next_attempt));
    }

    /// Describes the failures and the next attempt; `None` if nothing failed.
    pub(super) fn description(&self, now: Timestamp) -> Option<String> {
        let (failures, next_attempt) = (self.failures?, self.next_attempt?);
        if self.waits_for_api {
            return Some(format!("waiting for the API, {}", NextAttempt(next_attempt, now)));
        }
        if self.plugins.is_empty() {
            return Some(describe(RetryTime { failures, next_attempt }, now));
        }
        let plugins = self.plugins.iter();
        let described =
            plugins.map(|each| format!("plugin {} {}", each.plugin, describe(each.retry, now)));
        Some(described.collect::<Vec<_>>().join("; "))
    }
}

/// Describes a number of failures and the next attempt.
pub(super) fn describe(RetryTime { failures, next_attempt }: RetryTime, now: Timestamp) -> String {
    let next = NextAttempt(next_attempt, now);
    match failures {
        1 => format!("failed once, {next}"),
        _ => format!("failed {failures} times, {next}"),
    }
}

/// The time of an attempt, and the present time.
struct NextAttempt(Timestamp, Timestamp);

impl fmt::Display for NextAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NextAttempt(at, now) = self;
        // The attempt may be in progress, or waiting for a free worker.
        if at <= now { f.write_str("retrying now") } else { write!(f, "next attempt at {at}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        let noon: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        Timestamp::from_second(noon.as_second() + second).unwrap()
    }

    fn attempts(api: Option<i64>, waiting: &[(Option<&str>, u32, i64)]) -> Attempts {
        let again = |failures, second| RetryTime { failures, next_attempt: at(second) };
        let attempt = |(plugin, failures, second): &(Option<&str>, u32, i64)| RetryAttempt {
            folder: Folder::Returned,
            run: "job.20261122T120000Z".parse().unwrap(),
            plugin: plugin.map(|plugin| plugin.parse().unwrap()),
            retry: again(*failures, *second),
        };
        let api = api.map(|second| again(3, second));
        RetryReport::new(api, waiting.iter().map(attempt).collect(), 0)
            .map_or_else(Attempts::default, Attempts::of)
    }

    #[test]
    fn description_has_failures_and_next_attempt() {
        let run = "job.20261122T120000Z".parse().unwrap();
        for (api, waiting, need, expected) in [
            (None, &[][..], Need::Api, None),
            (None, &[(None, 1, 5)][..], Need::Nothing, Some("failed once, next attempt at :05Z")),
            (None, &[(None, 2, 0)], Need::Nothing, Some("failed 2 times, retrying now")),
            (None, &[(None, 2, 5)], Need::Operator, None),
            (Some(7), &[], Need::Nothing, None),
            (Some(7), &[], Need::Operator, None),
            (Some(7), &[], Need::Api, Some("waiting for the API, next attempt at :07Z")),
            (Some(0), &[], Need::Api, Some("waiting for the API, retrying now")),
            // The later of the two times counts.
            (
                Some(7),
                &[(None, 1, 5)],
                Need::Api,
                Some("waiting for the API, next attempt at :07Z"),
            ),
            (Some(7), &[(None, 4, 9)], Need::Api, Some("failed 4 times, next attempt at :09Z")),
            (
                Some(7),
                &[(Some("mail"), 4, 9), (Some("log"), 1, 8)],
                Need::Nothing,
                Some(
                    "plugin mail failed 4 times, next attempt at :09Z; plugin log failed once, next attempt at :08Z",
                ),
            ),
        ] {
            let found = attempts(api, waiting).of_run(Folder::Returned, &run, need);
            let shown = found.description(at(0)).map(|text| text.replace("2026-11-22T12:00", ""));
            assert_eq!(shown.as_deref(), expected, "{api:?} {waiting:?} {need:?}");
        }
    }

    #[test]
    fn run_has_earliest_attempt_of_its_plugins() {
        let attempts = attempts(None, &[(Some("mail"), 4, 9), (Some("log"), 1, 8)]);
        let run = "job.20261122T120000Z".parse().unwrap();
        let found = attempts.of_run(Folder::Returned, &run, Need::Nothing);
        assert_eq!((found.failures, found.next_attempt), (Some(4), Some(at(8))));
        assert_eq!(found.plugins.len(), 2);
        // In another folder there are no failures.
        let elsewhere = attempts.of_run(Folder::New, &run, Need::Nothing);
        assert_eq!(elsewhere, RunAttempts::default());
    }
}
