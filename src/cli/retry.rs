//! `retry` and `cancel`: a run goes back into the flow, or out of it, by one rename.
//!
//! What a move means to the runner is in its folders; these commands find the run
//! and choose the folder, and do nothing that `mv` could not do.

use std::ffi::{OsStr, OsString};

use super::failure::Failure;
use super::hand::Hand;
use super::installation::Installation;
use super::output;
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::exit::Exit;
use crate::names::{JobName, RunId};
use crate::spool::record::{FileContent, RECORD_BYTES_MAX, classify};
use crate::spool::{DeliveryState, Family, Folder, Record, View, run_id};

/// Put runs back into the flow: dead letters, given up, superseded
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "mig-runner retry [OPTIONS] (RUN... | --all [--job JOB])",
    after_help = "Example:\n  mig-runner retry --all --job setuid"
)]
pub(crate) struct Retry {
    /// The runs: ids, or names of files in action/invalid
    #[arg(value_name = "RUN", required_unless_present = "all", conflicts_with = "all")]
    runs: Vec<String>,
    /// All that can be retried
    #[arg(long)]
    all: bool,
    /// Of this job only
    #[arg(long, value_name = "JOB", requires = "all")]
    job: Option<JobName>,
}

/// Call off runs that wait to be sent
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-runner cancel setuid.20261122T120000Z")]
pub(crate) struct Cancel {
    /// The runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<RunId>,
}

/// A move that puts a run back.
#[derive(Debug, PartialEq, Eq)]
struct Back {
    name: OsString,
    from: Folder,
    to: Folder,
    /// Its name there.
    becomes: OsString,
}

impl Retry {
    /// Moves the runs.
    ///
    /// # Errors
    /// A run cannot be retried; those named before it were moved.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let hand = Hand::open(installation, &self.typed())?;
        let mut missing = false;
        let moves = if self.all {
            self.all_of(&hand.view())?
        } else {
            let mut moves = Vec::new();
            for run in &self.runs {
                match back(&hand.view(), run)? {
                    Some(found) => moves.push(found),
                    None => {
                        missing = true;
                        output::message(unmoved(
                            &hand.view(),
                            run,
                            "neither in action/invalid nor given up or superseded",
                        ));
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
            output::message("there is nothing to retry");
        }
        for Back { name, from, to, becomes } in moves {
            if let Some(why) = self.hindrance(&hand, &name, from)? {
                missing = true;
                output::message(why);
                continue;
            }
            hand.shift(&name, from, to, &becomes)?;
            output::answer(format!("{from} → {to}  {}", stem(&name)))?;
            forget_reason(&hand, from, &name);
        }
        Ok(if missing { Exit::NoInput } else { Exit::Done })
    }

    /// Returns the arguments that ask for the same.
    fn typed(&self) -> Vec<&str> {
        let all = self.all.then_some("--all");
        let job = self.job.as_ref().map(|job| ["--job", job.as_str()]);
        let options = all.into_iter().chain(job.into_iter().flatten());
        ["retry"].into_iter().chain(options).chain(self.runs.iter().map(String::as_str)).collect()
    }

    /// Says why a dead letter of the second family cannot go back: nothing but its record tells what
    /// is to be fetched.
    fn hindrance(
        &self,
        hand: &Hand<'_>,
        name: &OsStr,
        from: Folder,
    ) -> Result<Option<String>, Failure> {
        let Some(id) = command_id(name).filter(|_| from == Folder::Invalid) else {
            return Ok(None);
        };
        let bytes = hand.disk.read(&hand.layout.folder(from).join(name), RECORD_BYTES_MAX)?;
        let why = match classify(&bytes) {
            FileContent::Record(record) if record.id == id => return Ok(None),
            FileContent::Record(record) => format!("it is a copy of {}", record.id),
            FileContent::Damaged(reason) => reason,
            FileContent::Newer(version) => format!("it is of version {version}"),
            FileContent::Action(_) => "it is an action, not a record".to_owned(),
        };
        Ok(Some(format!(
            "{} cannot go on: {why}; repair it, or copy {} from action/done to command/ready: its results are then fetched anew",
            name.display(),
            id.file_name()
        )))
    }

    fn all_of(&self, view: &View<'_>) -> Result<Vec<Back>, Failure> {
        let mut moves = Vec::new();
        let wanted = |id: &RunId| self.job.as_ref().is_none_or(|job| id.stem() == job.as_str());
        for folder in [Folder::Invalid, Folder::CommandDone] {
            for id in view.ids(folder)?.into_iter().filter(wanted) {
                moves.extend(back(view, id.as_str())?);
            }
        }
        let names = view.names(Folder::Invalid)?.into_iter();
        for name in names.filter(|name| command_id(name).is_some_and(|id| wanted(&id))) {
            moves.extend(back(view, &stem(&name))?);
        }
        Ok(moves)
    }
}

impl Cancel {
    /// Returns the arguments that ask for the same.
    fn typed(&self) -> Vec<&str> {
        ["cancel"].into_iter().chain(self.runs.iter().map(RunId::as_str)).collect()
    }

    /// Moves the runs to the dead letters.
    ///
    /// # Errors
    /// The spool cannot be written.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let hand = Hand::open(installation, &self.typed())?;
        let mut missing = false;
        for id in &self.runs {
            let name = OsString::from(id.file_name());
            if !hand.view().holders(id, Family::Action)?.contains(&Folder::New) {
                missing = true;
                output::message(unmoved(
                    &hand.view(),
                    id.as_str(),
                    "not in action/new: it no longer waits to be sent",
                ));
                continue;
            }
            // The reason first: who sees the dead letter finds it there.
            note_reason(&hand, &name);
            if let Err(error) = hand.shift(&name, Folder::New, Folder::Invalid, &name) {
                forget_reason(&hand, Folder::Invalid, &name);
                return Err(error);
            }
            output::answer(format!("{} → {}  {id}", Folder::New, Folder::Invalid))?;
        }
        Ok(if missing { Exit::NoInput } else { Exit::Done })
    }
}

/// Returns the move that puts a run back into the flow, if there is one.
fn back(view: &View<'_>, run: &str) -> Result<Option<Back>, Failure> {
    if let Ok(id) = run.parse::<RunId>()
        && let Some(found) = view.take(Folder::CommandDone, &id)?
        && let Some(to) = given_up(found.record())
    {
        let name = OsString::from(id.file_name());
        return Ok(Some(Back { name: name.clone(), from: Folder::CommandDone, to, becomes: name }));
    }
    if let Ok(id) = run.parse::<RunId>()
        && let Some(found) = view.take(Folder::ActionDone, &id)?
        && found.record().superseded.is_some()
    {
        let (name, from) = (OsString::from(id.file_name()), Folder::ActionDone);
        return Ok(Some(Back { name: name.clone(), from, to: Folder::New, becomes: name }));
    }
    let names = view.names(Folder::Invalid)?;
    let named = |name: &&OsString| name.as_os_str() == OsStr::new(run) || stem(name) == run;
    let found = names.iter().find(named);
    Ok(found.map(|name| {
        let (to, becomes) = match command_id(name) {
            Some(id) => (Folder::Ready, id.file_name().into()),
            None => (Folder::New, name.clone()),
        };
        Back { name: name.clone(), from: Folder::Invalid, to, becomes }
    }))
}

/// Returns the run of a dead letter that came from a folder of the second family.
fn command_id(name: &OsStr) -> Option<RunId> {
    let (id, number) = name.to_str()?.strip_suffix(".json")?.rsplit_once(".command")?;
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let is_ours = number.is_empty() || number.strip_prefix('-').is_some_and(is_number);
    id.parse().ok().filter(|_| is_ours)
}

/// Returns where a run goes on of which something was given up.
fn given_up(record: &Record) -> Option<Folder> {
    if record.summary.is_none() {
        return Some(Folder::CommandInflight);
    }
    let owed = |state| state == DeliveryState::GivenUp;
    record.plugins.iter().any(|delivery| owed(delivery.state)).then_some(Folder::Returned)
}

/// Says why a run is not moved, and where it is.
fn unmoved(view: &View<'_>, run: &str, why: &str) -> String {
    let found = |family| {
        let id = run.parse().ok()?;
        view.holders(&id, family).ok()?.pop()
    };
    let places: Vec<String> = [found(Family::Action), found(Family::Command)]
        .into_iter()
        .flatten()
        .map(|folder: Folder| folder.to_string())
        .collect();
    if places.is_empty() {
        format!("there is no run {run} in the spool")
    } else {
        format!("{run} is {why} (it is in {})", places.join(" and "))
    }
}

/// Notes beside a dead letter that a person made it one.
fn note_reason(hand: &Hand<'_>, name: &OsStr) {
    let note = format!("{}.reason", name.to_string_lossy());
    if let Err(error) = hand.put(Folder::Invalid, &note, b"it was cancelled\n") {
        output::message(format!("the reason could not be noted: {}", Chain(&error)));
    }
}

/// Removes the note beside a dead letter that is none any more.
fn forget_reason(hand: &Hand<'_>, folder: Folder, name: &OsStr) {
    let mut note = name.to_owned();
    note.push(".reason");
    // Most have none; and one that stays misleads nobody, for the file beside it is gone.
    hand.disk.unlink(&hand.layout.folder(folder).join(note)).ok();
}

fn stem(name: &OsStr) -> String {
    run_id(name).map_or_else(|| name.to_string_lossy().into_owned(), |id| id.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_of_the_second_family_tells_its_run() {
        let told = |name: &str| command_id(name.as_ref()).map(|id| id.to_string());
        let id = "job.20261122T120000Z";
        for good in ["job.20261122T120000Z.command.json", "job.20261122T120000Z.command-2.json"] {
            assert_eq!(told(good).as_deref(), Some(id));
        }
        for none in
            ["x.command.json", "job.20261122T120000Z.json", "job.20261122T120000Z.commandx.json"]
        {
            assert_eq!(told(none), None, "{none}");
        }
    }
}
