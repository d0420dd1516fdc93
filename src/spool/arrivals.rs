//! Entries that the runner did not create: actions that the operator put into `action/new`, and
//! files of the original runner.

use std::ffi::OsStr;
use std::io;

use super::entry::Run;
use super::folder::Folder;
use super::record::Record;
use super::{Spool, SpoolError};
use crate::disk::Stamp;
use crate::names::{JobName, RunId};

impl Spool {
    /// Renames a plain action in `action/new` to the id of the run that it becomes. After this one
    /// rename, a restart cannot mistake it for another action.
    pub(crate) fn claim(&self, name: &OsStr, id: &RunId) -> Result<(), SpoolError> {
        let from = self.layout.folder(Folder::New).join(name);
        match self.disk.rename_to_unique(&from, &self.layout.run(Folder::New, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SpoolError::Gone { id: id.clone(), folder: Folder::New })
            }
            moved => Ok(moved?),
        }
    }

    /// Rewrites a claimed plain action, read with this `stamp`, as a record.
    pub(crate) fn enroll(&self, record: Record, stamp: Stamp) -> Result<Run, SpoolError> {
        self.rewrite(Folder::New, record, stamp)
    }

    /// Keeps, as a dead letter, a copy of a file of the original runner that cannot be adopted.
    pub(crate) fn reject_action(
        &self,
        job: &JobName,
        name: &OsStr,
        bytes: &[u8],
        reason: &str,
    ) -> Result<(), SpoolError> {
        let name = format!("{job}.{}", name.to_string_lossy());
        let path = self.layout.folder(Folder::Invalid).join(&name);
        match self.disk.create(&path, bytes) {
            // It was created before a crash.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(SpoolError::Disk { source }),
            Ok(()) => self.reject(Folder::Invalid, OsStr::new(&name), reason),
        }
    }
}
