//! The entries of each folder of the spool, read from the file names alone: there may be any number
//! of finished runs.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;

use jiff::Timestamp;
use serde::Serialize;

use crate::chain::Chain;
use crate::clock::elapsed;
use crate::names::RunId;
use crate::spool::{Family, Folder, Run, Seen, SpoolError, View};

/// Maximum number of finished runs that are read, the newest first.
pub(super) const RECORDS_MAX: usize = 2000;
/// Maximum number of bytes that are read from their records: a record contains its action, which
/// may be large.
pub(super) const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The contents of the spool.
#[derive(Debug)]
pub(super) struct Entries {
    /// The folders, in the order of the flow.
    pub(super) listings: Vec<Listing>,
    /// Why folders cannot be listed.
    pub(super) faults: Vec<String>,
}

/// Records of finished runs that cannot be read.
#[derive(Debug, Default)]
pub(super) struct UnreadableRecords {
    count: usize,
    /// The first file, and why it cannot be read.
    first: Option<String>,
}

/// The contents of one folder.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) folder: Folder,
    /// The runs, ordered by slot.
    pub(super) runs: Vec<RunId>,
    /// Names of files that are not runs.
    pub(super) others: Vec<String>,
}

impl Entries {
    pub(super) fn read(view: &View<'_>) -> Entries {
        let (mut listings, mut faults) = (Vec::new(), Vec::new());
        // In the order of the flow: a run that moves meanwhile is found twice rather than missed.
        for folder in Folder::ALL {
            let (mut runs, mut others) = (Vec::new(), Vec::new());
            let names = view.names(folder).unwrap_or_else(|error| {
                faults.push(Chain(&error).to_string());
                Vec::new()
            });
            for name in names {
                match crate::spool::run_id(&name) {
                    Some(id) => runs.push(id),
                    None => others.push(name.to_string_lossy().into_owned()),
                }
            }
            runs.sort_by_cached_key(RunId::slot);
            listings.push(Listing { folder, runs, others });
        }
        let mut entries = Entries { listings, faults };
        entries.remove_duplicates();
        entries
    }

    /// Keeps only the entry furthest along the flow of a run that was found twice.
    fn remove_duplicates(&mut self) {
        for family in [Family::Action, Family::Command] {
            let mut seen = HashSet::new();
            for folder in family.folders().into_iter().rev() {
                for listing in self.listings.iter_mut().filter(|listing| listing.folder == folder) {
                    listing.runs.retain(|id| seen.insert(id.clone()));
                }
            }
        }
    }

    /// Returns the last run of each job, by the stem of its id.
    pub(super) fn last_runs(&self) -> BTreeMap<&str, &RunId> {
        let mut last: BTreeMap<&str, (Timestamp, &RunId)> = BTreeMap::new();
        for id in self.listings.iter().flat_map(|listing| &listing.runs) {
            let slot = id.slot();
            let known = last.entry(id.stem()).or_insert((slot, id));
            if slot > known.0 {
                *known = (slot, id);
            }
        }
        last.into_iter().map(|(stem, (_, id))| (stem, id)).collect()
    }

    pub(super) fn count(&self, folder: Folder) -> usize {
        self.listings.iter().find(|listing| listing.folder == folder).map_or(0, Listing::len)
    }
}

impl UnreadableRecords {
    /// Reads the record of a finished run; `None` if there is none, or if it cannot be read, which
    /// is noted.
    pub(super) fn read(
        &mut self,
        view: &View<'_>,
        folder: Folder,
        id: &RunId,
    ) -> Result<Option<Run>, SpoolError> {
        match view.read_entry(folder, OsStr::new(&id.file_name()))? {
            Seen::Run(run) => return Ok(Some(*run)),
            Seen::Unreadable { reason } => {
                self.count += 1;
                self.first.get_or_insert_with(|| format!("{folder}/{id}.json: {reason}"));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Returns the message for the operator, if any record cannot be read.
    pub(super) fn attention(&self) -> Option<String> {
        let first = self.first.as_ref()?;
        Some(match self.count {
            1 => format!("the record of 1 finished run cannot be read: {first}"),
            count => {
                format!("the records of {count} finished runs cannot be read, such as {first}")
            }
        })
    }
}

impl Listing {
    fn len(&self) -> usize {
        self.runs.len() + self.others.len()
    }

    pub(super) fn report(&self, now: Timestamp) -> FolderReport {
        let oldest = self.runs.first();
        FolderReport {
            folder: self.folder,
            entries: self.len(),
            oldest: oldest.cloned(),
            age_s: oldest.map(|run| elapsed(run.slot(), now).as_secs()),
        }
    }
}

/// A folder of the spool.
#[derive(Debug, Serialize)]
pub(super) struct FolderReport {
    pub(super) folder: Folder,
    /// The number of entries.
    pub(super) entries: usize,
    /// The run with the earliest slot.
    pub(super) oldest: Option<RunId>,
    /// The age of that slot, in seconds.
    pub(super) age_s: Option<u64>,
}
