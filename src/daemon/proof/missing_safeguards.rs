//! Builds without one of the safeguards: the proof must fail for each of them.

use std::time::Duration;

use super::kills::kill_after;
use super::power_cuts::{PowerCuts, crashed_after, cut_after_second_crash};
use super::scenario::{Execution, Scenario};
use super::scenario_list::ALL;
use super::seeded_random::SeededRandom;
use crate::disk::Safeguard;

/// Maximum number of states to try: a proof that has not failed by then misses the fault.
const STATES_MAX: usize = 20_000;

fn scenario(name: &str) -> &'static Scenario {
    ALL.iter().find(|scenario| scenario.name == name).unwrap()
}

fn launch_without(safeguard: Safeguard) -> Execution {
    ALL[0].begin_on(|fs| fs.without(safeguard))
}

fn has_more_to_try(cuts: &PowerCuts) -> bool {
    cuts.result.points() + cuts.repeated < STATES_MAX
}

/// Returns whether a power cut shows a fault.
fn is_caught_by_power_cuts(begin: impl Fn() -> Execution) -> bool {
    let mut cuts = PowerCuts::new(SeededRandom::new());
    while has_more_to_try(&cuts) {
        for operations in 0.. {
            let Some(execution) = crashed_after(begin(), operations) else { break };
            cuts.cut(&execution);
            if cuts.result.has_faults() {
                return true;
            }
        }
    }
    false
}

#[test]
fn proof_fails_without_the_sync_of_file_contents() {
    assert!(is_caught_by_power_cuts(|| launch_without(Safeguard::FileSync)));
}

#[test]
fn proof_fails_without_the_sync_of_folders() {
    assert!(is_caught_by_power_cuts(|| launch_without(Safeguard::FolderSync)));
}

#[test]
fn proof_fails_without_the_syncs_at_start() {
    let mut cuts = PowerCuts::new(SeededRandom::new());
    // Only some kills show the fault.
    while !cuts.result.has_faults() && has_more_to_try(&cuts) {
        let begin = || launch_without(Safeguard::StartSync);
        cut_after_second_crash("action/new", begin, &mut cuts);
    }
    assert!(cuts.result.has_faults());
}

#[test]
fn proof_fails_without_the_choice_of_the_file_that_counts() {
    let ends =
        (0..).map_while(|operations| kill_after(launch_without(Safeguard::Counting), operations));
    assert!(ends.into_iter().any(|end| end.is_err()));
}

#[test]
fn proof_fails_without_the_search_by_signature() {
    let begin = || {
        let execution = scenario("answer lost").begin();
        execution.simulation.platform.find_nothing();
        execution
    };
    let ends = (0..).map_while(|operations| kill_after(begin(), operations));
    assert!(ends.into_iter().any(|end| end.is_err()));
}

#[test]
fn proof_fails_without_the_settle_time() {
    let mut execution = scenario("arrives late").begin();
    execution.simulation.set_settle(Duration::ZERO);
    execution.resume();
    assert!(execution.finish().is_err());
}
