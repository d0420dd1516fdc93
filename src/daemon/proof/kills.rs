//! Kills the process at each operation, and starts it again.

use super::joint_scenarios::JOINT;
use super::power_cuts::{crashed_after, for_all_scenarios};
use super::proof_result::ProofResult;
use super::scenario::{Execution, Scenario};
use super::scenario_list::ALL;
use super::seeded_random::{SeededRandom, is_full_proof};

/// Unless everything is tried, one in this number of operations of a scenario is tried.
const QUICK_ONE_IN: u64 = 4;

/// Kills the runner after a number of operations, starts it again, and checks the end; `None` if
/// there are fewer operations.
pub(super) fn kill_after(execution: Execution, operations: usize) -> Option<Result<(), String>> {
    let mut execution = crashed_after(execution, operations)?;
    execution.resume();
    let end = execution.finish();
    Some(end.map_err(|fault| format!("killed after {operations} operations: {fault}")))
}

#[test]
fn every_scenario_ends_as_expected_without_an_interruption() {
    for scenario in ALL.iter().chain(JOINT) {
        let mut execution = scenario.begin();
        execution.resume();
        assert_eq!(execution.finish().and_then(|()| execution.check_uninterrupted()), Ok(()));
    }
}

fn kill_all(scenario: &Scenario, random: &SeededRandom) -> ProofResult {
    kill_each(scenario, random, || scenario.begin())
}

/// As [`kill_all`], on a file system that has only plain renames and hard links.
fn kill_all_on_old_kernel(scenario: &Scenario, random: &SeededRandom) -> ProofResult {
    kill_each(scenario, random, || scenario.begin_on(|fs| fs.with_old_kernel()))
}

fn kill_each(
    scenario: &Scenario,
    random: &SeededRandom,
    begin: impl Fn() -> Execution,
) -> ProofResult {
    let mut result = ProofResult::new("");
    for operations in 0.. {
        if !is_full_proof() && !random.one_in(QUICK_ONE_IN) {
            continue;
        }
        let Some(end) = kill_after(begin(), operations) else { break };
        result.count(end);
    }
    println!("{}: {} points", scenario.name, result.points());
    result
}

#[test]
fn runner_killed_at_any_operation_loses_nothing_and_posts_nothing_twice() {
    let mut result =
        ProofResult::new("kills at an operation of the disk or a request to the platform");
    for_all_scenarios(&mut result, &SeededRandom::new(), kill_all);
    result.report();
}

#[test]
fn runner_killed_on_a_file_system_without_renameat2_loses_nothing() {
    let mut result = ProofResult::new("kills on a file system without renameat2");
    for_all_scenarios(&mut result, &SeededRandom::new(), kill_all_on_old_kernel);
    result.report();
}
