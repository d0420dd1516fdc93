//! A log file: private to its owner, bounded if asked for, and opened anew on request.
//!
//! When the next line would make the file larger than `maxfilesize`, it becomes
//! `FILE.1`, in the place of an older one, and a new file is begun: never more
//! than twice that size is used. Who has logrotate leaves `maxfilesize` out and
//! sends HUP.
//!
//! **Failure.** Where the file cannot be renamed it grows on, and the renaming is
//! tried again after as much has been written once more.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use slog::Level;

use super::{LogError, Sink};
use crate::disk::check_place;

/// A log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: Option<u64>,
    open: Mutex<Open>,
}

/// The file as it is open now.
#[derive(Debug)]
struct Open {
    file: File,
    /// How much is in it: without the need to ask for each line.
    bytes: u64,
}

impl LogFile {
    /// Opens a log file to write at its end, or makes it.
    pub(super) fn open(path: &Path, bytes_max: Option<u64>) -> Result<LogFile, LogError> {
        let path = path.to_owned();
        match open(&path) {
            Ok(open) => Ok(LogFile { path, bytes_max, open: Mutex::new(open) }),
            Err(source) => Err(LogError::File { path, source }),
        }
    }

    /// Opens the file of that name anew; if that fails, the one that is open is written on.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let opened = open(&self.path)
            .map_err(|source| LogError::File { path: self.path.clone(), source })?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = opened;
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "a log is no state: nothing depends on it")]
    fn rotate(&self) -> io::Result<Open> {
        let mut old = OsString::from(&self.path);
        old.push(".1");
        std::fs::rename(&self.path, old)?;
        open(&self.path)
    }
}

/// Checks that a log file could be written, or made.
pub(super) fn check(path: &Path) -> Result<(), LogError> {
    let checked = match path.metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check_place(path),
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
    Ok(Open { file, bytes })
}

impl Sink for LogFile {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let full = self.bytes_max.is_some_and(|max| open.bytes.saturating_add(bytes) > max);
        let mut rotated = Ok(());
        if full && open.bytes > 0 {
            match self.rotate() {
                Ok(new) => *open = new,
                Err(error) => {
                    open.bytes = 0;
                    rotated = Err(error);
                }
            }
        }
        open.file.write_all(line.as_bytes())?;
        open.bytes = open.bytes.saturating_add(bytes);
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
}
