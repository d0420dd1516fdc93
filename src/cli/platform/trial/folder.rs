//! The folder of a trial: a runner's directory, which also contains the key and the platform.
//!
//! ```text
//! DIR/  runner.cfg  runners/  plugins/  spool/  results/  reports/    the runner
//!       migrc       names the API and the signing key
//!       gnupg/      the signing key
//!       standalone.cfg  platform/{spool,data}                         the platform
//!       runner.log  platform.log
//! ```

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::error::TrialError;
use crate::cli::env;
use crate::cli::failure::{Failure, SystemError};
use crate::cli::platform::init;
use crate::cli::runner::template::{self, quoted};
use crate::cli::workspace::Workspace;
use crate::disk::Disk;
use crate::disk::descent::Descent;
use crate::random;

pub(super) const JOB: &str = "setuid";
/// The parent of temporary folders if `TMPDIR` is not set, or too long.
const TEMPORARY: &str = "/tmp";
/// Length limit of the folder's path, in bytes: the longest path of a socket in it is
/// `gnupg/S.gpg-agent.browser`, and the limit for sockets is 107 bytes.
const FOLDER_BYTES_MAX: usize = 107 - "/gnupg/S.gpg-agent.browser".len();
/// Size limit of a template file, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Changes to the template for a trial: file, text in the template, text in the trial.
const CHANGES: [(&str, &str, &str); 4] = [
    (
        "runners/setuid/entity.cfg",
        "    expiry = \"5m\"               ; time that agents have to answer\n",
        "    expiry = \"2m\"               ; time that agents have to answer\n",
    ),
    (
        "runners/setuid/entity.cfg",
        "; A new installation sends nothing to a fleet by itself. Remove this line to begin.\n",
        "; There is one agent, so its results are taken as soon as it has answered.\n",
    ),
    ("runners/setuid/entity.cfg", "    paused = true\n", "    earlyresults = true\n"),
    ("runner.cfg", "    clientconfpath = \"default\" ", "    clientconfpath = {migrc} "),
];

#[derive(Debug)]
pub(super) struct TrialFolder {
    folder: PathBuf,
    is_kept: bool,
    disk: Disk,
}

impl TrialFolder {
    /// Creates a runner's directory in `keep`, or in a new temporary folder.
    pub(super) fn create(keep: Option<&Path>) -> Result<TrialFolder, Failure> {
        let folder = match keep {
            Some(folder) => std::path::absolute(folder)
                .map_err(|source| SystemError { doing: "find the working directory", source })?,
            None => temporary()?,
        };
        if !fits(&folder) {
            let bytes_max = FOLDER_BYTES_MAX;
            return Err(TrialError::LongPath { path: folder, bytes_max }.into());
        }
        let disk = Workspace::enter(&[&folder])?.disk(folder.join("spool/.tmp"));
        let trial = TrialFolder { folder, is_kept: keep.is_some(), disk };
        trial.fill().or_else(|failure| trial.remove().and(Err(failure)))?;
        Ok(trial)
    }

    /// Creates the runner's directory, in which only the sample job is enabled.
    fn fill(&self) -> Result<(), Failure> {
        template::create(&self.folder)?;
        let migrc = quoted(&self.path("migrc"))?;
        for (name, from, to) in CHANGES {
            let path = self.path(name);
            let text = self.disk.read(&path, FILE_BYTES_MAX)?;
            let text = String::from_utf8_lossy(&text);
            if !text.contains(from) {
                return Err(TrialError::Template { path, text: from }.into());
            }
            let text = text.replace(from, &to.replace("{migrc}", &migrc));
            drop(self.disk.rewrite(&path, None, text.as_bytes())?);
        }
        for name in ["gnupg", "platform"] {
            self.disk.make_folder(&self.path(name))?;
        }
        Ok(())
    }

    /// Returns the path of a file in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn root(&self) -> &Path {
        &self.folder
    }

    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn platform_config(listen: SocketAddr) -> String {
        init::config_text(listen, "platform/")
    }

    /// Writes the configurations of the platform and of its clients.
    pub(super) fn write_configurations(
        &self,
        listen: SocketAddr,
        url: &str,
        key: &str,
    ) -> Result<(), Failure> {
        let migrc = format!(
            "; The API and the signing key.\n\n\
             [api]\n    url = \"{url}\"\n\n\
             [gpg]\n    home = {}\n    keyid = \"{key}\"\n",
            quoted(&self.path("gnupg"))?
        );
        self.disk.create(&self.path("migrc"), migrc.as_bytes())?;
        let platform = TrialFolder::platform_config(listen);
        self.disk.create(&self.path("standalone.cfg"), platform.as_bytes())?;
        Ok(())
    }

    /// Removes the folder unless it is kept.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        if self.is_kept {
            return Ok(());
        }
        let path = self.folder.clone();
        Ok(fs::remove_dir_all(&self.folder)
            .map_err(|source| TrialError::Remove { path, source })?)
    }
}

/// Returns whether the path is short enough for sockets in the folder.
fn fits(folder: &Path) -> bool {
    folder.as_os_str().len() <= FOLDER_BYTES_MAX
}

/// Creates a new temporary folder.
fn temporary() -> Result<PathBuf, Failure> {
    let name = || io::Result::Ok(format!("mig-try-{}", random::mark()?).into());
    let sample = Path::new("mig-try-abcdef");
    let wanted = env::temporary().filter(|base| base.is_absolute() && fits(&base.join(sample)));
    let parent = wanted.unwrap_or_else(|| TEMPORARY.into());
    // Never an existing folder, because it may belong to another user.
    Ok(Descent::create_unused(&parent, name)?)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::runner::installation::Installation;
    use crate::clock::{Clock, SystemClock};
    use crate::job::folders::Jobs;
    use crate::platform::config::StandaloneConfig;

    fn kept(name: &str) -> (tempfile::TempDir, TrialFolder) {
        let guard = tempfile::tempdir().unwrap();
        let trial = TrialFolder::create(Some(&guard.path().join(name))).unwrap();
        (guard, trial)
    }

    #[test]
    fn only_sample_job_is_enabled() {
        let (_guard, trial) = kept("a b");
        let installation = Installation::load(&trial.path("runner.cfg")).unwrap();
        assert_eq!(installation.config.client.path, Some(trial.path("migrc")));
        let mut jobs = Jobs::new(
            trial.disk.clone(),
            trial.path("runners"),
            crate::disk::trust::own_user(),
            TimeZone::UTC,
        );
        let _changes = jobs.scan(SystemClock.now()).unwrap();
        let running: Vec<_> = jobs.iter().filter(|job| !job.config.paused).collect();
        assert_eq!(running.len(), 1);
        assert_eq!(running[0].name.as_str(), JOB);
        assert_eq!(running[0].config.early_results, Some(true));
        assert_eq!(running[0].config.expiry, std::time::Duration::from_secs(120));
    }

    #[test]
    fn configurations_match_listen_address() {
        let (_guard, trial) = kept("x");
        let listen = "127.0.0.1:4711".parse().unwrap();
        trial
            .write_configurations(listen, "http://127.0.0.1:4711/api/v1/", &"A".repeat(40))
            .unwrap();
        let file = trial.path("standalone.cfg");
        let text = trial.disk.read(&file, FILE_BYTES_MAX).unwrap();
        let config = StandaloneConfig::parse(&text, &file).unwrap();
        assert_eq!((config.listen, config.data), (listen, trial.path("platform/data")));
        let runner = Installation::load(&trial.path("runner.cfg")).unwrap();
        assert_eq!(runner.config.client.path, Some(trial.path("migrc")));
    }

    #[test]
    fn temporary_folder_is_private_and_removed() {
        use std::os::unix::fs::PermissionsExt;
        let trial = TrialFolder::create(None).unwrap();
        let mode = fs::metadata(trial.root()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        trial.remove().unwrap();
        assert!(!trial.root().exists());
    }

    #[test]
    fn kept_folder_is_neither_removed_nor_reused() {
        let (guard, trial) = kept("x");
        trial.remove().unwrap();
        assert!(trial.path("runner.cfg").exists());
        let failure = TrialFolder::create(Some(trial.root())).unwrap_err();
        assert_eq!(failure.exit(), crate::exit::Exit::CannotCreate, "{failure}");
        assert!(trial.path("runner.cfg").exists());
        let long = guard.path().join("x".repeat(100));
        let failure = TrialFolder::create(Some(&long)).unwrap_err();
        assert!(failure.to_string().contains("sockets of GnuPG"), "{failure}");
        assert!(!long.exists());
    }
}
