//! `action/new`: sends each run once.
//!
//! **Invariants.** The posted text and its signature are durable in the record before the POST.
//! From then on the platform may have the action. The run is neither posted nor signed again until
//! it is known that the platform does not have it: because no byte was sent, because the API said
//! so, or because a search that was made late enough did not find it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::signed::{Period, VALID_SINCE};
use super::{Move, Pause, Step, TaskKind, Verdict};
use crate::api::{ApiError, Found, Next, Posted};
use crate::clock::{after, before};
use crate::names::{ActionId, RunId};
use crate::spool::{DeliveryState, Fate, Record, Transition};

/// Delay after an action's expiry from which the platform can no longer run it.
const EXPIRY_SLACK: Duration = Duration::from_secs(60);

/// Interval between checks of the free disk space.
const ROOM_CHECK: Duration = Duration::from_secs(30);

/// Whether the job of a run allows the run to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JobState {
    /// The run may be sent, or has no job.
    Ready,
    Paused,
    /// The job does not exist.
    Gone,
}

/// Everything outside its record that decides how a run in `action/new` continues.
#[derive(Debug, Clone)]
pub(crate) struct SubmitContext {
    pub(crate) now: Timestamp,
    /// Time for which an unanswered POST may still take effect.
    pub(crate) settle: Duration,
    /// When the last POST ended; without one, when the runner started.
    pub(crate) post_ended: Timestamp,
    /// Earliest time for the next attempt.
    pub(crate) not_before: Timestamp,
    /// Whether the operator put the run back after cancelling it.
    pub(crate) put_back: bool,
    pub(crate) job: JobState,
    /// Whether the disk has room for the results.
    pub(crate) room: bool,
    /// A newer run of the same job that also waits to be sent.
    pub(crate) newer: Option<RunId>,
}

/// Returns the time from which a search that does not find the action proves that the platform does
/// not have it.
fn conclusive(record: &Record, context: &SubmitContext) -> Timestamp {
    let settled = after(context.post_ended, context.settle);
    match record.request.expire_after {
        Some(expire_after) => settled.min(after(expire_after, EXPIRY_SLACK)),
        None => settled,
    }
}

/// Decides what to do with a run in `action/new`.
pub(crate) fn decide(record: &Record, context: &SubmitContext) -> Step {
    if record.action_id.is_some() {
        // The operator put it back: it was accepted once and is never posted again.
        return Step::Move(Move::changing(Transition::Accepted, |record| record.reason = None));
    }
    if record.reason.is_some() || record.superseded.is_some() || context.put_back {
        let now = context.now;
        return Step::Move(Move::changing(Transition::Renewed, move |record| renew(record, now)));
    }
    match record.request.fate {
        Fate::Unknown | Fate::Accepted if context.now < context.not_before => {
            Step::Wait(Some(context.not_before))
        }
        Fate::Unknown | Fate::Accepted => Step::Start(TaskKind::Search),
        Fate::Unsent | Fate::Refused => decide_to_send(record, context),
    }
}

fn decide_to_send(record: &Record, context: &SubmitContext) -> Step {
    let deadline = record.settings.deadline;
    if let Some(newer) = &context.newer {
        // This comes before the check of the deadline, which by default can be the newer run's slot.
        return Step::Move(superseded(newer.clone(), context.now));
    }
    if context.now >= deadline {
        let cause = match (&record.error, context.job) {
            (Some(error), _) => error.clone(),
            (None, JobState::Paused) => "its job was paused".to_owned(),
            (None, JobState::Gone) => "its job did not exist".to_owned(),
            (None, JobState::Ready) => "it could not be sent in time".to_owned(),
        };
        let reason = format!("its deadline {deadline} passed: {cause}");
        return Step::Move(Move::refused(Transition::Refused, reason));
    }
    if context.job != JobState::Ready {
        return Step::Wait(Some(deadline));
    }
    if context.now < context.not_before {
        return Step::Wait(Some(context.not_before.min(deadline)));
    }
    if !context.room {
        return Step::Wait(Some(after(context.now, ROOM_CHECK).min(deadline)));
    }
    if is_fresh(record, context.now) {
        // The signed text is still good. Before the POST, the record must state durably that the
        // platform may have the action.
        let note = |record: &mut Record| record.request.fate = Fate::Unknown;
        return Step::Move(Move::changing(Transition::Signed, note).then(TaskKind::Post));
    }
    Step::Start(TaskKind::Sign { period: Period::starting(context.now, record.settings.expiry) })
}

/// Returns whether the signed text can be posted again: less than half of its period has passed.
fn is_fresh(record: &Record, now: Timestamp) -> bool {
    let request = &record.request;
    let (Some(_), Some(from), Some(until)) =
        (&request.posted, request.valid_from, request.expire_after)
    else {
        return false;
    };
    // Measured from the end: the start is moved back if another action has the same name and end.
    let half = VALID_SINCE.saturating_add(record.settings.expiry) / 2;
    // An action that is not valid yet was dated by a clock that was ahead.
    request.fate == Fate::Refused && from <= now && now < before(until, half)
}

/// Ends a run that the platform does not have, because a newer run of its job waits to be sent.
fn superseded(newer: RunId, now: Timestamp) -> Move {
    Move::changing(Transition::Superseded, move |record| {
        record.superseded = Some(newer.clone());
        // There are no results, so collecting is finished.
        record.collected = Some(now);
        record.skip_deliveries();
    })
}

/// Resets a run that the operator put back.
fn renew(record: &mut Record, now: Timestamp) {
    let span = crate::clock::elapsed(record.entered, record.settings.deadline);
    record.settings.deadline = after(now, span);
    record.entered = now;
    record.reason = None;
    record.error = None;
    if record.superseded.take().is_some() {
        record.collected = None;
        for delivery in &mut record.plugins {
            delivery.state = DeliveryState::Owed;
        }
        if record.settings.send_only {
            record.skip_deliveries();
        }
    }
}

/// Decides what follows from the answer to a POST.
pub(crate) fn posted(posted: Posted) -> Verdict {
    match posted {
        Posted::Accepted { id, action } => Verdict::moved(accepted(id, action)),
        Posted::Refused { cause, next: Next::Invalid } => {
            let reason = text(&cause);
            Verdict::moved(Move::changing(Transition::Refused, move |record| {
                record.request.fate = Fate::Refused;
                record.reason = Some(reason.clone());
            }))
        }
        // A new signature has another creation time, and therefore another RSA number.
        Posted::Refused { cause, next: next @ (Next::DateAnew | Next::SignAnew) } => {
            let error = text(&cause);
            let moved = Move::changing(Transition::Noted, move |record| {
                note(record, Fate::Refused, &error);
                // The signed text is useless now, unless others signed it with dates that the
                // runner cannot change.
                if next == Next::SignAnew || !record.request.verbatim {
                    record.request.posted = None;
                }
            });
            // Not at once: if the clocks differ by more than the period, the next one is refused
            // too.
            Verdict::noted(moved, Pause::Run(None))
        }
        Posted::Refused { cause, next: Next::BackOff } => {
            noted(Fate::Refused, &cause, Pause::Run(None))
        }
        Posted::Refused { cause, next: Next::BackOffAll } => {
            noted(Fate::Refused, &cause, Pause::Api(None))
        }
        Posted::Unknown { cause } => noted(Fate::Unknown, &cause, Pause::Run(cause.retry_after())),
    }
}

/// Decides what follows from a search that began at `began`.
pub(crate) fn searched(
    record: &Record,
    found: Result<Found, ApiError>,
    began: Timestamp,
    context: &SubmitContext,
) -> Verdict {
    let conclusive = conclusive(record, context);
    match found {
        Ok(Found::Action { id, action }) => Verdict::moved(accepted(id, action)),
        Ok(Found::None) if began >= conclusive => {
            Verdict::moved(Move::changing(Transition::Noted, |record| {
                record.request.fate = Fate::Refused;
            }))
        }
        Ok(Found::None) => {
            Verdict::paused(Pause::For(crate::clock::elapsed(context.now, conclusive)))
        }
        Ok(Found::TooMany) => Verdict::paused(Pause::Run(None)),
        Err(cause) => Verdict::paused(Pause::after(&cause)),
    }
}

fn accepted(id: ActionId, action: Box<RawValue>) -> Move {
    Move::changing(Transition::Accepted, move |record| {
        record.action_id = Some(id);
        record.action = Some(action.clone());
        record.request.fate = Fate::Accepted;
        record.error = None;
        record.reason = None;
    })
}

fn noted(fate: Fate, cause: &ApiError, pause: Pause) -> Verdict {
    let error = text(cause);
    let moved = Move::changing(Transition::Noted, move |record| note(record, fate, &error));
    Verdict::noted(moved, pause)
}

fn note(record: &mut Record, fate: Fate, error: &str) {
    record.request.fate = fate;
    record.error = Some(error.to_owned());
}

fn text(cause: &ApiError) -> String {
    crate::chain::Chain(cause).to_string()
}
