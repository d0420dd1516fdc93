//! The template of a runner's directory, `spool-template/`, compiled into the program.
//!
//! **Invariants.** Everything is created private: folders and plugins with mode 0700, other files
//! with mode 0600, including the modules that plugins import. Every job of the template is paused,
//! so that a new installation sends nothing to a fleet until the operator enables a job.
//!
//! **Failure.** Existing files are never overwritten. A directory whose creation failed is left as
//! it is; it contains nothing of value, and can be removed.

use std::io;
use std::path::{Path, PathBuf};

use crate::cli::failure::{Explain, Failure};
use crate::cli::input::unless_forbidden;
use crate::cli::workspace::Workspace;
use crate::disk::descent::{Descent, Exposure};
use crate::disk::ignored_names::is_ignored;
use crate::disk::trust::{self, ROOT};
use crate::disk::{Disk, DiskError};
use crate::exit::Exit;
use crate::spool::Layout;

const SPOOL: &str = "spool";
const SCRATCH: &str = "spool/.tmp";
/// The directory in the template's `runner.cfg`, which is replaced by the new one.
const DIRECTORY: &str = "\"/var/lib/mig-runner\"";

/// The empty folders of the template; in git each holds a dot file.
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

/// A file of the template: path, mode, text.
type Sample = (&'static str, u32, &'static str);

macro_rules! sample {
    ($path:literal, $mode:literal) => {
        ($path, $mode, include_str!(concat!("../../../spool-template/", $path)))
    };
}

const TEMPLATE: [Sample; 14] = [
    sample!("runner.cfg", 0o600),
    sample!("plugins/report.sh", 0o700),
    sample!("plugins/jsonl", 0o700),
    sample!("plugins/mozdef", 0o700),
    // Modules that the plugins import: not plugins themselves, so not executable.
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

/// A runner's directory cannot be created.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("{} is not empty: name a new or empty folder", path.display())]
    NotEmpty { path: PathBuf },
    #[error("{} is not a folder: name a new or empty folder", path.display())]
    NotFolder { path: PathBuf },
    #[error("a configuration cannot contain the path {}: name another folder", path.display())]
    Name { path: PathBuf },
    #[error("{} belongs to user {owner}, who could replace the new folder: name one elsewhere", path.display())]
    Foreign { path: PathBuf, owner: u32 },
    #[error("{} can be written by others, who could replace the new folder: name one elsewhere{}", path.display(), or_chmod(path, *owner))]
    Exposed { path: PathBuf, owner: u32 },
    #[error("cannot find the absolute path of {}", path.display())]
    Absolute { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Disk(#[from] DiskError),
}

impl Explain for TemplateError {
    fn exit(&self) -> Exit {
        match self {
            TemplateError::Disk(error) => unless_forbidden(error, Exit::CannotCreate),
            TemplateError::Absolute { .. } => Exit::System,
            TemplateError::Foreign { .. } | TemplateError::Exposed { .. } => Exit::Permission,
            TemplateError::NotEmpty { .. }
            | TemplateError::NotFolder { .. }
            | TemplateError::Name { .. } => Exit::CannotCreate,
        }
    }
}

/// Creates a runner's directory in a new or empty folder, and returns its absolute path.
pub(crate) fn create(folder: &Path) -> Result<PathBuf, Failure> {
    let failed = |source| TemplateError::Absolute { path: folder.to_owned(), source };
    let folder = std::path::absolute(folder).map_err(failed)?;
    let quoted = quoted(&folder)?;
    let workspace = Workspace::enter(&[&folder])?;
    let disk = workspace.disk(folder.join(SCRATCH));
    make_empty(&folder)?;
    Ok(fill(&disk, &folder, &quoted).map(|()| folder)?)
}

/// Creates the files of the template; `quoted` is the folder as a value of the configuration.
fn fill(disk: &Disk, folder: &Path, quoted: &str) -> Result<(), TemplateError> {
    for name in FOLDERS.iter().chain([&SCRATCH]) {
        disk.make_folders(&folder.join(name))?;
    }
    // Lets a run be triggered before the runner first starts.
    crate::spool::mark_as_spool(disk, &Layout::new(folder.join(SPOOL)))?;
    for (name, mode, text) in TEMPLATE {
        let path = folder.join(name);
        disk.make_folders(path.parent().unwrap_or(folder))?;
        disk.create(&path, text.replace(DIRECTORY, quoted).as_bytes())?;
        disk.set_mode(&path, mode)?;
    }
    Ok(())
}

/// Creates a folder that only its owner can change, or makes an empty one private.
///
/// Another user may create or replace the name at any time, as in `/tmp`. So everything is done with
/// the folder that was opened, never by its path.
///
/// # Errors
/// The folder is not empty, or another user could replace it.
pub(crate) fn make_empty(folder: &Path) -> Result<(), TemplateError> {
    let found = walk(folder)?;
    check_exposure(found.exposure_above(trust::own_user()))?;
    let made = if found.is_complete() {
        check_empty(&found, folder)?;
        let owner = found.owner();
        if owner != trust::own_user() {
            return Err(TemplateError::Foreign { path: folder.to_owned(), owner });
        }
        found.make_private()?;
        // Until now, others may have been able to create files in it.
        check_empty(&found, folder)?;
        Descent::to(folder)?
    } else {
        check_exposure(found.exposure(trust::own_user()))?;
        found.create_missing()?
    };
    check_exposure(made.exposure(trust::own_user()))
}

/// Fails if users other than root and the user of this process could replace a name on the path.
fn check_exposure(exposure: Option<Exposure>) -> Result<(), TemplateError> {
    match exposure {
        None => Ok(()),
        Some(Exposure::Owner { path, owner }) => Err(TemplateError::Foreign { path, owner }),
        Some(Exposure::Writable { path, owner, .. }) => Err(TemplateError::Exposed { path, owner }),
    }
}

/// Returns the command that corrects the mode of a folder. The system may need the mode of a folder of
/// root.
fn or_chmod(path: &Path, owner: u32) -> String {
    match owner {
        ROOT => String::new(),
        _ => format!(", or run `chmod go-w {}`", path.display()),
    }
}

/// Fails if something other than an empty folder is at `folder`. Files that file systems, editors
/// and package managers leave behind are ignored.
#[cfg(feature = "platform")]
pub(crate) fn check_unused(folder: &Path) -> Result<(), TemplateError> {
    let found = walk(folder)?;
    if found.is_complete() { check_empty(&found, folder) } else { Ok(()) }
}

/// Walks to a folder, or to the one in which it can be created.
fn walk(folder: &Path) -> Result<Descent, TemplateError> {
    let found = Descent::to(folder)?;
    match found.is_folder() {
        true => Ok(found),
        false => Err(TemplateError::NotFolder { path: folder.to_owned() }),
    }
}

fn check_empty(found: &Descent, folder: &Path) -> Result<(), TemplateError> {
    match found.names()?.iter().all(|name| is_ignored(name)) {
        true => Ok(()),
        false => Err(TemplateError::NotEmpty { path: folder.to_owned() }),
    }
}

/// Returns a path as a quoted value of a configuration.
pub(crate) fn quoted(path: &Path) -> Result<String, TemplateError> {
    match path.to_str() {
        Some(text) if !text.contains(char::is_control) => {
            Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
        }
        _ => Err(TemplateError::Name { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests;
