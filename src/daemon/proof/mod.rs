//! The proof: whatever is stopped, cut off or broken at whatever step, no run is lost, none is sent
//! twice, no result is lost, and each plugin gets each result at least once.
//!
//! Each scenario is played once to count its steps, and then again and again,
//! with an end at each of them. `MIG_TEST_SEED` gives the draws of an earlier run
//! again. `MIG_TEST_FULL` leaves little to chance, and prints a row of a table for each kind of proof.

mod broken;
mod chance;
mod damage;
mod failing;
mod kill;
mod lives;
mod power;
mod recorder;
mod scenario;
mod tally;
mod world;
