//! Several files of one run: the one with the highest `seq` counts.
//!
//! A crash leaves an older file beside a newer one, because a move that changes the record creates
//! the new file before it removes the old one. Operators leave copies. Of the readable files, the
//! one with the highest `seq` counts; if `seq` is equal, the one in the later folder.
//!
//! **Failure.** A file that is not a readable record never counts and is kept as a dead letter. If
//! a file has a newer version than this program knows, no file is known to count, and the run is
//! left alone.

use std::ffi::OsStr;

use slog::{info, warn};

use super::commit::encode;
use super::entry::{Run, Seen};
use super::folder::{Family, Folder};
use super::{Spool, SpoolError};
use crate::names::RunId;

impl Spool {
    /// Returns the file of a run that counts in a family, and removes the others. Returns `None` if
    /// the run has no file there, or no file is known to count.
    pub(crate) fn settle(&self, id: &RunId, family: Family) -> Result<Option<Run>, SpoolError> {
        #[cfg(test)]
        if !self.disk.keeps(crate::disk::Safeguard::Counting) {
            let first = self.holders(id, family)?.into_iter().next();
            return first.map_or(Ok(None), |folder| self.read_run(folder, id));
        }
        let (mut runs, mut damaged) = (Vec::new(), Vec::new());
        for folder in self.holders(id, family)? {
            match self.read_entry(folder, OsStr::new(&id.file_name()))? {
                Seen::Run(run) => runs.push(*run),
                Seen::Damaged { reason, .. } => damaged.push((folder, reason)),
                Seen::Newer(version) => {
                    warn!(self.log, "ignoring run: one of its files has a newer version";
                        "run" => %id, "folder" => %folder, "version" => version);
                    return Ok(None);
                }
                Seen::Unreadable { reason } => {
                    warn!(self.log, "ignoring run: one of its files cannot be read";
                        "run" => %id, "folder" => %folder, "reason" => reason);
                    return Ok(None);
                }
                Seen::Gone | Seen::Action { .. } | Seen::Foreign => {}
            }
        }
        // The runs are in the order of `Family::folders`, and of equal elements `max_by_key`
        // returns the last one.
        let Some(best) = (0..runs.len()).max_by_key(|at| runs.get(*at).map(|run| run.record.seq))
        else {
            // Damaged files are rejected when their folder is scanned.
            return Ok(None);
        };
        let winner = runs.remove(best);
        for loser in &runs {
            self.remove_duplicate(loser, &winner)?;
        }
        for (folder, reason) in damaged {
            // A dead letter is in its folder already, and a file in `new` may still be being
            // written.
            if !matches!(folder, Folder::Invalid | Folder::New) {
                self.reject_duplicate(folder, id, &reason)?;
            }
        }
        Ok(Some(winner))
    }

    /// Removes a file of a run in favour of the one that counts. If both have the same `seq` but
    /// different content, the loser is kept as a dead letter.
    fn remove_duplicate(&self, loser: &Run, winner: &Run) -> Result<(), SpoolError> {
        let differs = || Ok::<bool, SpoolError>(encode(&loser.record)? != encode(&winner.record)?);
        if loser.record.seq == winner.record.seq && differs()? {
            let reason = format!("another file of this run, in {}, is used instead", winner.folder);
            return self.reject_duplicate(loser.folder, &loser.record.id, &reason);
        }
        // The winner must be durable before the only other file of the run is removed.
        self.disk.sync_folder(&self.layout.folder(winner.folder))?;
        self.disk.unlink(&self.layout.run(loser.folder, &loser.record.id))?;
        info!(self.log, "removed older duplicate"; "run" => %loser.record.id,
            "from" => %loser.folder, "kept" => %winner.folder);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::testing::{record, spool};
    use super::*;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn newer_of_two_files_counts() {
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
    fn damaged_duplicate_becomes_dead_letter_and_newer_version_is_left_alone() {
        let (_folder, spool) = spool();
        drop(spool.launch(record(ID)).unwrap());
        let id: RunId = ID.parse().unwrap();
        let duplicate = spool.layout.run(Folder::ActionInflight, &id);
        std::fs::write(&duplicate, "{").unwrap();
        let run = spool.settle(&id, Family::Action).unwrap().unwrap();
        assert_eq!(run.folder, Folder::New);
        assert_eq!(spool.holders(&id, Family::Action).unwrap(), [Folder::New]);
        let letter = spool.layout.folder(Folder::Invalid).join(format!("{ID}.duplicate.json"));
        assert_eq!(std::fs::read(&letter).unwrap(), b"{");
        assert!(letter.with_extension("json.reason").exists());
        std::fs::write(&duplicate, r#"{"version":2}"#).unwrap();
        assert!(spool.settle(&id, Family::Action).unwrap().is_none());
        assert!(duplicate.exists());
    }
}
