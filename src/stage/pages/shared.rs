//! What the lanes of a read share: whose turn it is, what to request next, and how the read ended.

use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::ReadEnd;
use crate::stage::document::{DocumentLimits, PartialDocument};
use crate::stage::fetch::FetchError;

/// Minimum page size that slow answers lead to, because every request has a fixed cost.
const PAGE_SIZE_MIN: u32 = 25;

/// State shared by the lanes. Only the lane whose page has its turn uses the part, the partial
/// document.
pub(super) struct Shared {
    part: Mutex<PartialDocument>,
    state: Mutex<ReadState>,
    changed: Condvar,
    pub(super) path: PathBuf,
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
    /// Whether a syncer makes the stored pages durable.
    is_syncing: bool,
}

/// A page to be requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageRange {
    pub(super) number: u64,
    pub(super) from: u64,
    pub(super) size: u32,
}

impl PageRange {
    pub(super) fn end(self) -> u64 {
        self.from.saturating_add(u64::from(self.size))
    }
}

impl Shared {
    pub(super) fn new(part: PartialDocument, from: u64, size: u32) -> Shared {
        let (sent, path) = (part.sent(), part.path().to_owned());
        let has_ended = sent > 0 && part.len() >= sent;
        let next = (0, from);
        let (failure, is_syncing) = (None, false);
        let state = ReadState { next, turn: 0, size, sent, has_ended, failure, is_syncing };
        let limits = part.limits();
        let (part, state) = (Mutex::new(part), Mutex::new(state));
        Shared { part, state, changed: Condvar::new(), path, limits }
    }

    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn part(&self) -> MutexGuard<'_, PartialDocument> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the number of pages is known.
    pub(super) fn is_planned(&self) -> bool {
        self.state().sent > 0
    }

    /// Returns the number of lanes that the remaining pages can keep busy, at most `most`.
    pub(super) fn lanes(&self, most: u32) -> u32 {
        let state = self.state();
        let left = state.sent.saturating_sub(state.next.1).div_ceil(u64::from(state.size.max(1)));
        most.min(u32::try_from(left).unwrap_or(most))
    }

    /// Returns the next page to be requested. A page beyond the limit of the document is a failure.
    pub(super) fn take(&self) -> Option<PageRange> {
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
    pub(super) fn learn(&self, sent: Option<u64>) -> u64 {
        let mut state = self.state();
        state.sent = state.sent.max(sent.unwrap_or(0));
        state.sent
    }

    /// Returns how many commands of a page of at most `limit` commands count as received although
    /// the page exceeded its size limit: those that arrived. If not even a single command fits, it
    /// is skipped, so that it does not hide those after it. Returns `None` if the number of commands
    /// is unknown, because then skipping might never end.
    pub(super) fn received(&self, arrived: u64, limit: u32) -> Option<u64> {
        let is_skipped = arrived == 0 && limit <= 1;
        if is_skipped && self.state().sent == 0 {
            return None;
        }
        Some(arrived.saturating_add(u64::from(is_skipped)))
    }

    /// Returns whether the offset is at the end of the page, or of the action's commands.
    pub(super) fn is_read(&self, page: PageRange, offset: u64) -> bool {
        let sent = self.state().sent;
        offset >= page.end() || sent > 0 && offset >= sent
    }

    /// Halves the page size because pages of `size` take too long.
    pub(super) fn slow_down(&self, size: u32) {
        let mut state = self.state();
        state.size = state.size.min((size / 2).max(PAGE_SIZE_MIN.min(size)));
    }

    /// Returns whether it is the page's turn to go into the part; `Stopped` if an earlier page
    /// failed and the turn will never come.
    pub(super) fn has_turn(&self, page: PageRange) -> Result<bool, FetchError> {
        self.state().has_turn(page)
    }

    pub(super) fn wait_for_turn(&self, page: PageRange) -> Result<(), FetchError> {
        let mut state = self.state();
        while !state.has_turn(page)? {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    /// Stores the error of a page. Of several errors, the one of the earliest page counts, because
    /// later ones may follow from it.
    pub(super) fn fail(&self, page: u64, error: FetchError) {
        let mut state = self.state();
        if state.failure.as_ref().is_none_or(|(failed, _)| page < *failed) {
            state.failure = Some((page, error));
        }
        self.changed.notify_all();
    }

    /// Records that a syncer makes the stored pages durable from now on; returns the number of pages
    /// that are stored already.
    pub(super) fn begin_syncing(&self) -> u64 {
        let mut state = self.state();
        state.is_syncing = true;
        state.turn
    }

    /// Ends the syncer.
    pub(super) fn end_syncing(&self) {
        self.state().is_syncing = false;
        self.changed.notify_all();
    }

    pub(super) fn is_syncing(&self) -> bool {
        self.state().is_syncing
    }

    /// Waits until more than `synced` pages are stored; returns their number, or `None` if they need
    /// not be synced any more.
    pub(super) fn wait_for_pages(&self, synced: u64) -> Option<u64> {
        let mut state = self.state();
        while state.is_syncing && state.turn <= synced {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.is_syncing.then_some(state.turn)
    }

    /// Gives the turn to the next page, after `stored` commands and up to `offset` were stored.
    pub(super) fn pass_turn(&self, stored: u64, offset: u64, is_last: bool) {
        let mut state = self.state();
        state.turn = state.turn.saturating_add(1);
        if state.sent == 0 {
            state.next.1 = offset;
        }
        state.has_ended |= is_last || state.sent > 0 && stored >= state.sent;
        self.changed.notify_all();
    }

    pub(super) fn end(self) -> ReadEnd {
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
