//! Checks who can change or read a file. Only files that no user but the runner's and root can
//! change are trusted.
//!
//! **Exceptions**, all of them in this file: a group may write if it is the private group (see
//! [`accounts`]) of the owner or of the runner's user, and no access control list adds other users.
//! OpenSSH in Debian applies the same rule to its files.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::fs::{FileKind, Fs, GROUP_WRITE, Meta};
use super::symlinks::STICKY;
use super::{Disk, DiskError, accounts};

/// The user id of root.
pub(crate) const ROOT: u32 = 0;
/// The permission bit that lets all users write.
const OTHERS_WRITE: u32 = 0o002;
/// The permission bit that lets all users read.
const OTHERS_READ: u32 = 0o004;
/// The permission bits that give the group or others any access.
pub(super) const GROUP_AND_OTHERS: u32 = 0o077;

/// The reason why a file or folder is not trusted, and the command that corrects it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    #[error("{} belongs to user {owner}: run `chown {trusted} {}`", path.display(), path.display())]
    Owner {
        path: PathBuf,
        owner: u32,
        /// The user who should own it.
        trusted: u32,
    },
    /// A symbolic link belongs to another user, who can change its target.
    #[error("the link {} belongs to user {owner}: run `chown -h {trusted} {}`", path.display(), path.display())]
    Link {
        path: PathBuf,
        owner: u32,
        /// The user who should own it.
        trusted: u32,
    },
    /// Other users can write to it.
    #[error("{} can be written by others: run `chmod go-w {}`", path.display(), path.display())]
    Writable { path: PathBuf },
    /// It is a folder for the files of all users, such as `/tmp`.
    #[error("{} is shared by all users: use a folder of its own", path.display())]
    Shared { path: PathBuf },
    /// Other users can read a secret.
    #[error("{} contains a secret and can be read by others: run `chmod go= {}`", path.display(), path.display())]
    Readable { path: PathBuf },
    /// All users can read a private key.
    #[error("{} contains a private key and can be read by all users: run `chmod o= {}`", path.display(), path.display())]
    ReadableKey { path: PathBuf },
}

/// Returns the effective user id of this process. Its files are trusted besides root's.
pub(crate) fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Sets the umask so that all files created by this process are private to its owner, including
/// logs and documents.
pub(crate) fn set_private_umask() {
    // The previous mask is dropped because it is never restored.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// Checks that only `user` and root can change a file or folder.
pub(crate) fn check(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    if meta.owner != user && meta.owner != ROOT {
        let path = path.to_owned();
        return Err(Distrust::Owner { path, owner: meta.owner, trusted: user });
    }
    if others_can_write(meta, user) {
        let is_shared = meta.mode & OTHERS_WRITE != 0 && meta.mode & STICKY != 0;
        let path = path.to_owned();
        return Err(if is_shared {
            Distrust::Shared { path }
        } else {
            Distrust::Writable { path }
        });
    }
    Ok(())
}

/// Returns whether users other than the owner, `user` and root can write to a file or folder.
pub(super) fn others_can_write(meta: &Meta, user: u32) -> bool {
    let is_private_of = |user| accounts::is_private_group(user, meta.group);
    let is_private = || !meta.has_acl && (is_private_of(meta.owner) || is_private_of(user));
    meta.mode & OTHERS_WRITE != 0 || meta.mode & GROUP_WRITE != 0 && !is_private()
}

/// Checks that only `user` and root can change or read a file.
pub(crate) fn check_secret(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    check(path, meta, user)?;
    if meta.mode & GROUP_AND_OTHERS != 0 {
        return Err(Distrust::Readable { path: path.to_owned() });
    }
    Ok(())
}

/// Checks that only the owner and the group of a file can read it.
pub(crate) fn check_key(path: &Path, meta: &Meta) -> Result<(), Distrust> {
    if meta.mode & OTHERS_READ != 0 {
        return Err(Distrust::ReadableKey { path: path.to_owned() });
    }
    Ok(())
}

/// If a file cannot be read because it belongs to another user, replaces the error by one that
/// says so and names the remedy.
pub(super) fn explain(fs: &dyn Fs, path: &Path, error: io::Error) -> io::Error {
    explain_with(fs, path, error, |owner| unreadable_text(path, owner, own_user()))
}

/// As [`explain`], for a file that the user has named. It may be any file, so that no command that
/// changes it is named.
pub(super) fn explain_named(fs: &dyn Fs, path: &Path, error: io::Error) -> io::Error {
    let text =
        |owner| format!("it belongs to user {owner}, and user {} may not read it", own_user());
    explain_with(fs, path, error, text)
}

fn explain_with(
    fs: &dyn Fs,
    path: &Path,
    error: io::Error,
    text: impl FnOnce(u32) -> String,
) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    match fs.meta(path) {
        Ok(meta) if meta.kind == FileKind::File && meta.owner != own_user() => {
            io::Error::new(error.kind(), text(meta.owner))
        }
        _ => error,
    }
}

/// Returns the message for a file of `owner` that `user` cannot read.
pub(crate) fn unreadable_text(path: &Path, owner: u32, user: u32) -> String {
    let path = path.display();
    format!(
        "it belongs to user {owner}, and user {user} may not read it: run `chown {user} {path}`"
    )
}

/// Checks the folder `path` and those above it up to and including `top`, as far as they exist.
/// Links are followed (see [`super::symlinks`]).
pub(crate) fn check_up_to(
    disk: &Disk,
    path: &Path,
    top: &Path,
    user: u32,
) -> Result<Vec<Distrust>, DiskError> {
    let mut at = path;
    loop {
        match disk.resolve(at, Some(top))? {
            Some(found) => return found.check_trust(disk, user),
            None => match at.parent().filter(|above| above.starts_with(top)) {
                Some(above) => at = above,
                None => return Ok(Vec::new()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::Stamp;

    fn meta(owner: u32, mode: u32) -> Meta {
        let changed = jiff::Timestamp::UNIX_EPOCH;
        let stamp = Stamp { inode: 1, size: 0, changed };
        let (kind, modified, device, group) = (FileKind::File, changed, 1, u32::MAX);
        Meta { kind, stamp, modified, device, owner, group, mode, has_acl: false }
    }

    #[test]
    fn files_that_others_can_write_are_not_trusted() {
        let path = Path::new("/x");
        for (owner, mode, trusted) in [
            (7, 0o700, true),
            (0, 0o755, true),
            (8, 0o700, false),
            (7, 0o720, false),
            (7, 0o702, false),
        ] {
            assert_eq!(check(path, &meta(owner, mode), 7).is_ok(), trusted, "{owner} {mode:o}");
        }
    }

    #[test]
    fn no_command_is_named_for_a_shared_folder() {
        let fault = check(Path::new("/tmp"), &meta(0, 0o1777), 0).unwrap_err().to_string();
        assert_eq!(fault, "/tmp is shared by all users: use a folder of its own");
        let fault = check(Path::new("/x"), &meta(0, 0o777), 0).unwrap_err().to_string();
        assert_eq!(fault, "/x can be written by others: run `chmod go-w /x`");
    }

    #[test]
    fn private_group_may_write_unless_an_acl_adds_users() {
        // In Debian, root has a private group: the same name and no members.
        let private = Meta { group: 0, ..meta(0, 0o775) };
        assert!(!others_can_write(&private, 7));
        assert!(others_can_write(&Meta { has_acl: true, ..private }, 7));
        assert!(others_can_write(&Meta { mode: 0o777, ..private }, 7));
        assert!(others_can_write(&Meta { group: u32::MAX, ..private }, 7));
    }

    #[test]
    fn secret_must_be_unreadable_for_others() {
        let path = Path::new("/x");
        assert!(check_secret(path, &meta(7, 0o600), 7).is_ok());
        let error = check_secret(path, &meta(7, 0o640), 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/x contains a secret and can be read by others: run `chmod go= /x`"
        );
    }
}
