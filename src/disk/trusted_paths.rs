//! The one check of the paths that a program depends on: only its user and root can change them,
//! and only they can read a secret.
//!
//! A path is checked with all its links and with the folders above it, up to the root of the file
//! system: a user who can rename a folder can replace everything below it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::ignored_names::is_system_folder;
use super::trust::{self, Distrust, is_open_descriptor};
use super::{Context, Disk, DiskError, Entry, FileKind, ResolvedPath};

/// Maximum number of entries that are checked in a folder and below it.
const ENTRIES_MAX: usize = 100_000;

/// A path that a program depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrustedPath {
    pub(crate) path: PathBuf,
    pub(crate) content: Content,
}

/// What a path contains, which decides who may read it and how much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// A file or folder that other users may read. The entries of a folder are not checked.
    Public,
    /// A file that other users may not read.
    Secret,
    /// A private key, which some groups may read.
    Key,
    /// A folder with everything below it, which other users may read.
    Tree,
}

impl TrustedPath {
    pub(crate) fn new(path: impl Into<PathBuf>, content: Content) -> TrustedPath {
        TrustedPath { path: path.into(), content }
    }

    /// Returns the faults of the path for a program that runs as `user`. A path that does not exist,
    /// standard input and an open descriptor, such as `/dev/fd/3`, have no faults.
    ///
    /// # Errors
    /// The path is a dangling link, a file or folder cannot be accessed, or a folder has too many
    /// entries.
    pub(crate) fn faults(&self, disk: &Disk, user: u32) -> Result<Vec<Distrust>, DiskError> {
        if is_open_descriptor(&self.path) {
            return Ok(Vec::new());
        }
        let found = match disk.resolve(&self.path, None) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Vec::new()),
            // The path does not exist below the target of a link.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && disk.find(&self.path)?.is_none() =>
            {
                return Ok(Vec::new());
            }
            // Below a file, nothing exists.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let checked = found.check_trust(disk, user)?.into_iter();
        let mut faults: Vec<_> = checked.map(Distrust::without_chown).collect();
        match self.content {
            Content::Public => {}
            Content::Secret => {
                let secret = trust::check_secret(&found.path, &found.meta, user);
                let secret = secret.err().map(Distrust::without_chown);
                faults.extend(secret.filter(|fault| !faults.contains(fault)));
            }
            Content::Key => faults.extend(trust::check_key(&found.path, &found.meta, user).err()),
            Content::Tree => check_tree(disk, &found, user, &mut faults)?,
        }
        Ok(faults)
    }
}

/// Returns the faults of all paths, each once.
pub(crate) fn faults(
    disk: &Disk,
    paths: &[TrustedPath],
    user: u32,
) -> Result<Vec<Distrust>, DiskError> {
    let mut all = Vec::new();
    for path in paths {
        for fault in path.faults(disk, user)? {
            add(&mut all, fault);
        }
    }
    Ok(all)
}

/// Adds a fault that is not in the list. A folder may be above one path and be another path itself: then
/// its fault is the one with the command.
pub(crate) fn add(faults: &mut Vec<Distrust>, fault: Distrust) {
    let known = faults.iter_mut().find(|known| match (&**known, &fault) {
        (Distrust::WritableAbove { path: above }, Distrust::Writable { path })
        | (Distrust::Writable { path }, Distrust::WritableAbove { path: above }) => above == path,
        (known, fault) => known == fault,
    });
    match known {
        None => faults.push(fault),
        Some(known) if matches!(known, Distrust::WritableAbove { .. }) => *known = fault,
        Some(_) => {}
    }
}

/// Checks all entries below a folder. Links are followed, into further folders as well.
fn check_tree(
    disk: &Disk,
    top: &ResolvedPath,
    user: u32,
    faults: &mut Vec<Distrust>,
) -> Result<(), DiskError> {
    let mut folders = vec![top.path.clone()];
    let mut seen = BTreeSet::from([top.path.clone()]);
    let mut count = 0;
    while let Some(folder) = folders.pop() {
        let Some(entries) = list(disk, &folder)? else { continue };
        count += entries.len();
        if count > ENTRIES_MAX {
            let text = format!("there are over {ENTRIES_MAX} files in it: remove the others");
            return Err(io::Error::other(text)).context("check", &top.path);
        }
        for entry in entries {
            let path = folder.join(&entry.name);
            // An entry may have been removed since the folder was listed.
            let Some(meta) = disk.find(&path)? else { continue };
            match meta.kind {
                FileKind::Folder if is_of_file_system(&entry.name) => {}
                FileKind::Link => {
                    let (linked, found) = check_link(disk, &path, user)?;
                    faults.extend(found);
                    folders.extend(linked.filter(|folder| seen.insert(folder.clone())));
                }
                FileKind::Folder => {
                    faults.extend(trust::check(&path, &meta, user).err());
                    folders.extend(seen.insert(path.clone()).then_some(path));
                }
                FileKind::File | FileKind::Device | FileKind::Special => {
                    faults.extend(trust::check(&path, &meta, user).err());
                }
            }
        }
    }
    Ok(())
}

/// Lists a folder; `None` if it no longer exists, or if this process may not enter it, and so can use
/// nothing in it.
fn list(disk: &Disk, folder: &Path) -> Result<Option<Vec<Entry>>, DiskError> {
    let may_enter = || match disk.find(&folder.join(".")) {
        Err(error) => error.kind() != io::ErrorKind::PermissionDenied,
        Ok(_) => true,
    };
    match disk.list(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !may_enter() => Ok(None),
        listed => listed.map(Some),
    }
}

/// Returns whether a folder was created by a file system or a desktop, such as `lost+found`.
fn is_of_file_system(name: &OsStr) -> bool {
    name.to_str().is_some_and(is_system_folder)
}

/// Checks a link and its target; returns the target if it is a folder, and the faults. Whoever can
/// create the missing target of a link has the same power as the owner of an existing one. A link that
/// cannot be followed for another reason gives access to nothing.
fn check_link(
    disk: &Disk,
    path: &Path,
    user: u32,
) -> Result<(Option<PathBuf>, Vec<Distrust>), DiskError> {
    let Ok((found, exists)) = disk.resolve_existing(path, path.parent()) else {
        return Ok((None, Vec::new()));
    };
    let faults = found.check_trust(disk, user)?;
    let is_folder = exists && found.meta.kind == FileKind::Folder;
    Ok((is_folder.then_some(found.path), faults))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};
    use crate::testing::{as_nobody, given_path, is_root, private_folder, write_private};

    /// Returns the remedies for the faults of a path, without its folder.
    fn remedies(folder: &Path, name: &str, content: Content) -> Vec<String> {
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let path = TrustedPath::new(folder.join(name), content);
        let faults = faults(&disk, &[path.clone(), path], trust::own_user()).unwrap();
        let folder = format!("{}/", folder.canonicalize().unwrap().display());
        let remedy = |fault: &Distrust| {
            let text = fault.to_string().replace(&folder, "");
            match fault {
                Distrust::WritableAbove { .. } => text,
                _ => text.split('`').nth(1).unwrap().to_owned(),
            }
        };
        faults.iter().map(remedy).collect()
    }

    fn chmod(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn file_and_all_folders_above_it_are_checked() {
        let folder = private_folder();
        let above = folder.path().join("above");
        fs::create_dir(&above).unwrap();
        let file = above.join("file");
        write_private(&file, "x");
        let check = |content| remedies(folder.path(), "above/file", content);
        assert_eq!(check(Content::Secret), [""; 0]);
        chmod(&file, 0o644);
        assert_eq!(check(Content::Public), [""; 0]);
        assert_eq!(check(Content::Secret), ["chmod go= above/file"]);
        chmod(&file, 0o666);
        assert_eq!(check(Content::Public), ["chmod go-w above/file"]);
        chmod(&file, 0o600);
        chmod(&above, 0o777);
        let fault = Distrust::writable_above("above".into(), trust::own_user()).to_string();
        let remedy = fault.split('`').nth(1).unwrap_or(&fault);
        assert_eq!(check(Content::Public), [remedy]);
        chmod(&above, 0o1777);
        assert_eq!(check(Content::Public), [""; 0], "others cannot rename files of this user");
        assert_eq!(remedies(folder.path(), "above/none", Content::Secret), [""; 0]);
    }

    #[test]
    fn everything_in_a_tree_is_checked() {
        let folder = private_folder();
        let tree = folder.path().join("tree");
        fs::create_dir_all(tree.join("lib")).unwrap();
        for name in ["plugin", "lib/module", "../target"] {
            write_private(&tree.join(name), "x");
        }
        symlink("../../target", tree.join("lib/link")).unwrap();
        symlink("nowhere", tree.join("dangling")).unwrap();
        let check = || remedies(folder.path(), "tree", Content::Tree);
        assert_eq!(check(), [""; 0]);
        for (name, remedy) in [
            ("lib/module", "chmod go-w tree/lib/module"),
            ("lib", "chmod go-w tree/lib"),
            ("../target", "chmod go-w target"),
        ] {
            chmod(&tree.join(name), 0o702);
            assert_eq!(check(), [remedy]);
            chmod(&tree.join(name), 0o700);
        }
    }

    #[test]
    fn folders_of_the_file_system_are_not_checked() {
        let folder = private_folder();
        let tree = folder.path().join("tree");
        for name in ["lost+found", ".Trash", "lib"] {
            fs::create_dir_all(tree.join(name)).unwrap();
            chmod(&tree.join(name), 0o777);
        }
        let check = || remedies(folder.path(), "tree", Content::Tree);
        assert_eq!(check(), ["chmod go-w tree/lib"]);
        // A file system creates `lost+found` only as a folder, never as a link or a file.
        fs::remove_dir(tree.join("lost+found")).unwrap();
        fs::create_dir(folder.path().join("other")).unwrap();
        chmod(&folder.path().join("other"), 0o777);
        symlink("../other", tree.join("lost+found")).unwrap();
        assert_eq!(check(), ["chmod go-w tree/lib", "chmod go-w other"]);
    }

    /// Names the folder of the next test, which another process runs as another user.
    const TREE: &str = "MIG_TEST_TREE";

    #[test]
    fn tree_of_the_environment_has_a_folder_that_cannot_be_entered() {
        let Some(tree) = given_path(TREE) else { return };
        assert_eq!(
            fs::read_dir(tree.join("closed")).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let path = TrustedPath::new(&tree, Content::Tree);
        let may_enter = fs::metadata(tree.join("closed/.")).is_ok();
        assert_eq!(path.faults(&disk, trust::own_user()).ok(), (!may_enter).then(Vec::new));
    }

    #[test]
    fn folder_that_cannot_be_entered_is_skipped_as_root() {
        if !is_root("it becomes another user") {
            return;
        }
        let tree = tempfile::tempdir().unwrap();
        chmod(tree.path(), 0o755);
        let closed = tree.path().join("closed");
        fs::create_dir(&closed).unwrap();
        let name = "disk::trusted_paths::tests::tree_of_the_environment_has_a_folder_that_cannot_be_entered";
        // Whoever may enter a folder can use a file in it whose name they know.
        for mode in [0o700, 0o711] {
            chmod(&closed, mode);
            as_nobody(name, &[(TREE, tree.path())]);
        }
    }

    #[test]
    fn missing_target_of_a_link_and_files_in_a_linked_folder_are_checked() {
        let folder = private_folder();
        let (tree, open) = (folder.path().join("tree"), folder.path().join("open"));
        fs::create_dir(&tree).unwrap();
        fs::create_dir(&open).unwrap();
        write_private(&open.join("module"), "x");
        let check = || remedies(folder.path(), "tree", Content::Tree);
        // Another user could create the target.
        symlink("../open/missing", tree.join("dangling")).unwrap();
        assert_eq!(check(), [""; 0]);
        chmod(&open, 0o1777);
        let disk = Disk::new(Arc::new(RealFs), PathBuf::new(), COMMAND_PREFIX);
        let path = TrustedPath::new(&tree, Content::Tree);
        let found = path.faults(&disk, trust::own_user()).unwrap();
        assert!(matches!(&found[..], [Distrust::Shared { path }] if path.ends_with("open")));
        chmod(&open, 0o700);
        disk.unlink(&tree.join("dangling")).unwrap();
        symlink("../open", tree.join("linked")).unwrap();
        symlink("../tree", open.join("cycle")).unwrap();
        assert_eq!(check(), [""; 0]);
        chmod(&open.join("module"), 0o602);
        assert_eq!(check(), ["chmod go-w open/module"]);
    }

    #[test]
    fn only_descriptors_and_devices_are_not_checked() {
        for name in ["-", "/dev/stdin", "/dev/fd/0"] {
            assert_eq!(remedies(Path::new("/"), name, Content::Secret), [""; 0]);
        }
        assert_eq!(remedies(Path::new("/"), "dev/null", Content::Public), [""; 0]);
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        chmod(folder.path(), 0o777);
        let found = remedies(Path::new("/"), folder.path().to_str().unwrap(), Content::Tree);
        assert_eq!(found, [format!("chmod go-w {}", folder.path().display())]);
    }
}
