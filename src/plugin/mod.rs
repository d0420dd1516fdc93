//! Plugins: executables in the plugins folder that read results on their stdin.
//!
//! A plugin is looked up each time it is needed, so that plugins can be added, repaired or replaced
//! while the runner runs.
//!
//! **Invariants.** Only a regular file in the plugins folder itself is run; a link in the folder
//! may lead to another file of the folder, but nowhere else. The folder itself may be a link. File
//! and folder belong to the runner's user or to root, and no other user can write to them, because
//! such a user could run code as the runner.
//!
//! **Failure.** Every fault of a plugin is a [`PluginError`]. It concerns only that plugin, and may
//! have been corrected by the next attempt.

mod process;
pub(crate) mod run;
mod tail;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD};

use crate::disk::trust::{self, Distrust};
use crate::disk::trusted_paths::{Content, TrustedPath};
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, FileKind, Fs, Meta, RealFs};
use crate::names::PluginName;
use crate::spawn::leftovers;
use crate::wake::Stop;

/// Time that leftover processes of plugins have to end after SIGTERM, when the runner stops.
const LEFTOVERS_SPAN: Duration = Duration::from_millis(500);

/// Why a plugin cannot be run, with the remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    #[error("cannot access {}", path.display())]
    Access { path: PathBuf, source: io::Error },
    /// A link in the path of the plugins folder cannot be followed.
    #[error(transparent)]
    Disk(DiskError),
    #[error("there is no plugin {name} in {}: put an executable file of that name there", folder.display())]
    Missing { name: PluginName, folder: PathBuf },
    #[error(
        "plugin {} is a link to {}, which is not in the plugins folder: copy the file there",
        path.display(), target.display()
    )]
    Outside { path: PathBuf, target: PathBuf },
    #[error("plugin {} is not a regular file: put the executable itself there", path.display())]
    NotFile { path: PathBuf },
    /// Other users could change what is run.
    #[error(transparent)]
    Distrust(Distrust),
    #[error("plugin {} is not executable (mode {mode:04o}): {remedy}", path.display())]
    NotExecutable { path: PathBuf, mode: u32, remedy: String, source: io::Error },
}

/// The plugins in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Plugins {
    folder: PathBuf,
    /// The runner's user.
    user: u32,
}

/// A plugin that may be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    folder: PathBuf,
    path: PathBuf,
}

impl Executable {
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Plugins {
    /// Returns the plugins of the user of this process.
    pub(crate) fn new(folder: PathBuf) -> Plugins {
        Plugins::of(trust::own_user(), folder)
    }

    /// Returns the plugins of the runner of `user`.
    pub(crate) fn of(user: u32, folder: PathBuf) -> Plugins {
        Plugins { folder, user }
    }

    /// Finds a plugin, and checks that only the runner's user and root can change it.
    pub(crate) fn find(&self, name: &PluginName) -> Result<Executable, PluginError> {
        let folder = self.real()?;
        let named = folder.join(name.as_str());
        let path = fs::canonicalize(&named).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                PluginError::Missing { name: name.clone(), folder: folder.clone() }
            }
            _ => access_error(&named, error),
        })?;
        if path.parent() != Some(&folder) {
            return Err(PluginError::Outside { path: named, target: path });
        }
        check_file(&path, self.user)?;
        Ok(Executable { folder, path })
    }
}

impl Plugins {
    /// Returns the real path of the folder, after checking that only the runner's user and root can
    /// change anything in it. A plugin may load any file beside it.
    fn real(&self) -> Result<PathBuf, PluginError> {
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let Some(found) = disk.resolve(&self.folder, None).map_err(PluginError::Disk)? else {
            return Err(access_error(&self.folder, io::ErrorKind::NotFound.into()));
        };
        let tree = TrustedPath::new(&self.folder, Content::Tree);
        let faults = tree.faults(&disk, self.user).map_err(PluginError::Disk)?;
        match faults.into_iter().next() {
            Some(fault) => Err(PluginError::Distrust(fault)),
            None => Ok(found.path),
        }
    }
}

fn access_error(path: &Path, source: io::Error) -> PluginError {
    PluginError::Access { path: path.to_owned(), source }
}

/// Checks that only `user` and root can write to the file at `path`.
fn trusted(path: &Path, user: u32) -> Result<Meta, PluginError> {
    let meta = RealFs.meta(path).map_err(|error| access_error(path, error))?;
    trust::check(path, &meta, user).map_err(PluginError::Distrust)?;
    Ok(meta)
}

fn check_file(path: &Path, user: u32) -> Result<(), PluginError> {
    let meta = trusted(path, user)?;
    if meta.kind != FileKind::File {
        return Err(PluginError::NotFile { path: path.to_owned() });
    }
    // The system call, unlike the mode, also covers file systems mounted with noexec.
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
        let (path, mode, source) = (path.to_owned(), meta.mode, error.into());
        let remedy = remedy(&path, &meta, user);
        PluginError::NotExecutable { path, mode, remedy, source }
    })
}

/// Returns how to make a plugin executable for `user`.
fn remedy(path: &Path, meta: &Meta, user: u32) -> String {
    let path = path.display();
    let is_ours = meta.owner == user;
    if meta.mode & 0o111 == 0o111 || is_ours && meta.mode & 0o100 != 0 {
        return "its file system is mounted with noexec: remount it with exec".to_owned();
    }
    if is_ours {
        return format!("run `chmod u+x {path}`");
    }
    let owner = meta.owner;
    format!("it belongs to user {owner}: run `chmod a+rx {path}`, or `chown {user} {path}`")
}

/// Runs plugins with results.
pub(crate) trait Deliver: std::fmt::Debug + Send + Sync {
    /// Runs a plugin to its end; fails if the plugin may not be run.
    fn deliver(
        &self,
        delivery: &run::PluginCall<'_>,
        limits: &run::PluginLimits,
        stop: &Stop,
    ) -> Result<run::PluginExit, PluginError>;

    /// Ends the leftover processes of plugins, because the runner stops.
    fn end_leftovers(&self) {}
}

impl Deliver for Plugins {
    fn deliver(
        &self,
        delivery: &run::PluginCall<'_>,
        limits: &run::PluginLimits,
        stop: &Stop,
    ) -> Result<run::PluginExit, PluginError> {
        Ok(run::run(&self.find(delivery.plugin)?, delivery, limits, stop))
    }

    fn end_leftovers(&self) {
        leftovers::end_own(LEFTOVERS_SPAN);
    }
}

#[cfg(test)]
mod tests;
