//! What is in each folder of the spool, from the names of the files alone: of what
//! is over there may be any number.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::Failure;
use super::report::FolderReport;
use crate::clock::elapsed;
use crate::names::RunId;
use crate::spool::{Family, Folder, View};

/// What is in each folder, in the order of the flow.
#[derive(Debug)]
pub(super) struct Entries(pub(super) Vec<Listing>);

/// What is in a folder.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) folder: Folder,
    /// The runs, by slot.
    pub(super) runs: Vec<RunId>,
    /// The names that are none.
    pub(super) others: Vec<String>,
}

impl Entries {
    pub(super) fn read(view: &View<'_>) -> Result<Entries, Failure> {
        let mut found = Vec::new();
        // In the order of the flow: what moves on meanwhile is seen twice, not missed.
        for folder in Folder::ALL {
            let (mut runs, mut others) = (Vec::new(), Vec::new());
            for name in view.names(folder)? {
                match crate::spool::run_id(&name) {
                    Some(id) => runs.push(id),
                    None => others.push(name.to_string_lossy().into_owned()),
                }
            }
            runs.sort_by_cached_key(RunId::slot);
            found.push(Listing { folder, runs, others });
        }
        let mut entries = Entries(found);
        entries.settle();
        Ok(entries)
    }

    /// Of a run that was seen twice, only what is further on stays.
    fn settle(&mut self) {
        for family in [Family::Action, Family::Command] {
            let mut seen = HashSet::new();
            for folder in family.folders().into_iter().rev() {
                for listing in self.0.iter_mut().filter(|listing| listing.folder == folder) {
                    listing.runs.retain(|id| seen.insert(id.clone()));
                }
            }
        }
    }

    /// Returns the last run of each stem.
    pub(super) fn last_runs(&self) -> BTreeMap<&str, &RunId> {
        let mut last: BTreeMap<&str, (Timestamp, &RunId)> = BTreeMap::new();
        for id in self.0.iter().flat_map(|listing| &listing.runs) {
            let slot = id.slot();
            let known = last.entry(id.stem()).or_insert((slot, id));
            if slot > known.0 {
                *known = (slot, id);
            }
        }
        last.into_iter().map(|(stem, (_, id))| (stem, id)).collect()
    }

    /// Returns how many entries a folder has.
    pub(super) fn count(&self, folder: Folder) -> usize {
        self.0.iter().find(|listing| listing.folder == folder).map_or(0, Listing::len)
    }
}

impl Listing {
    fn len(&self) -> usize {
        self.runs.len() + self.others.len()
    }

    /// Returns how many entries there are, and since when.
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
