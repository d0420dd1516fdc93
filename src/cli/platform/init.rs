//! `init`: creates a platform in an empty folder, and prints the next steps.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::cli::data::{DataFailure, read_key};
use crate::cli::failure::Failure;
use crate::cli::input::{self, InputError};
use crate::cli::output;
use crate::cli::runner::template;
use crate::cli::workspace::Workspace;
use crate::clock::{Clock, SystemClock};
use crate::data::{DatabaseServer, Permissions};
use crate::disk::input_file::InputFile;
use crate::exit::Exit;
use crate::invocation::Program;
use crate::platform::Data;

/// Size limit of a key file, in bytes.
const KEY_BYTES_MAX: u64 = 1024 * 1024;
/// The address of a new platform.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1664);

/// Create a platform: configuration, database and keyring
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone init /srv/mig --key runner.asc")]
pub(super) struct Init {
    /// A new or empty folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Let this public key's owner read data and run actions
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Name of that investigator
    #[arg(long, default_value = "runner", requires = "key")]
    name: String,
    /// Use this PostgreSQL database: postgres://USER@HOST/NAME
    #[arg(long, value_name = "URL")]
    database: Option<String>,
}

impl Init {
    pub(super) fn run(&self) -> Result<Exit, Failure> {
        let key = self.key.as_deref().map(|key| (self.name.as_str(), key));
        let server = match &self.database {
            Some(url) => {
                let server = DatabaseServer::parse(url).map_err(DataFailure::ServerUrl)?;
                // Suggested commands name the URL, because no configuration does yet. It contains
                // no password: such a URL was refused.
                Program::Data.set_options(&["-d", url]);
                Some(server)
            }
            None => None,
        };
        for line in create(&self.folder, key, server, &SystemClock)? {
            output::answer(line)?;
        }
        Ok(Exit::Done)
    }
}

/// Returns a configuration for a platform whose data is below `folder`, which is relative to the
/// folder of the configuration.
pub(super) fn config_text(listen: SocketAddr, folder: &str) -> String {
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

/// Creates a platform; returns the lines to print.
fn create(
    folder: &Path,
    key: Option<(&str, &Path)>,
    server: Option<DatabaseServer>,
    clock: &dyn Clock,
) -> Result<Vec<String>, Failure> {
    let section = server.as_ref().map(|server| format!("\n{}", server.section()));
    // Passwords and the key first, because they are files of the user who runs this command.
    let server = match server {
        Some(server) => Some(input::with_credentials(server)?),
        None => None,
    };
    let key = match key {
        Some((name, file)) => {
            let input = InputFile::read(file, KEY_BYTES_MAX).map_err(InputError::Argument)?;
            Some((name, file, input.bytes))
        }
        None => None,
    };
    let disk = Workspace::enter(&[folder])?.disk(folder.join("data/.tmp"));
    template::check_unused(folder)?;
    // Check the key before anything is created, so that an invalid key leaves nothing behind.
    if let Some((_, file, armored)) = &key {
        read_key(armored, &file.display().to_string())?;
    }
    template::make_empty(folder)?;
    let data = Data::open(&folder.join("data"), server.as_ref())?;
    let file = folder.join("standalone.cfg");
    let text = config_text(LISTEN, "") + &section.unwrap_or_default();
    disk.create(&file, text.as_bytes())?;
    let mut lines = Vec::new();
    if let Some((name, _, armored)) = key {
        let added = data.add_investigator(name, &armored, Permissions::RUNNER, clock);
        // Even after a failure: agents that GnuPG has started must not outlive this command.
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
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
    use crate::pgp::testing::Home;
    use crate::pgp::{end_gpg_agent, export};
    use crate::platform::config::StandaloneConfig;

    #[test]
    fn created_platform_is_private_and_can_start() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mig");
        let lines = create(&root, None, None, &SystemClock).unwrap();
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
        let failure = create(&root, None, None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::CannotCreate);
        assert!(failure.to_string().contains("is not empty"), "{failure}");
    }

    #[test]
    fn invalid_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, key) = (folder.path().join("mig"), folder.path().join("key"));
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), COMMAND_PREFIX);
        let missing = create(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(missing.exit(), Exit::NoInput);
        assert!(!root.exists());
        disk.create(&key, b"no key").unwrap();
        let failure = create(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data, "{failure}");
        let home = Home::new();
        let fingerprint = home.key("rsa1024", None);
        let armored = export(home.path(), &fingerprint).unwrap();
        disk.create(&folder.path().join("half"), &armored[..armored.len() / 2]).unwrap();
        let key = folder.path().join("half");
        let failure = create(&root, Some(("x", &key)), None, &SystemClock).unwrap_err();
        assert_eq!(failure.exit(), Exit::Data, "{failure}");
        assert!(!root.exists());
        disk.create(&folder.path().join("whole"), &armored).unwrap();
        let key = folder.path().join("whole");
        let lines = create(&root, Some(("x", &key)), None, &SystemClock).unwrap();
        assert_eq!(lines[0], format!("x may run actions with the key {fingerprint}"));
        end_gpg_agent(&root.join("data/gnupg")).unwrap();
    }
}
