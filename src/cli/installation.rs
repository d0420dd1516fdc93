//! An installation: what the configuration says, with every path in full.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zeroize::Zeroizing;

use super::env;
use super::failure::Failure;
use crate::config::client::ClientConfig;
use crate::config::runner::{ClientSettings, PassphraseSource, RunnerConfig};
use crate::disk::input_file::InputFile;
use crate::disk::trust::{self, Distrust};
use crate::disk::{COMMAND_PREFIX, Context, Disk, DiskError, RealFs};
use crate::job::Job;
use crate::job::scan::Jobs;
use crate::names::JobName;
use crate::schedule::{ScheduleError, zone};
use crate::spool::Layout;

/// Where the configuration is, unless the command line says otherwise.
pub(crate) const CONFIG_DEFAULT: &str = "/etc/mig/runner.cfg";
/// The largest configuration that is read.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;
/// The name of the client's configuration in a home.
const CLIENT_FILE: &str = ".migrc";

/// A runner as it is configured.
#[derive(Debug)]
pub(crate) struct Installation {
    pub(crate) file: PathBuf,
    pub(crate) config: RunnerConfig,
    /// The runner's directory, in full.
    pub(crate) directory: PathBuf,
    /// Where the parts of the spool are, in full, all links followed.
    pub(crate) layout: Layout,
    /// The spool as the configuration names it, which may be a link.
    named_spool: PathBuf,
}

/// A file that was read, which may hold a secret.
pub(crate) struct Text {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    input: InputFile,
}

impl Text {
    /// Reads a file, or a pipe in its place. Links are followed: configurations are often kept elsewhere.
    pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Text, DiskError> {
        let mut input = InputFile::read(path, bytes_max)?;
        Ok(Text { bytes: Zeroizing::new(std::mem::take(&mut input.bytes)), input })
    }

    /// Refuses a file with a secret that others can read.
    pub(crate) fn check_secret(&self) -> Result<(), Failure> {
        self.check_hidden_from(trust::own_user())
    }

    /// Refuses a file with a secret that others can read; root may use everybody's.
    #[cfg(feature = "data")]
    pub(crate) fn check_hidden(&self) -> Result<(), Failure> {
        let owner = self.input.owner().filter(|_| trust::own_user() == 0);
        self.check_hidden_from(owner.unwrap_or_else(trust::own_user))
    }

    fn check_hidden_from(&self, user: u32) -> Result<(), Failure> {
        match self.input.check_secret(&disk(Path::new("")), user)? {
            Some(fault) => Err(Failure::Distrusted { faults: vec![fault] }),
            None => Ok(()),
        }
    }
}

impl Installation {
    /// Reads the configuration `file`.
    ///
    /// # Errors
    /// It cannot be read, or has faults; all of them are told.
    pub(crate) fn load(file: &Path) -> Result<Installation, Failure> {
        let text = match Text::read(file, CONFIG_BYTES_MAX) {
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && file == Path::new(CONFIG_DEFAULT) =>
            {
                return Err(Failure::Unconfigured { path: file.to_owned() });
            }
            read => read.map_err(Failure::ConfigFile)?,
        };
        let config = RunnerConfig::parse(&text.bytes, file)?;
        if matches!(config.client.passphrase, Some(PassphraseSource::Here(_))) {
            text.check_secret()?;
        }
        let directory = absolute(&config.directory)?;
        // All paths are those that are there in truth: what is above a link is not checked.
        let directory = match directory.canonicalize() {
            Ok(found) if !found.is_dir() => {
                let what = ("runner's directory", "directory");
                return Err(Failure::NotFolder { what, path: directory, config: file.to_owned() });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Failure::NoDirectory { path: directory, config: file.to_owned() });
            }
            found => found.context("find", &directory)?,
        };
        let named_spool = named_spool(&config, &directory)?;
        let spool = real(&named_spool)?;
        if spool.metadata().is_ok_and(|meta| !meta.is_dir()) {
            let what = ("spool", "spool");
            return Err(Failure::NotFolder { what, path: spool, config: file.to_owned() });
        }
        let (file, layout) = (file.to_owned(), Layout::new(spool));
        Ok(Installation { file, config, directory, layout, named_spool })
    }

    /// Returns the folder of all jobs.
    pub(crate) fn runners(&self) -> PathBuf {
        self.directory.join("runners")
    }

    /// Returns the folder of the plugins.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.directory.join("plugins")
    }

    /// Returns the folder of the results, by action.
    fn results(&self) -> PathBuf {
        self.directory.join("results")
    }

    /// Returns the disk for a command that a person typed.
    pub(crate) fn disk(&self) -> Disk {
        disk(&self.layout.scratch())
    }

    /// Returns the user whose installation it is: the owner of the spool, or of the directory before there is one.
    pub(crate) fn owner(&self) -> Result<u32, DiskError> {
        let disk = self.disk();
        let meta = match disk.find(self.layout.root())? {
            Some(meta) => Some(meta),
            None => disk.find(&self.directory)?,
        };
        Ok(meta.map_or_else(trust::own_user, |meta| meta.owner))
    }

    /// Returns when the configuration was last written, if it is still there.
    pub(crate) fn changed(&self) -> Result<Option<Timestamp>, DiskError> {
        let Ok(file) = self.file.canonicalize() else { return Ok(None) };
        Ok(self.disk().find(&file)?.map(|meta| meta.modified))
    }

    /// Returns the jobs as the owner's runner would find them, none of which is known yet.
    pub(crate) fn jobs(&self, zone: TimeZone) -> Result<Jobs, DiskError> {
        Ok(Jobs::new(self.disk(), self.runners(), self.owner()?, zone))
    }

    /// Returns one job.
    ///
    /// # Errors
    /// It is not there, or is not usable.
    pub(crate) fn job(&self, name: &JobName, now: Timestamp) -> Result<Arc<Job>, Failure> {
        let mut jobs = self.jobs(machine_zone().0)?;
        // What changed is of no interest: nothing was known before.
        let _changes = jobs.look_into(&self.runners().join(name.as_str()), now)?;
        if let Some(job) = jobs.get(name) {
            return Ok(Arc::clone(job));
        }
        if let Some(rejection) = jobs.rejections().next() {
            return Err(Failure::BadJob { lines: rejection.lines() });
        }
        Err(self.no_job(name, now)?)
    }

    /// Tells whether a job of this name is there, usable or not.
    pub(crate) fn has_job(&self, name: &JobName) -> Result<bool, DiskError> {
        Ok(self.disk().find(&self.runners().join(name.as_str()))?.is_some())
    }

    /// Returns the failure that there is no job of this name, with those that there are.
    pub(crate) fn no_job(&self, name: &JobName, now: Timestamp) -> Result<Failure, DiskError> {
        let mut jobs = self.jobs(machine_zone().0)?;
        // A runner that was never started may have no folder of jobs.
        if self.disk().find(&self.runners())?.is_some() {
            let _changes = jobs.look(now)?;
        }
        Ok(Failure::NoJob {
            name: name.to_string(),
            folder: self.runners(),
            jobs: jobs.iter().map(|job| job.name.to_string()).collect(),
        })
    }

    /// Returns what others could change of the directory, its folders, and what their links lead to.
    pub(crate) fn distrust(&self, user: u32) -> Result<Vec<Distrust>, DiskError> {
        let disk = self.disk();
        let mut faults = Vec::new();
        for folder in [self.runners(), self.plugins(), self.results(), self.named_spool.clone()] {
            faults.extend(trust::check_up_to(&disk, &folder, &self.directory, user)?);
        }
        let mut told = Vec::new();
        for fault in faults {
            if !told.contains(&fault) {
                told.push(fault);
            }
        }
        Ok(told)
    }
}

/// Reads the configuration of MIG's clients that the runner's names, and returns it with its path.
///
/// # Errors
/// It cannot be read, has faults, or holds a secret that others can read.
pub(crate) fn client(
    settings: Option<&ClientSettings>,
) -> Result<(ClientConfig, PathBuf), Failure> {
    let path = match settings.and_then(|settings| settings.path.as_ref()) {
        Some(path) => path.clone(),
        None => env::home().ok_or(Failure::NoHome)?.join(CLIENT_FILE),
    };
    let text = Text::read(&path, CONFIG_BYTES_MAX).map_err(Failure::ClientFile)?;
    let client = ClientConfig::parse(&text.bytes, &path)?;
    if client.gpg.api_key.is_some() {
        text.check_secret()?;
    }
    Ok((client, path))
}

/// Returns the machine's time zone. Where nothing tells it, it is UTC, as for the C library; the
/// error says so.
pub(crate) fn machine_zone() -> (TimeZone, Option<ScheduleError>) {
    match zone::machine() {
        Ok(zone) => (zone, None),
        Err(error) => (TimeZone::UTC, Some(error)),
    }
}

/// Returns a path in full: a relative one is relative to the working directory.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|source| Failure::System { doing: "tell the working directory", source })
}

/// Returns where the spool is by its name. One that is below the directory as it is written is below
/// it as it is.
fn named_spool(config: &RunnerConfig, directory: &Path) -> Result<PathBuf, Failure> {
    match config.spool.strip_prefix(&config.directory) {
        Ok(below) => Ok(directory.join(below)),
        Err(_) => absolute(&config.spool),
    }
}

/// Returns a path with all links followed, as it is if there is nothing.
fn real(path: &Path) -> Result<PathBuf, DiskError> {
    let found = disk(Path::new("")).resolve(path, None)?;
    Ok(found.map_or_else(|| path.to_owned(), |found| found.path))
}

fn disk(scratch: &Path) -> Disk {
    Disk::new(Arc::new(RealFs), scratch.to_owned(), COMMAND_PREFIX)
}
