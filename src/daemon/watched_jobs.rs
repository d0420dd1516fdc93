//! The watched folders in the jobs folder, and which of their watches report every change.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::time::Duration;

use crate::disk::FileId;
use crate::job::folders::JobWatches;

/// Maximum time until a scan examines the files of a job whose watch reports no change. If the time
/// between two scans is longer, each scan does so.
const EXAMINE_SPAN: Duration = Duration::from_secs(10 * 60);

/// The watched folders in the jobs folder.
#[derive(Debug)]
pub(super) struct WatchedJobs {
    /// The identity of each folder, links followed, from before its watch was set.
    folders: BTreeMap<OsString, FileId>,
    coverage: HashMap<FileId, Coverage>,
    scans: u16,
}

/// What the watch of a folder reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    /// Every change, under the name of the folder.
    All,
    /// Not the changes that other machines or file systems make.
    Local,
    /// Another watch is on the same folder. The kernel has only one watch for both, which reports
    /// one of the two names and ends when either is removed.
    Shared,
}

impl WatchedJobs {
    /// Returns no watches yet; `check_span` is the time between two scans.
    pub(super) fn new(check_span: Duration) -> WatchedJobs {
        let scans = EXAMINE_SPAN.as_secs().checked_div(check_span.as_secs()).unwrap_or(1);
        let scans = u16::try_from(scans).unwrap_or(u16::MAX).max(1);
        WatchedJobs { folders: BTreeMap::new(), coverage: HashMap::new(), scans }
    }

    /// Adds the watch of a folder.
    pub(super) fn insert(&mut self, name: OsString, id: FileId, coverage: Coverage) {
        let is_shared = self.coverage.contains_key(&id);
        self.coverage.insert(id, if is_shared { Coverage::Shared } else { coverage });
        self.folders.insert(name, id);
    }

    /// Removes a watch. What remains of a shared one is not known until all watches are set again.
    pub(super) fn remove(&mut self, name: &OsStr) {
        let Some(id) = self.folders.remove(name) else { return };
        if self.coverage.get(&id) != Some(&Coverage::Shared) {
            self.coverage.remove(&id);
        }
    }

    /// Removes all watches and returns their names.
    pub(super) fn take(&mut self) -> impl Iterator<Item = OsString> + use<> {
        self.coverage.clear();
        std::mem::take(&mut self.folders).into_keys()
    }

    /// Returns the names of the watched folders, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &OsStr> {
        self.folders.keys().map(OsString::as_os_str)
    }

    pub(super) fn contains(&self, name: &OsStr) -> bool {
        self.folders.contains_key(name)
    }

    pub(super) fn len(&self) -> usize {
        self.folders.len()
    }
}

impl JobWatches for WatchedJobs {
    fn folder_id(&self, name: &OsStr) -> Option<FileId> {
        let id = self.folders.get(name)?;
        (self.coverage.get(id) == Some(&Coverage::All)).then_some(*id)
    }

    fn scans(&self) -> u16 {
        self.scans
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, Disk, RealFs};

    fn watched(check_seconds: u64) -> WatchedJobs {
        WatchedJobs::new(Duration::from_secs(check_seconds))
    }

    #[test]
    fn watch_that_two_names_share_reports_neither() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let one = disk.file_id(folder.path()).unwrap().unwrap();
        let other = disk.file_id("/".as_ref()).unwrap().unwrap();
        let mut watched = watched(30);
        watched.insert("a".into(), one, Coverage::All);
        watched.insert("remote".into(), other, Coverage::Local);
        assert_eq!(watched.folder_id("a".as_ref()), Some(one));
        assert_eq!(watched.folder_id("remote".as_ref()), None);
        assert_eq!(watched.folder_id("none".as_ref()), None);
        watched.insert("link".into(), one, Coverage::All);
        assert_eq!(watched.folder_id("a".as_ref()), None);
        // The kernel's watch of both has ended.
        watched.remove("link".as_ref());
        assert_eq!(watched.folder_id("a".as_ref()), None);
        assert_eq!(watched.take().collect::<Vec<_>>(), ["a", "remote"]);
        watched.insert("a".into(), one, Coverage::All);
        assert_eq!(watched.folder_id("a".as_ref()), Some(one));
        watched.remove("a".as_ref());
        watched.insert("b".into(), one, Coverage::All);
        assert_eq!(watched.folder_id("b".as_ref()), Some(one));
    }

    #[test]
    fn files_are_examined_within_ten_minutes_or_in_each_scan() {
        for (check_seconds, scans) in [(30, 20), (1, 600), (600, 1), (86_400, 1), (0, 1)] {
            assert_eq!(watched(check_seconds).scans(), scans);
        }
    }
}
