//! The process is killed at each step, and started again.

use super::scenario::{ALL, Scenario};
use crate::disk::model::Blow;

/// Plays a scenario that is killed after `steps` changes; `None` if it has fewer.
fn killed(scenario: &Scenario, steps: usize) -> Option<Result<(), String>> {
    let mut play = scenario.begin(|world| world);
    play.world.fs.fuse().set(Blow::Dead(steps));
    play.go_on();
    if !play.is_dead() {
        return None;
    }
    play.world.kill();
    play.world.fs.fuse().set(Blow::Never);
    play.go_on();
    Some(play.finish().map_err(|fault| format!("killed after {steps} steps: {fault}")))
}

#[test]
fn every_scenario_ends_as_it_should() {
    for scenario in ALL {
        let mut play = scenario.begin(|world| world);
        play.go_on();
        let end = play.finish();
        assert_eq!(end, Ok(()));
    }
}

#[test]
fn a_runner_killed_at_any_step_loses_nothing_and_sends_nothing_twice() {
    let mut points = 0;
    let mut faults = Vec::new();
    for scenario in ALL {
        for steps in 0.. {
            let Some(end) = killed(scenario, steps) else { break };
            points += 1;
            faults.extend(end.err());
        }
    }
    println!("killed at {points} points, {} faults", faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}
