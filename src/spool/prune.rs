//! Removal of finished runs, and of dead letters with their reasons.
//!
//! **Invariants.** Whether a run is finished is determined at the moment of its removal, from the
//! files that exist then. The command file is removed first and the action file last: while the
//! action file exists, the run's slot is not fired again.

use std::ffi::{OsStr, OsString};
use std::io;

use jiff::Timestamp;

use super::entry::Seen;
use super::folder::{Family, Folder};
use super::record::Record;
use super::{Spool, SpoolError};
use crate::names::RunId;

/// Suffix of the file with the reason of a dead letter.
const REASON: &str = ".reason";

impl Spool {
    /// Removes all files of a finished run, unless one of them changed since `before`. Returns the
    /// run's last record, or `None` if the run is kept. Files left after an error are removed by
    /// the next attempt.
    pub(crate) fn remove_finished(
        &self,
        id: &RunId,
        before: Timestamp,
    ) -> Result<Option<Record>, SpoolError> {
        let mut last = None;
        let mut files = Vec::new();
        for (family, finished) in
            [(Family::Command, Folder::CommandDone), (Family::Action, Folder::ActionDone)]
        {
            let holders = self.holders(id, family)?;
            if holders.iter().any(|holder| *holder != finished) {
                return Ok(None);
            }
            if holders.is_empty() {
                continue;
            }
            // A file that is not a readable record must not be removed.
            let Seen::Run(run) = self.read_entry(finished, OsStr::new(&id.file_name()))? else {
                return Ok(None);
            };
            if run.stamp().changed >= before {
                return Ok(None);
            }
            files.push(self.layout.run(finished, id));
            // The command record knows more than the action record.
            last = last.or(Some((finished, run.into_record())));
        }
        match last {
            // The results have not been collected yet.
            Some((Folder::ActionDone, record)) if record.collected.is_none() => Ok(None),
            Some((_, record)) => {
                for file in files {
                    self.disk.unlink(&file)?;
                }
                Ok(Some(record))
            }
            None => Ok(None),
        }
    }

    /// Removes a dead letter and its reason, unless one of them changed since `before`; returns
    /// whether anything was removed.
    pub(crate) fn remove_dead_letter(
        &self,
        name: &OsStr,
        before: Timestamp,
    ) -> Result<bool, SpoolError> {
        let folder = self.layout.folder(Folder::Invalid);
        let mut reason = OsString::from(name);
        reason.push(REASON);
        let mut files = Vec::new();
        for path in [folder.join(name), folder.join(reason)] {
            if let Some(meta) = self.disk.find(&path)? {
                if meta.stamp.changed >= before {
                    return Ok(false);
                }
                files.push(path);
            }
        }
        for path in &files {
            match self.disk.unlink(path) {
                // Another process put a folder there, or has just removed the file.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::IsADirectory | io::ErrorKind::NotFound
                    ) => {}
                removed => removed?,
            }
        }
        Ok(!files.is_empty())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests create the files of each case")]

    use super::super::testing::{record, spool};
    use super::*;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn run_is_removed_whole_and_only_when_both_families_are_finished() {
        use Folder::{ActionDone, ActionInflight, CommandDone, Invalid, Ready, Returned};
        for (folders, collected, gone) in [
            (&[ActionDone, CommandDone][..], true, true),
            (&[ActionDone], true, true),
            (&[CommandDone], true, true),
            (&[ActionDone], false, false),
            (&[ActionDone, Returned], true, false),
            (&[ActionDone, Ready], true, false),
            (&[ActionInflight, CommandDone], true, false),
            (&[Invalid], true, false),
            (&[], true, false),
        ] {
            let (_folder, spool) = spool();
            let mut record = record(ID);
            record.collected = Some(record.slot).filter(|_| collected);
            let files: Vec<_> = folders.iter().map(|f| spool.layout.run(*f, &record.id)).collect();
            for file in &files {
                std::fs::write(file, record.to_bytes().unwrap()).unwrap();
            }
            assert!(spool.remove_finished(&record.id, Timestamp::UNIX_EPOCH).unwrap().is_none());
            let removed = spool.remove_finished(&record.id, Timestamp::MAX).unwrap();
            assert_eq!(removed.is_some(), gone, "{folders:?}");
            assert!(files.iter().all(|file| file.exists() != gone), "{folders:?}");
        }
    }

    #[test]
    fn file_that_is_not_a_record_is_kept() {
        let (_folder, spool) = spool();
        let id: RunId = ID.parse().unwrap();
        let path = spool.layout.run(Folder::CommandDone, &id);
        std::fs::write(&path, "{\"version\":2}").unwrap();
        assert!(spool.remove_finished(&id, Timestamp::MAX).unwrap().is_none());
        assert!(path.exists());
    }

    #[test]
    fn dead_letter_is_removed_with_its_reason() {
        let (_folder, spool) = spool();
        let new = spool.layout.folder(Folder::New).join("x.json");
        std::fs::write(&new, "{").unwrap();
        spool.reject(Folder::New, "x.json".as_ref(), "no JSON").unwrap();
        let folder = spool.layout.folder(Folder::Invalid);
        assert!(!spool.remove_dead_letter("x.json".as_ref(), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(folder.read_dir().unwrap().count(), 2);
        assert!(spool.remove_dead_letter("x.json".as_ref(), Timestamp::MAX).unwrap());
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        assert!(!spool.remove_dead_letter("x.json".as_ref(), Timestamp::MAX).unwrap());
    }
}
