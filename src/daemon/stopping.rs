//! An ordered stop: the steps that are under way are finished, and no new one begins.
//!
//! The stop is asked for by the thread that receives signals, so that the workers and the engine see
//! it in the middle of whatever they do. A step that was not begun changes nothing, with one
//! exception: a run whose POST was about to begin is already recorded as possibly posted, and is
//! recorded as not posted again.

use jiff::Timestamp;
use slog::debug;

use super::engine::Engine;
use super::index::Key;
use super::workers::{Outcome, SearchError};
use crate::api::{ApiError, Posted};
use crate::spool::{Fate, Record, Transition};
use crate::stage::fetch::{FetchAttempt, FetchError};
use crate::stage::{Move, Work};

/// What a record says of a run that a stop has kept from being posted.
const NOT_POSTED: &str = "the runner stopped before the action was posted";

impl Outcome {
    /// Returns the outcome, or that the work was not begun, where the API or a fetch says so.
    pub(super) fn or_stopped(self) -> Outcome {
        let is_stopped = match &self {
            Outcome::Posted(Posted::Refused { cause, .. })
            | Outcome::Searched(Err(SearchError::Api(cause)), _)
            | Outcome::Probed(Err(cause))
            | Outcome::Fetched(FetchAttempt { fetched: Err(FetchError::Api(cause)), .. }) => {
                matches!(cause, ApiError::Stopped { .. })
            }
            Outcome::Fetched(FetchAttempt { fetched: Err(FetchError::Stopped), .. }) => true,
            _ => false,
        };
        if is_stopped { Outcome::Stopped } else { self }
    }
}

impl Engine {
    /// Returns whether a stop was asked for.
    pub(super) fn is_stopping(&self) -> bool {
        self.workers.are_stopping()
    }

    /// Returns whether a stop leaves a piece of work to the next start: one that was not begun, and a
    /// signature, which is of no use without a POST.
    pub(super) fn is_undone(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Stopped => true,
            Outcome::Signed(_) => self.is_stopping(),
            _ => false,
        }
    }

    /// Handles work that a stop leaves to the next start.
    pub(super) fn left_undone(&mut self, key: &Key, work: &Work, record: Record, now: Timestamp) {
        debug!(self.parts.log, "work left to the next start"; "run" => %key.1);
        if *work != Work::Post {
            return;
        }
        let note = |record: &mut Record| {
            record.request.fate = Fate::Refused;
            record.error = Some(NOT_POSTED.to_owned());
        };
        self.make_or_hold(key, Move::changing(Transition::Noted, note), record, now);
    }

    /// Tries for the last time to write down the outcomes that could not be written yet. A signature is
    /// dropped: no POST follows, and its record would say that one may have.
    pub(super) fn write_held(&mut self) {
        let now = self.parts.clock.now();
        self.pending.retain(|held| !held.begins_work());
        for held in &mut self.pending {
            held.at = held.at.min(now);
        }
        self.retry_held(now);
    }
}
