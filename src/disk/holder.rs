//! Who holds a lock, without trying to take it: a reader must not be in a starting runner's way.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, StatxFlags, major, minor, statx};

use super::{Disk, DiskError, Meta};

/// The ticks of a second in `/proc/PID/stat`: Linux has shown as many everywhere for long.
const TICKS: i64 = 100;
/// The most that is read of a process's or the machine's state.
const STAT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Where Linux tells all locks.
const LOCKS: &str = "/proc/locks";
/// The most that is read of it.
const LOCKS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The file in which Linux lists all mounts that this process can see.
const MOUNTS: &str = "/proc/self/mountinfo";
/// The most that is read of it.
const MOUNTS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A device, as its major and minor number.
type Device = (u32, u32);

impl Disk {
    /// Returns the process that holds the lock of a file, if one does that this process can see.
    pub(crate) fn holder(&self, path: &Path) -> Result<Option<u32>, DiskError> {
        let Some(meta) = self.find(path)? else { return Ok(None) };
        let locks = self.read(Path::new(LOCKS), LOCKS_BYTES_MAX)?;
        let own = (major(meta.device), minor(meta.device));
        let mounted = self.mounted(path);
        let locks = String::from_utf8_lossy(&locks);
        let mut same = locks
            .lines()
            .filter_map(held)
            .filter(|lock| lock.inode == meta.stamp.inode && is_device(lock.device, own, mounted));
        Ok(same.find(|lock| has_open(lock.process, &meta)).map(|lock| lock.process))
    }

    /// Returns the device of the mount that a path is on, if that is known. It is the one that
    /// locks are listed with; the files of btrfs and of overlay file systems have others.
    fn mounted(&self, path: &Path) -> Option<Device> {
        let found = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID).ok()?;
        // Kernels before 5.8 do not report it.
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return None;
        }
        let mounts = self.read(Path::new(MOUNTS), MOUNTS_BYTES_MAX).ok()?;
        mount_device(&String::from_utf8_lossy(&mounts), found.stx_mnt_id)
    }

    /// Returns when a process started, to about a second, if that can be told.
    pub(crate) fn started(&self, process: u32) -> Option<Timestamp> {
        let read = |path: String| {
            // One that has just ended, or is hidden, is as good as one that tells nothing.
            let bytes = self.read(Path::new(&path), STAT_BYTES_MAX).ok()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        };
        let (own, machine) = (read(format!("/proc/{process}/stat"))?, read("/proc/stat".into())?);
        // The second word is the program's name, which may hold anything, in parentheses.
        let ticks: i64 = own.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        let boot = machine.lines().find_map(|line| line.strip_prefix("btime "))?;
        Timestamp::from_second(boot.trim().parse::<i64>().ok()?.checked_add(ticks / TICKS)?).ok()
    }
}

/// Waits until nobody holds the lock of a file or folder, for as long as it takes.
///
/// # Errors
/// It cannot be opened, or its file system has no locks.
pub(crate) fn wait_until_free(path: &Path) -> io::Result<()> {
    // Had for a moment, and gone again with the file.
    fs2::FileExt::lock_exclusive(&File::open(path)?)
}

/// An exclusive lock.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    process: u32,
    device: Device,
    inode: u64,
}

/// Returns the exclusive lock that a line describes.
///
/// A line is `NUMBER: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE START END`.
fn held(line: &str) -> Option<Listed> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" || words.next().is_none() || words.next()? != "WRITE" {
        return None;
    }
    let process = words.next()?.parse().ok()?;
    let mut place = words.next()?.split(':');
    let mut number = || u32::from_str_radix(place.next()?, 16).ok();
    let device = (number()?, number()?);
    Some(Listed { process, device, inode: place.next()?.parse().ok()? })
}

/// Returns the device of a mount.
///
/// A line is `MOUNT PARENT MAJOR:MINOR ROOT PLACE …`.
fn mount_device(mounts: &str, mount: u64) -> Option<Device> {
    let mount = mount.to_string();
    let line = mounts.lines().find(|line| line.split(' ').next() == Some(&mount))?;
    let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Returns whether a lock that is listed with a device may be one of a file; `own` is the device
/// that the file is shown with, and `mounted` the one of its mount.
fn is_device(listed: Device, own: Device, mounted: Option<Device>) -> bool {
    match mounted {
        Some(mounted) => listed == mounted,
        // Devices of major number 0 are made up, and some file systems make up two for one file.
        None => listed == own || (listed.0 == 0 && own.0 == 0),
    }
}

/// Returns whether a process has a file open. The subvolumes of btrfs share a device and count their
/// inodes each for itself. What a process has open is shown to its user and to root; if it is not
/// shown, it may be the file.
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
    use std::sync::Arc;

    use super::*;
    use crate::disk::{DAEMON_PREFIX, RealFs};

    #[test]
    fn the_holder_of_a_lock_is_told_and_the_lock_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = folder.path().join("lock");
        assert_eq!(disk.holder(&path).unwrap(), None);
        disk.create(&path, b"").unwrap();
        assert_eq!(disk.holder(&path).unwrap(), None);
        let lock = disk.lock(&path).unwrap();
        assert_eq!(disk.holder(&path).unwrap(), Some(std::process::id()));
        drop(lock);
        let holder = || disk.holder(&path).unwrap().map_or(Ok(()), Err);
        assert_eq!(crate::testing::retried(holder, |_| true), Ok(()));
    }

    #[test]
    fn only_whole_lines_of_exclusive_locks_count() {
        let lock = Listed { process: 123, device: (0xfe, 0x1a), inode: 77 };
        assert_eq!(held("1: FLOCK  ADVISORY  WRITE 123 fe:1a:77 0 EOF"), Some(lock));
        for line in [
            "1: FLOCK  ADVISORY  READ 123 fe:1a:77 0 EOF",
            "1: POSIX  ADVISORY  WRITE 123 fe:1a:77 0 EOF",
            "1: -> FLOCK  ADVISORY  WRITE 123 fe:1a:77 0 EOF",
            "1: FLOCK  ADVISORY  WRITE -1 fe:1a:77 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 123 <none>:0 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 123 fe:1a",
            "",
        ] {
            assert_eq!(held(line), None, "{line}");
        }
    }

    #[test]
    fn a_lock_is_of_the_device_that_its_file_is_mounted_from() {
        let mounts = "22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            2 1 0:39 /@home /a\\040b rw - btrfs /dev/vda rw\n\
            27 1 254:0 / / rw - ext4 /dev/root rw\n";
        for (mount, device) in
            [(22, Some((0, 21))), (2, Some((0, 39))), (27, Some((254, 0))), (7, None)]
        {
            assert_eq!(mount_device(mounts, mount), device, "{mount}");
        }
        // On btrfs the file is shown with the device of its subvolume.
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
    fn this_process_has_open_what_it_has_open() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let path = folder.path().join("file");
        disk.create(&path, b"").unwrap();
        let meta = disk.find(&path).unwrap().unwrap();
        let open = File::open(&path).unwrap();
        assert!(has_open(std::process::id(), &meta));
        drop(open);
        assert!(!has_open(std::process::id(), &meta));
        // A process that has ended shows nothing.
        assert!(has_open(u32::MAX, &meta));
        let mounted = disk.mounted(&path);
        assert!(mounted.is_some());
    }

    #[test]
    fn a_process_tells_when_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), DAEMON_PREFIX);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = disk.started(child.id());
        disk.create(&folder.path().join("now"), b"").unwrap();
        let now = disk.find(&folder.path().join("now")).unwrap().unwrap().modified;
        child.kill().unwrap();
        child.wait().unwrap();
        let age = now.duration_since(started.unwrap()).as_secs();
        assert!((-2..=5).contains(&age), "{age}");
        assert_eq!(disk.started(u32::MAX), None);
    }
}
