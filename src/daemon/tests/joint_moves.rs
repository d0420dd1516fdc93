//! Moves of several runs in one turn share the fsyncs of their folders.

use std::sync::Arc;

use crate::daemon::testing::{PostReply, Rig, WorkerCounts};
use crate::disk::Fs;
use crate::disk::counting::CountingFs;
use crate::spool::Folder;

/// Number of jobs that are due at the same time.
const JOBS: usize = 8;

/// Returns a rig with jobs that are due at the same time, and the counter of its calls.
fn rig(config: &str) -> (Rig, Arc<CountingFs>) {
    let mut rig = Rig::new("2026-11-22T12:00:30Z");
    let fs = Arc::new(CountingFs::default());
    rig.fs = Arc::clone(&fs) as Arc<dyn Fs>;
    rig.workers = WorkerCounts { parallel: JOBS, plugins: JOBS };
    for number in 0..JOBS {
        let schedule = "schedule = \"1 12 22 11 *\"\nexpiry = 20s";
        rig.write_job(&format!("job{number}"), &format!("{schedule}\n{config}"));
    }
    (rig, fs)
}

fn count(rig: &Rig, folder: Folder) -> usize {
    rig.spool().iter().filter(|entry| entry.starts_with(&format!("{folder} "))).count()
}

#[test]
fn jobs_that_are_due_at_once_are_launched_together() {
    let (mut rig, fs) = rig("");
    rig.start();
    let slots = rig.path("spool/.slots");
    // All jobs were seen for the first time. The other sync belongs to the start.
    assert_eq!(fs.folder_syncs(&slots), 2);
    fs.reset();
    rig.set_clock("2026-11-22T12:01:00Z");
    rig.launch_due();
    assert_eq!(count(&rig, Folder::New), JOBS);
    assert_eq!(fs.folder_syncs(&rig.path("spool/action/new")), 1);
    assert_eq!(fs.folder_syncs(&slots), 0);
    // After a restart, none of them is launched again, although their slots were not recorded.
    rig.crash();
    rig.start();
    rig.launch_due();
    assert_eq!(count(&rig, Folder::New), JOBS);
}

#[test]
fn launched_slots_are_recorded_together_when_no_run_waits() {
    let (mut rig, fs) = rig("");
    rig.start();
    fs.reset();
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(fs.folder_syncs(&rig.path("spool/.slots")), 1);
}

#[test]
fn launched_slots_are_recorded_within_a_second_although_runs_wait() {
    let (mut rig, fs) = rig("");
    rig.workers.parallel = 1;
    rig.start();
    fs.reset();
    for (now, syncs) in [("2026-11-22T12:01:00Z", 0), ("2026-11-22T12:01:01Z", 1)] {
        rig.set_clock(now);
        rig.launch_due();
        rig.process_due();
        assert_eq!(fs.folder_syncs(&rig.path("spool/.slots")), syncs, "{now}");
    }
}

#[test]
fn actions_that_end_at_once_are_collected_together() {
    let (mut rig, fs) = rig("delayresults = 5s");
    rig.start();
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(count(&rig, Folder::ActionInflight), JOBS);
    fs.reset();
    rig.run_at("2026-11-22T12:01:25Z");
    assert_eq!((count(&rig, Folder::ActionDone), count(&rig, Folder::CommandDone)), (JOBS, JOBS));
    for folder in ["command/ready", "action/done", "command/inflight"] {
        assert_eq!(fs.folder_syncs(&rig.path("spool").join(folder)), 1, "{folder}");
    }
}

#[test]
fn run_that_cannot_be_moved_does_not_stop_the_others() {
    let (mut rig, _) = rig("");
    rig.start();
    rig.set_clock("2026-11-22T12:01:00Z");
    // Its slot is launched already, as far as the folder shows.
    let run = rig.path("spool/action/new/job3.20261122T120100Z.json");
    std::fs::create_dir(&run).unwrap();
    rig.launch_due();
    assert_eq!(count(&rig, Folder::New), JOBS);
    rig.platform.script_replies(&[PostReply::Accept; JOBS]);
    rig.run_at("2026-11-22T12:01:01Z");
    assert_eq!(count(&rig, Folder::ActionInflight), JOBS - 1);
}
