//! Decides how a fetch begins.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::Offset;

use super::outcome::{DOCUMENTS_MAX, FetchError, NO_AGENT};
use crate::disk::Disk;
use crate::spool::{Delivery, DeliveryState, Record, Transition};
use crate::stage::{Move, Step};

/// Decides how the fetch of a run in `command/ready` begins. `choose_path` returns the path of the
/// document. A run that was fetched before, or could not be, is fetched anew and owed to every
/// plugin again.
pub(crate) fn begin(
    record: &Record,
    now: Timestamp,
    choose_path: impl FnOnce() -> Result<String, FetchError>,
) -> Result<Step, FetchError> {
    if record.action_id.is_none() {
        return Ok(Step::Reject("it was never accepted: there are no results to fetch".to_owned()));
    }
    let (document, again) = (choose_path()?, was_tried(record));
    let is_owed = |delivery: &Delivery| delivery.state == DeliveryState::Owed;
    if !again
        && record.document.as_ref() == Some(&document)
        && record.collected.is_some()
        && record.plugins.iter().all(is_owed)
    {
        return Ok(Step::Move(Move::unchanged(Transition::Begun)));
    }
    Ok(Step::Move(Move::changing(Transition::Begun, move |record| {
        record.document = Some(document.clone());
        record.fetched = None;
        record.summary = None;
        record.too_large = Vec::new();
        record.reason = None;
        record.error = record.error.take().filter(|_| !again);
        record.status = record.status.take().filter(|_| !again);
        record.sent = record.sent.filter(|_| !again);
        record.collected = record.collected.filter(|_| !again).or(Some(now));
        for delivery in &mut record.plugins {
            delivery.state = DeliveryState::Owed;
        }
    })))
}

/// Returns whether the results of a run were fetched, or could not be.
fn was_tried(record: &Record) -> bool {
    let has_failed = record.error.as_deref().is_some_and(|error| error != NO_AGENT);
    record.fetched.is_some() || record.reason.is_some() || has_failed
}

/// Returns the path for the document of a run, relative to the runner's directory: in the folder of
/// its job, or in the directory's own `results` if the run has no job or the job no longer exists.
/// The first free name is used.
pub(crate) fn document_path(
    disk: &Disk,
    directory: &Path,
    record: &Record,
) -> Result<String, FetchError> {
    let id = record.action_id.ok_or(FetchError::NoAction)?;
    let day = Offset::UTC.to_datetime(record.slot).strftime("%Y%m%d").to_string();
    let mut folder = Path::new("results").join(day);
    if let Some(job) = record.job() {
        let home = Path::new("runners").join(job.as_str());
        if disk.find(&directory.join(&home))?.is_some() {
            folder = home.join(folder);
        }
    }
    for attempt in 1..=DOCUMENTS_MAX {
        let number = if attempt == 1 { String::new() } else { format!("-{attempt}") };
        let path = folder.join(format!("{id}{number}.json"));
        if disk.find(&directory.join(&path))?.is_none() {
            return Ok(path.to_string_lossy().into_owned());
        }
    }
    Err(FetchError::Crowded(id))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::INVALID;
    use super::*;
    use crate::names::ActionId;
    use crate::spool::testing::record;

    const PATH: &str = "results/20261122/7.json";

    /// Returns a record as it is created in `command/ready`.
    fn ready() -> Record {
        let mut record = record("job.20261122T120000Z");
        record.action_id = Some(ActionId(7));
        record.collected = Some(Timestamp::UNIX_EPOCH);
        record.document = Some(PATH.to_owned());
        record.status = Some(INVALID.to_owned());
        record.error = Some(NO_AGENT.to_owned());
        record
    }

    /// Returns the record with which a fetch begins, and whether its file is renamed unchanged.
    fn begun(mut record: Record, path: &str) -> (Record, bool) {
        let step = begin(&record, Timestamp::MAX, || Ok(path.to_owned())).unwrap();
        let Step::Move(moved) = step else { panic!("{step:?}") };
        let is_renamed = moved.edit.is_none();
        moved.edit_record(&mut record);
        (record, is_renamed)
    }

    #[test]
    fn first_fetch_begins_with_a_rename() {
        let (record, is_renamed) = begun(ready(), PATH);
        assert!(is_renamed);
        assert_eq!(record.document.as_deref(), Some(PATH));
    }

    #[test]
    fn path_that_was_taken_meanwhile_is_replaced() {
        let (record, is_renamed) = begun(ready(), "results/20261122/7-2.json");
        assert!(!is_renamed);
        assert_eq!(record.document.as_deref(), Some("results/20261122/7-2.json"));
        // The rest is still known.
        assert_eq!(record.status.as_deref(), Some(INVALID));
        assert_eq!(record.collected, Some(Timestamp::UNIX_EPOCH));
    }

    #[test]
    fn run_that_was_fetched_given_up_or_failed_is_fetched_anew() {
        let tried: [fn(&mut Record); 3] = [
            |record| record.fetched = Some(Timestamp::UNIX_EPOCH),
            |record| record.reason = Some("given up".to_owned()),
            |record| record.error = Some("HTTP 500".to_owned()),
        ];
        for change in tried {
            let mut record = ready();
            change(&mut record);
            let (record, is_renamed) = begun(record, PATH);
            assert!(!is_renamed);
            assert_eq!((record.fetched, record.reason, record.error), (None, None, None));
            assert_eq!((record.status, record.collected), (None, Some(Timestamp::MAX)));
        }
    }

    #[test]
    fn delivered_results_are_owed_to_the_plugins_again() {
        let mut record = ready();
        let plugin = "p".parse().unwrap();
        record.plugins = vec![Delivery { plugin, state: DeliveryState::Delivered }];
        let (record, is_renamed) = begun(record, PATH);
        assert!(!is_renamed);
        assert_eq!(record.plugins[0].state, DeliveryState::Owed);
    }
}
