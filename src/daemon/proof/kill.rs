//! The process is killed at each step, and started again.

use super::chance::{Chance, full};
use super::lives::ALL;
use super::power::{of_all, played};
use super::scenario::{Play, Scenario};
use super::tally::Tally;

/// In how many steps of a scenario the runner is killed once, unless in all.
const QUICK_STEPS: u64 = 4;

/// Kills the runner after `steps` changes, starts it again, and says how that ends; `None` if there
/// are fewer.
pub(super) fn killed(play: Play, steps: usize) -> Option<Result<(), String>> {
    let mut play = played(play, steps)?;
    play.go_on();
    Some(play.finish().map_err(|fault| format!("killed after {steps} steps: {fault}")))
}

#[test]
fn every_scenario_ends_as_it_should() {
    for scenario in ALL {
        let mut play = scenario.begin();
        play.go_on();
        assert_eq!(play.finish().and_then(|()| play.undisturbed()), Ok(()));
    }
}

fn kill_all(scenario: &Scenario, chance: &Chance) -> Tally {
    kill_each(scenario, chance, || scenario.begin())
}

/// The same where the file system knows only plain renames and hard links.
fn kill_all_on_old_kernel(scenario: &Scenario, chance: &Chance) -> Tally {
    kill_each(scenario, chance, || scenario.begin_on(|fs| fs.with_old_kernel()))
}

fn kill_each(scenario: &Scenario, chance: &Chance, begin: impl Fn() -> Play) -> Tally {
    let mut tally = Tally::new("");
    for steps in 0.. {
        if !full() && !chance.one_in(QUICK_STEPS) {
            continue;
        }
        let Some(end) = killed(begin(), steps) else { break };
        tally.count(end);
    }
    println!("{}: {} points", scenario.name, tally.points());
    tally
}

#[test]
fn a_runner_killed_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let mut tally = Tally::new("kills at a step of the disk or an exchange with the platform");
    of_all(&mut tally, &Chance::new(), kill_all);
    tally.close();
}

#[test]
fn the_same_holds_where_renames_that_exchange_are_missing() {
    let mut tally = Tally::new("kills on a file system without renameat2");
    of_all(&mut tally, &Chance::new(), kill_all_on_old_kernel);
    tally.close();
}
