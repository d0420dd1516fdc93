//! `action/inflight`: an action that is not valid yet, because the clock was ahead when it was
//! signed.
//!
//! Waiting for the end of such an action could take years, if the clock had a wrong date. If the
//! platform's clock was ahead as well, the action may have finished, so the runner queries the
//! platform. If only the runner's clock was ahead, agents refuse the action until it becomes valid,
//! and the operator must know.

use std::time::Duration;

use jiff::Timestamp;

use super::fetch::outcome::has_ended;
use super::{Step, TaskKind, Verdict};
use crate::api::{ActionState, ApiError};
use crate::clock::{after, elapsed};
use crate::spool::Record;

/// Tolerance between clocks: an action that becomes valid later than this was misdated.
const AHEAD: Duration = Duration::from_secs(300);
/// Number of queries after which the interval between them is about a minute.
const POLLS_MIN: u32 = 20;

/// Returns whether the runner itself dated the action later than now. An action signed by others
/// may be meant for later.
fn is_misdated(record: &Record, now: Timestamp) -> bool {
    let from = record.request.valid_from.filter(|_| !record.request.verbatim);
    record.action_id.is_some() && from.is_some_and(|from| from > after(now, AHEAD))
}

/// Decides what to do with a run whose action is misdated; `None` if it is not.
pub(crate) fn decide(record: &Record, now: Timestamp, not_before: Timestamp) -> Option<Step> {
    if record.settings.send_only || !is_misdated(record, now) {
        return None;
    }
    Some(if now < not_before {
        Step::Wait(Some(not_before))
    } else {
        Step::Start(TaskKind::QueryStatus)
    })
}

/// Decides what follows from the answer to a query about a misdated action. If the queries have
/// lasted as long as the action's period and the action has not finished, the run is rejected. A
/// query without an answer never rejects it.
pub(crate) fn status_queried(
    record: &Record,
    seen: &Result<Option<ActionState>, ApiError>,
    polls: u32,
    now: Timestamp,
) -> Option<Verdict> {
    let request = &record.request;
    let (Some(from), Some(until)) = (request.valid_from, request.expire_after) else { return None };
    let minutes = u32::try_from(elapsed(from, until).as_secs() / 60).unwrap_or(u32::MAX);
    if !is_misdated(record, now) || polls < POLLS_MIN.saturating_add(minutes) {
        return None;
    }
    let seen = seen.as_ref().ok()?;
    if seen.as_ref().is_some_and(has_ended) {
        return None;
    }
    Some(Verdict::rejected(format!(
        "its action is valid from {from}, because the clock was ahead when it was signed: agents \
         refuse it until then; run the job again with mig-runner trigger"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ActionId;
    use crate::spool::testing::record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn inflight(from: i64) -> Record {
        let mut record = record("job.20261122T120000Z");
        record.action_id = Some(ActionId(1));
        (record.request.valid_from, record.request.expire_after) =
            (Some(at(from)), Some(at(from + 360)));
        record
    }

    #[test]
    fn only_actions_dated_by_the_runner_are_misdated() {
        for (from, verbatim, send_only, is_queried) in [
            (-60, false, false, false),
            (300, false, false, false),
            (301, false, false, true),
            (400_000_000, false, false, true),
            (400_000_000, true, false, false),
            (400_000_000, false, true, false),
        ] {
            let mut record = inflight(from);
            record.request.verbatim = verbatim;
            record.settings.send_only = send_only;
            let step = decide(&record, at(0), at(0));
            assert_eq!(
                matches!(step, Some(Step::Start(TaskKind::QueryStatus))),
                is_queried,
                "{from}"
            );
            assert_eq!(step.is_none(), !is_queried, "{from}");
        }
        let step = decide(&inflight(400_000_000), at(0), at(5));
        assert!(matches!(step, Some(Step::Wait(Some(until))) if until == at(5)));
    }

    #[test]
    fn run_is_rejected_only_by_an_answer_after_its_whole_period() {
        let record = inflight(400_000_000);
        let seen = |status: &str| Ok(Some(ActionState { status: status.to_owned(), sent: 0 }));
        let broken = || Err(ApiError::FormTooLong { bytes: 0, limit: 0 });
        for (seen, polls, is_over) in [
            (seen("pending"), 25, false),
            (seen("pending"), 26, true),
            (Ok(None), 26, true),
            (seen("completed"), 26, false),
            (seen("invalid"), 26, false),
            (broken(), 1000, false),
        ] {
            let verdict = status_queried(&record, &seen, polls, at(0));
            assert_eq!(
                verdict.is_some_and(|verdict| verdict.rejected.is_some()),
                is_over,
                "{seen:?}"
            );
        }
        assert!(status_queried(&inflight(0), &seen("pending"), 1000, at(0)).is_none());
    }
}
