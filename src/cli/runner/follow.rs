//! Follows a run through the spool and prints each of its moves.
//!
//! Inotify hints name the folders that the run has passed, including those that it left again
//! before they could be read. Where the run is now comes from the disk alone.

use std::fmt::Display;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use slog::{Discard, Logger, o};

use super::installation::machine_zone;
use super::spool_access::SpoolAccess;
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::names::RunId;
use crate::spool::{Family, Folder, Layout, Record, Run};
use crate::wake::Hint;
use crate::watch::{WatchError, Watcher};

/// Maximum time between two reads of the spool while it is watched.
const WATCHED_INTERVAL: Duration = Duration::from_secs(10);
/// The same without a watch: short, so that moves are shown promptly.
const UNWATCHED_INTERVAL: Duration = Duration::from_millis(500);
/// Maximum time by which a hint arrives after the change on disk.
const HINT_DELAY: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum RunEnd {
    Finished(Box<Record>),
    /// The run is a dead letter, for this reason.
    DeadLetter(String),
    Removed,
}

/// The result of one step.
#[derive(Debug)]
pub(crate) enum Progress {
    Moved,
    Unchanged,
    Ended(RunEnd),
}

/// Follows one run. It must be created before the run, or moves are missed.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    spool: &'a SpoolAccess<'a>,
    id: RunId,
    hints: Receiver<Hint>,
    watcher: Option<Watcher>,
    // Never read: it keeps the channel open while nothing is watched.
    _sender: Sender<Hint>,
    position: Position,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(spool: &'a SpoolAccess<'a>, id: &RunId) -> Follower<'a> {
        let (sender, hints) = channel();
        let watcher = watch(spool.layout, sender.clone());
        if let Err(error) = &watcher {
            output::message(Chain(error));
        }
        Follower {
            spool,
            id: id.clone(),
            hints,
            watcher: watcher.ok(),
            _sender: sender,
            position: Position::default(),
        }
    }

    /// Prints the run's moves until it has ended.
    pub(super) fn follow(mut self) -> Result<RunEnd, Failure> {
        loop {
            if let Progress::Ended(end) = self.step(WATCHED_INTERVAL)? {
                return Ok(end);
            }
        }
    }

    /// Waits at most `timeout` for hints, then reads where the run is and prints its moves.
    pub(crate) fn step(&mut self, timeout: Duration) -> Result<Progress, Failure> {
        let is_watched = self.watcher.is_some();
        let timeout = if is_watched { timeout } else { timeout.min(UNWATCHED_INTERVAL) };
        let mut has_moved = self.take_hints(timeout)?;
        let (mut action, mut command) = self.locate()?;
        let is_news = |run: &Run| !self.position.is_at(run.folder());
        if [&action, &command].into_iter().flatten().any(is_news) {
            // The disk is ahead of the hints, which may still name folders passed on the way.
            has_moved |= self.take_hints(HINT_DELAY)?;
            (action, command) = self.locate()?;
        }
        for folder in [&action, &command].into_iter().flatten().map(Run::folder) {
            let moved = self.position.arrive(folder);
            has_moved |= self.print_move(moved)?;
        }
        Ok(match self.end(action, command) {
            Some(end) => Progress::Ended(end),
            None if has_moved => Progress::Moved,
            None => Progress::Unchanged,
        })
    }

    /// Waits at most `timeout` for a first hint, and prints the moves that it and all following
    /// hints name. Returns whether there was one.
    fn take_hints(&mut self, timeout: Duration) -> Result<bool, Failure> {
        let mut has_moved = false;
        let mut next = self.hints.recv_timeout(timeout);
        while let Ok(hint) = next {
            if let Some(folder) = self.folder_of(&hint) {
                let moved = self.position.pass(folder);
                has_moved |= self.print_move(moved)?;
            }
            if hint == Hint::Everything {
                self.rewatch();
            }
            next = self.hints.recv_timeout(HINT_DELAY);
        }
        Ok(has_moved)
    }

    /// Watches all folders again after one of them was replaced. The next read of the spool finds
    /// what changed meanwhile. If this fails, the spool is read as often as without a watch.
    fn rewatch(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if watch_all(watcher, self.spool.layout).is_err() {
            self.watcher = None;
        }
    }

    /// Returns the file of the run that counts in each family, action and command.
    fn locate(&self) -> Result<(Option<Run>, Option<Run>), Failure> {
        let view = self.spool.view();
        let action = view.counting(&self.id, Family::Action)?;
        let command = view.counting(&self.id, Family::Command)?;
        Ok((action, command))
    }

    fn end(&self, action: Option<Run>, command: Option<Run>) -> Option<RunEnd> {
        let record = |run: Run| Box::new(run.into_record());
        match (action, command) {
            (_, Some(run)) if run.folder() == Folder::CommandDone => {
                Some(RunEnd::Finished(record(run)))
            }
            (_, Some(_)) => None,
            (Some(run), None) if run.folder() == Folder::Invalid => {
                Some(RunEnd::DeadLetter(self.reason(run.into_record())))
            }
            (Some(run), None)
                if run.folder() == Folder::ActionDone && !run.record().has_results() =>
            {
                Some(RunEnd::Finished(record(run)))
            }
            (Some(_), None) => None,
            (None, None) => Some(RunEnd::Removed),
        }
    }

    /// Returns why the run is a dead letter, from its record or from the `.reason` file beside it.
    fn reason(&self, record: Record) -> String {
        let known = record.reason.or_else(|| self.spool.reason(&self.id)).or(record.error);
        known.unwrap_or_else(|| "another process or user moved it there".to_owned())
    }

    /// Returns the folder that a hint names, if the hint is about the run.
    fn folder_of(&self, hint: &Hint) -> Option<Folder> {
        let Hint::Path(path) = hint else { return None };
        let (folder, name) = self.spool.layout.locate(path)?;
        (name == self.id.file_name().as_str()).then_some(folder)
    }

    /// Prints a move, and returns whether there was one.
    fn print_move(&self, moved: Option<Move>) -> Result<bool, Failure> {
        let Some(Move { from, to }) = moved else { return Ok(false) };
        let from = from.map_or(String::new(), |from| format!("{from} "));
        print_event(format!("{from}→ {to}  {}", self.id))?;
        Ok(true)
    }
}

/// Prints an event with the present time of day.
pub(crate) fn print_event(event: impl Display) -> Result<(), Failure> {
    let time = SystemClock.now().to_zoned(machine_zone().0).strftime("%H:%M:%S");
    output::answer(format!("{time}  {event}"))
}

fn watch(layout: &Layout, sender: Sender<Hint>) -> Result<Watcher, WatchError> {
    let log = Logger::root(Discard, o!());
    let mut watcher = Watcher::start(&log, move |hint| {
        // Fails only after the follower was dropped, and its watcher is dropped with it.
        sender.send(hint).ok();
    })?;
    watch_all(&mut watcher, layout)?;
    Ok(watcher)
}

fn watch_all(watcher: &mut Watcher, layout: &Layout) -> Result<(), WatchError> {
    Folder::ALL.into_iter().try_for_each(|folder| watcher.watch(&layout.folder(folder)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Move {
    from: Option<Folder>,
    to: Folder,
}

/// The last known folder of the run in each family.
#[derive(Debug, Default)]
struct Position {
    action: Option<Folder>,
    command: Option<Folder>,
}

impl Position {
    /// Records that the run is in a folder, and returns the move unless it was there before.
    fn arrive(&mut self, folder: Folder) -> Option<Move> {
        let action = self.action;
        let last = self.last(folder);
        if *last == Some(folder) {
            return None;
        }
        // The first folder of the command family follows the folder of the action.
        let from = last.or(action);
        *last = Some(folder);
        Some(Move { from, to: folder })
    }

    /// Records that the run was in a folder, which it may have left since; returns the move if that
    /// folder is further on than the last known one.
    fn pass(&mut self, folder: Folder) -> Option<Move> {
        let at = |folder: Folder| folder.family().folders().iter().position(|f| *f == folder);
        let is_ahead = self.last(folder).is_none_or(|last| at(folder) > at(last));
        // Not for `invalid`: a run does not pass it on its way to another folder.
        (is_ahead && folder != Folder::Invalid).then(|| self.arrive(folder)).flatten()
    }

    fn is_at(&self, folder: Folder) -> bool {
        let last = match folder.family() {
            Family::Action => self.action,
            Family::Command => self.command,
        };
        last == Some(folder)
    }

    fn last(&mut self, folder: Folder) -> &mut Option<Folder> {
        match folder.family() {
            Family::Action => &mut self.action,
            Family::Command => &mut self.command,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(from: impl Into<Option<Folder>>, to: Folder) -> Option<Move> {
        Some(Move { from: from.into(), to })
    }

    #[test]
    fn each_move_is_reported_once() {
        let mut position = Position::default();
        assert_eq!(position.arrive(Folder::New), moved(None, Folder::New));
        assert_eq!(position.pass(Folder::New), None);
        assert_eq!(
            position.pass(Folder::ActionInflight),
            moved(Folder::New, Folder::ActionInflight)
        );
        // A late hint about a folder that the run has left.
        assert_eq!(position.pass(Folder::New), None);
        assert_eq!(position.arrive(Folder::ActionInflight), None);
        assert_eq!(position.pass(Folder::Ready), moved(Folder::ActionInflight, Folder::Ready));
        let done = moved(Folder::ActionInflight, Folder::ActionDone);
        assert_eq!(position.arrive(Folder::ActionDone), done);
        assert_eq!(position.arrive(Folder::CommandDone), moved(Folder::Ready, Folder::CommandDone));
    }

    #[test]
    fn move_back_is_reported_only_from_disk() {
        let mut position = Position::default();
        position.arrive(Folder::Invalid);
        assert_eq!(position.pass(Folder::New), None);
        assert_eq!(position.arrive(Folder::New), moved(Folder::Invalid, Folder::New));
        assert_eq!(position.pass(Folder::Invalid), None);
    }
}
