//! Jobs: the folders of `runners/`, read and validated.
//!
//! A job is a folder with two files, `entity.cfg` and `action.json`. The operator enables a job by
//! putting its folder there and disables it by moving the folder away, at any time.
//!
//! | file | content |
//! | --- | --- |
//! | `load` | one folder: who can write it, whether it changed, what its files contain |
//! | `change` | what the state of a folder means for the job that was installed from it |
//! | `folders` | all folders, and when to inspect which of them |
//! | `shared_values` | parts that jobs have in common |
//!
//! **Invariants.** A [`Job`] is valid as a whole: both files parse, its schedule has a time in the
//! future, and the platform would accept its action. The runner only reads the folder of a job. One
//! invalid job does not affect any other.
//!
//! **Failure.** The faults of a job are returned as a [`Rejection`], whose texts are for the
//! operator. It stays until a file of the job changes. Only faults that do not depend on the
//! content of the files (permissions, a file that is missing or unreadable) are checked again in
//! every scan.

pub(crate) mod change;
pub(crate) mod folders;
mod load;
mod shared_values;

use std::ffi::OsString;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::action::CheckError;
use crate::chain::{Chain, escape};
use crate::config::fault::ConfigError;
use crate::config::job::JobConfig;
use crate::disk::trust::Distrust;
use crate::disk::{DiskError, Stamp};
use crate::go::json::ParseError;
use crate::names::{JobName, NameError};
use crate::schedule::Cron;

/// A valid job. Parts that jobs have in common are in memory once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// Also the name of its folder.
    pub(crate) name: JobName,
    pub(crate) config: Arc<JobConfig>,
    pub(crate) schedule: Arc<Cron>,
    /// The time zone of its schedule.
    pub(crate) zone: TimeZone,
    /// The text of `action.json`; if that is not UTF-8, the text that Go would write for it.
    pub(crate) action: Arc<str>,
    /// A valid setting that is probably a mistake.
    pub(crate) warning: Option<Box<str>>,
}

/// The stamps of a job's two files; `None` if a file is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Stamps {
    pub(crate) config: Option<Stamp>,
    pub(crate) action: Option<Stamp>,
}

/// The hash of the stamps of a job's two files, which is kept instead of them to save memory. That two
/// states of the files have the same hash is practically impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StampsHash(u64);

impl Stamps {
    fn hash(&self) -> StampsHash {
        let mut hasher = DefaultHasher::new();
        Hash::hash(self, &mut hasher);
        StampsHash(hasher.finish())
    }
}

/// An invalid job, with all of its faults.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) folder: OsString,
    pub(crate) faults: Vec<JobError>,
}

/// A fault of a job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("{} cannot be a job: rename it", path.display())]
    Name { path: PathBuf, source: NameError },
    #[error("{} cannot be a job, its name is not UTF-8: rename it", path.display())]
    Encoding { path: PathBuf },
    /// A file or a special file has the name of a job.
    #[error(
        "{} is not a folder: a job is a folder with entity.cfg and action.json; move it away",
        path.display()
    )]
    NotFolder { path: PathBuf },
    /// A folder or a special file has the name of a job's file.
    #[error("{} is not a regular file: replace it with the job's file", path.display())]
    NotFile { path: PathBuf },
    /// Other users can change the folder, a file or a link to it, and with it what runs on the
    /// fleet.
    #[error(transparent)]
    Distrust { fault: Distrust },
    /// A file does not exist, perhaps not yet.
    #[error("{} is missing, the job is incomplete: add it, or remove the folder", path.display())]
    Missing { path: PathBuf },
    #[error(transparent)]
    Disk(DiskError),
    /// The settings or the schedule are wrong.
    #[error(transparent)]
    Config(ConfigError),
    #[error("{} cannot be read as an action", path.display())]
    Action { path: PathBuf, source: ParseError },
    /// The platform would refuse the action.
    #[error("{} cannot be sent", path.display())]
    Refused { path: PathBuf, source: CheckError },
}

impl Rejection {
    /// Returns the faults, one or more lines each, for output and log.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.faults.iter().flat_map(|fault| match fault {
            JobError::Config(error) => error.lines().collect(),
            other => vec![Chain(other).to_string()],
        });
        lines.collect()
    }

    /// Returns the name of the folder, escaped for output.
    pub(crate) fn name(&self) -> String {
        escape(&self.folder.to_string_lossy()).into_owned()
    }

    /// Returns whether a fault may disappear without a change of the files' content.
    fn is_temporary(&self) -> bool {
        self.faults.iter().any(|fault| match fault {
            JobError::Config(_) | JobError::Action { .. } | JobError::Refused { .. } => false,
            JobError::Name { .. }
            | JobError::Encoding { .. }
            | JobError::NotFolder { .. }
            | JobError::NotFile { .. }
            | JobError::Distrust { .. }
            | JobError::Missing { .. }
            | JobError::Disk(_) => true,
        })
    }
}
