//! Superseded runs: replaced by a newer run of their job before they were sent. They need no
//! attention; their number shows how many slots an outage has cost.

use std::collections::{BTreeMap, HashSet};

use super::entries::{Entries, READ_BYTES_MAX, RECORDS_MAX, UnreadableRecords};
use crate::cli::failure::Failure;
use crate::names::{JobName, RunId};
use crate::spool::{Family, Folder, View};

/// Counts the superseded runs of each job among the newest runs in `action/done` that have no
/// command record.
pub(super) fn read(
    entries: &Entries,
    view: &View<'_>,
    unreadable: &mut UnreadableRecords,
) -> Result<BTreeMap<JobName, usize>, Failure> {
    let of_family = |family: Family| {
        entries.listings.iter().filter(move |listing| listing.folder.family() == family)
    };
    let fetched: HashSet<&RunId> =
        of_family(Family::Command).flat_map(|listing| &listing.runs).collect();
    let done = of_family(Family::Action).filter(|listing| listing.folder == Folder::ActionDone);
    let candidates = done.flat_map(|listing| listing.runs.iter().rev());
    let (mut found, mut bytes) = (BTreeMap::new(), 0_u64);
    for id in candidates.filter(|id| !fetched.contains(id)).take(RECORDS_MAX) {
        let Some(run) = unreadable.read(view, Folder::ActionDone, id)? else { continue };
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

/// Returns a line with the number of superseded runs, or `None` if there are none.
pub(super) fn line(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 run in action/done was not sent: superseded by a newer one".to_owned()),
        _ => Some(format!("{count} runs in action/done were not sent: superseded by newer ones")),
    }
}
