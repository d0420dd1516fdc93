//! The last slot of each job, stored so that a slot fires only once, also after a restart.
//!
//! The stamp is written after the run that it stands for is durable. A crash between the two is
//! harmless: the run's id is on disk and counts as a stamp.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Folder, Spool, SpoolError};
use crate::disk::FileChange;
use crate::names::{JobName, RunId};

/// Size limit of a stamp, in bytes: a time in RFC 3339 and the longest schedule.
const STAMP_BYTES_MAX: u64 = 16 * 1024;

/// The stored last slot of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SlotStamp {
    /// The last slot, or the time at which the job was first seen.
    pub(crate) slot: Timestamp,
    /// The schedule that the slot belongs to: the cron expression and the time zone.
    pub(crate) plan: String,
}

impl Spool {
    /// Returns the stored last slot of a job; `None` also if the stamp is damaged.
    pub(crate) fn last_slot(&self, job: &JobName) -> Result<Option<SlotStamp>, SpoolError> {
        let path = self.layout.slots().join(job.as_str());
        if self.disk.find(&path)?.is_none() {
            return Ok(None);
        }
        let bytes = self.disk.read(&path, STAMP_BYTES_MAX)?;
        Ok(parse(&bytes))
    }

    /// Stores the last slots of jobs, together; returns each job with its result.
    pub(crate) fn stamp_slots(
        &self,
        stamps: Vec<(JobName, SlotStamp)>,
    ) -> Vec<(JobName, Result<(), SpoolError>)> {
        let (mut results, mut changes) = (Vec::with_capacity(stamps.len()), Vec::new());
        for (job, stamp) in stamps {
            match self.stamp_change(&job, &stamp) {
                Ok(change) => changes.push((job, change)),
                Err(error) => results.push((job, Err(error))),
            }
        }
        for (job, stamped) in self.disk.commit(changes) {
            // A stamp that another process wrote there is overwritten.
            results.push((job, stamped.map(drop).map_err(SpoolError::from)));
        }
        results
    }

    fn stamp_change(&self, job: &JobName, stamp: &SlotStamp) -> Result<FileChange, SpoolError> {
        let path = self.layout.slots().join(job.as_str());
        let bytes = format!("{} {}\n", stamp.slot, stamp.plan).into_bytes();
        Ok(match self.disk.find(&path)? {
            Some(_) => FileChange::Rewrite { path, expected: None, bytes },
            None => FileChange::Create { path, bytes },
        })
    }

    /// Removes the last slot of a job that no longer exists; if it comes back, it counts as new.
    pub(crate) fn forget_slot(&self, job: &JobName) -> Result<(), SpoolError> {
        match self.disk.unlink(&self.layout.slots().join(job.as_str())) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Lists the jobs that have a stored last slot.
    pub(crate) fn stamped_jobs(&self) -> Result<Vec<JobName>, SpoolError> {
        let entries = self.disk.list(&self.layout.slots())?;
        Ok(entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok()).collect())
    }

    /// Returns the latest slot of each job that has runs on disk.
    pub(crate) fn slots_on_disk(&self) -> Result<BTreeMap<JobName, Timestamp>, SpoolError> {
        let mut slots = BTreeMap::new();
        for folder in super::Family::Action.folders() {
            self.visit_ids(folder, &mut |id| {
                if let (true, Ok(job)) = (id.is_scheduled(), id.stem().parse()) {
                    let latest = slots.entry(job).or_insert(id.slot());
                    *latest = (*latest).max(id.slot());
                }
            })?;
        }
        Ok(slots)
    }

    /// Returns the folder of the action family that has the run of this id, the last one if there
    /// are several; `None` if its slot has not fired.
    pub(crate) fn fired(&self, id: &RunId) -> Result<Option<Folder>, SpoolError> {
        Ok(self.holders(id, super::Family::Action)?.into_iter().next_back())
    }
}

fn parse(bytes: &[u8]) -> Option<SlotStamp> {
    let (slot, plan) = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?.split_once(' ')?;
    Some(SlotStamp { slot: slot.parse().ok()?, plan: plan.to_owned() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use super::super::testing::{record, spool};
    use super::*;

    #[test]
    fn stamp_is_read_back_and_damaged_stamp_is_ignored() {
        let (folder, spool) = spool();
        let job = "job".parse().unwrap();
        assert_eq!(spool.last_slot(&job).unwrap(), None);
        for text in ["2026-11-22T12:00:00Z", "2026-11-22T12:00:01Z"] {
            let stamp = SlotStamp { slot: text.parse().unwrap(), plan: "* * * * * UTC".to_owned() };
            let stamped = spool.stamp_slots(vec![(job.clone(), stamp.clone())]);
            assert!(matches!(&stamped[..], [(of, Ok(()))] if *of == job), "{stamped:?}");
            assert_eq!(spool.last_slot(&job).unwrap(), Some(stamp));
        }
        assert_eq!(spool.stamped_jobs().unwrap(), std::slice::from_ref(&job));
        std::fs::write(folder.path().join("spool/.slots/job"), "2026-").unwrap();
        assert_eq!(spool.last_slot(&job).unwrap(), None);
        spool.forget_slot(&job).unwrap();
        spool.forget_slot(&job).unwrap();
        assert_eq!(spool.stamped_jobs().unwrap(), []);
    }

    #[test]
    fn latest_scheduled_run_on_disk_counts() {
        let (_folder, spool) = spool();
        for id in ["job.20261122T120000Z", "job.20261122T130000Z", "job.20261122T140000Z-manual-x"]
        {
            drop(spool.launch(record(id)).unwrap());
        }
        let slots = spool.slots_on_disk().unwrap();
        let expected = ("job".parse().unwrap(), "2026-11-22T13:00:00Z".parse().unwrap());
        assert_eq!(slots.into_iter().collect::<Vec<_>>(), [expected]);
    }
}
