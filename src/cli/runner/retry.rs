//! `retry` and `cancel`: return a run to the flow, or take it out, by one rename.
//!
//! The folder of a run determines what the runner does with it. These commands find the run and
//! choose its new folder. Apart from that, they do nothing that `mv` could not do.

use std::ffi::{OsStr, OsString};

use super::installation::Installation;
use super::spool_access::SpoolAccess;
use crate::chain::Chain;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::{JobName, RunId};
use crate::spool::record::{FileContent, RECORD_BYTES_MAX, classify};
use crate::spool::{DeliveryState, Family, Folder, Record, View, run_id};

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
    /// Moves the runs.
    ///
    /// # Errors
    /// A run cannot be moved. The runs before it on the command line have been moved.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let spool = SpoolAccess::for_writing(installation, &self.arguments())?;
        let mut missing = false;
        let moves = if self.all {
            self.all_moves(&spool.view())?
        } else {
            let mut moves = Vec::new();
            for run in &self.runs {
                match retry_move(&spool.view(), run)? {
                    Some(found) => moves.push(found),
                    None => {
                        missing = true;
                        let why = "is neither in action/invalid nor given up nor superseded";
                        output::message(not_moved(&spool.view(), run, why));
                    }
                }
            }
            moves
        };
        if self.all && moves.is_empty() {
            if let Some(job) = &self.job
                && !installation.has_job(job)?
            {
                return Err(installation.no_job(job, SystemClock.now())?);
            }
            output::message("nothing to retry");
        }
        for RetryMove { name, from, to, new_name } in moves {
            if let Some(why) = obstacle(&spool, &name, from)? {
                missing = true;
                output::message(why);
                continue;
            }
            spool.shift(&name, from, to, &new_name)?;
            output::answer(format!("{from} → {to}  {}", stem(&name)))?;
            remove_reason(&spool, from, &name);
        }
        Ok(if missing { Exit::NoInput } else { Exit::Done })
    }

    /// Returns the arguments of this command, for a message that suggests to repeat it.
    fn arguments(&self) -> Vec<&str> {
        let all = self.all.then_some("--all");
        let job = self.job.as_ref().map(|job| ["--job", job.as_str()]);
        let options = all.into_iter().chain(job.into_iter().flatten());
        ["retry"].into_iter().chain(options).chain(self.runs.iter().map(String::as_str)).collect()
    }

    fn all_moves(&self, view: &View<'_>) -> Result<Vec<RetryMove>, Failure> {
        let mut moves = Vec::new();
        let wanted = |id: &RunId| self.job.as_ref().is_none_or(|job| id.stem() == job.as_str());
        for folder in [Folder::Invalid, Folder::CommandDone] {
            for id in view.ids(folder)?.into_iter().filter(wanted) {
                moves.extend(retry_move(view, id.as_str())?);
            }
        }
        let names = view.names(Folder::Invalid)?.into_iter();
        for name in names.filter(|name| command_id(name).is_some_and(|id| wanted(&id))) {
            moves.extend(retry_move(view, &stem(&name))?);
        }
        Ok(moves)
    }
}

impl Cancel {
    /// Returns the arguments of this command, for a message that suggests to repeat it.
    fn arguments(&self) -> Vec<&str> {
        ["cancel"].into_iter().chain(self.runs.iter().map(RunId::as_str)).collect()
    }

    /// Moves the runs to the dead letters.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let spool = SpoolAccess::for_writing(installation, &self.arguments())?;
        let mut missing = false;
        for id in &self.runs {
            let name = OsString::from(id.file_name());
            if !spool.view().holders(id, Family::Action)?.contains(&Folder::New) {
                missing = true;
                let why = "cannot be cancelled: it is no longer in action/new";
                output::message(not_moved(&spool.view(), id.as_str(), why));
                continue;
            }
            // The reason first, so that it exists when the dead letter appears.
            write_reason(&spool, &name);
            if let Err(error) = spool.shift(&name, Folder::New, Folder::Invalid, &name) {
                remove_reason(&spool, Folder::Invalid, &name);
                return Err(error);
            }
            output::answer(format!("{} → {}  {id}", Folder::New, Folder::Invalid))?;
        }
        Ok(if missing { Exit::NoInput } else { Exit::Done })
    }
}

/// Returns the move that returns a run to the flow, if it can be retried.
fn retry_move(view: &View<'_>, run: &str) -> Result<Option<RetryMove>, Failure> {
    if let Ok(id) = run.parse::<RunId>()
        && let Some(found) = view.read_run(Folder::CommandDone, &id)?
        && let Some(to) = resume_folder(found.record())
    {
        let (name, from) = (OsString::from(id.file_name()), Folder::CommandDone);
        return Ok(Some(RetryMove { name: name.clone(), from, to, new_name: name }));
    }
    if let Ok(id) = run.parse::<RunId>()
        && let Some(found) = view.read_run(Folder::ActionDone, &id)?
        && found.record().superseded.is_some()
    {
        let (name, from) = (OsString::from(id.file_name()), Folder::ActionDone);
        return Ok(Some(RetryMove { name: name.clone(), from, to: Folder::New, new_name: name }));
    }
    let names = view.names(Folder::Invalid)?;
    let named = |name: &&OsString| name.as_os_str() == OsStr::new(run) || stem(name) == run;
    let found = names.iter().find(named);
    Ok(found.map(|name| {
        let (to, new_name) = match command_id(name) {
            Some(id) => (Folder::Ready, id.file_name().into()),
            None => (Folder::New, name.clone()),
        };
        RetryMove { name: name.clone(), from: Folder::Invalid, to, new_name }
    }))
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
