//! Superseded runs: a newer run of their job took their place before they were sent. They need
//! no attention, and are counted to show how many slots an outage has cost.

use std::collections::{BTreeMap, HashSet};

use super::Failure;
use super::entries::Entries;
use super::given_up::{READ_BYTES_MAX, RECORDS_MAX};
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, View};

/// Counts the superseded runs of each job. Only what has no command record is read, the newest first.
pub(super) fn read(
    entries: &Entries,
    view: &View<'_>,
) -> Result<BTreeMap<JobName, usize>, Failure> {
    let of_family =
        |family: Family| entries.0.iter().filter(move |listing| listing.folder.family() == family);
    let fetched: HashSet<&RunId> =
        of_family(Family::Command).flat_map(|listing| &listing.runs).collect();
    let over = of_family(Family::Action).filter(|listing| listing.folder == Folder::ActionDone);
    let candidates = over.flat_map(|listing| listing.runs.iter().rev());
    let (mut found, mut bytes) = (BTreeMap::new(), 0_u64);
    for id in candidates.filter(|id| !fetched.contains(id)).take(RECORDS_MAX) {
        let Some(run) = view.take(Folder::ActionDone, id)? else { continue };
        bytes = bytes.saturating_add(run.stamp().size);
        let record = run.into_record();
        if record.superseded.is_some() {
            *found.entry(record.name).or_default() += 1;
        }
        if bytes > READ_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

/// Says how many runs were superseded, for people; nothing if none was.
pub(super) fn told(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 run in action/done was superseded by a newer one and not sent".to_owned()),
        _ => {
            Some(format!("{count} runs in action/done were superseded by newer ones and not sent"))
        }
    }
}
