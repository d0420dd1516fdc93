//! Plugins: executables of the plugins folder that take results on their stdin.
//!
//! A plugin is looked up each time it is needed, so that one can be added,
//! repaired or replaced while the runner runs.
//!
//! **Invariants.** What is run is a regular file in the plugins folder itself: a
//! link may stand for another file of the folder and for nothing else. File and
//! folder belong to the runner's user or to root and nobody else can write them,
//! so that the right to run code as the runner stays with those who have it.
//!
//! **Failure.** Everything that is wrong with a plugin is a [`PluginError`]: it
//! concerns that plugin only, and may be over the next time.

mod process;
pub(crate) mod run;
mod tail;

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use crate::names::PluginName;

/// The permission bits that let somebody else than the owner write.
const OTHERS_WRITE: u32 = 0o022;
/// The user id of root.
const ROOT: u32 = 0;

/// Why a plugin cannot be run, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PluginError {
    /// The folder or the file cannot be looked at.
    #[error("cannot look at {}", path.display())]
    Look {
        /// What was looked at.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no such plugin.
    #[error("there is no plugin {name} in {}: put an executable file of that name there", folder.display())]
    Missing {
        /// The name that was looked for.
        name: PluginName,
        /// The plugins folder.
        folder: PathBuf,
    },
    /// A link leads elsewhere.
    #[error(
        "plugin {} is a link to {}, which is not in the plugins folder: copy the file there",
        path.display(), target.display()
    )]
    Outside {
        /// The link.
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
    /// It belongs to somebody else.
    #[error("{} belongs to user {owner}, not to the runner or root: run chown {user} {}", path.display(), path.display())]
    Owner {
        /// The plugin or its folder.
        path: PathBuf,
        /// The user id of who owns it.
        owner: u32,
        /// The user id of the runner.
        user: u32,
    },
    /// Others could change what is run.
    #[error("{} can be written by others (mode {mode:04o}): run chmod go-w {}", path.display(), path.display())]
    Writable {
        /// The plugin or its folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It may not be executed.
    #[error("plugin {} is not executable (mode {mode:04o}): run chmod u+x {}", path.display(), path.display())]
    NotExecutable {
        /// The plugin.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What the system says.
        source: io::Error,
    },
}

/// The plugins folder.
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
        let user = rustix::process::geteuid().as_raw();
        let folder = fs::canonicalize(&self.folder).map_err(|e| look(&self.folder, e))?;
        check_owner(&folder, &meta(&folder)?, user)?;
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
        check_file(&path, user)?;
        Ok(Executable { folder, path })
    }
}

fn look(path: &Path, source: io::Error) -> PluginError {
    PluginError::Look { path: path.to_owned(), source }
}

fn meta(path: &Path) -> Result<Metadata, PluginError> {
    fs::symlink_metadata(path).map_err(|error| look(path, error))
}

fn check_file(path: &Path, user: u32) -> Result<(), PluginError> {
    let meta = meta(path)?;
    if !meta.is_file() {
        return Err(PluginError::NotFile { path: path.to_owned() });
    }
    check_owner(path, &meta, user)?;
    // The system is asked, not the mode: it also knows of file systems mounted without exec.
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS).map_err(|error| {
        let (path, mode) = (path.to_owned(), permissions(&meta));
        PluginError::NotExecutable { path, mode, source: error.into() }
    })
}

fn check_owner(path: &Path, meta: &Metadata, user: u32) -> Result<(), PluginError> {
    let path = || path.to_owned();
    if meta.uid() != user && meta.uid() != ROOT {
        return Err(PluginError::Owner { path: path(), owner: meta.uid(), user });
    }
    if meta.mode() & OTHERS_WRITE != 0 {
        return Err(PluginError::Writable { path: path(), mode: permissions(meta) });
    }
    Ok(())
}

fn permissions(meta: &Metadata) -> u32 {
    meta.mode() & 0o7777
}

#[cfg(test)]
mod tests;
