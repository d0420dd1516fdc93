//! The proof from outside: whatever is done to the real runner, the platform has one action a run, its
//! results are stored, and its plugin got them.
//!
//! `MIG_TEST_SEED` gives the draws of an earlier run again, `MIG_TEST_FULL` tries everything and prints
//! a row of a table for each test: what was tried, how often, runs lost, runs posted twice.

#![cfg(test)]

/// What is no file stands where files should be.
mod damage;
/// The runner is killed at its system calls.
mod injected;
/// The runner is killed at any moment.
mod killed;
/// The spool's disk is full for a while.
mod small;
/// Events are lost, or cannot be had.
mod watched;
