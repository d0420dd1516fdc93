//! `action/done`: a run that a person put there is collected, although scans do not list the folder.
//!
//! The folder holds every finished run, so a scan that listed it would cost more each day. It is
//! watched instead. All of it is reviewed at start, after events were lost and on SIGHUP, on a thread
//! of its own. Where it cannot be watched, a scan has it reviewed if it has changed since the last
//! review; only files that changed since then are read.
//!
//! **Failure.** A review that failed is repeated at the next scan.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::error;

use super::Event;
use super::engine::Engine;
use super::trouble::Place;
use crate::chain::Chain;
use crate::clock::{before, elapsed};
use crate::disk::{Disk, Stamp, trust};
use crate::names::RunId;
use crate::spool::{Folder, Layout, SpoolError, View, run_id};
use crate::stage::prune::DAY;

/// How many names one review brings back; the rest is brought back by the next one.
const FOUND_MAX: usize = 1000;
/// How many of our own moves are remembered until their events come.
const OWN_MAX: usize = 1024;
/// How old a change of a folder must be for the next one to have another time.
const GRAIN: Duration = Duration::from_secs(2);
/// How far the clocks of the file system and of this machine may differ.
const SKEW: Duration = DAY;

/// What is known of `action/done`.
#[derive(Debug)]
pub(super) struct Review {
    /// Whether the next scan has the folder reviewed in any case.
    is_due: bool,
    is_under_way: bool,
    /// When the folder had changed and when that was, at the last review that succeeded.
    reviewed: Option<(Timestamp, Timestamp)>,
    /// The same of the review that is under way.
    begun: Option<(Timestamp, Timestamp)>,
    /// Runs that the engine moved there; events for their files are ignored.
    own: BTreeMap<RunId, Stamp>,
}

/// What a review found: names to look at, and whether there were too many for one review.
#[derive(Debug)]
pub(crate) struct Found {
    names: Vec<OsString>,
    is_cut: bool,
}

impl Review {
    /// Returns the state of a folder that was not reviewed yet.
    pub(super) fn new() -> Review {
        Review {
            is_due: true,
            is_under_way: false,
            reviewed: None,
            begun: None,
            own: BTreeMap::new(),
        }
    }

    /// Has all of the folder reviewed at the next scan: something may have been missed.
    pub(super) fn renew(&mut self) {
        (self.is_due, self.reviewed) = (true, None);
        self.own.clear();
    }

    /// Notes a move of our own, whose event is ignored where the folder is watched.
    pub(super) fn expect(&mut self, id: &RunId, stamp: Stamp) {
        if self.own.len() >= OWN_MAX {
            // An event that comes late costs a read of its file.
            self.own.clear();
        }
        self.own.insert(id.clone(), stamp);
    }

    /// Returns whether the engine itself put this file there.
    pub(super) fn is_own(&self, name: &OsStr, stamp: Option<Stamp>) -> bool {
        let own = run_id(name).and_then(|id| self.own.get(&id).copied());
        own.is_some() && own == stamp
    }

    /// Returns whether all of the folder was reviewed.
    #[cfg(test)]
    pub(super) fn is_settled(&self) -> bool {
        !self.is_due && !self.is_under_way
    }

    /// Returns how many moves are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.own.len()
    }

    /// Returns whether a folder that last changed at `modified` need not be reviewed again.
    fn is_current(&self, modified: Timestamp) -> bool {
        let is_same =
            |(seen, at): (Timestamp, Timestamp)| seen == modified && elapsed(seen, at) >= GRAIN;
        !self.is_due && self.reviewed.is_some_and(is_same)
    }
}

impl Engine {
    /// Has `action/done` reviewed if something there may not have been seen.
    pub(super) fn review(&mut self) {
        let folder = self.parts.spool.layout().folder(Folder::ActionDone);
        if self.review.is_under_way || (!self.review.is_due && self.is_watched(&folder)) {
            return;
        }
        let modified = match self.parts.spool.disk().find(&folder) {
            Ok(meta) => meta.map_or(Timestamp::MIN, |meta| meta.modified),
            Err(error) => return self.review_failed(&SpoolError::from(error)),
        };
        if self.review.is_current(modified) {
            return;
        }
        let since = self.review.reviewed.map(|(_, at)| before(at, SKEW));
        self.review.is_due = false;
        self.review.begun = Some((modified, self.parts.clock.now()));
        let (disk, layout) = (self.parts.spool.disk().clone(), self.parts.spool.layout().clone());
        let Some(events) = self.events.clone() else {
            return self.reviewed(find(&disk, &layout, since));
        };
        self.review.is_under_way = true;
        let read = move || {
            // The engine has gone only when the process is about to.
            events.send(Event::Reviewed(find(&disk, &layout, since))).ok();
        };
        if let Err(error) = thread::Builder::new().name("review".to_owned()).spawn(read) {
            error!(self.parts.log, "cannot start a review of action/done"; "error" => Chain(&error));
            (self.review.is_under_way, self.review.is_due) = (false, true);
        }
    }

    /// Looks at what a review found.
    pub(crate) fn reviewed(&mut self, found: Result<Found, SpoolError>) {
        self.review.is_under_way = false;
        match found {
            Ok(Found { names, is_cut }) => {
                self.troubles.over(&Place::Folder(Folder::ActionDone));
                if is_cut || self.review.is_due {
                    self.review.is_due = true;
                } else {
                    self.review.reviewed = self.review.begun;
                }
                self.look_at_all(Folder::ActionDone, &names);
            }
            Err(error) => self.review_failed(&error),
        }
    }

    fn review_failed(&mut self, error: &SpoolError) {
        self.review.is_due = true;
        self.troubled(super::scan::UNSEEN, Place::Folder(Folder::ActionDone), error);
    }
}

/// Finds files in `action/done` that changed after `since` and are not runs that were collected.
fn find(disk: &Disk, layout: &Layout, since: Option<Timestamp>) -> Result<Found, SpoolError> {
    let view = View::new(layout, disk, trust::own_user());
    let (mut names, mut is_cut, mut failed) = (Vec::new(), false, None);
    view.visit(Folder::ActionDone, &mut |name| {
        if is_cut || failed.is_some() {
            return;
        }
        match is_news(&view, name, since) {
            Ok(true) if names.len() < FOUND_MAX => names.push(name.to_owned()),
            Ok(is_news) => is_cut = is_news,
            Err(error) => failed = Some(error),
        }
    })?;
    failed.map_or(Ok(Found { names, is_cut }), Err)
}

fn is_news(view: &View<'_>, name: &OsStr, since: Option<Timestamp>) -> Result<bool, SpoolError> {
    if let Some(since) = since {
        let stamp = view.stamp(Folder::ActionDone, name)?;
        if stamp.is_none_or(|stamp| stamp.changed < since) {
            return Ok(false);
        }
    }
    Ok(!view.is_collected(name)?)
}
