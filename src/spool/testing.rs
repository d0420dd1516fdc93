//! Test helpers: a spool in a temporary folder.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use slog::{Discard, Logger, o};
use tempfile::TempDir;

use super::commit::RunChange;
use super::{Launch, Origin, Record, Run, Settings, Spool, SpoolError, Transition};
use crate::disk::RealFs;
use crate::testing::retried;

/// Returns a new spool, and the folder that contains it.
pub(crate) fn spool() -> (TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path()).unwrap();
    (folder, spool)
}

/// Opens the spool below `folder`.
pub(crate) fn open(folder: &Path) -> Result<Spool, SpoolError> {
    Spool::open(Arc::new(RealFs), &folder.join("spool"), &Logger::root(Discard, o!()))
}

/// Opens the spool below `folder` again after it was dropped.
pub(crate) fn reopen(folder: &Path) -> Result<Spool, SpoolError> {
    retried(|| open(folder), |error| matches!(error, SpoolError::Locked { .. }))
}

impl Spool {
    /// Creates a run in `action/new`.
    pub(crate) fn launch(&self, record: Record) -> Result<Run, SpoolError> {
        self.commit_one(RunChange::launch(record))
    }

    /// Moves a run with an unchanged record.
    pub(crate) fn apply_unchanged(
        &self,
        run: Run,
        transition: Transition,
    ) -> Result<Run, SpoolError> {
        self.commit_one(RunChange::unchanged(run, transition)?)
    }
}

/// Returns the first record of a run of a job without plugins.
pub(crate) fn record(id: &str) -> Record {
    let id: crate::names::RunId = id.parse().unwrap();
    let slot = id.slot();
    Record::new(
        Launch {
            origin: Origin::Schedule,
            name: id.stem().parse().unwrap(),
            template: r#"{"name":"x","target":"status='online'","operations":[]}"#.to_owned(),
            action_name: format!("mig-runner: {}", id.stem()),
            verbatim: false,
            settings: Settings {
                expiry: Duration::from_secs(300),
                send_only: false,
                delay_results: None,
                early_results: false,
                deadline: crate::clock::after(slot, Duration::from_secs(3600)),
                plugin_timeout: Duration::from_secs(300),
            },
            plugins: Vec::new(),
            id,
        },
        slot,
    )
}
