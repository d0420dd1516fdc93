//! Checks whether a folder can be a spool: empty at first, on one device, and writable only by its
//! owner.

use std::path::Path;

use super::{Folder, Layout, SpoolError};
use crate::disk::ignored_names::is_ignored;
use crate::disk::{Disk, DiskError, FileKind, trust};

/// Checks that only `owner` can write a spool, and that renames within it are atomic.
///
/// # Errors
/// `Unsafe` names all folders that others can write; `Link` and `Devices` name the first folder
/// from which a rename would not be atomic.
pub(crate) fn inspect(disk: &Disk, layout: &Layout, owner: u32) -> Result<(), SpoolError> {
    check_links(disk, layout)?;
    let mut faults = Vec::new();
    let device = disk.find(&layout.scratch())?.map(|meta| meta.device);
    for folder in Folder::ALL.map(|folder| layout.folder(folder)) {
        let found = trust::check_up_to(disk, &folder, layout.root(), owner)?;
        faults.extend(found.iter().map(ToString::to_string));
        if disk.find(&folder)?.is_some_and(|meta| Some(meta.device) != device) {
            return Err(SpoolError::Devices { path: folder });
        }
    }
    faults.sort();
    faults.dedup();
    if faults.is_empty() { Ok(()) } else { Err(SpoolError::Unsafe { faults }) }
}

/// Refuses symbolic links in place of the spool's own folders: a rename through one could lead to
/// another device, and a sync of the parent folder would not make it durable.
pub(super) fn check_links(disk: &Disk, layout: &Layout) -> Result<(), SpoolError> {
    let folders = Folder::ALL.map(|folder| layout.folder(folder));
    let families = folders.iter().filter_map(|folder| folder.parent());
    let own = [layout.scratch(), layout.slots(), layout.lock()];
    let all = families.chain(folders.iter().chain(&own).map(AsRef::as_ref));
    for path in all {
        if disk.find(path)?.is_some_and(|meta| meta.kind == FileKind::Link) {
            return Err(SpoolError::Link { path: path.to_owned() });
        }
    }
    Ok(())
}

/// Returns whether a folder can become a spool: it does not exist, or has no content except the
/// empty folders of a spool, dot files, and files of editors and file systems.
pub(super) fn is_vacant(disk: &Disk, layout: &Layout) -> Result<bool, DiskError> {
    let is_empty = |folder: &Path, allowed: &[&str]| -> Result<bool, DiskError> {
        if disk.find(folder)?.is_none() {
            return Ok(true);
        }
        let entries = disk.list(folder)?;
        Ok(entries.iter().all(|entry| {
            let name = entry.name.to_string_lossy();
            let is_allowed = name.starts_with('.') || allowed.contains(&name.as_ref());
            is_allowed || is_ignored(&entry.name)
        }))
    };
    if !is_empty(layout.root(), &["action", "command"])? {
        return Ok(false);
    }
    for folder in Folder::ALL {
        if !is_empty(&layout.folder(folder), &[])? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::testing::{open, reopen, spool};
    use super::*;

    #[test]
    fn folder_with_other_content_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("spool")).unwrap();
        std::fs::write(folder.path().join("spool/letter"), "x").unwrap();
        assert!(matches!(open(folder.path()), Err(SpoolError::NotASpool { .. })));
    }

    #[test]
    fn spool_that_others_can_write_is_refused() {
        let (folder, spool) = spool();
        drop(spool);
        let new = folder.path().join("spool/action/new");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o707)).unwrap();
        let error = reopen(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("chmod go-w {}", new.display())), "{error}");
    }

    #[test]
    fn leftovers_of_file_systems_and_editors_are_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("spool");
        for name in ["lost+found", "#recycle", "action/lost+found", "action/new/~snapshot"] {
            crate::testing::make_private(&root.join(name));
        }
        for name in ["README", "old.bak", "action/README.md", "action/new/4913", ".DS_Store"] {
            crate::testing::write_private(&root.join(name), "x");
        }
        let spool = open(folder.path()).unwrap();
        crate::testing::write_private(&root.join("action/new/x.json~"), "x");
        crate::testing::write_private(&root.join("action/new/README.json"), "x");
        crate::testing::write_private(&root.join("action/new/letter"), "x");
        assert_eq!(spool.names(Folder::New).unwrap(), ["README.json", "letter"]);
        drop(spool);
        drop(reopen(folder.path()).unwrap());
    }

    #[test]
    fn spool_may_be_a_link_but_its_folders_may_not() {
        let (folder, spool) = spool();
        drop(spool);
        let (named, real) = (folder.path().join("spool"), folder.path().join("real"));
        std::fs::rename(&named, &real).unwrap();
        symlink("real", &named).unwrap();
        drop(reopen(folder.path()).unwrap());
        for name in ["command", "action/new", ".tmp", ".slots", ".lock"] {
            let (path, away) = (named.join(name), folder.path().join("away"));
            std::fs::rename(&path, &away).unwrap();
            symlink(&away, &path).unwrap();
            let error = reopen(folder.path()).unwrap_err();
            let names_path = matches!(&error, SpoolError::Link { path: named } if *named == path);
            assert!(names_path, "{name}: {error}");
            std::fs::remove_file(&path).unwrap();
            std::fs::rename(&away, &path).unwrap();
        }
        drop(reopen(folder.path()).unwrap());
    }
}
