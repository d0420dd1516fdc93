//! Reads the commands of an action page by page, several pages at once.
//!
//! The API computes a whole page before it sends the first byte, so a second page requested
//! meanwhile costs almost no time. Each page is requested by a lane, one of several threads. The
//! document contains the pages in order: the page whose turn it is goes straight into the partial
//! document. A page that arrives before its turn waits: its facts in memory, its commands in memory
//! too if they are few, or else in a file beside the partial document.
//!
//! The first answer says how many commands there are. From then on the pages are planned, and the
//! one after the last is never requested: it costs the API as much as any other.
//!
//! **Invariant.** The partial document is always the beginning of the document, so that the next
//! read can resume at its end, whatever ended the previous read.

mod early;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::document::{CommandFacts, DocumentLimits, PartialDocument};
use super::fetch::outcome::FetchError;
use crate::action::CommandText;
use crate::api::{Api, ApiError, Page};
use crate::clock::{Clock, elapsed};
use crate::disk::{Disk, DiskError};
use crate::names::ActionId;
use crate::wake::Stop;
use early::{EarlyPage, early_path};

/// Duration of a request above which smaller pages are requested.
const SLOW_SPAN: Duration = Duration::from_secs(10);
/// Minimum page size that slow answers lead to, because every request has a fixed cost.
const PAGE_SIZE_MIN: u32 = 25;
/// Maximum number of pages requested at once.
const LANES_MAX: u32 = 8;

/// Reads the pages of one action.
#[derive(Debug)]
pub(super) struct PageReader<'a> {
    pub(super) api: &'a dyn Api,
    pub(super) disk: &'a Disk,
    pub(super) clock: &'a dyn Clock,
    /// Ends the read at the next command when it is set.
    pub(super) stop: &'a Stop,
    pub(super) id: ActionId,
    /// The name that every command's action must have.
    pub(super) action_name: &'a str,
    /// Number of pages requested at once.
    pub(super) pages: u32,
}

/// The state in which a read ended.
#[derive(Debug)]
pub(super) struct ReadEnd {
    pub(super) part: PartialDocument,
    /// Number of commands that the action has.
    pub(super) sent: u64,
    /// Number of commands to request at once from now on.
    pub(super) page_size: u32,
    /// The error that ended the read early.
    pub(super) failure: Option<FetchError>,
}

/// State shared by the lanes. Only the lane whose page has its turn uses the part, the partial
/// document.
struct Shared {
    part: Mutex<PartialDocument>,
    state: Mutex<ReadState>,
    changed: Condvar,
    path: PathBuf,
    limits: DocumentLimits,
}

struct ReadState {
    /// Number and offset of the page to be requested next.
    next: (u64, u64),
    /// Number of the page whose turn it is to go into the part.
    turn: u64,
    size: u32,
    /// 0 until an answer says how many commands there are.
    sent: u64,
    has_ended: bool,
    failure: Option<(u64, FetchError)>,
}

/// A page to be requested.
#[derive(Debug, Clone, Copy)]
struct PageRange {
    number: u64,
    from: u64,
    size: u32,
}

impl PageRange {
    fn end(self) -> u64 {
        self.from.saturating_add(u64::from(self.size))
    }
}

impl PageReader<'_> {
    /// Reads all pages from the offset `from` on into `part`, `page_size` commands at a time.
    pub(super) fn read(&self, part: PartialDocument, from: u64, page_size: u32) -> ReadEnd {
        let shared = Shared::new(part, from, page_size);
        if shared.state().sent == 0 {
            // The first answer says how many pages there are.
            self.serve_next(&shared, 0);
        }
        thread::scope(|scope| {
            for lane in 1..shared.lanes(self.pages.min(LANES_MAX)) {
                let (named, shared) = (thread::Builder::new().name("page".to_owned()), &shared);
                let lane = move || while self.serve_next(shared, lane) {};
                if named.spawn_scoped(scope, lane).is_err() {
                    // Fewer lanes only take longer.
                    break;
                }
            }
            while self.serve_next(&shared, 0) {}
        });
        shared.end()
    }

    /// Reads the next page; returns whether there was one.
    fn serve_next(&self, shared: &Shared, lane: u32) -> bool {
        let Some(page) = shared.take() else { return false };
        let mut early = None;
        let served = match self.read_page(shared, lane, page, &mut early) {
            Ok((offset, is_last)) => {
                self.store_in_turn(shared, page, early.as_mut(), offset, is_last)
            }
            Err(error) => {
                // Later pages are not begun; what this page has read is kept.
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

    /// Moves the commands of a failed page into the part when its turn comes.
    fn salvage(
        &self,
        shared: &Shared,
        page: PageRange,
        early: Option<&mut EarlyPage>,
    ) -> Result<(), FetchError> {
        let Some(early) = early else { return Ok(()) };
        shared.wait_for_turn(page)?;
        Ok(early.drain(self.disk, &mut shared.part())?)
    }

    /// Reads a page; returns the offset after it, and whether the API had nothing more.
    fn read_page(
        &self,
        shared: &Shared,
        lane: u32,
        page: PageRange,
        early: &mut Option<EarlyPage>,
    ) -> Result<(u64, bool), FetchError> {
        let (mut offset, mut size) = (page.from, page.size);
        loop {
            if self.stop.is_requested() {
                return Err(FetchError::Stopped);
            }
            let left = u32::try_from(page.end().saturating_sub(offset)).unwrap_or(page.size);
            let limit = left.min(size);
            let (mut received, mut refused) = (0_u64, None);
            let began = self.clock.now();
            let answer = self.api.commands(self.id, offset, limit, &mut |command| {
                received = received.saturating_add(1);
                let stored = self.add(shared, lane, page, command, early);
                if let Ok(true) = stored {
                    return Ok(());
                }
                refused = Some(stored);
                Err(io::Error::other("the command was not stored"))
            });
            let timed_out = answer.as_ref().is_err_and(ApiError::is_timeout);
            if timed_out || elapsed(began, self.clock.now()) > SLOW_SPAN {
                shared.slow_down(page.size);
            }
            if let Some(stored) = refused {
                // What exceeds the page belongs to the next ones.
                return stored.map(|_| (page.end(), false));
            }
            let Page { items, sent } = match answer {
                Err(error) if error.is_too_long() => {
                    size = (limit / 2).max(1);
                    shared.slow_down(page.size);
                    let items = shared.received(received, limit).ok_or(error)?;
                    offset = offset.saturating_add(items);
                    if shared.is_read(page, offset) {
                        return Ok((offset, false));
                    }
                    continue;
                }
                answer => answer?,
            };
            offset = offset.saturating_add(items);
            let sent = shared.learn(sent);
            // Some servers send less than requested: request the rest again.
            if items == 0 || offset >= page.end().min(sent) {
                return Ok((offset, items == 0));
            }
        }
    }

    /// Stores a command: in the part if the page has its turn, else with the early page. Returns
    /// `false` if the early page is full.
    fn add(
        &self,
        shared: &Shared,
        lane: u32,
        page: PageRange,
        command: CommandText<'_>,
        early: &mut Option<EarlyPage>,
    ) -> Result<bool, FetchError> {
        if self.stop.is_requested() {
            return Err(FetchError::Stopped);
        }
        let text = command.text();
        let facts = CommandFacts::of(command, self.action_name)?;
        shared.learn(Some(facts.sent()));
        if shared.has_turn(page)? {
            let mut part = shared.part();
            if let Some(early) = early {
                early.drain(self.disk, &mut part)?;
            }
            return Ok(part.add(&facts, text).map(|()| true)?);
        }
        let early =
            early.get_or_insert_with(|| EarlyPage::new(early_path(&shared.path, lane), page.size));
        Ok(early.push(self.disk, facts, text)?)
    }

    /// Waits for the page's turn, stores its commands durably and passes the turn on.
    fn store_in_turn(
        &self,
        shared: &Shared,
        page: PageRange,
        early: Option<&mut EarlyPage>,
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
        state.has_ended |= is_last || is_complete(state.sent);
        shared.changed.notify_all();
        Ok(())
    }
}

impl Shared {
    fn new(part: PartialDocument, from: u64, size: u32) -> Shared {
        let (sent, path) = (part.sent(), part.path().to_owned());
        let has_ended = sent > 0 && part.len() >= sent;
        let state = ReadState { next: (0, from), turn: 0, size, sent, has_ended, failure: None };
        let limits = part.limits();
        let (part, state) = (Mutex::new(part), Mutex::new(state));
        Shared { part, state, changed: Condvar::new(), path, limits }
    }

    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn part(&self) -> MutexGuard<'_, PartialDocument> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of lanes that the remaining pages can keep busy, at most `most`.
    fn lanes(&self, most: u32) -> u32 {
        let state = self.state();
        let left = state.sent.saturating_sub(state.next.1).div_ceil(u64::from(state.size.max(1)));
        most.min(u32::try_from(left).unwrap_or(most))
    }

    /// Returns the next page to be requested. A page beyond the limit of the document is a failure.
    fn take(&self) -> Option<PageRange> {
        let mut state = self.state();
        let (number, from) = state.next;
        let is_planned = state.sent == 0 || from < state.sent;
        if state.has_ended || state.failure.is_some() || !is_planned {
            return None;
        }
        if from >= self.limits.commands {
            // An API could count, or repeat, any number of commands.
            state.failure = Some((number, self.limits.exceeded(&self.path).into()));
            return None;
        }
        let page = PageRange { number, from, size: state.size };
        state.next = (number.saturating_add(1), page.end());
        Some(page)
    }

    /// Stores the number of commands that an answer reported; returns the largest number so far.
    fn learn(&self, sent: Option<u64>) -> u64 {
        let mut state = self.state();
        state.sent = state.sent.max(sent.unwrap_or(0));
        state.sent
    }

    /// Returns how many commands of a page of at most `limit` commands count as received although
    /// the page exceeded its size limit: those that arrived. If not even a single command fits, it
    /// is skipped, so that it does not hide those after it. Returns `None` if the number of commands
    /// is unknown, because then skipping might never end.
    fn received(&self, arrived: u64, limit: u32) -> Option<u64> {
        let is_skipped = arrived == 0 && limit <= 1;
        if is_skipped && self.state().sent == 0 {
            return None;
        }
        Some(arrived.saturating_add(u64::from(is_skipped)))
    }

    /// Returns whether the offset is at the end of the page, or of the action's commands.
    fn is_read(&self, page: PageRange, offset: u64) -> bool {
        let sent = self.state().sent;
        offset >= page.end() || sent > 0 && offset >= sent
    }

    /// Halves the page size because pages of `size` take too long.
    fn slow_down(&self, size: u32) {
        let mut state = self.state();
        state.size = state.size.min((size / 2).max(PAGE_SIZE_MIN.min(size)));
    }

    /// Returns whether it is the page's turn to go into the part; `Stopped` if an earlier page
    /// failed and the turn will never come.
    fn has_turn(&self, page: PageRange) -> Result<bool, FetchError> {
        self.state().has_turn(page)
    }

    fn wait_for_turn(&self, page: PageRange) -> Result<(), FetchError> {
        let mut state = self.state();
        while !state.has_turn(page)? {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Stores the error of a page. Of several errors, the one of the earliest page counts, because
    /// later ones may follow from it.
    fn fail(&self, page: PageRange, error: FetchError) {
        let mut state = self.state();
        if state.failure.as_ref().is_none_or(|(failed, _)| page.number < *failed) {
            state.failure = Some((page.number, error));
        }
        self.changed.notify_all();
    }

    fn end(self) -> ReadEnd {
        let mut part = self.part.into_inner().unwrap_or_else(PoisonError::into_inner);
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let failure = state.failure.map(|(_, error)| error);
        // Commands read before the failure are kept, and an error of that must not hide the
        // failure.
        let kept = if failure.is_some() { part.sync().map_err(FetchError::from) } else { Ok(()) };
        let sent = state.sent.max(part.len());
        ReadEnd { part, sent, page_size: state.size, failure: failure.or(kept.err()) }
    }
}

impl ReadState {
    fn has_turn(&self, page: PageRange) -> Result<bool, FetchError> {
        match &self.failure {
            Some((failed, _)) if *failed < page.number => Err(FetchError::Stopped),
            _ => Ok(self.turn == page.number),
        }
    }
}

/// Removes the early pages that a crash left beside a part: they are requested again.
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
