//! Files that the operator names for a log: a regular file that no other user can change, or one of
//! this process's standard streams.
//!
//! Anything else is refused. Opening a named pipe waits for a reader, and the program would not
//! start. A link, or a file, of another user would send the log to a place that this user chooses.
//!
//! A group of the system may write to the folders of root above a log. So the folder is opened and
//! checked name by name (see [`Descent`]), and the log is opened in it: the group can replace the log,
//! but it cannot lead this process to another folder.

use std::fs::{File, FileType, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::descent::Descent;
use super::trust::{self, Distrust};
use super::{COMMAND_PREFIX, Disk, Meta, RealFs, check_writable, parent};

/// Returns a new descriptor for a stream of this process.
type Duplicate = fn() -> io::Result<OwnedFd>;

/// The names of the standard streams that a log may be written to.
const STREAMS: [(&str, Duplicate); 2] = [
    ("/dev/stdout", || io::stdout().as_fd().try_clone_to_owned()),
    ("/dev/stderr", || io::stderr().as_fd().try_clone_to_owned()),
];

/// Returns whether a path names a standard stream, which has no name to be renamed or reopened by.
pub(crate) fn is_stream(path: &Path) -> bool {
    STREAMS.iter().any(|(name, _)| path == Path::new(name))
}

/// Opens a log file for appending, or creates it, private to its owner. Also returns its path
/// without links.
pub(crate) fn open(path: &Path) -> io::Result<(File, PathBuf)> {
    if let Some((_, duplicate)) = STREAMS.iter().find(|(name, _)| path == Path::new(name)) {
        // Opening the name would fail for a socket, such as that of the journal.
        return Ok((duplicate()?.into(), path.to_owned()));
    }
    let path = real(path)?;
    // Opening a device can have side effects, so the kind is checked before and after.
    check_existing(&path)?;
    Ok((open_real(&path, OFlags::CREATE)?, path))
}

/// Opens a file for appending, in a folder that no other user can replace. It may have just been
/// replaced by a pipe, for which this must not wait, or by a link.
fn open_real(path: &Path, more: OFlags) -> io::Result<File> {
    let (Some(folder), Some(name)) = (parent(path), path.file_name()) else {
        return Err(ErrorKind::IsADirectory.into());
    };
    let found = Descent::to(folder)?;
    found.check_above_log(trust::own_user()).map_err(distrusted)?;
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CLOEXEC;
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW | more;
    let file = found.open_file(name, flags, Mode::RUSR | Mode::WUSR)?;
    check_file(path, &file.metadata()?)?;
    Ok(file)
}

/// Checks that a log file can be opened or created, without creating it.
pub(crate) fn check(path: &Path) -> io::Result<()> {
    if is_stream(path) {
        return Ok(());
    }
    let path = real(path)?;
    match check_existing(&path)? {
        true => open_real(&path, OFlags::empty()).map(drop),
        false => check_writable(&path),
    }
}

/// Checks a log file if it exists; returns whether it does.
fn check_existing(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        found => check_file(path, &found?).map(|()| true),
    }
}

/// Checks the kind of a log file, and that only this process's user and root can change it.
fn check_file(path: &Path, found: &Metadata) -> io::Result<()> {
    if let Some(kind) = refused_kind(found.file_type()) {
        let text = format!("it is a {kind}: name a regular file, /dev/stdout or /dev/stderr");
        return Err(io::Error::new(ErrorKind::InvalidInput, text));
    }
    let meta = Meta::of(found, path);
    let checked = trust::check(path, &meta, trust::own_user());
    checked.map_err(|fault| distrusted(fault.without_chown()))?;
    trust::check_only_name(&meta)
}

fn refused_kind(kind: FileType) -> Option<&'static str> {
    if kind.is_file() {
        None
    } else if kind.is_fifo() {
        Some("named pipe")
    } else if kind.is_socket() {
        Some("socket")
    } else if kind.is_dir() {
        Some("folder")
    } else {
        Some("device")
    }
}

/// Returns the path of the log file without links. Checks that no other user can change the links and
/// the folders that lead to it: such a user could choose the file that is written.
fn real(path: &Path) -> io::Result<PathBuf> {
    let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
    let user = trust::own_user();
    let found = match disk.resolve(path, None) {
        // It is a new file in a folder to which a link leads.
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => None,
        found => found?,
    };
    let (faults, path) = match found {
        Some(found) => {
            check_existing(&found.path)?;
            (found.check_trust_with(&disk, user, &trust::check_above_log)?, found.path)
        }
        None => {
            let (Some(folder), Some(name)) = (parent(path), path.file_name()) else {
                return Ok(path.to_owned());
            };
            let (folder, exists) = disk.resolve_existing(folder, None)?;
            let real = if exists { folder.path.join(name) } else { path.to_owned() };
            (folder.check_as_folder_above(&disk, user, &trust::check_above_log)?, real)
        }
    };
    faults.into_iter().next().map_or(Ok(path), |fault| Err(distrusted(fault.without_chown())))
}

fn distrusted(fault: Distrust) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, fault)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests access files directly")]

    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, FileType as Kind, mknodat};

    use super::*;
    use crate::testing::{as_nobody, given_path, is_root};

    /// Returns the refusal of a path because of a folder of this user above it.
    fn writable(folder: &Path) -> String {
        Distrust::writable_above(folder.to_owned(), trust::own_user()).to_string()
    }

    fn refusal(path: &Path) -> String {
        let error = open(path).unwrap_err().to_string();
        assert_eq!(check(path).unwrap_err().to_string(), error);
        error
    }

    #[test]
    fn pipe_socket_device_and_folder_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mknodat(CWD, path("pipe"), Kind::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        symlink(path("pipe"), path("link")).unwrap();
        for (path, kind) in [
            (path("pipe"), "named pipe"),
            (path("link"), "named pipe"),
            (path("socket"), "socket"),
            (PathBuf::from("/dev/null"), "device"),
            (folder.path().to_owned(), "folder"),
        ] {
            let refusal = refusal(&path);
            assert!(refusal.starts_with(&format!("it is a {kind}: name a")), "{refusal}");
        }
    }

    #[test]
    fn file_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let refusal = refusal(&path);
        assert!(refusal.ends_with(&format!("run `chmod go-w {}`", path.display())), "{refusal}");
    }

    #[test]
    fn link_is_followed_if_no_other_user_can_change_its_target() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, link) = (folder.path().join("inner"), folder.path().join("link"));
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("log"), "one\n").unwrap();
        symlink(inner.join("log"), &link).unwrap();
        let (file, real) = open(&link).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 4);
        assert_eq!(real, inner.canonicalize().unwrap().join("log"));
        fs::set_permissions(&inner, Permissions::from_mode(0o777)).unwrap();
        assert_eq!(refusal(&link), writable(&inner));
        // A link to a missing file would create the file wherever the link leads.
        fs::remove_file(inner.join("log")).unwrap();
        assert_eq!(open(&link).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn folder_of_the_log_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, path) = (folder.path().join("inner"), folder.path().join("inner/log"));
        fs::create_dir(&inner).unwrap();
        let mode = |mode| fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
        for exists in [false, true] {
            mode(0o777);
            assert_eq!(refusal(&path), writable(&inner), "{exists}");
            // In a sticky folder, others can neither replace the log nor make it another file.
            mode(0o1777);
            check(&path).unwrap();
            open(&path).unwrap();
        }
        symlink("inner", folder.path().join("link")).unwrap();
        mode(0o700);
        open(&folder.path().join("link/new")).unwrap();
        mode(0o777);
        refusal(&folder.path().join("link/log"));
        refusal(&folder.path().join("link/other"));
    }

    #[test]
    fn file_with_another_name_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, log) = (folder.path().join("victim"), folder.path().join("log"));
        fs::write(&victim, "x").unwrap();
        fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
        fs::hard_link(&victim, &log).unwrap();
        let refusal = refusal(&log);
        assert!(refusal.starts_with("it has 2 names (hard links)"), "{refusal}");
        fs::remove_file(&victim).unwrap();
        open(&log).unwrap();
    }

    /// Names the log of the next test, which another process runs.
    const LOG: &str = "MIG_TEST_LOG";

    #[test]
    fn log_in_the_environment_can_be_opened() {
        let Some(path) = given_path(LOG) else { return };
        check(&path).unwrap();
        open(&path).unwrap();
    }

    #[test]
    fn log_may_be_below_a_folder_of_root_and_of_a_group_of_the_system_as_root() {
        if !is_root("it changes groups") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (above, own) = (folder.path().join("log"), folder.path().join("log/mig"));
        fs::create_dir_all(&own).unwrap();
        let lend = |group, mode| {
            std::os::unix::fs::chown(&above, Some(0), Some(group)).unwrap();
            fs::set_permissions(&above, Permissions::from_mode(mode)).unwrap();
        };
        // As /var/log in Ubuntu, for root and for another user.
        lend(1, 0o775);
        open(&above.join("x")).unwrap();
        open(&own.join("x")).unwrap();
        std::os::unix::fs::chown(&own, Some(65534), Some(65534)).unwrap();
        let name = "disk::output_file::tests::log_in_the_environment_can_be_opened";
        as_nobody(name, &[(LOG, &own.join("y"))]);
        assert!(own.join("y").exists());
        // The group of all users, and all users.
        for (group, mode) in [(100, 0o775), (1, 0o777)] {
            lend(group, mode);
            assert_eq!(refusal(&above.join("z")), writable(&above.canonicalize().unwrap()));
        }
    }

    #[test]
    fn folder_that_becomes_a_link_leads_to_no_other_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, other) = (folder.path().join("inner"), folder.path().join("other"));
        fs::create_dir(&inner).unwrap();
        fs::create_dir(&other).unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o777)).unwrap();
        // The path was resolved before the folder was replaced.
        let path = real(&inner.join("log")).unwrap();
        fs::remove_dir(&inner).unwrap();
        symlink(&other, &inner).unwrap();
        let error = open_real(&path, OFlags::CREATE).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(!other.join("log").exists());
    }

    #[test]
    fn standard_streams_are_not_opened_by_name() {
        for (name, _) in STREAMS {
            assert!(is_stream(Path::new(name)));
            open(Path::new(name)).unwrap();
            check(Path::new(name)).unwrap();
        }
    }
}
