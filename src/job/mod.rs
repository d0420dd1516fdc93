//! Jobs: the folders of `runners/`, read into what the stages work with.
//!
//! A job is a folder with two files, `entity.cfg` and `action.json`. It is enabled
//! by putting it there and disabled by taking it away, at any time.
//!
//! | file | holds |
//! | --- | --- |
//! | `load` | one folder: who may write it, whether it changed, what its files say |
//! | `change` | what a look at a folder means for the job that was there before |
//! | `scan` | all folders, and which of them to look at when |
//!
//! **Invariants.** A [`Job`] is sound as a whole: both files parse, its schedule has
//! a time to come, the platform can take its action. The folder of a job is only
//! read. One bad job stops no other.
//!
//! **Failure.** What is wrong with a job is a [`Rejection`]: it is for a person, and
//! lasts until a file of the job changes. Only what does not depend on what the files
//! say (permissions, a file that is missing or cannot be read) is looked at again
//! every time.

pub(crate) mod change;
mod load;
pub(crate) mod scan;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::action::{CheckError, ParseError};
use crate::chain::{Chain, escape};
use crate::config::fault::ConfigError;
use crate::config::job::JobConfig;
use crate::disk::trust::Distrust;
use crate::disk::{DiskError, Stamp};
use crate::names::{JobName, NameError};
use crate::schedule::Cron;

/// A job that can run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Job {
    /// Its name: that of its folder.
    pub(crate) name: JobName,
    pub(crate) config: JobConfig,
    /// When it runs; the daemon's plan of its slots has the same.
    pub(crate) schedule: Arc<Cron>,
    /// The zone of its schedule.
    pub(crate) zone: TimeZone,
    /// Its action, as the file has it; where that is not UTF-8, as Go would write it.
    pub(crate) action: Arc<str>,
    /// What may be a mistake although it is valid.
    pub(crate) warning: Option<String>,
}

/// The state of a job's two files, `None` where one is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    /// Of `entity.cfg`.
    pub(crate) config: Option<Stamp>,
    /// Of `action.json`.
    pub(crate) action: Option<Stamp>,
}

/// A job that cannot run, and all that is wrong with it.
#[derive(Debug)]
pub(crate) struct Rejection {
    /// The name of its folder.
    pub(crate) folder: OsString,
    pub(crate) faults: Vec<JobError>,
}

/// One thing that is wrong with a job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    /// Its name cannot be one.
    #[error("{} cannot be a job: rename it", path.display())]
    Name {
        path: PathBuf,
        /// What is wrong with the name.
        source: NameError,
    },
    /// Its name is no text.
    #[error("{} cannot be a job, its name is not UTF-8: rename it", path.display())]
    Encoding { path: PathBuf },
    /// There is something else of that name.
    #[error(
        "{} is no folder: a job is a folder with entity.cfg and action.json; move it away",
        path.display()
    )]
    NotFolder { path: PathBuf },
    /// There is something else where a file should be.
    #[error("{} is no regular file: put the job's file itself there", path.display())]
    NotFile { path: PathBuf },
    /// The folder or a file is a link, and others can change where it leads or its target.
    #[error(transparent)]
    Link {
        /// What they can change, and what to do.
        fault: Distrust,
    },
    /// A file is not there, or not yet.
    #[error("{} is missing, the job is incomplete: add it, or remove the folder", path.display())]
    Missing { path: PathBuf },
    /// It belongs to somebody who could change what runs on the fleet.
    #[error(
        "{} belongs to user {owner}, not to the runner or root: run chown {user} {}",
        path.display(), path.display()
    )]
    Owner {
        /// The folder or file.
        path: PathBuf,
        /// The user id of who owns it.
        owner: u32,
        /// The user id of the runner.
        user: u32,
    },
    /// Others could change what runs on the fleet.
    #[error(
        "{} can be written by others (mode {mode:04o}): run chmod go-w {}",
        path.display(), path.display()
    )]
    Writable {
        /// The folder or file.
        path: PathBuf,
        mode: u32,
    },
    /// It cannot be read.
    #[error(transparent)]
    Disk(DiskError),
    /// Its settings are wrong, or its schedule is.
    #[error(transparent)]
    Config(ConfigError),
    /// Its action is none.
    #[error("{} cannot be read as an action", path.display())]
    Action { path: PathBuf, source: ParseError },
    /// Its action is one that the platform would refuse.
    #[error("{} cannot be sent", path.display())]
    Refused {
        path: PathBuf,
        /// What the platform would not take.
        source: CheckError,
    },
}

impl Rejection {
    /// Returns all that is wrong, a line each, to be printed or logged.
    pub(crate) fn lines(&self) -> Vec<String> {
        let lines = self.faults.iter().flat_map(|fault| match fault {
            JobError::Config(error) => error.lines().collect(),
            other => vec![Chain(other).to_string()],
        });
        lines.collect()
    }

    /// Returns the name of the folder, safe to show.
    pub(crate) fn name(&self) -> String {
        escape(&self.folder.to_string_lossy()).into_owned()
    }

    /// Tells whether another look may find it better although no file changed.
    fn is_passing(&self) -> bool {
        self.faults.iter().any(|fault| match fault {
            JobError::Config(_) | JobError::Action { .. } | JobError::Refused { .. } => false,
            JobError::Name { .. }
            | JobError::Encoding { .. }
            | JobError::NotFolder { .. }
            | JobError::NotFile { .. }
            | JobError::Link { .. }
            | JobError::Missing { .. }
            | JobError::Owner { .. }
            | JobError::Writable { .. }
            | JobError::Disk(_) => true,
        })
    }
}
