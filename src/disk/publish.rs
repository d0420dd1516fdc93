//! World-readable files that are replaced atomically, such as metrics.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Access, access};

use super::trust::{self, Distrust, ROOT};
use super::{COMMAND_PREFIX, Context, Disk, DiskError, Meta, RealFs, parent};

/// The mode of such a file.
const PUBLIC: u32 = 0o644;

/// Creates or replaces a file. The content is written under a temporary name in the same folder, so
/// that no reader sees half of it. It is not synced and may be lost in a crash. After an error the
/// old file is unchanged.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let replaced = write(&temporary, bytes).and_then(|()| replace(&temporary, path));
    if replaced.is_err() {
        // The error is returned; the next call replaces a temporary that cannot be removed.
        remove(&temporary).ok();
    }
    replaced.context("write", path)
}

/// Checks that a file can be created or replaced: its folder exists and this process may write to
/// it. Nothing is written.
pub(crate) fn check_writable(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // The final dot makes the check fail if the path of the folder names a file.
    let folder = folder.unwrap_or(Path::new(".")).join(".");
    Ok(access(&folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Checks that no other user can replace the folder of a file that is published: such a user could
/// choose the folder in which this process replaces files.
///
/// Unless root runs this process, the mode and owner of the folder itself do not matter: a user who can
/// write to it can only replace what is published. The folder and those above it may belong to one
/// other user as well, such as that of Prometheus.
pub(crate) fn check_folder(path: &Path) -> Result<Option<Distrust>, DiskError> {
    let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
    let folder = parent(path).unwrap_or(Path::new("/"));
    let (folder, exists) = disk.resolve_existing(folder, None)?;
    let user = trust::own_user();
    if user == ROOT {
        let faults = folder.check_as_folder_above(&disk, user, &trust::check_above)?;
        return Ok(faults.into_iter().next());
    }
    let lender = lender(&disk, &folder.path, user)?;
    let check = |at: &Path, meta: &Meta, user: u32| {
        let owner = if Some(meta.owner) == lender { meta.owner } else { user };
        let is_last = exists && at == folder.path;
        if is_last { Ok(()) } else { trust::check_above(at, meta, owner) }
    };
    let faults = folder.check_as_folder_above(&disk, user, &check)?;
    let is_lent =
        |fault: &Distrust| matches!(fault, Distrust::Link { owner, .. } if Some(*owner) == lender);
    Ok(faults.into_iter().find(|fault| !is_lent(fault)))
}

/// Returns the first owner of a folder and those above it who is neither `user` nor root.
fn lender(disk: &Disk, folder: &Path, user: u32) -> Result<Option<u32>, DiskError> {
    for folder in folder.ancestors() {
        let owner = disk.find(folder)?.map(|meta| meta.owner);
        if let Some(owner) = owner.filter(|owner| *owner != user && *owner != ROOT) {
            return Ok(Some(owner));
        }
    }
    Ok(None)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // The file is created anew, so a link that another process put there is not followed.
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PUBLIC).open(path)?;
    // The umask of the process would keep it private.
    file.set_permissions(Permissions::from_mode(PUBLIC))?;
    file.write_all(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this is the implementation of the disk")]
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

#[expect(clippy::disallowed_methods, reason = "this is the implementation of the disk")]
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read the written files")]

    use super::*;
    use crate::testing::{as_nobody, given_path, is_root};

    #[test]
    fn file_is_replaced_and_can_be_read_by_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        for text in ["one", "two"] {
            publish(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, PUBLIC);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(publish(&folder.path().join("none/x.prom"), b"").is_err());
    }

    #[test]
    fn folder_that_others_can_replace_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let path = inner.join("x.prom");
        assert_eq!(check_folder(&path).unwrap(), None);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        let above = folder.path().canonicalize().unwrap();
        let expected = Distrust::writable_above(above, trust::own_user());
        assert_eq!(check_folder(&path).unwrap(), Some(expected));
        assert!(check_folder(&inner.join("none/x.prom")).unwrap().is_some());
    }

    /// Names the folder of the next test, which another process runs as another user.
    const FOLDER: &str = "MIG_TEST_FOLDER";

    #[test]
    fn metrics_in_the_folder_of_the_environment_are_written_and_replaced() {
        let Some(folder) = given_path(FOLDER) else { return };
        let path = folder.join("x.prom");
        for text in ["one", "two"] {
            assert_eq!(check_folder(&path).unwrap(), None);
            check_writable(&path).unwrap();
            publish(&path, text.as_bytes()).unwrap();
        }
    }

    #[test]
    fn folder_of_metrics_may_be_lent_to_a_user_but_not_to_root_as_root() {
        if !is_root("it changes owners") {
            return;
        }
        let outer = tempfile::tempdir().unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).unwrap();
        let lib = outer.path().join("prometheus");
        let folder = lib.join("node-exporter");
        fs::create_dir_all(&folder).unwrap();
        let name = "disk::publish::tests::metrics_in_the_folder_of_the_environment_are_written_and_replaced";
        // Debian's Prometheus has user and group 7 here.
        for (above, owner, group, mode) in
            [(0, 0, 65534, 0o2775), (7, 7, 65534, 0o2775), (7, 0, 65534, 0o775), (7, 7, 7, 0o1777)]
        {
            std::os::unix::fs::chown(&lib, Some(above), Some(7)).unwrap();
            std::os::unix::fs::chown(&folder, Some(owner), Some(group)).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
            as_nobody(name, &[(FOLDER, &folder)]);
            assert_eq!(fs::read_to_string(folder.join("x.prom")).unwrap(), "two");
            fs::remove_file(folder.join("x.prom")).unwrap();
            let is_refused = check_folder(&folder.join("x.prom")).unwrap().is_some();
            assert_eq!(is_refused, mode != 0o1777 || owner != 0, "{owner} {mode:o}");
        }
    }

    #[test]
    fn unwritable_path_is_detected_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        check_writable(&path).unwrap();
        // A bare name refers to the working directory, which the tests may be unable to write to.
        let here = std::env::current_dir().unwrap().join("x.prom");
        assert_eq!(check_writable(Path::new("x.prom")).is_ok(), check_writable(&here).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, "").unwrap();
        check_writable(&path).unwrap();
        for (path, kind) in [
            (folder.path().join("none/x.prom"), io::ErrorKind::NotFound),
            (path.join("x.prom"), io::ErrorKind::NotADirectory),
        ] {
            assert_eq!(check_writable(&path).unwrap_err().kind(), kind, "{}", path.display());
        }
    }
}
