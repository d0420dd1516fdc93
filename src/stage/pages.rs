//! Reads the commands of an action page by page, several pages at once.
//!
//! The API computes a whole page before it sends the first byte, so a second page requested
//! meanwhile costs almost no time. Each page is requested by a lane, one of several threads. The
//! document contains the pages in order: the page whose turn it is goes straight into the partial
//! document. A page that arrives before its turn waits: its facts in memory, its commands in memory
//! too if they are few, or else in a file beside the partial document. The stored pages are fsynced
//! while the next ones are read: the syncer does so if several pages are read at once.
//!
//! The first answer says how many commands there are. From then on the pages are planned, and the
//! one after the last is never requested: it costs the API as much as any other.
//!
//! **Invariant.** The partial document is always the beginning of the document, so that the next
//! read can resume at its end, whatever ended the previous read.

mod early;
mod shared;
mod syncer;

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::document::{CommandFacts, PartialDocument};
use super::fetch::outcome::FetchError;
use crate::action::CommandText;
use crate::api::{Api, ApiError, Page};
use crate::clock::{Clock, elapsed};
use crate::disk::{Disk, DiskError};
use crate::names::ActionId;
use crate::wake::Stop;
use early::{EarlyPage, early_path};
use shared::{PageRange, Shared};
use syncer::Syncer;

/// Duration of a request above which smaller pages are requested.
const SLOW_SPAN: Duration = Duration::from_secs(10);
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

impl PageReader<'_> {
    /// Reads all pages from the offset `from` on into `part`, `page_size` commands at a time.
    pub(super) fn read(&self, part: PartialDocument, from: u64, page_size: u32) -> ReadEnd {
        let shared = Shared::new(part, from, page_size);
        if !shared.is_planned() {
            // The first answer says how many pages there are.
            self.serve_next(&shared, 0);
        }
        let lanes = shared.lanes(self.pages.min(LANES_MAX));
        thread::scope(|scope| {
            // A single lane has nothing to do while a page is synced.
            let _syncer = if lanes > 1 { Syncer::start(scope, self.disk, &shared) } else { None };
            for lane in 1..lanes {
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
                shared.fail(page.number, error);
                self.salvage(shared, page, early.as_mut())
            }
        };
        let removed = early.map_or(Ok(()), |early| early.remove(self.disk));
        if let Err(error) = served.and(removed.map_err(FetchError::from)) {
            shared.fail(page.number, error);
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

    /// Waits for the page's turn, stores its commands and passes the turn on. If several pages are
    /// requested at once, the syncer makes the commands durable.
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
        if shared.is_syncing() {
            part.write()?;
        } else {
            part.sync()?;
        }
        shared.pass_turn(part.len(), offset, is_last);
        Ok(())
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
