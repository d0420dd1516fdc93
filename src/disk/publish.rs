//! A file for others to read: replaced as a whole, and not kept from anybody.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, access};

use super::{Context, DiskError};

/// Who may read it: everybody.
const PUBLIC: u32 = 0o644;

/// Replaces a file, or makes it. It is written beside its name, so that nobody sees half of it; it
/// need not outlive a crash, and so is not synced.
///
/// # Errors
/// It cannot be written; the old one stays as it is.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    let replaced = write(&temporary, bytes).and_then(|()| replace(&temporary, path));
    if replaced.is_err() {
        // What failed is told; the rest of it is overwritten the next time.
        remove(&temporary).ok();
    }
    replaced.context("write", path)
}

/// Checks that a file could be made, or replaced as a whole: its folder is there and we may write it.
///
/// # Errors
/// It could not; nothing was tried.
pub(crate) fn check_place(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A file in the place of the folder has nothing below it.
    let folder = folder.unwrap_or(Path::new(".")).join(".");
    Ok(access(&folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        // Made anew: a link that somebody put there is not followed.
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PUBLIC).open(path)?;
    // What the process makes is private otherwise.
    file.set_permissions(Permissions::from_mode(PUBLIC))?;
    file.write_all(bytes)
}

#[expect(clippy::disallowed_methods, reason = "this is the disk")]
fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

#[expect(clippy::disallowed_methods, reason = "this is the disk")]
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read what was written")]

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_can_be_read_by_all() {
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
    fn a_place_is_told_from_none_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        check_place(&path).unwrap();
        // A bare name belongs to the working directory, which the user of the tests may not write.
        let here = std::env::current_dir().unwrap().join("x.prom");
        assert_eq!(check_place(Path::new("x.prom")).is_ok(), check_place(&here).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        fs::write(&path, "").unwrap();
        check_place(&path).unwrap();
        for (none, kind) in [
            (folder.path().join("none/x.prom"), io::ErrorKind::NotFound),
            (path.join("x.prom"), io::ErrorKind::NotADirectory),
        ] {
            assert_eq!(check_place(&none).unwrap_err().kind(), kind, "{}", none.display());
        }
    }
}
