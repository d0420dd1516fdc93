//! An installation of the runner: its configuration, with every path resolved.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::trusted;
use crate::cli::failure::{Explain, Failure, SystemError};
use crate::cli::input::{InputError, InputFile, unless_forbidden};
use crate::cli::workspace::Workspace;
use crate::cli::{env, program};
use crate::config::client::ClientConfig;
use crate::config::logging::LogTarget;
use crate::config::runner::{ClientSettings, RunnerConfig};
use crate::disk::trusted_paths::Content;
use crate::disk::{Context, Disk, DiskError, output_file, trust};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::job::Job;
use crate::job::folders::{Jobs, NoWatches};
use crate::names::JobName;
use crate::schedule::{ScheduleError, zone};
use crate::spool::{Folder, Layout};

/// The configuration file, unless the command line names another one.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/mig/runner.cfg";
/// Size limit of a configuration file, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// The client configuration in a user's home.
const CLIENT_FILE: &str = ".migrc";

/// An installation or one of its jobs cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallationError {
    #[error("there is no configuration at {}", path.display())]
    Unconfigured { path: PathBuf },
    #[error(
        "cannot read the client configuration, which names the API and the signing key (clientconfpath in [client])"
    )]
    ClientFile(#[source] DiskError),
    #[error("cannot find .migrc: HOME is not set; set clientconfpath in [client]")]
    NoHome,
    #[error("the runner's directory {} does not exist: create it with `{}`, or correct `directory` in {}",
        path.display(), Program::Runner.command(&["init", &path.to_string_lossy()]), config.display())]
    NoDirectory {
        path: PathBuf,
        /// The configuration that names it.
        config: PathBuf,
    },
    #[error("the {} {} is not a folder: correct `{}` in {}", what.0, path.display(), what.1, config.display())]
    NotFolder {
        /// The folder's role, and the configuration key that names it.
        what: (&'static str, &'static str),
        path: PathBuf,
        config: PathBuf,
    },
    #[error("there is no job {name} in {}{}", folder.display(), others(jobs))]
    NoJob {
        name: String,
        folder: PathBuf,
        /// The jobs that exist.
        jobs: Vec<String>,
    },
    #[error("{}", lines.join("; "))]
    BadJob {
        /// The faults of the job.
        lines: Vec<String>,
    },
}

fn others(jobs: &[String]) -> String {
    if jobs.is_empty() { String::new() } else { format!(" (jobs: {})", jobs.join(", ")) }
}

impl Explain for InstallationError {
    fn exit(&self) -> Exit {
        match self {
            InstallationError::Unconfigured { .. }
            | InstallationError::NoHome
            | InstallationError::NoDirectory { .. }
            | InstallationError::NotFolder { .. } => Exit::Config,
            InstallationError::ClientFile(error) => unless_forbidden(error, Exit::Config),
            InstallationError::NoJob { .. } => Exit::NoInput,
            InstallationError::BadJob { .. } => Exit::Data,
        }
    }

    fn lines(&self) -> Vec<String> {
        match self {
            InstallationError::BadJob { lines } => lines.clone(),
            _ => Vec::new(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            InstallationError::Unconfigured { .. } => {
                program::first_steps(Program::Runner, "directory")
            }
            _ => Vec::new(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Installation {
    /// The configuration file.
    pub(crate) file: PathBuf,
    pub(crate) config: RunnerConfig,
    /// The runner's directory, absolute, with all links followed.
    pub(crate) directory: PathBuf,
    /// The paths of the spool, absolute, with all links followed.
    pub(crate) layout: Layout,
    /// The spool as the configuration names it, which may be a link.
    configured_spool: PathBuf,
    pub(super) workspace: Workspace,
}

impl Installation {
    /// Reads the configuration `file`. If root runs the command, it becomes the owner of the spool,
    /// or of the directory while there is no spool (see [`Workspace`]).
    ///
    /// # Errors
    /// `InstallationError::Unconfigured` if `file` is the default and does not exist. A user other
    /// than root and the owner can change the file.
    pub(crate) fn load(file: &Path) -> Result<Installation, Failure> {
        Installation::open(file, &[], |config, content, places| {
            Workspace::enter_checked(places, |owner| config.check_trust(content, owner))
        })
    }

    /// As [`Installation::load`], for the command that reports who can change the file. A secret in it
    /// must be one.
    pub(super) fn load_for_check(file: &Path) -> Result<Installation, Failure> {
        Installation::open(file, &[], |config, content, places| match content {
            Content::Secret => {
                Workspace::enter_checked(places, |owner| config.check_trust(content, owner))
            }
            _ => Workspace::enter(places),
        })
    }

    /// As [`Installation::load`], for the daemon, which refuses to run as another user: the user of
    /// the process does not change. The daemon checks the file with everything else that it depends on.
    pub(crate) fn load_for_daemon(file: &Path) -> Result<Installation, Failure> {
        let enter = |_: &InputFile, _, places: &[&Path]| Workspace::examine(places);
        let mut installation = Installation::open(file, &[output_of_metrics], enter)?;
        if let Some(log) = output_of_log(&installation.config) {
            installation.workspace.add_log(log)?;
        }
        Ok(installation)
    }

    /// Reads the configuration `file`; `enter` enters the places that it names, and the files that
    /// `outputs` return.
    fn open(
        file: &Path,
        outputs: &[fn(&RunnerConfig) -> Option<&Path>],
        enter: impl FnOnce(&InputFile, Content, &[&Path]) -> Result<Workspace, Failure>,
    ) -> Result<Installation, Failure> {
        let (config, text) = read_config(file)?;
        let directory = absolute(&config.directory)?;
        let places = places(&config, &directory)?;
        let outputs = outputs.iter().filter_map(|output| output(&config));
        let places: Vec<&Path> = places.iter().map(PathBuf::as_path).chain(outputs).collect();
        let workspace = enter(&text, trusted::config_content(&config), &places)?;
        // Resolve links, because permissions are checked only up to this path.
        let directory = match directory.canonicalize() {
            Ok(found) if !found.is_dir() => {
                let what = ("runner's directory", "directory");
                let config = file.to_owned();
                return Err(InstallationError::NotFolder { what, path: directory, config }.into());
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let config = file.to_owned();
                return Err(InstallationError::NoDirectory { path: directory, config }.into());
            }
            found => found.context("find", &directory)?,
        };
        let configured_spool = configured_spool(&config, &directory)?;
        let spool = resolved(&workspace, &configured_spool)?;
        if spool.metadata().is_ok_and(|meta| !meta.is_dir()) {
            let (what, config) = (("spool", "spool"), file.to_owned());
            return Err(InstallationError::NotFolder { what, path: spool, config }.into());
        }
        let (file, layout) = (file.to_owned(), Layout::new(spool));
        Ok(Installation { file, config, directory, layout, configured_spool, workspace })
    }

    /// Returns the folder of all jobs.
    pub(super) fn runners(&self) -> PathBuf {
        self.directory.join("runners")
    }

    pub(super) fn plugins(&self) -> PathBuf {
        self.directory.join("plugins")
    }

    pub(super) fn results(&self) -> PathBuf {
        self.directory.join("results")
    }

    /// Returns disk access whose temporary files have the prefix of operator commands.
    pub(super) fn disk(&self) -> Disk {
        self.workspace.disk(self.layout.scratch())
    }

    /// Returns the user that the installation belongs to: the owner of the spool, or of the
    /// directory while there is no spool.
    pub(super) fn owner(&self) -> Result<u32, DiskError> {
        if let Some(owner) = self.workspace.owner() {
            return Ok(owner);
        }
        let disk = self.disk();
        let meta = match disk.find(self.layout.root())? {
            Some(meta) => Some(meta),
            None => disk.find(&self.directory)?,
        };
        Ok(meta.map_or_else(trust::own_user, |meta| meta.owner))
    }

    /// Returns the modification time of the configuration file, if it still exists.
    pub(super) fn changed(&self) -> Result<Option<Timestamp>, DiskError> {
        let Ok(file) = self.file.canonicalize() else { return Ok(None) };
        Ok(self.disk().find(&file)?.map(|meta| meta.modified))
    }

    /// Returns an empty job table. A scan fills it with the jobs that the owner's runner would
    /// find.
    pub(super) fn jobs(&self, zone: TimeZone) -> Result<Jobs, DiskError> {
        Ok(Jobs::new(self.disk(), self.runners(), self.owner()?, zone))
    }

    /// Returns one job.
    ///
    /// # Errors
    /// `InstallationError::NoJob` if it does not exist, `BadJob` if its files have faults.
    pub(crate) fn job(&self, name: &JobName, now: Timestamp) -> Result<Arc<Job>, Failure> {
        let mut jobs = self.jobs(machine_zone().0)?;
        // The changes do not matter, because the table was empty before.
        let _changes = jobs.scan_path(&self.runners().join(name.as_str()), &NoWatches, now)?;
        if let Some(job) = jobs.get(name) {
            return Ok(Arc::clone(job));
        }
        if let Some(rejection) = jobs.rejections().next() {
            return Err(InstallationError::BadJob { lines: rejection.lines() }.into());
        }
        Err(self.no_job(name, now)?)
    }

    /// Returns whether a folder exists for a job, with or without faults.
    pub(super) fn has_job(&self, name: &JobName) -> Result<bool, DiskError> {
        Ok(self.disk().find(&self.runners().join(name.as_str()))?.is_some())
    }

    /// Returns the failure for a job that does not exist, which lists the existing jobs.
    pub(super) fn no_job(&self, name: &JobName, now: Timestamp) -> Result<Failure, DiskError> {
        let mut jobs = self.jobs(machine_zone().0)?;
        // Before the first start of the runner, the folder of jobs may not exist.
        if self.disk().find(&self.runners())?.is_some() {
            let _changes = jobs.scan(now)?;
        }
        Ok(InstallationError::NoJob {
            name: name.to_string(),
            folder: self.runners(),
            jobs: jobs.iter().map(|job| job.name.to_string()).collect(),
        }
        .into())
    }

    /// Returns the spool as the configuration names it, which may be a link.
    pub(super) fn configured_spool(&self) -> &Path {
        &self.configured_spool
    }
}

/// Reads the configuration of the MIG clients, at the path that `settings` names or in the user's
/// home, and returns it with its path.
pub(super) fn client(
    settings: Option<&ClientSettings>,
) -> Result<(ClientConfig, PathBuf), Failure> {
    let path = match settings.and_then(|settings| settings.path.as_ref()) {
        Some(path) => path.clone(),
        None => env::home().ok_or(InstallationError::NoHome)?.join(CLIENT_FILE),
    };
    let text = InputFile::read_configured(&path, CONFIG_BYTES_MAX)
        .map_err(InstallationError::ClientFile)?;
    let client = ClientConfig::parse(&text.bytes, &path)?;
    if client.gpg.api_key.is_some() {
        text.check_secret()?;
    }
    Ok((client, path))
}

/// Returns the machine's time zone. If it cannot be determined, returns UTC, as the C library does,
/// and the error.
pub(super) fn machine_zone() -> (TimeZone, Option<ScheduleError>) {
    match zone::machine() {
        Ok(zone) => (zone, None),
        Err(error) => (TimeZone::UTC, Some(error)),
    }
}

fn absolute(path: &Path) -> Result<PathBuf, SystemError> {
    std::path::absolute(path)
        .map_err(|source| SystemError { doing: "find the working directory", source })
}

/// Returns the absolute path of the spool. If the configuration places it below the directory, it
/// is below the resolved directory.
fn configured_spool(config: &RunnerConfig, directory: &Path) -> Result<PathBuf, SystemError> {
    match config.spool.strip_prefix(&config.directory) {
        Ok(below) => Ok(directory.join(below)),
        Err(_) => absolute(&config.spool),
    }
}

/// Returns a path with all links followed, or unchanged if it does not exist.
fn resolved(workspace: &Workspace, path: &Path) -> Result<PathBuf, DiskError> {
    let found = workspace.disk(PathBuf::new()).resolve(path, None)?;
    Ok(found.map_or_else(|| path.to_owned(), |found| found.path))
}

/// Returns the spool, the directory, and the folders in which commands change files.
fn places(config: &RunnerConfig, directory: &Path) -> Result<Vec<PathBuf>, SystemError> {
    let spool = configured_spool(config, directory)?;
    let layout = Layout::new(spool.clone());
    let folders = Folder::ALL.map(|folder| layout.folder(folder));
    let places = [spool, directory.to_owned(), layout.scratch()].into_iter();
    Ok(places.chain(folders).collect())
}

/// Returns the log, unless it is a standard stream.
fn output_of_log(config: &RunnerConfig) -> Option<&Path> {
    match &config.logging.target {
        LogTarget::File { path, .. } if !output_file::is_stream(path) => Some(path),
        _ => None,
    }
}

fn output_of_metrics(config: &RunnerConfig) -> Option<&Path> {
    config.metrics.as_deref()
}

fn read_config(file: &Path) -> Result<(RunnerConfig, InputFile), Failure> {
    let text = match InputFile::read(file, CONFIG_BYTES_MAX) {
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && file == Path::new(CONFIG_DEFAULT) =>
        {
            return Err(InstallationError::Unconfigured { path: file.to_owned() }.into());
        }
        read => read.map_err(InputError::Config)?,
    };
    Ok((RunnerConfig::parse(&text.bytes, file)?, text))
}
