//! `trigger`: a run of a job now, put into `action/new` like any other entry.
//!
//! It works while the runner runs and while it does not: a whole file appears in
//! `action/new`, and that is all. The lock is not needed for it.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::failure::Failure;
use super::follow::{Ending, Follower};
use super::installation::Installation;
use super::{output, run};
use crate::clock::{Clock, SystemClock};
use crate::disk::{Context, Disk, HAND_PREFIX, guard};
use crate::exit::Exit;
use crate::job::Job;
use crate::names::{JobName, RunId};
use crate::random;
use crate::spool::{Folder, Origin, Record};
use crate::stage::launch;

/// The user id of root.
const ROOT: u32 = 0;

/// Run a job now, whatever its schedule says; prints the id of the run
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
        let owner = may_write(installation, &format!("trigger {}", self.job))?;
        let job = installation.job(&self.job, now)?;
        let record = record(&job, installation, now)?;
        let (id, deadline) = (record.id.clone(), record.settings.deadline);
        let follower = self.wait.then(|| Follower::new(installation, &id, owner));
        put(installation, &record, owner)?;
        output::answer(&id)?;
        if job.config.paused {
            output::message(format!(
                "{} is paused: the run waits until the pause ends, or its deadline passes at {deadline}",
                job.name
            ));
        }
        match follower {
            None => Ok(Exit::Done),
            Some(follower) => finish(follower, installation),
        }
    }
}

/// Returns the owner of the spool, whose files entries must be; says how to do it if the user may not.
pub(crate) fn may_write(installation: &Installation, command: &str) -> Result<u32, Failure> {
    let layout = &installation.layout;
    let disk = installation.disk();
    let spool = disk.find(layout.root())?;
    if spool.is_none() || disk.find(&layout.scratch())?.is_none() {
        return Err(Failure::NoSpool { path: layout.root().to_owned() });
    }
    let (owner, user) = (installation.owner()?, guard::user());
    if user == owner || user == ROOT {
        return Ok(owner);
    }
    let command = format!("mig-runner -c {} {command}", installation.file.display());
    Err(Failure::NotOwner { spool: layout.root().to_owned(), owner, command })
}

fn record(job: &Job, installation: &Installation, now: Timestamp) -> Result<Record, Failure> {
    let mark = random::mark()
        .map_err(|source| Failure::System { doing: "get a random number", source })?;
    let id = RunId::marked(job.name.as_str(), now, &format!("manual-{mark}"))?;
    let next = job.schedule.next_after(now, &job.zone);
    let defaults = run::defaults(&installation.config);
    Ok(launch::record(job, id, Origin::Trigger, &defaults, now, next))
}

/// Puts a record into `action/new`, whole and durable, as a file of the spool's owner.
fn put(installation: &Installation, record: &Record, owner: u32) -> Result<(), Failure> {
    let (disk, layout) = (installation.disk(), &installation.layout);
    let bytes = record.to_bytes().map_err(Failure::Encode)?;
    let path = layout.run(Folder::New, &record.id);
    if guard::user() == owner {
        return Ok(disk.create(&path, &bytes)?);
    }
    // The runner cannot read root's private files: it must be the owner's before it has its name.
    let temporary = layout.scratch().join(format!("{HAND_PREFIX}-{}", record.id));
    let given =
        give(&disk, &temporary, &bytes, owner).and_then(|()| Ok(disk.shift(&temporary, &path)?));
    if given.is_err() {
        // What could not be made is told; that its rest stays in the scratch folder harms nobody.
        disk.unlink(&temporary).ok();
    }
    given
}

fn give(disk: &Disk, path: &Path, bytes: &[u8], owner: u32) -> Result<(), Failure> {
    let mut file = disk.begin(path)?;
    file.append(bytes).and_then(|()| file.sync()).context("write", path)?;
    let give = |source| Failure::Give { path: PathBuf::from(path), owner, source };
    chown(path, Some(owner), None).map_err(give)
}

/// Shows the run's moves until it has ended, and what came of it.
fn finish(follower: Follower<'_>, installation: &Installation) -> Result<Exit, Failure> {
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
    super::outcome::show(&record, &installation.directory)
}
