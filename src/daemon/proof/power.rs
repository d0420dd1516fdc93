//! The power goes at each step: what was not fsynced is lost, in every combination.
//!
//! What was tried once need not be tried again: at the next step all combinations
//! come again that lack what that step has changed. Changes of the scratch folder
//! alone, which the next start sweeps, survive by chance.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::chance::{Chance, full};
use super::lives::ALL;
use super::scenario::{Play, Scenario};
use super::tally::Tally;
use super::world::{SCRATCH, home};
use crate::disk::model::Blow;

/// Up to how many changes that are not durable every combination is tried.
const ALL_SUBSETS_MAX: usize = 10;
/// How many combinations are drawn beyond that, at each step.
const DRAWN: usize = 2000;
/// How many combinations are tried at one step unless all are asked for.
const QUICK: usize = 2;
/// In how many steps of a scenario power goes once, unless in all.
const QUICK_STEPS: u64 = 9;
/// How many steps no scenario has.
const STEPS_MAX: usize = 2000;

/// Cuts of power, and what came of them.
pub(super) struct Cuts {
    chance: Chance,
    seen: HashSet<u64>,
    /// How many combinations were the same as one before.
    pub(super) same: usize,
    pub(super) tally: Tally,
}

impl Cuts {
    /// Returns cuts of which none was made.
    pub(super) fn new(chance: Chance) -> Cuts {
        let tally = Tally::new("states after a cut of power");
        Cuts { chance, seen: HashSet::new(), same: 0, tally }
    }

    /// Returns the combinations of `pending` changes to try: bit N tells whether the one with number N survives.
    fn subsets(&self, pending: usize) -> Vec<u64> {
        let all =
            1_u64.checked_shl(u32::try_from(pending).unwrap()).map_or(u64::MAX, |bit| bit - 1);
        let drawn = |count| (0..count).map(|_| self.chance.draw() & all);
        match (full(), pending <= ALL_SUBSETS_MAX) {
            (true, true) => (0..=all).collect(),
            (true, false) => [0, all].into_iter().chain(drawn(DRAWN)).collect(),
            // Nothing, and some.
            (false, _) => [0].into_iter().chain(drawn(QUICK - 1)).collect(),
        }
    }

    /// Cuts the power where a play has come to, and notes what is wrong with what comes after it.
    pub(super) fn cut(&mut self, play: &Play) {
        let pending = play.world.fs.pending(&home(SCRATCH));
        for subset in self.subsets(pending.iter().filter(|is_major| **is_major).count()) {
            let mut bits = (0..).map(|at| subset.checked_shr(at).unwrap_or(0) & 1 == 1);
            let survives = |is_major: &bool| {
                if *is_major { bits.next().unwrap() } else { self.chance.one_in(2) }
            };
            let kept: Vec<bool> = pending.iter().map(survives).collect();
            let mut after = play.within(play.world.after_cut(|at| kept[at], || self.chance.draw()));
            if !self.seen.insert(after.digest()) {
                self.same += 1;
                continue;
            }
            after.go_on();
            let end = after.finish();
            self.tally.count(end.map_err(|fault| format!("subset {subset:x}: {fault}")));
        }
    }
}

/// Plays until nothing is carried out any more after `steps` changes; `None` if there are fewer.
pub(super) fn played(mut play: Play, steps: usize) -> Option<Play> {
    play.world.fs.fuse().set(Blow::Dead(steps));
    play.go_on();
    play.is_dead().then(|| {
        play.world.kill();
        play.world.fs.fuse().set(Blow::Never);
        play
    })
}

/// How many steps the second runner takes at the most.
const AGAIN_STEPS: usize = 64;
/// At how many of them it dies, unless at all.
const QUICK_AGAIN: u64 = 5;

/// Kills the runner while a run is in `folder` and what was done last perhaps not durable, has another one
/// begin, believe what it sees, go on and die too, and then cuts the power: notes what is wrong then.
pub(super) fn believed(folder: &str, begin: impl Fn() -> Play, cuts: &mut Cuts) {
    for steps in 0..STEPS_MAX {
        let Some(first) = played(begin(), steps) else { break };
        if !first.world.spool().iter().any(|run| run.starts_with(folder)) {
            continue;
        }
        for again in 0..AGAIN_STEPS {
            if !full() && !cuts.chance.one_in(QUICK_AGAIN) {
                continue;
            }
            let Some(play) = played(begin(), steps) else { break };
            let Some(play) = played(play, again) else { break };
            cuts.cut(&play);
        }
    }
}

/// Cuts the power at the steps of a scenario.
fn cut_all(scenario: &Scenario, chance: &Chance) -> Tally {
    let mut cuts = Cuts::new(chance.fork());
    for steps in 0..STEPS_MAX {
        if !full() && steps > 0 && !cuts.chance.one_in(QUICK_STEPS) {
            // A later step shows the end of the scenario.
            continue;
        }
        let Some(play) = played(scenario.begin(), steps) else { break };
        cuts.cut(&play);
    }
    println!("{}: {} states, {} the same", scenario.name, cuts.tally.points(), cuts.same);
    cuts.tally
}

/// Does something with every scenario, as many at once as the machine can; adds up what comes of it.
pub(super) fn of_all(tally: &mut Tally, chance: &Chance, prove: fn(&Scenario, &Chance) -> Tally) {
    let next = AtomicUsize::new(0);
    let seeds: Vec<u64> = ALL.iter().map(|_| chance.draw()).collect();
    let work = || {
        let mut tally = Tally::new("");
        while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < ALL.len())
        {
            tally.add(prove(&ALL[at], &Chance::of(seeds[at])));
        }
        tally
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            tally.add(thread.join().unwrap());
        }
    });
}

#[test]
fn a_cut_of_power_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let mut tally = Tally::new("states after a cut of power");
    of_all(&mut tally, &Chance::new(), cut_all);
    tally.close();
}

#[test]
fn what_a_dead_process_left_unsynced_is_made_durable_before_it_counts() {
    let mut cuts = Cuts::new(Chance::new());
    let pages = ALL.iter().find(|scenario| scenario.name == "pages").unwrap();
    for folder in ["action/new", "command/inflight"] {
        believed(folder, || pages.begin(), &mut cuts);
    }
    let mut tally = Tally::new("states after two deaths and a cut of power");
    tally.add(cuts.tally);
    tally.close();
}
