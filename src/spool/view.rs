//! Read access to a spool, which needs no lock.
//!
//! Every visible file is complete. The only thing that can happen to a reader is that an entry
//! moves to another folder meanwhile. A reader of several folders therefore reads them in the order
//! of [`Folder::ALL`](super::Folder::ALL), and takes a missing entry for one that has moved on.

use std::ffi::{OsStr, OsString};
use std::io;

use super::entry::{Run, Seen, run_id};
use super::folder::{Family, Folder, Layout};
use super::record::{FileContent, RECORD_BYTES_MAX, classify};
use super::{Spool, SpoolError};
use crate::disk::ignored_names::is_ignored;
use crate::disk::{Disk, FileKind, Meta, Stamp, trust};
use crate::names::RunId;

/// A spool for reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) layout: &'a Layout,
    pub(super) disk: &'a Disk,
    owner: u32,
    /// Whether a file that cannot be read is [`Seen::Unreadable`] instead of an error.
    is_report: bool,
}

impl<'a> View<'a> {
    /// Returns a view of the spool at `layout`, whose entries must belong to `owner` or root.
    pub(crate) fn new(layout: &'a Layout, disk: &'a Disk, owner: u32) -> View<'a> {
        View { layout, disk, owner, is_report: false }
    }

    /// Returns the view for a report: a file that cannot be read is [`Seen::Unreadable`] instead of
    /// an error, so that the report contains all other files. Nothing must be concluded from it.
    pub(crate) fn for_report(self) -> View<'a> {
        View { is_report: true, ..self }
    }

    /// Lists the names in a folder that may be entries. Dot files, reasons of dead letters and
    /// files of editors and file systems are not.
    pub(crate) fn names(&self, folder: Folder) -> Result<Vec<OsString>, SpoolError> {
        let entries = self.disk.list(&self.layout.folder(folder))?;
        Ok(entries.into_iter().map(|entry| entry.name).filter(|name| is_entry(name)).collect())
    }

    /// Lists the run ids in a folder, judging by file names only.
    pub(crate) fn ids(&self, folder: Folder) -> Result<Vec<RunId>, SpoolError> {
        Ok(self.names(folder)?.iter().filter_map(|name| run_id(name)).collect())
    }

    /// Returns a file's stamp, which changes whenever the file does; `None` if the file is gone.
    pub(crate) fn stamp(&self, folder: Folder, name: &OsStr) -> Result<Option<Stamp>, SpoolError> {
        let found = self.disk.find(&self.layout.folder(folder).join(name))?;
        Ok(found.map(|meta| meta.stamp))
    }

    /// Reads the entry of this name.
    pub(crate) fn read_entry(&self, folder: Folder, name: &OsStr) -> Result<Seen, SpoolError> {
        match self.try_read_entry(folder, name) {
            Err(error) if self.is_report => {
                Ok(Seen::Unreadable { reason: crate::chain::Chain(&error).to_string() })
            }
            read => read,
        }
    }

    fn try_read_entry(&self, folder: Folder, name: &OsStr) -> Result<Seen, SpoolError> {
        let path = self.layout.folder(folder).join(name);
        let Some(meta) = self.disk.find(&path)? else { return Ok(Seen::Gone) };
        if !name.as_encoded_bytes().ends_with(b".json") {
            return Ok(Seen::Foreign);
        }
        let damaged = |reason| Ok(Seen::Damaged { reason, changed: meta.stamp.changed });
        if let Some(reason) = self.refusal(&meta) {
            return damaged(reason);
        }
        let bytes = match self.disk.read(&path, RECORD_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound => return Ok(Seen::Gone),
                io::ErrorKind::FileTooLarge => {
                    return damaged(crate::chain::Chain(&error).to_string());
                }
                io::ErrorKind::PermissionDenied if meta.owner != self.owner => {
                    let reason = trust::unreadable_text(&path, meta.owner, self.owner);
                    return Ok(Seen::Unreadable { reason });
                }
                // The file's own mode denies access; any other refusal may be temporary.
                io::ErrorKind::PermissionDenied if meta.mode & 0o400 == 0 => {
                    return damaged(crate::chain::Chain(&error).to_string());
                }
                _ => return Err(SpoolError::Disk { source: error }),
            },
        };
        match classify(&bytes) {
            FileContent::Newer(version) => Ok(Seen::Newer(version)),
            FileContent::Damaged(reason) => damaged(reason),
            FileContent::Action(text) if folder == Folder::New => Ok(Seen::Action { text }),
            FileContent::Action(_) => damaged("it is an action: put it into action/new".to_owned()),
            FileContent::Record(record) if record.id.file_name().as_str() != name => damaged(
                format!("it is a copy of {}: a run has one file, named after it", record.id),
            ),
            FileContent::Record(record) => {
                Ok(Seen::Run(Box::new(Run { folder, record: *record, stamp: meta.stamp })))
            }
        }
    }

    /// Reads a run; `None` if there is no valid record of it.
    pub(crate) fn read_run(&self, folder: Folder, id: &RunId) -> Result<Option<Run>, SpoolError> {
        match self.read_entry(folder, OsStr::new(&id.file_name()))? {
            Seen::Run(run) => Ok(Some(*run)),
            Seen::Gone
            | Seen::Action { .. }
            | Seen::Newer(_)
            | Seen::Unreadable { .. }
            | Seen::Foreign
            | Seen::Damaged { .. } => Ok(None),
        }
    }

    /// Returns the folders of a family that have a file of the run, in the order of
    /// [`Family::folders`]. A folder that cannot be searched is an error, even in a report.
    pub(crate) fn holders(&self, id: &RunId, family: Family) -> Result<Vec<Folder>, SpoolError> {
        let mut holders = Vec::new();
        for folder in family.folders() {
            if self.disk.find(&self.layout.run(folder, id))?.is_some() {
                holders.push(folder);
            }
        }
        Ok(holders)
    }

    /// Returns why a file cannot be an entry, whatever its content.
    fn refusal(&self, meta: &Meta) -> Option<String> {
        if meta.kind != FileKind::File {
            return Some("it is not a regular file".to_owned());
        }
        if meta.owner != self.owner && meta.owner != 0 {
            return Some(format!(
                "it belongs to user {}: only the runner's user {} and root may run actions",
                meta.owner, self.owner
            ));
        }
        None
    }

    /// Returns the file of a run that counts in a family: the one with the highest `seq`; if equal,
    /// the one in the later folder.
    ///
    /// # Errors
    /// The disk failed. In a report: a file of the run cannot be read, and no other one is known.
    pub(crate) fn counting(&self, id: &RunId, family: Family) -> Result<Option<Run>, SpoolError> {
        let (mut best, mut unreadable): (Option<Run>, _) = (None, None);
        for folder in family.folders() {
            match self.read_entry(folder, OsStr::new(&id.file_name()))? {
                Seen::Run(run)
                    if best.as_ref().is_none_or(|best| run.record().seq >= best.record().seq) =>
                {
                    best = Some(*run);
                }
                Seen::Unreadable { reason } if self.is_report => unreadable = Some(reason),
                _ => {}
            }
        }
        match (best, unreadable) {
            (None, Some(reason)) => Err(SpoolError::Unreadable { id: id.clone(), reason }),
            (best, _) => Ok(best),
        }
    }
}

/// Returns whether a name in a folder may be that of an entry.
pub(super) fn is_entry(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !bytes.starts_with(b".") && !bytes.ends_with(b".reason") && !is_ignored(name)
}

impl Spool {
    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.layout, &self.disk, self.owner)
    }

    pub(crate) fn names(&self, folder: Folder) -> Result<Vec<OsString>, SpoolError> {
        self.view().names(folder)
    }

    pub(crate) fn ids(&self, folder: Folder) -> Result<Vec<RunId>, SpoolError> {
        self.view().ids(folder)
    }

    pub(crate) fn stamp(&self, folder: Folder, name: &OsStr) -> Result<Option<Stamp>, SpoolError> {
        self.view().stamp(folder, name)
    }

    pub(crate) fn read_entry(&self, folder: Folder, name: &OsStr) -> Result<Seen, SpoolError> {
        self.view().read_entry(folder, name)
    }

    pub(crate) fn read_run(&self, folder: Folder, id: &RunId) -> Result<Option<Run>, SpoolError> {
        self.view().read_run(folder, id)
    }

    pub(crate) fn holders(&self, id: &RunId, family: Family) -> Result<Vec<Folder>, SpoolError> {
        self.view().holders(id, family)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::*;
    use crate::disk::COMMAND_PREFIX;
    use crate::disk::model::{FaultInjector, InjectedFault, ModelFs};

    #[test]
    fn report_contains_a_file_that_cannot_be_read() {
        let faults = Arc::new(FaultInjector::new());
        let fs = ModelFs::new(Arc::clone(&faults), Arc::new(|| Timestamp::UNIX_EPOCH));
        let layout = Layout::new(Path::new("/spool").to_owned());
        let name = OsStr::new("a.20261122T041500Z.json");
        fs.put(&layout.folder(Folder::New).join(name), b"{}");
        let disk = Disk::new(Arc::new(fs), layout.scratch(), COMMAND_PREFIX);
        let view = View::new(&layout, &disk, trust::own_user());
        let damaged = view.read_entry(Folder::New, name).unwrap();
        assert!(matches!(damaged, Seen::Damaged { .. }), "{damaged:?}");
        // The metadata can be read, the content cannot.
        for calls in 0..2 {
            let fault = InjectedFault::AllCalls(calls, io::ErrorKind::Other);
            faults.set(fault);
            assert!(view.read_entry(Folder::New, name).is_err());
            faults.set(fault);
            let seen = view.for_report().read_entry(Folder::New, name).unwrap();
            assert!(matches!(seen, Seen::Unreadable { .. }), "{seen:?}");
        }
    }
}
