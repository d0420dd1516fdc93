//! The numbers of finished runs, for the metrics, without listing their folders each time.
//!
//! A thread of its own counts them at start, once an hour and after expired runs were removed.
//! Between two counts, the engine adds the runs that it moves there itself.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use slog::{Logger, error};

use super::Event;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::disk::{Disk, trust};
use crate::metrics::FolderLevel;
use crate::names::RunId;
use crate::spool::{Folder, Layout, Run, Spool, SpoolError, View};

/// Delay after a count until the next one.
const COUNT_SPAN: Duration = Duration::from_secs(3600);
/// Delay after a failed count until the next one.
const RETRY_SPAN: Duration = Duration::from_secs(60);

/// The number of runs in a folder, and the slot of the oldest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RunCount {
    entries: usize,
    oldest: Option<Timestamp>,
}

impl RunCount {
    fn add(&mut self, slot: Timestamp) {
        self.entries = self.entries.saturating_add(1);
        self.oldest = Some(self.oldest.map_or(slot, |oldest| oldest.min(slot)));
    }

    /// Returns the count in the form of the metrics.
    pub(super) fn level(self, folder: Folder) -> FolderLevel {
        FolderLevel { folder: folder.path(), entries: self.entries, oldest: self.oldest }
    }

    /// Counts the runs in a folder.
    pub(super) fn read(view: &View<'_>, folder: Folder) -> Result<RunCount, SpoolError> {
        let mut count = RunCount::default();
        view.visit_ids(folder, &mut |id: RunId| count.add(id.slot()))?;
        Ok(count)
    }
}

/// The counts of the two folders of finished runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FinishedCounts {
    action: RunCount,
    command: RunCount,
}

impl FinishedCounts {
    fn read(disk: &Disk, layout: &Layout) -> Result<FinishedCounts, SpoolError> {
        let view = View::new(layout, disk, trust::own_user());
        Ok(FinishedCounts {
            action: RunCount::read(&view, Folder::ActionDone)?,
            command: RunCount::read(&view, Folder::CommandDone)?,
        })
    }
}

/// Keeps the counts of finished runs up to date.
#[derive(Debug, Default)]
pub(super) struct FinishedCounter {
    counts: Option<FinishedCounts>,
    last_count: Option<Timestamp>,
    is_under_way: bool,
    has_failed: bool,
}

impl FinishedCounter {
    /// Returns the count of a folder of finished runs, `Some(None)` before the first count, and
    /// `None` for any other folder.
    pub(super) fn count(&self, folder: Folder) -> Option<Option<RunCount>> {
        match folder {
            Folder::ActionDone => Some(self.counts.map(|counts| counts.action)),
            Folder::CommandDone => Some(self.counts.map(|counts| counts.command)),
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
        let Some(counts) = &mut self.counts else { return };
        match run.folder() {
            Folder::ActionDone => counts.action.add(run.record().id.slot()),
            Folder::CommandDone => counts.command.add(run.record().id.slot()),
            Folder::New
            | Folder::Invalid
            | Folder::ActionInflight
            | Folder::Ready
            | Folder::CommandInflight
            | Folder::Returned => {}
        }
    }

    /// Makes the next count due at once.
    pub(super) fn recount(&mut self) {
        self.last_count = None;
    }

    /// Starts a count if one is due. The result arrives as an event; without `events`, it is stored
    /// at once.
    pub(super) fn start_if_due(
        &mut self,
        spool: &Spool,
        now: Timestamp,
        events: Option<&Sender<Event>>,
        log: &Logger,
    ) {
        if !self.is_due(now) {
            return;
        }
        self.last_count = Some(now);
        let (disk, layout) = (spool.disk().clone(), spool.layout().clone());
        let Some(events) = events.cloned() else {
            self.finish(FinishedCounts::read(&disk, &layout), log);
            return self.recount();
        };
        let count = move || {
            // The receiver is dropped only when the process is about to end.
            events.send(Event::FinishedCounted(FinishedCounts::read(&disk, &layout))).ok();
        };
        match thread::Builder::new().name("count".to_owned()).spawn(count) {
            Ok(_) => self.is_under_way = true,
            Err(error) => {
                self.has_failed = true;
                error!(log, "cannot count finished runs"; "error" => Chain(&error));
            }
        }
    }

    /// Stores the result of a count.
    pub(super) fn finish(&mut self, counts: Result<FinishedCounts, SpoolError>, log: &Logger) {
        self.is_under_way = false;
        self.has_failed = counts.is_err();
        match counts {
            Ok(counts) => self.counts = Some(counts),
            Err(error) => error!(log, "cannot count finished runs"; "error" => Chain(&error)),
        }
    }

    /// Returns whether a count is due.
    fn is_due(&self, now: Timestamp) -> bool {
        let span = if self.has_failed { RETRY_SPAN } else { COUNT_SPAN };
        let is_recent = |last| last <= now && elapsed(last, now) < span;
        !self.is_under_way && !self.last_count.is_some_and(is_recent)
    }

    /// Returns whether the first count is still under way.
    pub(super) fn is_first_under_way(&self) -> bool {
        self.is_under_way && self.counts.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_count_is_repeated_after_a_minute() {
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        for (has_failed, second, is_due) in [
            (false, 3599, false),
            (false, 3600, true),
            (true, 59, false),
            (true, 60, true),
            // The clock was set back.
            (false, -1, true),
        ] {
            let counter = FinishedCounter {
                last_count: Some(at(0)),
                has_failed,
                ..FinishedCounter::default()
            };
            assert_eq!(counter.is_due(at(second)), is_due, "{has_failed} {second}");
        }
        let under_way = FinishedCounter { is_under_way: true, ..FinishedCounter::default() };
        assert!(!under_way.is_due(at(0)));
    }
}
