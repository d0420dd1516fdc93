//! What is put in order at start, before anything else.
//!
//! Visible is not durable: what a crashed system shows may still be lost, so the
//! folders are made durable before anything is concluded from them.

use std::collections::BTreeMap;

use super::{Family, Folder, Spool, SpoolError};
use crate::names::RunId;

impl Spool {
    /// Makes the folders durable, sweeps the scratch folder, and leaves one file a run in each family.
    pub(super) fn recover(&self) -> Result<(), SpoolError> {
        for folder in Folder::ALL {
            self.secure(folder)?;
        }
        self.sweep()?;
        for family in [Family::Action, Family::Command] {
            for id in self.doubles(family)? {
                self.settle(&id, family)?;
            }
        }
        Ok(())
    }

    /// Removes the temporaries of runners before this one. The lock is held, so none is alive; a
    /// file that `trigger` is just writing has another prefix and is left to it.
    fn sweep(&self) -> Result<(), SpoolError> {
        for entry in self.disk.list(&self.layout.scratch())? {
            if entry.name.as_encoded_bytes().starts_with(crate::disk::DAEMON_PREFIX.as_bytes()) {
                self.disk.unlink(&self.layout.scratch().join(entry.name))?;
            }
        }
        Ok(())
    }

    /// Returns the runs that have more than one file in a family.
    fn doubles(&self, family: Family) -> Result<Vec<RunId>, SpoolError> {
        let mut count: BTreeMap<RunId, u32> = BTreeMap::new();
        for folder in family.folders() {
            for id in self.ids(folder)? {
                *count.entry(id).or_default() += 1;
            }
        }
        Ok(count.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id).collect())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use super::super::testing::{open, record, spool};
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
        let spool = open(folder.path()).unwrap();
        let holders = spool.holders(&record.id, Family::Action).unwrap();
        assert_eq!(holders, [Folder::ActionInflight]);
        let left = spool.disk.list(&spool.layout.scratch()).unwrap();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
