//! Several files of one run: the one with the highest `seq` counts.
//!
//! A crash leaves an older file beside a newer one, because a move that changes
//! the content creates first and removes afterwards. People leave copies. Of what
//! can be read the newest counts, and if two are as new the one that is further on.
//!
//! **Failure.** A file that cannot be read as a record never counts and is kept as
//! a dead letter. Where one is of a later version of this program, nothing is known
//! of which counts: the run is left alone.

use std::ffi::OsStr;

use slog::{info, warn};

use super::folder::{Family, Folder};
use super::look::{Run, Seen};
use super::{Spool, SpoolError};
use crate::names::RunId;

impl Spool {
    /// Returns the one file of a run that counts in a family and removes the others: the highest
    /// `seq`, if equal the folder that is further on. `None` if there is none, or none is known to.
    pub(crate) fn settle(&self, id: &RunId, family: Family) -> Result<Option<Run>, SpoolError> {
        #[cfg(test)]
        if !self.disk.keeps(crate::disk::Safeguard::Counting) {
            let first = self.holders(id, family)?.into_iter().next();
            return first.map_or(Ok(None), |folder| self.take(folder, id));
        }
        let (mut runs, mut damaged) = (Vec::new(), Vec::new());
        for folder in self.holders(id, family)? {
            match self.see(folder, OsStr::new(&id.file_name()))? {
                Seen::Run(run) => runs.push(*run),
                Seen::Damaged { reason, .. } => damaged.push((folder, reason)),
                Seen::Newer(version) => {
                    warn!(self.log, "run is left alone: a file of it is of a newer version";
                        "run" => %id, "folder" => %folder, "version" => version);
                    return Ok(None);
                }
                Seen::Unreadable { reason } => {
                    warn!(self.log, "run is left alone: a file of it cannot be read";
                        "run" => %id, "folder" => %folder, "reason" => reason);
                    return Ok(None);
                }
                Seen::Gone | Seen::Action { .. } | Seen::Foreign => {}
            }
        }
        // The folders come in the order in which they count if two files are as new.
        let Some(best) = (0..runs.len()).max_by_key(|at| runs.get(*at).map(|run| run.record.seq))
        else {
            // What is damaged is judged by who looks at its folder.
            return Ok(None);
        };
        let winner = runs.remove(best);
        for loser in &runs {
            self.retire(loser, &winner)?;
        }
        for (folder, reason) in damaged {
            // A dead letter is where it should be; in `new` it may still be being written.
            if !matches!(folder, Folder::Invalid | Folder::New) {
                self.reject_duplicate(folder, id, &reason)?;
            }
        }
        Ok(Some(winner))
    }

    /// Removes a file of a run in favour of one that counts more; one that says something else
    /// though it is as new is kept as a dead letter.
    fn retire(&self, loser: &Run, winner: &Run) -> Result<(), SpoolError> {
        let differs = || Ok::<bool, SpoolError>(bytes(loser)? != bytes(winner)?);
        if loser.record.seq == winner.record.seq && differs()? {
            let reason = format!("another file of this run, in {}, counts", winner.folder);
            return self.reject_duplicate(loser.folder, &loser.record.id, &reason);
        }
        // The winner must be durable before the only other trace of the run goes.
        self.disk.sync_folder(&self.layout.folder(winner.folder))?;
        self.disk.unlink(&self.layout.run(loser.folder, &loser.record.id))?;
        info!(self.log, "removed older double"; "run" => %loser.record.id,
            "from" => %loser.folder, "counts" => %winner.folder);
        Ok(())
    }
}

fn bytes(run: &Run) -> Result<Vec<u8>, SpoolError> {
    run.record.to_bytes().map_err(|source| SpoolError::Encode { id: run.record.id.clone(), source })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::testing::{record, spool};
    use super::*;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn of_two_files_of_a_run_the_newer_counts() {
        for (new_seq, done_seq, counts) in
            [(1, 2, Folder::ActionDone), (2, 1, Folder::New), (1, 1, Folder::ActionDone)]
        {
            let (_folder, spool) = spool();
            for (folder, seq) in [(Folder::New, new_seq), (Folder::ActionDone, done_seq)] {
                let mut record = record(ID);
                record.seq = seq;
                let path = spool.layout.run(folder, &record.id);
                std::fs::write(path, record.to_bytes().unwrap()).unwrap();
            }
            let id: RunId = ID.parse().unwrap();
            let run = spool.settle(&id, Family::Action).unwrap().unwrap();
            assert_eq!(run.folder, counts);
            assert_eq!(spool.holders(&id, Family::Action).unwrap(), [counts]);
        }
    }

    #[test]
    fn a_damaged_double_is_kept_with_its_reason_and_a_newer_version_stops_everything() {
        let (_folder, spool) = spool();
        drop(spool.launch(record(ID)).unwrap());
        let id: RunId = ID.parse().unwrap();
        let double = spool.layout.run(Folder::ActionInflight, &id);
        std::fs::write(&double, "{").unwrap();
        let run = spool.settle(&id, Family::Action).unwrap().unwrap();
        assert_eq!(run.folder, Folder::New);
        assert_eq!(spool.holders(&id, Family::Action).unwrap(), [Folder::New]);
        let letter = spool.layout.folder(Folder::Invalid).join(format!("{ID}.double.json"));
        assert_eq!(std::fs::read(&letter).unwrap(), b"{");
        assert!(letter.with_extension("json.reason").exists());
        std::fs::write(&double, r#"{"version":2}"#).unwrap();
        assert!(spool.settle(&id, Family::Action).unwrap().is_none());
        assert!(double.exists());
    }
}
