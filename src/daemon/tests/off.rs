//! A runner that was off for longer than a time limit: every stage makes an attempt before it gives up.
#![expect(clippy::disallowed_methods, reason = "tests read and write files as plugins do")]

use super::super::testing::{Mood, Rig};
use super::{ID, rig};
use crate::spool::{DeliveryState, Fate, Folder};
use crate::testing::write_private;

/// The same time of day, 6, 8 and 40 days after the run.
const RETURNS: [&str; 3] = ["2026-11-28T12:03:00Z", "2026-11-30T12:03:00Z", "2027-01-01T12:03:00Z"];
/// Replaces the schedule after the first run, so that no other slot follows.
const SELDOM: &str = "schedule = \"0 0 1 6 *\"";

/// Restarts the runner at `now`, as after a long time without power.
fn return_at(rig: &mut Rig, now: &str) {
    rig.crash();
    rig.clock_to(now);
    rig.start();
    rig.pass(0);
}

/// Returns a rig whose run was posted, and whose job has no further slot.
fn posted(config: &str) -> Rig {
    let mut rig = rig(config);
    rig.platform.answer(3, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", SELDOM);
    rig
}

#[test]
fn a_fetch_is_attempted_before_it_is_given_up() {
    for now in RETURNS {
        for serves in [true, false] {
            let mut rig = posted("");
            rig.platform.mute(true);
            rig.at("2026-11-22T12:01:20Z");
            assert!(rig.spool().contains(&format!("command/inflight {ID}")));
            rig.platform.mute(!serves);
            return_at(&mut rig, now);
            let record = if serves {
                rig.record(Folder::CommandDone, ID)
            } else {
                // Until the limit has passed, the failed attempt is followed by others.
                let folder =
                    if now == RETURNS[0] { Folder::CommandInflight } else { Folder::CommandDone };
                rig.record(folder, ID)
            };
            assert_eq!(record.summary.is_some(), serves, "{now}");
            assert_eq!(record.reason.is_some(), !serves && now != RETURNS[0], "{now}");
        }
    }
}

#[test]
fn a_fetch_that_has_not_begun_is_attempted_as_well() {
    for now in RETURNS {
        let mut rig = posted("");
        rig.platform.mute(true);
        rig.at("2026-11-22T12:01:20Z");
        rig.crash();
        // As a crash between the end of the action and the beginning of the fetch leaves it.
        let path = |folder: &str| rig.path(&format!("spool/command/{folder}/{ID}.json"));
        let text = std::fs::read_to_string(path("inflight")).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        record["document"] = serde_json::Value::Null;
        write_private(&path("ready"), &record.to_string());
        std::fs::remove_file(path("inflight")).unwrap();
        rig.platform.mute(false);
        return_at(&mut rig, now);
        assert!(rig.record(Folder::CommandDone, ID).summary.is_some(), "{now}");
    }
}

#[test]
fn a_delivery_is_attempted_before_it_is_given_up() {
    for now in RETURNS {
        for mended in [true, false] {
            let mut rig = posted("plugin = one\nplugin = two");
            for name in ["one", "two"] {
                rig.plugin(name, "echo $MIG_PLUGIN >> count; test -e ../mended");
            }
            rig.at("2026-11-22T12:01:20Z");
            assert!(rig.spool().contains(&format!("command/returned {ID}")));
            if mended {
                write_private(&rig.path("mended"), "");
            }
            return_at(&mut rig, now);
            let state = if mended { DeliveryState::Delivered } else { DeliveryState::GivenUp };
            let record = rig.record(Folder::CommandDone, ID);
            let states: Vec<DeliveryState> = record.plugins.iter().map(|d| d.state).collect();
            assert_eq!(states, [state; 2], "{now}");
            let count = std::fs::read_to_string(rig.path("plugins/count")).unwrap();
            assert_eq!(count.lines().count(), 4, "{now} {mended}");
        }
    }
}

#[test]
fn an_attempt_before_a_suspend_does_not_count_after_it() {
    let mut rig = posted("plugin = one");
    rig.plugin("one", "test -e ../mended");
    rig.at("2026-11-22T12:01:20Z");
    write_private(&rig.path("mended"), "");
    // The same process, eight days later.
    rig.at(RETURNS[1]);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);

    let mut rig = posted("");
    rig.platform.mute(true);
    rig.at("2026-11-22T12:01:20Z");
    rig.platform.mute(false);
    rig.at(RETURNS[1]);
    assert!(rig.record(Folder::CommandDone, ID).summary.is_some());
}

#[test]
fn a_run_that_was_never_posted_ends_at_its_deadline_without_an_attempt() {
    for now in RETURNS {
        let mut rig = rig("");
        // Another run finds out that the API is away, for half a second at the least.
        rig.platform.expect(&[Mood::Away]);
        let action = r#"{"name":"a","target":"t","operations":[]}"#;
        write_private(&rig.path("spool/action/new/a.json"), action);
        rig.at("2026-11-22T12:00:59.9Z");
        rig.at("2026-11-22T12:01:00Z");
        rig.job("job", SELDOM);
        assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unsent);
        return_at(&mut rig, now);
        let reason = rig.record(Folder::Invalid, ID).reason.unwrap();
        assert!(reason.starts_with("its deadline 2026-11-22T13:01:00Z passed"), "{reason}");
        // Neither was the other one, which had been tried before, posted again.
        assert_eq!(rig.platform.posts(), 1, "{now}");
    }
}

#[test]
fn a_run_whose_post_was_not_answered_is_searched_for_however_late() {
    for now in RETURNS {
        for (mood, folder) in [(Mood::Lose, Folder::CommandDone), (Mood::Drop, Folder::Invalid)] {
            let mut rig = rig("");
            rig.platform.answer(3, true);
            rig.platform.expect(&[mood]);
            rig.at("2026-11-22T12:01:00Z");
            rig.job("job", SELDOM);
            assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
            return_at(&mut rig, now);
            assert_eq!(rig.record(folder, ID).summary.is_some(), mood == Mood::Lose, "{now}");
            assert_eq!(rig.platform.posts(), 1, "{now}");
        }
    }
}

#[test]
fn an_action_is_collected_however_late() {
    for now in RETURNS {
        let mut rig = posted("");
        return_at(&mut rig, now);
        assert!(rig.record(Folder::CommandDone, ID).summary.is_some(), "{now}");
    }
}
