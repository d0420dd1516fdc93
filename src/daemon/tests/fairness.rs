//! The order of runs when more are waiting than there are workers.
#![expect(clippy::disallowed_methods, reason = "tests write the files of an earlier runner")]

use std::fs;

use serde_json::value::RawValue;

use super::super::move_queue::MOVES_MAX;
use super::super::testing::{PostReply, Rig, WorkerCounts};
use crate::action::Summary;
use crate::clock::after;
use crate::names::{ActionId, RunId};
use crate::spool::testing::record;
use crate::spool::{Delivery, DeliveryState, Family, Folder, Origin, Record};

/// Returns a rig with jobs whose slots are far off, without an engine.
fn rig() -> Rig {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    for job in ["a", "m", "z"] {
        rig.write_job(job, "schedule = \"0 0 1 1 * 2099\"\nexpiry = 20s");
    }
    rig.start();
    rig.crash();
    rig
}

/// Creates runs of a job in a folder, with slots a minute apart.
fn put_runs(rig: &Rig, job: &str, count: u32, folder: Folder, change: impl Fn(&mut Record)) {
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

/// Changes a record to one whose results are stored and owed to these plugins.
fn owe_results(record: &mut Record, plugins: &[&str]) {
    record.action_id = Some(ActionId(7));
    record.collected = Some(record.slot);
    record.fetched = Some("2026-11-22T12:00:00Z".parse().unwrap());
    record.document = Some("document".to_owned());
    let owed = |name: &&str| Delivery { plugin: name.parse().unwrap(), state: DeliveryState::Owed };
    record.plugins = plugins.iter().map(owed).collect();
}

/// Returns the numbers of the lines that begin with a run id of a job.
fn positions(lines: &str, job: &str) -> Vec<usize> {
    let of_job = |(at, line): (usize, &str)| line.starts_with(&format!("{job}.")).then_some(at);
    lines.lines().enumerate().filter_map(of_job).collect()
}

#[test]
fn jobs_take_turns_at_the_plugins() {
    let mut rig = rig();
    rig.workers = WorkerCounts::ONE;
    rig.write_plugin("note", "cat > /dev/null; echo $MIG_RUN >> notes");
    rig.write_plugin("other", "cat > /dev/null; echo $MIG_RUN >> notes");
    fs::write(rig.path("document"), "{}").unwrap();
    put_runs(&rig, "a", 20, Folder::Returned, |record| owe_results(record, &["note", "other"]));
    put_runs(&rig, "m", 2, Folder::Returned, |record| owe_results(record, &["note", "other"]));
    put_runs(&rig, "z", 1, Folder::Returned, |record| owe_results(record, &["note"]));
    rig.start();
    rig.run_at("2026-11-22T12:00:40Z");
    let notes = fs::read_to_string(rig.path("plugins/notes")).unwrap();
    assert_eq!(notes.lines().count(), 20 * 2 + 2 * 2 + 1);
    assert!(positions(&notes, "z")[0] < 3, "{notes}");
    assert!(positions(&notes, "m")[3] < 4 * 3, "{notes}");
    // The oldest run of a job is first.
    let first = notes.lines().position(|line| line == "a.20261122T100000Z").unwrap();
    assert_eq!(first, 0, "{notes}");
}

#[test]
fn jobs_take_turns_at_the_api() {
    for (folder, is_sent) in [(Folder::New, true), (Folder::Ready, false)] {
        let mut rig = rig();
        rig.workers = WorkerCounts::ONE;
        rig.platform.set_agents(1, true);
        let change = |record: &mut Record| {
            // So that no newer run supersedes it.
            record.origin = Origin::Trigger;
            if !is_sent {
                let id = if record.name.as_str() == "z" { 8 } else { 7 };
                (record.action_id, record.collected) = (Some(ActionId(id)), Some(record.slot));
                let action = format!(r#"{{"id":{id},"name":"{}"}}"#, record.request.action_name);
                record.action = Some(RawValue::from_string(action).unwrap());
            }
        };
        put_runs(&rig, "a", 20, folder, change);
        put_runs(&rig, "z", 1, folder, change);
        rig.start();
        rig.run_at("2026-11-22T12:00:40Z");
        let requests = rig.platform.requests();
        let of_z = if is_sent { "mig-runner: z".to_owned() } else { ActionId(8).to_string() };
        let z = requests.iter().position(|request| *request == of_z);
        // The run before it may have requested two pages.
        assert!(z.is_some_and(|z| z <= 2), "{folder} {requests:?}");
    }
}

#[test]
fn many_moves_delay_neither_tasks_nor_moves_of_another_kind() {
    const EXPIRED: usize = 20 * MOVES_MAX;
    let mut rig = rig();
    let send = |record: &mut Record| record.origin = Origin::Trigger;
    put_runs(&rig, "a", u32::try_from(EXPIRED).unwrap(), Folder::New, |record| {
        send(record);
        record.settings.deadline = jiff::Timestamp::UNIX_EPOCH;
    });
    put_runs(&rig, "m", 1, Folder::Returned, |record| {
        owe_results(record, &[]);
        record.summary = Some(Summary::default());
    });
    put_runs(&rig, "m", 1, Folder::New, send);
    rig.start();
    let is_busy =
        |rig: &Rig, id: &str| rig.engine().index().is_busy(&(Family::Action, id.parse().unwrap()));
    let count = |rig: &Rig, start: &str| {
        rig.spool().iter().filter(|entry| entry.starts_with(start)).count()
    };
    rig.process_due();
    assert!(is_busy(&rig, "m.20261122T100000Z"));
    assert_eq!((count(&rig, "command/returned"), count(&rig, "command/done m.")), (0, 1));
    assert_eq!(count(&rig, "action/invalid a."), MOVES_MAX - 1);
    // Neither does a run wait that becomes due after them.
    put_runs(&rig, "z", 1, Folder::New, send);
    rig.scan();
    rig.process_due();
    assert!(is_busy(&rig, "z.20261122T100000Z"));
    rig.advance(1);
    assert_eq!(rig.platform.action_names().len(), 2);
    assert_eq!((count(&rig, "action/new"), count(&rig, "action/invalid a.")), (0, EXPIRED));
}

#[test]
fn queued_runs_are_not_processed_each_time_a_worker_is_free() {
    const RUNS: u32 = 120;
    let mut rig = rig();
    rig.write_plugin("note", "cat > /dev/null");
    fs::write(rig.path("document"), "{}").unwrap();
    put_runs(&rig, "a", RUNS, Folder::Returned, |record| owe_results(record, &["note"]));
    rig.start();
    rig.run_at("2026-11-22T12:00:40Z");
    let left = rig.spool().iter().filter(|run| run.starts_with("command/returned")).count();
    assert_eq!(left, 0);
    let processed = rig.engine().index().processed();
    assert!(processed <= 5 * u64::from(RUNS), "{RUNS} runs were processed {processed} times");
}

#[test]
fn runs_waiting_for_the_api_are_not_processed_each_time_one_is_sent() {
    const RUNS: u32 = 60;
    let mut rig = rig();
    put_runs(&rig, "a", RUNS, Folder::New, |record| record.origin = Origin::Trigger);
    rig.platform.script_replies(&[PostReply::Unavailable; 3]);
    rig.start();
    for _ in 0..5 {
        rig.advance(5);
    }
    assert_eq!(rig.platform.action_names().len(), 60);
    let processed = rig.engine().index().processed();
    assert!(processed <= 30 * u64::from(RUNS), "{RUNS} runs were processed {processed} times");
}
