//! Who holds a lock, without trying to take it: a reader must not be in a starting runner's way.

use std::fs::File;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{major, minor};

use super::{Disk, DiskError, Meta};

/// The ticks of a second in `/proc/PID/stat`: Linux has shown as many everywhere for long.
const TICKS: i64 = 100;
/// The most that is read of a process's or the machine's state.
const STAT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Where Linux tells all locks.
const LOCKS: &str = "/proc/locks";
/// The most that is read of it.
const LOCKS_BYTES_MAX: u64 = 4 * 1024 * 1024;

impl Disk {
    /// Returns the process that holds the lock of a file, if one does that this process can see.
    pub(crate) fn holder(&self, path: &Path) -> Result<Option<u32>, DiskError> {
        let Some(meta) = self.find(path)? else { return Ok(None) };
        let locks = self.read(Path::new(LOCKS), LOCKS_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(&locks).lines().find_map(|line| held(line, &meta)))
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

/// Returns the process of a line, if that tells an exclusive lock of the file.
///
/// A line is `NUMBER: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE START END`.
fn held(line: &str, file: &Meta) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next()? != "FLOCK" || words.next().is_none() || words.next()? != "WRITE" {
        return None;
    }
    let process = words.next()?.parse().ok()?;
    let mut place = words.next()?.split(':');
    let mut number = || u32::from_str_radix(place.next()?, 16).ok();
    let device = (number()?, number()?);
    let inode: u64 = place.next()?.parse().ok()?;
    let own = (major(file.device), minor(file.device));
    // Devices of major number 0 are made up, and some file systems make up two for one file.
    let same_device = device == own || (device.0 == 0 && own.0 == 0);
    (inode == file.stamp.inode && same_device).then_some(process)
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
