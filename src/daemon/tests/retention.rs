//! What becomes of what is finished.

use std::fs::{File, FileTimes};
use std::sync::Arc;
use std::time::Duration;

use super::super::pruning::Pruning;
use super::super::testing::Rig;
use crate::clock::{Clock as _, SystemClock, after};
use crate::config::duration::Keep;
use crate::disk::FreeSpace;
use crate::disk::counting::CountingFs;
use crate::spool::Folder;
use crate::stage::prune::DAY;
use crate::testing::write_private;

/// A rig whose clock began at the machine's own time: when files changed, only that tells.
struct Kept {
    rig: Rig,
}

impl Kept {
    fn new(config: &str, done: Keep, invalid: Keep, results: Keep) -> Kept {
        let now = SystemClock.now();
        let mut rig = Rig::new(&now.to_string());
        (rig.retention.done, rig.retention.invalid, rig.retention.results) =
            (done, invalid, results);
        rig.job("job", &format!("schedule = \"* * * * *\"\nexpiry = 20s\n{config}"));
        rig.platform.answer(1, true);
        rig.start();
        Kept { rig }
    }

    fn pass(&mut self, span: Duration) {
        self.rig.pass(span.as_secs());
    }

    fn prune(&mut self) {
        self.rig.prune();
    }

    /// Lets one run come to its end, and no other begin.
    fn run(&mut self) -> String {
        self.pass(Duration::from_secs(60));
        self.rest();
        self.pass(Duration::from_secs(20));
        let spool = self.rig.spool();
        let id = spool.iter().find_map(|entry| entry.strip_prefix("command/done ")).unwrap();
        id.to_owned()
    }

    fn rest(&self) {
        self.rig.job("job", "schedule = \"0 0 1 1 * 2099\"");
    }

    fn documents(&self) -> usize {
        let links = self.rig.path("results").read_dir().unwrap();
        links.filter(|link| link.as_ref().unwrap().path().exists()).count()
    }
}

#[test]
fn a_finished_run_goes_when_it_is_old_and_its_document_when_that_is() {
    let days = |days| Keep::For(DAY * days);
    let mut kept = Kept::new("", days(30), days(90), days(60));
    let id = kept.run();
    kept.pass(DAY * 29);
    kept.prune();
    assert_eq!(kept.rig.spool(), [format!("action/done {id}"), format!("command/done {id}")]);
    kept.pass(DAY * 2);
    kept.prune();
    assert_eq!(kept.rig.spool(), [""; 0]);
    assert_eq!(kept.documents(), 1);
    kept.pass(DAY * 31);
    kept.prune();
    assert_eq!(kept.documents(), 0);
    assert_eq!(kept.rig.path("results").read_dir().unwrap().count(), 0);
    assert_eq!(kept.rig.path("runners/job/results").read_dir().unwrap().count(), 0);
}

#[test]
fn a_job_says_how_long_its_own_results_are_kept() {
    let mut kept = Kept::new("", Keep::All, Keep::All, Keep::All);
    kept.run();
    kept.rig.job("job", "schedule = \"0 0 1 1 * 2099\"\nkeepresults = 3d");
    kept.pass(DAY * 2);
    kept.prune();
    assert_eq!(kept.documents(), 1);
    kept.pass(DAY * 3);
    kept.prune();
    assert_eq!(kept.documents(), 0);
}

#[test]
fn what_is_not_finished_stays_however_old_it_is() {
    let mut kept = Kept::new("plugin = p", Keep::Count(0), Keep::All, Keep::Count(0));
    kept.rig.plugin("p", "exit 75");
    kept.pass(Duration::from_secs(60));
    kept.rest();
    kept.pass(Duration::from_secs(20));
    kept.pass(DAY * 3);
    kept.prune();
    let spool = kept.rig.spool();
    assert!(spool.iter().any(|entry| entry.starts_with("command/returned")), "{spool:?}");
    assert_eq!(kept.documents(), 1);
    // Given up it is finished.
    kept.pass(DAY * 3);
    kept.prune();
    kept.pass(DAY * 2);
    kept.prune();
    assert_eq!((kept.rig.spool(), kept.documents()), (vec![], 0));
}

#[test]
fn dead_letters_go_with_their_reasons_and_foreign_reasons_too() {
    let mut kept = Kept::new("", Keep::All, Keep::For(DAY * 90), Keep::All);
    kept.rest();
    write_private(&kept.rig.path("spool/command/ready/x.json"), "{");
    write_private(&kept.rig.path("spool/action/invalid/gone.json.reason"), "x");
    kept.pass(Duration::from_secs(20));
    kept.prune();
    assert_eq!(kept.rig.spool().len(), 3, "{:?}", kept.rig.spool());
    kept.pass(DAY * 91);
    kept.prune();
    assert_eq!(kept.rig.spool(), [""; 0]);
}

#[test]
fn nothing_goes_in_the_hour_after_the_clock_jumped() {
    let mut kept = Kept::new("", Keep::For(DAY), Keep::All, Keep::All);
    let id = kept.run();
    kept.prune();
    let done = format!("command/done {id}");
    // Two months of the wall clock, and no time at all.
    kept.rig.clock.set(after(kept.rig.clock.now(), DAY * 60));
    kept.pass(Duration::from_secs(3590));
    kept.prune();
    assert!(kept.rig.spool().contains(&done));
    kept.pass(Duration::from_secs(3600));
    kept.prune();
    assert!(!kept.rig.spool().contains(&done));
}

#[test]
fn a_clock_far_from_the_spools_is_not_believed_at_start() {
    let mut kept = Kept::new("", Keep::For(DAY), Keep::All, Keep::All);
    let id = kept.run();
    let done = format!("command/done {id}");
    kept.rig.crash();
    kept.rig.clock.set(after(kept.rig.clock.now(), DAY * 60));
    kept.rig.start();
    kept.pass(Duration::from_secs(60));
    kept.prune();
    assert!(kept.rig.spool().contains(&done));
    kept.pass(Duration::from_secs(3600));
    kept.prune();
    assert!(!kept.rig.spool().contains(&done));
}

#[test]
fn a_start_on_a_full_disk_removes_what_is_old_at_once() {
    for keep in [Keep::For(DAY * 30), Keep::Count(0)] {
        for (free, is_full) in [((0.5, 0.0), true), ((0.0, 0.5), true), ((0.5, 0.5), false)] {
            let mut kept = Kept::new("", keep, Keep::All, Keep::All);
            let id = kept.run();
            kept.pass(DAY * 31);
            kept.rig.crash();
            // The spool has changed lately, so that the clock is believed.
            let now = kept.rig.clock.now();
            for folder in Folder::ALL {
                let folder = kept.rig.path("spool").join(folder.path());
                let times = FileTimes::new().set_modified(now.into());
                File::open(folder).unwrap().set_times(times).unwrap();
            }
            let fs = Arc::new(CountingFs::default());
            fs.set_free_space(FreeSpace { bytes: free.0, files: free.1 });
            kept.rig.fs = fs;
            kept.rig.start();
            kept.prune();
            let is_kept = kept.rig.spool().contains(&format!("command/done {id}"));
            assert_eq!(is_kept, !is_full, "{keep:?} {free:?}");
        }
    }
}

#[test]
fn a_disk_that_becomes_full_is_not_looked_through_again_and_again() {
    let mut pruning = Pruning::new();
    pruning.hasten();
    assert_eq!(pruning.next, Duration::ZERO);
    pruning.last = Some(Duration::from_secs(100));
    pruning.next = Duration::from_secs(3700);
    for _ in 0..2 {
        pruning.hasten();
        assert_eq!(pruning.next, Duration::from_secs(160));
    }
}
