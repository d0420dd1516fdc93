//! What people do by hand while it runs, and what the original runner left.

use super::super::testing::Rig;
use super::{ID, rig};
use crate::clock::{Clock as _, SystemClock};
use crate::spool::Folder;
use crate::testing::write_private;

#[test]
fn a_plain_action_is_sent_once() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    let action = r#"{"name":"by hand","target":"status='online'","operations":[]}"#;
    write_private(&rig.path("spool/action/new/mine.json"), action);
    rig.platform.answer(1, true);
    rig.pass(1);
    assert_eq!(rig.platform.actions(), ["by hand"]);
    rig.pass(400);
    assert_eq!(rig.platform.posts(), 1);
    assert!(rig.path("results/20261122/1000.json").exists());
    assert!(rig.path("results/1000.json").exists());
}

#[test]
fn a_half_written_file_is_judged_when_it_is_left_alone() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.start();
    let path = rig.path("spool/action/new/mine.json");
    // The file's own time is the machine's, so the clock that is set follows it.
    write_private(&path, "{\"name\":");
    let now = SystemClock.now();
    rig.at(&now.to_string());
    assert_eq!(rig.spool(), ["action/new mine"]);
    rig.at(&crate::clock::after(now, std::time::Duration::from_secs(11)).to_string());
    assert_eq!(rig.spool(), ["action/invalid mine", "action/invalid mine.json.reason"]);
}

#[test]
fn moves_by_hand_mean_what_the_manual_says() {
    let mut rig = rig("");
    rig.platform.answer(2, false);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    // Wait no longer: its results are fetched now.
    rig.mv(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.pass(1);
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
    // Fetched anew, into a document of its own.
    rig.mv(ID, Folder::CommandDone, Folder::Ready);
    rig.pass(1);
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    assert!(rig.path("runners/job/results/20261122/1000-2.json").exists());
    // Forgotten: its slot is not fired again.
    std::fs::remove_file(rig.path(&format!("spool/command/done/{ID}.json"))).unwrap();
    std::fs::remove_file(rig.path(&format!("spool/action/done/{ID}.json"))).unwrap();
    rig.pass(1);
    assert_eq!(rig.spool(), [""; 0]);
    assert_eq!(rig.platform.posts(), 1);
}

#[test]
fn a_job_that_is_removed_in_flight_is_finished_and_not_made_again() {
    let mut rig = rig("plugin = keep");
    rig.plugin("keep", "cat > received");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    std::fs::remove_dir_all(rig.path("runners/job")).unwrap();
    rig.at("2026-11-22T12:01:20Z");
    assert!(rig.spool().contains(&format!("command/done {ID}")));
    assert!(!rig.path("runners/job").exists());
    assert!(rig.path("results/20261122/1000.json").exists());
    assert!(rig.path("plugins/received").exists());
}

#[test]
fn the_originals_action_in_flight_is_adopted_once() {
    let mut rig = Rig::new("2026-11-22T01:13:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
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
fn what_was_moved_just_before_it_was_due_is_not_left_to_the_next_scan() {
    let mut rig = rig("");
    rig.platform.answer(1, true);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    rig.pass(1);
    rig.mv(ID, Folder::ActionInflight, Folder::ActionDone);
    rig.work_at("2026-11-22T12:01:20Z");
    assert_eq!(rig.spool(), [format!("action/done {ID}"), format!("command/done {ID}")]);
}
