//! The spool as everybody can see it: the reading half, which needs no lock.
//!
//! Every file is whole at every moment, so a reader has to bear one thing only:
//! that an entry moves on while it looks. Who reads more than one folder goes in
//! the order of [`Folder::ALL`](super::Folder::ALL) and takes "gone" for "moved on".

use std::ffi::{OsStr, OsString};
use std::io;

use super::folder::{Family, Folder, Layout};
use super::look::{Run, Seen, run_id};
use super::record::{Content, RECORD_BYTES_MAX, classify};
use super::{Spool, SpoolError};
use crate::disk::ignored_names::is_ignored;
use crate::disk::{Disk, FileKind, Meta, Stamp, trust};
use crate::names::RunId;

/// What can be read of a spool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(super) layout: &'a Layout,
    pub(super) disk: &'a Disk,
    owner: u32,
}

impl<'a> View<'a> {
    /// Returns the view of the spool at `layout`, whose entries belong to `owner` or root.
    pub(crate) fn new(layout: &'a Layout, disk: &'a Disk, owner: u32) -> View<'a> {
        View { layout, disk, owner }
    }

    /// Lists the names in a folder that could be entries: dot files are not, nor the reasons beside dead
    /// letters, nor what editors and file systems leave behind.
    pub(crate) fn names(&self, folder: Folder) -> Result<Vec<OsString>, SpoolError> {
        let entries = self.disk.list(&self.layout.folder(folder))?;
        Ok(entries.into_iter().map(|entry| entry.name).filter(|name| is_entry(name)).collect())
    }

    /// Lists the ids in a folder, from the names of the files alone.
    pub(crate) fn ids(&self, folder: Folder) -> Result<Vec<RunId>, SpoolError> {
        Ok(self.names(folder)?.iter().filter_map(|name| run_id(name)).collect())
    }

    /// Returns what tells the present state of a file from a later one; `None` if it is gone.
    pub(crate) fn stamp(&self, folder: Folder, name: &OsStr) -> Result<Option<Stamp>, SpoolError> {
        let found = self.disk.find(&self.layout.folder(folder).join(name))?;
        Ok(found.map(|meta| meta.stamp))
    }

    /// Reads what stands under a name.
    pub(crate) fn see(&self, folder: Folder, name: &OsStr) -> Result<Seen, SpoolError> {
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
                // Its own mode keeps us out; any other refusal may be over the next time.
                io::ErrorKind::PermissionDenied if meta.mode & 0o400 == 0 => {
                    return damaged(crate::chain::Chain(&error).to_string());
                }
                _ => return Err(SpoolError::Disk { source: error }),
            },
        };
        match classify(&bytes) {
            Content::Newer(version) => Ok(Seen::Newer(version)),
            Content::Damaged(reason) => damaged(reason),
            Content::Action(text) if folder == Folder::New => Ok(Seen::Action { text }),
            Content::Action(_) => damaged("it is an action, put it into action/new".to_owned()),
            Content::Record(record) if record.id.file_name().as_str() != name => damaged(format!(
                "it is a copy of {}: a run has one file, named after it",
                record.id
            )),
            Content::Record(record) => {
                Ok(Seen::Run(Box::new(Run { folder, record: *record, stamp: meta.stamp })))
            }
        }
    }

    /// Reads a run; `None` if it is not there, or no longer a run.
    pub(crate) fn take(&self, folder: Folder, id: &RunId) -> Result<Option<Run>, SpoolError> {
        match self.see(folder, OsStr::new(&id.file_name()))? {
            Seen::Run(run) => Ok(Some(*run)),
            Seen::Gone
            | Seen::Action { .. }
            | Seen::Newer(_)
            | Seen::Unreadable { .. }
            | Seen::Foreign
            | Seen::Damaged { .. } => Ok(None),
        }
    }

    /// Returns the folders of a family that have a file of the run, the one that counts less first.
    pub(crate) fn holders(&self, id: &RunId, family: Family) -> Result<Vec<Folder>, SpoolError> {
        let mut holders = Vec::new();
        for folder in family.folders() {
            if self.disk.find(&self.layout.run(folder, id))?.is_some() {
                holders.push(folder);
            }
        }
        Ok(holders)
    }

    /// Tells why a file may not be an entry, whatever it says.
    fn refusal(&self, meta: &Meta) -> Option<String> {
        if meta.kind != FileKind::File {
            return Some("it is no regular file".to_owned());
        }
        if meta.owner != self.owner && meta.owner != 0 {
            return Some(format!(
                "it belongs to user {}: only the runner's user {} and root may run actions",
                meta.owner, self.owner
            ));
        }
        None
    }

    /// Returns the file of a run that counts in a family: the highest `seq`, if equal the folder
    /// that is further on.
    pub(crate) fn counting(&self, id: &RunId, family: Family) -> Result<Option<Run>, SpoolError> {
        let mut best: Option<Run> = None;
        for folder in self.holders(id, family)? {
            if let Some(run) = self.take(folder, id)?
                && best.as_ref().is_none_or(|best| run.record().seq >= best.record().seq)
            {
                best = Some(run);
            }
        }
        Ok(best)
    }
}

/// Returns whether a name in a folder could be that of an entry.
pub(super) fn is_entry(name: &OsStr) -> bool {
    let bytes = name.as_encoded_bytes();
    !bytes.starts_with(b".") && !bytes.ends_with(b".reason") && !is_ignored(name)
}

impl Spool {
    /// Returns the reading half of the spool.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.layout, &self.disk, self.owner)
    }

    /// As [`View::names`].
    pub(crate) fn names(&self, folder: Folder) -> Result<Vec<OsString>, SpoolError> {
        self.view().names(folder)
    }

    /// As [`View::ids`].
    pub(crate) fn ids(&self, folder: Folder) -> Result<Vec<RunId>, SpoolError> {
        self.view().ids(folder)
    }

    /// As [`View::stamp`].
    pub(crate) fn stamp(&self, folder: Folder, name: &OsStr) -> Result<Option<Stamp>, SpoolError> {
        self.view().stamp(folder, name)
    }

    /// As [`View::see`].
    pub(crate) fn see(&self, folder: Folder, name: &OsStr) -> Result<Seen, SpoolError> {
        self.view().see(folder, name)
    }

    /// As [`View::take`].
    pub(crate) fn take(&self, folder: Folder, id: &RunId) -> Result<Option<Run>, SpoolError> {
        self.view().take(folder, id)
    }

    /// As [`View::holders`].
    pub(crate) fn holders(&self, id: &RunId, family: Family) -> Result<Vec<Folder>, SpoolError> {
        self.view().holders(id, family)
    }
}
