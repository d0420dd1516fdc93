//! What is in one folder of a scheduler's spool.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::elapsed;
use crate::disk::Disk;
use crate::spool::Folder;

/// What is in a folder.
#[derive(Debug, Serialize)]
pub(super) struct Listing {
    pub(super) folder: &'static str,
    pub(super) entries: usize,
    /// The one that was written first.
    pub(super) oldest: Option<String>,
    /// How long ago it was written, in seconds.
    pub(super) age_s: Option<u64>,
    #[serde(skip)]
    pub(super) place: Folder,
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

impl Listing {
    pub(super) fn read(
        disk: &Disk,
        root: &Path,
        place: Folder,
        names: Vec<String>,
        now: Timestamp,
    ) -> Listing {
        let mut oldest: Option<(Timestamp, &String)> = None;
        for name in &names {
            // A file that is gone has moved on; one that cannot be looked at is shown as stuck.
            let Ok(Some(meta)) = disk.find(&root.join(place.path()).join(name)) else { continue };
            oldest =
                Some(oldest.map_or((meta.modified, name), |one| one.min((meta.modified, name))));
        }
        Listing {
            folder: place.path(),
            entries: names.len(),
            oldest: oldest.map(|(_, name)| name.clone()),
            age_s: oldest.map(|(at, _)| elapsed(at, now).as_secs()),
            place,
            names,
        }
    }
}
