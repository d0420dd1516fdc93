//! Reads the commands of an action, page by page, several pages at once.
//!
//! The API computes all of a page before it sends its first byte, so a second
//! page that is asked for meanwhile comes almost free. The document has them in
//! page order: the page whose turn it is goes straight into the part. Of one that
//! is early, what its commands add up to waits in memory, and they themselves as
//! far as they are few; the rest of them in a file beside the part.
//!
//! The first answer tells how many commands there are. From then on the pages are
//! planned, and nobody asks for the one after the last: it costs the API as much
//! as any other.
//!
//! **Invariant.** The part is at every moment the beginning of the document, so
//! that whatever ends a read, the next one goes on where the part ends.

mod early;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::value::RawValue;

use super::document::{Part, Tally};
use super::fetch::FetchError;
use crate::api::{Api, ApiError, Page};
use crate::clock::{Clock, elapsed};
use crate::disk::{Disk, DiskError};
use crate::names::ActionId;
use crate::wake::Stop;
use early::Early;

/// How long a page may take before smaller ones are asked for.
const SLOW_SPAN: Duration = Duration::from_secs(10);
/// The fewest commands that slowness alone makes us ask for: every request has a price of its own.
const PAGE_SIZE_MIN: u32 = 25;
/// The most pages that are ever asked for at once.
const LANES_MAX: u32 = 8;

/// What a read needs.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) api: &'a dyn Api,
    pub(super) disk: &'a Disk,
    pub(super) clock: &'a dyn Clock,
    /// Ends the read at the next command.
    pub(super) stop: &'a Stop,
    pub(super) id: ActionId,
    /// Its name, which every command must bear.
    pub(super) action_name: &'a str,
    /// How many pages are asked for at once.
    pub(super) pages: u32,
}

/// Where a read came to its end.
#[derive(Debug)]
pub(super) struct End {
    /// The part, as far as it goes.
    pub(super) part: Part,
    /// How many commands the action has.
    pub(super) sent: u64,
    /// How many commands are to be asked for at once from now on.
    pub(super) page_size: u32,
    /// Why it ended too early, if it did.
    pub(super) failure: Option<FetchError>,
}

/// What the lanes of a read share. Only the lane whose page has its turn uses the part.
struct Shared {
    part: Mutex<Part>,
    state: Mutex<State>,
    changed: Condvar,
    path: PathBuf,
}

struct State {
    /// The number and the offset of the page that is asked for next.
    next: (u64, u64),
    /// The number of the page that goes into the part.
    turn: u64,
    size: u32,
    /// 0 as long as nobody said.
    sent: u64,
    is_over: bool,
    failure: Option<(u64, FetchError)>,
}

/// A page that is asked for.
#[derive(Debug, Clone, Copy)]
struct Span {
    number: u64,
    from: u64,
    size: u32,
}

impl Span {
    fn end(self) -> u64 {
        self.from.saturating_add(u64::from(self.size))
    }
}

impl Reader<'_> {
    /// Reads all pages from the offset `from` on into `part`, `page_size` commands each.
    pub(super) fn read(&self, part: Part, from: u64, page_size: u32) -> End {
        let shared = Shared::new(part, from, page_size);
        if shared.state().sent == 0 {
            // The first answer tells how many pages there are.
            self.serve_next(&shared, 0);
        }
        thread::scope(|scope| {
            for lane in 1..shared.lanes(self.pages.min(LANES_MAX)) {
                let (named, shared) = (thread::Builder::new().name("page".to_owned()), &shared);
                let lane = move || while self.serve_next(shared, lane) {};
                if named.spawn_scoped(scope, lane).is_err() {
                    // With fewer lanes it only takes longer.
                    break;
                }
            }
            while self.serve_next(&shared, 0) {}
        });
        shared.end()
    }

    /// Reads the next page, if there is one; tells whether there was.
    fn serve_next(&self, shared: &Shared, lane: u32) -> bool {
        let Some(page) = shared.take() else { return false };
        let mut early = None;
        let served = match self.read_page(shared, lane, page, &mut early) {
            Ok((offset, is_last)) => self.hand_in(shared, page, early.as_mut(), offset, is_last),
            Err(error) => {
                // From now on no page after it is begun; what came of it need not come again.
                shared.fail(page, error);
                self.salvage(shared, page, early.as_mut())
            }
        };
        let removed = early.map_or(Ok(()), |early| early.remove(self.disk));
        if let Err(error) = served.and(removed.map_err(FetchError::from)) {
            shared.fail(page, error);
        }
        true
    }

    /// Moves what came of a page that failed into the part, when it is its turn.
    fn salvage(
        &self,
        shared: &Shared,
        page: Span,
        early: Option<&mut Early>,
    ) -> Result<(), FetchError> {
        let Some(early) = early else { return Ok(()) };
        shared.wait_for_turn(page)?;
        Ok(early.drain(self.disk, &mut shared.part())?)
    }

    /// Reads a page; returns the offset after it, and whether there was nothing more.
    fn read_page(
        &self,
        shared: &Shared,
        lane: u32,
        page: Span,
        early: &mut Option<Early>,
    ) -> Result<(u64, bool), FetchError> {
        let mut offset = page.from;
        loop {
            if self.stop.asked() {
                return Err(FetchError::Stopped);
            }
            let limit = u32::try_from(page.end().saturating_sub(offset)).unwrap_or(page.size);
            let mut refused = None;
            let began = self.clock.now();
            let answer = self.api.commands(self.id, offset, limit, &mut |command| {
                self.add(shared, lane, page, command, early).map_err(|error| {
                    refused = Some(error);
                    io::Error::other("the document does not take the command")
                })
            });
            let timed_out = answer.as_ref().is_err_and(ApiError::is_timeout);
            if timed_out || elapsed(began, self.clock.now()) > SLOW_SPAN {
                shared.slow_down(page.size);
            }
            if let Some(error) = refused {
                return Err(error);
            }
            let Page { items, sent } = answer?;
            offset = offset.saturating_add(items);
            let sent = shared.learn(sent);
            // Some servers give less than they are asked for: what is left is asked for again.
            if items == 0 || offset >= page.end().min(sent) {
                return Ok((offset, items == 0));
            }
        }
    }

    /// Takes a command: into the part if the page has its turn, else into the file where it waits.
    fn add(
        &self,
        shared: &Shared,
        lane: u32,
        page: Span,
        command: &RawValue,
        early: &mut Option<Early>,
    ) -> Result<(), FetchError> {
        if self.stop.asked() {
            return Err(FetchError::Stopped);
        }
        let tally = Tally::of(command.get(), self.action_name)?;
        if shared.has_turn(page)? {
            let mut part = shared.part();
            if let Some(early) = early {
                early.drain(self.disk, &mut part)?;
            }
            return Ok(part.add(&tally, command.get())?);
        }
        let early = match early {
            Some(early) => early,
            None => early.insert(Early::new(early_path(&shared.path, lane))),
        };
        Ok(early.push(self.disk, tally, command.get())?)
    }

    /// Waits for the page's turn and ends it: what it holds is durable then.
    fn hand_in(
        &self,
        shared: &Shared,
        page: Span,
        early: Option<&mut Early>,
        offset: u64,
        is_last: bool,
    ) -> Result<(), FetchError> {
        shared.wait_for_turn(page)?;
        let mut part = shared.part();
        if let Some(early) = early {
            early.drain(self.disk, &mut part)?;
        }
        part.sync()?;
        let is_complete = |sent| sent > 0 && part.len() >= sent;
        let mut state = shared.state();
        state.turn = state.turn.saturating_add(1);
        if state.sent == 0 {
            state.next.1 = offset;
        }
        state.is_over |= is_last || is_complete(state.sent);
        shared.changed.notify_all();
        Ok(())
    }
}

impl Shared {
    fn new(part: Part, from: u64, size: u32) -> Shared {
        let (sent, path) = (part.sent(), part.path().to_owned());
        let is_over = sent > 0 && part.len() >= sent;
        let state = State { next: (0, from), turn: 0, size, sent, is_over, failure: None };
        let (part, state) = (Mutex::new(part), Mutex::new(state));
        Shared { part, state, changed: Condvar::new(), path }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many lanes are of use.
    fn lanes(&self, most: u32) -> u32 {
        let state = self.state();
        let left = state.sent.saturating_sub(state.next.1).div_ceil(u64::from(state.size.max(1)));
        most.min(u32::try_from(left).unwrap_or(most))
    }

    /// Returns the next page to be asked for.
    fn take(&self) -> Option<Span> {
        let mut state = self.state();
        let (number, from) = state.next;
        let is_planned = state.sent == 0 || from < state.sent;
        if state.is_over || state.failure.is_some() || !is_planned {
            return None;
        }
        let page = Span { number, from, size: state.size };
        state.next = (number.saturating_add(1), page.end());
        Some(page)
    }

    /// Notes how many commands an answer says that there are; returns the most that any said.
    fn learn(&self, sent: Option<u64>) -> u64 {
        let mut state = self.state();
        state.sent = state.sent.max(sent.unwrap_or(0));
        state.sent
    }

    /// Notes that pages of this size take too long.
    fn slow_down(&self, size: u32) {
        let mut state = self.state();
        state.size = state.size.min((size / 2).max(PAGE_SIZE_MIN.min(size)));
    }

    /// Tells whether it is the page's turn to go into the part.
    ///
    /// # Errors
    /// It will never be: a page before it failed.
    fn has_turn(&self, page: Span) -> Result<bool, FetchError> {
        self.state().has_turn(page)
    }

    fn wait_for_turn(&self, page: Span) -> Result<(), FetchError> {
        let mut state = self.state();
        while !state.has_turn(page)? {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Notes why a page failed; of several the first in the document counts, because those after it
    /// may have failed because of it.
    fn fail(&self, page: Span, error: FetchError) {
        let mut state = self.state();
        if state.failure.as_ref().is_none_or(|(failed, _)| page.number < *failed) {
            state.failure = Some((page.number, error));
        }
        self.changed.notify_all();
    }

    fn end(self) -> End {
        let mut part = self.part.into_inner().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failure = state.failure.map(|(_, error)| error);
        // What came before the failure need not come again; that it came is no reason to lose sight of it.
        let kept = if failure.is_some() { part.sync().map_err(FetchError::from) } else { Ok(()) };
        let sent = state.sent.max(part.len());
        End { part, sent, page_size: state.size, failure: failure.or(kept.err()) }
    }
}

impl State {
    fn has_turn(&self, page: Span) -> Result<bool, FetchError> {
        match &self.failure {
            Some((failed, _)) if *failed < page.number => Err(FetchError::Stopped),
            _ => Ok(self.turn == page.number),
        }
    }
}

fn early_path(part: &Path, lane: u32) -> PathBuf {
    part.with_extension(format!("part-{lane}"))
}

/// Removes the pages that a crash left waiting beside a part: they are asked for again.
pub(super) fn sweep(disk: &Disk, part: &Path) -> Result<(), DiskError> {
    for lane in 0..LANES_MAX {
        let path = early_path(part, lane);
        if disk.find(&path)?.is_some() {
            disk.unlink(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
