//! What is in a scheduler's spool.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::no_spool;
use super::stuck::{self, Stuck};
use crate::cli::data::failure::DataFailure;
use crate::cli::failure::Failure;
use crate::clock::elapsed;
use crate::disk::ignored_names::is_ignored;
use crate::disk::{Disk, FileKind};
use crate::spool::Folder;

/// The file by which a spool tells whose it is.
const MARK: &str = ".lock";
/// The most that is read of it.
const MARK_BYTES_MAX: u64 = 4096;
/// How the mark of a runner's spool begins.
const RUNNER: &[u8] = b"mig-runner ";
/// How the mark of the platform for one host begins.
const STANDALONE: &[u8] = b"mig-standalone ";

/// Whose spool it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Owner {
    /// The platform for one host.
    MigStandalone,
    /// The real scheduler, which leaves no mark.
    MigScheduler,
}

/// What is in a spool.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) spool: PathBuf,
    pub(super) of: Owner,
    /// The process that works in it, as far as it can be told.
    pub(super) process: Option<u32>,
    /// What is in each folder.
    pub(super) folders: Vec<Listing>,
    /// What does not go on.
    pub(super) stuck: Vec<Stuck>,
    /// How many more files were not looked into.
    pub(super) more: usize,
}

/// What is in a folder.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    pub(super) folder: &'static str,
    pub(super) entries: usize,
    /// The one that was written first.
    pub(super) oldest: Option<String>,
    /// How long ago it was written, in seconds.
    pub(super) age_s: Option<u64>,
    #[serde(skip)]
    pub(super) place: Folder,
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

impl Report {
    /// Reads the names in every folder, and the files that may be stuck.
    pub(super) fn read(disk: &Disk, root: &Path, now: Timestamp) -> Result<Report, Failure> {
        let of = owner(disk, root)?;
        let process = match of {
            Owner::MigStandalone => disk.lock_holder(&root.join(MARK))?,
            Owner::MigScheduler => None,
        };
        let mut folders = Vec::new();
        // In the order of the flow: what moves on meanwhile is seen twice, not missed.
        for place in Folder::ALL {
            if let Some(names) = names(disk, &root.join(place.path()))? {
                folders.push(Listing::read(disk, root, place, names, now));
            }
        }
        let is_spool = |place: Folder| folders.iter().any(|listing| listing.place == place);
        if !is_spool(Folder::ActionInflight) || !is_spool(Folder::CommandInflight) {
            return Err(no_spool(root, "it lacks action/inflight or command/inflight"));
        }
        let (stuck, more) = stuck::find(disk, root, &folders, now);
        Ok(Report { spool: root.to_owned(), of, process, folders, stuck, more })
    }
}

impl Listing {
    fn read(
        disk: &Disk,
        root: &Path,
        place: Folder,
        names: Vec<String>,
        now: Timestamp,
    ) -> Listing {
        let mut oldest: Option<(Timestamp, &String)> = None;
        for name in &names {
            // A file that is gone has moved on; one that cannot be looked at is shown as stuck.
            let Ok(Some(meta)) = disk.find(&root.join(place.path()).join(name)) else { continue };
            oldest =
                Some(oldest.map_or((meta.modified, name), |one| one.min((meta.modified, name))));
        }
        Listing {
            folder: place.path(),
            entries: names.len(),
            oldest: oldest.map(|(_, name)| name.clone()),
            age_s: oldest.map(|(at, _)| elapsed(at, now).as_secs()),
            place,
            names,
        }
    }
}

/// Tells whose spool it is.
fn owner(disk: &Disk, root: &Path) -> Result<Owner, Failure> {
    // A link to the spool is as good as the spool.
    match disk.find(&root.join(".")) {
        Ok(None) => return Err(no_spool(root, "it is not there")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(no_spool(root, "it is no folder"));
        }
        found => drop(found?),
    }
    for mark in [root.join(MARK), root.join("spool").join(MARK)] {
        if disk.find(&mark)?.is_some() && disk.read(&mark, MARK_BYTES_MAX)?.starts_with(RUNNER) {
            return Err(DataFailure::RunnerSpool { path: root.to_owned() }.into());
        }
    }
    let mark = root.join(MARK);
    let is_ours =
        disk.find(&mark)?.is_some() && disk.read(&mark, MARK_BYTES_MAX)?.starts_with(STANDALONE);
    Ok(if is_ours { Owner::MigStandalone } else { Owner::MigScheduler })
}

/// Lists the names in a folder, but those that begin with a dot or were left behind by editors and
/// file systems; nothing if there is no folder.
fn names(disk: &Disk, folder: &Path) -> Result<Option<Vec<String>>, Failure> {
    let is_folder = disk.resolve(folder, None)?.is_some_and(|at| at.meta.kind == FileKind::Folder);
    if !is_folder {
        return Ok(None);
    }
    let entries = disk.list(folder)?.into_iter().filter(|entry| !is_ignored(&entry.name));
    let names = entries.map(|entry| entry.name.to_string_lossy().into_owned());
    Ok(Some(names.filter(|name| !name.starts_with('.')).collect()))
}
