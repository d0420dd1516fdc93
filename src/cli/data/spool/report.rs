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
use crate::disk::{Disk, DiskError, FileKind};
use crate::exit::Exit;
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
    /// The lock file cannot be read.
    Unknown,
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
    /// Why files and folders could not be read. They do not hide the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unreadable: Vec<String>,
    /// The exit status for the first of them.
    #[serde(skip)]
    pub(super) first_fault: Option<Exit>,
}

/// The files and folders that could not be read.
#[derive(Debug, Default)]
struct Faults {
    lines: Vec<String>,
    first: Option<Exit>,
}

impl Faults {
    /// Returns the value of a success, or adds the failure.
    fn noted<T>(&mut self, read: Result<T, DiskError>) -> Option<T> {
        let failure = match read {
            Ok(value) => return Some(value),
            Err(error) => Failure::from(error),
        };
        self.first.get_or_insert(failure.exit());
        for line in failure.lines() {
            if !self.lines.contains(&line) {
                self.lines.push(line);
            }
        }
        None
    }
}

impl SpoolReport {
    /// Lists the files of every folder, and checks which are stuck.
    pub(super) fn read(disk: &Disk, root: &Path, now: Timestamp) -> Result<SpoolReport, Failure> {
        let mut faults = Faults::default();
        let of = owner(disk, root, &mut faults)?;
        let process = match of {
            SpoolOwner::MigStandalone => faults.noted(disk.lock_holder(&root.join(LOCK))).flatten(),
            SpoolOwner::MigScheduler | SpoolOwner::Unknown => None,
        };
        let (mut folders, mut existing) = (Vec::new(), Vec::new());
        // In the order of the flow: a file that moves meanwhile is listed twice rather than
        // missed.
        for spool_folder in Folder::ALL {
            let names = match faults.noted(names(disk, &root.join(spool_folder.path()))) {
                // It does not exist.
                Some(None) => continue,
                Some(Some(names)) => Some(names),
                None => None,
            };
            existing.push(spool_folder);
            folders.extend(
                names.map(|names| FolderListing::read(disk, root, spool_folder, names, now)),
            );
        }
        if !existing.contains(&Folder::ActionInflight)
            || !existing.contains(&Folder::CommandInflight)
        {
            return Err(no_spool(root, "it lacks action/inflight or command/inflight"));
        }
        let is_complete = folders.len() == existing.len();
        let (stuck, more) = stuck::find(disk, root, &folders, is_complete, now);
        let (spool, unreadable, first_fault) = (root.to_owned(), faults.lines, faults.first);
        Ok(SpoolReport { spool, of, process, folders, stuck, more, unreadable, first_fault })
    }
}

fn owner(disk: &Disk, root: &Path, faults: &mut Faults) -> Result<SpoolOwner, Failure> {
    // The final `.` makes the path follow a symbolic link to the spool.
    match disk.find(&root.join(".")) {
        Ok(None) => return Err(no_spool(root, "it does not exist")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(no_spool(root, "it is not a folder"));
        }
        found => drop(found?),
    }
    let [own, below] = [root.join(LOCK), root.join("spool").join(LOCK)];
    let [own, below] = [own, below].map(|lock| faults.noted(lock_text(disk, &lock)));
    let is_of = |text: &Option<Vec<u8>>, program| {
        text.as_ref().is_some_and(|text| text.starts_with(program))
    };
    if is_of(&own, RUNNER) || is_of(&below, RUNNER) {
        return Err(DataFailure::RunnerSpool { path: root.to_owned() }.into());
    }
    Ok(match own {
        None => SpoolOwner::Unknown,
        own if is_of(&own, STANDALONE) => SpoolOwner::MigStandalone,
        Some(_) => SpoolOwner::MigScheduler,
    })
}

/// Returns the text of a lock file, which is empty if there is none.
fn lock_text(disk: &Disk, lock: &Path) -> Result<Vec<u8>, DiskError> {
    match disk.find(lock)? {
        Some(_) => disk.read(lock, LOCK_BYTES_MAX),
        None => Ok(Vec::new()),
    }
}

/// Lists the names in a folder, without hidden files and the leftovers of editors and file systems.
/// Returns `None` if the folder does not exist.
fn names(disk: &Disk, folder: &Path) -> Result<Option<Vec<String>>, DiskError> {
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
