//! Finds the process that holds a lock.
//!
//! It does so without trying to acquire the lock: a reader such as `status` must not make a
//! starting runner fail.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, StatxFlags, major, minor, statx};

use super::real::open_lock_file;
use super::{Disk, DiskError, Meta};

/// Ticks per second in `/proc/PID/stat`: Linux uses this value on all architectures.
const TICKS_PER_SECOND: i64 = 100;
/// Size limit of `/proc/PID/stat` and `/proc/stat`, in bytes.
const STAT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The file in which Linux lists all locks.
const LOCKS: &str = "/proc/locks";
/// Size limit of that file, in bytes.
const LOCKS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The file in which Linux lists all mounts that are visible to this process.
const MOUNTS: &str = "/proc/self/mountinfo";
/// Size limit of that file, in bytes.
const MOUNTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The major and minor number of a device.
type Device = (u32, u32);

impl Disk {
    /// Returns the process that holds the lock of a file; `None` if no visible process does.
    pub(crate) fn lock_holder(&self, path: &Path) -> Result<Option<u32>, DiskError> {
        let Some(meta) = self.find(path)? else { return Ok(None) };
        let locks = self.read(Path::new(LOCKS), LOCKS_BYTES_MAX)?;
        let own = (major(meta.device), minor(meta.device));
        let mounted = self.mount_device(path);
        let locks = String::from_utf8_lossy(&locks);
        let mut same = locks
            .lines()
            .filter_map(parse_lock)
            .filter(|lock| lock.inode == meta.stamp.inode && is_device(lock.device, own, mounted));
        Ok(same.find(|lock| has_open(lock.process, &meta)).map(|lock| lock.process))
    }

    /// Returns the device of the mount that a path is on, if it is known. Locks are listed with
    /// this device; the metadata of files on btrfs and overlay file systems shows other devices.
    fn mount_device(&self, path: &Path) -> Option<Device> {
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
        // Kernels before 5.8 do not report it.
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return None;
        }
        let mounts = self.read(Path::new(MOUNTS), MOUNTS_BYTES_MAX).ok()?;
        parse_mount_device(&String::from_utf8_lossy(&mounts), found.stx_mnt_id)
    }

    /// Returns the start time of a process, accurate to about a second; `None` if it is not
    /// visible.
    pub(crate) fn process_start(&self, process: u32) -> Option<Timestamp> {
        let read = |path: String| {
            // The process may have just ended, or `/proc` may hide it.
            let bytes = self.read(Path::new(&path), STAT_BYTES_MAX).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (own, machine) = (read(format!("/proc/{process}/stat"))?, read("/proc/stat".into())?);
        // The second field is the name of the program in parentheses, which may contain anything.
        let ticks: i64 = own.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        let boot = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
        Timestamp::from_second(
            boot.trim().parse::<i64>().ok()?.checked_add(ticks / TICKS_PER_SECOND)?,
        )
        .ok()
    }
}

/// Waits until the lock on a file is free, without a time limit.
pub(crate) fn wait_until_free(path: &Path) -> io::Result<()> {
    // The lock is released when the file is closed at the end of this statement.
    fs2::FileExt::lock_exclusive(&open_lock_file(path)?)
}

/// An exclusive lock in the list of the kernel.
#[derive(Debug, PartialEq, Eq)]
struct ListedLock {
    process: u32,
    device: Device,
    inode: u64,
}

/// Parses a line of `/proc/locks`; `None` if it is not a held exclusive lock.
///
/// A line is `NUMBER: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE START END`.
fn parse_lock(line: &str) -> Option<ListedLock> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" || words.next().is_none() || words.next()? != "WRITE" {
        return None;
    }
    let process = words.next()?.parse().ok()?;
    let mut file = words.next()?.split(':');
    let mut number = || u32::from_str_radix(file.next()?, 16).ok();
    let device = (number()?, number()?);
    Some(ListedLock { process, device, inode: file.next()?.parse().ok()? })
}

/// Returns the device of a mount.
///
/// A line is `MOUNT PARENT MAJOR:MINOR ROOT MOUNT_POINT …`.
fn parse_mount_device(mounts: &str, mount: u64) -> Option<Device> {
    let mount = mount.to_string();
    let line = mounts.lines().find(|line| line.split(' ').next() == Some(&mount))?;
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns whether a lock listed with a device may belong to a file; `own` is the device in the
/// file's metadata, and `mounted` the device of its mount.
fn is_device(listed: Device, own: Device, mounted: Option<Device>) -> bool {
    match mounted {
        Some(mounted) => listed == mounted,
        // Devices with major number 0 are virtual, and some file systems use two for one file.
        None => listed == own || (listed.0 == 0 && own.0 == 0),
    }
}

/// Returns whether a process may have a file open. This is checked because the subvolumes of btrfs
/// share a device and each of them numbers its own inodes. Only root can see the open files of our
/// programs, which protect their memory; if they are not visible, the answer is yes.
fn has_open(process: u32, file: &Meta) -> bool {
    let folder = PathBuf::from(format!("/proc/{process}/fd"));
    let Ok(descriptors) = folder.read_dir() else { return true };
    descriptors.flatten().any(|descriptor| {
        let open = descriptor.path().metadata();
        open.is_ok_and(|open| (open.dev(), open.ino()) == (file.device, file.stamp.inode))
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, RealFs};

    #[test]
    fn holder_of_a_lock_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = folder.path().join("lock");
        assert_eq!(disk.lock_holder(&path).unwrap(), None);
        disk.create(&path, b"").unwrap();
        assert_eq!(disk.lock_holder(&path).unwrap(), None);
        let lock = disk.lock(&path).unwrap();
        assert_eq!(disk.lock_holder(&path).unwrap(), Some(std::process::id()));
        drop(lock);
        let holder = || disk.lock_holder(&path).unwrap().map_or(Ok(()), Err);
        assert_eq!(crate::testing::retried(holder, |_| true), Ok(()));
    }

    #[test]
    fn only_complete_lines_of_exclusive_locks_are_parsed() {
        let lock = ListedLock { process: 123, device: (0xfe, 0x1a), inode: 77 };
        assert_eq!(parse_lock("1: FLOCK  ADVISORY  WRITE 123 fe:1a:77 0 EOF"), Some(lock));
        for line in [
            "1: FLOCK  ADVISORY  READ 123 fe:1a:77 0 EOF",
            "1: POSIX  ADVISORY  WRITE 123 fe:1a:77 0 EOF",
            "1: -> FLOCK  ADVISORY  WRITE 123 fe:1a:77 0 EOF",
            "1: FLOCK  ADVISORY  WRITE -1 fe:1a:77 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 123 <none>:0 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 123 fe:1a",
            "",
        ] {
            assert_eq!(parse_lock(line), None, "{line}");
        }
    }

    #[test]
    fn lock_is_matched_by_the_device_of_the_mount() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            2 1 0:39 /@home /a\\040b rw - btrfs /dev/vda rw\n\
            27 1 254:0 / / rw - ext4 /dev/root rw\n";
        for (mount, device) in
            [(22, Some((0, 21))), (2, Some((0, 39))), (27, Some((254, 0))), (7, None)]
        {
            assert_eq!(parse_mount_device(mounts, mount), device, "{mount}");
        }
        // On btrfs the metadata of a file shows the device of its subvolume.
        for (listed, own, mounted, is) in [
            ((254, 0), (254, 0), Some((254, 0)), true),
            ((254, 0), (254, 1), Some((254, 1)), false),
            ((0, 39), (0, 41), Some((0, 39)), true),
            ((0, 41), (0, 41), Some((0, 39)), false),
            ((0, 40), (0, 39), Some((0, 39)), false),
            ((0, 40), (0, 39), None, true),
            ((254, 0), (0, 39), None, false),
        ] {
            assert_eq!(is_device(listed, own, mounted), is, "{listed:?} {own:?} {mounted:?}");
        }
    }

    #[test]
    fn open_files_of_a_process_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = folder.path().join("file");
        disk.create(&path, b"").unwrap();
        let meta = disk.find(&path).unwrap().unwrap();
        let open = File::open(&path).unwrap();
        assert!(has_open(std::process::id(), &meta));
        drop(open);
        assert!(!has_open(std::process::id(), &meta));
        // The open files of a process that has ended are not visible.
        assert!(has_open(u32::MAX, &meta));
        assert!(disk.mount_device(&path).is_some());
    }

    #[test]
    fn start_time_of_a_process_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = disk.process_start(child.id());
        disk.create(&folder.path().join("now"), b"").unwrap();
        let now = disk.find(&folder.path().join("now")).unwrap().unwrap().modified;
        child.kill().unwrap();
        child.wait().unwrap();
        let age = now.duration_since(started.unwrap()).as_secs();
        assert!((-2..=5).contains(&age), "{age}");
        assert_eq!(disk.process_start(u32::MAX), None);
    }
}
