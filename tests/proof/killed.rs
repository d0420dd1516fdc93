//! The runner is killed at any moment, again and again, while jobs run every second.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::rig::random::{SeededRandom, full};
use crate::rig::runs::{NOTE, Tally};
use crate::rig::{Rig, pause, wait_until};

/// How often the runner is killed, and how many jobs run every second meanwhile.
const QUICK: (u64, u64) = (50, 3);
/// The same where all is tried.
const FULL: (u64, u64) = (1000, 20);
/// How long a runner lives at the most once it is ready.
const LIFE_SPAN: Duration = Duration::from_millis(600);
/// How long some live: long enough to find out what became of a POST that was under way.
const LONG_SPAN: Duration = Duration::from_secs(4);
/// How long one lives that is killed while it starts.
const START_SPAN: Duration = Duration::from_millis(600);
/// Of so many runners one is killed while it starts, and one lives longer.
const LIVES: u64 = 5;
/// What the jobs ask for.
const EVERY_SECOND: &str = "schedule = \"* * * * * * *\"\nexpiry = 3s\nplugin = note";

/// What is known of the runs.
#[derive(Default)]
struct Ledger {
    /// Every run that was ever seen.
    seen: BTreeSet<String>,
    /// The action of each that is over.
    over: BTreeMap<String, i64>,
    /// Those that gave way to a newer one of their job before they were sent.
    superseded: BTreeSet<String>,
    tally: Tally,
}

impl Ledger {
    /// Notes what is in the spool, and takes out what is over: nothing is done with it any more.
    fn take(&mut self, rig: &Rig) {
        let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for entry in rig.spool() {
            let (folder, run) = entry.split_once(' ').unwrap();
            places.entry(run.to_owned()).or_default().push(folder.to_owned());
        }
        for (run, folders) in places {
            let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
            match folders[..] {
                ["action/done", "command/done"] => self.take_over(rig, &run),
                ["action/done"] => self.take_superseded(rig, &run),
                ["action/invalid"] => self.take_invalid(rig, &run),
                _ => {}
            }
            self.seen.insert(run);
        }
    }

    fn take_over(&mut self, rig: &Rig, run: &str) {
        let record = read(rig, "command/done", run);
        let action = record["actionid"].as_i64().unwrap_or_default();
        let document = rig.home(record["document"].as_str().unwrap_or_default());
        let document: Value =
            serde_json::from_slice(&fs::read(document).unwrap_or_default()).unwrap_or_default();
        if document["action"]["id"] != action {
            self.tally.lost.push(format!("the results of {run}: {record}"));
        }
        self.over.insert(run.to_owned(), action);
        for folder in ["action/done", "command/done"] {
            fs::remove_file(rig.entry(folder, run)).unwrap();
        }
    }

    fn take_superseded(&mut self, rig: &Rig, run: &str) {
        if read(rig, "action/done", run)["superseded"].is_string() {
            self.superseded.insert(run.to_owned());
            fs::remove_file(rig.entry("action/done", run)).unwrap();
        }
    }

    fn take_invalid(&mut self, rig: &Rig, run: &str) {
        let record = read(rig, "action/invalid", run);
        self.tally.lost.push(format!("{run} is invalid: {record}"));
        fs::remove_file(rig.entry("action/invalid", run)).unwrap();
    }

    /// Compares what is known with what the platform has and the plugin got.
    fn close(mut self, rig: &Rig) {
        let lost = self
            .seen
            .iter()
            .filter(|run| !self.over.contains_key(*run) && !self.superseded.contains(*run));
        self.tally.lost.extend(lost.map(|run| format!("{run} is nowhere")));
        let notes = rig.plugin_file("notes");
        let got: BTreeSet<&str> = notes.lines().collect();
        for (run, action) in &self.over {
            if !got.contains(format!("{run} {action}").as_str()) {
                self.tally.lost.push(format!("the plugin did not get {run}"));
            }
        }
        let held: BTreeSet<i64> = self.over.values().copied().collect();
        let strays = rig.database().ids().into_iter().filter(|id| !held.contains(id));
        self.tally.twice.extend(strays.map(|id| format!("no run has the action {id}")));
        if held.len() != self.over.len() {
            self.tally.twice.push("two runs have one action".to_owned());
        }
        println!("{} runs over, {} superseded", self.over.len(), self.superseded.len());
        assert!(!self.over.is_empty(), "no run was ever over");
        self.tally.close("random kill -9");
    }
}

fn read(rig: &Rig, folder: &str, run: &str) -> Value {
    serde_json::from_slice(&fs::read(rig.entry(folder, run)).unwrap()).unwrap()
}

/// Gives the jobs another schedule, as an editor does: by a new file.
fn rest(rig: &Rig, jobs: u64) {
    for job in 0..jobs {
        let config = rig.home(&format!("runners/j{job}/entity.cfg"));
        let text = fs::read_to_string(&config).unwrap().replace("* * * * * * *", "0 0 1 1 *");
        let new = config.with_extension("new");
        crate::rig::write(&new, text);
        fs::rename(new, config).unwrap();
    }
}

/// Returns how many entries there are of runs that are not over.
fn open(rig: &Rig) -> usize {
    let over = ["action/done", "action/invalid", "command/done"];
    let entries = rig.spool();
    let is_over = |entry: &&String| over.iter().any(|folder| entry.starts_with(folder));
    entries.iter().filter(|entry| !is_over(entry)).count()
}

#[test]
fn runners_killed_at_any_moment_lose_nothing_and_send_nothing_twice() {
    let (kills, jobs) = if full() { FULL } else { QUICK };
    let (mut rig, mut chance, mut ledger) = (Rig::new(), SeededRandom::new(), Ledger::default());
    rig.configure("settle = 1s");
    rig.plugin("note", NOTE);
    for job in 0..jobs {
        rig.job(&format!("j{job}"), EVERY_SECOND);
    }
    for _ in 0..kills {
        let (runner, span) = match chance.below(LIVES) {
            0 => (rig.start_runner("runner.cfg"), START_SPAN),
            1 => (rig.runner(), LONG_SPAN),
            _ => (rig.runner(), LIFE_SPAN),
        };
        pause(chance.moment(span));
        runner.kill();
        rig.forget_logs();
        ledger.tally.points += 1;
        ledger.take(&rig);
    }
    rest(&rig, jobs);
    let runner = rig.runner();
    // As long as they become fewer, they all come to their end.
    let mut left = open(&rig);
    while left > 0 {
        wait_until("runs that come to their end", || open(&rig) < left);
        left = open(&rig);
    }
    runner.stop(Signal::TERM);
    rig.check_clean();
    ledger.take(&rig);
    ledger.close(&rig);
}
