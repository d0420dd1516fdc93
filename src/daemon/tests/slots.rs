//! Slots that become runs or do not: restarts, missed slots, overlaps, pauses, clock jumps.

use super::super::job_calendar::SLOTS_MAX;
use super::super::testing::{PostReply, Rig};
use crate::testing::write_private;

/// Returns the times of day of the slots that have an entry in an `action` folder.
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

/// Returns the rig of an hourly job without results.
fn hourly(config: &str) -> Rig {
    hourly_with_results(&format!("sendonly = true\n{config}"))
}

/// Returns the rig of an hourly job whose results are fetched.
fn hourly_with_results(config: &str) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:30:00Z");
    rig.write_job("job", &format!("schedule = \"0 * * * *\"\n{config}"));
    rig.start();
    rig
}

#[test]
fn missed_setting_decides_about_slots_during_downtime() {
    for (missed, expected) in [("skip", &["130000"][..]), ("once", &["130000", "160000"])] {
        let mut rig = hourly(&format!("missed = {missed}"));
        rig.run_at("2026-11-22T13:00:00Z");
        rig.crash();
        rig.set_clock("2026-11-22T16:20:00Z");
        rig.start();
        rig.advance(1);
        assert_eq!(slots(&rig), expected, "{missed}");
        rig.run_at("2026-11-22T17:00:00Z");
        assert_eq!(slots(&rig).last().unwrap(), "170000");
    }
}

#[test]
fn slot_found_a_minute_late_is_on_time() {
    let mut rig = hourly("");
    rig.crash();
    rig.set_clock("2026-11-22T13:01:00Z");
    rig.start();
    rig.advance(0);
    assert_eq!(slots(&rig), ["130000"]);
}

#[test]
fn restored_or_rescheduled_job_starts_afresh() {
    for down in [false, true] {
        let mut rig = hourly("missed = once");
        rig.run_at("2026-11-22T13:00:00Z");
        let (home, away) = (rig.path("runners/job"), rig.path("away"));
        std::fs::rename(&home, &away).unwrap();
        if down {
            // The job is missing when the runner starts, and restored while it runs.
            rig.crash();
            rig.start();
        }
        rig.run_at("2026-11-22T14:30:00Z");
        std::fs::rename(&away, &home).unwrap();
        rig.run_at("2026-11-22T15:30:00Z");
        assert_eq!(slots(&rig), ["130000"], "{down}");
        rig.run_at("2026-11-22T16:00:00Z");
        assert_eq!(slots(&rig), ["130000", "160000"]);
        // The schedule changes before a start: the earlier slots of the new schedule do not count.
        rig.crash();
        rig.write_job("job", "schedule = \"*/10 * * * *\"\nsendonly = true\nmissed = once");
        rig.set_clock("2026-11-22T17:35:00Z");
        rig.start();
        rig.advance(1);
        assert_eq!(slots(&rig), ["130000", "160000"]);
    }
}

#[test]
fn overlapping_slot_is_skipped_with_overlap_skip() {
    for (overlap, expected) in [("allow", 2), ("skip", 1)] {
        let mut rig = Rig::new("2026-11-22T12:30:00Z");
        rig.write_job(
            "job",
            &format!("schedule = \"0 * * * *\"\nexpiry = 90m\noverlap = {overlap}"),
        );
        rig.start();
        rig.run_at("2026-11-22T13:00:00Z");
        rig.run_at("2026-11-22T14:00:00Z");
        assert_eq!(rig.platform.post_count(), expected, "{overlap}");
        // The first action has expired by then, in either case.
        rig.run_at("2026-11-22T14:30:00Z");
        rig.run_at("2026-11-22T14:31:00Z");
        rig.run_at("2026-11-22T15:00:00Z");
        assert_eq!(rig.platform.post_count(), expected + 1, "{overlap}");
    }
}

#[test]
fn splay_delays_the_run_and_not_its_slot() {
    let mut rig = hourly("splay = 30m");
    rig.run_at("2026-11-22T13:00:00Z");
    let mut minutes = 0;
    while slots(&rig).is_empty() && minutes < 31 {
        rig.advance(60);
        minutes += 1;
    }
    assert_eq!(slots(&rig), ["130000"]);
    assert!((1..=30).contains(&minutes), "{minutes}");
}

#[test]
fn unsent_run_is_rejected_at_its_deadline() {
    let mut rig = hourly("deadline = 10m");
    rig.platform.script_replies(&[PostReply::Unavailable; 100]);
    rig.run_at("2026-11-22T13:00:00Z");
    rig.run_at("2026-11-22T13:09:59Z");
    assert_eq!(rig.spool(), ["action/new job.20261122T130000Z"]);
    rig.run_at("2026-11-22T13:10:00Z");
    assert_eq!(rig.spool(), ["action/invalid job.20261122T130000Z"]);
}

#[test]
fn clock_jumps_stop_no_job_and_launch_no_slot_twice() {
    let mut rig = hourly("");
    rig.run_at("2026-11-22T13:00:00Z");
    rig.run_at("2038-01-19T03:14:08Z");
    rig.run_at("2026-11-22T13:30:00Z");
    rig.run_at("2026-11-22T14:00:00Z");
    assert_eq!(slots(&rig), ["130000", "140000"]);
    rig.run_at("2026-11-22T13:59:00Z");
    rig.run_at("2026-11-22T14:00:30Z");
    rig.run_at("2026-11-22T15:00:00Z");
    assert_eq!(slots(&rig), ["130000", "140000", "150000"]);
    assert_eq!(rig.platform.post_count(), 3);
}

#[test]
fn delays_set_by_a_clock_that_was_ahead_end_when_it_is_set_back() {
    let mut rig = hourly("");
    rig.platform.script_replies(&[PostReply::Unavailable]);
    rig.run_at("2026-11-22T13:00:00Z");
    // The circuit breaker is tripped until a time in 2038.
    rig.platform.script_replies(&[PostReply::Unavailable]);
    rig.run_at("2038-01-19T04:00:00Z");
    let posts = rig.platform.post_count();
    rig.run_at("2026-11-22T13:10:00Z");
    assert_eq!(rig.platform.post_count(), posts + 1);
    rig.run_at("2026-11-22T14:00:00Z");
    assert_eq!(rig.platform.post_count(), posts + 2);
}

#[test]
fn slots_during_a_suspend_count_as_missed() {
    let mut rig = hourly("missed = once");
    rig.run_at("2026-11-22T13:00:00Z");
    rig.run_at("2026-11-23T07:40:00Z");
    assert_eq!(slots(&rig), ["070000", "130000"]);
}

#[test]
fn action_dated_in_the_future_is_not_awaited_until_then() {
    // The platform's clock was ahead as well, or it was right.
    for is_completed in [true, false] {
        let mut rig = hourly_with_results("expiry = 2m");
        rig.platform.set_agents(1, false);
        rig.run_at("2038-01-19T04:00:00Z");
        let id = "job.20380119T040000Z";
        assert_eq!(rig.spool(), [format!("action/inflight {id}")]);
        rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"");
        rig.platform.set_agents(1, is_completed);
        rig.run_at("2026-11-22T12:10:00Z");
        for _ in 0..60 {
            rig.advance(60);
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
fn action_signed_in_the_future_is_signed_again() {
    let mut rig = hourly("expiry = 5m");
    rig.platform.script_replies(&[PostReply::Unavailable]);
    rig.run_at("2038-01-19T04:00:00Z");
    rig.run_at("2026-11-22T13:10:00Z");
    let texts = rig.platform.action_texts();
    let dated: Vec<String> = texts
        .iter()
        .map(|text| crate::action::Action::parse(text.as_bytes()).unwrap().valid_from)
        .map(|from| from.timestamp().to_string())
        .collect();
    assert_eq!(dated, ["2026-11-22T13:09:00Z"]);
}

#[test]
fn damaged_file_dated_in_the_future_is_rejected() {
    let mut rig = Rig::new("2020-01-01T12:00:00Z");
    rig.start();
    // The clock of this runner is years behind the time of the file.
    write_private(&rig.path("spool/action/new/mine.json"), "{\"name\":");
    rig.advance(1);
    assert_eq!(rig.spool(), ["action/new mine"]);
    rig.advance(11);
    assert_eq!(rig.spool(), ["action/invalid mine", "action/invalid mine.json.reason"]);
}

#[test]
fn one_turn_launches_a_limited_number_of_slots() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    for number in 0..SLOTS_MAX + 8 {
        rig.write_job(&format!("job{number}"), "schedule = \"* * * * *\"");
    }
    rig.start();
    // At the start, every job is due.
    for _ in 0..2 {
        rig.launch_due();
    }
    assert_eq!(rig.spool(), [""; 0]);
    rig.set_clock("2026-11-22T12:01:00Z");
    for count in [SLOTS_MAX, SLOTS_MAX + 8, SLOTS_MAX + 8] {
        rig.launch_due();
        assert_eq!(rig.spool().len(), count);
    }
}

#[test]
fn one_turn_retries_a_limited_number_of_launches() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    for number in 0..SLOTS_MAX + 8 {
        rig.write_job(&format!("job{number}"), "schedule = \"1 12 * * *\"");
    }
    rig.start();
    for _ in 0..2 {
        rig.launch_due();
    }
    let (new, away) = (rig.path("spool/action/new"), rig.path("away"));
    std::fs::rename(&new, &away).unwrap();
    write_private(&new, "");
    rig.set_clock("2026-11-22T12:01:00Z");
    for _ in 0..2 {
        rig.launch_due();
    }
    std::fs::remove_file(&new).unwrap();
    std::fs::rename(&away, &new).unwrap();
    rig.set_clock("2026-11-22T12:01:05Z");
    for count in [SLOTS_MAX, SLOTS_MAX + 8] {
        rig.launch_due();
        assert_eq!(rig.spool().len(), count);
    }
}
