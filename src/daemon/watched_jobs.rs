//! The watched folders in the jobs folder, and which of their watches report every change.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::disk::FileId;
use crate::job::folders::JobWatches;
use crate::watch::WrittenFolders;

/// Maximum time until a scan examines the files of a job whose watch reports no change. If the time
/// between two scans is longer, each scan does so.
const EXAMINE_SPAN: Duration = Duration::from_secs(10 * 60);

/// The watched folders in the jobs folder.
#[derive(Debug)]
pub(super) struct WatchedJobs {
    /// The identity of each folder whose watch reports every change, from before the watch was set.
    folders: BTreeMap<Arc<OsStr>, Option<FileId>>,
    /// The identities of folders that a link or a mount leads to.
    aliases: BTreeSet<FileId>,
    scans: u16,
    /// The jobs folder.
    runners: PathBuf,
    /// The folders with files that were written before the current scan.
    written: WrittenFolders,
}

/// What a watched name leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watched {
    /// A folder whose watch reports every change.
    Folder(FileId),
    /// A folder in which other machines or file systems may change something.
    Shared,
    /// A folder that may have another name. The kernel has only one watch for both names, which
    /// reports one of them and ends when either is no longer watched.
    Alias(FileId),
}

impl WatchedJobs {
    /// Returns no watches yet; `runners` is the jobs folder, and `check_span` the time between two
    /// scans.
    pub(super) fn new(runners: PathBuf, check_span: Duration) -> WatchedJobs {
        let scans = EXAMINE_SPAN.as_secs().checked_div(check_span.as_secs()).unwrap_or(1);
        let scans = u16::try_from(scans).unwrap_or(u16::MAX).max(1);
        WatchedJobs {
            folders: BTreeMap::new(),
            aliases: BTreeSet::new(),
            scans,
            runners,
            written: WrittenFolders::default(),
        }
    }

    /// Adds the watch of a folder.
    pub(super) fn insert(&mut self, name: Arc<OsStr>, watched: Watched) {
        let id = match watched {
            Watched::Folder(id) => Some(id),
            Watched::Shared => None,
            Watched::Alias(id) => {
                self.aliases.insert(id);
                None
            }
        };
        self.folders.insert(name, id);
    }

    /// Removes a watch. If the folder had another name, whether that name is still watched is not
    /// known until all watches are set again.
    pub(super) fn remove(&mut self, name: &OsStr) {
        self.folders.remove(name);
    }

    /// Makes the next scan examine the files in folders with files that were written.
    pub(super) fn set_written(&mut self, written: WrittenFolders) {
        self.written = written;
    }

    /// Removes all watches and returns their names.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Arc<OsStr>> + use<> {
        self.aliases.clear();
        std::mem::take(&mut self.folders).into_keys()
    }

    /// Returns the names of the watched folders, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<OsStr>> {
        self.folders.keys()
    }

    /// Returns the name of a watched folder, to share it.
    pub(super) fn get(&self, name: &OsStr) -> Option<&Arc<OsStr>> {
        self.folders.get_key_value(name).map(|(name, _)| name)
    }

    /// Saves memory after many folders were added: a map that is filled in order has half-empty
    /// nodes; one that is built at once has full nodes.
    pub(super) fn compact(&mut self) {
        self.folders = std::mem::take(&mut self.folders).into_iter().collect();
    }

    pub(super) fn len(&self) -> usize {
        self.folders.len()
    }
}

impl JobWatches for WatchedJobs {
    fn folder_id(&self, name: &OsStr) -> Option<FileId> {
        let id = (*self.folders.get(name)?)?;
        let is_written =
            !self.written.is_empty() && self.written.contains(&self.runners.join(name));
        (!is_written && !self.aliases.contains(&id)).then_some(id)
    }

    fn scans(&self) -> u16 {
        self.scans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{COMMAND_PREFIX, Disk, RealFs};

    fn name(text: &str) -> Arc<OsStr> {
        Arc::from(OsStr::new(text))
    }

    fn watched(check_seconds: u64) -> WatchedJobs {
        WatchedJobs::new(PathBuf::from("/jobs"), Duration::from_secs(check_seconds))
    }

    #[test]
    fn watch_of_two_names_reports_neither() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let one = disk.file_id(folder.path()).unwrap().unwrap();
        let other = disk.file_id("/".as_ref()).unwrap().unwrap();
        let mut watched = watched(30);
        watched.insert(name("a"), Watched::Folder(one));
        watched.insert(name("b"), Watched::Folder(other));
        watched.insert(name("remote"), Watched::Shared);
        assert_eq!(watched.folder_id("a".as_ref()), Some(one));
        assert_eq!(watched.folder_id("remote".as_ref()), None);
        assert_eq!(watched.folder_id("none".as_ref()), None);
        watched.insert(name("link"), Watched::Alias(one));
        assert_eq!(watched.folder_id("link".as_ref()), None);
        assert_eq!(watched.folder_id("a".as_ref()), None);
        assert_eq!(watched.folder_id("b".as_ref()), Some(other));
        // The kernel's watch of both names has ended.
        watched.remove("link".as_ref());
        assert_eq!(watched.folder_id("a".as_ref()), None);
        assert_eq!(watched.take().collect::<Vec<_>>(), ["a", "b", "remote"].map(name));
        watched.insert(name("a"), Watched::Folder(one));
        assert_eq!(watched.folder_id("a".as_ref()), Some(one));
    }

    #[test]
    fn files_are_examined_within_ten_minutes_or_in_each_scan() {
        for (check_seconds, scans) in [(30, 20), (1, 600), (600, 1), (86_400, 1), (0, 1)] {
            assert_eq!(watched(check_seconds).scans(), scans);
        }
    }
}
