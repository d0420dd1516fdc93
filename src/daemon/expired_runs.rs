//! Finds the finished runs that have expired, without keeping the names of all others in memory.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;

use jiff::Timestamp;

use crate::config::duration::Keep;
use crate::names::RunId;
use crate::spool::{Folder, SpoolError, View};
use crate::stage::prune::cutoff;

/// The folders of finished runs.
const FINISHED: [Folder; 2] = [Folder::ActionDone, Folder::CommandDone];

/// Runs in the order of their slots.
type Ordered = BTreeSet<(Timestamp, RunId)>;

/// The expired runs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ExpiredRuns {
    /// Their ids, the oldest first.
    pub(super) runs: Vec<RunId>,
    /// Whether more runs have expired.
    pub(super) is_cut: bool,
}

/// Returns the oldest expired runs, at most `count_max`. Runs in `unfinished`, and runs whose files
/// have changed since the cutoff, have not expired.
pub(super) fn expired_runs(
    view: &View<'_>,
    keep: Keep,
    now: Timestamp,
    unfinished: &BTreeSet<RunId>,
    count_max: usize,
) -> Result<ExpiredRuns, SpoolError> {
    let Some(before) = cutoff(keep, now) else { return Ok(ExpiredRuns::default()) };
    let kept = match keep {
        Keep::Count(number) => newest(view, usize::try_from(number).unwrap_or(usize::MAX))?,
        Keep::All | Keep::For(_) => HashMap::new(),
    };
    let (mut due, mut is_cut) = (Ordered::new(), false);
    let mut failed = None;
    for folder in FINISHED {
        view.visit_ids(folder, &mut |id| {
            let entry = (id.slot(), id);
            let (slot, id) = &entry;
            let is_kept = kept.get(id.stem()).is_some_and(|newest| newest.contains(&entry));
            if *slot >= before || is_kept || unfinished.contains(id) || due.contains(&entry) {
                return;
            }
            match view.stamp(folder, OsStr::new(&id.file_name())) {
                Ok(stamp) if stamp.is_some_and(|stamp| stamp.changed < before) => {
                    due.insert(entry);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
            if due.len() > count_max {
                due.pop_last();
                is_cut = true;
            }
        })?;
    }
    let runs = due.into_iter().map(|(_, id)| id).collect();
    failed.map_or(Ok(ExpiredRuns { runs, is_cut }), Err)
}

/// The newest runs of a job, which are kept.
#[derive(Debug, Default)]
struct Newest {
    /// Runs whose results were fetched.
    fetched: Ordered,
    /// Runs without results, such as superseded ones. They are counted separately, so that after an
    /// outage they do not take the places of runs with results.
    unfetched: Ordered,
}

impl Newest {
    fn contains(&self, entry: &(Timestamp, RunId)) -> bool {
        self.fetched.contains(entry) || self.unfetched.contains(entry)
    }
}

/// Returns the newest runs of each job: at most `number` with results and as many without.
fn newest(view: &View<'_>, number: usize) -> Result<HashMap<String, Newest>, SpoolError> {
    let (mut kept, mut failed) = (HashMap::<String, Newest>::new(), None);
    view.visit_ids(Folder::CommandDone, &mut |id| {
        let newest = kept.entry(id.stem().to_owned()).or_default();
        keep_newest(&mut newest.fetched, id, number);
    })?;
    view.visit_ids(Folder::ActionDone, &mut |id| match view
        .stamp(Folder::CommandDone, OsStr::new(&id.file_name()))
    {
        Ok(Some(_)) => {}
        Ok(None) => {
            let newest = kept.entry(id.stem().to_owned()).or_default();
            keep_newest(&mut newest.unfetched, id, number);
        }
        Err(error) => failed = Some(error),
    })?;
    failed.map_or(Ok(kept), Err)
}

fn keep_newest(newest: &mut Ordered, id: RunId, number: usize) {
    newest.insert((id.slot(), id));
    if newest.len() > number {
        newest.pop_first();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests write files directly")]

    use super::*;
    use crate::clock::{Clock as _, SystemClock, after};
    use crate::spool::testing::{record, spool};
    use crate::stage::prune::{DAY, due};

    #[test]
    fn expired_runs_are_the_same_as_computed_from_all_names() {
        let (_folder, spool) = spool();
        let mut ids = Vec::new();
        for (job, days) in [("a", 1..9), ("b", 4..8), ("c", 9..10)] {
            for day in days {
                let record = record(&format!("{job}.2026010{day}T120000Z"));
                for (at, folder) in FINISHED.into_iter().enumerate() {
                    // Some runs have a file in only one of the folders.
                    if day % 3 != at {
                        let path = spool.layout().run(folder, &record.id);
                        std::fs::write(path, record.to_bytes().unwrap()).unwrap();
                    }
                }
                ids.push(record.id);
            }
        }
        let now = after(SystemClock.now(), DAY * 2);
        let view = spool.view();
        for keep in [Keep::All, Keep::For(DAY), Keep::Count(0), Keep::Count(1), Keep::Count(5)] {
            let group = |id: &RunId| {
                let is_fetched = spool.layout().run(Folder::CommandDone, id).exists();
                format!("{} {is_fetched}", id.stem())
            };
            let grouped = ids.iter().map(|id| (group(id), id.clone())).collect();
            let expected = due(grouped, keep, now, |(_, id)| id.slot(), |(group, _)| group);
            let expected: Vec<RunId> = expected.into_iter().map(|(_, id)| id).collect();
            let all = expired_runs(&view, keep, now, &BTreeSet::new(), 100).unwrap();
            assert_eq!((&all.runs, all.is_cut), (&expected, false), "{keep:?}");
            let some = expired_runs(&view, keep, now, &BTreeSet::new(), 3).unwrap();
            assert_eq!(some.runs, expected[..expected.len().min(3)], "{keep:?}");
            assert_eq!(some.is_cut, expected.len() > 3, "{keep:?}");
        }
        let unfinished = BTreeSet::from([ids[0].clone()]);
        let first = expired_runs(&view, Keep::For(DAY), now, &unfinished, 1).unwrap();
        assert_eq!(first.runs, [ids[1].clone()]);
        // The files have just been written.
        let now = SystemClock.now();
        let young = expired_runs(&view, Keep::For(DAY), now, &BTreeSet::new(), 9).unwrap();
        assert_eq!(young, ExpiredRuns::default());
    }
}
