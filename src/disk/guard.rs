//! Who may write a file or folder: only what the runner's user and root alone can change is trusted.
//!
//! A group may write if it is the owner's private group (see [`accounts`]) and no access control list
//! adds other users. OpenSSH in Debian applies the same rule to its files.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::{Disk, DiskError, Fs, Kind, Meta, accounts};

/// The bit that lets the group write.
pub(super) const GROUP_WRITE: u32 = 0o020;
/// The bit that lets all users write.
const OTHERS_WRITE: u32 = 0o002;
/// The bits that let the group or others read, write or enter.
const FOREIGN_ACCESS: u32 = 0o077;

/// The id of the user root.
pub(crate) const ROOT: u32 = 0;

/// Why a file or folder is not trusted, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    /// It belongs to another user.
    #[error("{} belongs to user {owner}: run `chown {trusted} {}`", path.display(), path.display())]
    Owner {
        /// The file or folder.
        path: PathBuf,
        owner: u32,
        /// Whose it should be.
        trusted: u32,
    },
    /// A symbolic link belongs to another user, who can let it lead elsewhere.
    #[error("the link {} belongs to user {owner}: run `chown -h {trusted} {}`", path.display(), path.display())]
    Link {
        path: PathBuf,
        owner: u32,
        /// Whose it should be.
        trusted: u32,
    },
    /// Others can write it.
    #[error("{} can be written by others: run `chmod go-w {}`", path.display(), path.display())]
    Writable {
        /// The file or folder.
        path: PathBuf,
    },
    /// Others can read it.
    #[error("{} holds a secret and can be read by others: run `chmod go= {}`", path.display(), path.display())]
    Readable { path: PathBuf },
}

/// Returns the user whose files are trusted beside root's: the one this process runs as.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes all that this process will create private to its owner, logs and documents included.
pub(crate) fn keep_private() {
    let mask = Mode::RWXG | Mode::RWXO;
    // What it was before is of no interest: it is never put back.
    rustix::process::umask(mask);
}

/// Checks that only `user` and root can change what is at `path`.
pub(crate) fn trust(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    if meta.owner != user && meta.owner != 0 {
        let path = path.to_owned();
        return Err(Distrust::Owner { path, owner: meta.owner, trusted: user });
    }
    if others_write(meta) {
        return Err(Distrust::Writable { path: path.to_owned() });
    }
    Ok(())
}

/// Returns whether users other than the owner can write a file or folder.
pub(crate) fn others_write(meta: &Meta) -> bool {
    let is_private = || !meta.has_acl && accounts::is_private_group(meta.owner, meta.group);
    meta.mode & OTHERS_WRITE != 0 || meta.mode & GROUP_WRITE != 0 && !is_private()
}

/// Checks that only `user` and root can read what is at `path`.
pub(crate) fn secret(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    trust(path, meta, user)?;
    if meta.mode & FOREIGN_ACCESS != 0 {
        return Err(Distrust::Readable { path: path.to_owned() });
    }
    Ok(())
}

/// Explains why a file cannot be read if it belongs to another user, with the command that helps; any
/// other error stays as it is.
pub(super) fn explain(fs: &dyn Fs, path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    match fs.meta(path) {
        Ok(meta) if meta.kind == Kind::File && meta.owner != user() => {
            io::Error::new(error.kind(), unreadable(path, meta.owner, user()))
        }
        _ => error,
    }
}

/// Says that a file of `owner` cannot be read by `user`, and which command helps.
pub(crate) fn unreadable(path: &Path, owner: u32, user: u32) -> String {
    let path = path.display();
    format!("it belongs to user {owner} and user {user} may not read it: run `chown {user} {path}`")
}

/// Checks the folder `path` and those above it up to and including `top`, as far as they exist; links
/// are followed (see [`super::follow`]).
pub(crate) fn trust_up_to(
    disk: &Disk,
    path: &Path,
    top: &Path,
    user: u32,
) -> Result<Vec<Distrust>, DiskError> {
    let mut at = path;
    loop {
        match disk.follow(at, Some(top))? {
            Some(found) => return found.distrust(disk, user),
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
        let (kind, modified, device, group) = (Kind::File, changed, 1, u32::MAX);
        Meta { kind, stamp, modified, device, owner, group, mode, has_acl: false }
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let path = Path::new("/x");
        for (owner, mode, trusted) in [
            (7, 0o700, true),
            (0, 0o755, true),
            (8, 0o700, false),
            (7, 0o720, false),
            (7, 0o702, false),
        ] {
            assert_eq!(trust(path, &meta(owner, mode), 7).is_ok(), trusted, "{owner} {mode:o}");
        }
    }

    #[test]
    fn the_owners_private_group_may_write_unless_a_list_adds_users() {
        // Root has a private group on every Debian: same name, no members.
        let private = Meta { group: 0, ..meta(0, 0o775) };
        assert!(!others_write(&private));
        assert!(others_write(&Meta { has_acl: true, ..private }));
        assert!(others_write(&Meta { mode: 0o777, ..private }));
        assert!(others_write(&Meta { group: u32::MAX, ..private }));
    }

    #[test]
    fn a_secret_is_private() {
        let path = Path::new("/x");
        assert!(secret(path, &meta(7, 0o600), 7).is_ok());
        let error = secret(path, &meta(7, 0o640), 7).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/x holds a secret and can be read by others: run `chmod go= /x`"
        );
    }
}
