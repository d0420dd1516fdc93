//! `launch`: creates a run in `action/new` for a job whose slot is due.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock::after;
use crate::job::Job;
use crate::names::RunId;
use crate::spool::{Launch, Origin, Record, Settings};

/// Minimum time that a run may wait to be sent, if the job sets no deadline.
const DEADLINE_MIN: Duration = Duration::from_secs(3600);
/// Validity of an action that has no job.
const EXPIRY: Duration = Duration::from_secs(300);

/// Settings that apply unless a job overrides them.
#[derive(Debug, Clone)]
pub(crate) struct RunDefaults {
    /// Delay between an action's expiry and the fetch of its results.
    pub(crate) delay_results: Option<Duration>,
    /// Whether results are fetched as soon as all agents have answered.
    pub(crate) early_results: bool,
    /// Time limit of a plugin.
    pub(crate) plugin_timeout: Duration,
    /// Time that a run without a job may wait to be sent.
    pub(crate) deadline: Duration,
}

impl RunDefaults {
    pub(crate) fn new(
        delay_results: Option<Duration>,
        early_results: bool,
        plugin_timeout: Duration,
    ) -> RunDefaults {
        RunDefaults { delay_results, early_results, plugin_timeout, deadline: DEADLINE_MIN }
    }

    /// Returns the settings of a run that has no job.
    pub(crate) fn settings(&self, deadline: Timestamp) -> Settings {
        Settings {
            expiry: EXPIRY,
            send_only: false,
            delay_results: self.delay_results,
            early_results: self.early_results,
            deadline,
            plugin_timeout: self.plugin_timeout,
        }
    }
}

/// Returns the first record of a run of `job`, with a copy of everything that the run will need.
/// `next` is the job's next slot after this one.
pub(crate) fn record(
    job: &Job,
    id: RunId,
    origin: Origin,
    defaults: &RunDefaults,
    now: Timestamp,
    next: Option<Timestamp>,
) -> Record {
    let config = &job.config;
    let deadline = match config.deadline {
        Some(span) => after(now, span),
        None => after(now, DEADLINE_MIN).max(next.unwrap_or(now)),
    };
    let launch = Launch {
        id,
        origin,
        name: job.name.clone(),
        template: job.action.to_string(),
        action_name: action_name(job.name.as_str()),
        verbatim: false,
        settings: Settings {
            expiry: config.expiry,
            send_only: config.send_only,
            delay_results: config.delay_results.or(defaults.delay_results),
            early_results: config.early_results.unwrap_or(defaults.early_results),
            deadline,
            plugin_timeout: config.plugin_timeout.unwrap_or(defaults.plugin_timeout),
        },
        plugins: config.plugins.clone(),
    };
    Record::new(launch, now)
}

/// Returns the name that the actions of a job have on the platform.
pub(crate) fn action_name(job: &str) -> String {
    format!("mig-runner: {job}")
}
