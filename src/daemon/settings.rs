//! What the daemon is built from: settings, and the services that it uses.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use slog::Logger;

use super::job_calendar::JobCalendar;
use crate::clock::Clock;
use crate::config::runner::RetentionSettings;
use crate::spool::Spool;
use crate::stage::launch::RunDefaults;

/// The part of the configuration that the engine needs.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The runner's directory, as an absolute path.
    pub(crate) directory: PathBuf,
    /// Time between two full scans.
    pub(crate) check_span: Duration,
    /// Time during which an unanswered POST may still take effect on the platform.
    pub(crate) settle: Duration,
    /// Time limit for fetching the results of a run.
    pub(crate) fetch_giveup: Duration,
    /// Time limit for delivering the results of a run to a plugin.
    pub(crate) delivery_giveup: Duration,
    /// Settings of runs whose job does not override them.
    pub(crate) defaults: RunDefaults,
    /// Maximum number of workers in each of the two pools that use the API.
    pub(crate) parallel: usize,
    /// Maximum number of plugins that run at the same time.
    pub(crate) plugins: usize,
    /// Retention of finished runs, dead letters and results.
    pub(crate) retention: RetentionSettings,
}

/// The settings, spool, jobs, clock and log of an engine.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) spool: Spool,
    pub(crate) calendar: JobCalendar,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) log: Logger,
}

impl Settings {
    /// Returns the folder that holds one folder per job.
    pub(super) fn runners(&self) -> PathBuf {
        self.directory.join("runners")
    }
}

/// Reopens the log.
pub(crate) struct Reopen(pub(crate) Box<dyn Fn() + Send>);

impl std::fmt::Debug for Reopen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reopen")
    }
}
