//! The place that a command works in: an installation, a spool, a data folder, a new folder.
//!
//! A user can replace names in a folder at any time, so root must not change files there: root's
//! rights would let the user direct each change to another file. Therefore a command that root runs
//! becomes the owner of the place before it touches anything, as if root had run it with `sudo -u`.
//! If the place belongs to root, the command stays root, and changes files only if no other user can
//! replace any name on the path. Both are checked by open descriptors (see [`Descent`]).
//!
//! **Invariant.** A command gets its disk only from a [`Workspace`]. `tests/layers` checks this, so
//! it applies to every command that is added.
//!
//! The environment of the process does not change, because only unsafe code could do that: [`mod@env`]
//! returns the new user's home instead, and GnuPG gets its home as an argument.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::env;
use super::failure::{Explain, Failure};
use crate::disk::accounts;
use crate::disk::descent::{Descent, Exposure};
use crate::disk::trust::{self, Distrust, ROOT};
use crate::disk::{COMMAND_PREFIX, Disk, DiskError, RealFs};
use crate::exit::Exit;
use crate::pgp;
use crate::spawn::user::become_user;

/// Root must not, or cannot, work in a place.
#[derive(Debug, thiserror::Error)]
enum WorkspaceError {
    #[error(
        "this command does not work in {}, because {} belongs to user {owner}, who could replace it: let the owner of the files run the command, or move them to a folder that only root and their owner can change",
        place.display(), path.display()
    )]
    Foreign { place: PathBuf, path: PathBuf, owner: u32 },
    #[error(transparent)]
    Writable(Distrust),
    #[error("{} belongs to user {owner}, who has no account in /etc/passwd: run this command with `{}`", place.display(), as_user(*owner))]
    NoAccount { place: PathBuf, owner: u32 },
    #[error("{} belongs to user {owner}, and this process cannot become that user: run this command with `{}`", place.display(), as_user(*owner))]
    Become { place: PathBuf, owner: u32, source: io::Error },
    #[error("{} belongs to user {owner}, not to root: run this command with `{}`", place.display(), as_user(*owner))]
    OtherUser { place: PathBuf, owner: u32 },
}

impl Explain for WorkspaceError {
    fn exit(&self) -> Exit {
        Exit::Permission
    }
}

/// Proof that this process has no more rights than the owner of the place that it works in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The owner of the place, if root started the process.
    owner: Option<u32>,
    /// The part of the place that another user could replace, and the name on its path.
    exposed: Option<(PathBuf, Exposure)>,
}

impl Workspace {
    /// Enters a place that consists of these files and folders. They belong to the owner of the
    /// first one that exists; if none exists, to the owner of the folder that would contain the
    /// first one.
    pub(crate) fn enter(places: &[&Path]) -> Result<Workspace, Failure> {
        Workspace::enter_checked(places, |_| Ok(()))
    }

    /// As [`Workspace::enter`]; `check` gets the owner before the user of this process changes, who may
    /// then be unable to look at the files of root that the command line names.
    pub(crate) fn enter_checked(
        places: &[&Path],
        check: impl FnOnce(u32) -> Result<(), Failure>,
    ) -> Result<Workspace, Failure> {
        let workspace = Workspace::examine(places)?;
        check(workspace.owner.unwrap_or_else(|| owner_of(places)))?;
        if let (Some(owner), Some(place)) = (workspace.owner, places.first())
            && owner != ROOT
        {
            workspace.check_exposure()?;
            adopt(owner, place)?;
        }
        Ok(workspace)
    }

    /// As [`Workspace::enter`], but does not change the user: if the place belongs to another user,
    /// or another user could replace it, root is refused. It is for daemons, and for places
    /// besides that of the command.
    pub(crate) fn enter_unchanged(places: &[&Path]) -> Result<Workspace, Failure> {
        let workspace = Workspace::examine(places)?;
        workspace.check_exposure()?;
        match (workspace.owner, places.first()) {
            (Some(owner), Some(place)) if owner != ROOT => {
                Err(WorkspaceError::OtherUser { place: (*place).to_owned(), owner }.into())
            }
            _ => Ok(workspace),
        }
    }

    /// Determines the owner of a place, and whether another user can replace it. The user of this
    /// process does not change.
    ///
    /// # Errors
    /// The place belongs to root, and a name on its path belongs to another user.
    pub(crate) fn examine(places: &[&Path]) -> Result<Workspace, Failure> {
        if trust::own_user() != ROOT {
            return Ok(Workspace { owner: None, exposed: None });
        }
        let found: Result<Vec<Descent>, DiskError> =
            places.iter().map(|place| Descent::to(place)).collect();
        let found = found?;
        let first = found.iter().find(|descent| descent.is_complete()).or(found.first());
        let owner = first.map_or(ROOT, Descent::owner);
        let mut exposures = places
            .iter()
            .zip(&found)
            .filter_map(|(place, descent)| Some(((*place).to_owned(), descent.exposure(owner)?)));
        let mut exposed = exposures.next();
        // A folder of the place may be above another one.
        if let Some((_, Exposure::Writable { path, is_above, .. })) = &mut exposed {
            *is_above &= !found.iter().any(|place| place.is_complete() && place.path() == *path);
        }
        let is_foreign = matches!(exposed, Some((_, Exposure::Owner { .. })));
        let workspace = Workspace { owner: Some(owner), exposed };
        if owner == ROOT && is_foreign {
            workspace.check_exposure()?;
        }
        Ok(workspace)
    }

    /// Adds the log of a daemon to the place. A group of the system may write to the folders of root above
    /// it, because the daemon opens it only by open descriptors (see [`crate::disk::output_file`]).
    ///
    /// # Errors
    /// The place belongs to root, and a name on the path of the log belongs to another user.
    pub(crate) fn add_log(&mut self, log: &Path) -> Result<(), Failure> {
        let (Some(owner), None) = (self.owner, &self.exposed) else { return Ok(()) };
        self.exposed = Descent::to(log)?.exposure_of_log(owner).map(|it| (log.to_owned(), it));
        match self.exposed {
            Some((_, Exposure::Owner { .. })) if owner == ROOT => self.check_exposure(),
            _ => Ok(()),
        }
    }

    /// Fails if another user could replace the place. A command of root must not change files
    /// there; it may read them, for instance to report the fault.
    pub(crate) fn check_exposure(&self) -> Result<(), Failure> {
        Err(match self.exposed.clone() {
            None => return Ok(()),
            Some((place, Exposure::Owner { path, owner })) => {
                WorkspaceError::Foreign { place, path, owner }.into()
            }
            Some((_, Exposure::Writable { path, owner, is_above: true })) => {
                WorkspaceError::Writable(Distrust::writable_above(path, owner)).into()
            }
            Some((_, Exposure::Writable { path, .. })) => {
                WorkspaceError::Writable(Distrust::Writable { path }).into()
            }
        })
    }

    /// Creates a folder and the missing folders above it, private to the user of this process.
    ///
    /// # Errors
    /// Another user could replace it, or has created it meanwhile; or it is a dangling link.
    pub(crate) fn make_folder(&self, path: &Path) -> Result<(), Failure> {
        let disk = self.disk(PathBuf::new());
        if let Err(error) = disk.resolve(path, None)
            && disk.find(path)?.is_some()
        {
            return Err(error.into());
        }
        let check = |found: &Descent| {
            let exposed = found.exposure(trust::own_user());
            let exposed = exposed.map(|exposure| (path.to_owned(), exposure));
            Workspace { owner: None, exposed }.check_exposure()
        };
        let found = Descent::to(path)?;
        check(&found)?;
        check(&found.create_missing()?)
    }

    /// Returns the owner of the place, if root started this process.
    pub(crate) fn owner(&self) -> Option<u32> {
        self.owner
    }

    /// Returns access to the disk, with a scratch folder for temporary files.
    #[expect(clippy::unused_self, reason = "only a workspace gives access to the disk")]
    pub(crate) fn disk(&self, scratch: PathBuf) -> Disk {
        Disk::new(Arc::new(RealFs), scratch, COMMAND_PREFIX)
    }
}

/// Returns the command that runs another one as a user. sudo refuses a user without an account, and a
/// container, in which there are such users, often lacks it.
pub(crate) fn as_user(user: u32) -> String {
    match accounts::account(user) {
        Some(_) => format!("sudo -u '#{user}'"),
        None => format!("setpriv --reuid {user} --regid {user} --clear-groups"),
    }
}

/// Returns the owner of the first place that exists, as far as this process can see it; otherwise the
/// user of this process.
fn owner_of(places: &[&Path]) -> u32 {
    let found = places.iter().filter_map(|place| Descent::to(place).ok());
    let first = { found }.find(Descent::is_complete);
    first.map_or_else(trust::own_user, |descent| descent.owner())
}

/// Makes this process one of the owner of `place`.
fn adopt(owner: u32, place: &Path) -> Result<(), WorkspaceError> {
    let Some(account) = accounts::account(owner) else {
        return Err(WorkspaceError::NoAccount { place: place.to_owned(), owner });
    };
    become_user(owner, account.group, &account.groups)
        .map_err(|source| WorkspaceError::Become { place: place.to_owned(), owner, source })?;
    env::adopt_home(account.home);
    pgp::set_gnupg_environment(env::gnupg_environment());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    use super::*;
    use crate::testing::{is_root, private_folder};

    #[test]
    fn folder_is_created_private_and_not_behind_a_dangling_link() {
        let guard = private_folder();
        let workspace = Workspace { owner: None, exposed: None };
        let path = guard.path().join("a/b");
        workspace.make_folder(&path).unwrap();
        workspace.make_folder(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        symlink("missing", guard.path().join("link")).unwrap();
        let failure = workspace.make_folder(&guard.path().join("link")).unwrap_err();
        assert!(failure.lines()[0].contains("which does not exist"), "{failure}");
        assert!(!guard.path().join("missing").exists());
    }

    #[test]
    fn command_for_a_user_without_an_account_needs_no_account_as_root() {
        let sudo = as_user(65534);
        assert_eq!(sudo, "sudo -u '#65534'");
        if !is_root("it becomes another user") {
            return;
        }
        let unknown = as_user(4_000_000_000);
        let mut command = std::process::Command::new("sh");
        let said = command.args(["-c", &format!("{unknown} id -u")]).output().unwrap();
        assert_eq!(said.stdout, b"4000000000\n", "{said:?}");
    }

    #[test]
    fn log_may_be_below_a_folder_of_a_group_of_the_system_but_the_spool_may_not_as_root() {
        if !is_root("it changes groups") {
            return;
        }
        let guard = private_folder();
        let folder = guard.path().canonicalize().unwrap();
        let lend = |mode| {
            chown(&folder, Some(0), Some(1)).unwrap();
            fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        };
        lend(0o775);
        let with_log = || {
            let mut workspace = Workspace::examine(&[Path::new("/")]).unwrap();
            workspace.add_log(&folder.join("log")).unwrap();
            workspace.check_exposure()
        };
        with_log().unwrap();
        let spool = Workspace::examine(&[&folder.join("spool")]).unwrap().check_exposure();
        let text = spool.unwrap_err().to_string();
        assert!(text.starts_with("users other than root can write to ") && !text.contains('`'));
        // The folder itself is named with its command.
        let own = Workspace::examine(&[&folder.join("spool"), &folder]).unwrap().check_exposure();
        let command = format!("run `chmod go-w {}`", folder.display());
        assert!(own.unwrap_err().to_string().ends_with(&command));
        lend(0o777);
        assert_eq!(with_log().unwrap_err().exit(), Exit::Permission);
    }

    #[test]
    fn folder_that_another_user_has_created_in_a_shared_one_is_not_used_as_root() {
        if !is_root("it changes owners") {
            return;
        }
        let guard = private_folder();
        fs::set_permissions(guard.path(), Permissions::from_mode(0o1777)).unwrap();
        let path = guard.path().join("spool");
        fs::create_dir(&path).unwrap();
        chown(&path, Some(65534), Some(65534)).unwrap();
        let workspace = Workspace { owner: None, exposed: None };
        for path in [path.clone(), path.join("below")] {
            let failure = workspace.make_folder(&path).unwrap_err();
            assert_eq!(failure.exit(), Exit::Permission, "{failure}");
        }
        assert!(!path.join("below").exists());
        fs::remove_dir(&path).unwrap();
        symlink("/etc", &path).unwrap();
        std::os::unix::fs::lchown(&path, Some(65534), Some(65534)).unwrap();
        assert_eq!(workspace.make_folder(&path).unwrap_err().exit(), Exit::Permission);
        assert_eq!(fs::read_dir(guard.path()).unwrap().count(), 1);
    }
}
