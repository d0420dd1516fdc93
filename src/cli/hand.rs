//! What a person's command does in the spool: whole files appear, or change folders.
//!
//! It works while the runner runs and while it does not, and needs no lock: every
//! name is made or moved by one rename.
//!
//! **Invariant.** Whatever is made belongs to the spool's owner, also where root
//! makes it: the runner could not read root's private files.

use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::path::Path;

use super::failure::Failure;
use super::installation::Installation;
use crate::disk::{COMMAND_PREFIX, Context, Disk, trust};
use crate::invocation::Program;
use crate::names::RunId;
use crate::spool::{Folder, Layout, View};

/// The longest reason that is read.
const REASON_BYTES_MAX: u64 = 64 * 1024;
/// The user id of root.
const ROOT: u32 = 0;

/// The spool, for a command that a person typed.
#[derive(Debug)]
pub(crate) struct Hand<'a> {
    /// Where its parts are.
    pub(crate) layout: &'a Layout,
    /// The disk that it is on.
    pub(crate) disk: Disk,
    pub(crate) owner: u32,
}

impl<'a> Hand<'a> {
    /// Returns the spool, for reading.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn look(installation: &'a Installation) -> Result<Hand<'a>, Failure> {
        let (layout, disk) = (&installation.layout, installation.disk());
        let spool = disk.find(layout.root())?;
        if spool.is_none() || disk.find(&layout.scratch())?.is_none() {
            return Err(Failure::NoSpool { path: layout.root().to_owned() });
        }
        Ok(Hand { layout, disk, owner: installation.owner()? })
    }

    /// Returns the spool, for writing; `arguments` are what the user typed, without the configuration.
    ///
    /// # Errors
    /// There is none, or the user may not write it; the error says who may.
    pub(crate) fn open(
        installation: &'a Installation,
        arguments: &[&str],
    ) -> Result<Hand<'a>, Failure> {
        // Where it is may already be more than another user may know.
        let user = trust::own_user();
        let refuse = |owner| {
            let command = Program::Runner.command_here(arguments);
            let spool = installation.layout.root().to_owned();
            Failure::NotOwner { spool, owner, command }
        };
        let owner = installation.owner()?;
        if user != owner && user != ROOT {
            return Err(refuse(owner));
        }
        Hand::look(installation)
    }

    /// Returns what can be read of the spool.
    pub(crate) fn view(&self) -> View<'_> {
        View::new(self.layout, &self.disk, self.owner)
    }

    /// Makes a file in a folder, whole and durable.
    pub(crate) fn put(&self, folder: Folder, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.layout.folder(folder).join(name);
        if trust::own_user() == self.owner {
            return Ok(self.disk.create(&path, bytes)?);
        }
        // It must be the owner's before it has its name.
        let temporary = self.layout.scratch().join(format!("{COMMAND_PREFIX}-{name}"));
        let made =
            self.give(&temporary, bytes).and_then(|()| Ok(self.disk.rename(&temporary, &path)?));
        if made.is_err() {
            // What could not be made is told; that a rest stays in the scratch folder harms nobody.
            self.disk.unlink(&temporary).ok();
        }
        made
    }

    fn give(&self, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
        let mut file = self.disk.begin(path)?;
        file.append(bytes).and_then(|()| file.sync()).context("write", path)?;
        let give = |source| Failure::Give { path: path.to_owned(), owner: self.owner, source };
        chown(path, Some(self.owner), None).map_err(give)
    }

    /// Moves a file from one folder to another, where it is named `becomes`, unchanged.
    pub(crate) fn shift(
        &self,
        name: &OsStr,
        from: Folder,
        to: Folder,
        becomes: &OsStr,
    ) -> Result<(), Failure> {
        let from = self.layout.folder(from).join(name);
        Ok(self.disk.rename(&from, &self.layout.folder(to).join(becomes))?)
    }

    /// Returns the reason that stands beside a dead letter, if there is one that can be read.
    pub(crate) fn reason(&self, id: &RunId) -> Option<String> {
        let note = self.layout.folder(Folder::Invalid).join(format!("{}.reason", id.file_name()));
        let bytes = self.disk.read(&note, REASON_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}
