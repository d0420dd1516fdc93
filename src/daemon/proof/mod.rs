//! The proof: whatever operation is interrupted by a kill, a power cut or a disk error, no run is
//! lost, no run is posted twice, no result is lost, and each plugin gets each result at least once.
//!
//! Each scenario is executed again and again, interrupted at one of its operations each time. An
//! operation is a change of the disk or a message to or from the platform or a plugin.
//! `MIG_TEST_SEED` repeats the random choices of an earlier run. `MIG_TEST_FULL` tries nearly
//! everything instead of a random part, and prints a table row for each kind of proof.

mod damaged_files;
mod disk_failures;
mod joint_scenarios;
mod kills;
mod missing_safeguards;
mod power_cuts;
mod proof_result;
mod recording_plugins;
mod scenario;
mod scenario_list;
mod seeded_random;
mod simulation;
mod simulation_checks;
