//! `trigger`: starts a run of a job now, by creating a record in `action/new`.
//!
//! A triggered run differs from a scheduled one only in its id.

use jiff::Timestamp;

use super::follow::{Follower, RunEnd};
use super::installation::Installation;
use super::spool_access::SpoolAccess;
use super::{results, run};
use crate::cli::failure::{Explain, Failure, SystemError};
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::job::Job;
use crate::names::{JobName, NameError, RunId};
use crate::random;
use crate::spool::{Folder, Origin, Record};
use crate::stage::launch;

/// A record cannot be built.
#[derive(Debug, thiserror::Error)]
enum TriggerError {
    #[error("cannot name a run of this job")]
    Name(#[source] NameError),
    #[error("cannot encode the run as JSON")]
    Encode(#[source] serde_json::Error),
}

impl Explain for TriggerError {
    fn exit(&self) -> Exit {
        match self {
            TriggerError::Name(_) => Exit::Data,
            TriggerError::Encode(_) => Exit::Software,
        }
    }
}

/// Run a job now, regardless of its schedule; prints the run's id
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner trigger --wait setuid")]
pub(super) struct Trigger {
    /// Wait until the run has ended, showing its moves and its results
    #[arg(long)]
    wait: bool,
    /// The job: a folder of runners/
    #[arg(value_name = "JOB")]
    job: JobName,
}

impl Trigger {
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        let wait = self.wait.then_some("--wait");
        let arguments: Vec<&str> =
            ["trigger"].into_iter().chain(wait).chain([self.job.as_str()]).collect();
        let spool = SpoolAccess::for_writing(installation, &arguments)?;
        let job = installation.job(&self.job, now)?;
        let follow = |id: &RunId| self.wait.then(|| Follower::new(&spool, id));
        let (record, follower) = create_run(&job, installation, &spool, now, follow)?;
        output::answer(&record.id)?;
        if job.config.paused {
            output::message(format!(
                "{} is paused: the run waits for the pause to end, until its deadline at {}",
                job.name, record.settings.deadline
            ));
        }
        if spool.disk.lock_holder(&installation.layout.lock())?.is_none() {
            output::message("no runner is running: the run waits until one is started");
        }
        match follower {
            None => Ok(Exit::Done),
            Some(follower) => finish(follower, &spool, installation),
        }
    }
}

/// Creates a run of a job in `action/new`. `follow` is called with its id before its file exists,
/// so that a follower misses no move.
pub(crate) fn create_run<F>(
    job: &Job,
    installation: &Installation,
    spool: &SpoolAccess<'_>,
    now: Timestamp,
    follow: impl FnOnce(&RunId) -> F,
) -> Result<(Record, F), Failure> {
    let record = new_record(job, installation, now)?;
    let follower = follow(&record.id);
    let bytes = record.to_bytes().map_err(TriggerError::Encode)?;
    spool.create(Folder::New, &record.id.file_name(), &bytes)?;
    Ok((record, follower))
}

fn new_record(job: &Job, installation: &Installation, now: Timestamp) -> Result<Record, Failure> {
    let mark =
        random::mark().map_err(|source| SystemError { doing: "get a random number", source })?;
    let id = RunId::marked(job.name.as_str(), now, &format!("manual-{mark}"))
        .map_err(TriggerError::Name)?;
    let next = job.schedule.next_after(now, &job.zone);
    let defaults = run::defaults(&installation.config);
    Ok(launch::record(job, id, Origin::Trigger, &defaults, now, next))
}

/// Shows the run's moves until it has ended, and its results.
fn finish(
    follower: Follower<'_>,
    spool: &SpoolAccess<'_>,
    installation: &Installation,
) -> Result<Exit, Failure> {
    let record = match follower.follow()? {
        RunEnd::Finished(record) => record,
        RunEnd::DeadLetter(reason) => {
            output::message(format!("the run is in action/invalid: {reason}"));
            return Ok(Exit::Data);
        }
        RunEnd::Removed => {
            output::message("the run was removed from the spool");
            return Ok(Exit::Data);
        }
    };
    results::show(spool, &record, &installation.directory)
}
