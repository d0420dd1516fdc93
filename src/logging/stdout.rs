//! Stdout as a log, and the journal of systemd behind it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use slog::Level;

use super::{Sink, severity};

/// Lines as they are.
#[derive(Debug)]
pub(super) struct Stdout;

impl Sink for Stdout {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        put(&format!("{line}\n"))
    }
}

/// Lines with the priority before them, which the journal takes off again: see sd-daemon(3).
#[derive(Debug)]
pub(super) struct Journal;

impl Sink for Journal {
    fn write(&self, level: Level, line: &str) -> io::Result<()> {
        put(&format!("<{}>{line}\n", severity(level)))
    }
}

fn put(line: &str) -> io::Result<()> {
    // In one piece, so that lines of other processes on the same terminal stay whole.
    let mut stdout = io::stdout().lock();
    stdout.write_all(line.as_bytes())?;
    stdout.flush()
}

/// Tells whether stdout is the stream that `JOURNAL_STREAM` names as `DEVICE:INODE`. The
/// variable alone says little: it is inherited by those whose stdout was redirected.
pub(super) fn is_journal(stream: &str) -> bool {
    let stdout = io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    let meta = stdout.and_then(|stdout| stdout.metadata());
    meta.is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stdout_is_the_journal_only_if_it_is_that_very_stream() {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
        let meta = stdout.unwrap().metadata().unwrap();
        assert!(is_journal(&format!("{}:{}", meta.dev(), meta.ino())));
        assert!(!is_journal(&format!("{}:{}", meta.dev(), meta.ino() + 1)));
        assert!(!is_journal(""));
    }
}
