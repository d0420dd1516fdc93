//! `trigger`: a run of a job now, put into `action/new` like any other entry.
//!
//! A run that somebody wants now differs from a scheduled one in its id alone.

use jiff::Timestamp;

use super::failure::Failure;
use super::follow::{Ending, Follower};
use super::hand::Hand;
use super::installation::Installation;
use super::{output, results, run};
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::job::Job;
use crate::names::{JobName, RunId};
use crate::random;
use crate::spool::{Folder, Origin, Record};
use crate::stage::launch;

/// Run a job now, whatever its schedule says; tells the run's id
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner trigger --wait setuid")]
pub(crate) struct Trigger {
    /// Show each of the run's moves, and what it found in the end
    #[arg(long)]
    wait: bool,
    /// The job: a folder of runners/
    #[arg(value_name = "JOB")]
    job: JobName,
}

impl Trigger {
    /// Puts a run into the spool.
    ///
    /// # Errors
    /// The job is not usable, or the spool cannot be written.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let now = SystemClock.now();
        let wait = self.wait.then_some("--wait");
        let typed: Vec<&str> =
            ["trigger"].into_iter().chain(wait).chain([self.job.as_str()]).collect();
        let hand = Hand::open(installation, &typed)?;
        let job = installation.job(&self.job, now)?;
        let follow = |id: &RunId| self.wait.then(|| Follower::new(&hand, id));
        let (record, follower) = put(&job, installation, &hand, now, follow)?;
        output::answer(&record.id)?;
        if job.config.paused {
            output::message(format!(
                "{} is paused: the run waits until the pause ends, or its deadline passes at {}",
                job.name, record.settings.deadline
            ));
        }
        if hand.disk.lock_holder(&installation.layout.lock())?.is_none() {
            output::message("no runner works on this spool: the run waits until one is started");
        }
        match follower {
            None => Ok(Exit::Done),
            Some(follower) => finish(follower, &hand, installation),
        }
    }
}

/// Puts a run of a job into `action/new`; `follow` learns its id before it is there, so that no move
/// is missed.
///
/// # Errors
/// The spool cannot be written.
pub(crate) fn put<F>(
    job: &Job,
    installation: &Installation,
    hand: &Hand<'_>,
    now: Timestamp,
    follow: impl FnOnce(&RunId) -> F,
) -> Result<(Record, F), Failure> {
    let record = record(job, installation, now)?;
    let follower = follow(&record.id);
    let bytes = record.to_bytes().map_err(Failure::Encode)?;
    hand.put(Folder::New, &record.id.file_name(), &bytes)?;
    Ok((record, follower))
}

fn record(job: &Job, installation: &Installation, now: Timestamp) -> Result<Record, Failure> {
    let mark = random::mark()
        .map_err(|source| Failure::System { doing: "get a random number", source })?;
    let id = RunId::marked(job.name.as_str(), now, &format!("manual-{mark}"))?;
    let next = job.schedule.next_after(now, &job.zone);
    let defaults = run::defaults(&installation.config);
    Ok(launch::record(job, id, Origin::Trigger, &defaults, now, next))
}

/// Shows the run's moves until it has ended, and what it found.
fn finish(
    follower: Follower<'_>,
    hand: &Hand<'_>,
    installation: &Installation,
) -> Result<Exit, Failure> {
    let record = match follower.follow()? {
        Ending::Finished(record) => record,
        Ending::Invalid(reason) => {
            output::message(format!("the run is in action/invalid: {reason}"));
            return Ok(Exit::Data);
        }
        Ending::Removed => {
            output::message("the run was removed from the spool");
            return Ok(Exit::Data);
        }
    };
    results::show(hand, &record, &installation.directory)
}
