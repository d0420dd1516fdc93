//! Retention of finished runs, dead letters and results.

use std::fs::{File, FileTimes};
use std::sync::Arc;
use std::time::Duration;

use super::super::testing::Rig;
use crate::clock::{Clock as _, SystemClock, after};
use crate::config::duration::Keep;
use crate::disk::FreeSpace;
use crate::disk::counting::CountingFs;
use crate::spool::Folder;
use crate::stage::prune::DAY;
use crate::testing::write_private;

/// A rig whose clock starts at the machine's own time, because the times of files follow that
/// clock.
struct RetentionRig {
    rig: Rig,
}

impl RetentionRig {
    fn new(config: &str, done: Keep, invalid: Keep, results: Keep) -> RetentionRig {
        let now = SystemClock.now();
        let mut rig = Rig::new(&now.to_string());
        (rig.retention.done, rig.retention.invalid, rig.retention.results) =
            (done, invalid, results);
        rig.write_job("job", &format!("schedule = \"* * * * *\"\nexpiry = 20s\n{config}"));
        rig.platform.set_agents(1, true);
        rig.start();
        RetentionRig { rig }
    }

    fn advance(&mut self, span: Duration) {
        self.rig.advance(span.as_secs());
    }

    fn prune(&mut self) {
        self.rig.prune();
    }

    /// Runs the job once; returns the id of the finished run.
    fn finish_one(&mut self) -> String {
        self.advance(Duration::from_secs(60));
        self.stop_schedule();
        self.advance(Duration::from_secs(20));
        let spool = self.rig.spool();
        let id = spool.iter().find_map(|entry| entry.strip_prefix("command/done ")).unwrap();
        id.to_owned()
    }

    /// Replaces the schedule, so that no other run is launched.
    fn stop_schedule(&self) {
        self.rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"");
    }

    /// Returns the number of stored documents.
    fn documents(&self) -> usize {
        let links = self.rig.path("results").read_dir().unwrap();
        links.filter(|link| link.as_ref().unwrap().path().exists()).count()
    }
}

#[test]
fn runs_and_documents_are_removed_when_they_expire() {
    let days = |days| Keep::For(DAY * days);
    let mut retention = RetentionRig::new("", days(30), days(90), days(60));
    let id = retention.finish_one();
    retention.advance(DAY * 29);
    retention.prune();
    assert_eq!(retention.rig.spool(), [format!("action/done {id}"), format!("command/done {id}")]);
    retention.advance(DAY * 2);
    retention.prune();
    assert_eq!(retention.rig.spool(), [""; 0]);
    assert_eq!(retention.documents(), 1);
    retention.advance(DAY * 31);
    retention.prune();
    assert_eq!(retention.documents(), 0);
    assert_eq!(retention.rig.path("results").read_dir().unwrap().count(), 0);
    assert_eq!(retention.rig.path("runners/job/results").read_dir().unwrap().count(), 0);
}

#[test]
fn keepresults_of_a_job_overrides_the_default() {
    let mut retention = RetentionRig::new("", Keep::All, Keep::All, Keep::All);
    retention.finish_one();
    retention.rig.write_job("job", "schedule = \"0 0 1 1 * 2099\"\nkeepresults = 3d");
    retention.advance(DAY * 2);
    retention.prune();
    assert_eq!(retention.documents(), 1);
    retention.advance(DAY * 3);
    retention.prune();
    assert_eq!(retention.documents(), 0);
}

#[test]
fn unfinished_runs_are_kept_whatever_their_age() {
    let mut retention = RetentionRig::new("plugin = p", Keep::Count(0), Keep::All, Keep::Count(0));
    retention.rig.write_plugin("p", "exit 75");
    retention.advance(Duration::from_secs(60));
    retention.stop_schedule();
    retention.advance(Duration::from_secs(20));
    retention.advance(DAY * 3);
    retention.prune();
    let spool = retention.rig.spool();
    assert!(spool.iter().any(|entry| entry.starts_with("command/returned")), "{spool:?}");
    assert_eq!(retention.documents(), 1);
    // When the delivery is given up, the run is finished.
    retention.advance(DAY * 3);
    retention.prune();
    retention.advance(DAY * 2);
    retention.prune();
    assert_eq!((retention.rig.spool(), retention.documents()), (vec![], 0));
}

#[test]
fn expired_dead_letters_and_reason_files_are_removed() {
    let mut retention = RetentionRig::new("", Keep::All, Keep::For(DAY * 90), Keep::All);
    retention.stop_schedule();
    write_private(&retention.rig.path("spool/command/ready/x.json"), "{");
    write_private(&retention.rig.path("spool/action/invalid/gone.json.reason"), "x");
    retention.advance(Duration::from_secs(20));
    retention.prune();
    assert_eq!(retention.rig.spool().len(), 3, "{:?}", retention.rig.spool());
    retention.advance(DAY * 91);
    retention.prune();
    assert_eq!(retention.rig.spool(), [""; 0]);
}

#[test]
fn nothing_is_removed_in_the_hour_after_a_clock_jump() {
    let mut retention = RetentionRig::new("", Keep::For(DAY), Keep::All, Keep::All);
    let id = retention.finish_one();
    retention.prune();
    let done = format!("command/done {id}");
    // The wall clock jumps ahead by two months.
    retention.rig.clock.set(after(retention.rig.clock.now(), DAY * 60));
    retention.advance(Duration::from_secs(3590));
    retention.prune();
    assert!(retention.rig.spool().contains(&done));
    retention.advance(Duration::from_secs(3600));
    retention.prune();
    assert!(!retention.rig.spool().contains(&done));
}

#[test]
fn clock_far_from_the_times_in_the_spool_is_distrusted_at_start() {
    let mut retention = RetentionRig::new("", Keep::For(DAY), Keep::All, Keep::All);
    let id = retention.finish_one();
    let done = format!("command/done {id}");
    retention.rig.crash();
    retention.rig.clock.set(after(retention.rig.clock.now(), DAY * 60));
    retention.rig.start();
    retention.advance(Duration::from_secs(60));
    retention.prune();
    assert!(retention.rig.spool().contains(&done));
    retention.advance(Duration::from_secs(3600));
    retention.prune();
    assert!(!retention.rig.spool().contains(&done));
}

#[test]
fn start_on_a_full_disk_removes_expired_files_at_once() {
    for keep in [Keep::For(DAY * 30), Keep::Count(0)] {
        for (free, is_full) in [((0.5, 0.0), true), ((0.0, 0.5), true), ((0.5, 0.5), false)] {
            let mut retention = RetentionRig::new("", keep, Keep::All, Keep::All);
            let id = retention.finish_one();
            retention.advance(DAY * 31);
            retention.rig.crash();
            // The spool has just changed, so the clock is trusted.
            let now = retention.rig.clock.now();
            for folder in Folder::ALL {
                let folder = retention.rig.path("spool").join(folder.path());
                let times = FileTimes::new().set_modified(now.into());
                File::open(folder).unwrap().set_times(times).unwrap();
            }
            let fs = Arc::new(CountingFs::default());
            fs.set_free_space(FreeSpace { bytes: free.0, files: free.1 });
            retention.rig.fs = fs;
            retention.rig.start();
            retention.prune();
            let is_kept = retention.rig.spool().contains(&format!("command/done {id}"));
            assert_eq!(is_kept, !is_full, "{keep:?} {free:?}");
        }
    }
}
