//! One job folder: who may write it, whether it changed, what its files say.
//!
//! Whoever can write a job's folder or files can run actions on the fleet, so all
//! three must belong to the runner's user or root, and no other user may be able to write
//! them (see [`trust`]).
//! A link is followed, and its target and the folders above that are judged like the job itself. Only
//! the folder of the job is watched: a change of a file that a link leads to is found by the scans.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Job, JobError, Rejection, Stamps};
use crate::action::Action;
use crate::chain::{escape, excerpt};
use crate::config::comment::hidden_by_hash;
use crate::config::fault::Fault;
use crate::config::job::JobConfig;
use crate::config::reader::Located;
use crate::disk::ignored_names::is_system_folder;
use crate::disk::{Disk, DiskError, Entry, FileKind, Meta, ResolvedPath, trust};
use crate::names::JobName;
use crate::schedule::{Cron, ScheduleError, zone};

/// The file with a job's settings.
const CONFIG_FILE: &str = "entity.cfg";
/// The file with a job's action.
const ACTION_FILE: &str = "action.json";
/// The largest settings that are read.
const CONFIG_BYTES_MAX: u64 = 64 * 1024;
/// The largest action that is read: what the API takes.
const ACTION_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// How much of a comment a warning shows.
const SHOWN_BYTES_MAX: usize = 60;
/// The user id of root.
const ROOT: u32 = 0;

/// What a look at a folder found.
#[derive(Debug)]
pub(crate) enum Seen {
    /// It is not there.
    Gone,
    /// It is a plain file, or a folder that a file system made: no job.
    Skipped,
    /// Its files are as they were at the last look.
    Unchanged,
    /// A job that can run.
    Sound(Box<Job>, Stamps),
    Bad {
        rejection: Rejection,
        /// The state of its files.
        stamps: Stamps,
        /// When it was last touched, as far as that is known.
        touched: Option<Timestamp>,
    },
}

/// Where jobs are, and what they are judged by.
#[derive(Debug, Clone)]
pub(crate) struct Loader {
    disk: Disk,
    folder: PathBuf,
    user: u32,
    zone: TimeZone,
}

/// What `entity.cfg` says, when the job runs, and what may be a mistake.
type Settings = (JobConfig, (Cron, TimeZone), Option<String>);

/// What is known of a folder's files without opening them.
struct Files {
    config: Option<Place>,
    action: Option<Place>,
}

/// A folder or file of a job, links followed.
struct Place {
    /// Where it is in truth.
    path: PathBuf,
    meta: Meta,
    /// How it was found, if by a link.
    link: Option<ResolvedPath>,
}

impl Loader {
    /// Returns a loader of the jobs in `folder`, which must belong to `user` or root; `zone`
    /// is that of jobs without one.
    pub(super) fn new(disk: Disk, folder: PathBuf, user: u32, zone: TimeZone) -> Loader {
        Loader { disk, folder, user, zone }
    }

    /// Returns the folder of all jobs.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the names in the folder of all jobs, dot files left out: those of possible jobs, and those
    /// that are skipped.
    pub(super) fn list(&self) -> Result<(Vec<OsString>, Vec<OsString>), DiskError> {
        let entries = self.disk.list(&self.folder)?.into_iter();
        let (jobs, skipped): (Vec<Entry>, Vec<Entry>) = entries
            .filter(|entry| !is_hidden(&entry.name))
            .partition(|entry| !is_skipped(&entry.name, entry.kind));
        let names = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.name).collect();
        Ok((names(jobs), names(skipped)))
    }

    /// Looks at a job's folder; `last` is what its files were at the last look, if it is
    /// enough that they are the same.
    pub(super) fn look(&self, name: &OsStr, last: Option<Stamps>, now: Timestamp) -> Seen {
        let path = self.folder.join(name);
        let files = match self.files(&path) {
            Ok(files) => files,
            Err(fault) => return bad(name, vec![fault], Stamps::default(), None),
        };
        let stamps = files.stamps();
        let is_whole = stamps.config.is_some() && stamps.action.is_some();
        // Two calls a look, as long as nothing changes. A folder in another's place has
        // other files.
        if is_whole && last == Some(stamps) {
            return Seen::Unchanged;
        }
        let folder = match self.place(&path) {
            Ok(Some(folder)) => folder,
            Ok(None) => return Seen::Gone,
            Err(error) => return bad(name, vec![JobError::Disk(error)], stamps, None),
        };
        if is_skipped(name, folder.meta.kind) {
            return Seen::Skipped;
        }
        // What is missing may be on its way into a new folder.
        let touched = files.touched().max((!is_whole).then_some(folder.meta.stamp.changed));
        match self.judge(name, &path, &folder, &files, now) {
            Ok(job) => Seen::Sound(Box::new(job), stamps),
            Err(faults) => {
                // What the disk did not give may be had the next time, though no file changes.
                let is_passing = faults.iter().any(|fault| matches!(fault, JobError::Disk(_)));
                let stamps = if is_passing { Stamps::default() } else { stamps };
                bad(name, faults, stamps, touched)
            }
        }
    }

    fn files(&self, path: &Path) -> Result<Files, JobError> {
        let find = |file| match self.place(&path.join(file)) {
            // The name belongs to a file, not to a folder: nothing is in it.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            found => found.map_err(JobError::Disk),
        };
        Ok(Files { config: find(CONFIG_FILE)?, action: find(ACTION_FILE)? })
    }

    /// Returns what is at `path`; only if that is a link, more than one call is needed.
    fn place(&self, path: &Path) -> Result<Option<Place>, DiskError> {
        match self.disk.find(path)? {
            Some(meta) if meta.kind == FileKind::Link => {
                let found = self.disk.resolve(path, Some(&self.folder))?;
                Ok(found.map(|found| {
                    let (path, meta) = (found.path.clone(), found.meta);
                    Place { path, meta, link: Some(found) }
                }))
            }
            found => Ok(found.map(|meta| Place { path: path.to_owned(), meta, link: None })),
        }
    }

    /// Reads the job, or finds all that is wrong with it.
    fn judge(
        &self,
        name: &OsStr,
        path: &Path,
        folder: &Place,
        files: &Files,
        now: Timestamp,
    ) -> Result<Job, Vec<JobError>> {
        let named = self.check(path, folder, FileKind::Folder).and_then(|()| job_name(name, path));
        let name = named.map_err(|fault| vec![fault])?;
        let (config_path, action_path) = (path.join(CONFIG_FILE), path.join(ACTION_FILE));
        // Nothing is read before all of it may be used.
        let config = self.check_file(&config_path, files.config.as_ref());
        let action = self.check_file(&action_path, files.action.as_ref());
        let (config, action) = both(config, action)?;
        let config = self.config(config, &config_path, now);
        let ((config, (schedule, zone), warning), action) =
            both(config, self.action(action, &action_path))?;
        Ok(Job { name, config, schedule: Arc::new(schedule), zone, action, warning })
    }

    fn config(&self, real: &Path, path: &Path, now: Timestamp) -> Result<Settings, JobError> {
        let text = self.disk.read(real, CONFIG_BYTES_MAX).map_err(JobError::Disk)?;
        let parsed = JobConfig::parse(&text, path, |config| self.timing(config, now));
        let parsed = parsed.map_err(JobError::Config)?;
        let schedule = &parsed.0.schedule;
        let hidden = hidden_by_hash(std::str::from_utf8(&text).unwrap_or_default(), schedule.line);
        let warning = hidden.map(|hidden| {
            let (path, line) = (path.display(), schedule.line);
            let (hidden, value) = (excerpt(hidden, SHOWN_BYTES_MAX), escape(&schedule.value));
            format!(
                "{path}:{line}: {hidden} is a comment, so that the schedule is {value}: if it \
                 belongs to the schedule, put the value in double quotes"
            )
        });
        let (config, timing) = parsed;
        Ok((config, timing, warning))
    }

    /// Returns when a job runs, or what is wrong with its schedule and its zone.
    fn timing(&self, config: &JobConfig, now: Timestamp) -> Result<(Cron, TimeZone), Vec<Fault>> {
        let fault = |place: &Located<String>, error: &ScheduleError| Fault {
            line: Some(place.line),
            text: error.to_string(),
        };
        let zone = match &config.timezone {
            Some(named) => zone::find(&named.value).map_err(|error| fault(named, &error)),
            None => Ok(self.zone.clone()),
        };
        let schedule = config.schedule.value.parse::<Cron>();
        let schedule = schedule.and_then(|cron| match &zone {
            Ok(zone) => cron.check_at(now, zone).map(|()| cron),
            Err(_) => Ok(cron),
        });
        both(schedule.map_err(|error| fault(&config.schedule, &error)), zone)
    }

    fn action(&self, real: &Path, path: &Path) -> Result<Arc<str>, JobError> {
        let text = self.disk.read(real, ACTION_BYTES_MAX).map_err(JobError::Disk)?;
        let path = || path.to_owned();
        let mut action =
            Action::parse(&text).map_err(|source| JobError::Action { path: path(), source })?;
        // Each run is signed anew: what signatures the file has is not sent, nor checked.
        action.signatures = None;
        action.check().map_err(|source| JobError::Refused { path: path(), source })?;
        Ok(String::from_utf8(text).unwrap_or_else(|_| action.to_json()).into())
    }

    /// Returns where a file is, if it may be used.
    fn check_file<'a>(&self, path: &Path, at: Option<&'a Place>) -> Result<&'a Path, JobError> {
        match at {
            Some(at) => self.check(path, at, FileKind::File).map(|()| at.path.as_path()),
            None => Err(JobError::Missing { path: path.to_owned() }),
        }
    }

    /// Checks that something is what it should be and that nobody else can write it.
    fn check(&self, path: &Path, at: &Place, kind: FileKind) -> Result<(), JobError> {
        let (path, meta, user) = (path.to_owned(), &at.meta, self.user);
        if meta.kind != kind {
            let is_file = kind == FileKind::File;
            return Err(if is_file {
                JobError::NotFile { path }
            } else {
                JobError::NotFolder { path }
            });
        }
        if let Some(link) = &at.link {
            let faults = link.check_trust(&self.disk, user).map_err(JobError::Disk)?;
            return faults.into_iter().next().map_or(Ok(()), |fault| Err(JobError::Link { fault }));
        }
        if meta.owner != user && meta.owner != ROOT {
            return Err(JobError::Owner { path, owner: meta.owner, user });
        }
        if trust::others_can_write(meta) {
            return Err(JobError::Writable { path, mode: meta.mode });
        }
        Ok(())
    }
}

impl Files {
    fn stamps(&self) -> Stamps {
        Stamps {
            config: self.config.as_ref().map(|at| at.meta.stamp),
            action: self.action.as_ref().map(|at| at.meta.stamp),
        }
    }

    fn touched(&self) -> Option<Timestamp> {
        let changed = |at: &Option<Place>| at.as_ref().map(|at| at.meta.stamp.changed);
        changed(&self.config).max(changed(&self.action))
    }
}

/// Tells whether a name in the folder of jobs is not meant to be a job.
pub(super) fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}

/// Returns whether an entry of the folder of jobs is skipped as in the original: only folders are jobs.
/// Where a link leads is not known yet.
fn is_skipped(name: &OsStr, kind: FileKind) -> bool {
    !matches!(kind, FileKind::Folder | FileKind::Link) || is_system_folder(&name.to_string_lossy())
}

/// Returns both, or all that is wrong with them.
fn both<A, B, E>(one: Result<A, E>, other: Result<B, E>) -> Result<(A, B), Vec<E>> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (one, other) => Err(one.err().into_iter().chain(other.err()).collect()),
    }
}

fn bad(name: &OsStr, faults: Vec<JobError>, stamps: Stamps, touched: Option<Timestamp>) -> Seen {
    Seen::Bad { rejection: Rejection { folder: name.to_owned(), faults }, stamps, touched }
}

fn job_name(name: &OsStr, path: &Path) -> Result<JobName, JobError> {
    let path = || path.to_owned();
    let text = name.to_str().ok_or_else(|| JobError::Encoding { path: path() })?;
    text.parse().map_err(|source| JobError::Name { path: path(), source })
}
