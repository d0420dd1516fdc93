//! An entry of a folder: a run, or a file that is not one.
//!
//! **Failure.** A file that is not a valid record is not an error but [`Seen::Damaged`], with the
//! reason. An error means that the disk did not answer; the caller must conclude nothing from it.

use std::ffi::OsStr;

use jiff::Timestamp;

use super::folder::Folder;
use super::record::Record;
use crate::disk::Stamp;
use crate::names::RunId;

/// A run, in the folder in which it was found. A move consumes it.
#[derive(Debug)]
#[must_use = "a run that is dropped stays in its folder until the next scan"]
pub(crate) struct Run {
    pub(super) folder: Folder,
    pub(super) record: Record,
    pub(super) stamp: Stamp,
}

impl Run {
    /// Returns a run as it was in `folder` before another process moved it away, so that an action
    /// accepted meanwhile can still be recorded.
    pub(crate) fn departed(folder: Folder, record: Record) -> Run {
        let stamp = Stamp { inode: 0, size: 0, changed: Timestamp::UNIX_EPOCH };
        Run { folder, record, stamp }
    }

    pub(crate) fn folder(&self) -> Folder {
        self.folder
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn into_record(self) -> Record {
        self.record
    }

    /// Returns the stamp of the file, which changes whenever the file does.
    pub(crate) fn stamp(&self) -> Stamp {
        self.stamp
    }
}

/// What a name in a folder refers to.
#[derive(Debug)]
pub(crate) enum Seen {
    /// No file: it was moved or removed.
    Gone,
    Run(Box<Run>),
    /// A plain MIG action, not yet a run.
    Action {
        text: String,
    },
    /// A record that a later version of this program wrote.
    Newer(u64),
    /// A file of root's that the runner cannot read; left alone until its owner changes.
    Unreadable {
        /// Includes the remedy.
        reason: String,
    },
    /// A file without the suffix `.json`, which is not the runner's; left alone.
    Foreign,
    /// A file that should be a record but is not valid.
    Damaged {
        /// Why it is not valid.
        reason: String,
        /// Time of the file's last change.
        changed: Timestamp,
    },
}

/// Returns the run id in a file name.
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
    fn copy_under_another_name_is_damaged() {
        let (_folder, spool) = spool();
        let bytes = record(ID).to_bytes().unwrap();
        let name = "job.20261122T130000Z.json";
        std::fs::write(spool.layout.folder(Folder::New).join(name), bytes).unwrap();
        let seen = spool.read_entry(Folder::New, name.as_ref()).unwrap();
        assert!(
            matches!(seen, Seen::Damaged { ref reason, .. } if reason.contains(ID)),
            "{seen:?}"
        );
    }

    #[test]
    fn folders_and_links_are_damaged_and_foreign_files_are_left_alone() {
        let (_folder, spool) = spool();
        let new = spool.layout.folder(Folder::New);
        std::fs::create_dir(new.join("folder.json")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", new.join("link.json")).unwrap();
        std::fs::write(new.join("notes.txt"), "").unwrap();
        for name in ["folder.json", "link.json"] {
            let seen = spool.read_entry(Folder::New, name.as_ref()).unwrap();
            assert!(matches!(seen, Seen::Damaged { .. }), "{seen:?}");
            spool.reject(Folder::New, name.as_ref(), "no file").unwrap();
        }
        assert!(matches!(
            spool.read_entry(Folder::New, "notes.txt".as_ref()).unwrap(),
            Seen::Foreign
        ));
    }
}
