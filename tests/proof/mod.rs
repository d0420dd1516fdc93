//! The proof with the real runner: whatever is done to it, the platform has one action for each
//! run, the results are stored, and the plugin received them.
//!
//! `MIG_TEST_SEED` repeats the random choices of an earlier run. `MIG_TEST_FULL` tries everything,
//! and prints a table row for each test: what was tried, how often, runs lost, runs posted twice.

#![cfg(test)]

mod full_disk;
mod killed_at_calls;
mod killed_at_random;
mod lost_events;
mod pipes;
