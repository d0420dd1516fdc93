//! Checks how many files a report reads.

#![expect(clippy::disallowed_methods, reason = "tests fill a spool")]

use std::sync::Arc;

use jiff::tz::TimeZone;

use super::attempts::Attempts;
use super::entries::RECORDS_MAX;
use super::*;
use crate::cli::runner::spool_access::SpoolAccess;
use crate::cli::workspace::Workspace;
use crate::disk::counting::CountingFs;
use crate::disk::{COMMAND_PREFIX, Disk, trust};
use crate::job::folders::Jobs;
use crate::spool::testing::{record, spool};
use crate::spool::{Folder, Layout};
use crate::testing::{make_private, write_private};

#[test]
fn only_last_and_newest_finished_records_are_read() {
    const RUNS: usize = RECORDS_MAX + 100;
    let (folder, spool) = spool();
    let layout = Layout::new(folder.path().join("spool"));
    for number in 0..RUNS {
        let (hour, minute, second) = (number / 3600, number / 60 % 60, number % 60);
        let record = record(&format!("job.20261122T{hour:02}{minute:02}{second:02}Z"));
        let bytes = record.to_bytes().unwrap();
        for over in [Folder::ActionDone, Folder::CommandDone] {
            std::fs::write(layout.run(over, &record.id), &bytes).unwrap();
        }
    }
    drop(spool);
    let job = folder.path().join("runners/job");
    make_private(&job);
    write_private(&job.join("entity.cfg"), "[configuration]\nschedule = @daily\n");
    let action = r#"{"name":"n","target":"t","operations":[{"module":"file","parameters":{}}]}"#;
    write_private(&job.join("action.json"), action);

    let (fs, now) = (Arc::new(CountingFs::default()), SystemClock.now());
    let disk = Disk::new(Arc::clone(&fs) as Arc<_>, layout.scratch(), COMMAND_PREFIX);
    let runners = folder.path().join("runners");
    let mut jobs = Jobs::new(disk.clone(), runners, trust::own_user(), TimeZone::UTC);
    drop(jobs.scan(now).unwrap());
    fs.reset();
    let workspace = Workspace::enter(&[layout.root()]).unwrap();
    let owner = trust::own_user();
    let spool = SpoolAccess { layout: &layout, disk, owner, workspace: &workspace };
    let report = Report::of(&spool, &jobs, None, Attempts::default(), now).unwrap();
    assert_eq!(report.jobs.len(), 1, "{:?}", report.attention);
    let last = report.jobs[0].last.as_ref().unwrap();
    assert_eq!(last.run.as_str(), "job.20261122T003459Z");
    assert_eq!(report.spool.iter().map(|folder| folder.entries).sum::<usize>(), 2 * RUNS);
    let oldest = report.spool[2].oldest.as_ref().unwrap();
    assert_eq!(oldest.as_str(), "job.20261122T000000Z");
    assert_eq!(fs.reads(), RECORDS_MAX + 1);
    assert!(fs.metas() < RECORDS_MAX + 20, "{}", fs.metas());
}
