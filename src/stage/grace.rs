//! The grace period: the time for which commands may still change after their action has expired.
//!
//! The platform marks unanswered commands as expired a few seconds late, and not at all while its
//! API or its database is down. The period therefore begins at the expiry or when the platform
//! answers again, whichever is later. Commands that change after the period are counted as not
//! final.

use std::time::Duration;

use jiff::Timestamp;

use crate::action::Summary;
use crate::api::{ActionState, Api, ApiError};
use crate::clock::after;
use crate::names::ActionId;
use crate::spool::Record;

const GRACE: Duration = Duration::from_secs(15);
/// Interval between queries for an expired action.
pub(super) const POLL: Duration = Duration::from_secs(2);

/// Returns the end of the grace period of an action; the platform has answered every query since
/// `since`.
pub(super) fn end(record: &Record, since: Timestamp) -> Timestamp {
    after(record.request.expire_after.map_or(since, |expired| expired.max(since)), GRACE)
}

/// Returns whether complete results are read again because commands may still change. They are not
/// read again if the grace period ended while the action was in flight and the API has answered
/// since, nor before the expiry, when the operator requested the results so far.
pub(super) fn applies(record: &Record, summary: &Summary, now: Timestamp) -> bool {
    let was_waited_for = record.status.is_some() && record.error.is_none();
    let is_expired = record.request.expire_after.is_some_and(|expired| now >= expired);
    summary.not_final > 0 && is_expired && !was_waited_for
}

/// Queries the status of an action. While the platform's database is down, the platform reports
/// every action as unknown, and only searches fail. An unknown action is therefore confirmed by a
/// search.
pub(crate) fn query_status(api: &dyn Api, id: ActionId) -> Result<Option<ActionState>, ApiError> {
    let seen = api.action(id)?;
    if seen.is_none() {
        api.commands(id, 0, 1, &mut |_| Ok(()))?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::testing::record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    #[test]
    fn period_begins_when_the_platform_answers_again() {
        let mut record = record("job.20261122T120000Z");
        record.request.expire_after = Some(at(300));
        for (since, ends) in [(0, 315), (300, 315), (310, 325), (9000, 9015)] {
            assert_eq!(end(&record, at(since)), at(ends), "{since}");
        }
    }

    #[test]
    fn results_are_read_again_only_if_they_may_change() {
        let mut record = record("job.20261122T120000Z");
        record.request.expire_after = Some(at(300));
        let (open, closed) = (Summary { not_final: 1, ..Summary::default() }, Summary::default());
        // Status, error, summary, now → whether they are read again.
        for (status, error, summary, now, expected) in [
            (None, None, open, 300, true),
            (None, None, open, 299, false),
            (None, None, closed, 300, false),
            (Some("inflight"), None, open, 300, false),
            (Some("inflight"), Some("connection refused"), open, 300, true),
            (Some("inflight"), Some("connection refused"), closed, 300, false),
        ] {
            record.status = status.map(ToOwned::to_owned);
            record.error = error.map(ToOwned::to_owned);
            let found = applies(&record, &summary, at(now));
            assert_eq!(found, expected, "{status:?} {error:?} {summary:?} {now}");
        }
    }
}
