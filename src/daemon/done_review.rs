//! The review of `action/done`: finds runs that the operator moved there to collect their results
//! now.
//!
//! The folder holds every finished run, so a scan that listed it would cost more each day. It is
//! watched instead. The whole folder is reviewed at start, after events were lost and on SIGHUP, in
//! a thread of its own. If the folder cannot be watched, a scan starts a review when the folder has
//! changed since the last one; that review reads only files that have changed since then.
//!
//! **Failure.** A review that failed is repeated at the next scan.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, error};

use super::Event;
use crate::chain::Chain;
use crate::clock::{before, elapsed};
use crate::disk::{Disk, Stamp, trust};
use crate::names::RunId;
use crate::spool::{Folder, Layout, Spool, SpoolError, View, run_id};
use crate::stage::prune::DAY;

/// Maximum number of names that one review returns; the next review returns the rest.
const FOUND_MAX: usize = 1000;
/// Maximum number of the engine's own moves that are remembered.
const OWN_MOVES_MAX: usize = 1024;
/// Resolution of a folder's time of change: a later change within this time may not change it.
const MTIME_RESOLUTION: Duration = Duration::from_secs(2);
/// Maximum difference between the clocks of the file system and of this machine.
const SKEW: Duration = DAY;

/// The state of the review of `action/done`.
#[derive(Debug)]
pub(super) struct DoneReview {
    /// Whether the next scan starts a review in any case.
    is_due: bool,
    is_under_way: bool,
    /// The state of the folder at the last review that succeeded.
    reviewed: Option<FolderState>,
    /// The same for the review that is under way.
    begun: Option<FolderState>,
    /// Runs that the engine moved to `action/done`; events for their files are ignored.
    own_moves: BTreeMap<RunId, Stamp>,
}

/// When the folder had last changed, and when that was read.
#[derive(Debug, Clone, Copy)]
struct FolderState {
    modified: Timestamp,
    read: Timestamp,
}

/// The names of files that are not collected runs.
#[derive(Debug)]
pub(crate) struct UncollectedFiles {
    names: Vec<OsString>,
    /// Whether there are more than one review returns.
    is_cut: bool,
}

impl DoneReview {
    /// Returns the state of a folder that has not been reviewed yet.
    pub(super) fn new() -> DoneReview {
        DoneReview {
            is_due: true,
            is_under_way: false,
            reviewed: None,
            begun: None,
            own_moves: BTreeMap::new(),
        }
    }

    /// Makes the next scan review the whole folder: a change may have been missed.
    pub(super) fn reset(&mut self) {
        (self.is_due, self.reviewed) = (true, None);
        self.own_moves.clear();
    }

    /// Records a move by the engine itself, so that its event is ignored.
    pub(super) fn expect_own_move(&mut self, id: &RunId, stamp: Stamp) {
        if self.own_moves.len() >= OWN_MOVES_MAX {
            // The events of the forgotten moves then cost one read of a file each.
            self.own_moves.clear();
        }
        self.own_moves.insert(id.clone(), stamp);
    }

    /// Returns whether the engine itself moved this file to `action/done`.
    pub(super) fn is_own_move(&self, name: &OsStr, stamp: Option<Stamp>) -> bool {
        let own = run_id(name).and_then(|id| self.own_moves.get(&id).copied());
        own.is_some() && own == stamp
    }

    /// Starts a review if a change in the folder may have been missed. The result arrives as an
    /// event; without `events`, or if no review can be started, it is returned.
    pub(super) fn start(
        &mut self,
        spool: &Spool,
        is_watched: bool,
        now: Timestamp,
        events: Option<&Sender<Event>>,
        log: &Logger,
    ) -> Option<Result<UncollectedFiles, SpoolError>> {
        if self.is_under_way || (!self.is_due && is_watched) {
            return None;
        }
        let (disk, layout) = (spool.disk().clone(), spool.layout().clone());
        let modified = match disk.find(&layout.folder(Folder::ActionDone)) {
            Ok(meta) => meta.map_or(Timestamp::MIN, |meta| meta.modified),
            Err(error) => return Some(Err(error.into())),
        };
        if self.is_current(modified) {
            return None;
        }
        let since = self.reviewed.map(|state| before(state.read, SKEW));
        self.is_due = false;
        self.begun = Some(FolderState { modified, read: now });
        let Some(events) = events.cloned() else { return Some(find(&disk, &layout, since)) };
        self.is_under_way = true;
        let review = move || {
            // The receiver is dropped only when the process is about to end.
            events.send(Event::DoneReviewed(find(&disk, &layout, since))).ok();
        };
        if let Err(error) = thread::Builder::new().name("review".to_owned()).spawn(review) {
            error!(log, "cannot start review of action/done"; "error" => Chain(&error));
            (self.is_under_way, self.is_due) = (false, true);
        }
        None
    }

    /// Ends a review; returns the names that it found.
    pub(super) fn finish(
        &mut self,
        found: Result<UncollectedFiles, SpoolError>,
    ) -> Result<Vec<OsString>, SpoolError> {
        self.is_under_way = false;
        match found {
            Ok(UncollectedFiles { names, is_cut }) => {
                if is_cut || self.is_due {
                    self.is_due = true;
                } else {
                    self.reviewed = self.begun;
                }
                Ok(names)
            }
            Err(error) => {
                self.is_due = true;
                Err(error)
            }
        }
    }

    /// Returns whether the whole folder has been reviewed.
    #[cfg(test)]
    pub(super) fn is_complete(&self) -> bool {
        !self.is_due && !self.is_under_way
    }

    /// Returns the number of remembered moves.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.own_moves.len()
    }

    /// Returns whether a folder that last changed at `modified` need not be reviewed again.
    fn is_current(&self, modified: Timestamp) -> bool {
        let is_same = |state: FolderState| {
            state.modified == modified && elapsed(modified, state.read) >= MTIME_RESOLUTION
        };
        !self.is_due && self.reviewed.is_some_and(is_same)
    }
}

/// Finds files in `action/done` that changed after `since` and are not collected runs.
fn find(
    disk: &Disk,
    layout: &Layout,
    since: Option<Timestamp>,
) -> Result<UncollectedFiles, SpoolError> {
    let view = View::new(layout, disk, trust::own_user());
    let (mut names, mut is_cut, mut failed) = (Vec::new(), false, None);
    view.visit(Folder::ActionDone, &mut |name| {
        if is_cut || failed.is_some() {
            return;
        }
        match is_uncollected(&view, name, since) {
            Ok(true) if names.len() < FOUND_MAX => names.push(name.to_owned()),
            Ok(is_uncollected) => is_cut = is_uncollected,
            Err(error) => failed = Some(error),
        }
    })?;
    failed.map_or(Ok(UncollectedFiles { names, is_cut }), Err)
}

fn is_uncollected(
    view: &View<'_>,
    name: &OsStr,
    since: Option<Timestamp>,
) -> Result<bool, SpoolError> {
    if let Some(since) = since {
        let stamp = view.stamp(Folder::ActionDone, name)?;
        if stamp.is_none_or(|stamp| stamp.changed < since) {
            return Ok(false);
        }
    }
    Ok(!view.is_collected(name)?)
}
