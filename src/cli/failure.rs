//! Why a command failed, and what is told of it.

mod exit;
mod shortage;

use std::io;
use std::path::PathBuf;

use crate::action::{ParseError, SignError};
use crate::api::SettingsError;
use crate::chain::Chain;
use crate::config::fault::ConfigError;
use crate::daemon::DaemonError;
use crate::disk::DiskError;
use crate::disk::trust::Distrust;
use crate::invocation::Program;
use crate::logging::LogError;
use crate::names::NameError;
use crate::pgp::KeyError;
use crate::schedule::ScheduleError;
use crate::spool::SpoolError;

#[cfg(feature = "data")]
use super::data::DataFailure;
#[cfg(feature = "platform")]
use super::platform::TrialError;
use super::template::TemplateError;
#[cfg(feature = "platform")]
use crate::agent::module::RunError;
#[cfg(feature = "platform")]
use crate::platform::PlatformError;

#[cfg(feature = "data")]
pub(crate) use exit::disk;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody has configured anything yet.
    #[error("there is no configuration at {}", path.display())]
    Unconfigured {
        /// Where it would be.
        path: PathBuf,
    },
    /// A configuration cannot be read.
    #[error(transparent)]
    ConfigFile(DiskError),
    /// A configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The client's configuration cannot be read.
    #[error(
        "cannot tell where the API is and which key signs: clientconfpath in [client] names the file"
    )]
    ClientFile(#[source] DiskError),
    /// Nothing says where the client's configuration is.
    #[error("cannot tell where .migrc is: HOME is not set; set clientconfpath in [client]")]
    NoHome,
    /// Nothing says where the key is.
    #[error("cannot tell where the key is: HOME is not set; set home in [gpg] of {}", path.display())]
    NoGnupgHome { path: PathBuf },
    /// The runner's directory is not there.
    #[error("the runner's directory {} is not there: `{}` makes one, or correct `directory` in {}",
        path.display(), Program::Runner.command(&["init", &path.to_string_lossy()]), config.display())]
    NoDirectory {
        path: PathBuf,
        /// The configuration that names it.
        config: PathBuf,
    },
    /// There is something else in the place of a folder that the configuration names.
    #[error("the {} {} is no folder: correct `{}` in {}", what.0, path.display(), what.1, config.display())]
    NotFolder {
        /// Which folder, and the key that names it.
        what: (&'static str, &'static str),
        path: PathBuf,
        /// The configuration that names it.
        config: PathBuf,
    },
    /// There is no spool yet.
    #[error("there is no spool at {}: it is made when the runner first starts", path.display())]
    NoSpool {
        /// Where it would be.
        path: PathBuf,
    },
    /// What somebody else can write or read is not used.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Distrusted {
        /// Each fault, with what to do.
        faults: Vec<Distrust>,
    },
    /// Another runner works with the same jobs.
    #[error("another runner uses the jobs in {}: stop it first", path.display())]
    JobsHeld {
        /// The folder of all jobs.
        path: PathBuf,
    },
    /// The spool is not to be had.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The key is of no use.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The API's settings are no good.
    #[error(transparent)]
    Api(#[from] SettingsError),
    /// The log cannot be set up.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The daemon could not begin.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// No directory was laid out.
    #[error(transparent)]
    Init(#[from] TemplateError),
    /// The disk did not do what it was asked.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file that was named on the command line cannot be read.
    #[error(transparent)]
    Input(DiskError),
    /// A file is no action.
    #[error("{} is no action", path.display())]
    Action {
        path: PathBuf,
        /// Where it is none.
        source: ParseError,
    },
    /// The key did not sign.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A schedule or a time zone is wrong.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// There is no such job.
    #[error("there is no job {name} in {}{}", folder.display(), known(jobs))]
    NoJob {
        name: String,
        /// The folder of all jobs.
        folder: PathBuf,
        /// Those that there are.
        jobs: Vec<String>,
    },
    /// There is nothing that a run has found.
    #[error("there are no results {of}: {why}")]
    NoResults {
        /// Of which run or job.
        of: String,
        why: String,
    },
    /// A results document cannot be read.
    #[error("{} is no results document", path.display())]
    Document {
        path: PathBuf,
        /// Where it is none.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A job is not usable.
    #[error("{}", lines.join("; "))]
    BadJob {
        /// What is wrong with it.
        lines: Vec<String>,
    },
    /// A run cannot be named.
    #[error("cannot name a run of this job")]
    Name(#[from] NameError),
    /// Only the spool's owner may put runs into it.
    #[error("only user {owner} and root can put runs into {}: run `sudo -u '#{owner}' {command}`", spool.display())]
    NotOwner { spool: PathBuf, owner: u32, command: String },
    /// The installation is another user's: what this one made there, that one could not use.
    #[error("the runner of {} is user {owner}: run `sudo -u '#{owner}' {command}`", directory.display())]
    WrongUser { directory: PathBuf, owner: u32, command: String },
    /// A file cannot be given to the spool's owner.
    #[error("cannot give {} to user {owner}", path.display())]
    Give { path: PathBuf, owner: u32, source: io::Error },
    /// A record cannot be written as JSON: a fault of the program.
    #[error("cannot write the run as JSON")]
    Encode(#[source] serde_json::Error),
    /// There is no platform to be run by this command.
    #[error("cannot run {}: install mig-standalone (the Debian package has that name), or build it beside mig-runner with the feature `platform`", program.display())]
    NoStandalone { program: PathBuf, source: io::Error },
    /// Nobody has configured a platform yet.
    #[cfg(feature = "platform")]
    #[error("there is no configuration at {}", path.display())]
    NoPlatform {
        /// Where it would be.
        path: PathBuf,
    },
    #[cfg(feature = "platform")]
    #[error(transparent)]
    Platform(#[from] PlatformError),
    /// A module cannot be run.
    #[cfg(feature = "platform")]
    #[error(transparent)]
    Module(#[from] RunError),
    #[cfg(feature = "platform")]
    #[error(transparent)]
    Trial(#[from] TrialError),
    /// Something failed of which more is known than its causes.
    #[cfg(feature = "platform")]
    #[error("the trial failed")]
    Explained {
        source: Box<Failure>,
        /// What else would help.
        hints: Vec<String>,
    },
    /// A command of `mig-data` failed.
    #[cfg(feature = "data")]
    #[error(transparent)]
    Data(#[from] DataFailure),
    /// The system refused something basic.
    #[error("cannot {doing}")]
    System {
        /// What was being done.
        doing: &'static str,
        source: io::Error,
    },
    /// An answer cannot be written.
    #[error("cannot write the answer")]
    Output(#[source] io::Error),
}

fn known(jobs: &[String]) -> String {
    if jobs.is_empty() { String::new() } else { format!(" (there are {})", jobs.join(", ")) }
}

/// Returns how to begin with a program that is not configured; `thing` is what it works on.
fn beginning(program: Program, thing: &str) -> Vec<String> {
    let ways = [
        ("to see it work on this host:".to_owned(), program.command(&["try"])),
        (format!("to begin with a {thing} of your own:"), program.command(&["init", "DIR"])),
        ("to use a configuration elsewhere:".to_owned(), program.command(&["-c", "FILE"])),
    ];
    let width = ways.iter().map(|(purpose, _)| purpose.len()).max().unwrap_or_default();
    ways.iter().map(|(purpose, command)| format!("{purpose:width$}  {command}")).collect()
}

impl Failure {
    /// Returns what is told of it: one line for each thing that is wrong.
    pub(crate) fn lines(&self) -> Vec<String> {
        match self {
            Failure::Config(error) => error.lines().collect(),
            Failure::Distrusted { faults } => faults.iter().map(ToString::to_string).collect(),
            Failure::Spool(SpoolError::Unsafe { faults }) => faults.clone(),
            Failure::BadJob { lines } => lines.clone(),
            #[cfg(feature = "platform")]
            Failure::Explained { source, .. } => source.lines(),
            other => vec![Chain(other).to_string()],
        }
    }

    /// Returns what else would help.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Failure::Unconfigured { .. } => beginning(Program::Runner, "directory"),
            #[cfg(feature = "platform")]
            Failure::NoPlatform { .. } => beginning(Program::Standalone, "platform"),
            #[cfg(feature = "platform")]
            Failure::Explained { hints, .. } => hints.clone(),
            #[cfg(feature = "data")]
            Failure::Data(failure) => failure.hints(),
            _ => Vec::new(),
        }
    }

    /// Returns the signal that ended it, if one did.
    #[cfg(feature = "platform")]
    pub(crate) fn signal(&self) -> Option<i32> {
        match self {
            Failure::Trial(TrialError::Interrupted { signal, .. }) => Some(*signal),
            _ => None,
        }
    }
}
