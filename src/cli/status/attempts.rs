//! What the runner tries again and when, as far as it tells.
//!
//! **Failure.** What it tells is a view: where that cannot be read, or is not of
//! the runner that works, nothing is said of attempts, and all else stands.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::Hand;
use crate::chain::Chain;
use crate::names::{PluginName, RunId};
use crate::spool::{Folder, RetryAttempt, RetryReport, RetryTime};

/// What is tried again.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The API, the network or the key, while they do not serve.
    pub(super) api: Option<RetryTime>,
    /// Why it is not known what is tried again.
    pub(super) unknown: Option<String>,
    runs: HashMap<RunId, Vec<RetryAttempt>>,
}

/// When what failed of a run is tried again.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub(super) struct RunAttempts {
    /// How often it failed in a row, or the API for all; of several the most.
    pub(super) failures: Option<u32>,
    /// When it is tried again; of several the earliest.
    pub(super) next_attempt: Option<Timestamp>,
    /// Whether it waits for the API, as all that needs it.
    #[serde(skip)]
    waits_for_api: bool,
    /// The plugins that failed.
    pub(super) plugins: Vec<PluginAttempt>,
}

/// When a plugin that failed is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct PluginAttempt {
    pub(super) plugin: PluginName,
    /// How often it failed in a row, and when it is tried again.
    #[serde(flatten)]
    pub(super) again: RetryTime,
}

/// What a run needs for its next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Api,
    /// Something that only a person brings about: a job that is paused, or gone.
    Person,
    Nothing,
}

impl Attempts {
    /// Reads what the process that works in the spool tells.
    pub(super) fn read(hand: &Hand<'_>, process: Option<u32>) -> Attempts {
        let Some(process) = process else { return Attempts::default() };
        match hand.view().retry_report() {
            Ok(Some(retry_report)) if retry_report.process == process => Attempts::of(retry_report),
            // One that was killed left it, or nothing failed.
            Ok(_) => Attempts::default(),
            Err(error) => {
                Attempts { unknown: Some(Chain(&error).to_string()), ..Attempts::default() }
            }
        }
    }

    /// Returns what a retry report tells.
    pub(super) fn of(retry_report: RetryReport) -> Attempts {
        let mut runs: HashMap<RunId, Vec<RetryAttempt>> = HashMap::new();
        for attempt in retry_report.attempts {
            runs.entry(attempt.run.clone()).or_default().push(attempt);
        }
        Attempts { api: retry_report.api, unknown: None, runs }
    }

    /// Returns what of a run is tried again that is in this folder.
    pub(super) fn of_run(&self, folder: Folder, run: &RunId, need: Need) -> RunAttempts {
        let mut found = RunAttempts::default();
        if need == Need::Person {
            return found;
        }
        let told = self.runs.get(run).into_iter().flatten();
        // One that has moved on since is tried there for the first time.
        for RetryAttempt { plugin, retry: again, .. } in
            told.filter(|attempt| attempt.folder == folder)
        {
            found.add(*again);
            if let Some(plugin) = plugin.clone() {
                found.plugins.push(PluginAttempt { plugin, again: *again });
            }
        }
        if let (Some(api), Need::Api) = (self.api, need) {
            // It is tried when both it and the API are.
            let own = found.next_attempt.unwrap_or(api.next_attempt);
            found.waits_for_api = own <= api.next_attempt;
            found.add(api);
            found.next_attempt = Some(own.max(api.next_attempt));
        }
        found
    }
}

impl RunAttempts {
    fn add(&mut self, again: RetryTime) {
        self.failures = self.failures.max(Some(again.failures));
        let next = self.next_attempt.unwrap_or(again.next_attempt);
        self.next_attempt = Some(next.min(again.next_attempt));
    }

    /// Says when it is tried again, for people; nothing if nothing failed.
    pub(super) fn told(&self, now: Timestamp) -> Option<String> {
        let (failures, next_attempt) = (self.failures?, self.next_attempt?);
        if self.waits_for_api {
            return Some(format!("waits for the API, which is tried {}", Next(next_attempt, now)));
        }
        if self.plugins.is_empty() {
            return Some(tried(RetryTime { failures, next_attempt }, now));
        }
        let plugins = self.plugins.iter();
        let told = plugins.map(|each| format!("{} {}", each.plugin, tried(each.again, now)));
        Some(told.collect::<Vec<_>>().join("; "))
    }
}

/// Says how often something was tried, and when it is again.
pub(super) fn tried(RetryTime { failures, next_attempt }: RetryTime, now: Timestamp) -> String {
    let next = Next(next_attempt, now);
    match failures {
        1 => format!("tried once, {next}"),
        _ => format!("tried {failures} times, {next}"),
    }
}

/// The time of an attempt, and the present time.
struct Next(Timestamp, Timestamp);

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Next(at, now) = self;
        // It is being tried, or waits for its turn.
        if at <= now { f.write_str("again by now") } else { write!(f, "again at {at}") }
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
    fn a_run_tells_how_often_it_was_tried_and_when_it_is_again() {
        let run = "job.20261122T120000Z".parse().unwrap();
        for (api, waiting, need, told) in [
            (None, &[][..], Need::Api, None),
            (None, &[(None, 1, 5)][..], Need::Nothing, Some("tried once, again at :05Z")),
            (None, &[(None, 2, 0)], Need::Nothing, Some("tried 2 times, again by now")),
            (None, &[(None, 2, 5)], Need::Person, None),
            (Some(7), &[], Need::Nothing, None),
            (Some(7), &[], Need::Person, None),
            (Some(7), &[], Need::Api, Some("waits for the API, which is tried again at :07Z")),
            (Some(0), &[], Need::Api, Some("waits for the API, which is tried again by now")),
            // The later of the two counts.
            (
                Some(7),
                &[(None, 1, 5)],
                Need::Api,
                Some("waits for the API, which is tried again at :07Z"),
            ),
            (Some(7), &[(None, 4, 9)], Need::Api, Some("tried 4 times, again at :09Z")),
            (
                Some(7),
                &[(Some("mail"), 4, 9), (Some("log"), 1, 8)],
                Need::Nothing,
                Some("mail tried 4 times, again at :09Z; log tried once, again at :08Z"),
            ),
        ] {
            let found = attempts(api, waiting).of_run(Folder::Returned, &run, need);
            let shown = found.told(at(0)).map(|told| told.replace("2026-11-22T12:00", ""));
            assert_eq!(shown.as_deref(), told, "{api:?} {waiting:?} {need:?}");
        }
    }

    #[test]
    fn a_run_with_plugins_has_the_earliest_attempt_of_them() {
        let attempts = attempts(None, &[(Some("mail"), 4, 9), (Some("log"), 1, 8)]);
        let run = "job.20261122T120000Z".parse().unwrap();
        let found = attempts.of_run(Folder::Returned, &run, Need::Nothing);
        assert_eq!((found.failures, found.next_attempt), (Some(4), Some(at(8))));
        assert_eq!(found.plugins.len(), 2);
        // Elsewhere, it is another attempt.
        let elsewhere = attempts.of_run(Folder::New, &run, Need::Nothing);
        assert_eq!(elsewhere, RunAttempts::default());
    }
}
