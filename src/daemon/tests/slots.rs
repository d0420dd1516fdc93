//! Which slots of a job become runs: restarts, missed slots, overlaps, pauses, clocks that jump.

use super::super::testing::{Mood, Rig};
use crate::testing::write_private;

/// Returns the slots of which the platform has actions, or the spool has runs, by time of day.
fn slots(rig: &Rig) -> Vec<String> {
    let mut slots: Vec<String> = rig
        .spool()
        .iter()
        .filter(|entry| entry.starts_with("action/"))
        .filter_map(|entry| Some(entry.split_once('T')?.1.trim_end_matches('Z').to_owned()))
        .collect();
    slots.sort();
    slots
}

fn hourly(config: &str) -> Rig {
    collecting(&format!("sendonly = true\n{config}"))
}

/// As [`hourly`], with results.
fn collecting(config: &str) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:30:00Z");
    rig.job("job", &format!("schedule = \"0 * * * *\"\n{config}"));
    rig.start();
    rig
}

#[test]
fn slots_that_passed_while_the_runner_was_down_follow_missed() {
    for (missed, expected) in [("skip", &["130000"][..]), ("once", &["130000", "160000"])] {
        let mut rig = hourly(&format!("missed = {missed}"));
        rig.at("2026-11-22T13:00:00Z");
        rig.crash();
        rig.clock_to("2026-11-22T16:20:00Z");
        rig.start();
        rig.pass(1);
        assert_eq!(slots(&rig), expected, "{missed}");
        rig.at("2026-11-22T17:00:00Z");
        assert_eq!(slots(&rig).last().unwrap(), "170000");
    }
}

#[test]
fn a_slot_found_a_minute_late_is_on_time() {
    let mut rig = hourly("");
    rig.crash();
    rig.clock_to("2026-11-22T13:01:00Z");
    rig.start();
    rig.pass(0);
    assert_eq!(slots(&rig), ["130000"]);
}

#[test]
fn a_job_that_comes_back_or_changes_its_schedule_begins_anew() {
    for down in [false, true] {
        let mut rig = hourly("missed = once");
        rig.at("2026-11-22T13:00:00Z");
        let (home, away) = (rig.path("runners/job"), rig.path("away"));
        std::fs::rename(&home, &away).unwrap();
        if down {
            // Away while the runner was started, and put back while it ran.
            rig.crash();
            rig.start();
        }
        rig.at("2026-11-22T14:30:00Z");
        std::fs::rename(&away, &home).unwrap();
        rig.at("2026-11-22T15:30:00Z");
        assert_eq!(slots(&rig), ["130000"], "{down}");
        rig.at("2026-11-22T16:00:00Z");
        assert_eq!(slots(&rig), ["130000", "160000"]);
        // Another schedule, read at a start: its old slots are none of its own.
        rig.crash();
        rig.job("job", "schedule = \"*/10 * * * *\"\nsendonly = true\nmissed = once");
        rig.clock_to("2026-11-22T17:35:00Z");
        rig.start();
        rig.pass(1);
        assert_eq!(slots(&rig), ["130000", "160000"]);
    }
}

#[test]
fn an_overlapping_slot_is_left_out_if_the_job_says_so() {
    for (overlap, expected) in [("allow", 2), ("skip", 1)] {
        let mut rig = Rig::new("2026-11-22T12:30:00Z");
        rig.job("job", &format!("schedule = \"0 * * * *\"\nexpiry = 90m\noverlap = {overlap}"));
        rig.start();
        rig.at("2026-11-22T13:00:00Z");
        rig.at("2026-11-22T14:00:00Z");
        assert_eq!(rig.platform.posts(), expected, "{overlap}");
        // The first action is over by then, in either case.
        rig.at("2026-11-22T14:31:00Z");
        rig.at("2026-11-22T15:00:00Z");
        assert_eq!(rig.platform.posts(), expected + 1, "{overlap}");
    }
}

#[test]
fn a_splay_delays_the_run_and_not_its_slot() {
    let mut rig = hourly("splay = 30m");
    rig.at("2026-11-22T13:00:00Z");
    let mut minutes = 0;
    while slots(&rig).is_empty() && minutes < 31 {
        rig.pass(60);
        minutes += 1;
    }
    assert_eq!(slots(&rig), ["130000"]);
    assert!((1..=30).contains(&minutes), "{minutes}");
}

#[test]
fn a_deadline_ends_what_could_not_be_sent() {
    let mut rig = hourly("deadline = 10m");
    rig.platform.expect(&[Mood::Away; 100]);
    rig.at("2026-11-22T13:00:00Z");
    rig.at("2026-11-22T13:09:59Z");
    assert_eq!(rig.spool(), ["action/new job.20261122T130000Z"]);
    rig.at("2026-11-22T13:10:00Z");
    assert_eq!(rig.spool(), ["action/invalid job.20261122T130000Z"]);
}

#[test]
fn a_clock_that_jumps_ahead_and_back_stops_no_job_and_fires_nothing_twice() {
    let mut rig = hourly("");
    rig.at("2026-11-22T13:00:00Z");
    rig.at("2038-01-19T03:14:08Z");
    rig.at("2026-11-22T13:30:00Z");
    rig.at("2026-11-22T14:00:00Z");
    assert_eq!(slots(&rig), ["130000", "140000"]);
    rig.at("2026-11-22T13:59:00Z");
    rig.at("2026-11-22T14:00:30Z");
    rig.at("2026-11-22T15:00:00Z");
    assert_eq!(slots(&rig), ["130000", "140000", "150000"]);
    assert_eq!(rig.platform.posts(), 3);
}

#[test]
fn what_a_clock_that_was_ahead_has_put_off_is_tried_once_it_is_set_back() {
    let mut rig = hourly("");
    rig.platform.expect(&[Mood::Away]);
    rig.at("2026-11-22T13:00:00Z");
    // The way to the API is closed for a while that begins in 2038.
    rig.platform.expect(&[Mood::Away]);
    rig.at("2038-01-19T04:00:00Z");
    let posts = rig.platform.posts();
    rig.at("2026-11-22T13:10:00Z");
    assert_eq!(rig.platform.posts(), posts + 1);
    rig.at("2026-11-22T14:00:00Z");
    assert_eq!(rig.platform.posts(), posts + 2);
}

#[test]
fn a_machine_that_slept_wakes_into_the_same_rules() {
    let mut rig = hourly("missed = once");
    rig.at("2026-11-22T13:00:00Z");
    rig.at("2026-11-23T07:40:00Z");
    assert_eq!(slots(&rig), ["070000", "130000"]);
}

#[test]
fn an_action_that_was_dated_by_a_clock_that_was_ahead_is_not_waited_for_until_then() {
    // The platform's clock was ahead as well, or it was right.
    for is_completed in [true, false] {
        let mut rig = collecting("expiry = 2m");
        rig.platform.answer(1, false);
        rig.at("2038-01-19T04:00:00Z");
        let id = "job.20380119T040000Z";
        assert_eq!(rig.spool(), [format!("action/inflight {id}")]);
        rig.job("job", "schedule = \"0 0 1 1 * 2099\"");
        rig.platform.answer(1, is_completed);
        rig.at("2026-11-22T12:10:00Z");
        for _ in 0..60 {
            rig.pass(60);
        }
        let spool = rig.spool();
        if is_completed {
            assert_eq!(spool, [format!("action/done {id}"), format!("command/done {id}")]);
            continue;
        }
        let letter = format!("action/invalid {id}");
        assert_eq!(spool, [letter.clone(), format!("{letter}.json.reason")]);
        let reason = rig.path(&format!("spool/action/invalid/{id}.json.reason"));
        let reason = std::fs::read_to_string(reason).unwrap();
        assert!(reason.contains("valid from 2038-01-19T03:59:00Z"), "{reason}");
        assert!(reason.contains("mig-runner trigger"), "{reason}");
    }
}

#[test]
fn what_was_signed_by_a_clock_that_was_ahead_is_signed_anew() {
    let mut rig = hourly("expiry = 5m");
    rig.platform.expect(&[Mood::Away]);
    rig.at("2038-01-19T04:00:00Z");
    rig.at("2026-11-22T13:10:00Z");
    let texts = rig.platform.texts();
    let dated: Vec<String> = texts
        .iter()
        .map(|text| crate::action::Action::parse(text.as_bytes()).unwrap().valid_from)
        .map(|from| from.timestamp().to_string())
        .collect();
    assert_eq!(dated, ["2026-11-22T13:09:00Z"]);
}

#[test]
fn a_file_that_a_clock_which_was_ahead_dated_is_judged() {
    let mut rig = Rig::new("2020-01-01T12:00:00Z");
    rig.start();
    // For this runner, the file was changed years from now.
    write_private(&rig.path("spool/action/new/mine.json"), "{\"name\":");
    rig.pass(1);
    assert_eq!(rig.spool(), ["action/new mine"]);
    rig.pass(11);
    assert_eq!(rig.spool(), ["action/invalid mine", "action/invalid mine.json.reason"]);
}
