//! The proof: whatever is stopped, cut off or broken at whatever step, no run is lost, none is sent
//! twice, no result is lost, and each plugin gets each result at least once.
//!
//! Each scenario is played once to count its steps, and then again and again,
//! with an end at each of them. `MIG_TEST_SEED` gives the draws of an earlier run
//! again, `MIG_TEST_FULL` leaves nothing to chance.

mod broken;
mod chance;
mod damage;
mod failing;
mod kill;
mod power;
mod scenario;
mod world;
