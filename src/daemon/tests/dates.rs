//! The periods of actions with one name: each has the configured length, and no signature occurs twice.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::action::Action;
use crate::daemon::testing::{Mood, Rig};
use crate::spool::Folder;
use crate::testing::write_private;

/// How many runs of one name are due at the same time.
const RUNS: usize = 40;

/// The period of a posted action.
fn period(text: &str) -> (Timestamp, Timestamp) {
    let action = Action::parse(text.as_bytes()).unwrap();
    (action.valid_from.timestamp(), action.expire_after.timestamp())
}

/// The periods of the actions that the platform has, in the order in which it got them.
fn periods(rig: &Rig) -> Vec<(Timestamp, Timestamp)> {
    rig.platform.texts().iter().map(|text| period(text)).collect()
}

/// The ends of the last `count` actions that the platform got, each once.
fn ends(rig: &Rig, count: usize) -> BTreeSet<String> {
    periods(rig).iter().rev().take(count).map(|(_, end)| end.to_string()).collect()
}

/// The signatures of the actions that the platform has, each once.
fn signatures(rig: &Rig) -> BTreeSet<String> {
    let texts = rig.platform.texts();
    let actions = texts.iter().map(|text| Action::parse(text.as_bytes()).unwrap());
    actions.flat_map(|action| action.signatures.unwrap()).collect()
}

/// Puts `count` actions with the same name into `action/new`.
fn drop_in(rig: &Rig, mark: &str, count: usize) {
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    for number in 0..count {
        let name = format!("{mark}{number:02}.json");
        write_private(&rig.path("spool/action/new").join(name), action);
    }
}

#[test]
fn forty_runs_of_one_name_are_all_valid_for_the_configured_time() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    for second in 40..43 {
        drop_in(&rig, &format!("s{second}-"), RUNS);
        rig.at(&format!("2026-11-22T12:00:{second}Z"));
        assert_eq!(ends(&rig, RUNS), [format!("2026-11-22T12:05:{second}Z")].into());
    }
    assert_eq!(signatures(&rig).len(), 3 * RUNS);
    // Agents whose clocks are a minute behind take each of them, and no run has to go far back.
    for (begin, end) in periods(&rig) {
        let seconds = end.duration_since(begin).as_secs();
        assert!((360..400).contains(&seconds), "{begin} {end}");
    }
}

#[test]
fn just_after_a_start_actions_are_not_valid_for_longer() {
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
        rig.at(&on_that_day(now));
        assert_eq!(ends(&rig, RUNS), [on_that_day(end)].into(), "{now}");
        let now: Timestamp = on_that_day(now).parse().unwrap();
        assert!(periods(&rig).iter().all(|(begin, _)| *begin < now), "{now}");
        assert_eq!(signatures(&rig).len(), RUNS);
    }
}

#[test]
fn actions_that_were_signed_before_a_start_are_known_from_their_records() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    drop_in(&rig, "a", RUNS);
    rig.at("2026-11-22T12:00:50Z");
    rig.crash();
    // The clock was set back: the same second comes again.
    rig.clock_to("2026-11-22T12:00:45Z");
    rig.start();
    drop_in(&rig, "b", RUNS);
    rig.at("2026-11-22T12:00:50Z");
    assert_eq!(ends(&rig, 2 * RUNS), ["2026-11-22T12:05:50Z".to_owned()].into());
    assert_eq!(signatures(&rig).len(), 2 * RUNS);
}

#[test]
fn a_runner_that_starts_in_the_second_of_its_predecessor_makes_other_signatures() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    drop_in(&rig, "a", RUNS);
    rig.at("2026-11-22T12:00:40.1Z");
    rig.crash();
    for entry in rig.spool() {
        std::fs::remove_file(rig.path("spool").join(entry.replace(' ', "/") + ".json")).unwrap();
    }
    rig.clock_to("2026-11-22T12:00:40.5Z");
    rig.start();
    drop_in(&rig, "b", RUNS);
    rig.at("2026-11-22T12:00:40.9Z");
    assert_eq!(ends(&rig, 2 * RUNS), ["2026-11-22T12:05:40Z".to_owned()].into());
    assert_eq!(signatures(&rig).len(), 2 * RUNS);
}

#[test]
fn each_of_forty_unanswered_actions_is_found_by_its_signature() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.platform.expect(&[Mood::Lose; RUNS]);
    drop_in(&rig, "a", RUNS);
    rig.at("2026-11-22T12:00:40Z");
    rig.pass(10);
    assert_eq!(rig.platform.posts(), RUNS);
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
fn how_long_a_signed_action_serves_does_not_depend_on_its_beginning() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    // The last one begins further back than the others.
    rig.platform.expect(&[Mood::Accept; RUNS - 1]);
    rig.platform.expect(&[Mood::Away]);
    drop_in(&rig, "a", RUNS);
    rig.at("2026-11-22T12:00:40Z");
    // Half of its period passes two minutes after it was signed.
    rig.pass(110);
    assert_eq!(rig.platform.posts(), RUNS + 1);
    assert_eq!(ends(&rig, 1), ["2026-11-22T12:05:40Z".to_owned()].into());
}
