//! What a runner's directory starts from: `spool-template/`, compiled in.
//!
//! **Invariants.** All is laid out private: folders 0700, files 0600, plugins
//! 0700, what plugins import 0600. Every job of the template is paused, so that a new installation sends
//! nothing to a fleet before somebody wants it to.
//!
//! **Failure.** Nothing is laid out over what is there already. What was begun and
//! failed stays as it is: it holds nothing that cannot be removed and begun again.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::ignored_names::is_ignored;
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, RealFs};
use crate::spool::Layout;

/// Where a directory's spool is.
const SPOOL: &str = "spool";
/// Where a directory's scratch folder is.
const SCRATCH: &str = "spool/.tmp";
/// The directory in the template's `runner.cfg`, which the new one takes the place of.
const DIRECTORY: &str = "\"/var/lib/mig-runner\"";
/// The permissions of what only its owner may look into or run.
const PRIVATE: u32 = 0o700;

/// The folders of the template that hold no file; git keeps them by a dot file.
const FOLDERS: [&str; 8] = [
    "spool/action/new",
    "spool/action/inflight",
    "spool/action/done",
    "spool/action/invalid",
    "spool/command/ready",
    "spool/command/inflight",
    "spool/command/returned",
    "spool/command/done",
];

/// A file of the template: its path, its permissions, its text.
type Sample = (&'static str, u32, &'static str);

macro_rules! sample {
    ($path:literal, $mode:literal) => {
        ($path, $mode, include_str!(concat!("../../spool-template/", $path)))
    };
}

/// The files of the template.
pub(crate) const TEMPLATE: [Sample; 14] = [
    sample!("runner.cfg", 0o600),
    sample!("plugins/report.sh", 0o700),
    sample!("plugins/jsonl", 0o700),
    sample!("plugins/mozdef", 0o700),
    // What they share; no plugins themselves, and so not executable.
    sample!("plugins/mig_http.py", 0o600),
    sample!("plugins/mig_json.py", 0o600),
    sample!("plugins/mig_plugin.py", 0o600),
    sample!("plugins/mig_results.py", 0o600),
    sample!("runners/setuid/entity.cfg", 0o600),
    sample!("runners/setuid/action.json", 0o600),
    sample!("runners/world-writable/entity.cfg", 0o600),
    sample!("runners/world-writable/action.json", 0o600),
    sample!("runners/authorized-keys/entity.cfg", 0o600),
    sample!("runners/authorized-keys/action.json", 0o600),
];

/// Why a directory cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// Something is there already.
    #[error("{} is not empty: name a new or an empty folder", path.display())]
    NotEmpty { path: PathBuf },
    /// There is something else of that name.
    #[error("{} is no folder: name a new or an empty one", path.display())]
    NotFolder { path: PathBuf },
    /// A configuration cannot hold the name of the folder.
    #[error("{} cannot be written into a configuration: name another folder", path.display())]
    Name { path: PathBuf },
    /// The working directory, to which the name is relative, is not to be had.
    #[error("cannot tell where {} is", path.display())]
    Place {
        /// The folder as it was named.
        path: PathBuf,
        source: io::Error,
    },
    /// A file or folder cannot be made.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Permissions cannot be set.
    #[error("cannot make {} private", path.display())]
    Permissions {
        /// The file or folder.
        path: PathBuf,
        source: io::Error,
    },
}

/// Lays out a runner's directory in a folder that is new or empty, and returns its full path.
pub(crate) fn lay_out(folder: &Path) -> Result<PathBuf, TemplateError> {
    let place = |source| TemplateError::Place { path: folder.to_owned(), source };
    let folder = std::path::absolute(folder).map_err(place)?;
    let quoted = quoted(&folder)?;
    let disk = Disk::new(Arc::new(RealFs), folder.join(SCRATCH), COMMAND_PREFIX);
    make_empty(&disk, &folder)?;
    for name in FOLDERS.iter().chain([&SCRATCH]) {
        disk.make_folders(&folder.join(name))?;
    }
    // So that a run can be triggered before the runner first starts.
    crate::spool::found(&disk, &Layout::new(folder.join(SPOOL)))?;
    for (name, mode, text) in TEMPLATE {
        let path = folder.join(name);
        disk.make_folders(path.parent().unwrap_or(&folder))?;
        disk.create(&path, text.replace(DIRECTORY, &quoted).as_bytes())?;
        set_mode(&path, mode)?;
    }
    Ok(folder)
}

/// Makes the folder, or makes sure that it is empty; then it is nobody else's.
fn make_empty(disk: &Disk, folder: &Path) -> Result<(), TemplateError> {
    if is_there(disk, folder)? { set_mode(folder, PRIVATE) } else { Ok(disk.make_folders(folder)?) }
}

/// Returns whether the folder exists; it must be empty then. Files that file systems, editors and
/// package managers leave behind do not count.
///
/// # Errors
/// The folder is not empty, is not a folder, or cannot be looked at.
pub(crate) fn is_there(disk: &Disk, folder: &Path) -> Result<bool, TemplateError> {
    match disk.list(folder) {
        Ok(entries) if entries.iter().all(|entry| is_ignored(&entry.name)) => Ok(true),
        Ok(_) => Err(TemplateError::NotEmpty { path: folder.to_owned() }),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound => Ok(false),
            io::ErrorKind::NotADirectory => {
                Err(TemplateError::NotFolder { path: folder.to_owned() })
            }
            _ => Err(error.into()),
        },
    }
}

/// Returns a path as a value of a configuration.
pub(crate) fn quoted(path: &Path) -> Result<String, TemplateError> {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => {
            Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
        _ => Err(TemplateError::Name { path: path.to_owned() }),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), TemplateError> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|source| TemplateError::Permissions { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
