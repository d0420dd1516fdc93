//! Runs that are superseded by a newer run of their job before they are sent, and runs past their
//! deadline.

use super::super::testing::{PostReply, Rig};
use super::{ID, rig};
use crate::clock::{Clock as _, SystemClock};
use crate::config::duration::Keep;
use crate::spool::{DeliveryState, Folder};
use crate::stage::prune::DAY;
use crate::testing::write_private;

#[test]
fn superseded_run_is_counted_as_finished_at_once() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"* * * * *\"");
    rig.start_watching();
    rig.write_new_metrics();
    rig.run_until(|engine| engine.has_counted(Folder::ActionDone));
    rig.platform.script_replies(&[PostReply::Unavailable; 100]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.run_at("2026-11-22T12:02:00Z");
    rig.advance(5);
    assert_eq!(entries(&rig, "action/done "), ["job.20261122T120100Z"]);
    let text = rig.metrics();
    assert!(text.contains("mig_runner_spool_entries{folder=\"action/done\"} 1\n"), "{text}");
}

/// Returns the names of the entries in a folder of the spool.
fn entries(rig: &Rig, folder: &str) -> Vec<String> {
    let spool = rig.spool();
    spool.iter().filter_map(|entry| Some(entry.strip_prefix(folder)?.trim().to_owned())).collect()
}

/// Returns a rig whose API is unavailable, after it has run at each of these times.
fn outage(schedule: &str, config: &str, times: &[&str]) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_plugin("keep", "cat > received");
    rig.write_job("job", &format!("schedule = \"{schedule}\"\nplugin = keep\n{config}"));
    rig.start();
    rig.platform.set_agents(1, true);
    rig.platform.script_replies(&[PostReply::Unavailable; 1000]);
    for time in times {
        rig.run_at(time);
    }
    rig
}

#[test]
fn outage_longer_than_a_jobs_period_leaves_no_dead_letter() {
    let hours: Vec<String> =
        (1..=4).map(|hour| format!("2026-11-22T1{}:00:00Z", 2 + hour)).collect();
    let minutes: Vec<String> = (1..=90)
        .map(|minute| format!("2026-11-22T1{}:{:02}:00Z", 2 + minute / 60, minute % 60))
        .collect();
    for (schedule, times) in [("0 * * * *", hours), ("* * * * *", minutes)] {
        let times: Vec<&str> = times.iter().map(String::as_str).collect();
        let mut rig = outage(schedule, "", &times);
        let tried = rig.platform.post_count();
        // No run has reached the platform. Runs that were tried are superseded too.
        assert!(tried > 1, "{tried}");
        rig.platform.accept_all();
        rig.advance(400);
        rig.write_job("job", "schedule = \"0 0 1 6 *\"");
        rig.advance(400);
        assert_eq!(entries(&rig, "action/invalid"), [""; 0], "{schedule}");
        assert_eq!(entries(&rig, "action/new"), [""; 0], "{schedule}");
        let sent = rig.platform.action_names().len();
        let finished = entries(&rig, "command/done");
        assert_eq!(finished.len(), sent, "{schedule}");
        let done = entries(&rig, "action/done");
        let superseded: Vec<&String> = done.iter().filter(|id| !finished.contains(id)).collect();
        // While the time advances, another slot may be launched and superseded.
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
fn restart_leaves_superseded_runs_where_they_are() {
    let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
    rig.advance(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    let before = rig.spool();
    rig.crash();
    rig.start();
    rig.advance(0);
    assert_eq!(rig.spool(), before);
}

#[test]
fn run_past_its_configured_deadline_is_a_dead_letter() {
    let mut rig = outage(
        "0 * * * *",
        "deadline = 10m",
        &["2026-11-22T13:00:00Z", "2026-11-22T13:10:00Z", "2026-11-22T14:00:00Z"],
    );
    rig.advance(5);
    assert_eq!(entries(&rig, "action/invalid"), ["job.20261122T130000Z"]);
    let reason = rig.record(Folder::Invalid, "job.20261122T130000Z").reason.unwrap();
    assert!(reason.starts_with("its deadline 2026-11-22T13:10:00Z passed"), "{reason}");
    assert_eq!(entries(&rig, "action/new"), ["job.20261122T140000Z"]);
}

#[test]
fn superseded_run_that_is_put_back_is_retried() {
    let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
    rig.advance(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    // The newer run is still waiting, and supersedes it again.
    rig.move_run(ID, Folder::ActionDone, Folder::New);
    rig.advance(5);
    assert_eq!(entries(&rig, "action/done"), [ID]);
    rig.platform.accept_all();
    rig.write_job("job", "schedule = \"0 0 1 6 *\"");
    rig.advance(10);
    assert_eq!(rig.platform.action_names().len(), 1);
    // A day later no newer run is waiting: the run is sent, and its deadline starts again.
    rig.run_at("2026-11-23T12:00:00Z");
    rig.move_run(ID, Folder::ActionDone, Folder::New);
    rig.advance(0);
    assert!(entries(&rig, "action/inflight").contains(&ID.to_owned()), "{:?}", rig.spool());
    rig.advance(400);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.superseded, None);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);
    assert_eq!(rig.platform.action_names().len(), 2);
}

#[test]
fn superseded_run_in_any_other_folder_is_a_dead_letter() {
    for to in [Folder::ActionInflight, Folder::Ready] {
        let mut rig = outage("* * * * *", "", &["2026-11-22T12:01:00Z", "2026-11-22T12:02:00Z"]);
        rig.advance(5);
        rig.move_run(ID, Folder::ActionDone, to);
        rig.advance(5);
        let spool = rig.spool();
        let letter = spool.iter().find(|entry| entry.starts_with("action/invalid"));
        let letter = letter.unwrap_or_else(|| panic!("{to} {spool:?}"));
        assert!(letter.contains(ID), "{spool:?}");
        assert_eq!(rig.platform.action_names().len(), 0);
    }
}

#[test]
fn superseded_runs_are_counted_separately_for_retention() {
    let now = SystemClock.now();
    let mut rig = Rig::new(&now.to_string());
    rig.retention.done = Keep::Count(2);
    rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.platform.set_agents(1, true);
    rig.start();
    // Two runs with results, then an outage of four minutes.
    rig.advance(60);
    rig.advance(60);
    rig.advance(50);
    let finished = entries(&rig, "command/done");
    assert!(finished.len() >= 2, "{:?}", rig.spool());
    rig.platform.script_replies(&[PostReply::Unavailable; 1000]);
    for _ in 0..5 {
        rig.advance(60);
    }
    let superseded = entries(&rig, "action/done").len() - entries(&rig, "command/done").len();
    assert!(superseded >= 3, "{:?}", rig.spool());
    rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"");
    rig.advance((DAY * 2).as_secs());
    rig.prune();
    assert_eq!(entries(&rig, "command/done").len(), 2);
    assert_eq!(entries(&rig, "action/done").len(), 4, "{:?}", rig.spool());
}

#[test]
fn finished_sendonly_run_owes_no_delivery() {
    let mut rig = rig("sendonly = true\nplugin = keep");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 6 *\"");
    let record = rig.record(Folder::ActionDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Skipped);

    // If the operator requests its results after all, they are fetched and delivered.
    rig.write_plugin("keep", "cat > received");
    let text = record.to_bytes().unwrap();
    let ready = rig.path(&format!("spool/command/ready/{ID}.json"));
    write_private(&ready, std::str::from_utf8(&text).unwrap());
    rig.advance(30);
    let record = rig.record(Folder::CommandDone, ID);
    assert_eq!(record.plugins[0].state, DeliveryState::Delivered);
    assert_eq!(record.deliveries(), record.plugins);
    assert!(rig.path("plugins/received").exists());
}

#[test]
fn sendonly_run_of_an_earlier_version_owes_no_delivery() {
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
        rig.advance(1);
        let record = rig.record(Folder::ActionDone, ID);
        assert_eq!(record.plugins[0].state, DeliveryState::Skipped, "{folder}");
    }
}

#[test]
fn metrics_count_superseded_runs_and_successes_of_sendonly_runs() {
    let mut rig = rig("sendonly = true\nplugin = keep");
    rig.enable_metrics();
    let success = "mig_runner_last_success_timestamp_seconds{job=\"job\"} ";
    assert!(!rig.metrics().contains(success));
    rig.run_at("2026-11-22T12:01:00Z");
    rig.platform.script_replies(&[PostReply::Unavailable; 100]);
    rig.run_at("2026-11-22T12:02:00Z");
    rig.run_at("2026-11-22T12:03:00Z");
    rig.advance(5);
    let text = rig.metrics();
    assert!(text.contains("mig_runner_superseded_total{job=\"job\"} 1\n"), "{text}");
    assert!(text.contains(&format!("{success}1795348860\n")), "{text}");

    // The last run in `action/done` is superseded, and hides the success of the one before.
    rig.crash();
    rig.start();
    rig.enable_metrics();
    assert!(!rig.metrics().contains(success));
    // The success of a later run counts after a restart too.
    rig.platform.accept_all();
    rig.write_job("job", "schedule = \"0 0 1 6 *\"\nsendonly = true");
    rig.run_at("2026-11-22T12:10:00Z");
    rig.crash();
    rig.start();
    rig.enable_metrics();
    let text = rig.metrics();
    assert!(text.contains(success), "{text}");
}
