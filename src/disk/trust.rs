//! Checks who can change or read a file. Only files that no user but the runner's and root can
//! change are trusted.
//!
//! **Exceptions**, all of them in this file:
//!
//! - A group may write if it is the private group (see [`accounts`]) of the owner or of the runner's
//!   user, and no access control list adds other users. OpenSSH in Debian applies the same rule to
//!   its files.
//! - A folder above a trusted path may be writable by others if its sticky bit is set, as that of
//!   `/tmp`: they can neither rename nor remove what belongs to another user. [`check_above`]
//! - A folder of root above a log may be writable by a group of the system, as `/var/log` is in Ubuntu.
//!   The group can replace the log, but no other file: see [`super::output_file`]. [`check_above_log`]
//! - The folder of the metrics may be writable by any user, unless root runs the daemon: see
//!   [`super::check_folder`].
//! - A device of root, such as `/dev/null`, may be writable by others: what they write to it is not
//!   what this process reads from it. [`check`]
//! - A private key may be readable by a group: see [`check_key`].
//! - In a user namespace that does not know root of the host, the files of all users that it does not
//!   know count as root's: see [`super::namespace`].
//! - Standard input and the names of open descriptors are not checked at all: whoever started this
//!   process has opened them. [`is_open_descriptor`]

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use super::fs::{FileKind, Fs, GROUP_WRITE, Meta};
use super::{Disk, DiskError, accounts};

/// The user id of root.
pub(crate) const ROOT: u32 = 0;
/// The permission bit that lets all users write.
const OTHERS_WRITE: u32 = 0o002;
/// The permission bit that lets all users read.
const OTHERS_READ: u32 = 0o004;
/// The permission bit that lets the group read.
const GROUP_READ: u32 = 0o040;
/// The permission bits that give the group or others any access.
pub(super) const GROUP_AND_OTHERS: u32 = 0o077;
/// The permission bit that keeps users from renaming and removing the files of others in a folder.
pub(super) const STICKY: u32 = 0o1000;
/// The names of standard input.
pub(super) const STDIN: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];
/// The folders whose names are the numbers of this process's open descriptors.
const DESCRIPTORS: [&str; 2] = ["/dev/fd", "/proc/self/fd"];

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
    /// A path that the operator has named, or a folder above it, belongs to another user. It may be any
    /// file or folder of that user, so that no command that changes it is named.
    #[error("{} belongs to user {owner}, who could change it: {}", path.display(), owners(*trusted))]
    Foreign {
        path: PathBuf,
        owner: u32,
        /// The user who may own it.
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
    /// Other users can write to a folder of root that is above a path. The system may need its mode, so
    /// that no command that changes it is named.
    #[error("users other than root can write to {}, and so can replace what is below it: move the files to another folder", path.display())]
    WritableAbove { path: PathBuf },
    /// It is a folder for the files of all users, such as `/tmp`.
    #[error("{} is shared by all users: use a folder of its own", path.display())]
    Shared { path: PathBuf },
    /// Other users can read a secret.
    #[error("{} contains a secret and can be read by others: run `chmod go= {}`", path.display(), path.display())]
    Readable { path: PathBuf },
    /// Other users can read a file that was named as a private key. It may be any file, so that no
    /// command that changes it is named.
    #[error("{} is named as a private key and can be read by other users: only its owner, or a system group if it belongs to root, may read it", path.display())]
    ReadableKey { path: PathBuf },
}

/// Returns who may own a file or folder that belongs to another user than `trusted` and root.
fn owners(trusted: u32) -> String {
    match trusted {
        ROOT => "only root may own it; use a file or folder of root".to_owned(),
        _ => format!("only user {trusted} and root may own it; use a file or folder of either"),
    }
}

impl Distrust {
    /// Returns the fault of a folder of `owner` above a path, to which other users can write.
    pub(crate) fn writable_above(path: PathBuf, owner: u32) -> Distrust {
        match owner {
            ROOT => Distrust::WritableAbove { path },
            _ => Distrust::Writable { path },
        }
    }

    /// Returns the same fault without a command that gives a file or folder to another owner.
    pub(crate) fn without_chown(self) -> Distrust {
        match self {
            Distrust::Owner { path, owner, trusted } => Distrust::Foreign { path, owner, trusted },
            other => other,
        }
    }
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
    if meta.kind == FileKind::Device && meta.owner == ROOT {
        return Ok(());
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

/// Checks that only `user` and root can replace what is in a folder, which is above a trusted path.
pub(super) fn check_above(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    match check(path, meta, user) {
        Err(Distrust::Writable { .. } | Distrust::Shared { .. }) if meta.mode & STICKY != 0 => {
            Ok(())
        }
        Err(Distrust::Writable { path }) => Err(Distrust::writable_above(path, meta.owner)),
        checked => checked.map_err(Distrust::without_chown),
    }
}

/// As [`check_above`], for a folder above a log.
pub(super) fn check_above_log(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    if is_of_system(meta) { Ok(()) } else { check_above(path, meta, user) }
}

/// Returns whether only root and a group of the system can write to a folder.
pub(super) fn is_of_system(meta: &Meta) -> bool {
    meta.owner == ROOT
        && meta.mode & OTHERS_WRITE == 0
        && !meta.has_acl
        && accounts::is_system_group(meta.group)
}

/// Returns whether a name refers to standard input or to an open descriptor of this process.
pub(super) fn is_open_descriptor(path: &Path) -> bool {
    let is_number = |name: &Path| {
        let name = name.as_os_str().as_encoded_bytes();
        !name.is_empty() && name.iter().all(u8::is_ascii_digit)
    };
    let is_in = |folder| path.strip_prefix(folder).is_ok_and(is_number);
    STDIN.iter().any(|name| path == Path::new(name)) || DESCRIPTORS.iter().any(is_in)
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

/// Checks that no other user can read a private key. A group may read it if it is the private group of
/// the owner or of `user`, or if the key belongs to root and the group to the system, such as Debian's
/// group ssl-cert, whose members the administrator has chosen. An access control list may add any user.
pub(crate) fn check_key(path: &Path, meta: &Meta, user: u32) -> Result<(), Distrust> {
    let is_private = |owner| accounts::is_private_group(owner, meta.group);
    let is_system = || meta.owner == ROOT && accounts::is_system_group(meta.group);
    let group_may = || !meta.has_acl && (is_private(meta.owner) || is_private(user) || is_system());
    if meta.mode & OTHERS_READ != 0 || meta.mode & GROUP_READ != 0 && !group_may() {
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

/// Checks that a file has no other name. Another user may have given it a name in a folder to which
/// both can write, and so decides which file of this user is opened.
pub(super) fn check_only_name(meta: &Meta) -> io::Result<()> {
    if meta.hard_links <= 1 {
        return Ok(());
    }
    let names = meta.hard_links;
    let text = format!(
        "it has {names} names (hard links), so that another user may have put it here: move it away"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
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
mod tests;
