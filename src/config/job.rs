//! `entity.cfg`: when a job runs and what becomes of its results.
//!
//! Schedule and time zone stay text here: what they mean is known where jobs are
//! loaded, which is asked for it while the file is read.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::duration::Keep;
use super::fault::{ConfigError, Fault};
use super::reader::{Located, Reader, Section};
use super::runner::{AGE_SPAN, TIMEOUT_SPAN, WAIT_SPAN};
use crate::names::PluginName;

const DAY_SECONDS: u64 = 86_400;
/// How long an action runs if the job does not say.
const EXPIRY_DEFAULT_SPAN: Duration = Duration::from_secs(300);
/// Bounds of how long an action runs: the platform counts whole seconds.
const EXPIRY_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * DAY_SECONDS);
/// Bounds of the delay that spreads a slot over hosts.
const SPLAY_SPAN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * DAY_SECONDS);
/// Bounds of how long a run may wait to be sent.
const DEADLINE_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * DAY_SECONDS);

/// The settings of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobConfig {
    pub(crate) schedule: Located<String>,
    /// The zone of the schedule; `None` means the machine's.
    pub(crate) timezone: Option<Located<String>>,
    /// The plugins that take its results, each once, in the order of the file.
    pub(crate) plugins: Vec<PluginName>,
    /// How long its action runs.
    pub(crate) expiry: Duration,
    /// Whether nothing is collected after the action was sent.
    pub(crate) send_only: bool,
    /// The longest delay of a slot on this host.
    pub(crate) splay: Duration,
    /// What becomes of a slot that passed while nobody looked.
    pub(crate) missed: Missed,
    /// What becomes of a slot while an earlier run is under way.
    pub(crate) overlap: Overlap,
    /// Whether its slots pass without a run.
    pub(crate) paused: bool,
    /// How long a run may wait to be sent; `None`: until the next slot.
    pub(crate) deadline: Option<Duration>,
    /// Whether results are collected before expiry; `None`: as the runner's configuration says.
    pub(crate) early_results: Option<bool>,
    /// How long to wait after expiry; `None`: as the runner's configuration says.
    pub(crate) delay_results: Option<Duration>,
    /// How long a plugin may run; `None`: as the runner's configuration says.
    pub(crate) plugin_timeout: Option<Duration>,
    /// Which results are kept; `None`: as the runner's configuration says.
    pub(crate) keep_results: Option<Keep>,
}

/// What becomes of a slot that passed while nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    Skip,
    /// The last of them runs at once.
    Once,
}

/// What becomes of a slot while an earlier run is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// It runs beside the earlier one.
    Allow,
    /// It is left out.
    Skip,
}

impl JobConfig {
    /// Reads the text of `file`; `understand` tells what its schedule and zone mean, so that what is
    /// wrong with them is told together with all else that is wrong.
    pub(crate) fn parse<T>(
        text: &[u8],
        file: &Path,
        understand: impl FnOnce(&JobConfig) -> Result<T, Vec<Fault>>,
    ) -> Result<(JobConfig, T), ConfigError> {
        let mut reader = Reader::new(text);
        let config = reader.section("configuration", JobConfig::read);
        let understood = config.and_then(|config| match understand(&config) {
            Ok(meaning) => Some((config, meaning)),
            Err(faults) => {
                reader.refuse(faults);
                None
            }
        });
        reader.finish(file, understood)
    }

    fn read(section: &mut Section<'_>) -> Option<JobConfig> {
        let schedule = section.required("schedule", "\"0 * * * *\"");
        let mut plugins: Vec<PluginName> = Vec::new();
        for plugin in section.names("plugin") {
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
        }
        let has_schedule = schedule.is_some();
        // Built even without one: a key that is not asked for would be called unknown.
        let config = JobConfig {
            schedule: schedule.unwrap_or_default(),
            timezone: section.text("timezone"),
            plugins,
            expiry: section.duration("expiry", &EXPIRY_SPAN).unwrap_or(EXPIRY_DEFAULT_SPAN),
            send_only: section.flag("sendonly").unwrap_or(false),
            splay: section.duration("splay", &SPLAY_SPAN).unwrap_or_default(),
            missed: section
                .choice("missed", &[("skip", Missed::Skip), ("once", Missed::Once)])
                .unwrap_or(Missed::Skip),
            overlap: section
                .choice("overlap", &[("allow", Overlap::Allow), ("skip", Overlap::Skip)])
                .unwrap_or(Overlap::Allow),
            paused: section.flag("paused").unwrap_or(false),
            deadline: section.duration("deadline", &DEADLINE_SPAN),
            early_results: section.flag("earlyresults"),
            delay_results: section.duration("delayresults", &WAIT_SPAN),
            plugin_timeout: section.duration("plugintimeout", &TIMEOUT_SPAN),
            keep_results: section.keep("keepresults", &AGE_SPAN),
        };
        has_schedule.then_some(config)
    }
}

#[cfg(test)]
mod tests;
