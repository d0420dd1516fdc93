//! How many runs are finished, for the metrics: their folders are not listed each time.
//!
//! They are counted on a thread of its own, at start, once an hour and after old runs were removed.
//! Between two counts, the engine adds what it moves there itself.

use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::error;

use super::Event;
use super::engine::Engine;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::disk::{Disk, trust};
use crate::metrics::FolderLevel;
use crate::names::RunId;
use crate::spool::{Folder, Layout, Run, SpoolError, View};

/// How long after a count the runs are counted again.
const COUNT_SPAN: Duration = Duration::from_secs(3600);
/// How long after a count that failed the runs are counted again.
const RETRY_SPAN: Duration = Duration::from_secs(60);

/// How many runs a folder has, and the slot of the oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    entries: usize,
    oldest: Option<Timestamp>,
}

impl Level {
    fn add(&mut self, slot: Timestamp) {
        self.entries = self.entries.saturating_add(1);
        self.oldest = Some(self.oldest.map_or(slot, |oldest| oldest.min(slot)));
    }

    /// Returns the level as the metrics have it.
    pub(super) fn of(self, folder: Folder) -> FolderLevel {
        FolderLevel { folder: folder.path(), entries: self.entries, oldest: self.oldest }
    }

    /// Counts the runs in a folder.
    pub(super) fn count(view: &View<'_>, folder: Folder) -> Result<Level, SpoolError> {
        let mut level = Level::default();
        view.visit_ids(folder, &mut |id: RunId| level.add(id.slot()))?;
        Ok(level)
    }
}

/// What is in the two folders of finished runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    action: Level,
    command: Level,
}

impl Finished {
    fn count(disk: &Disk, layout: &Layout) -> Result<Finished, SpoolError> {
        let view = View::new(layout, disk, trust::own_user());
        Ok(Finished {
            action: Level::count(&view, Folder::ActionDone)?,
            command: Level::count(&view, Folder::CommandDone)?,
        })
    }
}

/// What was counted last, and since when.
#[derive(Debug, Default)]
pub(super) struct Tally {
    finished: Option<Finished>,
    counted: Option<Timestamp>,
    is_under_way: bool,
    has_failed: bool,
}

impl Tally {
    /// Returns the level of a folder of finished runs, once it was counted; `None` of any other folder.
    pub(super) fn level(&self, folder: Folder) -> Option<Option<Level>> {
        match folder {
            Folder::ActionDone => Some(self.finished.map(|finished| finished.action)),
            Folder::CommandDone => Some(self.finished.map(|finished| finished.command)),
            Folder::New
            | Folder::Invalid
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => None,
        }
    }

    /// Adds a run that the engine moved.
    pub(super) fn add(&mut self, run: &Run) {
        let Some(finished) = &mut self.finished else { return };
        match run.folder() {
            Folder::ActionDone => finished.action.add(run.record().id.slot()),
            Folder::CommandDone => finished.command.add(run.record().id.slot()),
            Folder::New
            | Folder::Invalid
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => {}
        }
    }

    /// Makes the next count due at once.
    pub(super) fn renew(&mut self) {
        self.counted = None;
    }

    /// Returns whether the runs are to be counted now.
    fn is_due(&self, now: Timestamp) -> bool {
        let span = if self.has_failed { RETRY_SPAN } else { COUNT_SPAN };
        let is_recent = |counted| counted <= now && elapsed(counted, now) < span;
        !self.is_under_way && !self.counted.is_some_and(is_recent)
    }

    /// Returns whether the first count has not ended yet.
    pub(super) fn is_awaited(&self) -> bool {
        self.is_under_way && self.finished.is_none()
    }
}

impl Engine {
    /// Has finished runs counted if that is due.
    pub(super) fn count_finished(&mut self, now: Timestamp) {
        if !self.tally.is_due(now) {
            return;
        }
        self.tally.counted = Some(now);
        let (disk, layout) = (self.parts.spool.disk().clone(), self.parts.spool.layout().clone());
        let Some(events) = self.events.clone() else {
            self.counted(Finished::count(&disk, &layout));
            return self.tally.renew();
        };
        let count = move || {
            // The engine has gone only when the process is about to.
            events.send(Event::Counted(Finished::count(&disk, &layout))).ok();
        };
        match thread::Builder::new().name("count".to_owned()).spawn(count) {
            Ok(_) => self.tally.is_under_way = true,
            Err(error) => {
                self.tally.has_failed = true;
                error!(self.parts.log, "cannot count finished runs"; "error" => Chain(&error));
            }
        }
    }

    /// Takes what was counted.
    pub(crate) fn counted(&mut self, finished: Result<Finished, SpoolError>) {
        self.tally.is_under_way = false;
        self.tally.has_failed = finished.is_err();
        match finished {
            Ok(finished) => self.tally.finished = Some(finished),
            Err(error) => {
                error!(self.parts.log, "cannot count finished runs"; "error" => Chain(&error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_failed_is_repeated_soon() {
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        for (has_failed, second, is_due) in [
            (false, 3599, false),
            (false, 3600, true),
            (true, 59, false),
            (true, 60, true),
            // The clock was set back.
            (false, -1, true),
        ] {
            let tally = Tally { counted: Some(at(0)), has_failed, ..Tally::default() };
            assert_eq!(tally.is_due(at(second)), is_due, "{has_failed} {second}");
        }
        let under_way = Tally { is_under_way: true, ..Tally::default() };
        assert!(!under_way.is_due(at(0)));
    }
}
