//! What is put in order at start, before anything else.
//!
//! Visible is not durable: what a crashed system shows may still be lost, so the
//! folders are made durable before anything is concluded from them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use slog::warn;

use super::{Family, Folder, Spool, SpoolError};
use crate::clock;
use crate::disk::{COMMAND_PREFIX, DAEMON_PREFIX, FsProbe, Meta};
use crate::names::RunId;

/// How old a temporary of a command that a person typed is when nobody can be writing it any more.
const STALE: Duration = Duration::from_secs(86_400);

impl Spool {
    /// Makes the folders durable, sweeps the scratch folder, and leaves one file a run in each
    /// family. `survey` tells what the file system can do.
    pub(super) fn recover(&self, survey: FsProbe) -> Result<(), SpoolError> {
        let root = self.layout.root().display();
        if !survey.renames {
            warn!(self.log, "the file system lacks renameat2: hard links and plain renames are used, \
                and what others do at the same moment can be lost"; "path" => %root);
        }
        if !survey.tried {
            warn!(self.log, "the disk is full and takes no new file: what is old is removed as usual";
                "path" => %root);
        }
        self.sync_folders()?;
        self.sweep(survey.now)?;
        for family in [Family::Action, Family::Command] {
            for id in self.doubles(family)? {
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
            self.secure(folder)?;
        }
        Ok(self.disk.sync_folder(&self.layout.slots())?)
    }

    /// Removes the temporaries of runners before this one. The lock is held, so none is alive; a
    /// file that `trigger` is just writing has another prefix and is left to it for a day.
    fn sweep(&self, now: Timestamp) -> Result<(), SpoolError> {
        for entry in self.disk.list(&self.layout.scratch())? {
            let path = self.layout.scratch().join(&entry.name);
            if let Some(place) = self.disk.displaced_name(&path)? {
                // A crash came before it could be put aside.
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

    /// Returns the runs that have more than one file in a family.
    fn doubles(&self, family: Family) -> Result<BTreeSet<RunId>, SpoolError> {
        let (mut known, mut doubles) = (BTreeSet::new(), BTreeSet::new());
        let [first, second, third, finished] = family.folders();
        for folder in [first, second, third] {
            for id in self.ids(folder)? {
                if !known.insert(id.clone()) {
                    doubles.insert(id);
                }
            }
        }
        // The last folder may hold a month of finished runs: none of them is kept in memory.
        self.visit_ids(finished, &mut |id| {
            if known.contains(&id) {
                doubles.insert(id);
            }
        })?;
        Ok(doubles)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use super::super::testing::{record, reopen, spool};
    use super::*;

    #[test]
    fn a_start_leaves_one_file_a_run_and_no_temporary() {
        let (folder, spool) = spool();
        let mut record = record("job.20261122T120000Z");
        drop(spool.launch(record.clone()).unwrap());
        record.seq = 2;
        let path = spool.layout.run(Folder::ActionInflight, &record.id);
        std::fs::write(path, record.to_bytes().unwrap()).unwrap();
        std::fs::write(spool.layout.scratch().join("runner-1-0"), "half").unwrap();
        std::fs::write(spool.layout.scratch().join("hand-1-0"), "somebody's").unwrap();
        drop(spool);
        let spool = reopen(folder.path()).unwrap();
        let holders = spool.holders(&record.id, Family::Action).unwrap();
        assert_eq!(holders, [Folder::ActionInflight]);
        let left = spool.disk.list(&spool.layout.scratch()).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn what_was_displaced_before_a_crash_is_kept_with_its_reason() {
        let (folder, spool) = spool();
        // Neither of the two files that it could be.
        let stray = spool.layout.scratch().join("runner-1-0~0~0~job.20261122T120000Z.json");
        std::fs::write(stray, "somebody's").unwrap();
        drop(spool);
        let spool = reopen(folder.path()).unwrap();
        let letter = spool.layout.folder(Folder::Invalid).join("job.20261122T120000Z.double.json");
        assert_eq!(std::fs::read(&letter).unwrap(), b"somebody's");
        assert!(letter.with_extension("json.reason").exists());
        assert_eq!(spool.disk.list(&spool.layout.scratch()).unwrap(), []);
    }
}
