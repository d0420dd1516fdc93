//! Scans of the spool and the jobs: the paths that hints name, and periodically everything.
//!
//! **Invariant.** A file is read again only if its inode, size or time of change has changed, so
//! that the engine's own moves and reads cause no further work.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::mpsc::Sender;
use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::Engine;
use crate::chain::escape;
use crate::clock::{after, elapsed};
use crate::daemon::Event;
use crate::daemon::adoption::{adopt_inflight, claim_action};
use crate::daemon::disk_errors::Subject;
use crate::daemon::done_review::UncollectedFiles;
use crate::daemon::error::DaemonError;
use crate::daemon::index::Key;
use crate::daemon::job_calendar::ScanScope;
use crate::daemon::job_scan::JobScan;
use crate::daemon::settings::Parts;
use crate::disk::Stamp;
use crate::disk::ignored_names::is_ignored;
use crate::job::folders::Depth;
use crate::spool::run_id;
use crate::spool::{Family, Folder, Run, Seen, SpoolError};
use crate::stage::claim;
use crate::wake::Hint;

/// Maximum time until the runner first sees a run that has entered `action/new`.
const DISCOVERY_SPAN_MAX: Duration = Duration::from_secs(60);
/// Log message for a folder that cannot be listed.
const NOT_LISTED: &str = "cannot read spool folder";

impl Engine {
    /// Starts to watch folders: before the first scan, so that no change between the two is missed.
    pub(in crate::daemon) fn watch(&mut self, events: Sender<Event>) {
        self.events = Some(events);
        self.restore_watches();
    }

    fn restore_watches(&mut self) {
        let Some(events) = &self.events else { return };
        let Parts { spool, calendar, .. } = &self.parts;
        let new = self.scan.watches.restore(spool, calendar, events);
        if new.done {
            self.scan.done_review.reset();
        }
        if new.jobs {
            self.scan.depth = Depth::Files;
        }
    }

    /// Reads everything for the first time.
    pub(in crate::daemon) fn start(&mut self) -> Result<(), DaemonError> {
        let now = self.parts.clock.now();
        let Parts { spool, calendar, log, .. } = &mut self.parts;
        self.pruner.check_clock_at_start(spool, now).map_err(SpoolError::from)?;
        calendar.start(spool, now, log)?;
        self.job_scan().watch_new(None, now);
        for job in self.parts.calendar.names() {
            for run in adopt_inflight(&self.parts, &job, now) {
                self.track(run);
            }
        }
        self.scan_spool();
        // This is done even if no run is due, because the runner's own expired files may fill the disk.
        self.check_disk_space();
        self.scan.has_started = true;
        Ok(())
    }

    /// Scans the path of a hint, or everything.
    pub(super) fn follow_hint(&mut self, hint: &Hint) {
        match hint {
            Hint::Path(path) => {
                if !self.scan_spool_path(path) {
                    let now = self.parts.clock.now();
                    self.job_scan().scan(&ScanScope::Path(path), now);
                }
            }
            Hint::Everything => {
                self.scan.watches.discard();
                self.scan.depth = Depth::Files;
                self.scan.done_review.reset();
                self.scan_everything(self.parts.clock.now());
            }
        }
    }

    /// Retries everything and scans everything, the whole of `action/done` included.
    pub(in crate::daemon) fn reload(&mut self) {
        self.retry_now();
        self.scan.done_review.reset();
        self.scan.depth = Depth::Files;
        self.scan_everything(self.parts.clock.now());
    }

    /// Scans all jobs and the whole spool.
    pub(in crate::daemon) fn scan_everything(&mut self, now: Timestamp) {
        if now < self.scan.last {
            // Delays that were set before would last until the clock reaches the old time again.
            warn!(self.parts.log, "clock was set back; retrying everything now";
                "from" => %self.scan.last);
            self.retry_now();
        }
        self.scan.last = now;
        if self.restore_folders(now) {
            // The watches on the old folders have ended as well.
            self.scan.watches.discard();
        }
        self.restore_watches();
        let depth = std::mem::replace(&mut self.scan.depth, Depth::Folders);
        self.job_scan().scan(&ScanScope::All(depth), now);
        self.scan_spool();
    }

    /// Creates the folders of the spool that were removed; returns whether there were any.
    fn restore_folders(&mut self, now: Timestamp) -> bool {
        match self.parts.spool.restore_folders() {
            Ok(has_restored) => {
                self.errors.clear(&Subject::Spool);
                has_restored
            }
            Err(error) => {
                let operation = "cannot create missing spool folders";
                self.errors.report(operation, Subject::Spool, &error, now);
                false
            }
        }
    }

    fn job_scan(&mut self) -> JobScan<'_> {
        JobScan {
            parts: &mut self.parts,
            watches: &mut self.scan.watches,
            index: &mut self.index,
            errors: &mut self.errors,
        }
    }

    /// Scans again the job folders that were incomplete or invalid.
    pub(in crate::daemon) fn rescan_rejected_jobs(&mut self, now: Timestamp) {
        self.job_scan().rescan_rejected(now);
    }

    /// Scans every name in the folders that a stage acts on, and starts a review of `action/done`
    /// if a change there may have been missed.
    fn scan_spool(&mut self) {
        let now = self.parts.clock.now();
        self.parts.spool.disk().retry_folder_syncs();
        self.launcher.retry_slots(&self.parts, &mut self.errors, now);
        self.errors.forget_stale(&self.index);
        for folder in Folder::ALL.into_iter().filter(|folder| folder.is_active()) {
            match self.parts.spool.names(folder) {
                Ok(names) => {
                    self.errors.clear(&Subject::Folder(folder));
                    self.scan_names(folder, &names);
                }
                Err(error) => {
                    self.errors.report(NOT_LISTED, Subject::Folder(folder), &error, now);
                }
            }
        }
        self.review_done(now);
        self.forget_missing(now);
    }

    fn review_done(&mut self, now: Timestamp) {
        let Parts { spool, log, .. } = &self.parts;
        let is_watched = self.scan.watches.has(&spool.layout().folder(Folder::ActionDone));
        let events = self.events.as_ref();
        if let Some(found) = self.scan.done_review.start(spool, is_watched, now, events, log) {
            self.done_reviewed(found);
        }
    }

    /// Scans the files that a review of `action/done` found.
    pub(super) fn done_reviewed(&mut self, found: Result<UncollectedFiles, SpoolError>) {
        let subject = Subject::Folder(Folder::ActionDone);
        match self.scan.done_review.finish(found) {
            Ok(names) => {
                self.errors.clear(&subject);
                self.scan_names(Folder::ActionDone, &names);
            }
            Err(error) => {
                self.errors.report(NOT_LISTED, subject, &error, self.parts.clock.now());
            }
        }
    }

    fn scan_names(&mut self, folder: Folder, names: &[OsString]) {
        self.scan.listed = Some((folder, false));
        for name in names {
            self.scan_name(folder, name);
        }
        self.scan.listed = None;
    }

    /// Forgets runs and other files that disappeared without an event.
    fn forget_missing(&mut self, now: Timestamp) {
        let spool = &self.parts.spool;
        let exists = |folder, name: &OsStr| !matches!(spool.stamp(folder, name), Ok(None));
        self.scan.unindexed.retain(exists);
        self.index.forget_away(now, self.parts.settings.settle);
        let runs = self.index.iter().map(|(key, run)| (key.1.file_name(), run.folder));
        let missing: Vec<_> =
            runs.filter(|(name, folder)| !exists(*folder, name.as_ref())).collect();
        for (name, folder) in missing {
            self.scan_name(folder, name.as_ref());
        }
    }

    /// Scans the path of an event; returns whether it is in the spool.
    fn scan_spool_path(&mut self, path: &Path) -> bool {
        let Some((folder, name)) = self.parts.spool.layout().locate(path) else { return false };
        let name = name.to_owned();
        let is_hidden = name.as_encoded_bytes().starts_with(b".") || is_ignored(&name);
        if !is_hidden && !self.is_own_move(folder, &name) {
            self.scan_name(folder, &name);
        }
        true
    }

    /// Returns whether an event is about a run that the engine itself moved to `action/done`.
    fn is_own_move(&self, folder: Folder, name: &OsStr) -> bool {
        let stamp = || self.parts.spool.stamp(folder, name);
        folder == Folder::ActionDone
            && stamp().is_ok_and(|stamp| self.scan.done_review.is_own_move(name, stamp))
    }

    /// Checks files again that may have to be moved: rejects damaged files that have not changed,
    /// and claims actions.
    pub(in crate::daemon) fn recheck_files(&mut self, now: Timestamp) {
        for (folder, name) in self.scan.unindexed.take_due(now) {
            self.scan.unindexed.begin_recheck(folder, &name);
            self.scan_name(folder, &name);
        }
        self.scan.unindexed.end_recheck();
    }

    /// Returns when the next file is due to be read again.
    pub(in crate::daemon) fn next_recheck(&self) -> Option<Timestamp> {
        self.scan.unindexed.next_due()
    }

    pub(super) fn scan_name(&mut self, folder: Folder, name: &OsStr) {
        if let Err(error) = self.try_scan_name(folder, name) {
            // The next scan reads the file again.
            self.scan.unindexed.forget(folder, name);
            if folder.family() == Family::Action {
                // The run may be in `action/done` by now, which scans do not list.
                self.scan.done_review.reset();
            }
            let subject = Subject::Entry(folder, name.to_string_lossy().into_owned());
            self.errors.report("cannot process entry", subject, &error, self.parts.clock.now());
        }
    }

    fn try_scan_name(&mut self, folder: Folder, name: &OsStr) -> Result<(), SpoolError> {
        let stamp = self.parts.spool.stamp(folder, name)?;
        if stamp.is_some() && stamp == self.known_stamp(folder, name) {
            return Ok(());
        }
        let seen = self.parts.spool.read_entry(folder, name)?;
        if let Some(stamp) = stamp.filter(|_| !matches!(seen, Seen::Run(_))) {
            self.scan.unindexed.note(folder, name, stamp);
        }
        let log = &self.parts.log;
        let entry = format!("{folder}/{}", escape(&name.to_string_lossy()));
        match seen {
            Seen::Gone => self.run_gone(folder, name)?,
            Seen::Run(run) => self.run_found(*run)?,
            // During a scan, claiming many action files would delay runs, so it is done later.
            Seen::Action { .. } if self.scan.listed.is_some() => {
                let now = self.parts.clock.now();
                self.scan.unindexed.recheck_at(now, folder, name);
            }
            Seen::Action { text } => {
                if let Some(stamp) = stamp {
                    self.claim(name, text, stamp)?;
                }
            }
            Seen::Newer(version) => {
                warn!(log, "ignoring entry of a newer version"; "entry" => entry,
                    "version" => version);
            }
            Seen::Unreadable { reason } => {
                warn!(log, "ignoring unreadable entry"; "entry" => entry, "reason" => reason);
            }
            Seen::Foreign => {
                warn!(log, "ignoring file without .json suffix"; "entry" => entry);
            }
            Seen::Damaged { reason, .. } if self.scan.unindexed.is_unchanged(stamp) => {
                self.parts.spool.reject(folder, name, &reason)?;
            }
            Seen::Damaged { changed, .. } => {
                let now = self.parts.clock.now();
                let due = match folder {
                    // Another process may still be writing it. A file that was dated in the future
                    // does not wait longer than others.
                    Folder::New => after(changed.min(now), claim::WRITE_SPAN).max(now),
                    // Other damaged files are checked later too, because many would delay runs.
                    _ => now,
                };
                self.scan.unindexed.recheck_at(due, folder, name);
            }
        }
        Ok(())
    }

    /// Returns the key of the run with this file, if it is in the index.
    fn tracked_in(&self, folder: Folder, name: &OsStr) -> Option<Key> {
        let key = (folder.family(), run_id(name)?);
        self.index.get(&key).is_some_and(|run| run.folder == folder).then_some(key)
    }

    /// Returns the state in which a file was last read.
    fn known_stamp(&self, folder: Folder, name: &OsStr) -> Option<Stamp> {
        match self.tracked_in(folder, name).and_then(|key| self.index.get(&key)) {
            Some(run) => Some(run.stamp),
            None => self.scan.unindexed.stamp(folder, name),
        }
    }

    /// Turns an action file that the operator put into `action/new` into a run.
    fn claim(&mut self, name: &OsStr, text: String, stamp: Stamp) -> Result<(), SpoolError> {
        let now = self.parts.clock.now();
        self.scan.make_durable(&self.parts.spool, Folder::New)?;
        if let Some(run) = claim_action(&self.parts, name, text, stamp, now)? {
            self.track(run);
        }
        Ok(())
    }

    /// Handles a name that no longer exists: the run is in another folder, or was removed.
    fn run_gone(&mut self, folder: Folder, name: &OsStr) -> Result<(), SpoolError> {
        self.scan.unindexed.forget(folder, name);
        let Some(id) = run_id(name) else { return Ok(()) };
        let key = (folder.family(), id);
        if self.index.get(&key).is_none_or(|run| run.folder != folder) {
            return Ok(());
        }
        info!(self.parts.log, "entry was moved by another process"; "run" => %key.1,
            "from" => %folder);
        self.index.forget(&key);
        match self.parts.spool.settle(&key.1, key.0)? {
            Some(run) => self.run_found(run),
            None => Ok(()),
        }
    }

    /// Handles a run that is new, or in another folder than before.
    pub(super) fn run_found(&mut self, run: Run) -> Result<(), SpoolError> {
        let (folder, id) = (run.folder(), run.record().id.clone());
        let run = if self.parts.spool.holders(&id, folder.family())?.len() > 1 {
            match self.parts.spool.settle(&id, folder.family())? {
                Some(run) => run,
                None => return Ok(()),
            }
        } else {
            run
        };
        self.scan.make_durable(&self.parts.spool, run.folder())?;
        if run.folder() == Folder::ActionDone && run.record().collected.is_none() {
            return self.collect_now(run);
        }
        let key = (run.folder().family(), run.record().id.clone());
        let is_put_back = self.is_put_back(&key, &run);
        self.track(run);
        if let (true, Some(attempts)) = (is_put_back, self.index.attempts_mut(&key)) {
            attempts.put_back = true;
            attempts.not_before = Timestamp::MIN;
        }
        Ok(())
    }

    /// Returns whether the operator moved a run out of `action/new` and back, which its record does
    /// not show. A run that is there when the runner starts may have been there all along, and one
    /// that has just entered the folder was launched.
    fn is_put_back(&self, key: &Key, run: &Run) -> bool {
        let waited = elapsed(run.record().entered, self.parts.clock.now());
        self.scan.has_started
            && run.folder() == Folder::New
            && self.index.get(key).is_none()
            && waited >= DISCOVERY_SPAN_MAX
    }
}
