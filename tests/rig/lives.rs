//! One run after the other through runners that die, seen from outside: what the platform has, what is
//! stored, what the plugin got.

#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;

use rustix::process::Signal;
use serde_json::Value;

use super::process::Process;
use super::{Rig, wait};

/// A configuration of a job that is triggered, and whose plugin notes what it gets.
pub(crate) const JOB: &str = "schedule = \"0 0 1 1 *\"\nexpiry = 30m\nplugin = note";
/// That plugin: it notes each delivery, as `RUN ACTION`.
pub(crate) const NOTE: &str = "cat > /dev/null; echo $MIG_RUN $MIG_ACTION_ID >> notes";

/// What became of a run, or of its runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The run is over.
    Over,
    /// The runner is dead.
    Dead,
}

/// What was tried, and what was wrong.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) points: usize,
    pub(crate) lost: Vec<String>,
    pub(crate) twice: Vec<String>,
}

impl Tally {
    /// Prints the counts, as a row of a table, and fails if something was wrong.
    pub(crate) fn close(self, what: &str) {
        let row =
            format!("| {what} | {} | {} | {} |", self.points, self.lost.len(), self.twice.len());
        println!("{row}");
        if super::chance::full() {
            // Also where the test runner keeps what tests print to itself.
            writeln!(std::io::stderr(), "{row}").unwrap();
        }
        assert!(self.lost.is_empty(), "lost: {:#?}", self.lost);
        assert!(self.twice.is_empty(), "posted twice: {:#?}", self.twice);
        assert!(self.points > 0, "nothing was tried");
    }
}

/// Lives of runs, one after the other, and what the platform had before.
pub(crate) struct Lives<'a> {
    pub(crate) rig: &'a Rig,
    known: BTreeSet<i64>,
    pub(crate) tally: Tally,
}

impl<'a> Lives<'a> {
    /// Returns lives of which none has begun; the rig gets their job.
    pub(crate) fn new(rig: &'a Rig) -> Lives<'a> {
        rig.plugin("note", NOTE);
        rig.job("job", JOB);
        // The first one makes the spool.
        rig.runner().stop(Signal::TERM);
        Lives { rig, known: BTreeSet::new(), tally: Tally::default() }
    }

    /// Waits until a run is over or its runner dead; does not wait for the end of its action once the
    /// agent has answered.
    pub(crate) fn live(&self, run: &str, runner: &mut Process) -> End {
        wait(&format!("the end of {run} or of its runner"), || {
            self.collect(run);
            let spool = self.rig.spool();
            let places = spool.iter().filter_map(|entry| entry.strip_suffix(run));
            if places.eq(["action/done ", "command/done "]) {
                return Some(End::Over);
            }
            runner.has_ended().then_some(End::Dead)
        })
    }

    /// Does not wait for the end of the action of a run, if the agent has answered.
    pub(crate) fn collect(&self, run: &str) {
        let inflight = self.rig.entry("action/inflight", run);
        if let Some(action) = fs::read(&inflight).ok().and_then(|bytes| action_of(&bytes))
            && self.rig.database().status(action).as_deref() == Some("completed")
        {
            // The runner may be moving it at the same moment.
            fs::rename(&inflight, self.rig.entry("action/done", run)).ok();
        }
    }

    /// Starts a runner after the one that died, waits until the run is over, and notes what is wrong.
    pub(crate) fn recover(&mut self, run: &str, point: &str) {
        let mut runner = self.rig.runner();
        assert_eq!(self.live(run, &mut runner), End::Over, "{point}");
        runner.stop(Signal::TERM);
        self.rig.check_clean();
        self.settle(run, point);
    }

    /// Notes what is wrong with a run that is over, and forgets it.
    pub(crate) fn settle(&mut self, run: &str, point: &str) {
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
        if !rig.left("notes").lines().any(|line| line == note) {
            tally.lost.push(format!("{point}: the plugin did not get {run}: {record}"));
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

/// Returns the action of a record.
fn action_of(bytes: &[u8]) -> Option<i64> {
    let record: Value = serde_json::from_slice(bytes).ok()?;
    record["actionid"].as_i64()
}
