//! The file system of this machine.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags, RenameFlags, fchmod, lgetxattr, renameat_with, statvfs};
use rustix::io::Errno;

use super::fs::{Entry, FileKind, FreeSpace, Fs, FsFile, GROUP_ANY, Lock, Meta, Stamp};
use super::namespace;
use super::trust::{Distrust, GROUP_AND_OTHERS, check_only_name, own_user};
use super::watchable::FolderStamp;

#[derive(Debug, Clone, Copy)]
pub(crate) struct RealFs;

/// Maximum number of fsyncs that run at the same time. A disk is hardly faster with more.
const SYNCS_AT_ONCE: usize = 16;
/// The extended attribute in which Linux stores an access control list.
pub(super) const ACL: &str = "system.posix_acl_access";

/// Returns flags that neither follow a link nor wait for the other end of a pipe.
fn open_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed()
}

/// Returns whether a file or folder has an access control list. If this cannot be determined, the
/// answer is yes, so that the file is not trusted.
fn has_acl(path: &Path) -> bool {
    // An empty buffer requests only the size.
    let found = lgetxattr(path, ACL, &mut [0_u8; 0]);
    !matches!(found, Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::NOENT))
}

fn only_regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

impl FsFile for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }
}

impl Fs for RealFs {
    fn create(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(file))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn FsFile>> {
        let file = OpenOptions::new().append(true).custom_flags(open_flags()).open(path)?;
        Ok(Box::new(only_regular(file)?))
    }

    fn reader(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let file = OpenOptions::new().read(true).custom_flags(open_flags()).open(path)?;
        Ok(Box::new(only_regular(file)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the disk")]
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the implementation of the disk")]
    fn unlink(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let flags = OFlags::DIRECTORY.bits().cast_signed();
        OpenOptions::new().read(true).custom_flags(flags).open(path)?.sync_all()
    }

    fn syncs_at_once(&self) -> usize {
        SYNCS_AT_ONCE
    }

    fn make_folder(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn link(&self, target: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn link_target(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            entries.push(Entry { name: entry.file_name(), kind: kind(entry.file_type()?) });
        }
        Ok(entries)
    }

    fn for_each_name(&self, path: &Path, each: &mut dyn FnMut(&OsStr)) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            each(&entry?.file_name());
        }
        Ok(())
    }

    fn meta(&self, path: &Path) -> io::Result<Meta> {
        Ok(Meta::of(&fs::symlink_metadata(path)?, path))
    }

    fn folder_stamp(&self, path: &Path) -> io::Result<Option<FolderStamp>> {
        let meta = fs::symlink_metadata(path)?;
        let stamp = || FolderStamp { device: meta.dev(), stamp: stamp(&meta) };
        Ok(meta.is_dir().then(stamp))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let file = open_lock_file(path)?;
        fs2::FileExt::try_lock_exclusive(&file)?;
        Ok(Lock::new(file))
    }

    fn free_space(&self, path: &Path) -> io::Result<FreeSpace> {
        let found = statvfs(path)?;
        Ok(FreeSpace {
            bytes: part(found.f_bavail, found.f_blocks),
            files: part(found.f_favail, found.f_files),
        })
    }
}

/// Opens a file to lock it. Each user who can open the file could lock it, so it must belong to
/// this process's user, and other users' access to it is taken away.
///
/// On NFS only a file that is open for writing can be locked.
pub(super) fn open_lock_file(path: &Path) -> io::Result<File> {
    // The check comes before the opening: its error says why a file cannot be opened.
    check_lock_file(path, &RealFs.meta(path)?)?;
    let open =
        |writes| OpenOptions::new().read(true).write(writes).custom_flags(open_flags()).open(path);
    let file = match open(true) {
        Err(error) if is_unwritable(&error) => open(false)?,
        opened => opened?,
    };
    let meta = Meta::of(&file.metadata()?, path);
    check_lock_file(path, &meta)?;
    if meta.mode & GROUP_AND_OTHERS != 0 {
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    }
    Ok(file)
}

fn is_unwritable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Checks that a file may be locked: it is a regular file of this process's user with one name.
pub(super) fn check_lock_file(path: &Path, meta: &Meta) -> io::Result<()> {
    if meta.kind != FileKind::File {
        let text = "it is not a regular file: remove it";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let (owner, trusted, path) = (meta.owner, own_user(), path.to_owned());
    if owner == trusted {
        return check_only_name(meta);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, Distrust::Owner { path, owner, trusted }))
}

impl Meta {
    /// Converts the metadata of the file or folder at `path`.
    pub(crate) fn of(meta: &fs::Metadata, path: &Path) -> Meta {
        Meta {
            kind: kind(meta.file_type()),
            stamp: stamp(meta),
            modified: time(meta.mtime(), meta.mtime_nsec()),
            device: meta.dev(),
            hard_links: meta.nlink(),
            owner: namespace::owner(meta.uid()),
            group: meta.gid(),
            mode: meta.mode() & 0o7777,
            has_acl: meta.mode() & GROUP_ANY != 0 && has_acl(path),
        }
    }
}

/// Changes the mode of a file or folder, not of the target of a link.
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let file = OpenOptions::new().read(true).custom_flags(open_flags()).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))
}

/// Returns the free part of a whole; 1 if the whole is 0.
#[expect(clippy::cast_precision_loss, reason = "an approximate value suffices")]
fn part(free: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { free as f64 / whole as f64 }
}

fn kind(kind: fs::FileType) -> FileKind {
    if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Folder
    } else if kind.is_symlink() {
        FileKind::Link
    } else if kind.is_char_device() || kind.is_block_device() {
        FileKind::Device
    } else {
        debug_assert!(kind.is_fifo() || kind.is_socket());
        FileKind::Special
    }
}

fn stamp(meta: &fs::Metadata) -> Stamp {
    let changed = time(meta.ctime(), meta.ctime_nsec());
    Stamp { inode: meta.ino(), size: meta.size(), changed }
}

fn time(seconds: i64, nanoseconds: i64) -> Timestamp {
    let nanoseconds = i32::try_from(nanoseconds).unwrap_or(0);
    Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
