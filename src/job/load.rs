//! One job folder: who can write it, whether it changed, what its files contain.
//!
//! Whoever can write the folder or the files of a job can run actions on the fleet. Therefore all
//! three must belong to the runner's user or root, and no other user may be able to write them (see
//! [`trust`]). A link is followed, and its target and the folders above the target are checked like
//! the job itself. Only the job's own folder is watched: each scan examines the files of a job that
//! is a link or contains one.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Job, JobError, Rejection, Stamps, StampsHash};
use crate::action::Action;
use crate::chain::{escape, excerpt};
use crate::config::comment::hidden_by_hash;
use crate::config::fault::ConfigFault;
use crate::config::job::{JobConfig, Timing};
use crate::config::reader::Located;
use crate::disk::ignored_names::is_system_folder;
use crate::disk::trust;
use crate::disk::{Disk, DiskError, Entry, FileKind, FolderStamp, Meta, ResolvedPath};
use crate::names::JobName;
use crate::schedule::{Cron, ScheduleError, zone};

const CONFIG_FILE: &str = "entity.cfg";
const ACTION_FILE: &str = "action.json";
/// Size limit of `entity.cfg`, in bytes.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;
/// Size limit of `action.json`, in bytes: that of the API.
const ACTION_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Maximum length of a comment in a warning, in bytes.
const SHOWN_BYTES_MAX: usize = 60;

/// The result of inspecting a job folder.
#[derive(Debug)]
pub(crate) enum Inspection {
    /// The folder does not exist.
    Gone,
    /// Not a job: a plain file, or a folder that a file system created.
    Skipped,
    /// The files have not changed since the last inspection.
    Unchanged,
    /// A valid job.
    Valid(Box<Job>, Stamps),
    Invalid {
        rejection: Rejection,
        stamps: Stamps,
        /// Time of the last change of the folder or its files, if known.
        touched: Option<Timestamp>,
    },
}

/// The result of inspecting a job folder, and whether its watch reports later changes.
#[derive(Debug)]
pub(super) struct Inspected {
    pub(super) inspection: Inspection,
    /// The stamp that the folder keeps until a name in it changes. `None` if the folder is not
    /// watched, or if its watch does not report all writes to the job's files.
    pub(super) folder: Option<FolderStamp>,
}

/// Reads job folders.
#[derive(Debug, Clone)]
pub(crate) struct Loader {
    disk: Disk,
    folder: PathBuf,
    user: u32,
    zone: TimeZone,
}

/// When a job runs.
struct ParsedTiming {
    /// As written in `entity.cfg`.
    text: Located<String>,
    schedule: Cron,
    zone: TimeZone,
}

/// The two files of a job folder, as found without opening them.
struct JobFiles {
    config: Option<FoundPath>,
    action: Option<FoundPath>,
}

/// A folder or file of a job, after following links.
struct FoundPath {
    /// The path after following links.
    path: PathBuf,
    meta: Meta,
    /// How the path was found, if it is a link.
    link: Option<ResolvedPath>,
}

impl Loader {
    /// Returns a loader of the jobs in `folder`, which must belong to `user` or root. Jobs that set
    /// no time zone use `zone`.
    pub(super) fn new(disk: Disk, folder: PathBuf, user: u32, zone: TimeZone) -> Loader {
        Loader { disk, folder, user, zone }
    }

    /// Returns the folder that contains all jobs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns whether the folder of jobs has a name that is not `known`; dot files do not count.
    pub(super) fn has_name_except(
        &self,
        known: impl Fn(&OsStr) -> bool,
    ) -> Result<bool, DiskError> {
        let mut is_found = false;
        self.disk.for_each_name(&self.folder, &mut |name| {
            is_found |= !is_hidden(name) && !known(name);
        })?;
        Ok(is_found)
    }

    /// Lists the names of possible jobs and the names that are skipped; dot files are in neither.
    pub(super) fn list(&self) -> Result<(Vec<OsString>, Vec<OsString>), DiskError> {
        let entries = self.disk.list(&self.folder)?.into_iter();
        let (jobs, skipped): (Vec<Entry>, Vec<Entry>) = entries
            .filter(|entry| !is_hidden(&entry.name))
            .partition(|entry| !is_skipped(&entry.name, entry.kind));
        let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.name).collect();
        Ok((names(jobs), names(skipped)))
    }

    /// Returns the stamp of a job's folder; `None` for anything but a folder, also for a link.
    pub(super) fn folder_stamp(&self, name: &OsStr) -> Option<FolderStamp> {
        self.disk.folder_stamp(&self.folder.join(name))
    }

    /// Inspects a job's folder. If the stamps of its files still have the hash `last`, nothing is read. If the
    /// folder is watched, `watched` is its stamp from before the inspection.
    pub(super) fn inspect(
        &self,
        name: &OsStr,
        last: Option<StampsHash>,
        watched: Option<FolderStamp>,
        now: Timestamp,
    ) -> Inspected {
        let path = self.folder.join(name);
        match self.files(&path) {
            Ok(files) => Inspected {
                inspection: self.inspect_files(name, &path, &files, last, now),
                folder: watched.filter(|folder| self.is_reported(folder, &files)),
            },
            Err(fault) => {
                let inspection = invalid(name, vec![fault], Stamps::default(), None);
                Inspected { inspection, folder: None }
            }
        }
    }

    /// Returns whether the watch of the folder reports every write to the job's files.
    fn is_reported(&self, folder: &FolderStamp, files: &JobFiles) -> bool {
        let is_reported = |at: &Option<FoundPath>| {
            at.as_ref().is_some_and(|at| {
                at.link.is_none() && self.disk.reports_writes(folder, &at.path, &at.meta)
            })
        };
        is_reported(&files.config) && is_reported(&files.action)
    }

    fn inspect_files(
        &self,
        name: &OsStr,
        path: &Path,
        files: &JobFiles,
        last: Option<StampsHash>,
        now: Timestamp,
    ) -> Inspection {
        let stamps = files.stamps();
        let is_whole = stamps.config.is_some() && stamps.action.is_some();
        // While nothing changes, this takes no further system call. If another folder has replaced
        // this one, its files have other inode numbers.
        if is_whole && last == Some(stamps.hash()) {
            return Inspection::Unchanged;
        }
        let folder = match self.resolve(path) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Inspection::Gone,
            Err(error) => return invalid(name, vec![JobError::Disk(error)], stamps, None),
        };
        if is_skipped(name, folder.meta.kind) {
            return Inspection::Skipped;
        }
        // Missing files may be on their way into a new folder.
        let touched = files.touched().max((!is_whole).then_some(folder.meta.stamp.changed));
        match self.validate(name, path, &folder, files, now) {
            Ok(job) => Inspection::Valid(Box::new(job), stamps),
            Err(faults) => {
                // A disk error may disappear although no file changes.
                let is_temporary = faults.iter().any(|fault| matches!(fault, JobError::Disk(_)));
                let stamps = if is_temporary { Stamps::default() } else { stamps };
                invalid(name, faults, stamps, touched)
            }
        }
    }

    fn files(&self, path: &Path) -> Result<JobFiles, JobError> {
        let find = |file| match self.resolve(&path.join(file)) {
            // The name belongs to a file, not to a folder, so there are no files in it.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            found => found.map_err(JobError::Disk),
        };
        Ok(JobFiles { config: find(CONFIG_FILE)?, action: find(ACTION_FILE)? })
    }

    /// Returns the file or folder at `path`; takes more than one system call only for a link.
    fn resolve(&self, path: &Path) -> Result<Option<FoundPath>, DiskError> {
        match self.disk.find(path)? {
            Some(meta) if meta.kind == FileKind::Link => {
                let found = self.disk.resolve(path, Some(&self.folder))?;
                Ok(found.map(|found| {
                    let (path, meta) = (found.path.clone(), found.meta);
                    FoundPath { path, meta, link: Some(found) }
                }))
            }
            found => Ok(found.map(|meta| FoundPath { path: path.to_owned(), meta, link: None })),
        }
    }

    /// Reads the job, or returns all of its faults.
    fn validate(
        &self,
        name: &OsStr,
        path: &Path,
        folder: &FoundPath,
        files: &JobFiles,
        now: Timestamp,
    ) -> Result<Job, Vec<JobError>> {
        let named = self.check(path, folder, FileKind::Folder).and_then(|()| job_name(name, path));
        let name = named.map_err(|fault| vec![fault])?;
        let (config_path, action_path) = (path.join(CONFIG_FILE), path.join(ACTION_FILE));
        // No file is read before both files are known to be trustworthy.
        let config = self.check_file(&config_path, files.config.as_ref());
        let action = self.check_file(&action_path, files.action.as_ref());
        let (config, action) = both(config, action)?;
        let config = self.config(config, &config_path, now);
        let ((config, timing, warning), action) = both(config, self.action(action, &action_path))?;
        let (config, schedule, zone) = (Arc::new(config), Arc::new(timing.schedule), timing.zone);
        Ok(Job { name, config, schedule, zone, action, warning })
    }

    /// Returns the settings, when the job runs, and a warning about a probable mistake.
    fn config(
        &self,
        real: &Path,
        path: &Path,
        now: Timestamp,
    ) -> Result<(JobConfig, ParsedTiming, Option<Box<str>>), JobError> {
        let text = self.disk.read(real, CONFIG_BYTES_MAX).map_err(JobError::Disk)?;
        let parsed = JobConfig::parse(&text, path, |timing| self.timing(timing, now));
        let (config, timing) = parsed.map_err(JobError::Config)?;
        let schedule = &timing.text;
        let hidden = hidden_by_hash(std::str::from_utf8(&text).unwrap_or_default(), schedule.line);
        let warning = hidden.map(|hidden| {
            let (path, line) = (path.display(), schedule.line);
            let (hidden, value) = (excerpt(hidden, SHOWN_BYTES_MAX), escape(&schedule.value));
            format!(
                "{path}:{line}: {hidden} is a comment, so the schedule is {value}: if it belongs \
                 to the schedule, put the value in double quotes"
            )
        });
        Ok((config, timing, warning.map(String::into_boxed_str)))
    }

    /// Returns the schedule and the time zone, or the faults of both.
    fn timing(&self, timing: Timing, now: Timestamp) -> Result<ParsedTiming, Vec<ConfigFault>> {
        let fault = |place: &Located<String>, error: &ScheduleError| ConfigFault {
            line: Some(place.line),
            text: error.to_string(),
        };
        let zone = match &timing.timezone {
            Some(named) => zone::find(&named.value).map_err(|error| fault(named, &error)),
            None => Ok(self.zone.clone()),
        };
        let schedule = timing.schedule.value.parse::<Cron>();
        let schedule = schedule.and_then(|cron| match &zone {
            Ok(zone) => cron.check_at(now, zone).map(|()| cron),
            Err(_) => Ok(cron),
        });
        let schedule = schedule.map_err(|error| fault(&timing.schedule, &error));
        let (schedule, zone) = both(schedule, zone)?;
        Ok(ParsedTiming { text: timing.schedule, schedule, zone })
    }

    fn action(&self, real: &Path, path: &Path) -> Result<Arc<str>, JobError> {
        let text = self.disk.read(real, ACTION_BYTES_MAX).map_err(JobError::Disk)?;
        let path = || path.to_owned();
        let mut action =
            Action::parse(&text).map_err(|source| JobError::Action { path: path(), source })?;
        // Each run is signed anew: signatures in the file are neither sent nor checked.
        action.signatures = None;
        action.check().map_err(|source| JobError::Refused { path: path(), source })?;
        Ok(String::from_utf8(text).unwrap_or_else(|_| action.to_json()).into())
    }

    /// Checks a file; returns its path after following links.
    fn check_file<'a>(&self, path: &Path, at: Option<&'a FoundPath>) -> Result<&'a Path, JobError> {
        match at {
            Some(at) => self.check(path, at, FileKind::File).map(|()| at.path.as_path()),
            None => Err(JobError::Missing { path: path.to_owned() }),
        }
    }

    /// Checks the kind of a file or folder, and that only the runner's user and root can write it.
    fn check(&self, path: &Path, at: &FoundPath, kind: FileKind) -> Result<(), JobError> {
        let (path, meta, user) = (path.to_owned(), &at.meta, self.user);
        if meta.kind != kind {
            let is_file = kind == FileKind::File;
            return Err(if is_file {
                JobError::NotFile { path }
            } else {
                JobError::NotFolder { path }
            });
        }
        let fault = match &at.link {
            Some(link) => {
                let faults = link.check_trust(&self.disk, user).map_err(JobError::Disk)?;
                faults.into_iter().next()
            }
            None => trust::check(&path, meta, user).err(),
        };
        fault.map_or(Ok(()), |fault| Err(JobError::Distrust { fault }))
    }
}

impl JobFiles {
    fn stamps(&self) -> Stamps {
        Stamps {
            config: self.config.as_ref().map(|at| at.meta.stamp),
            action: self.action.as_ref().map(|at| at.meta.stamp),
        }
    }

    fn touched(&self) -> Option<Timestamp> {
        let changed = |at: &Option<FoundPath>| at.as_ref().map(|at| at.meta.stamp.changed);
        changed(&self.config).max(changed(&self.action))
    }
}

/// Returns whether the name of an entry excludes it from being a job.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Returns whether an entry is not a job folder and is skipped, as in the original. A link is not
/// skipped, because its target is not known yet.
fn is_skipped(name: &OsStr, kind: FileKind) -> bool {
    !matches!(kind, FileKind::Folder | FileKind::Link) || is_system_folder(&name.to_string_lossy())
}

/// Returns both values, or the errors of both.
fn both<A, B, E>(one: Result<A, E>, other: Result<B, E>) -> Result<(A, B), Vec<E>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => Err(one.err().into_iter().chain(other.err()).collect()),
    }
}

fn invalid(
    name: &OsStr,
    faults: Vec<JobError>,
    stamps: Stamps,
    touched: Option<Timestamp>,
) -> Inspection {
    Inspection::Invalid {
        rejection: Rejection { folder: name.to_owned(), faults },
        stamps,
        touched,
    }
}

fn job_name(name: &OsStr, path: &Path) -> Result<JobName, JobError> {
    let path = || path.to_owned();
    let text = name.to_str().ok_or_else(|| JobError::Encoding { path: path() })?;
    text.parse().map_err(|source| JobError::Name { path: path(), source })
}
