//! What a change of a job folder is, and when it is told.

use super::super::JobError;
use super::*;
use crate::disk::Stamp;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap()
}

/// Files of the given inode.
fn stamps(inode: u64) -> Stamps {
    let stamp = Some(Stamp { inode, size: 1, changed: START });
    Stamps { config: stamp, action: stamp }
}

fn sound(action: &str, inode: u64) -> Seen {
    let text = b"[configuration]\nschedule = @daily\n";
    let job = Job {
        name: "a".parse().unwrap(),
        config: crate::config::job::JobConfig::parse(text, "f".as_ref(), |_| Ok(())).unwrap().0,
        schedule: Arc::new("@daily".parse().unwrap()),
        zone: jiff::tz::TimeZone::UTC,
        action: action.into(),
        warning: None,
    };
    Seen::Sound(Box::new(job), stamps(inode))
}

fn bad(what: &str, inode: u64, touched: Timestamp) -> Seen {
    let rejection =
        Rejection { folder: "a".into(), faults: vec![JobError::Missing { path: what.into() }] };
    Seen::Bad { rejection, stamps: stamps(inode), touched: Some(touched) }
}

/// Looks at a folder again and again, and tells each change in a word with what it is about.
fn story(looks: Vec<(i64, Seen)>) -> Vec<(i64, String)> {
    let mut state = None;
    let mut told = Vec::new();
    for (milliseconds, seen) in looks {
        let (new, change) = settle(state, seen, at(milliseconds));
        state = new;
        told.extend(change.map(|change| (milliseconds, tell(&change))));
    }
    told
}

fn tell(change: &Change) -> String {
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

fn said(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
    expected.iter().map(|(at, text)| (*at, (*text).to_owned())).collect()
}

#[test]
fn a_job_comes_changes_and_goes() {
    let looks = vec![
        (0, sound("x", 1)),
        (1, Seen::Unchanged),
        (2, sound("y", 2)),
        (3, sound("y", 3)),
        (4, Seen::Gone),
        (5, Seen::Gone),
        (6, sound("y", 3)),
    ];
    assert_eq!(
        story(looks),
        said(&[(0, "added x"), (2, "changed x to y"), (4, "removed y"), (6, "added y")])
    );
}

#[test]
fn a_bad_folder_is_reported_once_when_it_is_left_alone() {
    let looks = vec![
        (0, bad("x", 1, START)),
        (4999, bad("x", 1, START)),
        (5000, bad("x", 1, START)),
        (9000, bad("x", 1, START)),
        (19_000, Seen::Unchanged),
    ];
    assert_eq!(story(looks), said(&[(5000, "broken")]));
}

#[test]
fn what_was_left_alone_long_ago_is_reported_at_once() {
    assert_eq!(story(vec![(60_000, bad("x", 1, START))]), said(&[(60_000, "broken")]));
}

#[test]
fn each_touch_of_a_bad_folder_begins_anew() {
    let looks = vec![
        (0, bad("x", 1, START)),
        (4000, bad("x", 2, at(4000))),
        (6000, bad("x", 2, at(4000))),
        (9000, bad("x", 2, at(4000))),
        (10_000, bad("x", 3, at(10_000))),
        (15_000, bad("x", 3, at(10_000))),
    ];
    assert_eq!(story(looks), said(&[(9000, "broken"), (15_000, "broken")]));
}

#[test]
fn a_job_that_is_mended_in_time_is_only_changed() {
    let looks = vec![
        (0, sound("x", 1)),
        (1000, bad("y", 2, at(1000))),
        (2000, sound("y", 3)),
        (9000, Seen::Unchanged),
    ];
    assert_eq!(story(looks), said(&[(0, "added x"), (2000, "changed x to y")]));
}

#[test]
fn a_job_that_becomes_bad_is_removed_and_comes_back_when_it_is_mended() {
    let looks = vec![
        (0, sound("x", 1)),
        (1000, bad("y", 2, at(1000))),
        (6000, Seen::Unchanged),
        (7000, Seen::Unchanged),
        (8000, sound("x", 3)),
        (9000, bad("y", 4, at(9000))),
        (10_000, Seen::Gone),
    ];
    assert_eq!(
        story(looks),
        said(&[(0, "added x"), (6000, "broken x"), (8000, "added x"), (10_000, "removed x")])
    );
}

#[test]
fn a_clock_set_back_delays_a_report_by_the_quiet_span_only() {
    let looks = vec![
        (100_000, bad("x", 1, at(100_000))),
        (10_000, Seen::Unchanged),
        (15_000, Seen::Unchanged),
    ];
    assert_eq!(story(looks), said(&[(15_000, "broken")]));
}

#[test]
fn a_pending_report_tells_when_it_is_due() {
    let (state, _) = settle(None, bad("x", 1, at(1000)), at(2000));
    assert_eq!(state.as_ref().unwrap().wake(), Some(at(6000)));
    let (state, _) = settle(state, bad("x", 1, at(1000)), at(6000));
    assert_eq!(state.unwrap().wake(), None);
}
