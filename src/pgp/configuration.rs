//! Finds faults of GnuPG's own configuration, which its library reports as other errors.
//!
//! If gpg.conf has an invalid option, or there is no agent, the library reports a missing key, "End
//! of file" or "General error". So after such an error the program `gpg` is run, and its output is
//! parsed. Only its status lines identify the fault; its messages are shown to the user.
//!
//! **Invariant.** This runs only after a failure, in a worker, which ends `gpg` at the time limit.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gpgme::Error;
use serde::{Deserialize, Serialize};

use super::{environment, wire};

/// Size limit of the output of `gpg`, in bytes.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;
/// Maximum number of characters of its messages that are shown.
const MESSAGE_CHARS_MAX: usize = 300;
/// The configuration files in a home. GnuPG never stops reading if one of them is a folder.
const FILES: [&str; 3] = ["gpg.conf", "gpg-agent.conf", "common.conf"];
/// The prefix of a status line.
const STATUS: &str = "[GNUPG:] ";

/// A fault of GnuPG's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub(crate) enum ConfigurationError {
    /// An option is unknown to GnuPG or has an invalid value.
    #[error(
        "GnuPG rejects an option of its configuration ({message}): correct or remove it in {}, or in /etc/gnupg/gpg.conf",
        home.join("gpg.conf").display()
    )]
    Option {
        #[serde(with = "wire::path")]
        home: PathBuf,
        message: String,
    },
    /// No agent runs, and GnuPG cannot start one.
    #[error(
        "GnuPG cannot start gpg-agent for the home {} ({message}): install gpg-agent, and check for no-autostart and \
         agent-program in gpg.conf of the home", home.display()
    )]
    Agent {
        #[serde(with = "wire::path")]
        home: PathBuf,
        message: String,
    },
    /// The configuration names a further signing key, which cannot sign.
    #[error(
        "GnuPG is configured to sign with the key \"{name}\" as well, but cannot: remove local-user {name} from {}, or from \
         /etc/gnupg/gpg.conf", home.join("gpg.conf").display()
    )]
    LocalUser {
        #[serde(with = "wire::path")]
        home: PathBuf,
        name: String,
    },
    /// A configuration file is a folder or a device. GnuPG would never stop reading it.
    #[error("GnuPG cannot read {}, which is not a file: remove it", path.display())]
    NotFile {
        #[serde(with = "wire::path")]
        path: PathBuf,
    },
}

impl ConfigurationError {
    /// Returns whether a retry may succeed: an agent may fail to start on a busy machine.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, ConfigurationError::Agent { .. })
    }
}

/// Checks that the configuration files that exist are files.
pub(super) fn check_files(home: &Path) -> Result<(), ConfigurationError> {
    let mut paths = FILES.iter().map(|name| home.join(name));
    match paths.find(|path| path.metadata().is_ok_and(|found| !found.is_file())) {
        Some(path) => Err(ConfigurationError::NotFile { path }),
        None => Ok(()),
    }
}

/// Returns the fault of the configuration that explains an error of GnuPG.
///
/// With `key`, the id of a secret key, GnuPG also has to contact its agent.
pub(super) fn fault(home: &Path, key: Option<&str>) -> Option<ConfigurationError> {
    if let Err(fault) = check_files(home) {
        return Some(fault);
    }
    let output = match key {
        Some(key) => run_gpg(home, ["--list-secret-keys", key]),
        None => run_gpg(home, ["--list-keys", "0000000000000000"]),
    };
    parse_fault(home, &output?)
}

/// Returns the fault of the configuration that explains why GnuPG did not sign with the secret key
/// `key`.
pub(super) fn signing_fault(home: &Path, key: &str) -> Option<ConfigurationError> {
    let found = fault(home, Some(key));
    if found.is_some() {
        return found;
    }
    // No prompt appears. GnuPG checks all signing keys before it needs a passphrase.
    let sign = ["--pinentry-mode", "error", "--local-user", key, "--output", "-", "--detach-sign"];
    let output = run_gpg(home, sign)?;
    let mut rejected = output.lines().filter_map(|line| {
        let rest = line.strip_prefix(STATUS)?.strip_prefix("INV_SGNR ")?;
        rest.split_once(' ').map(|(_, name)| name.trim())
    });
    let name = rejected.find(|name| !name.eq_ignore_ascii_case(key))?;
    Some(ConfigurationError::LocalUser { home: home.to_owned(), name: printable(name) })
}

/// Returns whether a fault of the configuration may be the cause of an error of the library.
pub(super) fn may_be_cause(error: Error) -> bool {
    [
        Error::EOF,
        Error::GENERAL,
        Error::NO_AGENT,
        Error::NO_DATA,
        Error::NO_SECKEY,
        Error::UNUSABLE_SECKEY,
        Error::INV_ENGINE,
        Error::CONFIGURATION,
    ]
    .iter()
    .any(|known| known.code() == error.code())
}

/// Returns a command that runs `gpg` on a home, with English messages.
pub(super) fn gpg(home: &Path) -> Command {
    let mut command = environment::command("gpg");
    command.arg("--homedir").arg(home).args(["--batch", "--no-tty"]).env("LC_ALL", "C");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs `gpg` on a home; returns its status lines and messages.
fn run_gpg<'a>(home: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut command = gpg(home);
    command.args(["--status-fd", "2"]).args(arguments).stdin(Stdio::piped());
    let mut child = command.spawn().ok()?;
    if let Some(mut text) = child.stdin.take() {
        // This fails if the process has already ended.
        text.write_all(b"x").ok();
    }
    let mut output = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        stderr.take(OUTPUT_BYTES_MAX).read_to_end(&mut output).ok();
    }
    // It has written enough, or has already ended.
    child.kill().ok();
    child.wait().ok()?;
    Some(String::from_utf8_lossy(&output).into_owned())
}

/// Parses the output of `gpg`.
fn parse_fault(home: &Path, output: &str) -> Option<ConfigurationError> {
    let mut statuses = output.lines().filter_map(|line| line.strip_prefix(STATUS));
    let home = home.to_owned();
    statuses.find_map(|status| {
        let message = message(output);
        let mut parts = status.split(' ');
        let (keyword, location, code) = (parts.next()?, parts.next()?, parts.next()?);
        let is_failure = matches!(keyword, "FAILURE" | "ERROR");
        // The upper bits of the number name the part of GnuPG that it comes from.
        let code = code.parse::<u32>().ok()? & 0xffff;
        if is_failure && location.starts_with("option-") {
            Some(ConfigurationError::Option { home: home.clone(), message })
        } else if is_failure && code == Error::NO_AGENT.code() {
            Some(ConfigurationError::Agent { home: home.clone(), message })
        } else {
            None
        }
    })
}

/// Returns the messages of `gpg` on one line.
fn message(output: &str) -> String {
    let lines = output.lines().filter(|line| !line.starts_with(STATUS));
    let lines = lines.map(|line| line.strip_prefix("gpg: ").unwrap_or(line).trim());
    let remarks = ["WARNING: ", "Note: "];
    let lines = lines
        .filter(|line| !line.is_empty() && !remarks.iter().any(|remark| line.starts_with(remark)));
    printable(&lines.collect::<Vec<_>>().join("; "))
}

/// Returns a text of GnuPG without control characters, shortened if necessary.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect()
}
