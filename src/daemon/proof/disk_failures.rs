//! Calls of the disk fail, once or for a while: nothing is lost, and the runner catches up.

use std::io::ErrorKind;

use super::power_cuts::for_all_scenarios;
use super::proof_result::ProofResult;
use super::scenario::{Execution, Scenario};
use super::scenario_list::ALL;
use super::seeded_random::{SeededRandom, is_full_proof};
use crate::disk::model::InjectedFault;

/// How the disk fails: full, another error (such as no free descriptors), over quota, no
/// permission.
const KINDS: [ErrorKind; 4] = [
    ErrorKind::StorageFull,
    ErrorKind::Other,
    ErrorKind::QuotaExceeded,
    ErrorKind::PermissionDenied,
];
/// Unless everything is tried, one in this number of calls of a scenario is tried.
const QUICK_ONE_IN: u64 = 40;
/// More calls than any scenario has.
const CALLS_MAX: usize = 3000;

/// Executes a scenario with `injected` as the fault of the disk, and checks the end after the
/// failure; `None` if the scenario has fewer calls.
fn fail(mut execution: Execution, injected: InjectedFault) -> Option<Result<(), String>> {
    // The failure comes after the start: a disk that fails at the start ends the program.
    execution.simulation.start();
    execution.simulation.fs.faults().set(injected);
    execution.resume_without_start();
    if !execution.simulation.fs.faults().has_failed() {
        return None;
    }
    execution.simulation.fs.faults().set(InjectedFault::None);
    // The runner catches up without a restart.
    execution.wait();
    Some(execution.check(false).map_err(|fault| format!("{injected:?}: {fault}")))
}

/// Makes each call of a scenario fail, in `kinds` different ways.
fn fail_each(
    scenario: &Scenario,
    random: &SeededRandom,
    injected: fn(usize, ErrorKind) -> InjectedFault,
    kinds: usize,
) -> ProofResult {
    let mut result = ProofResult::new("");
    for calls in 0..CALLS_MAX {
        if !is_full_proof() && !random.one_in(QUICK_ONE_IN) {
            continue;
        }
        let first = usize::try_from(random.next() % 4).unwrap();
        let count = if is_full_proof() { kinds } else { 1 };
        let kinds = KINDS.iter().cycle().skip(first).take(count);
        let ends = kinds.map_while(|kind| fail(scenario.begin(), injected(calls, *kind)));
        let ends: Vec<_> = ends.collect();
        if ends.is_empty() {
            break;
        }
        ends.into_iter().for_each(|end| result.count(end));
    }
    result
}

/// Makes the disk fail for a while in every scenario in which nothing but time passes: other steps
/// would lead to other ends.
fn fail_unattended(
    scenario: &Scenario,
    random: &SeededRandom,
    injected: fn(usize, ErrorKind) -> InjectedFault,
) -> ProofResult {
    if scenario.is_unattended() {
        fail_each(scenario, random, injected, 1)
    } else {
        ProofResult::new("")
    }
}

#[test]
fn call_that_fails_once_loses_nothing() {
    let mut result = ProofResult::new("calls of the disk that failed once");
    for_all_scenarios(&mut result, &SeededRandom::new(), |scenario, random| {
        // A disk that fails at a start ends the program with an error.
        if scenario.restarts() {
            ProofResult::new("")
        } else {
            fail_each(scenario, random, InjectedFault::OneCall, KINDS.len())
        }
    });
    result.report();
}

#[test]
fn disk_that_fails_for_a_while_loses_nothing() {
    let mut result = ProofResult::new("calls of the disk from which on it failed for a while");
    for_all_scenarios(&mut result, &SeededRandom::new(), |scenario, random| {
        fail_unattended(scenario, random, InjectedFault::AllCalls)
    });
    result.report();
}

#[test]
fn disk_that_refuses_changes_for_a_while_loses_nothing() {
    let mut result = ProofResult::new("changes from which on the disk was full for a while");
    for_all_scenarios(&mut result, &SeededRandom::new(), |scenario, random| {
        fail_unattended(scenario, random, InjectedFault::AllChanges)
    });
    result.report();
}

#[test]
fn status_shows_a_full_disk() {
    let mut execution = ALL[0].begin();
    execution.simulation.start();
    assert!(!execution.simulation.is_degraded());
    execution.simulation.fs.faults().set(InjectedFault::AllChanges(0, ErrorKind::StorageFull));
    execution.resume_without_start();
    assert!(execution.simulation.is_degraded());
    execution.simulation.fs.faults().set(InjectedFault::None);
    execution.wait();
    assert_eq!(execution.check(true), Ok(()));
}
