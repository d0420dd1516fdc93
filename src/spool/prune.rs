//! Removing what is finished: a run as a whole, a dead letter with its reason.
//!
//! **Invariants.** Whether a run is finished is asked at the moment of its removal,
//! of the files that are there then. Its command goes first and its action last:
//! as long as the action is there, its slot is not fired again.

use std::ffi::{OsStr, OsString};
use std::io;

use jiff::Timestamp;

use super::folder::{Family, Folder};
use super::look::Seen;
use super::record::Record;
use super::{Spool, SpoolError};
use crate::names::RunId;

/// How the file with the reason of a dead letter ends.
const REASON: &str = ".reason";

impl Spool {
    /// Removes a run of which nothing is left to do and nothing changed since `before`; returns its
    /// last record, `None` if it stays.
    ///
    /// # Errors
    /// The disk did not do what it was asked; what is left is removed another time.
    pub(crate) fn discard(
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
            // What cannot be read, or not yet, is not ours to remove.
            let Seen::Run(run) = self.see(finished, OsStr::new(&id.file_name()))? else {
                return Ok(None);
            };
            if run.stamp().changed >= before {
                return Ok(None);
            }
            files.push(self.layout.run(finished, id));
            // The command's record knows more than the action's.
            last = last.or(Some((finished, run.into_record())));
        }
        match last {
            // Its results are still to be collected.
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

    /// Removes a dead letter and its reason, unless one of them changed since `before`; tells whether it did.
    ///
    /// # Errors
    /// As [`Spool::discard`].
    pub(crate) fn discard_letter(
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
                // It is a folder that somebody put there, or has just gone.
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
    #![expect(clippy::disallowed_methods, reason = "tests put files where they want")]

    use super::super::testing::{record, spool};
    use super::*;

    const ID: &str = "job.20261122T120000Z";

    #[test]
    fn a_run_goes_as_a_whole_and_only_when_both_halves_are_finished() {
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
            assert!(spool.discard(&record.id, Timestamp::UNIX_EPOCH).unwrap().is_none());
            let removed = spool.discard(&record.id, Timestamp::MAX).unwrap();
            assert_eq!(removed.is_some(), gone, "{folders:?}");
            assert!(files.iter().all(|file| file.exists() != gone), "{folders:?}");
        }
    }

    #[test]
    fn what_is_no_record_stays() {
        let (_folder, spool) = spool();
        let id: RunId = ID.parse().unwrap();
        let path = spool.layout.run(Folder::CommandDone, &id);
        std::fs::write(&path, "{\"version\":2}").unwrap();
        assert!(spool.discard(&id, Timestamp::MAX).unwrap().is_none());
        assert!(path.exists());
    }

    #[test]
    fn a_dead_letter_goes_with_its_reason() {
        let (_folder, spool) = spool();
        let new = spool.layout.folder(Folder::New).join("x.json");
        std::fs::write(&new, "{").unwrap();
        spool.reject(Folder::New, "x.json".as_ref(), "no JSON").unwrap();
        let folder = spool.layout.folder(Folder::Invalid);
        assert!(!spool.discard_letter("x.json".as_ref(), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(folder.read_dir().unwrap().count(), 2);
        assert!(spool.discard_letter("x.json".as_ref(), Timestamp::MAX).unwrap());
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        assert!(!spool.discard_letter("x.json".as_ref(), Timestamp::MAX).unwrap());
    }
}
