//! The folder of a trial: a runner's directory, with key and platform beside it.
//!
//! ```text
//! DIR/  runner.cfg  runners/  plugins/  spool/  results/  reports/    the runner's
//!       migrc       where the API is, and which key signs
//!       gnupg/      that key
//!       standalone.cfg  platform/{spool,data}                         the platform's
//!       runner.log  platform.log
//! ```

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TrialError;
use crate::cli::env;
use crate::cli::failure::Failure;
use crate::cli::platform::init;
use crate::cli::template::{self, quoted};
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, RealFs};
use crate::random;

/// The sample job that is run.
pub(super) const JOB: &str = "setuid";
/// Where temporary folders are if nothing else is said, or if that is too long.
const TEMPORARY: &str = "/tmp";
/// How long the name of a folder may be: its longest socket is `gnupg/S.gpg-agent.browser`, and the
/// name of a socket has 107 bytes at the most.
const FOLDER_BYTES_MAX: usize = 107 - "/gnupg/S.gpg-agent.browser".len();
/// The longest file of the template.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// What the sample job says of itself in the template, and in a trial.
const CHANGES: [(&str, &str, &str); 4] = [
    (
        "runners/setuid/entity.cfg",
        "    expiry = \"5m\"               ; agents have that long to answer\n",
        "    expiry = \"2m\"               ; agents have that long to answer\n",
    ),
    (
        "runners/setuid/entity.cfg",
        "; A new installation sends nothing to a fleet by itself. Remove this line to begin.\n",
        "; There is one agent, so its results are taken as soon as it has answered.\n",
    ),
    ("runners/setuid/entity.cfg", "    paused = true\n", "    earlyresults = true\n"),
    ("runner.cfg", "    clientconfpath = \"default\" ", "    clientconfpath = {migrc} "),
];

/// The folder of a trial.
#[derive(Debug)]
pub(super) struct Place {
    folder: PathBuf,
    is_kept: bool,
    disk: Disk,
}

impl Place {
    /// Makes the folder and the runner's directory in it: the one that is to be kept, or a temporary one.
    pub(super) fn make(keep: Option<&Path>) -> Result<Place, Failure> {
        let folder = match keep {
            Some(folder) => std::path::absolute(folder).map_err(|source| Failure::System {
                doing: "tell the working directory",
                source,
            })?,
            None => temporary()?,
        };
        if !fits(&folder) {
            let bytes_max = FOLDER_BYTES_MAX;
            return Err(TrialError::Long { path: folder, bytes_max }.into());
        }
        let disk = Disk::new(Arc::new(RealFs), folder.join("spool/.tmp"), COMMAND_PREFIX);
        let place = Place { folder, is_kept: keep.is_some(), disk };
        place.lay_out().or_else(|failure| place.remove().and(Err(failure)))?;
        Ok(place)
    }

    /// Lays out the runner's directory, in which the sample job alone is not paused.
    fn lay_out(&self) -> Result<(), Failure> {
        template::lay_out(&self.folder)?;
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

    /// Returns the name of something in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells whether the folder stays.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Returns the disk that the folder is on.
    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Returns the text of the platform's configuration.
    pub(super) fn platform_config(listen: SocketAddr) -> String {
        init::config(listen, "platform/")
    }

    /// Writes where the platform is, for it and for the runner, and which key signs.
    pub(super) fn write_configuration(
        &self,
        listen: SocketAddr,
        url: &str,
        key: &str,
    ) -> Result<(), Failure> {
        let migrc = format!(
            "; Where the API is, and which key signs.\n\n\
             [api]\n    url = \"{url}\"\n\n\
             [gpg]\n    home = {}\n    keyid = \"{key}\"\n",
            quoted(&self.path("gnupg"))?
        );
        self.disk.create(&self.path("migrc"), migrc.as_bytes())?;
        let platform = Place::platform_config(listen);
        self.disk.create(&self.path("standalone.cfg"), platform.as_bytes())?;
        Ok(())
    }

    /// Removes the folder, unless it is to be kept.
    pub(super) fn remove(&self) -> Result<(), Failure> {
        if self.is_kept {
            return Ok(());
        }
        let path = self.folder.clone();
        Ok(fs::remove_dir_all(&self.folder)
            .map_err(|source| TrialError::Remove { path, source })?)
    }
}

/// Tells whether sockets can be made below a folder.
fn fits(folder: &Path) -> bool {
    folder.as_os_str().len() <= FOLDER_BYTES_MAX
}

/// Makes a folder that nobody has had before.
fn temporary() -> Result<PathBuf, Failure> {
    let mark = random::mark()
        .map_err(|source| Failure::System { doing: "get a random number", source })?;
    let name = format!("mig-try-{mark}");
    let wanted = env::temporary().map(|base| base.join(&name)).filter(|path| path.is_absolute());
    let folder = wanted.filter(|path| fits(path)).unwrap_or(Path::new(TEMPORARY).join(&name));
    make_new(&folder)?;
    Ok(folder)
}

/// Makes a folder, private to its owner; that it is there already is an error: it may be anybody's.
fn make_new(folder: &Path) -> Result<(), DiskError> {
    use crate::disk::Context;
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(folder).context("make folder", folder)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::cli::installation::Installation;
    use crate::clock::{Clock, SystemClock};
    use crate::job::scan::Jobs;
    use crate::platform::config::StandaloneConfig;

    fn kept(name: &str) -> (tempfile::TempDir, Place) {
        let guard = tempfile::tempdir().unwrap();
        let place = Place::make(Some(&guard.path().join(name))).unwrap();
        (guard, place)
    }

    #[test]
    fn the_sample_job_alone_runs_and_its_results_are_taken_early() {
        let (_guard, place) = kept("a b");
        let installation = Installation::load(&place.path("runner.cfg")).unwrap();
        assert_eq!(installation.config.client.path, Some(place.path("migrc")));
        let mut jobs = Jobs::new(
            place.disk.clone(),
            place.path("runners"),
            crate::disk::trust::own_user(),
            TimeZone::UTC,
        );
        let _changes = jobs.look(SystemClock.now()).unwrap();
        let running: Vec<_> = jobs.iter().filter(|job| !job.config.paused).collect();
        assert_eq!(running.len(), 1);
        assert_eq!(running[0].name.as_str(), JOB);
        assert_eq!(running[0].config.early_results, Some(true));
        assert_eq!(running[0].config.expiry, std::time::Duration::from_secs(120));
    }

    #[test]
    fn the_platform_is_configured_where_it_listens() {
        let (_guard, place) = kept("x");
        let listen = "127.0.0.1:4711".parse().unwrap();
        place
            .write_configuration(listen, "http://127.0.0.1:4711/api/v1/", &"A".repeat(40))
            .unwrap();
        let file = place.path("standalone.cfg");
        let text = place.disk.read(&file, FILE_BYTES_MAX).unwrap();
        let config = StandaloneConfig::parse(&text, &file).unwrap();
        assert_eq!((config.listen, config.data), (listen, place.path("platform/data")));
        let runner = Installation::load(&place.path("runner.cfg")).unwrap();
        assert_eq!(runner.config.client.path, Some(place.path("migrc")));
    }

    #[test]
    fn a_temporary_folder_is_new_private_and_goes_again() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::make(None).unwrap();
        let mode = fs::metadata(place.folder()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(make_new(place.folder()).is_err());
        place.remove().unwrap();
        assert!(!place.folder().exists());
    }

    #[test]
    fn a_folder_that_is_kept_is_not_removed_and_not_used_twice() {
        let (guard, place) = kept("x");
        place.remove().unwrap();
        assert!(place.path("runner.cfg").exists());
        let failure = Place::make(Some(place.folder())).unwrap_err();
        assert_eq!(failure.exit(), crate::exit::Exit::CannotCreate, "{failure}");
        assert!(place.path("runner.cfg").exists());
        let long = guard.path().join("x".repeat(100));
        let failure = Place::make(Some(&long)).unwrap_err();
        assert!(failure.to_string().contains("sockets of GnuPG"), "{failure}");
        assert!(!long.exists());
    }
}
