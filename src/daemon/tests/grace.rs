//! Results whose commands may still change when the action has expired: the grace period, outages
//! around the expiry, and reading the results again.
#![expect(clippy::disallowed_methods, reason = "tests read stored documents")]

use super::super::testing::{Outage, Rig};
use super::{ID, rig};
use crate::spool::Folder;

/// Returns a rig whose run was posted at 12:01:00 and expires at 12:01:20, with three agents of
/// which one has not answered.
fn posted(config: &str) -> Rig {
    let mut rig = rig(config);
    rig.platform.set_agents(3, false);
    rig.platform.set_unanswered(1);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 6 *\"");
    rig
}

/// Makes the last agent answer.
fn answer(rig: &Rig) {
    rig.platform.set_unanswered(0);
    rig.platform.set_agents(3, true);
}

/// Advances the clock second by second.
fn tick(rig: &mut Rig, seconds: u64) {
    for _ in 0..seconds {
        rig.advance(1);
    }
}

/// Returns the number of commands of the finished run, and of those that are not final.
fn counts(rig: &Rig) -> (u64, u64) {
    let record = rig.record(Folder::CommandDone, ID);
    let summary = record.summary.unwrap();
    let document = std::fs::read_to_string(rig.path(&record.document.unwrap())).unwrap();
    let sent = document.matches("\"status\":\"sent\"").count() as u64;
    assert_eq!(sent, summary.not_final, "{document}");
    assert_eq!(document.matches("\"id\":700").count(), 3, "{document}");
    (summary.sent, summary.not_final)
}

fn is_finished(rig: &Rig) -> bool {
    rig.spool().contains(&format!("command/done {ID}"))
}

#[test]
fn grace_period_starts_when_the_platform_is_available_again() {
    for outage in [Outage::Api, Outage::Database] {
        for answered in [true, false] {
            let mut rig = posted("");
            rig.run_at("2026-11-22T12:01:10Z");
            rig.platform.set_outage(Some(outage));
            tick(&mut rig, 110);
            assert_eq!(rig.spool(), [format!("action/inflight {ID}")], "{outage:?}");
            rig.platform.set_outage(None);
            // The next query comes within a quarter of the time since the expiry.
            rig.advance(25);
            tick(&mut rig, 10);
            assert_eq!(rig.spool(), [format!("action/inflight {ID}")], "{outage:?}");
            if answered {
                answer(&rig);
            }
            tick(&mut rig, 5);
            assert!(is_finished(&rig), "{outage:?} {:?}", rig.spool());
            assert_eq!(counts(&rig), (3, u64::from(!answered)), "{outage:?}");
        }
    }
}

#[test]
fn outage_after_the_grace_period_starts_another_one() {
    for answered in [true, false] {
        let mut rig = posted("");
        rig.run_at("2026-11-22T12:01:20Z");
        rig.platform.fail_fetches(true);
        tick(&mut rig, 15);
        assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
        rig.run_at("2026-11-22T12:05:00Z");
        rig.platform.fail_fetches(false);
        rig.advance(300);
        tick(&mut rig, 10);
        assert!(!is_finished(&rig), "{:?}", rig.spool());
        if answered {
            answer(&rig);
        }
        tick(&mut rig, 6);
        assert_eq!(counts(&rig), (3, u64::from(!answered)));
        // This is not an error.
        assert_eq!(rig.record(Folder::CommandDone, ID).error, None);
    }
}

#[test]
fn crash_in_the_grace_period_starts_another_one() {
    let mut rig = posted("delayresults = 30s");
    rig.run_at("2026-11-22T12:01:50Z");
    assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
    rig.crash();
    answer(&rig);
    rig.start();
    tick(&mut rig, 3);
    assert_eq!(counts(&rig), (3, 0));

    let mut rig = posted("");
    rig.run_at("2026-11-22T12:01:20Z");
    rig.crash();
    rig.set_clock("2026-11-22T12:30:00Z");
    rig.start();
    tick(&mut rig, 14);
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    answer(&rig);
    tick(&mut rig, 2);
    assert_eq!(counts(&rig), (3, 0));
}

#[test]
fn delayed_results_that_are_not_final_are_read_again() {
    for answered in [true, false] {
        let mut rig = posted("delayresults = 30s");
        rig.run_at("2026-11-22T12:01:50Z");
        let reads = rig.platform.requested_offsets().len();
        tick(&mut rig, 10);
        // Meanwhile, only the status of the action is queried.
        assert_eq!(rig.platform.requested_offsets().len(), reads);
        if answered {
            answer(&rig);
        }
        tick(&mut rig, 6);
        assert_eq!(counts(&rig), (3, u64::from(!answered)));
    }
}

#[test]
fn results_are_read_once_if_the_platform_always_answered() {
    let mut rig = posted("");
    rig.run_at("2026-11-22T12:01:20Z");
    tick(&mut rig, 15);
    assert_eq!(counts(&rig), (3, 1));
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.status.as_deref(), Some("inflight"));
    let offsets = rig.platform.requested_offsets();
    assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), 1, "{offsets:?}");
}

#[test]
fn results_are_read_again_on_request() {
    let mut rig = posted("");
    rig.run_at("2026-11-22T12:01:20Z");
    tick(&mut rig, 15);
    assert_eq!(counts(&rig), (3, 1));
    answer(&rig);
    rig.move_run(ID, Folder::CommandDone, Folder::Ready);
    rig.advance(1);
    assert_eq!(counts(&rig), (3, 0));
    let document = rig.record(Folder::CommandDone, ID).document.unwrap();
    assert!(document.ends_with("/1000-2.json"), "{document}");
    // The earlier document is unchanged.
    let first = rig.path("runners/job/results/20261122/1000.json");
    assert!(std::fs::read_to_string(first).unwrap().contains("\"status\":\"sent\""));
}

#[test]
fn run_moved_to_action_done_stores_the_results_so_far() {
    let mut rig = posted("");
    rig.run_at("2026-11-22T12:01:10Z");
    rig.move_run(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.advance(1);
    assert_eq!(counts(&rig), (3, 1));
}

#[test]
fn unavailable_platform_is_given_up_after_the_time_limit() {
    let mut rig = posted("");
    rig.platform.set_outage(Some(Outage::Api));
    rig.run_at("2026-11-22T12:01:20Z");
    rig.run_at("2026-11-29T12:01:19Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.run_at("2026-11-29T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
    rig.run_at("2026-12-06T12:01:20Z");
    let record = rig.record(Folder::CommandDone, ID);
    assert!(record.reason.unwrap().starts_with("the results could not be fetched"));
}
