//! Whether GnuPG failed because the system lacks something that it may have later.
//!
//! GnuPG's library says that there is no such key also where GnuPG had no room for a lock file, or
//! could not reach its agent. So a key counts as missing only if GnuPG itself says so: it is asked
//! once more, and what it prints names the cause.

use std::io;
use std::path::Path;
use std::process::{Child, Stdio};

use super::setup;
use crate::chain::excerpt;
use crate::disk::transient::{TRANSIENT_ERRORS, is_transient};
use crate::disk::{Fs, RealFs};
use crate::random;
use crate::spawn;

/// How much of what GnuPG prints is shown, in bytes.
const SAID_BYTES_MAX: usize = 300;
/// How much a lock file and a keyring need at the least, in bytes.
const PROBE: [u8; 4096] = [0; 4096];
/// How many files GnuPG and its agent need at the least: locks and sockets.
const PROBES: usize = 8;
/// What GnuPG prints for an agent, or a process of its own, that does not run.
const AWAY: [&str; 4] = [
    "can't connect to the agent",
    "can't connect to the keyboxd",
    "No agent running",
    "out of core",
];
/// What a person has to mend, in what GnuPG prints.
const LASTING: [&str; 2] = ["Permission denied", "Read-only file system"];

/// What came of a look at a key by GnuPG itself.
#[derive(Debug)]
pub(super) enum Look {
    /// GnuPG lists the key.
    Found,
    /// GnuPG does not list the key, for a reason that stays.
    Missing,
    /// GnuPG could not look, because the system lacks something.
    Short(io::Error),
}

/// Has GnuPG itself look for the secret key `id` in `home`.
///
/// Must not be called during a conversation of GnuPG's library.
pub(super) fn look(home: &Path, id: &str) -> Look {
    let mut command = setup::gpg(home);
    command.args(["--list-secret-keys", id]).stdin(Stdio::null());
    let output = match spawn::start(&mut command).and_then(Child::wait_with_output) {
        Ok(output) => output,
        // Who has a library without the program needs another remedy.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Look::Missing,
        Err(error) => return Look::Short(error),
    };
    if output.status.success() {
        return Look::Found;
    }
    if output.status.code().is_none() {
        return Look::Short(io::Error::other(format!("gpg was ended ({})", output.status)));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lacking = lacking(&said).or_else(|| probe(home).err().filter(is_transient));
    lacking.map_or(Look::Missing, Look::Short)
}

/// Returns what the system lacks according to what GnuPG prints.
fn lacking(said: &str) -> Option<io::Error> {
    if LASTING.iter().any(|lasting| said.contains(lasting)) {
        return None;
    }
    let named = TRANSIENT_ERRORS.into_iter().map(io::Error::from).find(|error| {
        let text = error.to_string();
        // Rust adds the number to the system's text.
        let text = text.split(" (os error").next().unwrap_or_default();
        said.contains(text)
    });
    named.or_else(|| {
        let line = said.lines().find(|line| AWAY.iter().any(|away| line.contains(away)))?;
        Some(io::Error::other(excerpt(line, SAID_BYTES_MAX).into_owned()))
    })
}

/// Makes files in `folder` and removes them, as GnuPG does for locks and its agent for sockets.
///
/// # Errors
/// The folder does not take them.
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
    fn only_what_may_pass_is_a_shortage() {
        let kind =
            |said: &str| lacking(said).map(|error| (error.raw_os_error(), error.to_string()));
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
