//! Whose turn it is when more waits than there are workers.
#![expect(clippy::disallowed_methods, reason = "tests leave what an earlier runner leaves")]

use std::fs;

use serde_json::value::RawValue;

use super::super::testing::{Mood, Rig};
use crate::clock::after;
use crate::names::{ActionId, RunId};
use crate::spool::testing::record;
use crate::spool::{Delivery, DeliveryState, Folder, Origin, Record};

/// How many workers the engine of a rig has for plugins, and for each of its two ways to the API.
const PLUGINS: usize = 4;
const PARALLEL: usize = 2;

/// Returns a runner with jobs whose slots are far off, which has not started.
fn rig() -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    for job in ["a", "m", "z"] {
        rig.job(job, "schedule = \"0 0 1 1 * 2099\"\nexpiry = 20s");
    }
    rig.start();
    rig.crash();
    rig
}

/// Leaves runs of a job in a folder, a minute apart.
fn leave(rig: &Rig, job: &str, count: u32, folder: Folder, change: impl Fn(&mut Record)) {
    let first = "2026-11-22T10:00:00Z".parse().unwrap();
    for number in 0..count {
        let slot = after(first, std::time::Duration::from_secs(60 * u64::from(number)));
        let mut record = record(RunId::of_slot(&job.parse().unwrap(), slot).as_str());
        record.settings.deadline = after(slot, std::time::Duration::from_secs(86_400));
        change(&mut record);
        let path = rig.path("spool").join(folder.path()).join(record.id.file_name());
        fs::write(path, record.to_bytes().unwrap()).unwrap();
    }
}

/// Makes a record one whose results are stored and owed to some plugins.
fn owed(record: &mut Record, plugins: &[&str]) {
    record.action_id = Some(ActionId(7));
    record.collected = Some(record.slot);
    record.fetched = Some("2026-11-22T12:00:00Z".parse().unwrap());
    record.document = Some("document".to_owned());
    let owed = |name: &&str| Delivery { plugin: name.parse().unwrap(), state: DeliveryState::Owed };
    record.plugins = plugins.iter().map(owed).collect();
}

/// Returns at which place each run of a job was, among lines that begin with run ids.
fn places(lines: &str, job: &str) -> Vec<usize> {
    let of_job = |(at, line): (usize, &str)| line.starts_with(&format!("{job}.")).then_some(at);
    lines.lines().enumerate().filter_map(of_job).collect()
}

#[test]
fn each_job_has_its_turn_at_the_plugins() {
    let mut rig = rig();
    rig.plugin("note", "cat > /dev/null; echo $MIG_RUN >> notes");
    rig.plugin("other", "cat > /dev/null; echo $MIG_RUN >> notes");
    fs::write(rig.path("document"), "{}").unwrap();
    leave(&rig, "a", 20, Folder::Returned, |record| owed(record, &["note", "other"]));
    leave(&rig, "m", 2, Folder::Returned, |record| owed(record, &["note", "other"]));
    leave(&rig, "z", 1, Folder::Returned, |record| owed(record, &["note"]));
    rig.start();
    rig.at("2026-11-22T12:00:40Z");
    let notes = fs::read_to_string(rig.path("plugins/notes")).unwrap();
    assert_eq!(notes.lines().count(), 20 * 2 + 2 * 2 + 1);
    // Those that run at the same time may end in any order.
    assert!(places(&notes, "z")[0] < 3 + PLUGINS, "{notes}");
    assert!(places(&notes, "m")[3] < 4 * 3 + PLUGINS, "{notes}");
    // Of one job the oldest is first.
    let first = notes.lines().position(|line| line == "a.20261122T100000Z").unwrap();
    assert!(first < PLUGINS, "{notes}");
}

#[test]
fn each_job_has_its_turn_at_the_api() {
    for (folder, is_sent) in [(Folder::New, true), (Folder::Ready, false)] {
        let mut rig = rig();
        rig.platform.answer(1, true);
        let change = |record: &mut Record| {
            // Not superseded by a newer one.
            record.origin = Origin::Trigger;
            if !is_sent {
                let id = if record.name.as_str() == "z" { 8 } else { 7 };
                (record.action_id, record.collected) = (Some(ActionId(id)), Some(record.slot));
                let action = format!(r#"{{"id":{id},"name":"{}"}}"#, record.request.action_name);
                record.action = Some(RawValue::from_string(action).unwrap());
            }
        };
        leave(&rig, "a", 20, folder, change);
        leave(&rig, "z", 1, folder, change);
        rig.start();
        rig.at("2026-11-22T12:00:40Z");
        let asked = rig.platform.asked();
        let of_z = if is_sent { "mig-runner: z".to_owned() } else { ActionId(8).to_string() };
        let z = asked.iter().position(|asked| *asked == of_z);
        assert!(z.is_some_and(|z| z < 2 + PARALLEL), "{folder} {asked:?}");
    }
}

#[test]
fn what_waits_for_a_worker_is_not_looked_at_each_time_one_is_free() {
    const RUNS: u32 = 120;
    let mut rig = rig();
    rig.plugin("note", "cat > /dev/null");
    fs::write(rig.path("document"), "{}").unwrap();
    leave(&rig, "a", RUNS, Folder::Returned, |record| owed(record, &["note"]));
    rig.start();
    rig.at("2026-11-22T12:00:40Z");
    let left = rig.spool().iter().filter(|run| run.starts_with("command/returned")).count();
    assert_eq!(left, 0);
    let looks = rig.engine().index().processed();
    assert!(looks <= 5 * u64::from(RUNS), "{looks} looks at {RUNS} runs");
}

#[test]
fn what_waits_for_the_api_is_not_looked_at_each_time_one_is_sent() {
    const RUNS: u32 = 60;
    let mut rig = rig();
    leave(&rig, "a", RUNS, Folder::New, |record| record.origin = Origin::Trigger);
    rig.platform.expect(&[Mood::Away; 3]);
    rig.start();
    for _ in 0..5 {
        rig.pass(5);
    }
    assert_eq!(rig.platform.actions().len(), 60);
    let looks = rig.engine().index().processed();
    assert!(looks <= 30 * u64::from(RUNS), "{looks} looks at {RUNS} runs");
}
