//! Faults of GnuPG's own configuration, which its library reports as something else.
//!
//! With an option that `gpg` refuses in gpg.conf, or without an agent, the library says that there is no key,
//! "End of file" or "General error". So after such an error `gpg` is run once more by itself, and what it
//! reports is read. Only its status lines decide; its words are shown.
//!
//! **Invariant.** This runs only after a failure, and never inside a conversation of the library.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use gpgme::Error;

use crate::spawn;

/// How much of what `gpg` reports is read.
const REPORT_BYTES_MAX: u64 = 64 * 1024;
/// How much of its words is shown.
const WORDS_CHARS_MAX: usize = 300;
/// The files of a home that GnuPG reads. It reads for ever if one of them is a folder.
const FILES: [&str; 3] = ["gpg.conf", "gpg-agent.conf", "common.conf"];
/// What a status line begins with.
const STATUS: &str = "[GNUPG:] ";

/// What is wrong with the configuration of GnuPG.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetupFault {
    /// An option has a value that GnuPG does not take, or GnuPG does not know the option.
    #[error(
        "GnuPG refuses an option of its configuration ({words}): correct or remove it in {}, or in /etc/gnupg/gpg.conf",
        home.join("gpg.conf").display()
    )]
    Option { home: PathBuf, words: String },
    /// There is no agent, and none can be started.
    #[error(
        "GnuPG cannot start gpg-agent for the home {} ({words}): install gpg-agent, and look for no-autostart and \
         agent-program in the home's gpg.conf", home.display()
    )]
    Agent { home: PathBuf, words: String },
    /// GnuPG is told to sign with a further key, and it cannot.
    #[error(
        "GnuPG is told to sign with the key \"{name}\" as well, and cannot: remove local-user {name} from {}, or from \
         /etc/gnupg/gpg.conf", home.join("gpg.conf").display()
    )]
    LocalUser {
        home: PathBuf,
        /// The name of the further key.
        name: String,
    },
    /// A file of the configuration is a folder or a device. GnuPG would read it for ever.
    #[error("GnuPG cannot read {}, which is not a file: remove it", path.display())]
    NoFile {
        /// What should be a file.
        path: PathBuf,
    },
}

impl SetupFault {
    /// Returns whether it may pass by itself: an agent may fail to start on a busy machine.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, SetupFault::Agent { .. })
    }
}

/// Checks that the files of the configuration are files, if they are there.
pub(super) fn check_files(home: &Path) -> Result<(), SetupFault> {
    let mut paths = FILES.iter().map(|name| home.join(name));
    match paths.find(|path| path.metadata().is_ok_and(|found| !found.is_file())) {
        Some(path) => Err(SetupFault::NoFile { path }),
        None => Ok(()),
    }
}

/// Returns the fault of the configuration that explains an error of GnuPG; `None` if there is none.
///
/// `key` is a secret key that GnuPG has been asked for, so that it looks for its agent.
pub(super) fn fault(home: &Path, key: Option<&str>) -> Option<SetupFault> {
    if let Err(fault) = check_files(home) {
        return Some(fault);
    }
    let report = match key {
        Some(key) => report(home, ["--list-secret-keys", key]),
        None => report(home, ["--list-keys", "0000000000000000"]),
    };
    in_report(home, &report?)
}

/// Returns the fault that explains why GnuPG did not sign with the secret key `key`.
pub(super) fn signing_fault(home: &Path, key: &str) -> Option<SetupFault> {
    let found = fault(home, Some(key));
    if found.is_some() {
        return found;
    }
    // No pinentry appears. GnuPG looks at all the keys that are to sign before it needs a passphrase.
    let sign = ["--pinentry-mode", "error", "--local-user", key, "--output", "-", "--detach-sign"];
    let report = report(home, sign)?;
    let mut refused = report.lines().filter_map(|line| {
        let rest = line.strip_prefix(STATUS)?.strip_prefix("INV_SGNR ")?;
        rest.split_once(' ').map(|(_, name)| name.trim())
    });
    let name = refused.find(|name| !name.eq_ignore_ascii_case(key))?;
    Some(SetupFault::LocalUser { home: home.to_owned(), name: shown(name) })
}

/// Returns whether an error of the library may have a fault of the configuration as its cause.
pub(super) fn is_unclear(error: Error) -> bool {
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
    .any(|unclear| unclear.code() == error.code())
}

/// Returns the command that runs `gpg` by itself on a home; its messages, in English, are to be read.
pub(super) fn gpg(home: &Path) -> Command {
    let mut command = Command::new("gpg");
    command.arg("--homedir").arg(home).args(["--batch", "--no-tty"]).env("LC_ALL", "C");
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Runs `gpg` on a home; returns what it reports, status lines and words.
fn report<'a>(home: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut command = gpg(home);
    command.args(["--status-fd", "2"]).args(arguments).stdin(Stdio::piped());
    let mut child = spawn::start(&mut command).ok()?;
    if let Some(mut text) = child.stdin.take() {
        // One that has ended already reads nothing.
        text.write_all(b"x").ok();
    }
    let mut report = Vec::new();
    if let Some(said) = child.stderr.take() {
        said.take(REPORT_BYTES_MAX).read_to_end(&mut report).ok();
    }
    // It has said enough, or has ended already.
    child.kill().ok();
    child.wait().ok()?;
    Some(String::from_utf8_lossy(&report).into_owned())
}

/// Reads the fault in a report.
fn in_report(home: &Path, report: &str) -> Option<SetupFault> {
    let mut statuses = report.lines().filter_map(|line| line.strip_prefix(STATUS));
    let home = home.to_owned();
    statuses.find_map(|status| {
        let words = words(report);
        let mut parts = status.split(' ');
        let (keyword, place, code) = (parts.next()?, parts.next()?, parts.next()?);
        let is_failure = matches!(keyword, "FAILURE" | "ERROR");
        // The upper bits of the number say which part of GnuPG it comes from.
        let code = code.parse::<u32>().ok()? & 0xffff;
        if is_failure && place.starts_with("option-") {
            Some(SetupFault::Option { home: home.clone(), words })
        } else if is_failure && code == Error::NO_AGENT.code() {
            Some(SetupFault::Agent { home: home.clone(), words })
        } else {
            None
        }
    })
}

/// Returns the words of a report on one line.
fn words(report: &str) -> String {
    let lines = report.lines().filter(|line| !line.starts_with(STATUS));
    let lines = lines.map(|line| line.strip_prefix("gpg: ").unwrap_or(line).trim());
    let remarks = ["WARNING: ", "Note: "];
    let lines = lines
        .filter(|line| !line.is_empty() && !remarks.iter().any(|remark| line.starts_with(remark)));
    shown(&lines.collect::<Vec<_>>().join("; "))
}

/// Returns a text of GnuPG's without control characters and not too long.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_CHARS_MAX).collect()
}
