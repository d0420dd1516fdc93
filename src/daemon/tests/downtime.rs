//! A runner that was down for longer than a time limit: every stage makes an attempt before it
//! gives up.
#![expect(clippy::disallowed_methods, reason = "tests read and write files as plugins do")]

use super::super::testing::{PostReply, Rig};
use super::{ID, rig};
use crate::spool::{DeliveryState, Fate, Folder};
use crate::testing::write_private;

/// The same time of day, 6, 8 and 40 days after the run.
const RESTARTS: [&str; 3] =
    ["2026-11-28T12:03:00Z", "2026-11-30T12:03:00Z", "2027-01-01T12:03:00Z"];
/// The schedule after the first run, so that no other slot follows.
const NEXT_YEAR: &str = "schedule = \"0 0 1 6 *\"";

/// Restarts the engine at `now`, as after a long time without power.
fn restart_at(rig: &mut Rig, now: &str) {
    rig.crash();
    rig.set_clock(now);
    rig.start();
    rig.advance(0);
}

/// Returns a rig whose run was posted, and whose job has no further slot.
fn posted(config: &str) -> Rig {
    let mut rig = rig(config);
    rig.platform.set_agents(3, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", NEXT_YEAR);
    rig
}

#[test]
fn fetch_is_attempted_before_it_is_given_up() {
    for now in RESTARTS {
        for is_up in [true, false] {
            let mut rig = posted("");
            rig.platform.fail_fetches(true);
            rig.run_at("2026-11-22T12:01:20Z");
            assert!(rig.spool().contains(&format!("command/inflight {ID}")));
            rig.platform.fail_fetches(!is_up);
            restart_at(&mut rig, now);
            let record = if is_up {
                rig.record(Folder::CommandDone, ID)
            } else {
                // Before the time limit, further attempts follow the failed one.
                let folder =
                    if now == RESTARTS[0] { Folder::CommandInflight } else { Folder::CommandDone };
                rig.record(folder, ID)
            };
            assert_eq!(record.summary.is_some(), is_up, "{now}");
            assert_eq!(record.reason.is_some(), !is_up && now != RESTARTS[0], "{now}");
        }
    }
}

#[test]
fn fetch_that_has_not_begun_is_attempted_too() {
    for now in RESTARTS {
        let mut rig = posted("");
        rig.platform.fail_fetches(true);
        rig.run_at("2026-11-22T12:01:20Z");
        rig.crash();
        // The state after a crash between the end of the action and the start of the fetch.
        let path = |folder: &str| rig.path(&format!("spool/command/{folder}/{ID}.json"));
        let text = std::fs::read_to_string(path("inflight")).unwrap();
        let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
        record["document"] = serde_json::Value::Null;
        write_private(&path("ready"), &record.to_string());
        std::fs::remove_file(path("inflight")).unwrap();
        rig.platform.fail_fetches(false);
        restart_at(&mut rig, now);
        assert!(rig.record(Folder::CommandDone, ID).summary.is_some(), "{now}");
    }
}

#[test]
fn delivery_is_attempted_before_it_is_given_up() {
    for now in RESTARTS {
        for is_repaired in [true, false] {
            let mut rig = posted("plugin = one\nplugin = two");
            for name in ["one", "two"] {
                rig.write_plugin(name, "echo $MIG_PLUGIN >> count; test -e ../repaired");
            }
            rig.run_at("2026-11-22T12:01:20Z");
            assert!(rig.spool().contains(&format!("command/returned {ID}")));
            if is_repaired {
                write_private(&rig.path("repaired"), "");
            }
            restart_at(&mut rig, now);
            let state = if is_repaired { DeliveryState::Delivered } else { DeliveryState::GivenUp };
            let record = rig.record(Folder::CommandDone, ID);
            let states: Vec<DeliveryState> = record.plugins.iter().map(|d| d.state).collect();
            assert_eq!(states, [state; 2], "{now}");
            let count = std::fs::read_to_string(rig.path("plugins/count")).unwrap();
            assert_eq!(count.lines().count(), 4, "{now} {is_repaired}");
        }
    }
}

#[test]
fn attempt_before_a_suspend_does_not_count_after_it() {
    let mut rig = posted("plugin = one");
    rig.write_plugin("one", "test -e ../repaired");
    rig.run_at("2026-11-22T12:01:20Z");
    write_private(&rig.path("repaired"), "");
    // The same process continues eight days later.
    rig.run_at(RESTARTS[1]);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);

    let mut rig = posted("");
    rig.platform.fail_fetches(true);
    rig.run_at("2026-11-22T12:01:20Z");
    rig.platform.fail_fetches(false);
    rig.run_at(RESTARTS[1]);
    assert!(rig.record(Folder::CommandDone, ID).summary.is_some());
}

#[test]
fn unposted_run_is_rejected_at_its_deadline_without_an_attempt() {
    for now in RESTARTS {
        let mut rig = rig("");
        // Another run finds the API unavailable, and trips the circuit breaker for half a second or
        // more.
        rig.platform.script_replies(&[PostReply::Unavailable]);
        let action = r#"{"name":"a","target":"t","operations":[]}"#;
        write_private(&rig.path("spool/action/new/a.json"), action);
        rig.run_at("2026-11-22T12:00:59.9Z");
        rig.run_at("2026-11-22T12:01:00Z");
        rig.write_job("job", NEXT_YEAR);
        assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unsent);
        restart_at(&mut rig, now);
        let reason = rig.record(Folder::Invalid, ID).reason.unwrap();
        assert!(reason.starts_with("its deadline 2026-11-22T13:01:00Z passed"), "{reason}");
        // The other run, which was tried before, was not posted again either.
        assert_eq!(rig.platform.post_count(), 1, "{now}");
    }
}

#[test]
fn unanswered_post_is_searched_for_however_late() {
    for now in RESTARTS {
        for (mood, folder) in [
            (PostReply::LoseAnswer, Folder::CommandDone),
            (PostReply::DropConnection, Folder::Invalid),
        ] {
            let mut rig = rig("");
            rig.platform.set_agents(3, true);
            rig.platform.script_replies(&[mood]);
            rig.run_at("2026-11-22T12:01:00Z");
            rig.write_job("job", NEXT_YEAR);
            assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
            restart_at(&mut rig, now);
            assert_eq!(
                rig.record(folder, ID).summary.is_some(),
                mood == PostReply::LoseAnswer,
                "{now}"
            );
            assert_eq!(rig.platform.post_count(), 1, "{now}");
        }
    }
}

#[test]
fn action_is_collected_however_late() {
    for now in RESTARTS {
        let mut rig = posted("");
        restart_at(&mut rig, now);
        assert!(rig.record(Folder::CommandDone, ID).summary.is_some(), "{now}");
    }
}
