//! The files in one folder of a scheduler's spool.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::elapsed;
use crate::disk::Disk;
use crate::spool::Folder;

/// The files of a folder. The fields are the keys of the JSON output.
#[derive(Debug, Serialize)]
pub(super) struct FolderListing {
    pub(super) folder: &'static str,
    pub(super) entries: usize,
    /// The file with the earliest modification time.
    pub(super) oldest: Option<String>,
    /// The age of that file, in seconds.
    pub(super) age_s: Option<u64>,
    #[serde(skip)]
    pub(super) spool_folder: Folder,
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

impl FolderListing {
    pub(super) fn read(
        disk: &Disk,
        root: &Path,
        spool_folder: Folder,
        names: Vec<String>,
        now: Timestamp,
    ) -> FolderListing {
        let mut oldest: Option<(Timestamp, &String)> = None;
        for name in &names {
            // A missing file has moved on; one that cannot be inspected is reported as stuck.
            let Ok(Some(meta)) = disk.find(&root.join(spool_folder.path()).join(name)) else {
                continue;
            };
            oldest =
                Some(oldest.map_or((meta.modified, name), |one| one.min((meta.modified, name))));
        }
        FolderListing {
            folder: spool_folder.path(),
            entries: names.len(),
            oldest: oldest.map(|(_, name)| name.clone()),
            age_s: oldest.map(|(at, _)| elapsed(at, now).as_secs()),
            spool_folder,
            names,
        }
    }
}
