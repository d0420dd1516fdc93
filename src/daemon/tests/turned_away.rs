//! Requests that wait for others and are not sent.

use std::time::Duration;

use super::{ID, rig};
use crate::clock::after;
use crate::daemon::testing::{PostReply, Rig, first_attempt};
use crate::daemon::workers::{Task, TaskOutcome};
use crate::spool::{Fate, Folder};
use crate::stage::TaskKind;

/// Returns a rig whose run may have been posted, according to its record.
fn maybe_posted() -> Rig {
    let mut rig = rig("");
    rig.platform.script_replies(&[PostReply::DropConnection]);
    rig.run_at("2026-11-22T12:01:00Z");
    assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
    rig
}

#[test]
fn action_that_was_not_posted_is_posted_later_without_a_search() {
    let mut rig = maybe_posted();
    let record = rig.record(Folder::New, ID);
    rig.end_task(TaskKind::Post, record, TaskOutcome::TurnedAway);
    assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Refused);
    // A search would be conclusive only after two minutes.
    rig.advance(10);
    assert_eq!((rig.platform.post_count(), rig.platform.action_names().len()), (2, 1));
}

#[test]
fn search_that_was_not_made_is_made_again() {
    let mut rig = maybe_posted();
    let record = rig.record(Folder::New, ID);
    rig.end_task(TaskKind::Search, record, TaskOutcome::TurnedAway);
    assert_eq!(rig.record(Folder::New, ID).request.fate, Fate::Unknown);
    rig.advance(130);
    assert_eq!(rig.platform.action_names().len(), 1);
}

#[test]
fn action_is_signed_again_if_its_post_has_waited_for_half_of_its_expiry() {
    let rig = maybe_posted();
    let record = rig.record(Folder::New, ID);
    let queued = "2026-11-22T12:01:00Z".parse().unwrap();
    let mut task = first_attempt(TaskKind::Post, record);
    let is_outdated = |task: &Task, seconds| {
        task.is_outdated(queued, after(queued, Duration::from_secs(seconds)))
    };
    assert!(!is_outdated(&task, 10) && is_outdated(&task, 11));
    // The runner cannot change the dates of an action that others have signed.
    task.record.request.verbatim = true;
    assert!(!is_outdated(&task, 11));
}
