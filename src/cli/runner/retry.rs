//! `retry` and `cancel`: return a run to the flow, or take it out, by one rename.
//!
//! The folder of a run determines what the runner does with it. These commands find the run and
//! choose its new folder. Apart from that, they do nothing that `mv` could not do.

use std::ffi::{OsStr, OsString};
use std::fmt;

use super::installation::Installation;
use super::spool_access::SpoolAccess;
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::{JobName, RunId};
use crate::spool::record::{FileContent, RECORD_BYTES_MAX, classify};
use crate::spool::{DeliveryState, Family, Folder, Record, Run, Seen, SpoolError, View, run_id};

/// Retry runs: dead letters, given-up and superseded runs
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mig-runner retry [OPTIONS] (RUN... | --all [--job JOB])",
    after_help = "Example:\n  mig-runner retry --all --job setuid"
)]
pub(super) struct Retry {
    /// Run ids, or names of files in action/invalid
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
    runs: Vec<String>,
    /// Retry all dead letters and given-up runs
    #[arg(long)]
    all: bool,
    /// Only runs of this job
    #[arg(long, value_name = "JOB", requires = "all")]
    job: Option<JobName>,
}

/// Cancel runs that have not been sent yet
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner cancel setuid.20261122T120000Z")]
pub(super) struct Cancel {
    /// Run ids
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<RunId>,
}

/// A move that returns a run to the flow.
#[derive(Debug, PartialEq, Eq)]
struct RetryMove {
    name: OsString,
    from: Folder,
    to: Folder,
    new_name: OsString,
}

impl Retry {
    /// Moves the runs. A run that cannot be moved is named and does not prevent the other moves.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let spool = SpoolAccess::for_writing(installation, &self.arguments())?;
        let mut failed = FailedRuns::default();
        let moves = match self.all {
            true => self.all_moves(&spool, &mut failed),
            false => self.moves(&spool, &mut failed),
        };
        if self.all && moves.is_empty() && failed.exit.is_none() {
            if let Some(job) = &self.job
                && !installation.has_job(job)?
            {
                return Err(installation.no_job(job, SystemClock.now())?);
            }
            output::message("nothing to retry");
        }
        for found in moves {
            match failed.skip(stem(&found.name), found.make(&spool)) {
                Some(None) => output::answer(found)?,
                Some(Some(obstacle)) => failed.missing(obstacle),
                None => {}
            }
        }
        Ok(failed.exit.unwrap_or(Exit::Done))
    }

    /// Returns the arguments of this command, for a message that suggests to repeat it.
    fn arguments(&self) -> Vec<&str> {
        let all = self.all.then_some("--all");
        let job = self.job.as_ref().map(|job| ["--job", job.as_str()]);
        let options = all.into_iter().chain(job.into_iter().flatten());
        ["retry"].into_iter().chain(options).chain(self.runs.iter().map(String::as_str)).collect()
    }

    /// Returns the moves of the runs on the command line.
    fn moves(&self, spool: &SpoolAccess<'_>, failed: &mut FailedRuns) -> Vec<RetryMove> {
        let (view, mut moves) = (spool.view(), Vec::new());
        for run in &self.runs {
            match failed.skip(run, retry_move(&view, run)) {
                Some(Some(found)) => moves.push(found),
                Some(None) => {
                    let why = "is neither in action/invalid nor given up nor superseded";
                    failed.missing(not_moved(&view, run, why));
                }
                None => {}
            }
        }
        moves
    }

    /// Returns the moves of all dead letters and given-up runs.
    fn all_moves(&self, spool: &SpoolAccess<'_>, failed: &mut FailedRuns) -> Vec<RetryMove> {
        let (view, mut moves) = (spool.view(), Vec::new());
        let wanted = |id: &RunId| self.job.as_ref().is_none_or(|job| id.stem() == job.as_str());
        let names = failed.skip(Folder::Invalid, view.names(Folder::Invalid)).unwrap_or_default();
        let is_wanted = |name: &&OsString| {
            run_id(name).or_else(|| command_id(name)).is_some_and(|id| wanted(&id))
        };
        moves.extend(names.iter().filter(is_wanted).map(RetryMove::of_dead_letter));
        let ids = failed.skip(Folder::CommandDone, view.ids(Folder::CommandDone));
        for id in ids.unwrap_or_default().iter().filter(|id| wanted(id)) {
            moves.extend(failed.skip(id, RetryMove::of_given_up(&view, id)).flatten());
        }
        moves
    }
}

impl RetryMove {
    /// Returns the move of a given-up run, if it is one.
    fn of_given_up(view: &View<'_>, id: &RunId) -> Result<Option<RetryMove>, SpoolError> {
        let from = Folder::CommandDone;
        let to = read_run(view, from, id)?.and_then(|run| resume_folder(run.record()));
        Ok(to.map(|to| RetryMove::with_same_name(id, from, to)))
    }

    /// Returns the move of a superseded run, if it is one.
    fn of_superseded(view: &View<'_>, id: &RunId) -> Result<Option<RetryMove>, SpoolError> {
        let run = read_run(view, Folder::ActionDone, id)?;
        let superseded = run.filter(|run| run.record().superseded.is_some());
        Ok(superseded.map(|_| RetryMove::with_same_name(id, Folder::ActionDone, Folder::New)))
    }

    fn of_dead_letter(name: &OsString) -> RetryMove {
        let (to, new_name) = match command_id(name) {
            Some(id) => (Folder::Ready, id.file_name().into()),
            None => (Folder::New, name.clone()),
        };
        RetryMove { name: name.clone(), from: Folder::Invalid, to, new_name }
    }

    /// Returns a move in which the file keeps its name.
    fn with_same_name(id: &RunId, from: Folder, to: Folder) -> RetryMove {
        let name = OsString::from(id.file_name());
        RetryMove { name: name.clone(), from, to, new_name: name }
    }

    /// Makes the move; returns why it must not be made, if so.
    fn make(&self, spool: &SpoolAccess<'_>) -> Result<Option<String>, Failure> {
        let RetryMove { name, from, to, new_name } = self;
        let obstacle = obstacle(spool, name, *from)?;
        if obstacle.is_none() {
            spool.shift(name, *from, *to, new_name)?;
            remove_reason(spool, *from, name);
        }
        Ok(obstacle)
    }
}

impl fmt::Display for RetryMove {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}  {}", self.from, self.to, stem(&self.name))
    }
}

/// The runs that were not moved, which are reported as they are found.
#[derive(Debug, Default)]
struct FailedRuns {
    /// The exit status for the first of them.
    exit: Option<Exit>,
}

impl FailedRuns {
    /// Reports a run that is not where it could be moved from.
    fn missing(&mut self, why: String) {
        self.exit.get_or_insert(Exit::NoInput);
        output::message(why);
    }

    /// Returns what was found, or reports why a run or a folder is skipped.
    fn skip<T>(
        &mut self,
        what: impl fmt::Display,
        found: Result<T, impl Into<Failure>>,
    ) -> Option<T> {
        let failure = match found {
            Ok(found) => return Some(found),
            Err(error) => error.into(),
        };
        self.exit.get_or_insert(failure.exit());
        output::message(format!("{what} was skipped: {}", failure.lines().join("; ")));
        None
    }
}

impl Cancel {
    /// Returns the arguments of this command, for a message that suggests to repeat it.
    fn arguments(&self) -> Vec<&str> {
        ["cancel"].into_iter().chain(self.runs.iter().map(RunId::as_str)).collect()
    }

    /// Moves the runs to the dead letters. A run that cannot be moved is named and does not prevent
    /// the other moves.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let spool = SpoolAccess::for_writing(installation, &self.arguments())?;
        let mut failed = FailedRuns::default();
        for id in &self.runs {
            match failed.skip(id, cancel(&spool, id)) {
                Some(true) => {
                    output::answer(format!("{} → {}  {id}", Folder::New, Folder::Invalid))?;
                }
                Some(false) => {
                    let why = "cannot be cancelled: it is no longer in action/new";
                    failed.missing(not_moved(&spool.view(), id.as_str(), why));
                }
                None => {}
            }
        }
        Ok(failed.exit.unwrap_or(Exit::Done))
    }
}

/// Moves a run to the dead letters; returns whether it was in `action/new`.
fn cancel(spool: &SpoolAccess<'_>, id: &RunId) -> Result<bool, Failure> {
    let name = OsString::from(id.file_name());
    if spool.view().stamp(Folder::New, &name)?.is_none() {
        return Ok(false);
    }
    // The reason first, so that it exists when the dead letter appears.
    write_reason(spool, &name);
    if let Err(error) = spool.shift(&name, Folder::New, Folder::Invalid, &name) {
        remove_reason(spool, Folder::Invalid, &name);
        return Err(error);
    }
    Ok(true)
}

/// Returns the move that returns a run to the flow, if it can be retried.
fn retry_move(view: &View<'_>, run: &str) -> Result<Option<RetryMove>, SpoolError> {
    if let Ok(id) = run.parse::<RunId>() {
        let finished = match RetryMove::of_given_up(view, &id)? {
            None => RetryMove::of_superseded(view, &id)?,
            found => found,
        };
        if finished.is_some() {
            return Ok(finished);
        }
    }
    let names = view.names(Folder::Invalid)?;
    let named = |name: &&OsString| name.as_os_str() == OsStr::new(run) || stem(name) == run;
    Ok(names.iter().find(named).map(RetryMove::of_dead_letter))
}

/// Reads a run; `None` if there is no valid record of it.
fn read_run(view: &View<'_>, folder: Folder, id: &RunId) -> Result<Option<Run>, SpoolError> {
    match view.read_entry(folder, OsStr::new(&id.file_name()))? {
        Seen::Run(run) => Ok(Some(*run)),
        Seen::Unreadable { reason } => Err(SpoolError::Unreadable { id: id.clone(), reason }),
        _ => Ok(None),
    }
}

/// Returns the run of a dead letter that came from a folder of the command family.
fn command_id(name: &OsStr) -> Option<RunId> {
    let (id, number) = name.to_str()?.strip_suffix(".json")?.rsplit_once(".command")?;
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let is_ours = number.is_empty() || number.strip_prefix('-').is_some_and(is_number);
    id.parse().ok().filter(|_| is_ours)
}

/// Returns the folder in which a run with something given up continues; `None` for any other run.
fn resume_folder(record: &Record) -> Option<Folder> {
    if record.summary.is_none() {
        return Some(Folder::CommandInflight);
    }
    let is_given_up = |state| state == DeliveryState::GivenUp;
    record.plugins.iter().any(|delivery| is_given_up(delivery.state)).then_some(Folder::Returned)
}

/// Returns why a dead letter of the command family cannot be retried. Its record must be intact:
/// nothing else names the results to fetch.
fn obstacle(
    spool: &SpoolAccess<'_>,
    name: &OsStr,
    from: Folder,
) -> Result<Option<String>, Failure> {
    let Some(id) = command_id(name).filter(|_| from == Folder::Invalid) else {
        return Ok(None);
    };
    let bytes = spool.disk.read(&spool.layout.folder(from).join(name), RECORD_BYTES_MAX)?;
    let why = match classify(&bytes) {
        FileContent::Record(record) if record.id == id => return Ok(None),
        FileContent::Record(record) => format!("it is a copy of {}", record.id),
        FileContent::Damaged(reason) => reason,
        FileContent::Newer(version) => format!("it has the unknown version {version}"),
        FileContent::Action(_) => "it is an action, not a record".to_owned(),
    };
    Ok(Some(format!(
        "{} cannot be retried: {why}; repair it, or copy {} from action/done to command/ready to fetch its results again",
        name.display(),
        id.file_name()
    )))
}

/// Returns the message for a run that cannot be moved; it names the folders that the run is in.
fn not_moved(view: &View<'_>, run: &str, why: &str) -> String {
    let found = |family| {
        let id = run.parse().ok()?;
        view.holders(&id, family).ok()?.pop()
    };
    let folders: Vec<String> = [found(Family::Action), found(Family::Command)]
        .into_iter()
        .flatten()
        .map(|folder: Folder| folder.to_string())
        .collect();
    if folders.is_empty() {
        format!("there is no run {run} in the spool")
    } else {
        format!("{run} {why} (it is in {})", folders.join(" and "))
    }
}

/// Creates the `.reason` file beside a dead letter.
fn write_reason(spool: &SpoolAccess<'_>, name: &OsStr) {
    let note = format!("{}.reason", name.to_string_lossy());
    if let Err(failure) = spool.create(Folder::Invalid, &note, b"cancelled by the operator\n") {
        output::message(format!("cannot record the reason: {}", Chain(failure.error())));
    }
}

/// Removes the `.reason` file of a dead letter that has left the folder.
fn remove_reason(spool: &SpoolAccess<'_>, folder: Folder, name: &OsStr) {
    let mut note = name.to_owned();
    note.push(".reason");
    // Most dead letters have no such file. One that remains is harmless, because its dead letter is
    // gone.
    spool.remove(folder, &note).ok();
}

/// Returns the run id of a file name, or the name itself.
fn stem(name: &OsStr) -> String {
    run_id(name).map_or_else(|| name.to_string_lossy().into_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_dead_letter_names_its_run() {
        let parsed = |name: &str| command_id(name.as_ref()).map(|id| id.to_string());
        let id = "job.20261122T120000Z";
        for good in ["job.20261122T120000Z.command.json", "job.20261122T120000Z.command-2.json"] {
            assert_eq!(parsed(good).as_deref(), Some(id));
        }
        for other in
            ["x.command.json", "job.20261122T120000Z.json", "job.20261122T120000Z.commandx.json"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
