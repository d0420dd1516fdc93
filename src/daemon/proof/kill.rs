//! The process is killed at each step, and started again.

use super::chance::{Chance, full};
use super::power::played;
use super::scenario::{ALL, Play};

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
        let end = play.finish();
        assert_eq!(end, Ok(()));
    }
}

#[test]
fn a_runner_killed_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let chance = Chance::new();
    let mut points = 0;
    let mut faults = Vec::new();
    for scenario in ALL {
        for steps in 0.. {
            if !full() && !chance.one_in(3) {
                continue;
            }
            let Some(end) = killed(scenario.begin(), steps) else { break };
            points += 1;
            faults.extend(end.err());
        }
    }
    println!("killed at {points} points, {} faults", faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}
