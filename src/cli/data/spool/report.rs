//! The contents of a scheduler's spool.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::listing::FolderListing;
use super::stuck::{self, StuckFile};
use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::disk::ignored_names::is_ignored;
use crate::disk::{Disk, FileKind};
use crate::spool::Folder;

/// The lock file, whose text shows which program owns a spool.
const LOCK: &str = ".lock";
/// Size limit of the lock file, in bytes.
const LOCK_BYTES_MAX: u64 = 4096;
/// The beginning of the lock file of a runner's spool.
const RUNNER: &[u8] = b"mig-runner ";
/// The beginning of the lock file of `mig-standalone`'s spool.
const STANDALONE: &[u8] = b"mig-standalone ";

/// The program that owns a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SpoolOwner {
    MigStandalone,
    /// The original's scheduler, which leaves no lock file.
    MigScheduler,
}

/// A report about a spool. The fields are the keys of the JSON output.
#[derive(Debug, Serialize)]
pub(super) struct SpoolReport {
    pub(super) spool: PathBuf,
    pub(super) of: SpoolOwner,
    /// The process that holds the lock, if known.
    pub(super) process: Option<u32>,
    pub(super) folders: Vec<FolderListing>,
    pub(super) stuck: Vec<StuckFile>,
    /// Number of files that were not checked.
    pub(super) more: usize,
}

impl SpoolReport {
    /// Lists the files of every folder, and checks which are stuck.
    pub(super) fn read(disk: &Disk, root: &Path, now: Timestamp) -> Result<SpoolReport, Failure> {
        let of = owner(disk, root)?;
        let process = match of {
            SpoolOwner::MigStandalone => disk.lock_holder(&root.join(LOCK))?,
            SpoolOwner::MigScheduler => None,
        };
        let mut folders = Vec::new();
        // In the order of the flow: a file that moves meanwhile is listed twice rather than
        // missed.
        for spool_folder in Folder::ALL {
            if let Some(names) = names(disk, &root.join(spool_folder.path()))? {
                folders.push(FolderListing::read(disk, root, spool_folder, names, now));
            }
        }
        let is_spool = |spool_folder: Folder| {
            folders.iter().any(|listing| listing.spool_folder == spool_folder)
        };
        if !is_spool(Folder::ActionInflight) || !is_spool(Folder::CommandInflight) {
            return Err(no_spool(root, "it lacks action/inflight or command/inflight"));
        }
        let (stuck, more) = stuck::find(disk, root, &folders, now);
        Ok(SpoolReport { spool: root.to_owned(), of, process, folders, stuck, more })
    }
}

fn owner(disk: &Disk, root: &Path) -> Result<SpoolOwner, Failure> {
    // The final `.` makes the path follow a symbolic link to the spool.
    match disk.find(&root.join(".")) {
        Ok(None) => return Err(no_spool(root, "it does not exist")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(no_spool(root, "it is not a folder"));
        }
        found => drop(found?),
    }
    for lock in [root.join(LOCK), root.join("spool").join(LOCK)] {
        if disk.find(&lock)?.is_some() && disk.read(&lock, LOCK_BYTES_MAX)?.starts_with(RUNNER) {
            return Err(DataFailure::RunnerSpool { path: root.to_owned() }.into());
        }
    }
    let lock = root.join(LOCK);
    let is_standalone =
        disk.find(&lock)?.is_some() && disk.read(&lock, LOCK_BYTES_MAX)?.starts_with(STANDALONE);
    Ok(if is_standalone { SpoolOwner::MigStandalone } else { SpoolOwner::MigScheduler })
}

/// Lists the names in a folder, without hidden files and the leftovers of editors and file systems.
/// Returns `None` if the folder does not exist.
fn names(disk: &Disk, folder: &Path) -> Result<Option<Vec<String>>, Failure> {
    let is_folder = disk.resolve(folder, None)?.is_some_and(|at| at.meta.kind == FileKind::Folder);
    if !is_folder {
        return Ok(None);
    }
    let entries = disk.list(folder)?.into_iter().filter(|entry| !is_ignored(&entry.name));
    let names = entries.map(|entry| entry.name.to_string_lossy().into_owned());
    Ok(Some(names.filter(|name| !name.starts_with('.')).collect()))
}

/// Returns the failure for a folder that is not a scheduler's spool.
fn no_spool(path: &Path, why: &'static str) -> Failure {
    DataFailure::NoSpool { path: path.to_owned(), why }.into()
}
