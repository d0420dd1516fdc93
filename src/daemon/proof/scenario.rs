//! What is played: lives of a run, each with all that may be seen in the end.
//!
//! A life that is interrupted anywhere and goes on ends as one that is not: one
//! action on the platform, the results stored, the plugins served, the files of
//! the run where they belong. Where an interruption may lead elsewhere, each end
//! is named.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::world::World;
use crate::clock::Clock;
use crate::disk::model::ModelFs;
use crate::spool::Folder;

/// When all scenarios begin.
const BEGIN: &str = "2026-11-22T12:00:30Z";
/// The only slot of the job.
const SCHEDULE: &str = "schedule = \"1 12 22 11 *\"";
/// What a fault says in which a run has more than one action.
pub(super) const TWICE: &str = "posted twice";

/// A step of a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beat {
    /// The clock is set.
    At(&'static str),
    /// Time passes, in seconds.
    Pass(u64),
    /// A person moves the run.
    Move(Folder, Folder),
    /// A person removes the run.
    Remove(Folder),
    Do(fn(&World)),
    /// The runner is stopped and started.
    Restart,
    /// The runner gets a hangup.
    Reload,
    /// The runner looks for what is old.
    Prune,
}

/// What there may be in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// How many actions the platform has.
    pub(super) actions: usize,
    /// Where the runs are.
    pub(super) spool: &'static [&'static str],
}

/// A life of a run.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    config: &'static str,
    setup: fn(&mut World),
    beats: &'static [Beat],
    ends: &'static [End],
}

use Beat::{At, Do, Move, Pass, Prune, Reload, Remove, Restart};

pub(super) const fn end(actions: usize, spool: &'static [&'static str]) -> End {
    End { actions, spool }
}

pub(super) const fn life(
    name: &'static str,
    config: &'static str,
    setup: fn(&mut World),
    beats: &'static [Beat],
    ends: &'static [End],
) -> Scenario {
    Scenario { name, config, setup, beats, ends }
}

/// A scenario that is being played.
pub(super) struct Play {
    pub(super) world: World,
    scenario: Scenario,
    next: usize,
}

impl Scenario {
    /// Tells whether the runner is restarted in it.
    pub(super) fn restarts(&self) -> bool {
        self.beats.iter().any(|beat| matches!(beat, Restart))
    }

    /// Tells whether a person removes a run in it, of which a part of its results may stay.
    fn removes(&self) -> bool {
        self.beats.iter().any(|beat| matches!(beat, Remove(_)))
    }

    /// Tells whether nobody does anything in it.
    pub(super) fn is_left_alone(&self) -> bool {
        self.beats.iter().all(|beat| matches!(beat, At(_) | Pass(_)))
    }

    /// Returns the scenario before its first step.
    pub(super) fn begin(&self) -> Play {
        self.begin_on(|fs| fs)
    }

    /// Returns the scenario before its first step, on a file system that `change` makes another one.
    pub(super) fn begin_on(&self, change: impl FnOnce(ModelFs) -> ModelFs) -> Play {
        let mut world = World::new(BEGIN, change);
        world.job(&format!("{SCHEDULE}\nexpiry = 20s\n{}", self.config));
        world.platform.answer(3, true);
        (self.setup)(&mut world);
        world.fs.sync_all();
        Play { world, scenario: *self, next: 0 }
    }
}

impl Play {
    /// Returns a number that is another one where what comes next may be another thing.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.scenario.name, self.next, self.world.digest()).hash(&mut hasher);
        hasher.finish()
    }

    /// Returns the play as it goes on in another world.
    pub(super) fn within(&self, world: World) -> Play {
        Play { world, scenario: self.scenario, next: self.next }
    }

    /// Starts the runner and plays on, to the end or until the runner is dead.
    pub(super) fn go_on(&mut self) {
        self.world.start();
        if !self.is_dead() {
            self.go_on_without_start();
        }
    }

    /// Plays on, to the end or until the runner is dead.
    pub(super) fn go_on_without_start(&mut self) {
        while let Some(beat) = self.scenario.beats.get(self.next) {
            self.beat(*beat);
            if self.is_dead() {
                return;
            }
            self.next += 1;
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.world.fs.fuse().is_dead()
    }

    fn beat(&mut self, beat: Beat) {
        let world = &mut self.world;
        match beat {
            At(time) => world.at(time),
            Pass(seconds) => world.pass(seconds),
            Move(from, to) => world.mv(from, to),
            Remove(folder) => world.rm(folder),
            Do(something) => something(world),
            Restart => drop(world.start()),
            Reload => world.reload(),
            Prune => world.prune(),
        }
        if let Move(..) | Remove(_) | Do(_) = beat {
            world.pass(0);
        }
    }

    /// Lets time pass until nothing more can happen, and says what is wrong then.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if !self.world.start() {
            return Err(format!("it cannot be started: {:?}", self.world.refusal));
        }
        self.wait();
        self.verdict(true)
    }

    /// Lets time pass until nothing more can happen.
    pub(super) fn wait(&mut self) {
        for seconds in [1, 5, 20, 60, 130, 400, 400, 86_400] {
            self.world.pass(seconds);
        }
        if self.scenario.beats.iter().any(|beat| matches!(beat, Prune)) {
            self.world.prune();
        }
    }

    /// Says what is wrong with what has come of the scenario; `tidy`: also that something is left
    /// which the next start removes.
    pub(super) fn verdict(&self, tidy: bool) -> Result<(), String> {
        self.verdict_of(self.scenario.ends, tidy)
    }

    /// Says what is wrong with what has come of the scenario, if nothing interrupted it.
    pub(super) fn undisturbed(&self) -> Result<(), String> {
        self.verdict_of(&self.scenario.ends[..1], true)
    }

    fn verdict_of(&self, ends: &[End], tidy: bool) -> Result<(), String> {
        let (actions, spool) = (self.world.platform.actions().len(), self.world.spool());
        let mut faults = self.world.faults(tidy);
        if tidy && !self.scenario.removes() {
            faults.extend(self.world.parts());
        }
        let fits = |end: &End| end.actions == actions && end.spool == spool;
        if !ends.iter().any(fits) {
            faults.push(format!("{actions} actions, {spool:?}"));
        }
        // Whatever happened, no run has two actions.
        let most = self.scenario.ends.iter().map(|end| end.actions).max().unwrap_or_default();
        if actions > most {
            faults.push(format!("{TWICE}: {actions} actions"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let (name, next, now) = (self.scenario.name, self.next, self.world.clock.now());
        Err(format!("{name} (step {next}, {now}): {}", faults.join("; ")))
    }
}
