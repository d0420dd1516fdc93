//! Runs that a newer run of their job replaces before they are sent, and runs past their deadline.

use super::super::testing::{Mood, Rig};
use super::{ID, rig};
use crate::clock::{Clock as _, SystemClock};
use crate::config::duration::Keep;
use crate::spool::{DeliveryState, Folder};
use crate::stage::prune::DAY;
use crate::testing::write_private;

#[test]
fn a_superseded_run_counts_as_finished_before_the_next_count() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"* * * * *\"");
    rig.start_watching();
    rig.write_new_metrics();
    rig.hear_until(|engine| engine.has_counted(Folder::ActionDone));
    rig.platform.expect(&[Mood::Away; 100]);
    rig.at("2026-11-22T12:01:00Z");
    rig.at("2026-11-22T12:02:00Z");
    rig.pass(5);
    assert_eq!(entries(&rig, "action/done "), ["job.20261122T120100Z"]);
    let text = rig.metrics();
    assert!(text.contains("mig_runner_spool_entries{folder=\"action/done\"} 1\n"), "{text}");
}

/// Returns the entries of the spool in a folder, without its name.
fn entries(rig: &Rig, folder: &str) -> Vec<String> {
    let spool = rig.spool();
    spool.iter().filter_map(|entry| Some(entry.strip_prefix(folder)?.trim().to_owned())).collect()
}

/// Lets the API be away from 12:00:59 until `end`, and returns the rig.
fn outage(schedule: &str, config: &str, ends: &[&str]) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.plugin("keep", "cat > received");
    rig.job("job", &format!("schedule = \"{schedule}\"\nplugin = keep\n{config}"));
    rig.start();
    rig.platform.answer(1, true);
    rig.platform.expect(&[Mood::Away; 1000]);
    for end in ends {
        rig.at(end);
    }
    rig
}

#[test]
fn an_outage_longer_than_a_jobs_period_leaves_no_dead_letter() {
    let hours: Vec<String> =
        (1..=4).map(|hour| format!("2026-11-22T1{}:00:00Z", 2 + hour)).collect();
    let minutes: Vec<String> = (1..=90)
        .map(|minute| format!("2026-11-22T1{}:{:02}:00Z", 2 + minute / 60, minute % 60))
        .collect();
    for (schedule, times) in [("0 * * * *", hours), ("* * * * *", minutes)] {
        let times: Vec<&str> = times.iter().map(String::as_str).collect();
        let mut rig = outage(schedule, "", &times);
        let tried = rig.platform.posts();
        // No run has reached the platform; also those that were tried give way.
        assert!(tried > 1, "{tried}");
        rig.platform.recover();
        rig.pass(400);
        rig.job("job", "schedule = \"0 0 1 6 *\"");
        rig.pass(400);
        assert_eq!(entries(&rig, "action/invalid"), [""; 0], "{schedule}");
        assert_eq!(entries(&rig, "action/new"), [""; 0], "{schedule}");
        let sent = rig.platform.actions().len();
        let finished = entries(&rig, "command/done");
        assert_eq!(finished.len(), sent, "{schedule}");
        let done = entries(&rig, "action/done");
        let superseded: Vec<&String> = done.iter().filter(|id| !finished.contains(id)).collect();
        // While the test passes the time, another slot may come and go.
        assert!(superseded.len() >= times.len() - 1, "{schedule}");
        for id in superseded {
            let record = rig.record(Folder::ActionDone, id);
            let newer = record.superseded.unwrap();
            assert!(newer.as_str() > id.as_str(), "{newer}");
            assert!(record.collected.is_some() && record.action_id.is_none());
            assert_eq!((record.reason, record.document), (None, None));
            assert_eq!(record.plugins[0].state, DeliveryState::Skipped);
        }
    }
}

#[test]
fn a_restart_leaves_superseded_runs_where_they_are() {
    let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
    rig.pass(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    let before = rig.spool();
    rig.crash();
    rig.start();
    rig.pass(0);
    assert_eq!(rig.spool(), before);
}

#[test]
fn a_deadline_that_the_job_sets_is_a_dead_letter_as_before() {
    let mut rig = outage(
        "0 * * * *",
        "deadline = 10m",
        &["2026-11-22T13:00:00Z", "2026-11-22T13:10:00Z", "2026-11-22T14:00:00Z"],
    );
    rig.pass(5);
    assert_eq!(entries(&rig, "action/invalid"), ["job.20261122T130000Z"]);
    let reason = rig.record(Folder::Invalid, "job.20261122T130000Z").reason.unwrap();
    assert!(reason.starts_with("its deadline 2026-11-22T13:10:00Z passed"), "{reason}");
    assert_eq!(entries(&rig, "action/new"), ["job.20261122T140000Z"]);
}

#[test]
fn a_superseded_run_that_is_put_back_is_tried_again() {
    let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
    rig.pass(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    // The newer run still waits: it takes its place again.
    rig.mv(ID, Folder::ActionDone, Folder::New);
    rig.pass(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    rig.platform.recover();
    rig.job("job", "schedule = \"0 0 1 6 *\"");
    rig.pass(10);
    assert_eq!(rig.platform.actions().len(), 1);
    // A day later, as nothing newer waits, it is sent, whose deadline begins again.
    rig.at("2026-11-23T12:00:00Z");
    rig.mv(ID, Folder::ActionDone, Folder::New);
    rig.pass(0);
    assert!(entries(&rig, "action/inflight").contains(&ID.to_owned()), "{:?}", rig.spool());
    rig.pass(400);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.superseded, None);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);
    assert_eq!(rig.platform.actions().len(), 2);
}

#[test]
fn other_moves_of_a_superseded_run_say_what_to_do() {
    for to in [Folder::ActionInflight, Folder::Ready] {
        let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
        rig.pass(5);
        rig.mv(ID, Folder::ActionDone, to);
        rig.pass(5);
        let spool = rig.spool();
        let letter = spool.iter().find(|entry| entry.starts_with("action/invalid"));
        let letter = letter.unwrap_or_else(|| panic!("{to} {spool:?}"));
        assert!(letter.contains(ID), "{spool:?}");
        assert_eq!(rig.platform.actions().len(), 0);
    }
}

#[test]
fn superseded_runs_are_pruned_and_take_no_place_of_finished_ones() {
    let now = SystemClock.now();
    let mut rig = Rig::new(&now.to_string());
    rig.retention.done = Keep::Count(2);
    rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.platform.answer(1, true);
    rig.start();
    // Two runs with results, then an outage of four minutes.
    rig.pass(60);
    rig.pass(60);
    rig.pass(50);
    let finished = entries(&rig, "command/done");
    assert!(finished.len() >= 2, "{:?}", rig.spool());
    rig.platform.expect(&[Mood::Away; 1000]);
    for _ in 0..5 {
        rig.pass(60);
    }
    let superseded = entries(&rig, "action/done").len() - entries(&rig, "command/done").len();
    assert!(superseded >= 3, "{:?}", rig.spool());
    rig.job("job", "schedule = \"0 0 1 1 * 2099\"");
    rig.pass((DAY * 2).as_secs());
    rig.prune();
    assert_eq!(entries(&rig, "command/done").len(), 2);
    assert_eq!(entries(&rig, "action/done").len(), 4, "{:?}", rig.spool());
}

#[test]
fn a_finished_sendonly_run_owes_nothing() {
    let mut rig = rig("sendonly = true\nplugin = keep");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 6 *\"");
    let record = rig.record(Folder::ActionDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Skipped);

    // A person who wants its results after all gets them, and so does its plugin.
    rig.plugin("keep", "cat > received");
    let text = record.to_bytes().unwrap();
    let ready = rig.path(&format!("spool/command/ready/{ID}.json"));
    write_private(&ready, std::str::from_utf8(&text).unwrap());
    rig.pass(30);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);
    assert_eq!(record.deliveries(), record.plugins);
    assert!(rig.path("plugins/received").exists());
}

#[test]
fn a_sendonly_run_of_an_earlier_version_owes_nothing_either() {
    for folder in [Folder::New, Folder::ActionInflight] {
        let mut rig = rig("sendonly = true\nplugin = keep\npaused = true");
        let mut record = crate::spool::testing::record(ID);
        record.settings.send_only = true;
        record.plugins = vec![crate::spool::Delivery {
            plugin: "keep".parse().unwrap(),
            state: DeliveryState::Owed,
        }];
        assert_eq!(record.deliveries()[0].state, DeliveryState::Skipped);
        record.action_id = Some(crate::names::ActionId(7));
        let text = record.to_bytes().unwrap();
        let path = rig.path(&format!("spool/{folder}/{ID}.json"));
        write_private(&path, std::str::from_utf8(&text).unwrap());
        rig.pass(1);
        let record = rig.record(Folder::ActionDone, ID);
        assert_eq!(record.plugins[0].state, DeliveryState::Skipped, "{folder}");
    }
}

#[test]
fn metrics_count_superseded_runs_and_take_sendonly_runs_for_finished() {
    let mut rig = rig("sendonly = true\nplugin = keep");
    rig.measure();
    let success = "mig_runner_last_success_timestamp_seconds{job=\"job\"} ";
    assert!(!rig.metrics().contains(success));
    rig.at("2026-11-22T12:01:00Z");
    rig.platform.expect(&[Mood::Away; 100]);
    rig.at("2026-11-22T12:02:00Z");
    rig.at("2026-11-22T12:03:00Z");
    rig.pass(5);
    let text = rig.metrics();
    assert!(text.contains("mig_runner_superseded_total{job=\"job\"} 1\n"), "{text}");
    assert!(text.contains(&format!("{success}1795348860\n")), "{text}");

    // The last run of all in `action/done` is superseded, and says nothing of the one before.
    rig.crash();
    rig.start();
    rig.measure();
    assert!(!rig.metrics().contains(success));
    // Once a later run was sent, it counts after a restart too.
    rig.platform.recover();
    rig.job("job", "schedule = \"0 0 1 6 *\"\nsendonly = true");
    rig.at("2026-11-22T12:10:00Z");
    rig.crash();
    rig.start();
    rig.measure();
    let text = rig.metrics();
    assert!(text.contains(success), "{text}");
}
