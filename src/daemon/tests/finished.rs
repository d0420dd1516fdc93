//! Finished runs use no memory and add nothing to the cost of a scan.
#![expect(clippy::disallowed_methods, reason = "tests write the files of an earlier runner")]

use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{PostReply, Rig};
use crate::clock::after;
use crate::disk::Fs;
use crate::disk::counting::CountingFs;
use crate::names::{ActionId, RunId};
use crate::spool::Folder;
use crate::spool::testing::record;
use crate::testing::write_private;

/// Number of finished runs: two weeks of a job that runs each minute.
const MANY: u32 = 20_000;

/// Returns a rig whose spool has `count` finished runs, without an engine.
fn rig_with_finished(count: u32) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
    rig.start();
    rig.crash();
    let first = "job.20261101T000000Z";
    let mut model = record(first);
    model.collected = Some(model.slot);
    model.fetched = Some(model.slot);
    model.action_id = Some(ActionId(7));
    let text = String::from_utf8(model.to_bytes().unwrap()).unwrap();
    for number in 0..count {
        let slot = after(model.slot, Duration::from_secs(60 * u64::from(number)));
        let id = RunId::of_slot(&model.name, slot);
        for folder in [Folder::ActionDone, Folder::CommandDone] {
            let path = rig.path("spool").join(folder.path()).join(id.file_name());
            std::fs::write(path, text.replace(first, id.as_str())).unwrap();
        }
    }
    rig.platform.set_agents(1, true);
    rig
}

#[test]
fn finished_runs_use_no_memory() {
    let mut rig = rig_with_finished(MANY);
    rig.start();
    assert_eq!(rig.engine().remembered(), 0);
    // The answer to the POST is lost. The search must not take the action of a finished run.
    rig.platform.script_replies(&[PostReply::LoseAnswer]);
    rig.run_at("2026-11-22T12:01:00Z");
    rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"");
    rig.advance(20);
    rig.advance(20);
    let spool = rig.spool();
    assert!(spool.contains(&"command/done job.20261122T120100Z".to_owned()));
    assert_eq!(rig.engine().remembered(), 0);
}

/// Returns the numbers of names listed, files queried and files read by a scan.
fn scan_costs(count: u32) -> (usize, usize, usize) {
    let mut rig = rig_with_finished(count);
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.start_watching();
    rig.write_new_metrics();
    rig.run_until(|engine| engine.has_counted(Folder::CommandDone));
    fs.reset();
    rig.advance(10);
    rig.write_new_metrics();
    (fs.names(), fs.metas(), fs.reads())
}

#[test]
fn cost_of_a_scan_does_not_depend_on_finished_runs() {
    assert_eq!(scan_costs(MANY), scan_costs(10));
}

#[test]
fn run_moved_to_action_done_is_collected_with_and_without_watches() {
    for is_watched in [true, false] {
        let mut rig = rig_with_finished(10);
        if is_watched {
            rig.start_watching();
        } else {
            rig.start();
        }
        rig.run_at("2026-11-22T12:01:00Z");
        rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"");
        rig.advance(1);
        let id = "job.20261122T120100Z";
        let file =
            |folder: Folder| rig.path("spool").join(folder.path()).join(format!("{id}.json"));
        let (from, to) = (file(Folder::ActionInflight), file(Folder::ActionDone));
        let away = rig.path("away.json");
        std::fs::rename(from, &away).unwrap();
        rig.advance(1);
        assert_eq!(rig.engine().index().iter().count(), 0);
        std::fs::rename(&away, to).unwrap();
        if is_watched {
            let finished = rig.path("spool/command/done").join(format!("{id}.json"));
            rig.run_until(|_| finished.exists());
        } else {
            rig.advance(30);
        }
        let command = format!("command/done {id}");
        assert!(rig.spool().contains(&command), "{is_watched} {:?}", rig.spool());
    }
}

#[test]
fn engine_does_not_read_its_own_moves_to_action_done() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.write_job("job", "schedule = \"* * * * *\"\nexpiry = 20s\nsendonly = true");
    rig.start_watching();
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), ["action/done job.20261122T120100Z"]);
    fs.reset();
    let watched = rig.path("spool/action/done");
    let mark = watched.join("last.txt");
    std::fs::write(&mark, "").unwrap();
    // The event of the move arrived before the event of this file.
    rig.run_until(|engine| engine.scan().unindexed() > 0);
    assert_eq!(fs.reads(), 0);
}

#[test]
fn names_of_removed_foreign_files_are_forgotten() {
    let mut rig = rig_with_finished(0);
    rig.start();
    for name in ["spool/action/new/notes", "spool/action/done/notes"] {
        write_private(&rig.path(name), "");
    }
    rig.advance(1);
    assert_eq!(rig.engine().remembered(), 2);
    for name in ["spool/action/new/notes", "spool/action/done/notes"] {
        std::fs::remove_file(rig.path(name)).unwrap();
    }
    rig.advance(1);
    assert_eq!(rig.engine().remembered(), 0);
}
