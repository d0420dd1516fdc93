//! The texts of log messages: no empty values, no duplicate keys.

use jiff::Timestamp;

use crate::daemon::job_calendar;
use crate::daemon::move_log::log_transition;
use crate::schedule::due::{Due, MissedSlots};
use crate::spool::{Fate, Transition};
use crate::testing::Logged;

#[test]
fn missing_error_is_logged_as_unknown() {
    let logged = Logged::default();
    let mut record = crate::spool::testing::record("job.20261122T120000Z");
    let run = "run: job.20261122T120000Z";
    for (transition, fate, expected) in [
        (
            Transition::Noted,
            Fate::Refused,
            format!("action not found on platform; posting it again, {run}"),
        ),
        (
            Transition::Noted,
            Fate::Unknown,
            format!("action not accepted yet, {run}, fate: unknown, error: unknown"),
        ),
        (Transition::Refused, Fate::Refused, format!("run rejected, {run}, reason: unknown")),
        (
            Transition::FetchNoted,
            Fate::Accepted,
            format!("results not fetched yet, {run}, error: unknown"),
        ),
        (
            Transition::FetchGivenUp,
            Fate::Accepted,
            format!("giving up on fetch, {run}, error: unknown"),
        ),
    ] {
        record.request.fate = fate;
        log_transition(&logged.logger(), &record, transition);
        assert_eq!(logged.take(), [expected]);
    }
    record.request.fate = Fate::Refused;
    record.error = Some("no route".to_owned());
    log_transition(&logged.logger(), &record, Transition::Noted);
    let expected = format!("action not accepted yet, {run}, fate: refused, error: no route");
    assert_eq!(logged.take(), [expected]);
}

#[test]
fn single_missed_slot_is_logged_without_a_range() {
    let logged = Logged::default();
    let name = "job".parse().unwrap();
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let (first, last) = (at("2026-11-22T10:00:00Z"), at("2026-11-22T11:00:00Z"));
    let log_missed = |first, last| {
        let missed = Some(MissedSlots { first, last });
        let (stamp, next) = (None, Some(last));
        let due = Due { fire: None, missed, stamp, next, wake: None, ahead: false };
        job_calendar::log_due(&name, false, &due, &logged.logger());
        logged.take()
    };
    assert_eq!(
        log_missed(first, first),
        ["missed slot, job: job, slot: 2026-11-22T10:00:00Z, launched: false"]
    );
    assert_eq!(
        log_missed(first, last),
        ["missed slots, job: job, first: 2026-11-22T10:00:00Z, last: 2026-11-22T11:00:00Z, \
          launched: false"]
    );
}
