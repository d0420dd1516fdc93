//! Scans of the jobs: reads changed jobs into the calendar, and acts on the changes.

use std::path::Path;

use jiff::Timestamp;
use slog::info;

use super::disk_errors::{DiskErrors, Subject};
use super::index::Index;
use super::job_calendar::ScanScope;
use super::settings::Parts;
use super::watches::Watches;
use crate::job::change::Change;
use crate::spool::SpoolError;

/// The parts of the engine that a scan of the jobs changes.
#[derive(Debug)]
pub(super) struct JobScan<'a> {
    pub(super) parts: &'a mut Parts,
    pub(super) watches: &'a mut Watches,
    pub(super) index: &'a mut Index,
    pub(super) errors: &'a mut DiskErrors,
}

impl JobScan<'_> {
    /// Scans all jobs, or one.
    pub(super) fn scan(&mut self, scope: &ScanScope<'_>, now: Timestamp) {
        let Parts { calendar, spool, log, .. } = &mut *self.parts;
        match calendar.scan(scope, self.watches.jobs(), spool, now, log) {
            Ok(changes) => {
                self.errors.clear(&Subject::Jobs);
                let path = match scope {
                    ScanScope::All(_) => None,
                    ScanScope::Path(path) => Some(*path),
                };
                self.act_on(&changes, path, now);
            }
            Err(error) => {
                let error = SpoolError::from(error);
                self.errors.report("cannot read jobs folder", Subject::Jobs, &error, now);
            }
        }
    }

    /// Scans again the job folders that were incomplete or invalid.
    pub(super) fn rescan_rejected(&mut self, now: Timestamp) {
        let Parts { calendar, spool, log, .. } = &mut *self.parts;
        let changes = calendar.rescan_rejected(self.watches.jobs(), spool, now, log);
        // This runs in every turn, so the watches are compared only after a change.
        if !changes.is_empty() {
            self.act_on(&changes, None, now);
        }
    }

    /// Watches the folders of new jobs, of all or of the one that `path` leads into, and scans
    /// them: a change between the last scan and the new watch has caused no event.
    pub(super) fn watch_new(&mut self, path: Option<&Path>, now: Timestamp) {
        let Parts { calendar, spool, .. } = &*self.parts;
        for folder in self.watches.watch_jobs(spool.disk(), calendar, path) {
            self.scan(&ScanScope::Path(&folder), now);
        }
    }

    fn act_on(&mut self, changes: &[Change], path: Option<&Path>, now: Timestamp) {
        for change in changes {
            match change {
                Change::Removed(job) | Change::Broken { old: Some(job), .. } => {
                    if self.index.has_open(&job.name) {
                        info!(self.parts.log, "results of the unfinished run will still be stored";
                            "job" => %job.name);
                    }
                }
                Change::Added(_)
                | Change::Changed { .. }
                | Change::Skipped(_)
                | Change::Broken { old: None, .. } => {}
            }
        }
        if !changes.is_empty() {
            // Runs may have been waiting for their job, or for its pause to end.
            self.index.schedule_new(now);
        }
        self.watch_new(path, now);
    }
}
