//! Tests with the real programs: runs, from their jobs to their plugins.

#![cfg(test)]

mod action_files;
mod crashes;
mod foreign_files;
mod full_disk;
mod jobs;
mod large_answers;
mod million_runs;
mod moves;
mod outages;
mod plugin_leftovers;
mod plugin_output;
mod postgres;
mod proxies;
mod replaced_spool;
mod short_signatures;
mod shortages;
mod signals;
mod symlinks;

/// A schedule that is never due during a test: its runs are triggered.
const NEVER: &str = "schedule = \"0 0 1 1 *\"";
/// A plugin that appends a line `JOB RUN ACTION ATTEMPT` to `notes` for each delivery.
const NOTE: &str = "cat > /dev/null; echo $MIG_JOB $MIG_RUN $MIG_ACTION_ID $MIG_ATTEMPT >> notes";
