//! Which changes follow from inspections of a job folder, and when they are reported.

use super::super::JobError;
use super::*;
use crate::disk::Stamp;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Returns the stamps of two files with this inode number.
fn stamps(inode: u64) -> Stamps {
    let stamp = Some(Stamp { inode, size: 1, changed: START });
    Stamps { config: stamp, action: stamp }
}

fn valid(action: &str, inode: u64) -> Inspection {
    let text = b"[configuration]\nschedule = @daily\n";
    let job = Job {
        name: "a".parse().unwrap(),
        config: crate::config::job::JobConfig::parse(text, "f".as_ref(), |_| Ok(()))
            .unwrap()
            .0
            .into(),
        schedule: Arc::new("@daily".parse().unwrap()),
        zone: jiff::tz::TimeZone::UTC,
        action: action.into(),
        warning: None,
    };
    Inspection::Valid(Box::new(job), stamps(inode))
}

fn invalid(what: &str, inode: u64, touched: Timestamp) -> Inspection {
    let rejection =
        Rejection { folder: "a".into(), faults: vec![JobError::Missing { path: what.into() }] };
    Inspection::Invalid { rejection, stamps: stamps(inode), touched: Some(touched) }
}

/// Applies inspections in order and returns each change, as a word with the actions concerned.
fn changes(inspections: Vec<(i64, Inspection)>) -> Vec<(i64, String)> {
    let mut state = None;
    let mut shown = Vec::new();
    for (milliseconds, inspection) in inspections {
        let (new, change) = apply(state, inspection, at(milliseconds));
        state = new;
        shown.extend(change.map(|change| (milliseconds, show(&change))));
    }
    shown
}

fn show(change: &Change) -> String {
    match change {
        Change::Added(job) => format!("added {}", job.action),
        Change::Changed { old, new } => format!("changed {} to {}", old.action, new.action),
        Change::Removed(job) => format!("removed {}", job.action),
        Change::Skipped(path) => format!("skipped {}", path.display()),
        Change::Broken { old, .. } => {
            format!(
                "broken{}",
                old.as_ref().map_or(String::new(), |job| format!(" {}", job.action))
            )
        }
    }
}

fn expected(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

#[test]
fn job_is_added_changed_and_removed() {
    let inspections = vec![
        (0, valid("x", 1)),
        (1, Inspection::Unchanged),
        (2, valid("y", 2)),
        (3, valid("y", 3)),
        (4, Inspection::Gone),
        (5, Inspection::Gone),
        (6, valid("y", 3)),
    ];
    assert_eq!(
        changes(inspections),
        expected(&[(0, "added x"), (2, "changed x to y"), (4, "removed y"), (6, "added y")])
    );
}

#[test]
fn invalid_folder_is_reported_once_after_it_was_left_alone() {
    let inspections = vec![
        (0, invalid("x", 1, START)),
        (4999, invalid("x", 1, START)),
        (5000, invalid("x", 1, START)),
        (9000, invalid("x", 1, START)),
        (19_000, Inspection::Unchanged),
    ];
    assert_eq!(changes(inspections), expected(&[(5000, "broken")]));
}

#[test]
fn folder_left_alone_long_ago_is_reported_at_once() {
    assert_eq!(changes(vec![(60_000, invalid("x", 1, START))]), expected(&[(60_000, "broken")]));
}

#[test]
fn each_touch_of_an_invalid_folder_delays_the_report() {
    let inspections = vec![
        (0, invalid("x", 1, START)),
        (4000, invalid("x", 2, at(4000))),
        (6000, invalid("x", 2, at(4000))),
        (9000, invalid("x", 2, at(4000))),
        (10_000, invalid("x", 3, at(10_000))),
        (15_000, invalid("x", 3, at(10_000))),
    ];
    assert_eq!(changes(inspections), expected(&[(9000, "broken"), (15_000, "broken")]));
}

#[test]
fn job_that_is_repaired_in_time_is_only_changed() {
    let inspections = vec![
        (0, valid("x", 1)),
        (1000, invalid("y", 2, at(1000))),
        (2000, valid("y", 3)),
        (9000, Inspection::Unchanged),
    ];
    assert_eq!(changes(inspections), expected(&[(0, "added x"), (2000, "changed x to y")]));
}

#[test]
fn invalid_job_is_removed_and_added_again_when_repaired() {
    let inspections = vec![
        (0, valid("x", 1)),
        (1000, invalid("y", 2, at(1000))),
        (6000, Inspection::Unchanged),
        (7000, Inspection::Unchanged),
        (8000, valid("x", 3)),
        (9000, invalid("y", 4, at(9000))),
        (10_000, Inspection::Gone),
    ];
    assert_eq!(
        changes(inspections),
        expected(&[(0, "added x"), (6000, "broken x"), (8000, "added x"), (10_000, "removed x")])
    );
}

#[test]
fn clock_set_back_delays_a_report_by_the_quiet_span_only() {
    let inspections = vec![
        (100_000, invalid("x", 1, at(100_000))),
        (10_000, Inspection::Unchanged),
        (15_000, Inspection::Unchanged),
    ];
    assert_eq!(changes(inspections), expected(&[(15_000, "broken")]));
}

#[test]
fn pending_report_has_a_due_time() {
    let (state, _) = apply(None, invalid("x", 1, at(1000)), at(2000));
    assert_eq!(state.as_ref().unwrap().next_recheck(), Some(at(6000)));
    let (state, _) = apply(state, invalid("x", 1, at(1000)), at(6000));
    assert_eq!(state.unwrap().next_recheck(), None);
}
