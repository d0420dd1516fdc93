//! Kills the runner at random moments, again and again, while jobs run every second.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::random::{SeededRandom, full};
use crate::rig::runs::{NOTE, Tally};
use crate::rig::{Rig, pause, wait_until};

/// Number of kills and of jobs that run every second, unless everything is tried.
const QUICK: (u64, u64) = (50, 3);
/// The same if everything is tried.
const FULL: (u64, u64) = (1000, 20);
/// Maximum lifetime of most runners after they are ready.
const LIFE_SPAN: Duration = Duration::from_millis(600);
/// Maximum lifetime of some runners: long enough to resolve the unknown outcome of a POST.
const LONG_SPAN: Duration = Duration::from_secs(4);
/// Maximum lifetime of runners that are killed during their start.
const START_SPAN: Duration = Duration::from_millis(600);
/// Of this number of runners, one is killed during its start, and one lives longer.
const KINDS: u64 = 5;
/// The configuration of the jobs.
const EVERY_SECOND: &str = "schedule = \"* * * * * * *\"\nexpiry = 3s\nplugin = note";

/// The runs that were seen.
#[derive(Default)]
struct SeenRuns {
    /// The ids of all runs.
    seen: BTreeSet<String>,
    /// The action of each finished run.
    finished: BTreeMap<String, i64>,
    /// Runs that were superseded before they were sent.
    superseded: BTreeSet<String>,
    tally: Tally,
}

impl SeenRuns {
    /// Records the runs in the spool, and removes the finished ones.
    fn read(&mut self, rig: &Rig) {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in rig.spool() {
            let (folder, run) = entry.split_once(' ').unwrap();
            places.entry(run.to_owned()).or_default().push(folder.to_owned());
        }
        for (run, folders) in places {
            let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
            match folders[..] {
                ["action/done", "command/done"] => self.take_finished(rig, &run),
                ["action/done"] => self.take_superseded(rig, &run),
                ["action/invalid"] => self.take_invalid(rig, &run),
                _ => {}
            }
            self.seen.insert(run);
        }
    }

    fn take_finished(&mut self, rig: &Rig, run: &str) {
        let record = read_record(rig, "command/done", run);
        let action = record["actionid"].as_i64().unwrap_or_default();
        let document = rig.home(record["document"].as_str().unwrap_or_default());
        let document: Value =
            serde_json::from_slice(&fs::read(document).unwrap_or_default()).unwrap_or_default();
        if document["action"]["id"] != action {
            self.tally.lost.push(format!("the results of {run}: {record}"));
        }
        self.finished.insert(run.to_owned(), action);
        for folder in ["action/done", "command/done"] {
            fs::remove_file(rig.entry(folder, run)).unwrap();
        }
    }

    fn take_superseded(&mut self, rig: &Rig, run: &str) {
        if read_record(rig, "action/done", run)["superseded"].is_string() {
            self.superseded.insert(run.to_owned());
            fs::remove_file(rig.entry("action/done", run)).unwrap();
        }
    }

    fn take_invalid(&mut self, rig: &Rig, run: &str) {
        let record = read_record(rig, "action/invalid", run);
        self.tally.lost.push(format!("{run} is invalid: {record}"));
        fs::remove_file(rig.entry("action/invalid", run)).unwrap();
    }

    /// Compares the runs with the actions of the platform and the deliveries to the plugin.
    fn check(mut self, rig: &Rig) {
        let lost = self
            .seen
            .iter()
            .filter(|run| !self.finished.contains_key(*run) && !self.superseded.contains(*run));
        self.tally.lost.extend(lost.map(|run| format!("{run} is nowhere")));
        let notes = rig.plugin_file("notes");
        let delivered: BTreeSet<&str> = notes.lines().collect();
        for (run, action) in &self.finished {
            if !delivered.contains(format!("{run} {action}").as_str()) {
                self.tally.lost.push(format!("the plugin did not receive {run}"));
            }
        }
        let held: BTreeSet<i64> = self.finished.values().copied().collect();
        let foreign = rig.database().ids().into_iter().filter(|id| !held.contains(id));
        self.tally.twice.extend(foreign.map(|id| format!("no run has the action {id}")));
        if held.len() != self.finished.len() {
            self.tally.twice.push("two runs have the same action".to_owned());
        }
        println!("{} runs finished, {} superseded", self.finished.len(), self.superseded.len());
        assert!(!self.finished.is_empty(), "no run has finished");
        self.tally.close("random kill -9");
    }
}

fn read_record(rig: &Rig, folder: &str, run: &str) -> Value {
    serde_json::from_slice(&fs::read(rig.entry(folder, run)).unwrap()).unwrap()
}

/// Replaces the schedules of the jobs, with new files as an editor does.
fn stop_schedules(rig: &Rig, jobs: u64) {
    for job in 0..jobs {
        let config = rig.home(&format!("runners/j{job}/entity.cfg"));
        let text = fs::read_to_string(&config).unwrap().replace("* * * * * * *", "0 0 1 1 *");
        let new = config.with_extension("new");
        crate::rig::write(&new, text);
        fs::rename(new, config).unwrap();
    }
}

/// Returns the number of entries of unfinished runs.
fn unfinished(rig: &Rig) -> usize {
    let finished = ["action/done", "action/invalid", "command/done"];
    let entries = rig.spool();
    let is_finished = |entry: &&String| finished.iter().any(|folder| entry.starts_with(folder));
    entries.iter().filter(|entry| !is_finished(entry)).count()
}

#[test]
fn runners_killed_at_random_lose_nothing_and_post_nothing_twice() {
    let (kills, jobs) = if full() { FULL } else { QUICK };
    let (mut rig, mut chance, mut runs) = (Rig::new(), SeededRandom::new(), SeenRuns::default());
    rig.configure("settle = 1s");
    rig.plugin("note", NOTE);
    for job in 0..jobs {
        rig.job(&format!("j{job}"), EVERY_SECOND);
    }
    for _ in 0..kills {
        let (runner, span) = match chance.below(KINDS) {
            0 => (rig.start_runner("runner.cfg"), START_SPAN),
            1 => (rig.runner(), LONG_SPAN),
            _ => (rig.runner(), LIFE_SPAN),
        };
        pause(chance.moment(span));
        runner.kill();
        rig.forget_logs();
        runs.tally.points += 1;
        runs.read(&rig);
    }
    stop_schedules(&rig, jobs);
    let runner = rig.runner();
    // While their number decreases, all of them will finish.
    let mut left = unfinished(&rig);
    while left > 0 {
        wait_until("another finished run", || unfinished(&rig) < left);
        left = unfinished(&rig);
    }
    runner.stop(Signal::TERM);
    rig.check_clean();
    runs.read(&rig);
    runs.check(&rig);
}
