//! `init`: a platform in an empty folder, and what to do next.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::data::{self, DataFailure};
use crate::cli::failure::Failure;
use crate::cli::{env, output, template};
use crate::clock::{Clock, SystemClock};
use crate::data::{Permissions, Server};
use crate::disk::input_file::InputFile;
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::platform::Data;

/// The longest key that is read.
const KEY_BYTES_MAX: u64 = 1024 * 1024;
/// Where a new platform listens.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1664);

/// Lay out a platform: configuration, database, keyring
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone init /srv/mig --key runner.asc")]
pub(crate) struct Init {
    /// A folder that is new or empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Let the owner of this public key ask and run actions
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// What that investigator is called
    #[arg(long, default_value = "runner", requires = "key")]
    name: String,
    /// Keep the tables there: postgres://USER@HOST/NAME
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Init {
    /// Lays the platform out.
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let key = self.key.as_deref().map(|key| (self.name.as_str(), key));
        let server = match &self.database {
            Some(url) => {
                let server = Server::parse(url).map_err(DataFailure::ServerUrl)?;
                // There is no configuration yet that names it; a URL with a password was refused.
                Program::Data.works_on(&["-d", url]);
                Some(server)
            }
            None => None,
        };
        for line in lay_out(&self.folder, key, server, &SystemClock)? {
            output::answer(line)?;
        }
        Ok(Exit::Done)
    }
}

/// Returns a configuration for a platform that keeps all it has below `folder`, which is relative to
/// the folder of the configuration.
pub(super) fn config(listen: SocketAddr, folder: &str) -> String {
    format!(
        "\
; A MIG platform for one host: see mig-standalone(8). Relative paths begin at
; the folder of this file.

[api]
    listen = {listen}

[directories]
    spool = {folder}spool      ; the scheduler's: each file is an action or a command
    data = {folder}data        ; the database, and the keys of the investigators

[agent]
    heartbeatfreq = 30s
    moduletimeout = 5m
"
    )
}

/// Lays out a platform; returns what to tell of it.
fn lay_out(
    folder: &Path,
    key: Option<(&str, &Path)>,
    server: Option<Server>,
    clock: &dyn Clock,
) -> Result<Vec<String>, Failure> {
    let disk = Disk::new(Arc::new(RealFs), folder.join("data/.tmp"), COMMAND_PREFIX);
    let section = server.as_ref().map(|server| format!("\n{}", server.section()));
    let server = match server {
        Some(server) => Some(server.with_credentials(&disk, &env::postgres_credentials())?),
        None => None,
    };
    template::is_there(&disk, folder)?;
    // Read first, so that what is no key leaves nothing behind.
    let key = match key {
        Some((name, file)) => {
            let armored = InputFile::read(file, KEY_BYTES_MAX).map_err(Failure::Input)?.bytes;
            data::read_key(&armored, &file.display().to_string())?;
            Some((name, armored))
        }
        None => None,
    };
    let data = Data::open(&folder.join("data"), server.as_ref())?;
    let file = folder.join("standalone.cfg");
    let text = config(LISTEN, "") + &section.unwrap_or_default();
    disk.create(&file, text.as_bytes())?;
    let mut lines = Vec::new();
    if let Some((name, armored)) = key {
        let added = data.add_investigator(name, &armored, Permissions::RUNNER, clock);
        // Also after a failure: what GnuPG has started must not outlive this command.
        let ended = data.end_agents();
        let fingerprint = added?;
        ended?;
        lines.push(format!("{name} may run actions with the key {}", fingerprint.as_str()));
    }
    let start = Program::Standalone.command(&["-c", &file.to_string_lossy()]);
    lines.push(format!("start it: {start}"));
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pgp::testing::Home;
    use crate::pgp::{end_gpg_agent, export};
    use crate::platform::config::StandaloneConfig;

    #[test]
    fn what_is_laid_out_can_be_started_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mig");
        let lines = lay_out(&root, None, None, &SystemClock).unwrap();
        let file = root.join("standalone.cfg");
        assert_eq!(lines, [format!("start it: mig-standalone -c {}", file.display())]);
        let disk = Disk::new(Arc::new(RealFs), root.clone(), COMMAND_PREFIX);
        let text = disk.read(&file, KEY_BYTES_MAX).unwrap();
        let config = StandaloneConfig::parse(&text, &file).unwrap();
        assert_eq!(config.listen, LISTEN);
        assert_eq!((config.spool, config.data), (root.join("spool"), root.join("data")));
        for private in ["", "data", "data/gnupg", "data/mig.db", "standalone.cfg"] {
            let meta = disk.find(&root.join(private)).unwrap().unwrap();
            assert_eq!(meta.mode & 0o077, 0, "{private}");
        }
        let failure = lay_out(&root, None, None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::CannotCreate);
        assert!(failure.to_string().contains("is not empty"), "{failure}");
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, key) = (folder.path().join("mig"), folder.path().join("key"));
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let missing = lay_out(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(missing.exit(), Exit::NoInput);
        assert!(!root.exists());
        disk.create(&key, b"no key").unwrap();
        let failure = lay_out(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data, "{failure}");
        let home = Home::new();
        let fingerprint = home.key("rsa1024", None);
        let armored = export(home.path(), &fingerprint).unwrap();
        disk.create(&folder.path().join("half"), &armored[..armored.len() / 2]).unwrap();
        let key = folder.path().join("half");
        let failure = lay_out(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data, "{failure}");
        assert!(!root.exists());
        disk.create(&folder.path().join("whole"), &armored).unwrap();
        let key = folder.path().join("whole");
        let lines = lay_out(&root, Some(("x", &key)), None, &SystemClock).unwrap();
        assert_eq!(lines[0], format!("x may run actions with the key {fingerprint}"));
        end_gpg_agent(&root.join("data/gnupg")).unwrap();
    }
}
