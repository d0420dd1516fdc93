//! A log file: private to its owner, bounded if asked for, and opened anew on request.
//!
//! When the next line would make the file larger than `maxfilesize`, it becomes
//! `FILE.1`, in the place of an older one, and a new file is begun: never more
//! than twice that size is used. Who has logrotate leaves `maxfilesize` out and
//! sends HUP.
//!
//! **Failure.** Where the file cannot be renamed it grows on, and the renaming is
//! tried again after as much has been written once more. Where the file cannot be
//! opened or written because the system lacks something, lines go to stderr until
//! it can: before each line it is tried again. [`LogFile::news`] tells of both.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use slog::Level;

use super::{LogError, Sink};
use crate::disk::check_writable;
use crate::disk::transient::is_transient;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: Option<u64>,
    open: Mutex<Open>,
}

/// The file as it is open now.
#[derive(Debug, Default)]
struct Open {
    /// Nothing while it cannot be opened.
    file: Option<File>,
    /// How much is in it: without the need to ask for each line.
    bytes: u64,
    /// Whether the last line in it is not whole.
    is_torn: bool,
    /// How many lines went to stderr since the file could be written.
    away: Option<u64>,
    /// What nobody was told yet.
    news: Option<News>,
}

/// What became of a log file.
#[derive(Debug)]
pub(super) enum News {
    /// It cannot be written: lines go to stderr.
    Away(io::Error),
    /// It can be written again; so many lines went to stderr.
    Back(u64),
}

impl LogFile {
    /// Opens a log file to write at its end, or makes it.
    ///
    /// # Errors
    /// It cannot be opened, for a reason that does not pass.
    pub(super) fn open(path: &Path, bytes_max: Option<u64>) -> Result<LogFile, LogError> {
        let path = path.to_owned();
        let open = match open(&path) {
            Ok(open) => open,
            // A runner whose own files fill the disk has to run to remove them.
            Err(error) if is_transient(&error) => Open::away(error),
            Err(source) => return Err(LogError::File { path, source }),
        };
        Ok(LogFile { path, bytes_max, open: Mutex::new(open) })
    }

    /// Returns the path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file of that name anew. If that fails and the open one has lost its name, lines go to stderr
    /// until the file can be opened.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let opened = open(&self.path);
        let mut now = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(opened) => {
                now.take_up(opened);
                Ok(())
            }
            Err(source) => {
                if !now.is_at(&self.path) {
                    // Nobody looks for lines in a file that was put aside.
                    let error = source.raw_os_error().map(io::Error::from_raw_os_error);
                    let error = error.unwrap_or_else(|| source.kind().into());
                    *now = Open::away(error);
                }
                Err(LogError::File { path: self.path.clone(), source })
            }
        }
    }

    /// Opens the file if it is not open, if that is possible now.
    pub(super) fn try_again(&self) {
        let mut now = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if now.file.is_none()
            && let Ok(opened) = open(&self.path)
        {
            now.take_up(opened);
            if now.away == Some(0) {
                // No line has missed it.
                (now.away, now.news) = (None, None);
            }
        }
    }

    /// Returns what became of the file since this was asked last.
    pub(super) fn news(&self) -> Option<News> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).news.take()
    }

    #[expect(clippy::disallowed_methods, reason = "a log is no state: nothing depends on it")]
    fn put_aside(&self) -> io::Result<()> {
        let mut old = OsString::from(&self.path);
        old.push(".1");
        std::fs::rename(&self.path, old)
    }

    /// Begins a new file after the old one was put aside.
    fn rotate(&self, now: &mut Open) -> io::Result<()> {
        if let Err(error) = self.put_aside() {
            now.bytes = 0;
            return Err(error);
        }
        match open(&self.path) {
            Ok(opened) => now.take_up(opened),
            Err(error) => *now = Open::away(error),
        }
        Ok(())
    }
}

impl Open {
    /// Returns what is open where the file cannot be opened.
    fn away(error: io::Error) -> Open {
        Open { away: Some(0), news: Some(News::Away(error)), ..Open::default() }
    }

    /// Goes on with a file that has just been opened.
    fn take_up(&mut self, opened: Open) {
        // That it can be opened does not mean that it can be written.
        *self = Open { away: self.away, news: self.news.take(), ..opened };
    }

    /// Returns whether the open file is the one at `path`.
    fn is_at(&self, path: &Path) -> bool {
        let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        open.is_some() && open == path.metadata().ok().map(identity)
    }

    /// Writes a line, to stderr if the file does not take it.
    fn put(&mut self, line: &str) -> io::Result<()> {
        match self.append(line) {
            Ok(()) => {
                if let Some(lines) = self.away.take() {
                    self.news = Some(News::Back(lines));
                }
                Ok(())
            }
            Err(error) => {
                if let Some(error) = error
                    && self.away.is_none()
                {
                    self.news = Some(News::Away(error));
                }
                self.away = Some(self.away.unwrap_or_default().saturating_add(1));
                // In one piece, so that lines of other processes stay whole.
                io::stderr().lock().write_all(line.as_bytes())
            }
        }
    }

    /// Appends a line to the file; fails without an error if none is open.
    fn append(&mut self, line: &str) -> Result<(), Option<io::Error>> {
        let Some(file) = &mut self.file else { return Err(None) };
        if self.is_torn {
            file.write_all(b"\n").map_err(Some)?;
            self.is_torn = false;
        }
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match file.write(rest) {
                Ok(count) if count > 0 => rest = rest.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                failed => {
                    self.is_torn = rest.len() < line.len();
                    return Err(Some(failed.err().unwrap_or(io::ErrorKind::WriteZero.into())));
                }
            }
        }
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }
}

/// Checks that a log file could be written, or made.
pub(super) fn check(path: &Path) -> Result<(), LogError> {
    let checked = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_writable(path),
        // To open another file than a regular one may wait for somebody, or do something.
        Ok(meta) if !meta.is_file() && !meta.is_dir() => Ok(()),
        Ok(_) => OpenOptions::new().append(true).open(path).map(drop),
        Err(error) => Err(error),
    };
    checked.map_err(|source| LogError::File { path: path.to_owned(), source })
}

fn open(path: &Path) -> io::Result<Open> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file: Some(file), bytes, ..Open::default() })
}

impl Sink for LogFile {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let mut now = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = self.bytes_max.is_some_and(|max| now.bytes.saturating_add(bytes) > max);
        let rotated = if is_full && now.bytes > 0 { self.rotate(&mut now) } else { Ok(()) };
        now.put(&line)?;
        rotated
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests look behind the disk's back")]

    use std::fs::{self, read_to_string};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn write(file: &LogFile, line: &str) {
        file.write(Level::Info, line).unwrap();
    }

    #[test]
    fn a_log_file_is_private_and_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for line in ["one", "two"] {
            write(&LogFile::open(&path, None).unwrap(), line);
        }
        assert_eq!(read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_was_renamed_is_left_alone_after_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("log"), folder.path().join("old"));
        let file = LogFile::open(&path, None).unwrap();
        fs::rename(&path, &old).unwrap();
        write(&file, "one");
        file.reopen().unwrap();
        write(&file, "two");
        assert_eq!(read_to_string(&old).unwrap(), "one\n");
        assert_eq!(read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_full_file_makes_room_and_the_one_before_it_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = LogFile::open(&path, Some(10)).unwrap();
        for line in ["0123", "4567", "89ab", "a line that is too long", "b"] {
            write(&file, line);
        }
        assert_eq!(read_to_string(&path).unwrap(), "b\n");
        let old = folder.path().join("log.1");
        assert_eq!(read_to_string(old).unwrap(), "a line that is too long\n");
    }

    #[test]
    fn a_file_that_cannot_be_renamed_grows_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::create_dir_all(folder.path().join("log.1/x")).unwrap();
        let file = LogFile::open(&path, Some(6)).unwrap();
        write(&file, "0123");
        file.write(Level::Info, "4567").unwrap_err();
        assert_eq!(read_to_string(&path).unwrap(), "0123\n4567\n");
    }

    #[test]
    fn where_no_file_can_be_made_is_said() {
        let error = LogFile::open(Path::new("/nowhere/log"), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot open log file /nowhere/log");
    }

    #[test]
    fn a_line_that_a_full_disk_does_not_take_is_not_lost_and_is_told_of() {
        // It opens, and takes nothing.
        let file = LogFile::open(Path::new("/dev/full"), None).unwrap();
        assert!(file.news().is_none());
        for _ in 0..2 {
            write(&file, "this line goes to stderr");
        }
        let Some(News::Away(error)) = file.news() else { panic!("{file:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        write(&file, "this line goes to stderr, too");
        assert!(file.news().is_none(), "it is told once");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        file.open.lock().unwrap().take_up(open(&path).unwrap());
        assert!(file.news().is_none());
        write(&file, "one");
        assert!(matches!(file.news(), Some(News::Back(3))));
        assert_eq!(read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn a_file_that_was_renamed_and_cannot_be_made_again_is_left_for_stderr() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("d/log"), folder.path().join("e"));
        fs::create_dir(folder.path().join("d")).unwrap();
        let file = LogFile::open(&path, None).unwrap();
        // Its name leads to it: it is written on.
        let mut limit = Open::default();
        assert!(!limit.is_at(&path));
        limit.take_up(open(&path).unwrap());
        assert!(limit.is_at(&path));
        fs::rename(folder.path().join("d"), &old).unwrap();
        file.reopen().unwrap_err();
        assert!(matches!(file.news(), Some(News::Away(_))));
        write(&file, "this line goes to stderr");
        fs::rename(&old, folder.path().join("d")).unwrap();
        file.try_again();
        assert!(file.news().is_none());
        write(&file, "two");
        assert!(matches!(file.news(), Some(News::Back(1))));
        assert_eq!(read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = LogFile::open(&path, None).unwrap();
        file.open.lock().unwrap().file.as_mut().unwrap().write_all(b"ha").unwrap();
        file.open.lock().unwrap().is_torn = true;
        write(&file, "one");
        assert_eq!(read_to_string(&path).unwrap(), "ha\none\n");
    }
}
