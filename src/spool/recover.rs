//! Recovery at start, before anything else.
//!
//! Visible is not durable: what the folders show after a crash may still be lost, so they are
//! fsynced before anything is concluded from them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use slog::{info, warn};

use super::{Family, Folder, Spool, SpoolError};
use crate::clock;
use crate::disk::{COMMAND_PREFIX, DAEMON_PREFIX, FileKind, FsProbe, Meta};
use crate::names::RunId;

/// Age at which a temporary file of a command such as `trigger` counts as abandoned.
const STALE: Duration = Duration::from_secs(86_400);

impl Spool {
    /// Fsyncs the folders, empties `.tmp`, removes files of earlier versions, and leaves one file
    /// of each run in each family. `probe` says what the file system supports.
    pub(super) fn recover(&self, probe: FsProbe) -> Result<(), SpoolError> {
        let root = self.layout.root().display();
        if !probe.renames {
            warn!(self.log, "file system lacks renameat2; using hard links and plain renames, \
                so concurrent changes by other processes can be lost"; "path" => %root);
        }
        if !probe.tried {
            warn!(self.log, "disk is full; starting anyway to remove expired files";
                "path" => %root);
        }
        self.sync_folders()?;
        self.sweep(probe.now)?;
        self.remove_former_retry_report()?;
        for family in [Family::Action, Family::Command] {
            for id in self.duplicates(family)? {
                self.settle(&id, family)?;
            }
        }
        Ok(())
    }

    fn sync_folders(&self) -> Result<(), SpoolError> {
        #[cfg(test)]
        if !self.disk.keeps(crate::disk::Safeguard::StartSync) {
            return Ok(());
        }
        for folder in Folder::ALL {
            self.sync_folder(folder)?;
        }
        Ok(self.disk.sync_folder(&self.layout.slots())?)
    }

    /// Removes temporary files of earlier runners. The lock is held, so none of them is in use. A
    /// file that `trigger` is writing has another prefix and is kept for a day.
    fn sweep(&self, now: Timestamp) -> Result<(), SpoolError> {
        for entry in self.disk.list(&self.layout.scratch())? {
            let path = self.layout.scratch().join(&entry.name);
            if let Some(place) = self.disk.displaced_name(&path)? {
                // A crash happened before it could be rejected.
                self.reject_displaced(&path, &place)?;
                continue;
            }
            let name = entry.name.as_encoded_bytes();
            let is_stale = || {
                let meta = self.disk.find(&path)?;
                let old = |meta: Meta| clock::elapsed(meta.modified, now) >= STALE;
                Ok::<bool, SpoolError>(meta.is_some_and(old))
            };
            if name.starts_with(DAEMON_PREFIX.as_bytes())
                || (name.starts_with(COMMAND_PREFIX.as_bytes()) && is_stale()?)
            {
                self.disk.unlink(&path)?;
            }
        }
        Ok(())
    }

    /// Removes the retry report under the name that earlier versions gave it, because this version
    /// does not update it.
    fn remove_former_retry_report(&self) -> Result<(), SpoolError> {
        let path = self.layout.former_retry_report();
        if self.disk.find(&path)?.is_some_and(|meta| meta.kind == FileKind::File) {
            self.disk.unlink(&path)?;
            info!(self.log, "removed retry report of an earlier version"; "path" => %path.display());
        }
        Ok(())
    }

    /// Returns the runs that have more than one file in a family.
    fn duplicates(&self, family: Family) -> Result<BTreeSet<RunId>, SpoolError> {
        let (mut known, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
        let [first, second, third, finished] = family.folders();
        for folder in [first, second, third] {
            for id in self.ids(folder)? {
                if !known.insert(id.clone()) {
                    duplicates.insert(id);
                }
            }
        }
        // The last folder may hold a month of finished runs: their ids are not kept in memory.
        self.visit_ids(finished, &mut |id| {
            if known.contains(&id) {
                duplicates.insert(id);
            }
        })?;
        Ok(duplicates)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use super::super::testing::{record, reopen, spool};
    use super::*;

    #[test]
    fn start_leaves_one_file_of_each_run_and_no_temporary_files() {
        let (folder, spool) = spool();
        let mut record = record("job.20261122T120000Z");
        drop(spool.launch(record.clone()).unwrap());
        record.seq = 2;
        let path = spool.layout.run(Folder::ActionInflight, &record.id);
        std::fs::write(path, record.to_bytes().unwrap()).unwrap();
        std::fs::write(spool.layout.scratch().join("runner-1-0"), "half").unwrap();
        std::fs::write(spool.layout.scratch().join("hand-1-0"), "another's").unwrap();
        drop(spool);
        let spool = reopen(folder.path()).unwrap();
        let holders = spool.holders(&record.id, Family::Action).unwrap();
        assert_eq!(holders, [Folder::ActionInflight]);
        let left = spool.disk.list(&spool.layout.scratch()).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn retry_report_of_an_earlier_version_is_removed() {
        let (folder, spool) = spool();
        drop(spool);
        let former = folder.path().join("spool/.agenda");
        std::fs::write(&former, "{\"version\":1}\n").unwrap();
        drop(reopen(folder.path()).unwrap());
        assert!(!former.exists());
        // A folder of that name is not a retry report.
        std::fs::create_dir(&former).unwrap();
        drop(reopen(folder.path()).unwrap());
        assert!(former.exists());
    }

    #[test]
    fn file_displaced_before_a_crash_becomes_dead_letter() {
        let (folder, spool) = spool();
        // Its inode numbers are those of neither file that took part in the exchange.
        let displaced = spool.layout.scratch().join("runner-1-0~0~0~job.20261122T120000Z.json");
        std::fs::write(displaced, "another's").unwrap();
        drop(spool);
        let spool = reopen(folder.path()).unwrap();
        let letter =
            spool.layout.folder(Folder::Invalid).join("job.20261122T120000Z.duplicate.json");
        assert_eq!(std::fs::read(&letter).unwrap(), b"another's");
        assert!(letter.with_extension("json.reason").exists());
        assert_eq!(spool.disk.list(&spool.layout.scratch()).unwrap(), []);
    }
}
