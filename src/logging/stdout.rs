//! Logging to stdout, and to the systemd journal if stdout is connected to it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use slog::Level;

use super::{Sink, severity};

/// Writes lines unchanged.
#[derive(Debug)]
pub(super) struct Stdout;

impl Sink for Stdout {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        put(&format!("{line}\n"))
    }
}

/// Prefixes each line with its priority, which the journal removes: see sd-daemon(3).
#[derive(Debug)]
pub(super) struct Journal;

impl Sink for Journal {
    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        put(&format!("<{}>{line}\n", severity(level)))
    }
}

fn put(line: &str) -> io::Result<()> {
    // A single write, so that lines of other processes on the same terminal are not interleaved.
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Returns whether stdout is the stream that `JOURNAL_STREAM` identifies as `DEVICE:INODE`. The
/// mere presence of the variable is not enough, because processes with a redirected stdout inherit
/// it.
pub(super) fn is_journal(stream: &str) -> bool {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let meta = stdout.and_then(|stdout| stdout.metadata());
    meta.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_is_the_journal_only_if_device_and_inode_match() {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
        let meta = stdout.unwrap().metadata().unwrap();
        assert!(is_journal(&format!("{}:{}", meta.dev(), meta.ino())));
        assert!(!is_journal(&format!("{}:{}", meta.dev(), meta.ino() + 1)));
        assert!(!is_journal(""));
    }
}
