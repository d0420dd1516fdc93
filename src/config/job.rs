//! `entity.cfg`: when a job runs and what happens to its results.
//!
//! Schedule and time zone remain text here. The loader of jobs interprets them, through a function
//! that is called while the file is parsed, and does not keep the text.

use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::duration::Keep;
use super::fault::{ConfigError, ConfigFault};
use super::reader::{Located, Reader, Section};
use super::runner::{AGE_SPAN, TIMEOUT_SPAN, WAIT_SPAN};
use crate::names::PluginName;

const DAY_SECONDS: u64 = 86_400;
/// Default validity period of an action.
const EXPIRY_DEFAULT_SPAN: Duration = Duration::from_secs(300);
/// Bounds of the validity period: the platform counts whole seconds.
const EXPIRY_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * DAY_SECONDS);
/// Bounds of `splay`.
const SPLAY_SPAN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(7 * DAY_SECONDS);
/// Bounds of `deadline`.
const DEADLINE_SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(365 * DAY_SECONDS);

/// When a job runs, as written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Timing {
    pub(crate) schedule: Located<String>,
    /// `None` means the machine's time zone.
    pub(crate) timezone: Option<Located<String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct JobConfig {
    /// Whether it sets a time zone; otherwise that of the machine is used.
    pub(crate) has_timezone: bool,
    /// The plugins that process the results, without repetitions, in file order.
    pub(crate) plugins: Vec<PluginName>,
    /// The validity period of the action.
    pub(crate) expiry: Duration,
    /// Whether to send the action without collecting results.
    pub(crate) send_only: bool,
    /// Maximum delay of a run after its slot on this host.
    pub(crate) splay: Duration,
    pub(crate) missed: Missed,
    pub(crate) overlap: Overlap,
    /// Whether to skip all slots.
    pub(crate) paused: bool,
    /// Maximum time that a run waits to be sent; `None` means until the next slot.
    pub(crate) deadline: Option<Duration>,
    /// Whether to collect results before expiry; `None` means as in `runner.cfg`.
    pub(crate) early_results: Option<bool>,
    /// Delay between expiry and fetching; `None` means as in `runner.cfg`.
    pub(crate) delay_results: Option<Duration>,
    /// Time limit of plugins; `None` means as in `runner.cfg`.
    pub(crate) plugin_timeout: Option<Duration>,
    /// Which results to keep; `None` means as in `runner.cfg`.
    pub(crate) keep_results: Option<Keep>,
}

/// What to do with a slot that passed while the daemon was not running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Missed {
    Skip,
    /// Run the last of them immediately.
    Once,
}

/// What to do with a slot while an earlier run of the job is unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Overlap {
    /// Run it concurrently.
    Allow,
    Skip,
}

impl JobConfig {
    /// Parses the text of `file`. `interpret` interprets the schedule and time zone, so that their
    /// faults are reported together with all others.
    pub(crate) fn parse<T>(
        text: &[u8],
        file: &Path,
        interpret: impl FnOnce(Timing) -> Result<T, Vec<ConfigFault>>,
    ) -> Result<(JobConfig, T), ConfigError> {
        let mut reader = Reader::new(text);
        let config = reader.section("configuration", JobConfig::read);
        let interpreted = config.and_then(|(config, timing)| match interpret(timing) {
            Ok(meaning) => Some((config, meaning)),
            Err(faults) => {
                reader.add_faults(faults);
                None
            }
        });
        reader.finish(file, interpreted)
    }

    fn read(section: &mut Section<'_>) -> Option<(JobConfig, Timing)> {
        let schedule = section.required("schedule", "\"0 * * * *\"");
        let mut plugins: Vec<PluginName> = Vec::new();
        for plugin in section.names("plugin") {
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
        }
        let timezone = section.text("timezone");
        // Built even without a schedule: keys that are not queried would be reported as unknown.
        let config = JobConfig {
            has_timezone: timezone.is_some(),
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
        Some((config, Timing { schedule: schedule?, timezone }))
    }
}

#[cfg(test)]
mod tests;
