//! Access to the spool for operator commands, which create or rename whole files.
//!
//! The commands need no lock and work whether or not the runner is running, because every file
//! appears or moves by a single rename.
//!
//! **Invariant.** Every file created here belongs to the spool's owner: the command of root has
//! become the owner (see [`Workspace`]), and other users are
//! refused.

use std::ffi::OsStr;
use std::path::PathBuf;

use super::installation::Installation;
use crate::cli::failure::{Explain, Failure};
use crate::cli::workspace::{Workspace, as_user};
use crate::disk::{Disk, trust};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::names::RunId;
use crate::spool::{Folder, Layout, SpoolError, View};

/// Size limit of a `.reason` file, in bytes.
const REASON_BYTES_MAX: u64 = 64 * 1024;

#[derive(Debug, thiserror::Error)]
enum SpoolAccessError {
    #[error("there is no spool at {}: the runner creates it when it first starts", path.display())]
    NoSpool { path: PathBuf },
    #[error("only user {owner} and root can change the spool {}: run `{} {command}`", spool.display(), as_user(*owner))]
    NotOwner { spool: PathBuf, owner: u32, command: String },
}

impl Explain for SpoolAccessError {
    fn exit(&self) -> Exit {
        match self {
            SpoolAccessError::NoSpool { .. } => Exit::NoInput,
            SpoolAccessError::NotOwner { .. } => Exit::Permission,
        }
    }
}

impl Explain for SpoolError {
    fn exit(&self) -> Exit {
        match self {
            SpoolError::Disk { source } => source.exit(),
            SpoolError::Locked { .. } => Exit::Locked,
            SpoolError::NotASpool { .. }
            | SpoolError::Newer { .. }
            | SpoolError::Devices { .. }
            | SpoolError::Link { .. } => Exit::Config,
            SpoolError::Unsafe { .. } | SpoolError::Unreadable { .. } => Exit::Permission,
            SpoolError::Replaced { .. }
            | SpoolError::Gone { .. }
            | SpoolError::Taken { .. }
            | SpoolError::Crowded { .. } => Exit::Io,
            SpoolError::NoTransition { .. }
            | SpoolError::Encode { .. }
            | SpoolError::RetryReport { .. } => Exit::Software,
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            SpoolError::Unsafe { faults } => faults.clone(),
            _ => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct SpoolAccess<'a> {
    pub(crate) layout: &'a Layout,
    pub(crate) disk: Disk,
    /// The user that the spool belongs to.
    pub(crate) owner: u32,
    pub(crate) workspace: &'a Workspace,
}

impl<'a> SpoolAccess<'a> {
    /// Opens the spool for reading.
    ///
    /// # Errors
    /// The spool does not exist, or cannot be read.
    pub(crate) fn for_reading(installation: &'a Installation) -> Result<SpoolAccess<'a>, Failure> {
        let (layout, disk) = (&installation.layout, installation.disk());
        let spool = disk.find(layout.root())?;
        if spool.is_none() || disk.find(&layout.scratch())?.is_none() {
            return Err(SpoolAccessError::NoSpool { path: layout.root().to_owned() }.into());
        }
        let (owner, workspace) = (installation.owner()?, &installation.workspace);
        Ok(SpoolAccess { layout, disk, owner, workspace })
    }

    /// Opens the spool for writing. `arguments` are those of the command, without the
    /// configuration: the error for a user who may not write names the command to run instead.
    pub(crate) fn for_writing(
        installation: &'a Installation,
        arguments: &[&str],
    ) -> Result<SpoolAccess<'a>, Failure> {
        let (owner, user) = (installation.owner()?, trust::own_user());
        // Checked first: another user may not even be able to see whether there is a spool.
        if user != owner {
            let command = Program::Runner.command_here(arguments);
            let spool = installation.layout.root().to_owned();
            return Err(SpoolAccessError::NotOwner { spool, owner, command }.into());
        }
        SpoolAccess::for_reading(installation)
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(self.layout, &self.disk, self.owner)
    }

    /// Returns the view for a report, in which one file that cannot be read does not hide the
    /// others.
    pub(super) fn report_view(&self) -> View<'_> {
        self.view().for_report()
    }

    /// Creates a complete, durable file in a folder.
    pub(super) fn create(&self, folder: Folder, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.workspace.check_exposure()?;
        let path = self.layout.folder(folder).join(name);
        Ok(self.disk.create(&path, bytes)?)
    }

    /// Moves a file unchanged from one folder to another, where its name is `new_name`.
    pub(super) fn shift(
        &self,
        name: &OsStr,
        from: Folder,
        to: Folder,
        new_name: &OsStr,
    ) -> Result<(), Failure> {
        self.workspace.check_exposure()?;
        let from = self.layout.folder(from).join(name);
        Ok(self.disk.rename(&from, &self.layout.folder(to).join(new_name))?)
    }

    /// Removes a file.
    pub(super) fn remove(&self, folder: Folder, name: &OsStr) -> Result<(), Failure> {
        self.workspace.check_exposure()?;
        Ok(self.disk.unlink(&self.layout.folder(folder).join(name))?)
    }

    /// Returns the contents of the `.reason` file beside a dead letter, if it can be read.
    pub(super) fn reason(&self, id: &RunId) -> Option<String> {
        let note = self.layout.folder(Folder::Invalid).join(format!("{}.reason", id.file_name()));
        let bytes = self.disk.read(&note, REASON_BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(&bytes).trim().to_owned())
    }
}
