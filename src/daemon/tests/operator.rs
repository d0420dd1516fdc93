//! Files and moves of the operator while the runner is running, and files of the original runner.

use super::super::move_queue::MOVES_MAX;
use super::super::testing::Rig;
use super::{ID, rig};
use crate::action::Summary;
use crate::clock::{Clock as _, SystemClock};
use crate::spool::Folder;
use crate::spool::testing::record;
use crate::testing::write_private;

#[test]
fn action_file_is_sent_once() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    write_private(&rig.path("spool/action/new/mine.json"), action);
    rig.platform.set_agents(1, true);
    rig.advance(1);
    assert_eq!(rig.platform.action_names(), ["by hand"]);
    rig.advance(400);
    assert_eq!(rig.platform.post_count(), 1);
    assert!(rig.path("results/20261122/1000.json").exists());
    assert!(rig.path("results/1000.json").exists());
}

#[test]
fn half_written_file_is_rejected_when_it_no_longer_changes() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    let path = rig.path("spool/action/new/mine.json");
    // The file has the machine's time, so the clock is set to that.
    write_private(&path, "{\"name\":");
    let now = SystemClock.now();
    rig.run_at(&now.to_string());
    assert_eq!(rig.spool(), ["action/new mine"]);
    rig.run_at(&crate::clock::after(now, std::time::Duration::from_secs(11)).to_string());
    assert_eq!(rig.spool(), ["action/invalid mine", "action/invalid mine.json.reason"]);
}

#[test]
fn rejected_files_delay_neither_the_start_nor_a_run() {
    let mut rig = rig("");
    rig.run_at("2026-11-22T12:01:00Z");
    rig.crash();
    let poison = |rig: &Rig| {
        rig.spool().iter().filter(|entry| entry.starts_with("command/inflight ")).count()
    };
    for number in 0..200 {
        let id = format!("poison{number}.20261122T110000Z");
        // Half of them are damaged. The others are valid, but lack what their folder needs.
        let text = match number % 2 {
            0 => b"{}".to_vec(),
            _ => record(&id).to_bytes().unwrap(),
        };
        let path = rig.path(&format!("spool/command/inflight/{id}.json"));
        write_private(&path, std::str::from_utf8(&text).unwrap());
    }
    rig.start();
    assert_eq!(poison(&rig), 200, "the start rejects none");
    rig.process_due();
    assert_eq!(poison(&rig), 200 - MOVES_MAX, "one turn rejects a few");
    assert!(rig.spool().contains(&format!("action/inflight {ID}")));
    rig.platform.set_agents(1, true);
    rig.advance(20);
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    assert_eq!(poison(&rig), 0);
    assert_eq!(rig.spool().iter().filter(|entry| entry.ends_with(".reason")).count(), 200);
}

#[test]
fn run_whose_rejection_fails_is_rejected_later() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.crash();
    let id = "poison.20261122T110000Z";
    // It lacks what its folder needs.
    let text = record(id).to_bytes().unwrap();
    let path = rig.path(&format!("spool/command/inflight/{id}.json"));
    write_private(&path, std::str::from_utf8(&text).unwrap());
    rig.start();
    // The disk fails once, and the run is unchanged afterwards.
    let (folder, away) = (rig.path("spool/command/inflight"), rig.path("away"));
    std::fs::rename(&folder, &away).unwrap();
    write_private(&folder, "");
    rig.process_due();
    rig.recheck_files();
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&away, &folder).unwrap();
    assert!(path.exists());
    rig.advance(60);
    let expected = [".command", ".command.json.reason"];
    assert_eq!(rig.spool(), expected.map(|end| format!("action/invalid {id}{end}")));
}

#[test]
fn file_of_a_known_run_that_is_damaged_becomes_a_dead_letter() {
    let mut rig = rig("");
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), [format!("action/inflight {ID}")]);
    write_private(&rig.path(&format!("spool/action/inflight/{ID}.json")), "{");
    rig.advance(1);
    let expected = ["", ".json.reason"].map(|end| format!("action/invalid {ID}{end}"));
    assert_eq!(rig.spool(), expected);
}

#[test]
fn one_turn_makes_a_limited_number_of_moves() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    rig.crash();
    let count = |rig: &Rig, folder: &str| {
        rig.spool().iter().filter(|entry| entry.starts_with(folder)).count()
    };
    for number in 0..100 {
        // Nothing is owed for it, so that it is finished.
        let mut owed = record(&format!("job{number}.20261122T110000Z"));
        owed.document = Some("results/1.json".to_owned());
        (owed.fetched, owed.summary) = (Some(owed.slot), Some(Summary::default()));
        let path = rig.path(&format!("spool/command/returned/{}.json", owed.id));
        write_private(&path, std::str::from_utf8(&owed.to_bytes().unwrap()).unwrap());
        let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
        write_private(&rig.path(&format!("spool/action/new/mine{number}.json")), action);
    }
    rig.start();
    for turn in 1..=3 {
        rig.process_due();
        assert_eq!(count(&rig, "command/done"), turn * MOVES_MAX);
    }
    assert_eq!(count(&rig, "action/new mine"), 100, "they are claimed in turns of their own");
    rig.advance(1);
    assert_eq!((count(&rig, "command/done"), count(&rig, "action/new")), (100, 0));
}

#[test]
fn moves_by_the_operator_have_the_documented_effect() {
    let mut rig = rig("");
    rig.platform.set_agents(2, false);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    // To `action/done`: the results are fetched now.
    rig.move_run(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.advance(1);
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    // To `command/ready`: the results are fetched again, into a new document.
    rig.move_run(ID, Folder::CommandDone, Folder::Ready);
    rig.advance(1);
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    assert!(rig.path("runners/job/results/20261122/1000-2.json").exists());
    // Removed: the slot is not launched again.
    std::fs::remove_file(rig.path(&format!("spool/command/done/{ID}.json"))).unwrap();
    std::fs::remove_file(rig.path(&format!("spool/action/done/{ID}.json"))).unwrap();
    rig.advance(1);
    assert_eq!(rig.spool(), [""; 0]);
    assert_eq!(rig.platform.post_count(), 1);
}

#[test]
fn run_of_a_removed_job_finishes_without_restoring_the_job() {
    let mut rig = rig("plugin = keep");
    rig.write_plugin("keep", "cat > received");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    std::fs::remove_dir_all(rig.path("runners/job")).unwrap();
    rig.run_at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    assert!(!rig.path("runners/job").exists());
    assert!(rig.path("results/20261122/1000.json").exists());
    assert!(rig.path("plugins/received").exists());
}

#[test]
fn in_flight_action_of_the_original_is_adopted_once() {
    let mut rig = Rig::new("2026-11-22T01:13:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    let inflight = rig.path("runners/job/inflight");
    std::fs::create_dir(&inflight).unwrap();
    let text = include_str!("../../../tests/data/runner/inflight-sample.json");
    write_private(&inflight.join("28052764426376.json"), text);
    write_private(&inflight.join("damaged.json"), "{\"action\":");
    rig.start();
    assert_eq!(
        rig.spool(),
        [
            "action/inflight job.20261122T011340Z-28052764426376",
            "action/invalid job.damaged",
            "action/invalid job.damaged.json.reason"
        ]
    );
    assert_eq!(std::fs::read_dir(&inflight).unwrap().count(), 0);
}

#[test]
fn run_moved_just_before_it_was_due_does_not_wait_for_a_scan() {
    let mut rig = rig("");
    rig.platform.set_agents(1, true);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 *\"");
    rig.advance(1);
    rig.move_run(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.run_without_scan_at("2026-11-22T12:01:20Z");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
}
