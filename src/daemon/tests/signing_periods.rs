//! Validity periods of actions with the same name: each ends as configured, and no signature occurs
//! twice.
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::Action;
use crate::daemon::testing::{PostReply, Rig};
use crate::spool::Folder;
use crate::testing::write_private;

/// Number of runs with the same action name that are due at the same time.
const RUNS: usize = 40;

/// Returns the period of a posted action.
fn period(text: &str) -> (Timestamp, Timestamp) {
    let action = Action::parse(text.as_bytes()).unwrap();
    (action.valid_from.timestamp(), action.expire_after.timestamp())
}

/// Returns the periods of the accepted actions, in the order of their POSTs.
fn periods(rig: &Rig) -> Vec<(Timestamp, Timestamp)> {
    rig.platform.action_texts().iter().map(|text| period(text)).collect()
}

/// Returns the distinct ends of the periods of the last `count` accepted actions.
fn ends(rig: &Rig, count: usize) -> BTreeSet<String> {
    periods(rig).iter().rev().take(count).map(|(_, end)| end.to_string()).collect()
}

/// Returns the distinct signatures of the accepted actions.
fn signatures(rig: &Rig) -> BTreeSet<String> {
    let texts = rig.platform.action_texts();
    let actions = texts.iter().map(|text| Action::parse(text.as_bytes()).unwrap());
    actions.flat_map(|action| action.signatures.unwrap()).collect()
}

/// Puts `count` action files with the same action name into `action/new`.
fn drop_in(rig: &Rig, prefix: &str, count: usize) {
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    for number in 0..count {
        let name = format!("{prefix}{number:02}.json");
        write_private(&rig.path("spool/action/new").join(name), action);
    }
}

#[test]
fn forty_runs_of_one_name_expire_at_the_configured_time() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    for second in 40..43 {
        drop_in(&rig, &format!("s{second}-"), RUNS);
        rig.run_at(&format!("2026-11-22T12:00:{second}Z"));
        assert_eq!(ends(&rig, RUNS), [format!("2026-11-22T12:05:{second}Z")].into());
    }
    assert_eq!(signatures(&rig).len(), 3 * RUNS);
    // Agents whose clocks are a minute behind accept all of them, and no period starts far back.
    for (begin, end) in periods(&rig) {
        let seconds = end.duration_since(begin).as_secs();
        assert!((360..400).contains(&seconds), "{begin} {end}");
    }
}

#[test]
fn periods_end_as_configured_just_after_a_start() {
    for (began, now, end) in [
        ("12:00:40Z", "12:00:40.9Z", "12:05:40Z"),
        ("12:00:40Z", "12:00:41.1Z", "12:05:41Z"),
        ("12:00:40Z", "12:01:10Z", "12:06:10Z"),
        // The clock was ahead when the runner started.
        ("12:00:40Z", "12:00:20Z", "12:05:20Z"),
    ] {
        let on_that_day = |time: &str| format!("2026-11-22T{time}");
        let mut rig = Rig::new(&on_that_day(began));
        rig.start();
        drop_in(&rig, "a", RUNS);
        rig.run_at(&on_that_day(now));
        assert_eq!(ends(&rig, RUNS), [on_that_day(end)].into(), "{now}");
        let now: Timestamp = on_that_day(now).parse().unwrap();
        assert!(periods(&rig).iter().all(|(begin, _)| *begin < now), "{now}");
        assert_eq!(signatures(&rig).len(), RUNS);
    }
}

#[test]
fn periods_signed_before_a_restart_are_not_used_again() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    drop_in(&rig, "a", RUNS);
    rig.run_at("2026-11-22T12:00:50Z");
    rig.crash();
    // The clock is set back, so that the same second occurs again.
    rig.set_clock("2026-11-22T12:00:45Z");
    rig.start();
    drop_in(&rig, "b", RUNS);
    rig.run_at("2026-11-22T12:00:50Z");
    assert_eq!(ends(&rig, 2 * RUNS), ["2026-11-22T12:05:50Z".to_owned()].into());
    assert_eq!(signatures(&rig).len(), 2 * RUNS);
}

#[test]
fn runner_started_in_the_second_of_an_earlier_one_makes_new_signatures() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    drop_in(&rig, "a", RUNS);
    rig.run_at("2026-11-22T12:00:40.1Z");
    rig.crash();
    for entry in rig.spool() {
        std::fs::remove_file(rig.path("spool").join(entry.replace(' ', "/") + ".json")).unwrap();
    }
    rig.set_clock("2026-11-22T12:00:40.5Z");
    rig.start();
    drop_in(&rig, "b", RUNS);
    rig.run_at("2026-11-22T12:00:40.9Z");
    assert_eq!(ends(&rig, 2 * RUNS), ["2026-11-22T12:05:40Z".to_owned()].into());
    assert_eq!(signatures(&rig).len(), 2 * RUNS);
}

#[test]
fn forty_unanswered_actions_are_each_found_by_signature() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.platform.script_replies(&[PostReply::LoseAnswer; RUNS]);
    drop_in(&rig, "a", RUNS);
    rig.run_at("2026-11-22T12:00:40Z");
    rig.advance(10);
    assert_eq!(rig.platform.post_count(), RUNS);
    let mut ids = BTreeSet::new();
    for entry in rig.spool() {
        let id = entry.strip_prefix("action/inflight ").unwrap();
        let record = rig.record(Folder::ActionInflight, id);
        let found = Action::parse(record.action.unwrap().get().as_bytes()).unwrap();
        assert_eq!(found.signatures.unwrap(), record.request.signatures);
        ids.insert(record.action_id.unwrap());
    }
    assert_eq!(ids.len(), RUNS);
}

#[test]
fn lifetime_of_a_signature_does_not_depend_on_the_period_start() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    // The period of the last one starts further back than the others.
    rig.platform.script_replies(&[PostReply::Accept; RUNS - 1]);
    rig.platform.script_replies(&[PostReply::Unavailable]);
    drop_in(&rig, "a", RUNS);
    rig.run_at("2026-11-22T12:00:40Z");
    // Two minutes after the signature, half of the period has passed.
    rig.advance(110);
    assert_eq!(rig.platform.post_count(), RUNS + 1);
    assert_eq!(ends(&rig, 1), ["2026-11-22T12:05:40Z".to_owned()].into());
}
