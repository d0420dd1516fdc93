//! Clock changes: by law, in four zones, and by hand.
//!
//! A test clock is driven through each change with a decision every twenty seconds, and the
//! launched slots are compared with the documented ones.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use super::super::due::{Missed, Plan};
use super::{at, cron, in_zone};
use crate::clock::Clock;
use crate::clock::testing::TestClock;
use crate::names::{JobName, RunId};

fn plan(text: &str, zone: &str, missed: Missed) -> Plan {
    Plan { cron: cron(text).into(), zone: in_zone(zone), splay: Duration::ZERO, missed }
}

/// A job with a test clock and the launched runs.
struct Driven {
    plan: Plan,
    clock: TestClock,
    last: Timestamp,
    runs: Vec<Timestamp>,
    ids: BTreeSet<RunId>,
}

impl Driven {
    fn new(plan: Plan, start: Timestamp) -> Driven {
        let clock = TestClock::new(start);
        Driven { plan, clock, last: start, runs: Vec::new(), ids: BTreeSet::new() }
    }

    /// Decides once. A slot whose id exists is not launched. Returns whether the last slot was
    /// ahead.
    fn decide(&mut self) -> bool {
        let job: JobName = "job".parse().unwrap();
        let due = self.plan.decide(self.last, self.clock.now());
        self.last = due.stamp.unwrap_or(self.last);
        if let Some(slot) = due.fire
            && self.ids.insert(RunId::of_slot(&job, slot))
        {
            self.runs.push(slot);
        }
        due.ahead
    }

    fn drive(&mut self, until: Timestamp) {
        while self.clock.now() < until {
            self.clock.set(self.clock.now() + 20.seconds());
            self.decide();
        }
    }

    /// The runs in wall time; only their number if there are many.
    fn shown(&self) -> String {
        if self.runs.len() > 12 {
            return format!("{} runs", self.runs.len());
        }
        let shown = |run: &Timestamp| {
            let format = if run.as_second() % 60 == 0 { "%H:%M%:z" } else { "%H:%M:%S%:z" };
            run.to_zoned(self.plan.zone.clone()).strftime(format).to_string()
        };
        self.runs.iter().map(shown).collect::<Vec<_>>().join(" ")
    }
}

/// Twelve schedules, in the order of the tables below.
const SCHEDULES: [&str; 12] = [
    "30 2 * * *",
    "0 2 * * *",
    "0,30 1-3 * * *",
    "0 * * * *",
    "*/15 2 * * *",
    "*/30 1-3 * * *",
    "* * * * *",
    "0 0 * * *",
    "30 0 * * *",
    "15 0-4 * * *",
    "45 1 * * SUN",
    "*/40 30 2 * * * *",
];

/// Drives each schedule for six hours from `from`.
fn check(zone: &str, from: &str, expected: [&str; 12]) {
    for (text, expected) in SCHEDULES.iter().zip(expected) {
        let mut job = Driven::new(plan(text, zone, Missed::Skip), at(from));
        job.drive(at(from) + 6.hours());
        assert_eq!(job.shown(), expected, "{text} in {zone} from {from}");
    }
}

#[test]
fn new_york_goes_ahead() {
    check(
        "America/New_York",
        "2026-03-08T04:30:00Z",
        [
            "03:00-04:00",
            "03:00-04:00",
            "01:00-05:00 01:30-05:00 03:00-04:00 03:30-04:00",
            "00:00-05:00 01:00-05:00 03:00-04:00 04:00-04:00 05:00-04:00 06:00-04:00",
            "",
            "01:00-05:00 01:30-05:00 03:00-04:00 03:30-04:00",
            "360 runs",
            "00:00-05:00",
            "00:30-05:00",
            "00:15-05:00 01:15-05:00 03:00-04:00 03:15-04:00 04:15-04:00",
            "01:45-05:00",
            "03:00-04:00",
        ],
    );
}

#[test]
fn new_york_goes_back() {
    check(
        "America/New_York",
        "2026-11-01T03:30:00Z",
        [
            "02:30-05:00",
            "02:00-05:00",
            "01:00-04:00 01:30-04:00 02:00-05:00 02:30-05:00 03:00-05:00 03:30-05:00",
            "00:00-04:00 01:00-04:00 01:00-05:00 02:00-05:00 03:00-05:00 04:00-05:00",
            "02:00-05:00 02:15-05:00 02:30-05:00 02:45-05:00",
            "01:00-04:00 01:30-04:00 01:00-05:00 01:30-05:00 02:00-05:00 02:30-05:00 03:00-05:00 03:30-05:00",
            "360 runs",
            "00:00-04:00",
            "00:30-04:00",
            "00:15-04:00 01:15-04:00 02:15-05:00 03:15-05:00 04:15-05:00",
            "01:45-04:00",
            "02:30-05:00 02:30:40-05:00",
        ],
    );
}

#[test]
fn paris_goes_ahead() {
    check(
        "Europe/Paris",
        "2026-03-28T22:30:00Z",
        [
            "03:00+02:00",
            "03:00+02:00",
            "01:00+01:00 01:30+01:00 03:00+02:00 03:30+02:00",
            "00:00+01:00 01:00+01:00 03:00+02:00 04:00+02:00 05:00+02:00 06:00+02:00",
            "",
            "01:00+01:00 01:30+01:00 03:00+02:00 03:30+02:00",
            "360 runs",
            "00:00+01:00",
            "00:30+01:00",
            "00:15+01:00 01:15+01:00 03:00+02:00 03:15+02:00 04:15+02:00",
            "01:45+01:00",
            "03:00+02:00",
        ],
    );
}

#[test]
fn paris_goes_back() {
    check(
        "Europe/Paris",
        "2026-10-24T21:30:00Z",
        [
            "02:30+02:00",
            "02:00+02:00",
            "01:00+02:00 01:30+02:00 02:00+02:00 02:30+02:00 03:00+01:00 03:30+01:00",
            "00:00+02:00 01:00+02:00 02:00+02:00 02:00+01:00 03:00+01:00 04:00+01:00",
            "02:00+02:00 02:15+02:00 02:30+02:00 02:45+02:00 02:00+01:00 02:15+01:00 02:30+01:00 02:45+01:00",
            "01:00+02:00 01:30+02:00 02:00+02:00 02:30+02:00 02:00+01:00 02:30+01:00 03:00+01:00 03:30+01:00",
            "360 runs",
            "00:00+02:00",
            "00:30+02:00",
            "00:15+02:00 01:15+02:00 02:15+02:00 03:15+01:00 04:15+01:00",
            "01:45+02:00",
            "02:30+02:00 02:30:40+02:00",
        ],
    );
}

#[test]
fn lord_howe_goes_ahead_by_half_an_hour() {
    check(
        "Australia/Lord_Howe",
        "2026-10-03T13:00:00Z",
        [
            "02:30+11:00",
            "02:30+11:00",
            "01:00+10:30 01:30+10:30 02:30+11:00 03:00+11:00 03:30+11:00",
            "00:00+10:30 01:00+10:30 03:00+11:00 04:00+11:00 05:00+11:00 06:00+11:00",
            "02:30+11:00 02:45+11:00",
            "01:00+10:30 01:30+10:30 02:30+11:00 03:00+11:00 03:30+11:00",
            "360 runs",
            "00:00+10:30",
            "00:30+10:30",
            "00:15+10:30 01:15+10:30 02:30+11:00 03:15+11:00 04:15+11:00",
            "01:45+10:30",
            "02:30+11:00 02:30:40+11:00",
        ],
    );
}

#[test]
fn lord_howe_goes_back_by_half_an_hour() {
    check(
        "Australia/Lord_Howe",
        "2026-04-04T12:30:00Z",
        [
            "02:30+10:30",
            "02:00+10:30",
            "01:00+11:00 01:30+11:00 02:00+10:30 02:30+10:30 03:00+10:30 03:30+10:30",
            "00:00+11:00 01:00+11:00 02:00+10:30 03:00+10:30 04:00+10:30 05:00+10:30",
            "02:00+10:30 02:15+10:30 02:30+10:30 02:45+10:30",
            "01:00+11:00 01:30+11:00 01:30+10:30 02:00+10:30 02:30+10:30 03:00+10:30 03:30+10:30",
            "360 runs",
            "00:00+11:00",
            "00:30+11:00",
            "00:15+11:00 01:15+11:00 02:15+10:30 03:15+10:30 04:15+10:30",
            "01:45+11:00",
            "02:30+10:30 02:30:40+10:30",
        ],
    );
}

#[test]
fn sao_paulo_goes_ahead_at_midnight() {
    check(
        "America/Sao_Paulo",
        "2017-10-15T02:30:00Z",
        [
            "02:30-02:00",
            "02:00-02:00",
            "01:00-02:00 01:30-02:00 02:00-02:00 02:30-02:00 03:00-02:00 03:30-02:00",
            "01:00-02:00 02:00-02:00 03:00-02:00 04:00-02:00 05:00-02:00 06:00-02:00",
            "02:00-02:00 02:15-02:00 02:30-02:00 02:45-02:00",
            "01:00-02:00 01:30-02:00 02:00-02:00 02:30-02:00 03:00-02:00 03:30-02:00",
            "360 runs",
            "01:00-02:00",
            "01:00-02:00",
            "01:00-02:00 01:15-02:00 02:15-02:00 03:15-02:00 04:15-02:00",
            "01:45-02:00",
            "02:30-02:00 02:30:40-02:00",
        ],
    );
}

#[test]
fn sao_paulo_goes_back_at_midnight() {
    check(
        "America/Sao_Paulo",
        "2017-02-19T00:30:00Z",
        [
            "02:30-03:00",
            "02:00-03:00",
            "01:00-03:00 01:30-03:00 02:00-03:00 02:30-03:00 03:00-03:00 03:30-03:00",
            "23:00-02:00 23:00-03:00 00:00-03:00 01:00-03:00 02:00-03:00 03:00-03:00",
            "02:00-03:00 02:15-03:00 02:30-03:00 02:45-03:00",
            "01:00-03:00 01:30-03:00 02:00-03:00 02:30-03:00 03:00-03:00 03:30-03:00",
            "360 runs",
            "00:00-03:00",
            "00:30-03:00",
            "00:15-03:00 01:15-03:00 02:15-03:00 03:15-03:00",
            "01:45-03:00",
            "02:30-03:00 02:30:40-03:00",
        ],
    );
}

#[test]
fn clock_set_back_launches_nothing_twice() {
    let mut job =
        Driven::new(plan("*/10 * * * *", "UTC", Missed::Once), at("2026-11-22T12:05:00Z"));
    job.drive(at("2026-11-22T13:05:00Z"));
    assert_eq!(job.runs.len(), 6);
    job.clock.set(at("2026-11-22T12:25:00Z"));
    job.drive(at("2026-11-22T13:05:00Z"));
    assert_eq!(job.runs.len(), 6);
    job.drive(at("2026-11-22T13:15:00Z"));
    assert_eq!(job.runs.len(), 7);
}

#[test]
fn clock_jump_to_2038_and_back_stops_no_job() {
    for missed in [Missed::Skip, Missed::Once] {
        for text in SCHEDULES.iter().chain(&["* * * * * * *", "0 * * * * 2026-2030"]) {
            let mut job =
                Driven::new(plan(text, "Europe/Paris", missed), at("2026-11-22T12:00:00Z"));
            job.clock.set(at("2038-01-19T03:14:08Z"));
            assert!(!job.decide());
            job.clock.set(at("2026-11-22T12:00:10Z"));
            let stamped = job.last > job.clock.now();
            assert_eq!(job.decide(), stamped, "{text}");
            assert!(!job.decide(), "{text}: reported once");
            job.runs.clear();
            job.drive(at("2026-11-22T12:00:10Z") + 30.hours());
            let expected = match *text {
                "45 1 * * SUN" => 0,
                _ => 1,
            };
            assert!(job.runs.len() >= expected, "{text}: {} runs", job.runs.len());
        }
    }
}

#[test]
fn suspended_machine_follows_the_missed_policy() {
    for (missed, expected) in
        [(Missed::Skip, "12:00+00:00"), (Missed::Once, "12:00+00:00 17:00+00:00")]
    {
        let mut job = Driven::new(plan("0 * * * *", "UTC", missed), at("2026-11-22T11:30:00Z"));
        job.drive(at("2026-11-22T12:30:00Z"));
        job.clock.set(at("2026-11-22T17:30:00Z"));
        job.drive(at("2026-11-22T17:50:00Z"));
        assert_eq!(job.shown(), expected);
    }
}
