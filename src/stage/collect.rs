//! `action/inflight`: waits for the end of the action and moves the run on.
//!
//! Without `delayresults`, the runner queries the platform from the expiry on. An action that the
//! platform does not report as completed counts as ended when the grace period ends: commands are
//! marked expired a few seconds late, and an action can stay unfinished forever.

use std::time::Duration;

use jiff::Timestamp;

use super::fetch::outcome::{INVALID, NO_AGENT, has_ended};
use super::{Move, Pause, Step, TaskKind, Verdict, grace};
use crate::api::{ActionState, ApiError};
use crate::clock::{after, elapsed};
use crate::spool::{Record, Transition};

/// Delay before the first query for early results.
const FIRST_POLL: Duration = Duration::from_secs(5);
/// Shortest and longest interval between later queries before the expiry.
const EARLY_POLL: (Duration, Duration) = (Duration::from_millis(1500), Duration::from_secs(60));

/// Decides what to do with a run in `action/inflight`. The wait for a platform that does not answer
/// is limited to `giveup`, the time limit of a fetch.
pub(crate) fn decide(
    record: &Record,
    now: Timestamp,
    not_before: Timestamp,
    giveup: Duration,
) -> Step {
    if record.settings.send_only {
        return Step::Move(Move::changing(Transition::SentOnly, move |record| {
            record.collected = Some(now);
            record.skip_deliveries();
        }));
    }
    let (Some(_), Some(expire_after)) = (record.action_id, record.request.expire_after) else {
        return Step::Move(Move::refused(
            Transition::Misplaced,
            "it was never accepted: only actions that have an id from the API belong in \
             action/inflight; move it to action/new to send it"
                .to_owned(),
        ));
    };
    let end = after(expire_after, record.settings.delay_results.unwrap_or(giveup));
    if now >= end {
        return collected(now);
    }
    // With a delay, wait exactly that long. Otherwise query the platform: from the expiry on, or
    // earlier for early results.
    let query_from = match (record.settings.early_results, record.settings.delay_results) {
        (true, _) => not_before,
        (false, None) => not_before.max(expire_after),
        (false, Some(_)) => return Step::Wait(Some(end)),
    };
    if now < query_from {
        Step::Wait(Some(query_from.min(end)))
    } else {
        Step::Start(TaskKind::QueryStatus)
    }
}

/// Returns the time of the first query for an action that was accepted at `at`: its expiry, or a
/// few seconds after `at` if that is earlier.
pub(crate) fn first_poll(record: &Record, at: Timestamp) -> Timestamp {
    let early = after(at, FIRST_POLL);
    record.request.expire_after.map_or(early, |expire_after| early.min(expire_after))
}

/// Decides what follows from the answer to a query. `polls` is the number of earlier queries; since
/// `since`, the platform has answered every one.
pub(crate) fn status_queried(
    record: &Record,
    seen: Result<Option<ActionState>, ApiError>,
    polls: u32,
    since: Option<Timestamp>,
    now: Timestamp,
) -> Verdict {
    match seen {
        Ok(Some(seen)) if has_ended(&seen) => Verdict::moved(ended(Some(seen), now)),
        Ok(seen) => {
            let (end, next) =
                (grace::end(record, since.unwrap_or(now)), interval(record, polls, now));
            match record.settings.delay_results {
                Some(_) => Verdict::paused(Pause::For(next)),
                None if now >= end => Verdict::moved(ended(seen, now)),
                // The last query comes at the end of the grace period, not after it.
                None => Verdict::paused(Pause::For(next.min(elapsed(now, end)))),
            }
        }
        Err(_) => Verdict::paused(Pause::For(unanswered(record, polls, now))),
    }
}

/// Returns the wait after a query that was not answered: after the expiry, a quarter of the time
/// since then.
fn unanswered(record: &Record, polls: u32, now: Timestamp) -> Duration {
    match record.request.expire_after {
        Some(expired) if now >= expired => {
            (elapsed(expired, now) / 4).clamp(grace::POLL, EARLY_POLL.1)
        }
        _ => interval(record, polls.saturating_add(1), now),
    }
}

fn interval(record: &Record, polls: u32, now: Timestamp) -> Duration {
    if record.request.expire_after.is_some_and(|expire_after| now >= expire_after) {
        return grace::POLL;
    }
    let (first, longest) = EARLY_POLL;
    // Intervals are about a quarter of the elapsed time: results are late by at most that, and an
    // action of five minutes costs the API about twenty queries.
    let grown = (0..polls.min(17)).fold(first, |span, _| span * 5 / 4);
    let until_expiry =
        record.request.expire_after.map_or(longest, |expire_after| elapsed(now, expire_after));
    grown.min(longest).min(until_expiry.max(grace::POLL))
}

fn ended(seen: Option<ActionState>, now: Timestamp) -> Move {
    Move::changing(Transition::Collected, move |record| {
        record.collected = Some(now);
        let status = seen.as_ref().map(|seen| seen.status.clone());
        if status.as_deref() == Some(INVALID) {
            record.error = Some(NO_AGENT.to_owned());
        }
        record.status = status;
        record.sent = seen.as_ref().map(|seen| seen.sent);
    })
}

fn collected(now: Timestamp) -> Step {
    Step::Move(Move::changing(Transition::Collected, move |record| record.collected = Some(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::ActionId;
    use crate::spool::testing::record;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    const GIVEUP: Duration = Duration::from_secs(1000);

    fn inflight(early: bool, delay: Option<u64>) -> Record {
        let mut record = record("job.20261122T120000Z");
        record.action_id = Some(ActionId(1));
        record.request.expire_after = Some(at(300));
        record.settings.early_results = early;
        record.settings.delay_results = delay.map(Duration::from_secs);
        record
    }

    fn shown(step: &Step) -> String {
        match step {
            Step::Wait(Some(until)) => format!("wait {}", until.as_second() - at(0).as_second()),
            Step::Wait(None) => "wait".to_owned(),
            Step::Start(work) => format!("{work:?}"),
            Step::Move(moved) => format!("{:?}", moved.transition),
            Step::Reject(reason) => reason.clone(),
        }
    }

    #[test]
    fn waits_as_the_settings_say() {
        // early, delay, now, not before → step
        for (early, delay, now, not_before, expected) in [
            (false, None, 10, 0, "wait 300"),
            (false, None, 300, 0, "QueryStatus"),
            (false, None, 301, 302, "wait 302"),
            (false, None, 315, 400, "wait 400"),
            (false, None, 999, 400, "QueryStatus"),
            // The platform did not answer for as long as `giveup`.
            (false, None, 1300, 1400, "Collected"),
            (false, Some(30), 300, 0, "wait 330"),
            (false, Some(30), 330, 0, "Collected"),
            (false, Some(0), 300, 0, "Collected"),
            (true, None, 3, 5, "wait 5"),
            (true, None, 5, 5, "QueryStatus"),
            (true, Some(30), 5, 5, "QueryStatus"),
            (true, Some(30), 329, 400, "wait 330"),
        ] {
            let step = decide(&inflight(early, delay), at(now), at(not_before), GIVEUP);
            assert_eq!(shown(&step), expected, "{early} {delay:?} {now}");
        }
    }

    #[test]
    fn first_query_is_not_later_than_the_expiry() {
        let record = inflight(true, None);
        for (accepted, first) in [(0, 5), (294, 299), (297, 300)] {
            assert_eq!(first_poll(&record, at(accepted)), at(first), "{accepted}");
        }
    }

    #[test]
    fn sendonly_ends_at_once_and_unaccepted_run_is_misplaced() {
        let mut send_only = inflight(false, None);
        send_only.settings.send_only = true;
        assert_eq!(shown(&decide(&send_only, at(0), at(0), GIVEUP)), "SentOnly");
        let mut never = inflight(false, None);
        never.action_id = None;
        assert_eq!(shown(&decide(&never, at(0), at(0), GIVEUP)), "Misplaced");
    }

    #[test]
    fn query_interval_grows_and_is_short_near_the_expiry() {
        let record = inflight(true, None);
        let spans: Vec<u128> =
            (0..20).map(|n| interval(&record, n, at(0)).as_millis() / 100).collect();
        let expected = [
            15, 18, 23, 29, 36, 45, 57, 71, 89, 111, 139, 174, 218, 272, 341, 426, 532, 600, 600,
            600,
        ];
        assert_eq!(spans, expected);
        assert_eq!(interval(&record, 9, at(299)), grace::POLL);
        assert_eq!(interval(&record, 9, at(300)), grace::POLL);
    }

    #[test]
    fn unfinished_action_is_queried_until_the_grace_period_ends() {
        // Answers since, now, delay → milliseconds until the next query, or the final status.
        for (since, now, delay, expected) in [
            (0, 300, None, "2000"),
            (0, 314, None, "1000"),
            (0, 315, None, "ended inflight"),
            (600, 600, None, "2000"),
            (600, 614, None, "1000"),
            (600, 615, None, "ended inflight"),
            (0, 315, Some(600), "2000"),
        ] {
            let record = inflight(true, delay);
            let seen = Ok(Some(ActionState { status: "inflight".to_owned(), sent: 0 }));
            let verdict = status_queried(&record, seen, 3, Some(at(since)), at(now));
            let shown = match (verdict.moved, verdict.pause) {
                (Some(moved), _) => {
                    let mut record = record;
                    moved.edit.unwrap()(&mut record);
                    format!("ended {}", record.status.unwrap())
                }
                (None, Pause::For(span)) => span.as_millis().to_string(),
                (None, pause) => format!("{pause:?}"),
            };
            assert_eq!(shown, expected, "{since} {now} {delay:?}");
        }
    }

    #[test]
    fn silent_platform_is_queried_less_and_less_often() {
        let record = inflight(false, None);
        for (now, seconds) in [(300, 2), (308, 2), (340, 10), (9000, 60)] {
            let refused = ApiError::FormTooLong { bytes: 0, limit: 0 };
            let verdict = status_queried(&record, Err(refused), 9, None, at(now));
            assert!(verdict.moved.is_none());
            assert_eq!(verdict.pause, Pause::For(Duration::from_secs(seconds)), "{now}");
        }
    }
}
