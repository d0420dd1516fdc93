//! Finds out whether GnuPG failed because of a temporary shortage of a system resource.
//!
//! GnuPG's library also reports a missing key if GnuPG had no space for a lock file or could not
//! contact its agent. So a key counts as missing only if the program `gpg` does not list it either,
//! and the output of `gpg` does not name another cause.

use std::io;
use std::path::Path;
use std::process::{Child, Stdio};

use super::configuration;
use crate::chain::excerpt;
use crate::disk::transient::{errnos, is_transient};
use crate::disk::{Fs, RealFs};
use crate::random;

/// Maximum length of an excerpt of the output of `gpg`, in bytes.
const EXCERPT_BYTES_MAX: usize = 300;
/// The content of a probe file: a lock file and a keyring need at least this many bytes.
const PROBE: [u8; 4096] = [0; 4096];
/// Number of probe files: GnuPG and its agent create at least this many locks and sockets.
const PROBES: usize = 8;
/// Messages about a missing agent or another missing process of GnuPG.
const PROCESS_MISSING: [&str; 4] = [
    "can't connect to the agent",
    "can't connect to the keyboxd",
    "No agent running",
    "out of core",
];
/// Messages about faults that the operator must correct.
const PERMANENT: [&str; 2] = ["Permission denied", "Read-only file system"];

/// The outcome of listing a key with `gpg`.
#[derive(Debug)]
pub(super) enum KeyListing {
    Found,
    /// The key is not listed, for a permanent reason.
    Missing,
    /// `gpg` failed because the system is short of a resource.
    Shortage(io::Error),
}

/// Lists the secret key `id` in `home` with the program `gpg`.
///
/// Only a worker calls this; the time limit of its call ends `gpg` too.
pub(super) fn list_key(home: &Path, id: &str) -> KeyListing {
    let mut command = configuration::gpg(home);
    command.args(["--list-secret-keys", id]).stdin(Stdio::null());
    let output = match command.spawn().and_then(Child::wait_with_output) {
        Ok(output) => output,
        // A library without the program is not a shortage.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return KeyListing::Missing,
        Err(error) => return KeyListing::Shortage(error),
    };
    if output.status.success() {
        return KeyListing::Found;
    }
    if output.status.code().is_none() {
        return KeyListing::Shortage(io::Error::other(format!(
            "gpg was ended ({})",
            output.status
        )));
    }
    let message = String::from_utf8_lossy(&output.stderr);
    let shortage = parse_shortage(&message).or_else(|| probe(home).err().filter(is_transient));
    shortage.map_or(KeyListing::Missing, KeyListing::Shortage)
}

/// Returns the shortage that the output of `gpg` names.
fn parse_shortage(message: &str) -> Option<io::Error> {
    if PERMANENT.iter().any(|permanent| message.contains(permanent)) {
        return None;
    }
    let named = errnos().map(io::Error::from).find(|error| {
        let text = error.to_string();
        // Rust appends the error number to the text of the system.
        let text = text.split(" (os error").next().unwrap_or_default();
        message.contains(text)
    });
    named.or_else(|| {
        let is_named = |line: &&str| PROCESS_MISSING.iter().any(|missing| line.contains(missing));
        let line = message.lines().find(is_named)?;
        Some(io::Error::other(excerpt(line, EXCERPT_BYTES_MAX).into_owned()))
    })
}

/// Creates files in `folder` and removes them, as GnuPG does for locks and its agent for sockets.
pub(super) fn probe(folder: &Path) -> io::Result<()> {
    let mark = random::mark()?;
    let mut made = Vec::new();
    let mut outcome = Ok(());
    for number in 0..PROBES {
        let path = folder.join(format!(".mig-probe-{mark}-{number}"));
        outcome = RealFs.create(&path).and_then(|mut file| {
            made.push(path);
            if number == 0 { file.append(&PROBE).and_then(|()| file.sync()) } else { Ok(()) }
        });
        if outcome.is_err() {
            break;
        }
    }
    for path in &made {
        RealFs.unlink(path)?;
    }
    outcome
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn only_temporary_faults_are_shortages() {
        let kind = |said: &str| {
            parse_shortage(said).map(|error| (error.raw_os_error(), error.to_string()))
        };
        let number = |said: &str| kind(said).and_then(|(number, _)| number);
        for (said, errno) in [
            ("gpg: error writing to '/h/.#lk0x1': No space left on device", Errno::NOSPC),
            (
                "gpg: failed to create temporary file '/h/.#lk0x1': Too many open files",
                Errno::MFILE,
            ),
            ("gpg: failed to create temporary file '/h/x': Disk quota exceeded", Errno::DQUOT),
            ("gpg: can't fork: Resource temporarily unavailable", Errno::AGAIN),
            ("gpg: keydb_search failed: Input/output error", Errno::IO),
            ("gpg: fatal: Cannot allocate memory", Errno::NOMEM),
        ] {
            assert_eq!(number(said), Some(errno.raw_os_error()), "{said}");
        }
        let away = kind("gpg: WARNING: x\ngpg: can't connect to the agent: End of file\n").unwrap();
        assert_eq!(away, (None, "gpg: can't connect to the agent: End of file".to_owned()));
        for said in [
            "gpg: error reading key: No secret key",
            "gpg: failed to create temporary file '/h/.#lk': Permission denied\ngpg: can't connect to the agent: x",
            "gpg: /h/gpg.conf:1: invalid option",
            "",
        ] {
            assert!(kind(said).is_none(), "{said}");
        }
    }
}
