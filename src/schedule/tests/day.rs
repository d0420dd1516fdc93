//! The decisions of a day for a thousand jobs.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan};

use super::super::due::{Missed, Plan};
use super::super::splay;
use super::super::table::Table;
use super::{at, cron, in_zone};
use crate::names::JobName;

const JOBS: usize = 1_000;
const DAY: &str = "2026-11-22T00:00:00Z";

/// Simulates a day, deciding only when the table has a due job; returns the runs and the number of
/// decisions.
fn run_a_day(plans: &[Plan]) -> (BTreeSet<(usize, Timestamp)>, usize) {
    let (start, end) = (at(DAY) - 1.seconds(), at(DAY) + 24.hours());
    let mut table = Table::new();
    for job in 0..plans.len() {
        table.set(job, Some(start), start);
    }
    let (mut runs, mut decisions) = (BTreeSet::new(), 0);
    while let Some(now) = table.next().filter(|now| *now < end) {
        for job in table.due(now, usize::MAX) {
            let last = *table.value(&job).unwrap();
            let due = plans[job].decide(last, now);
            decisions += 1;
            if let Some(slot) = due.fire {
                assert!(runs.insert((job, slot)), "job {job} runs {slot} twice");
            }
            assert_eq!(due.missed, None);
            table.set(job, due.wake, due.stamp.unwrap_or(last));
        }
    }
    (runs, decisions)
}

#[test]
fn day_of_many_jobs_launches_the_expected_runs() {
    let splay_max = Duration::from_secs(300);
    let plan = |job: usize| {
        let name: JobName = format!("job-{job}").parse().unwrap();
        let (cron, zone) = (cron(&format!("{} * * * *", job % 60)), in_zone("UTC"));
        let splay = splay::delay(&name, "host", splay_max);
        Plan { cron: cron.into(), zone, splay, missed: Missed::Skip }
    };
    let plans: Vec<Plan> = (0..JOBS).map(plan).collect();
    let began = Instant::now();
    let (runs, decisions) = run_a_day(&plans);
    println!("{JOBS} jobs: {decisions} decisions in {:?}", began.elapsed());
    let slot = |job: usize, hour: i64| {
        at(DAY) + hour.hours() + (i64::try_from(job).unwrap() % 60).minutes()
    };
    let expected: BTreeSet<_> = (0..JOBS)
        .flat_map(|job| (0..24).map(move |hour| (job, slot(job, hour))))
        // The splay moves the last slot of some jobs into the next day.
        .filter(|(job, slot)| plans[*job].due_at(*slot) < at(DAY) + 24.hours())
        .collect();
    assert_eq!(runs, expected);
    // One decision at the start and one per run: idle jobs cost nothing.
    assert_eq!(decisions, JOBS + runs.len());
}

#[test]
fn job_launches_at_most_once_per_second() {
    let plan = Plan {
        cron: cron("* * * * * * *").into(),
        zone: in_zone("UTC"),
        splay: Duration::ZERO,
        missed: Missed::Once,
    };
    let mut now = at("2026-11-22T00:00:00.9Z");
    let mut last = now - 1.seconds();
    for _ in 0..50 {
        let due = plan.decide(last, now);
        assert!(due.fire.is_some());
        assert_eq!(due.wake, Some(now + 1.seconds()));
        (last, now) = (due.stamp.unwrap(), due.wake.unwrap());
    }
}
