//! A log file that is private to its owner, optionally limited in size, and reopened on request.
//!
//! When the next line would make the file larger than `maxfilesize`, the file is renamed to
//! `FILE.1`, replacing an older one, and a new file is created. So the log uses at most twice that
//! size. An operator who uses logrotate omits `maxfilesize` and sends HUP.
//!
//! **Failure.** If the file cannot be renamed, it continues to grow, and the rename is retried
//! after another `maxfilesize` bytes. If the file cannot be opened or written because of a
//! transient error, lines go to stderr, and each further line retries the file.
//! [`LogFile::take_event`] reports when that begins and ends.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use slog::Level;

use super::{LogError, Sink};
use crate::disk::output_file;
use crate::disk::transient::is_transient;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    bytes_max: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None` while it cannot be opened.
    file: Option<File>,
    /// Where the file is, without links; after a failed rotation, where it is to be created.
    /// Otherwise `None` while it cannot be opened.
    place: Option<PathBuf>,
    /// The size of the file, counted here to save a system call per line.
    bytes: u64,
    /// Whether the last line in the file is incomplete.
    is_torn: bool,
    /// The number of lines written to stderr since the file became unwritable; `None` while it is
    /// writable.
    stderr_lines: Option<u64>,
    /// The last event, until it is reported.
    event: Option<FileEvent>,
}

/// A change in whether the log file can be written.
#[derive(Debug)]
pub(super) enum FileEvent {
    /// It cannot be written: lines go to stderr.
    Unwritable(io::Error),
    /// It can be written again, after this many lines went to stderr.
    Writable(u64),
}

impl LogFile {
    /// Opens a log file for appending, or creates it. A transient error makes lines go to stderr.
    /// A standard stream is not limited in size, because it cannot be renamed.
    pub(super) fn open(path: &Path, bytes_max: Option<u64>) -> Result<LogFile, LogError> {
        let path = path.to_owned();
        let bytes_max = bytes_max.filter(|_| !output_file::is_stream(&path));
        let state = match open(&path) {
            Ok(opened) => opened,
            // A runner whose own files fill the disk must start in order to remove them.
            Err(error) if is_transient(&error) => State::unwritable(error),
            Err(source) => return Err(LogError::File { path, source }),
        };
        Ok(LogFile { path, bytes_max, state: Mutex::new(state) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reopens the file by its name. If that fails and the open file no longer has this name, lines
    /// go to stderr until the file can be opened.
    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let opened = open(&self.path);
        let mut state = self.lock();
        match opened {
            Ok(opened) => {
                state.switch_to(opened);
                Ok(())
            }
            Err(source) => {
                if !state.is_at(&self.path) {
                    // The operator would not search a renamed file for new lines.
                    let error = source.raw_os_error().map(io::Error::from_raw_os_error);
                    let error = error.unwrap_or_else(|| source.kind().into());
                    *state = State::unwritable(error);
                }
                Err(LogError::File { path: self.path.clone(), source })
            }
        }
    }

    /// Tries to open the file if it is not open.
    pub(super) fn retry_open(&self) {
        let mut state = self.lock();
        if state.file.is_none()
            && let Ok(opened) = open(state.place.as_deref().unwrap_or(&self.path))
        {
            state.switch_to(opened);
            if state.stderr_lines == Some(0) {
                // No line went to stderr, so there is nothing to report.
                (state.stderr_lines, state.event) = (None, None);
            }
        }
    }

    /// Returns the last event once.
    pub(super) fn take_event(&self) -> Option<FileEvent> {
        self.lock().event.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::disallowed_methods, reason = "the log is not part of the state")]
fn put_aside(path: &Path) -> io::Result<()> {
    let mut old = OsString::from(path);
    old.push(".1");
    std::fs::rename(path, old)
}

impl State {
    fn unwritable(error: io::Error) -> State {
        let event = Some(FileEvent::Unwritable(error));
        State { stderr_lines: Some(0), event, ..State::default() }
    }

    /// Renames the file and creates a new one in its place. A link to it stays as it is.
    fn rotate(&mut self) -> io::Result<()> {
        let Some(place) = self.place.clone() else { return Ok(()) };
        if let Err(error) = put_aside(&place) {
            self.bytes = 0;
            return Err(error);
        }
        match open(&place) {
            Ok(opened) => self.switch_to(opened),
            Err(error) => *self = State { place: Some(place), ..State::unwritable(error) },
        }
        Ok(())
    }

    /// Continues with a file that has just been opened.
    fn switch_to(&mut self, opened: State) {
        // A file that can be opened is not necessarily writable.
        *self = State { stderr_lines: self.stderr_lines, event: self.event.take(), ..opened };
    }

    /// Returns whether the open file is the one at `path`.
    fn is_at(&self, path: &Path) -> bool {
        let identity = |meta: std::fs::Metadata| (meta.dev(), meta.ino());
        let open = self.file.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        open.is_some() && open == path.metadata().ok().map(identity)
    }

    /// Writes a line to the file, or to stderr if that fails.
    fn put(&mut self, line: &str) -> io::Result<()> {
        match self.append(line) {
            Ok(()) => {
                if let Some(lines) = self.stderr_lines.take() {
                    self.event = Some(FileEvent::Writable(lines));
                }
                Ok(())
            }
            Err(error) => {
                if let Some(error) = error
                    && self.stderr_lines.is_none()
                {
                    self.event = Some(FileEvent::Unwritable(error));
                }
                self.stderr_lines = Some(self.stderr_lines.unwrap_or_default().saturating_add(1));
                // A single write, so that lines of other processes are not interleaved.
                io::stderr().lock().write_all(line.as_bytes())
            }
        }
    }

    /// Appends a line to the file; returns `Err(None)` if no file is open.
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

/// Checks that a log file can be written or created.
pub(super) fn check(path: &Path) -> Result<(), LogError> {
    output_file::check(path).map_err(|source| LogError::File { path: path.to_owned(), source })
}

fn open(path: &Path) -> io::Result<State> {
    let (file, place) = output_file::open(path)?;
    let bytes = file.metadata()?.len();
    Ok(State { file: Some(file), place: Some(place), bytes, ..State::default() })
}

impl Sink for LogFile {
    fn write(&self, _: Level, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        let bytes = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let mut state = self.lock();
        let is_full = self.bytes_max.is_some_and(|max| state.bytes.saturating_add(bytes) > max);
        let rotated = if is_full && state.bytes > 0 { state.rotate() } else { Ok(()) };
        state.put(&line)?;
        rotated
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests access files directly")]

    use std::fs::{self, read_to_string};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn write(file: &LogFile, line: &str) {
        file.write(Level::Info, line).unwrap();
    }

    #[test]
    fn log_file_is_private_and_appended_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for line in ["one", "two"] {
            write(&LogFile::open(&path, None).unwrap(), line);
        }
        assert_eq!(read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn renamed_file_is_unchanged_after_reopening() {
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
    fn full_file_replaces_the_previous_one() {
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
    fn full_file_behind_a_link_keeps_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("log"), "").unwrap();
        symlink(inner.join("log"), &link).unwrap();
        let file = LogFile::open(&link, Some(6)).unwrap();
        for line in ["0123", "4567", "89ab"] {
            write(&file, line);
        }
        assert!(link.is_symlink() && !folder.path().join("link.1").exists());
        assert_eq!(read_to_string(inner.join("log")).unwrap(), "89ab\n");
        assert_eq!(read_to_string(inner.join("log.1")).unwrap(), "4567\n");
    }

    #[test]
    fn file_that_is_created_later_keeps_the_place_behind_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("log"), "").unwrap();
        symlink(inner.join("log"), &link).unwrap();
        let file = LogFile::open(&link, Some(6)).unwrap();
        write(&file, "0123");
        // The rotation cannot create the new file: others could replace it.
        let mode = |mode| fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o777);
        write(&file, "this line goes to stderr");
        mode(0o700);
        file.retry_open();
        write(&file, "4567");
        assert!(link.is_symlink());
        assert_eq!(read_to_string(inner.join("log")).unwrap(), "4567\n");
    }

    #[test]
    fn file_that_cannot_be_renamed_continues_to_grow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::create_dir_all(folder.path().join("log.1/x")).unwrap();
        let file = LogFile::open(&path, Some(6)).unwrap();
        write(&file, "0123");
        file.write(Level::Info, "4567").unwrap_err();
        assert_eq!(read_to_string(&path).unwrap(), "0123\n4567\n");
    }

    #[test]
    fn error_names_the_file_that_cannot_be_created() {
        let error = LogFile::open(Path::new("/nowhere/log"), None).unwrap_err();
        assert_eq!(error.to_string(), "cannot open log file /nowhere/log");
    }

    #[test]
    fn lines_go_to_stderr_while_the_disk_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = LogFile::open(&path, None).unwrap();
        // Every write to this device fails.
        let full = File::options().append(true).open("/dev/full").unwrap();
        file.lock().switch_to(State { file: Some(full), ..State::default() });
        assert!(file.take_event().is_none());
        for _ in 0..2 {
            write(&file, "this line goes to stderr");
        }
        let Some(FileEvent::Unwritable(error)) = file.take_event() else { panic!("{file:?}") };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        write(&file, "this line goes to stderr, too");
        assert!(file.take_event().is_none(), "it is reported once");
        file.lock().switch_to(open(&path).unwrap());
        assert!(file.take_event().is_none());
        write(&file, "one");
        assert!(matches!(file.take_event(), Some(FileEvent::Writable(3))));
        assert_eq!(read_to_string(&path).unwrap(), "one\n");
    }

    #[test]
    fn lines_go_to_stderr_if_a_renamed_file_cannot_be_created_again() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("d/log"), folder.path().join("e"));
        fs::create_dir(folder.path().join("d")).unwrap();
        let file = LogFile::open(&path, None).unwrap();
        // A file that still has its name is kept.
        let mut state = State::default();
        assert!(!state.is_at(&path));
        state.switch_to(open(&path).unwrap());
        assert!(state.is_at(&path));
        fs::rename(folder.path().join("d"), &old).unwrap();
        file.reopen().unwrap_err();
        assert!(matches!(file.take_event(), Some(FileEvent::Unwritable(_))));
        write(&file, "this line goes to stderr");
        fs::rename(&old, folder.path().join("d")).unwrap();
        file.retry_open();
        assert!(file.take_event().is_none());
        write(&file, "two");
        assert!(matches!(file.take_event(), Some(FileEvent::Writable(1))));
        assert_eq!(read_to_string(&path).unwrap(), "two\n");
    }

    #[test]
    fn incomplete_line_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let file = LogFile::open(&path, None).unwrap();
        file.lock().file.as_mut().unwrap().write_all(b"ha").unwrap();
        file.lock().is_torn = true;
        write(&file, "one");
        assert_eq!(read_to_string(&path).unwrap(), "ha\none\n");
    }
}
