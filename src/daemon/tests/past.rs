//! Finished runs take no memory and add nothing to the cost of a scan.
#![expect(clippy::disallowed_methods, reason = "tests leave what an earlier runner leaves")]

use std::sync::Arc;
use std::time::Duration;

use super::super::testing::{Mood, Rig};
use crate::clock::after;
use crate::disk::Fs;
use crate::disk::counting::CountingFs;
use crate::names::{ActionId, RunId};
use crate::spool::Folder;
use crate::spool::testing::record;
use crate::testing::write_private;

/// How many finished runs there are: two weeks of one that runs each minute.
const MANY: u32 = 20_000;

/// Returns a runner that starts in a spool with `count` finished runs.
fn rig_after(count: u32) -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s");
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
    rig.platform.answer(1, true);
    rig
}

#[test]
fn nothing_of_a_finished_run_is_remembered() {
    let mut rig = rig_after(MANY);
    rig.start();
    assert_eq!(rig.engine().remembered(), 0);
    // The answer to the POST is lost: the search must not take the action of a finished run.
    rig.platform.expect(&[Mood::Lose]);
    rig.at("2026-11-22T12:01:00Z");
    rig.job("job", "schedule = \"0 0 1 1 * 2099\"");
    rig.pass(20);
    rig.pass(20);
    let spool = rig.spool();
    assert!(spool.contains(&"command/done job.20261122T120100Z".to_owned()));
    assert_eq!(rig.engine().remembered(), 0);
}

/// What a scan asks of the file system: names listed, names looked at, files read.
fn scan_costs(count: u32) -> (usize, usize, usize) {
    let mut rig = rig_after(count);
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.start_watching();
    rig.write_new_metrics();
    rig.hear_until(|engine| engine.has_counted(Folder::CommandDone));
    fs.reset();
    rig.pass(10);
    rig.write_new_metrics();
    (fs.names(), fs.metas(), fs.reads())
}

#[test]
fn a_scan_costs_the_same_however_many_runs_are_finished() {
    assert_eq!(scan_costs(MANY), scan_costs(10));
}

#[test]
fn what_a_person_puts_into_action_done_is_collected_at_once_or_at_the_next_scan() {
    for is_watched in [true, false] {
        let mut rig = rig_after(10);
        if is_watched {
            rig.start_watching();
        } else {
            rig.start();
        }
        rig.at("2026-11-22T12:01:00Z");
        rig.job("job", "schedule = \"0 0 1 1 * 2099\"");
        rig.pass(1);
        let id = "job.20261122T120100Z";
        let file =
            |folder: Folder| rig.path("spool").join(folder.path()).join(format!("{id}.json"));
        let (from, to) = (file(Folder::ActionInflight), file(Folder::ActionDone));
        let away = rig.path("away.json");
        std::fs::rename(from, &away).unwrap();
        rig.pass(1);
        assert_eq!(rig.engine().index().iter().count(), 0);
        std::fs::rename(&away, to).unwrap();
        if is_watched {
            let finished = rig.path("spool/command/done").join(format!("{id}.json"));
            rig.hear_until(|_| finished.exists());
        } else {
            rig.pass(30);
        }
        let command = format!("command/done {id}");
        assert!(rig.spool().contains(&command), "{is_watched} {:?}", rig.spool());
    }
}

#[test]
fn the_engine_does_not_read_what_it_moved_to_action_done_itself() {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.job("job", "schedule = \"* * * * *\"\nexpiry = 20s\nsendonly = true");
    rig.start_watching();
    rig.at("2026-11-22T12:01:00Z");
    assert_eq!(rig.spool(), ["action/done job.20261122T120100Z"]);
    fs.reset();
    let watched = rig.path("spool/action/done");
    let mark = watched.join("last.txt");
    std::fs::write(&mark, "").unwrap();
    // The event of the move came before the one of this file.
    rig.hear_until(|engine| engine.scan().unindexed() > 0);
    assert_eq!(fs.reads(), 0);
}

#[test]
fn the_names_of_files_that_are_no_entries_are_forgotten_with_them() {
    let mut rig = rig_after(0);
    rig.start();
    for name in ["spool/action/new/notes", "spool/action/done/notes"] {
        write_private(&rig.path(name), "");
    }
    rig.pass(1);
    assert_eq!(rig.engine().remembered(), 2);
    for name in ["spool/action/new/notes", "spool/action/done/notes"] {
        std::fs::remove_file(rig.path(name)).unwrap();
    }
    rig.pass(1);
    assert_eq!(rig.engine().remembered(), 0);
}
