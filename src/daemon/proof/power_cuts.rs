//! Cuts the power at each operation: what was not synced is lost, in every combination.
//!
//! A state that was tried is not tried again: the states after an operation include again all those
//! that lack the change of that operation. Changes of the scratch folder, which the next start
//! empties, survive at random.

use std::collections::HashSet;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::joint_scenarios::JOINT;
use super::proof_result::ProofResult;
use super::scenario::{Execution, Scenario};
use super::scenario_list::ALL;
use super::seeded_random::{SeededRandom, is_full_proof};
use super::simulation::{SCRATCH, home};
use crate::disk::model::InjectedFault;

/// Maximum number of changes that are not durable for which every combination is tried.
const ALL_SUBSETS_MAX: usize = 10;
/// Number of random combinations tried at each operation if there are more changes.
const RANDOM_SUBSETS: usize = 2000;
/// Number of combinations tried at an operation, unless everything is tried.
const QUICK_SUBSETS: usize = 2;
/// Unless everything is tried, one in this number of operations of a scenario is tried.
const QUICK_ONE_IN: u64 = 9;
/// More operations than any scenario has.
const OPERATIONS_MAX: usize = 2000;
/// Maximum number of operations of the runner that starts after a crash.
const SECOND_OPERATIONS_MAX: usize = 64;
/// Unless everything is tried, one in this number of these operations is tried.
const QUICK_SECOND_ONE_IN: u64 = 5;

/// Power cuts, and their result.
pub(super) struct PowerCuts {
    random: SeededRandom,
    /// The digests of the states that were tried.
    seen: HashSet<u64>,
    /// Number of combinations that led to a state tried before.
    pub(super) repeated: usize,
    pub(super) result: ProofResult,
}

impl PowerCuts {
    /// Returns a result without any power cut.
    pub(super) fn new(random: SeededRandom) -> PowerCuts {
        let result = ProofResult::new("states after a power cut");
        PowerCuts { random, seen: HashSet::new(), repeated: 0, result }
    }

    /// Returns the combinations of `pending` changes to try: bit N says whether change N survives.
    fn subsets(&self, pending: usize) -> Vec<u64> {
        let all =
            1_u64.checked_shl(u32::try_from(pending).unwrap()).map_or(u64::MAX, |bit| bit - 1);
        let drawn = |count| (0..count).map(|_| self.random.next() & all);
        match (is_full_proof(), pending <= ALL_SUBSETS_MAX) {
            (true, true) => (0..=all).collect(),
            (true, false) => [0, all].into_iter().chain(drawn(RANDOM_SUBSETS)).collect(),
            // Nothing survives, and a random part does.
            (false, _) => [0].into_iter().chain(drawn(QUICK_SUBSETS - 1)).collect(),
        }
    }

    /// Cuts the power where an execution has stopped, resumes it, and records its end.
    pub(super) fn cut(&mut self, execution: &Execution) {
        let simulation = &execution.simulation;
        let pending = simulation.fs.pending(&home(SCRATCH));
        for subset in self.subsets(pending.iter().filter(|is_major| **is_major).count()) {
            let mut bits = (0..).map(|at| subset.checked_shr(at).unwrap_or(0) & 1 == 1);
            let survives = |is_major: &bool| {
                if *is_major { bits.next().unwrap() } else { self.random.one_in(2) }
            };
            let kept: Vec<bool> = pending.iter().map(survives).collect();
            let after = simulation.after_cut(|at| kept[at], || self.random.next());
            let mut after = execution.within(after);
            if !self.seen.insert(after.digest()) {
                self.repeated += 1;
                continue;
            }
            after.resume();
            let end = after.finish();
            self.result.count(end.map_err(|fault| format!("subset {subset:x}: {fault}")));
        }
    }
}

/// Executes until the runner is killed after a number of operations; `None` if there are fewer.
pub(super) fn crashed_after(mut execution: Execution, operations: usize) -> Option<Execution> {
    execution.simulation.fs.faults().set(InjectedFault::Death(operations));
    execution.resume();
    execution.is_dead().then(|| {
        execution.simulation.kill();
        execution.simulation.fs.faults().set(InjectedFault::None);
        execution
    })
}

/// Kills the runner while a run is in `folder` and its last changes may not be durable, starts a
/// second one, which acts on what it reads, kills that one too, and then cuts the power.
pub(super) fn cut_after_second_crash(
    folder: &str,
    begin: impl Fn() -> Execution,
    cuts: &mut PowerCuts,
) {
    for operations in 0..OPERATIONS_MAX {
        let Some(first) = crashed_after(begin(), operations) else { break };
        if !first.simulation.spool().iter().any(|run| run.starts_with(folder)) {
            continue;
        }
        for second_operations in 0..SECOND_OPERATIONS_MAX {
            if !is_full_proof() && !cuts.random.one_in(QUICK_SECOND_ONE_IN) {
                continue;
            }
            let Some(first) = crashed_after(begin(), operations) else { break };
            let Some(second) = crashed_after(first, second_operations) else { break };
            cuts.cut(&second);
        }
    }
}

/// Cuts the power at the operations of a scenario.
fn cut_all(scenario: &Scenario, random: &SeededRandom) -> ProofResult {
    let mut cuts = PowerCuts::new(random.fork());
    for operations in 0..OPERATIONS_MAX {
        if !is_full_proof() && operations > 0 && !cuts.random.one_in(QUICK_ONE_IN) {
            // A later operation shows whether the scenario has ended.
            continue;
        }
        let Some(execution) = crashed_after(scenario.begin(), operations) else { break };
        cuts.cut(&execution);
    }
    println!("{}: {} states, {} repeated", scenario.name, cuts.result.points(), cuts.repeated);
    cuts.result
}

/// Calls `prove` for every scenario, in parallel on all processors, and adds up the results.
pub(super) fn for_all_scenarios(
    result: &mut ProofResult,
    random: &SeededRandom,
    prove: fn(&Scenario, &SeededRandom) -> ProofResult,
) {
    let next = AtomicUsize::new(0);
    let all: Vec<(&Scenario, u64)> =
        ALL.iter().chain(JOINT).map(|scenario| (scenario, random.next())).collect();
    let work = || {
        let mut result = ProofResult::new("");
        while let Some((scenario, seed)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            result.add(prove(scenario, &SeededRandom::from_seed(*seed)));
        }
        result
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            result.add(thread.join().unwrap());
        }
    });
}

#[test]
fn power_cut_at_any_operation_loses_nothing_and_posts_nothing_twice() {
    let mut result = ProofResult::new("states after a power cut");
    for_all_scenarios(&mut result, &SeededRandom::new(), cut_all);
    result.report();
}

#[test]
fn unsynced_changes_of_a_killed_process_are_synced_before_they_count() {
    let mut cuts = PowerCuts::new(SeededRandom::new());
    let pages = ALL.iter().find(|scenario| scenario.name == "pages").unwrap();
    for folder in ["action/new", "command/inflight"] {
        cut_after_second_crash(folder, || pages.begin(), &mut cuts);
    }
    let mut result = ProofResult::new("states after two kills and a power cut");
    result.add(cuts.result);
    result.report();
}
