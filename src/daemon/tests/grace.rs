//! Results whose commands may still change when the action has expired: the grace period, outages
//! around the expiry, and reading the results again.
#![expect(clippy::disallowed_methods, reason = "tests look at what is stored")]

use super::super::testing::{Outage, Rig};
use super::{ID, rig};
use crate::spool::Folder;

/// Returns a rig whose run was posted at 12:01:00 and expires at 12:01:20, with three agents of which
/// one has not answered.
fn posted(config: &str) -> Rig {
    let mut rig = rig(config);
    rig.platform.answer(3, false);
    rig.platform.hold(1);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 6 *\"");
    rig
}

/// Lets the last agent answer.
fn answer(rig: &Rig) {
    rig.platform.hold(0);
    rig.platform.answer(3, true);
}

/// Lets the seconds pass one by one.
fn tick(rig: &mut Rig, seconds: u64) {
    for _ in 0..seconds {
        rig.pass(1);
    }
}

/// Returns how many commands the finished run has, and how many of them are not final.
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
fn the_grace_period_begins_when_the_platform_serves_again() {
    for outage in [Outage::Api, Outage::Database] {
        for answered in [true, false] {
            let mut rig = posted("");
            rig.at("2026-11-22T12:01:10Z");
            rig.platform.fail(Some(outage));
            tick(&mut rig, 110);
            assert_eq!(rig.spool(), [format!("action/inflight {ID}")], "{outage:?}");
            rig.platform.fail(None);
            // It is asked again within a quarter of the time since the expiry.
            rig.pass(25);
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
fn an_outage_after_the_grace_period_begins_another_one() {
    for answered in [true, false] {
        let mut rig = posted("");
        rig.at("2026-11-22T12:01:20Z");
        rig.platform.mute(true);
        tick(&mut rig, 15);
        assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
        rig.at("2026-11-22T12:05:00Z");
        rig.platform.mute(false);
        rig.pass(300);
        tick(&mut rig, 10);
        assert!(!is_finished(&rig), "{:?}", rig.spool());
        if answered {
            answer(&rig);
        }
        tick(&mut rig, 6);
        assert_eq!(counts(&rig), (3, u64::from(!answered)));
        // This is not a failure.
        assert_eq!(rig.record(Folder::CommandDone, ID).error, None);
    }
}

#[test]
fn a_crash_in_the_grace_period_begins_another_one() {
    let mut rig = posted("delayresults = 30s");
    rig.at("2026-11-22T12:01:50Z");
    assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
    rig.crash();
    answer(&rig);
    rig.start();
    tick(&mut rig, 3);
    assert_eq!(counts(&rig), (3, 0));

    let mut rig = posted("");
    rig.at("2026-11-22T12:01:20Z");
    rig.crash();
    rig.clock_to("2026-11-22T12:30:00Z");
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
        rig.at("2026-11-22T12:01:50Z");
        let reads = rig.platform.offsets().len();
        tick(&mut rig, 10);
        // Meanwhile only the action is asked for.
        assert_eq!(rig.platform.offsets().len(), reads);
        if answered {
            answer(&rig);
        }
        tick(&mut rig, 6);
        assert_eq!(counts(&rig), (3, u64::from(!answered)));
    }
}

#[test]
fn the_platform_answered_all_along_and_nothing_is_read_twice() {
    let mut rig = posted("");
    rig.at("2026-11-22T12:01:20Z");
    tick(&mut rig, 15);
    assert_eq!(counts(&rig), (3, 1));
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.status.as_deref(), Some("inflight"));
    let offsets = rig.platform.offsets();
    assert_eq!(offsets.iter().filter(|offset| **offset == 0).count(), 1, "{offsets:?}");
}

#[test]
fn results_are_read_again_on_request() {
    let mut rig = posted("");
    rig.at("2026-11-22T12:01:20Z");
    tick(&mut rig, 15);
    assert_eq!(counts(&rig), (3, 1));
    answer(&rig);
    rig.mv(ID, Folder::CommandDone, Folder::Ready);
    rig.pass(1);
    assert_eq!(counts(&rig), (3, 0));
    let document = rig.record(Folder::CommandDone, ID).document.unwrap();
    assert!(document.ends_with("/1000-2.json"), "{document}");
    // The earlier document stays as it was.
    let first = rig.path("runners/job/results/20261122/1000.json");
    assert!(std::fs::read_to_string(first).unwrap().contains("\"status\":\"sent\""));
}

#[test]
fn a_person_who_does_not_wait_gets_what_is_there() {
    let mut rig = posted("");
    rig.at("2026-11-22T12:01:10Z");
    rig.mv(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.pass(1);
    assert_eq!(counts(&rig), (3, 1));
}

#[test]
fn a_platform_that_never_answers_again_is_not_waited_for_forever() {
    let mut rig = posted("");
    rig.platform.fail(Some(Outage::Api));
    rig.at("2026-11-22T12:01:20Z");
    rig.at("2026-11-29T12:01:19Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    rig.at("2026-11-29T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/inflight {ID}")), "{:?}", rig.spool());
    rig.at("2026-12-06T12:01:20Z");
    let record = rig.record(Folder::CommandDone, ID);
    assert!(record.reason.unwrap().starts_with("the results could not be fetched"));
}
