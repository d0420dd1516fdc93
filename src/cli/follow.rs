//! A run on its way through the spool, each move shown as it happens.
//!
//! Hints tell which folders the run has passed, also those that it has left again
//! before anybody could look; where it is now is on the disk.

use std::fmt::Display;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use slog::{Discard, Logger, o};

use super::failure::Failure;
use super::hand::Hand;
use super::installation::machine_zone;
use super::output;
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::names::RunId;
use crate::spool::{Family, Folder, Layout, Record, Run};
use crate::wake::Hint;
use crate::watch::{WatchError, Watcher};

/// How often the spool is looked at in any case: seldom if it is watched, else so that a move is
/// seen soon.
const LOOK_SPAN: (Duration, Duration) = (Duration::from_secs(10), Duration::from_millis(500));
/// How far hints may be behind the disk.
const LAG_SPAN: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Finished(Box<Record>),
    /// It is a dead letter, for this reason.
    Invalid(String),
    Removed,
}

/// What came of a look at the run.
#[derive(Debug)]
pub(crate) enum Step {
    Moved,
    /// It is where it was.
    Still,
    Ended(Ending),
}

/// Follows a run; made before the run is, so that no move is missed.
#[derive(Debug)]
pub(crate) struct Follower<'a> {
    hand: &'a Hand<'a>,
    id: RunId,
    hints: Receiver<Hint>,
    watcher: Option<Watcher>,
    // Never read: it keeps the channel open where nothing is watched.
    _sender: Sender<Hint>,
    moves: Moves,
}

impl<'a> Follower<'a> {
    /// Returns a follower of the run `id`.
    pub(crate) fn new(hand: &'a Hand<'a>, id: &RunId) -> Follower<'a> {
        let (sender, hints) = channel();
        let watcher = watch(hand.layout, sender.clone());
        if let Err(error) = &watcher {
            output::message(Chain(error));
        }
        Follower {
            hand,
            id: id.clone(),
            hints,
            watcher: watcher.ok(),
            _sender: sender,
            moves: Moves::default(),
        }
    }

    /// Shows the run's moves until it has ended.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn follow(mut self) -> Result<Ending, Failure> {
        loop {
            if let Step::Ended(ending) = self.step(LOOK_SPAN.0)? {
                return Ok(ending);
            }
        }
    }

    /// Waits for hints, `span` at the most, then looks where the run is; shows its moves.
    ///
    /// # Errors
    /// The spool cannot be read.
    pub(crate) fn step(&mut self, span: Duration) -> Result<Step, Failure> {
        let span = if self.watcher.is_some() { span } else { span.min(LOOK_SPAN.1) };
        let mut has_moved = self.listen(span)?;
        let (mut action, mut command) = self.look()?;
        if [&action, &command].into_iter().flatten().any(|run| self.moves.is_news(run.folder())) {
            // The disk is ahead of the hints, which may yet tell what was passed on the way.
            has_moved |= self.listen(LAG_SPAN)?;
            (action, command) = self.look()?;
        }
        for folder in [&action, &command].into_iter().flatten().map(Run::folder) {
            let moved = self.moves.arrive(folder);
            has_moved |= self.show(moved)?;
        }
        Ok(match self.ending(action, command) {
            Some(ending) => Step::Ended(ending),
            None if has_moved => Step::Moved,
            None => Step::Still,
        })
    }

    /// Shows what hints tell, from the first, for which it waits `span`, until there are no more.
    fn listen(&mut self, span: Duration) -> Result<bool, Failure> {
        let mut has_moved = false;
        let mut next = self.hints.recv_timeout(span);
        while let Ok(hint) = next {
            if let Some(folder) = self.place(&hint) {
                let moved = self.moves.pass(folder);
                has_moved |= self.show(moved)?;
            }
            if hint == Hint::Everything {
                self.watch_again();
            }
            next = self.hints.recv_timeout(LAG_SPAN);
        }
        Ok(has_moved)
    }

    /// Watches all folders again, one of which is another one now; what changed meanwhile is found by the
    /// look that follows. Where that fails, the spool is looked at as often as if nothing were watched.
    fn watch_again(&mut self) {
        let Some(watcher) = &mut self.watcher else { return };
        if watch_all(watcher, self.hand.layout).is_err() {
            self.watcher = None;
        }
    }

    /// Returns the files of the run that count, in the order of the flow.
    fn look(&self) -> Result<(Option<Run>, Option<Run>), Failure> {
        let view = self.hand.view();
        let action = view.counting(&self.id, Family::Action)?;
        let command = view.counting(&self.id, Family::Command)?;
        Ok((action, command))
    }

    fn ending(&self, action: Option<Run>, command: Option<Run>) -> Option<Ending> {
        let record = |run: Run| Box::new(run.into_record());
        match (action, command) {
            (_, Some(run)) if run.folder() == Folder::CommandDone => {
                Some(Ending::Finished(record(run)))
            }
            (_, Some(_)) => None,
            (Some(run), None) if run.folder() == Folder::Invalid => {
                Some(Ending::Invalid(self.reason(run.into_record())))
            }
            (Some(run), None)
                if run.folder() == Folder::ActionDone && !run.record().has_results() =>
            {
                Some(Ending::Finished(record(run)))
            }
            (Some(_), None) => None,
            (None, None) => Some(Ending::Removed),
        }
    }

    /// Returns why the run is a dead letter: its record says so, or a note beside it.
    fn reason(&self, record: Record) -> String {
        let noted = record.reason.or_else(|| self.hand.reason(&self.id)).or(record.error);
        noted.unwrap_or_else(|| "somebody moved it there".to_owned())
    }

    /// Returns the folder in which a hint saw the run.
    fn place(&self, hint: &Hint) -> Option<Folder> {
        let Hint::Path(path) = hint else { return None };
        let (folder, name) = self.hand.layout.locate(path)?;
        (name == self.id.file_name().as_str()).then_some(folder)
    }

    /// Shows a move, and tells whether there was one.
    fn show(&self, moved: Option<Moved>) -> Result<bool, Failure> {
        let Some(Moved { from, to }) = moved else { return Ok(false) };
        let from = from.map_or(String::new(), |from| format!("{from} "));
        tell(format!("{from}→ {to}  {}", self.id))?;
        Ok(true)
    }
}

/// Shows what has just happened, with the time of day.
pub(crate) fn tell(event: impl Display) -> Result<(), Failure> {
    let time = SystemClock.now().to_zoned(machine_zone().0).strftime("%H:%M:%S");
    output::answer(format!("{time}  {event}"))
}

fn watch(layout: &Layout, sender: Sender<Hint>) -> Result<Watcher, WatchError> {
    let log = Logger::root(Discard, o!());
    let mut watcher = Watcher::start(&log, move |hint| {
        // The follower has gone: so will the watcher.
        sender.send(hint).ok();
    })?;
    watch_all(&mut watcher, layout)?;
    Ok(watcher)
}

fn watch_all(watcher: &mut Watcher, layout: &Layout) -> Result<(), WatchError> {
    Folder::ALL.into_iter().try_for_each(|folder| watcher.watch(&layout.folder(folder)))
}

/// A move that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moved {
    from: Option<Folder>,
    to: Folder,
}

/// Where the run was last, in each family.
#[derive(Debug, Default)]
struct Moves {
    action: Option<Folder>,
    command: Option<Folder>,
}

impl Moves {
    /// Notes that the run is in a folder.
    fn arrive(&mut self, folder: Folder) -> Option<Moved> {
        let action = self.action;
        let last = self.last(folder);
        if *last == Some(folder) {
            return None;
        }
        // Results begin where the action is.
        let from = last.or(action);
        *last = Some(folder);
        Some(Moved { from, to: folder })
    }

    /// Notes that the run was in a folder, which it may have left again: news only if it is further on.
    fn pass(&mut self, folder: Folder) -> Option<Moved> {
        let at = |folder: Folder| folder.family().folders().iter().position(|f| *f == folder);
        let is_ahead = self.last(folder).is_none_or(|last| at(folder) > at(last));
        // Into a dead letter leads no way on: whether it is one is seen when it is there.
        (is_ahead && folder != Folder::Invalid).then(|| self.arrive(folder)).flatten()
    }

    /// Tells whether the run is not known to be in a folder.
    fn is_news(&mut self, folder: Folder) -> bool {
        *self.last(folder) != Some(folder)
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

    fn moved(from: impl Into<Option<Folder>>, to: Folder) -> Option<Moved> {
        Some(Moved { from: from.into(), to })
    }

    #[test]
    fn each_move_is_told_once_whether_seen_or_heard_of() {
        let mut moves = Moves::default();
        assert_eq!(moves.arrive(Folder::New), moved(None, Folder::New));
        assert_eq!(moves.pass(Folder::New), None);
        assert_eq!(moves.pass(Folder::ActionInflight), moved(Folder::New, Folder::ActionInflight));
        // It left `new`, which was heard of late.
        assert_eq!(moves.pass(Folder::New), None);
        assert_eq!(moves.arrive(Folder::ActionInflight), None);
        assert_eq!(moves.pass(Folder::Ready), moved(Folder::ActionInflight, Folder::Ready));
        let done = moved(Folder::ActionInflight, Folder::ActionDone);
        assert_eq!(moves.arrive(Folder::ActionDone), done);
        assert_eq!(moves.arrive(Folder::CommandDone), moved(Folder::Ready, Folder::CommandDone));
    }

    #[test]
    fn a_move_back_is_told_when_it_is_seen() {
        let mut moves = Moves::default();
        moves.arrive(Folder::Invalid);
        assert_eq!(moves.pass(Folder::New), None);
        assert_eq!(moves.arrive(Folder::New), moved(Folder::Invalid, Folder::New));
        assert_eq!(moves.pass(Folder::Invalid), None);
    }
}
