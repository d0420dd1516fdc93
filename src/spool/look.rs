//! What is in a folder: runs, and what is none.
//!
//! **Failure.** A file that cannot be a record is no error: it is seen as
//! [`Seen::Damaged`], with the reason. An error means that the disk did not
//! answer; nothing is concluded from it.

use std::ffi::OsStr;
use std::io;

use jiff::Timestamp;
use slog::{info, warn};

use super::folder::{Family, Folder};
use super::record::Record;
use super::{Spool, SpoolError};
use crate::disk::Stamp;
use crate::names::RunId;

/// A run, where it was found. A move consumes it.
#[derive(Debug)]
#[must_use = "a run that is dropped stays in its folder until the next look"]
pub(crate) struct Run {
    pub(super) folder: Folder,
    pub(super) record: Record,
    pub(super) stamp: Stamp,
}

impl Run {
    /// Returns a run that has been moved away from `folder` meanwhile, as it was there: an action
    /// that was accepted in between must not be forgotten.
    pub(crate) fn departed(folder: Folder, record: Record) -> Run {
        let stamp = Stamp { inode: 0, size: 0, changed: Timestamp::UNIX_EPOCH };
        Run { folder, record, stamp }
    }

    /// Returns the folder it is in.
    pub(crate) fn folder(&self) -> Folder {
        self.folder
    }

    /// Returns what is known of it.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// Returns what is known of it, alone.
    pub(crate) fn into_record(self) -> Record {
        self.record
    }

    /// Returns what tells this state of its file from a later one.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// What stands under a name.
#[derive(Debug)]
pub(crate) enum Seen {
    /// Nothing: it moved on.
    Gone,
    /// A run.
    Run(Box<Run>),
    /// A plain MIG action.
    Action {
        /// Its text.
        text: String,
    },
    /// A record that a later version of this program wrote.
    Newer(u64),
    /// A file of somebody else's, to be left alone.
    Foreign,
    /// What should be a record and is none.
    Damaged {
        /// Why it is none.
        reason: String,
        /// When the file last changed.
        changed: Timestamp,
    },
}

impl Spool {
    /// Returns the one file of a run that counts in a family and removes the others: the highest
    /// `seq`, if equal the folder that is further on.
    pub(crate) fn settle(&self, id: &RunId, family: Family) -> Result<Option<Run>, SpoolError> {
        let mut best: Option<Run> = None;
        for folder in self.holders(id, family)? {
            let Some(run) = self.take(folder, id)? else { continue };
            best = Some(match best {
                None => run,
                Some(other) if run.record.seq >= other.record.seq => {
                    self.retire(&other, &run)?;
                    run
                }
                Some(other) => {
                    self.retire(&run, &other)?;
                    other
                }
            });
        }
        Ok(best)
    }

    /// Removes a file of a run in favour of one that counts more; one that says something else
    /// though it is as new is kept as a dead letter.
    fn retire(&self, loser: &Run, winner: &Run) -> Result<(), SpoolError> {
        let differs = || Ok::<bool, SpoolError>(bytes(loser)? != bytes(winner)?);
        if loser.record.seq == winner.record.seq && differs()? {
            let reason = format!("another file of this run, in {}, counts", winner.folder);
            let name = loser.record.id.file_name();
            // Not under the run's own name: there it would be a file of the run again.
            return self.bury_as(loser.folder, OsStr::new(&name), ".double", &reason);
        }
        // The winner must be durable before the only other trace of the run goes.
        self.disk.sync_folder(&self.layout.folder(winner.folder))?;
        self.disk.unlink(&self.layout.run(loser.folder, &loser.record.id))?;
        info!(self.log, "removed older double"; "run" => %loser.record.id,
            "from" => %loser.folder, "counts" => %winner.folder);
        Ok(())
    }

    /// Moves what is no run to `action/invalid`, with the reason beside it.
    pub(crate) fn bury(
        &self,
        folder: Folder,
        name: &OsStr,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let mark = if folder.family() == Family::Command { ".command" } else { "" };
        self.bury_as(folder, name, mark, reason)
    }

    fn bury_as(
        &self,
        folder: Folder,
        name: &OsStr,
        mark: &str,
        reason: &str,
    ) -> Result<(), SpoolError> {
        let from = self.layout.folder(folder).join(name);
        let grave = self.layout.folder(Folder::Invalid);
        let stem = name.to_string_lossy();
        let stem = stem.strip_suffix(".json").unwrap_or(&stem);
        for attempt in 1..=GRAVES_MAX {
            let number = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let name = format!("{stem}{mark}{number}.json");
            let to = grave.join(&name);
            if from != to {
                match self.disk.shift(&from, &to) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
                    Err(source) => return Err(SpoolError::Disk { source }),
                }
            }
            warn!(self.log, "moved to dead letters"; "path" => %from.display(),
                "to" => %to.display(), "reason" => crate::chain::escape(reason).as_ref());
            let note = grave.join(format!("{name}.reason"));
            return match self.disk.create(&note, format!("{reason}\n").as_bytes()) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    Err(SpoolError::Disk { source: error })
                }
                _ => Ok(()),
            };
        }
        Err(SpoolError::Crowded { name: name.to_owned() })
    }
}

/// How many dead letters may bear one name.
const GRAVES_MAX: u32 = 1000;

fn bytes(run: &Run) -> Result<Vec<u8>, SpoolError> {
    run.record.to_bytes().map_err(|source| SpoolError::Encode { id: run.record.id.clone(), source })
}

/// Returns the id that a file's name tells.
pub(crate) fn run_id(name: &OsStr) -> Option<RunId> {
    name.to_str()?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::testing::{record, spool};
    use super::*;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn what_is_no_run_is_buried_with_its_reason() {
        let (_folder, spool) = spool();
        for (folder, grave) in
            [(Folder::New, "x.json"), (Folder::New, "x-2.json"), (Folder::Ready, "x.command.json")]
        {
            let path = spool.layout.folder(folder).join("x.json");
            std::fs::write(&path, "{").unwrap();
            let Seen::Damaged { reason, .. } = spool.see(folder, "x.json".as_ref()).unwrap() else {
                panic!("not damaged")
            };
            spool.bury(folder, "x.json".as_ref(), &reason).unwrap();
            let grave = spool.layout.folder(Folder::Invalid).join(grave);
            assert_eq!(std::fs::read(&grave).unwrap(), b"{");
            let note = std::fs::read_to_string(format!("{}.reason", grave.display())).unwrap();
            assert!(note.starts_with("it is no JSON object"), "{note}");
        }
    }

    #[test]
    fn a_copy_under_another_name_is_no_run() {
        let (_folder, spool) = spool();
        let bytes = record(ID).to_bytes().unwrap();
        let name = "job.20261122T130000Z.json";
        std::fs::write(spool.layout.folder(Folder::New).join(name), bytes).unwrap();
        let seen = spool.see(Folder::New, name.as_ref()).unwrap();
        assert!(
            matches!(seen, Seen::Damaged { ref reason, .. } if reason.contains(ID)),
            "{seen:?}"
        );
    }

    #[test]
    fn what_is_no_file_is_damaged_and_what_is_not_ours_is_left() {
        let (_folder, spool) = spool();
        let new = spool.layout.folder(Folder::New);
        std::fs::create_dir(new.join("folder.json")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", new.join("link.json")).unwrap();
        std::fs::write(new.join("notes.txt"), "").unwrap();
        for name in ["folder.json", "link.json"] {
            let seen = spool.see(Folder::New, name.as_ref()).unwrap();
            assert!(matches!(seen, Seen::Damaged { .. }), "{seen:?}");
            spool.bury(Folder::New, name.as_ref(), "no file").unwrap();
        }
        assert!(matches!(spool.see(Folder::New, "notes.txt".as_ref()).unwrap(), Seen::Foreign));
    }

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
}
