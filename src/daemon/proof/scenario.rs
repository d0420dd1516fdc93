//! Scenarios: what happens to a run, and the states in which it may end.
//!
//! A scenario that is interrupted anywhere and then resumed ends like one that is not: one action
//! on the platform, the results stored, the plugins served, the files of the run where they belong.
//! Where an interruption may lead to another end, the scenario names each of them.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::simulation::Simulation;
use crate::clock::Clock;
use crate::disk::model::ModelFs;
use crate::spool::Folder;

/// When all scenarios begin.
const BEGIN: &str = "2026-11-22T12:00:30Z";
/// The only slot of the job.
const SCHEDULE: &str = "schedule = \"1 12 22 11 *\"";
/// The text in a fault that says that a run has more than one action.
pub(super) const POSTED_TWICE: &str = "posted twice";

/// A step of a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) enum ScenarioStep {
    /// The clock is set.
    At(&'static str),
    /// Seconds pass.
    Pass(u64),
    /// The operator moves the run.
    Move(Folder, Folder),
    /// The operator removes the run.
    Remove(Folder),
    /// Something else changes.
    Do(fn(&Simulation)),
    /// The runner is stopped and started.
    Restart,
    /// The runner receives SIGHUP.
    Reload,
    /// The runner removes expired files.
    Prune,
}

use ScenarioStep::{At, Do, Move, Pass, Prune, Reload, Remove, Restart};

/// A state in which a scenario may end.
#[derive(Debug, Clone, Copy)]
pub(super) struct AllowedEnd {
    /// Number of actions on the platform.
    pub(super) actions: usize,
    /// The entries of the spool, as `FOLDER NAME`.
    pub(super) spool: &'static [&'static str],
}

/// What happens to a run.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The configuration of the job.
    config: &'static str,
    setup: fn(&mut Simulation),
    steps: &'static [ScenarioStep],
    /// The end without an interruption, and then any other allowed ends.
    ends: &'static [AllowedEnd],
}

pub(super) const fn end(actions: usize, spool: &'static [&'static str]) -> AllowedEnd {
    AllowedEnd { actions, spool }
}

pub(super) const fn scenario(
    name: &'static str,
    config: &'static str,
    setup: fn(&mut Simulation),
    steps: &'static [ScenarioStep],
    ends: &'static [AllowedEnd],
) -> Scenario {
    Scenario { name, config, setup, steps, ends }
}

/// An execution of a scenario.
pub(super) struct Execution {
    pub(super) simulation: Simulation,
    scenario: Scenario,
    /// The number of the next step.
    next: usize,
}

impl Scenario {
    /// Returns whether the runner is restarted in the scenario.
    pub(super) fn restarts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Restart))
    }

    /// Returns whether the operator removes a run, so that part of its results may be left behind.
    fn removes(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Remove(_)))
    }

    /// Returns whether nothing but time passes in the scenario.
    pub(super) fn is_unattended(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, At(_) | Pass(_)))
    }

    /// Returns an execution before the first step.
    pub(super) fn begin(&self) -> Execution {
        self.begin_on(|fs| fs)
    }

    /// Returns an execution before the first step, on a file system that `change` has changed.
    pub(super) fn begin_on(&self, change: impl FnOnce(ModelFs) -> ModelFs) -> Execution {
        let mut simulation = Simulation::new(BEGIN, change);
        simulation.write_job(&format!("{SCHEDULE}\nexpiry = 20s\n{}", self.config));
        simulation.platform.set_agents(3, true);
        (self.setup)(&mut simulation);
        simulation.fs.sync_all();
        Execution { simulation, scenario: *self, next: 0 }
    }
}

impl Execution {
    /// Returns a hash of everything that determines how the execution continues.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.scenario.name, self.next, self.simulation.digest()).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns an execution that continues from here in another simulation.
    pub(super) fn within(&self, simulation: Simulation) -> Execution {
        Execution { simulation, scenario: self.scenario, next: self.next }
    }

    /// Starts the runner and executes the remaining steps, until the end or until the runner is
    /// dead.
    pub(super) fn resume(&mut self) {
        self.simulation.start();
        if !self.is_dead() {
            self.resume_without_start();
        }
    }

    /// Executes the remaining steps, until the end or until the runner is dead.
    pub(super) fn resume_without_start(&mut self) {
        while let Some(step) = self.scenario.steps.get(self.next) {
            self.execute(*step);
            if self.is_dead() {
                return;
            }
            self.next += 1;
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.simulation.fs.faults().is_dead()
    }

    fn execute(&mut self, step: ScenarioStep) {
        let simulation = &mut self.simulation;
        match step {
            At(time) => simulation.run_at(time),
            Pass(seconds) => simulation.advance(seconds),
            Move(from, to) => simulation.move_run(from, to),
            Remove(folder) => simulation.remove_run(folder),
            Do(change) => change(simulation),
            Restart => drop(simulation.start()),
            Reload => simulation.reload(),
            Prune => simulation.prune(),
        }
        if let Move(..) | Remove(_) | Do(_) = step {
            simulation.advance(0);
        }
    }

    /// Starts the runner, lets time pass until nothing more can happen, and checks the end.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if !self.simulation.start() {
            return Err(format!("the runner cannot start: {:?}", self.simulation.start_error));
        }
        self.wait();
        self.check(true)
    }

    /// Lets time pass until nothing more can happen.
    pub(super) fn wait(&mut self) {
        for seconds in [1, 5, 20, 60, 130, 400, 400, 86_400] {
            self.simulation.advance(seconds);
        }
        if self.scenario.steps.iter().any(|step| matches!(step, Prune)) {
            self.simulation.prune();
        }
    }

    /// Checks that the scenario has come to an allowed end. If `is_swept`, files that the next
    /// start removes are faults too.
    pub(super) fn check(&self, is_swept: bool) -> Result<(), String> {
        self.check_ends(self.scenario.ends, is_swept)
    }

    /// Checks that the scenario has come to the end that it has without an interruption.
    pub(super) fn check_uninterrupted(&self) -> Result<(), String> {
        self.check_ends(&self.scenario.ends[..1], true)
    }

    fn check_ends(&self, ends: &[AllowedEnd], is_swept: bool) -> Result<(), String> {
        let actions = self.simulation.platform.action_names().len();
        let spool = self.simulation.spool();
        let mut faults = self.simulation.faults(is_swept);
        if is_swept && !self.scenario.removes() {
            faults.extend(self.simulation.part_files());
        }
        let matches = |end: &AllowedEnd| end.actions == actions && end.spool == spool;
        if !ends.iter().any(matches) {
            faults.push(format!("{actions} actions, {spool:?}"));
        }
        // Whatever happened, no run has two actions.
        let most = self.scenario.ends.iter().map(|end| end.actions).max().unwrap_or_default();
        if actions > most {
            faults.push(format!("{POSTED_TWICE}: {actions} actions"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let (name, next, now) = (self.scenario.name, self.next, self.simulation.clock.now());
        Err(format!("{name} (step {next}, {now}): {}", faults.join("; ")))
    }
}
