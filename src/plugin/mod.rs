//! Plugins: executables of the plugins folder that take results on their stdin.
//!
//! A plugin is looked up each time it is needed, so that one can be added,
//! repaired or replaced while the runner runs.
//!
//! **Invariants.** What is run is a regular file in the plugins folder itself: a
//! link may stand for another file of the folder and for nothing else. The folder may be a link. File and
//! folder belong to the runner's user or to root and nobody else can write them,
//! so that the right to run code as the runner stays with those who have it.
//!
//! **Failure.** Everything that is wrong with a plugin is a [`PluginError`]: it
//! concerns that plugin only, and may be over the next time.

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
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, FileKind, Fs, Meta, RealFs};
use crate::names::PluginName;
use crate::spawn::leftovers;
use crate::wake::Stop;

/// Time that processes left behind by plugins have to end when the runner stops.
const LEFTOVERS_SPAN: Duration = Duration::from_millis(500);

/// Why a plugin cannot be run, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    /// The folder or the file cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Look {
        /// What was looked at.
        path: PathBuf,
        source: io::Error,
    },
    /// A link cannot be followed.
    #[error(transparent)]
    Disk(DiskError),
    /// There is no such plugin.
    #[error("there is no plugin {name} in {}: put an executable file of that name there", folder.display())]
    Missing {
        /// The name that was looked for.
        name: PluginName,
        folder: PathBuf,
    },
    /// A link leads elsewhere.
    #[error(
        "plugin {} is a link to {}, which is not in the plugins folder: copy the file there",
        path.display(), target.display()
    )]
    Outside {
        path: PathBuf,
        /// Where it leads in the end.
        target: PathBuf,
    },
    /// It is a folder, a device or the like.
    #[error("plugin {} is not a regular file: put the executable itself there", path.display())]
    NotFile {
        /// What has the plugin's name.
        path: PathBuf,
    },
    /// Somebody else could change what is run.
    #[error(transparent)]
    Distrust(Distrust),
    /// It may not be executed.
    #[error("plugin {} is not executable (mode {mode:04o}): {remedy}", path.display())]
    NotExecutable {
        path: PathBuf,
        mode: u32,
        remedy: String,
        /// What the system says.
        source: io::Error,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Plugins {
    folder: PathBuf,
}

/// A plugin that was found fit to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Executable {
    folder: PathBuf,
    path: PathBuf,
}

impl Executable {
    /// Returns the file that is run.
    #[cfg(test)]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Plugins {
    /// Returns the plugins that `folder` holds; it is looked at when a plugin is wanted.
    pub(crate) fn new(folder: PathBuf) -> Plugins {
        Plugins { folder }
    }

    /// Finds a plugin and makes sure that only the runner's user and root can change it.
    pub(crate) fn find(&self, name: &PluginName) -> Result<Executable, PluginError> {
        let folder = self.real()?;
        let named = folder.join(name.as_str());
        let path = fs::canonicalize(&named).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                PluginError::Missing { name: name.clone(), folder: folder.clone() }
            }
            _ => look(&named, error),
        })?;
        if path.parent() != Some(&folder) {
            return Err(PluginError::Outside { path: named, target: path });
        }
        check_file(&path)?;
        Ok(Executable { folder, path })
    }
}

impl Plugins {
    /// Returns the folder, links followed, after making sure that only the runner's user and root can
    /// change it and where its links lead.
    fn real(&self) -> Result<PathBuf, PluginError> {
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let found = disk.resolve(&self.folder, self.folder.parent()).map_err(PluginError::Disk)?;
        let Some(found) = found else {
            return Err(look(&self.folder, io::ErrorKind::NotFound.into()));
        };
        if !found.is_linked() {
            trust::check(&found.path, &found.meta, trust::own_user())
                .map_err(PluginError::Distrust)?;
            return Ok(found.path);
        }
        let faults = found.check_trust(&disk, trust::own_user()).map_err(PluginError::Disk)?;
        match faults.into_iter().next() {
            Some(fault) => Err(PluginError::Distrust(fault)),
            None => Ok(found.path),
        }
    }
}

fn look(path: &Path, source: io::Error) -> PluginError {
    PluginError::Look { path: path.to_owned(), source }
}

/// Makes sure that only the runner's user and root can write what is at `path`.
fn trusted(path: &Path) -> Result<Meta, PluginError> {
    let meta = RealFs.meta(path).map_err(|error| look(path, error))?;
    trust::check(path, &meta, trust::own_user()).map_err(PluginError::Distrust)?;
    Ok(meta)
}

fn check_file(path: &Path) -> Result<(), PluginError> {
    let meta = trusted(path)?;
    if meta.kind != FileKind::File {
        return Err(PluginError::NotFile { path: path.to_owned() });
    }
    // The system is asked, not the mode: it also knows of file systems mounted without exec.
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
        let (path, mode, source) = (path.to_owned(), meta.mode, error.into());
        let remedy = remedy(&path, &meta, trust::own_user());
        PluginError::NotExecutable { path, mode, remedy, source }
    })
}

/// Returns how a plugin becomes executable for `user`.
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

/// Hands results to plugins.
pub(crate) trait Deliver: std::fmt::Debug + Send + Sync {
    /// Runs a plugin, from its start to its end.
    ///
    /// # Errors
    /// It cannot be run.
    fn deliver(
        &self,
        delivery: &run::Delivery<'_>,
        limits: &run::Limits,
        stop: &Stop,
    ) -> Result<run::Ended, PluginError>;

    /// Ends the processes that plugins have left behind, because the runner stops.
    fn end_leftovers(&self) {}
}

impl Deliver for Plugins {
    fn deliver(
        &self,
        delivery: &run::Delivery<'_>,
        limits: &run::Limits,
        stop: &Stop,
    ) -> Result<run::Ended, PluginError> {
        Ok(run::run(&self.find(delivery.plugin)?, delivery, limits, stop))
    }

    fn end_leftovers(&self) {
        leftovers::end_own(LEFTOVERS_SPAN);
    }
}

#[cfg(test)]
mod tests;
