//! Executes runs one after another with runners that are killed, and checks from outside that each
//! run was posted once, its results are stored and its plugin received them.

#![expect(clippy::disallowed_methods, reason = "tests do what operators do")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use rustix::process::Signal;
use serde_json::Value;

use super::process::Process;
use super::{Rig, wait};

/// The configuration of a job that must be triggered and has the plugin [`NOTE`].
pub(crate) const JOB: &str = "schedule = \"0 0 1 1 *\"\nexpiry = 30m\nplugin = note";
/// A plugin that appends each delivery to the file `notes`, as `RUN ACTION`.
pub(crate) const NOTE: &str = "cat > /dev/null; echo $MIG_RUN $MIG_ACTION_ID >> notes";

/// What [`KilledRuns::wait_end`] waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    RunFinished,
    RunnerDied,
}

/// The number of tested points, and the faults found.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) points: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
}

impl Tally {
    /// Prints the counts as a row of a table, and fails if there is a fault.
    pub(crate) fn close(self, what: &str) {
        let row =
            format!("| {what} | {} | {} | {} |", self.points, self.lost.len(), self.twice.len());
        println!("{row}");
        if super::random::full() {
            // The test runner captures stdout, so the row also goes to stderr.
            writeln!(std::io::stderr(), "{row}").unwrap();
        }
        assert!(self.lost.is_empty(), "lost: {:#?}", self.lost);
        assert!(self.twice.is_empty(), "posted twice: {:#?}", self.twice);
        assert!(self.points > 0, "no point was tested");
    }
}

/// Runs whose runners are killed, and the actions that the platform had before.
pub(crate) struct KilledRuns<'a> {
    pub(crate) rig: &'a Rig,
    known: BTreeSet<i64>,
    pub(crate) tally: Tally,
}

impl<'a> KilledRuns<'a> {
    /// Adds the job of the runs to the rig.
    pub(crate) fn new(rig: &'a Rig) -> KilledRuns<'a> {
        rig.plugin("note", NOTE);
        rig.job("job", JOB);
        // The first runner creates the spool.
        rig.runner().stop(Signal::TERM);
        KilledRuns { rig, known: BTreeSet::new(), tally: Tally::default() }
    }

    /// Waits until a run has finished or its runner has died. Once the agent has answered, it does not
    /// wait for the action to expire.
    pub(crate) fn wait_end(&self, run: &str, runner: &mut Process) -> End {
        wait(&format!("the end of {run} or of its runner"), || {
            self.collect(run);
            let spool = self.rig.spool();
            let places = spool.iter().filter_map(|entry| entry.strip_suffix(run));
            if places.eq(["action/done ", "command/done "]) {
                return Some(End::RunFinished);
            }
            runner.has_ended().then_some(End::RunnerDied)
        })
    }

    /// Ends the collection of a run early, if the agent has answered.
    pub(crate) fn collect(&self, run: &str) {
        let inflight = self.rig.entry("action/inflight", run);
        if let Some(action) = fs::read(&inflight).ok().and_then(|bytes| action_of(&bytes))
            && self.rig.database().status(action).as_deref() == Some("completed")
        {
            // The runner may be moving it at the same moment.
            fs::rename(&inflight, self.rig.entry("action/done", run)).ok();
        }
    }

    /// Starts a new runner, waits until the run has finished, and records faults.
    pub(crate) fn recover(&mut self, run: &str, point: &str) {
        let mut runner = self.rig.runner();
        assert_eq!(self.wait_end(run, &mut runner), End::RunFinished, "{point}");
        runner.stop(Signal::TERM);
        self.rig.check_clean();
        self.check_and_remove(run, point);
    }

    /// Records the faults of a finished run, and removes the run.
    pub(crate) fn check_and_remove(&mut self, run: &str, point: &str) {
        let (rig, tally) = (self.rig, &mut self.tally);
        tally.points += 1;
        let record = rig.wait_in("command/done", run);
        let document = rig.home(record["document"].as_str().unwrap_or_default());
        let bytes = fs::read(document).unwrap_or_default();
        let parsed: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if parsed["commands"].as_array().is_none_or(|commands| commands.len() != 1) {
            tally.lost.push(format!("{point}: the results of {run}: {record}"));
        }
        let note = format!("{run} {}", record["actionid"]);
        if !rig.plugin_file("notes").lines().any(|line| line == note) {
            tally.lost.push(format!("{point}: the plugin did not receive {run}: {record}"));
        }
        let actions = rig.database().actions("mig-runner: job");
        let new: Vec<i64> = actions.into_iter().filter(|id| self.known.insert(*id)).collect();
        if new.len() != 1 || record["actionid"] != new[0] {
            tally.twice.push(format!("{point}: {run} has {new:?}: {record}"));
        }
        for folder in ["action/done", "command/done"] {
            fs::remove_file(rig.entry(folder, run)).unwrap();
        }
    }
}

/// Returns the id of the action in a record.
fn action_of(bytes: &[u8]) -> Option<i64> {
    let record: Value = serde_json::from_slice(bytes).ok()?;
    record["actionid"].as_i64()
}
