//! What is in a folder: runs, and what is none.
//!
//! **Failure.** A file that cannot be a record is no error: it is seen as
//! [`Seen::Damaged`], with the reason. An error means that the disk did not
//! answer; nothing is concluded from it.

use std::ffi::OsStr;

use super::folder::Folder;
use super::record::Record;
use crate::disk::Stamp;
use crate::names::RunId;
use jiff::Timestamp;

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
    Run(Box<Run>),
    /// A plain MIG action.
    Action {
        text: String,
    },
    /// A record that a later version of this program wrote.
    Newer(u64),
    /// A file that root put there and the runner cannot read, to be left alone until its owner changes.
    Unreadable {
        /// Why, and what to do.
        reason: String,
    },
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
            spool.reject(Folder::New, name.as_ref(), "no file").unwrap();
        }
        assert!(matches!(spool.see(Folder::New, "notes.txt".as_ref()).unwrap(), Seen::Foreign));
    }
}
