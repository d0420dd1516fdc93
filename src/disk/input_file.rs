//! Files that the operator names on the command line or in a configuration, read once as a whole.
//!
//! Links are followed. The name may also refer to a pipe: `<(COMMAND)` of the shell (`/dev/fd/63`),
//! `/dev/stdin`, and `-` for standard input. A size limit applies to every source. Folders and block
//! devices are rejected.
//!
//! Reading a named pipe waits for the process that writes to it, without limit. So a named pipe is
//! read only if it is named on the command line, by the user who waits.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::trust::{self, Distrust, STDIN};
use super::trusted_paths::{Content, TrustedPath};
use super::{Context, Disk, DiskError, FileKind, Meta, RealFs};

pub(crate) struct InputFile {
    pub(crate) bytes: Vec<u8>,
    /// The metadata of the source; `None` for standard input and devices, which store nothing.
    meta: Option<Meta>,
    /// The path as the operator gave it.
    named: PathBuf,
    /// The path with all links followed.
    real: PathBuf,
}

/// Where a file is named, which decides whether it may be a named pipe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NamedBy {
    CommandLine,
    Configuration,
}

impl InputFile {
    /// Reads `path`, which the command line names; `FileTooLarge` if it has more than `limit` bytes.
    pub(crate) fn read(path: &Path, limit: u64) -> Result<InputFile, DiskError> {
        InputFile::read_named(path, limit, NamedBy::CommandLine)
    }

    /// As [`InputFile::read`], for a path that a configuration or the environment names. A named pipe
    /// is refused, and never waited for.
    pub(crate) fn read_configured(path: &Path, limit: u64) -> Result<InputFile, DiskError> {
        InputFile::read_named(path, limit, NamedBy::Configuration)
    }

    fn read_named(path: &Path, limit: u64, by: NamedBy) -> Result<InputFile, DiskError> {
        let is_stdin = is_stdin(path);
        let by = if is_stream(path) { NamedBy::CommandLine } else { by };
        let read = || -> io::Result<InputFile> {
            let file = if is_stdin { stdin()? } else { open(path, by)? };
            let found = file.metadata()?;
            let kind = found.file_type();
            if is_refused(kind, by) {
                return Err(wrong_kind(kind));
            }
            // Standard input has a real path only if it is a file.
            let link = if is_stdin { Path::new("/proc/self/fd/0") } else { path };
            let real = if kind.is_file() { link.canonicalize()? } else { path.to_owned() };
            let is_stored = kind.is_file() || kind.is_fifo() && !is_stdin;
            let meta = is_stored.then(|| Meta::of(&found, &real));
            let mut bytes = Vec::new();
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            if u64::try_from(bytes.len()).is_ok_and(|size| size <= limit) {
                return Ok(InputFile { bytes, meta, named: path.to_owned(), real });
            }
            Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("over {limit} bytes")))
        };
        let real = || path.canonicalize().unwrap_or_else(|_| path.to_owned());
        read().map_err(|error| trust::explain_named(&RealFs, &real(), error)).context("read", path)
    }

    /// Checks that only `user` and root can read the source and change the links that lead to it;
    /// returns the first fault.
    pub(crate) fn check_secret(
        &self,
        disk: &Disk,
        user: u32,
    ) -> Result<Option<Distrust>, DiskError> {
        let Some(meta) = &self.meta else { return Ok(None) };
        if let Err(fault) = trust::check_secret(&self.real, meta, user) {
            return Ok(Some(fault.without_chown()));
        }
        if meta.kind != FileKind::File || is_stdin(&self.named) {
            return Ok(None);
        }
        Ok(disk.check_links(&self.named, user)?.into_iter().next())
    }

    /// Returns the faults of the source for a program that runs as `user`: of the path as it is now,
    /// and of the file that was read, if it had the name before.
    pub(crate) fn faults(
        &self,
        disk: &Disk,
        content: Content,
        user: u32,
    ) -> Result<Vec<Distrust>, DiskError> {
        let mut faults = TrustedPath::new(&self.named, content).faults(disk, user)?;
        if let Some(meta) = self.meta.filter(|_| !is_stream(&self.named)) {
            let read = trust::check(&self.real, &meta, user).err().map(Distrust::without_chown);
            faults.extend(read.filter(|fault| !faults.contains(fault)));
        }
        Ok(faults)
    }

    /// Returns the owner of the source; `None` for standard input and devices.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.meta.map(|meta| meta.owner)
    }
}

#[cfg(feature = "data")]
impl Disk {
    /// Same as [`InputFile::read_configured`].
    pub(crate) fn read_input(&self, path: &Path, limit: u64) -> Result<InputFile, DiskError> {
        InputFile::read_configured(path, limit)
    }
}

/// Returns the folder that relative paths in a file refer to: the folder of the file, or the
/// working directory if the file is standard input or an open descriptor.
#[cfg(any(test, feature = "data"))]
pub(crate) fn base_folder(file: &Path) -> &Path {
    match is_stream(file) {
        true => Path::new(""),
        false => file.parent().unwrap_or(Path::new("")),
    }
}

/// Returns whether a name refers to standard input or to another open descriptor, which has no folder.
pub(crate) fn is_stream(path: &Path) -> bool {
    trust::is_open_descriptor(path)
}

/// Returns whether a name refers to standard input. It is read through its open descriptor: opening
/// such a name would fail for a socket, and for a file of the user who called sudo.
fn is_stdin(path: &Path) -> bool {
    STDIN.iter().any(|name| path == Path::new(name))
}

fn stdin() -> io::Result<File> {
    Ok(io::stdin().as_fd().try_clone_to_owned()?.into())
}

fn open(path: &Path, by: NamedBy) -> io::Result<File> {
    let kind = fs::metadata(path)?.file_type();
    if is_refused(kind, by) {
        return Err(wrong_kind(kind));
    }
    // Opening a pipe or a terminal waits for the other end; opening a file must not wait, even if
    // it has just been replaced by a pipe.
    let must_not_wait = kind.is_file() || by == NamedBy::Configuration;
    let flags = if must_not_wait { OFlags::NONBLOCK } else { OFlags::empty() };
    let flags = (flags | OFlags::NOCTTY | OFlags::CLOEXEC).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn is_refused(kind: fs::FileType, by: NamedBy) -> bool {
    kind.is_dir() || kind.is_block_device() || kind.is_fifo() && by == NamedBy::Configuration
}

fn wrong_kind(kind: fs::FileType) -> io::Error {
    let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
    if kind.is_dir() {
        io::Error::new(io::ErrorKind::IsADirectory, "it is a folder")
    } else if kind.is_fifo() {
        invalid("it is a named pipe, which only the command line may name")
    } else {
        invalid("it is a block device")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use super::*;
    use crate::disk::COMMAND_PREFIX;
    use crate::testing::write_private;

    fn bytes(path: &Path) -> Result<Vec<u8>, io::ErrorKind> {
        InputFile::read(path, 9).map(|input| input.bytes).map_err(|error| error.kind())
    }

    #[test]
    fn files_links_and_pipes_are_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        write_private(&file, "nine char");
        symlink("file", &link).unwrap();
        assert_eq!(bytes(&link).unwrap(), b"nine char");
        write_private(&file, "over nine!");
        assert_eq!(bytes(&link), Err(io::ErrorKind::FileTooLarge));
        let (reader, mut writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        // The writer is still open: too much input is rejected without waiting for its end.
        writer.write_all(b"over nine!").unwrap();
        assert_eq!(bytes(&path), Err(io::ErrorKind::FileTooLarge));
        writer.write_all(b"in time").unwrap();
        drop(writer);
        assert_eq!(bytes(&path).unwrap(), b"in time");
        assert_eq!(bytes(Path::new("/dev/null")).unwrap(), b"");
        assert_eq!(bytes(Path::new("/dev/zero")), Err(io::ErrorKind::FileTooLarge));
        assert_eq!(bytes(folder.path()), Err(io::ErrorKind::IsADirectory));
        assert_eq!(bytes(&folder.path().join("none")), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn reading_waits_for_the_writer_of_a_named_pipe() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let named = path.clone();
        let reader = std::thread::spawn(move || InputFile::read(&named, 9).unwrap());
        OpenOptions::new().write(true).open(&path).unwrap().write_all(b"late").unwrap();
        let input = reader.join().unwrap();
        assert_eq!(input.bytes, b"late");
        // No process writes to it now, so that opening it would wait.
        let error = InputFile::read_configured(&path, 9).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        let (reader, writer) = io::pipe().unwrap();
        drop(writer);
        let descriptor = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        assert_eq!(InputFile::read_configured(&descriptor, 9).unwrap().bytes, b"");
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        assert_eq!(input.check_secret(&disk, trust::own_user()).unwrap(), None);
    }

    #[test]
    fn folder_of_a_link_to_a_secret_is_checked() {
        use std::os::unix::fs::PermissionsExt;
        let folder = crate::testing::private_folder();
        let real = folder.path().canonicalize().unwrap();
        let (file, open) = (real.join("file"), real.join("open"));
        write_private(&file, "secret");
        fs::create_dir(&open).unwrap();
        let link = open.join("link");
        symlink(&file, &link).unwrap();
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let fault =
            || InputFile::read(&link, 9).unwrap().check_secret(&disk, trust::own_user()).unwrap();
        mode(&open, 0o700);
        assert_eq!(fault(), None);
        mode(&open, 0o707);
        assert_eq!(fault(), Some(Distrust::writable_above(open.clone(), trust::own_user())));
        mode(&open, 0o700);
        mode(&file, 0o604);
        assert_eq!(fault(), Some(Distrust::Readable { path: file.clone() }));
    }

    #[test]
    fn relative_paths_refer_to_the_folder_of_the_file() {
        assert_eq!(base_folder(Path::new("/etc/mig/x.cfg")), Path::new("/etc/mig"));
        for pipe in ["-", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/9", "x.cfg"] {
            assert_eq!(base_folder(Path::new(pipe)), Path::new(""), "{pipe}");
        }
    }
}
