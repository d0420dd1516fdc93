//! What the inotify watch of a folder reports, and what it does not.
//!
//! On the file systems below, the watch of a folder reports every change of its names, and of its
//! files as long as they are reached through the folder. It does not report
//! * what other machines, a FUSE process or a lower layer of an overlay change,
//! * writes to a file through another of its names, in another folder,
//! * writes to a file that is mounted over a name, because it belongs to another folder.

use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FsWord, StatxAttributes, StatxFlags, statfs, statx};

use super::path_lock::FileId;
use super::{Disk, FileKind, Meta, Stamp};

/// The types of file systems that only this machine changes, and only through its own kernel.
const LOCAL: [FsWord; 7] = [
    0x0000_EF53, // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // F2FS
    0x2FC1_2FC1, // ZFS
    0xCA45_1A4E, // bcachefs
];

/// Identifies a state of a folder: as long as the stamp is the same, the folder has the same names
/// for the same files. The files may have been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FolderStamp {
    pub(crate) device: u64,
    pub(super) stamp: Stamp,
}

impl FolderStamp {
    /// Returns the stamp of a folder, `None` for anything else.
    pub(super) fn of(meta: &Meta) -> Option<FolderStamp> {
        let is_folder = meta.kind == FileKind::Folder;
        is_folder.then_some(FolderStamp { device: meta.device, stamp: meta.stamp })
    }

    /// Returns the identity of the folder.
    pub(crate) fn id(&self) -> FileId {
        FileId::new(self.device, self.stamp.inode)
    }
}

impl Disk {
    /// Returns the stamp of a folder with a single system call; `None` for anything else, and if
    /// the folder cannot be accessed.
    pub(crate) fn folder_stamp(&self, path: &Path) -> Option<FolderStamp> {
        self.fs.folder_stamp(path).ok().flatten()
    }

    /// Returns whether only this machine changes the file system of a folder, so that its watch
    /// reports all changes of names in it. If this cannot be determined, the answer is no.
    pub(crate) fn is_local(&self, folder: &Path) -> bool {
        statfs(folder).is_ok_and(|found| LOCAL.contains(&found.f_type))
    }

    /// Returns whether a file or file system is mounted over a name. If this cannot be determined,
    /// the answer is yes.
    pub(crate) fn is_mounted(&self, path: &Path) -> bool {
        is_mounted(path).unwrap_or(true)
    }

    /// Returns whether the watch of `folder` reports writes to the file at `path`, which is in that
    /// folder. If this cannot be determined, the answer is no.
    pub(crate) fn reports_writes(&self, folder: &FolderStamp, path: &Path, file: &Meta) -> bool {
        file.kind == FileKind::File
            && file.hard_links == 1
            && file.device == folder.device
            && !self.is_mounted(path)
    }
}

/// Returns whether a file or file system is mounted over a name.
fn is_mounted(path: &Path) -> io::Result<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let found = statx(CWD, path, flags, StatxFlags::TYPE)?;
    let mounted = StatxAttributes::MOUNT_ROOT;
    if found.stx_attributes_mask.contains(mounted) {
        return Ok(found.stx_attributes.contains(mounted));
    }
    // Linux before 5.8 does not say.
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests change files as other processes do")]

    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    fn disk(folder: &Path) -> Disk {
        Disk::new(Arc::new(RealFs), folder.join("unused"), COMMAND_PREFIX)
    }

    #[test]
    fn names_change_the_stamp_of_their_folder_and_writes_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), folder.path().join("file"));
        fs::write(&file, "1").unwrap();
        let first = disk.folder_stamp(folder.path()).unwrap();
        assert_eq!(Some(first.id()), disk.file_id(folder.path()).unwrap());
        fs::write(&file, "22").unwrap();
        assert_eq!(disk.folder_stamp(folder.path()), Some(first));
        // A link count in the folder's size or inode shows even if the clock has not moved on.
        fs::create_dir(folder.path().join("new")).unwrap();
        let changed = |stamp: FolderStamp| stamp.stamp.changed;
        let second = disk.folder_stamp(folder.path()).unwrap();
        assert!(changed(second) >= changed(first));
        assert_eq!(disk.folder_stamp(&file), None);
        assert_eq!(disk.folder_stamp(&folder.path().join("none")), None);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert_eq!(disk.folder_stamp(&link), None);
    }

    #[test]
    fn writes_through_another_name_are_not_reported() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, file) = (disk(folder.path()), folder.path().join("file"));
        fs::write(&file, "1").unwrap();
        let stamp = disk.folder_stamp(folder.path()).unwrap();
        let is_reported = || {
            let meta = disk.find(&file).unwrap().unwrap();
            disk.reports_writes(&stamp, &file, &meta)
        };
        assert!(is_reported());
        fs::hard_link(&file, folder.path().join("other")).unwrap();
        assert!(!is_reported());
    }

    #[test]
    fn mounts_and_file_systems_of_other_machines_are_recognised() {
        assert!(is_mounted(Path::new("/proc")).unwrap());
        assert!(!is_mounted(Path::new("/proc/self")).unwrap());
        assert!(disk(Path::new("/")).is_mounted(Path::new("/none")));
        let disk = disk(Path::new("/"));
        assert!(!disk.is_local(Path::new("/proc")));
        assert!(!disk.is_local(Path::new("/none")));
        let Ok(shared) = tempfile::tempdir_in("/dev/shm") else {
            return crate::testing::skip("/dev/shm is missing");
        };
        assert!(disk.is_local(shared.path()));
        assert!(!disk.is_mounted(shared.path()));
    }
}
