//! The power goes at each step: what was not fsynced is lost, in every combination.

use super::chance::{Chance, full};
use super::scenario::{ALL, Play};
use crate::disk::model::Blow;

/// Up to how many changes that are not durable every combination is tried.
const ALL_SUBSETS_MAX: usize = 5;
/// How many combinations are drawn beyond that, at each step: the whole takes a quarter of an hour.
const DRAWN: usize = 40;
/// How many combinations are tried at one step unless all are asked for.
const QUICK: usize = 2;
/// In how many scenario steps power goes once, unless in all.
const QUICK_STEPS: u64 = 9;

/// Returns the combinations of `pending` changes to try: bit N tells whether the one with number N survives.
fn subsets(pending: usize, chance: &Chance) -> Vec<u64> {
    let all = 1_u64.checked_shl(u32::try_from(pending).unwrap()).map_or(u64::MAX, |bit| bit - 1);
    match (full(), pending <= ALL_SUBSETS_MAX) {
        (true, true) => (0..=all).collect(),
        (true, false) => [0, all].into_iter().chain((0..DRAWN).map(|_| chance.draw())).collect(),
        // Nothing, everything, and some.
        (false, _) => [0].into_iter().chain((1..QUICK).map(|_| chance.draw() & all)).collect(),
    }
}

/// Cuts the power where a play has come to, and says what is wrong with what comes after it.
pub(super) fn cut(play: &Play, chance: &Chance) -> (usize, Vec<String>) {
    let (mut states, mut faults) = (0, Vec::new());
    for subset in subsets(play.world.fs.pending(), chance) {
        let kept = |at: usize| subset.checked_shr(u32::try_from(at).unwrap()).unwrap_or(0) & 1 == 1;
        let mut after = play.within(play.world.after_cut(kept, || chance.draw()));
        states += 1;
        after.go_on();
        let end = after.finish();
        faults.extend(end.err().map(|fault| format!("subset {subset:x}: {fault}")));
    }
    (states, faults)
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

/// How many steps a start has at the most.
const START_STEPS: usize = 64;
/// How many steps there are at the most until the run of a scenario is sent.
const LAUNCH_STEPS: usize = 150;

/// Kills the runner while a run is in `action/new` and perhaps not durable, has another one begin,
/// believe what it sees and die too, and then cuts the power: says what is wrong then.
pub(super) fn believed(begin: impl Fn() -> Play, chance: &Chance) -> (usize, Vec<String>) {
    let (mut states, mut faults) = (0, Vec::new());
    for steps in 0..LAUNCH_STEPS {
        let waits = |play: &Play| {
            let spool = play.world.spool();
            !spool.is_empty() && spool.iter().all(|run| run.starts_with("action/new"))
        };
        if !played(begin(), steps).as_ref().is_some_and(waits) {
            continue;
        }
        for again in 0..START_STEPS {
            let Some(mut play) = played(begin(), steps) else { break };
            play.world.fs.fuse().set(Blow::Dead(again));
            play.world.start();
            play.world.kill();
            play.world.fs.fuse().set(Blow::Never);
            let (tried, wrong) = cut(&play, chance);
            states += tried;
            faults.extend(wrong.into_iter().map(|fault| format!("{steps}, {again}: {fault}")));
        }
    }
    (states, faults)
}

#[test]
fn a_cut_of_power_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let chance = Chance::new();
    let (mut states, mut faults) = (0, Vec::new());
    for scenario in ALL {
        for steps in 0.. {
            if !full() && steps > 0 && !chance.one_in(QUICK_STEPS) {
                // A later step shows the end of the scenario.
                if steps > 2000 {
                    break;
                }
                continue;
            }
            let Some(play) = played(scenario.begin(), steps) else { break };
            let (tried, wrong) = cut(&play, &chance);
            states += tried;
            faults.extend(wrong.into_iter().map(|fault| format!("cut after {steps}: {fault}")));
        }
    }
    println!("cut of power: {states} states, {} faults", faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn what_a_dead_process_left_unsynced_is_made_durable_before_it_counts() {
    let (states, faults) = believed(|| ALL[0].begin(), &Chance::new());
    println!("killed twice and cut off: {states} states, {} faults", faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}
