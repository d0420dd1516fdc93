//! The text of log messages: no empty values, no duplicate keys, nothing impossible.

use jiff::Timestamp;

use crate::daemon::calendar;
use crate::daemon::outcome::tell;
use crate::schedule::due::{Due, MissedSlots};
use crate::spool::{Fate, Transition};
use crate::testing::Logged;

#[test]
fn a_cause_that_is_not_known_is_no_empty_value() {
    let logged = Logged::default();
    let mut record = crate::spool::testing::record("job.20261122T120000Z");
    let run = "run: job.20261122T120000Z";
    for (transition, fate, expected) in [
        (
            Transition::Noted,
            Fate::Refused,
            format!("the platform does not have the action, it will be sent, {run}"),
        ),
        (
            Transition::Noted,
            Fate::Unknown,
            format!("action not sent yet, {run}, fate: unknown, error: no cause is known"),
        ),
        (
            Transition::Refused,
            Fate::Refused,
            format!("run refused, {run}, reason: no cause is known"),
        ),
        (
            Transition::FetchNoted,
            Fate::Accepted,
            format!("results not fetched yet, {run}, error: no cause is known"),
        ),
        (
            Transition::FetchGivenUp,
            Fate::Accepted,
            format!("results given up, {run}, error: no cause is known"),
        ),
    ] {
        record.request.fate = fate;
        tell(&logged.logger(), &record, transition);
        assert_eq!(logged.take(), [expected]);
    }
    record.request.fate = Fate::Refused;
    record.error = Some("no route".to_owned());
    tell(&logged.logger(), &record, Transition::Noted);
    let expected = format!("action not sent yet, {run}, fate: refused, error: no route");
    assert_eq!(logged.take(), [expected]);
}

#[test]
fn one_slot_that_was_missed_is_told_once() {
    let logged = Logged::default();
    let name = "job".parse().unwrap();
    let at = |text: &str| -> Timestamp { text.parse().unwrap() };
    let (first, last) = (at("2026-11-22T10:00:00Z"), at("2026-11-22T11:00:00Z"));
    let told = |first, last| {
        let missed = Some(MissedSlots { first, last });
        let (stamp, next) = (None, Some(last));
        let due = Due { fire: None, missed, stamp, next, wake: None, ahead: false };
        calendar::report(&name, false, &due, &logged.logger());
        logged.take()
    };
    assert_eq!(
        told(first, first),
        ["slot was missed, job: job, slot: 2026-11-22T10:00:00Z, launched: false"]
    );
    assert_eq!(
        told(first, last),
        ["slots were missed, job: job, first: 2026-11-22T10:00:00Z, last: 2026-11-22T11:00:00Z, \
          launched: false"]
    );
}
