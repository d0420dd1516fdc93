//! Runs, from a job's folder to its plugins, with the real programs.

#![cfg(test)]

/// Crashes, and what the original runner left: nothing is lost, nothing done twice.
mod crash;
/// A disk that the runner's own old files have filled.
mod crowded;
/// Actions that people put into the spool, and what a results document holds.
mod hand;
/// Jobs that come, change and go, and their slots.
mod jobs;
/// Files and folders that do not belong to the runner.
mod leftovers;
/// Installations behind symbolic links.
mod links;
/// The spool replaced, moved away, and on file systems that look alike.
mod mounts;
/// What people may do with `mv` and `rm` while the runner runs.
mod moves;
mod output;
/// A million finished runs, and what they cost.
mod past;
/// Proxies between the runner and the platform.
mod proxies;
/// The platform's tables on a server, and what becomes of runs when it goes.
mod served;
/// RSA numbers that GnuPG writes shorter than the key, which the platform refuses.
mod short;
/// What the system lacks for a while: room and descriptors.
mod shortage;
/// Signals: an ordered stop from every state, and a reload.
mod signals;
/// What plugins have started, when the runner stops.
mod strays;
/// What fails for a while: the API, the key, plugins, a second runner.
mod trouble;

/// A schedule that is never due while a test runs: its runs are triggered.
const NEVER: &str = "schedule = \"0 0 1 1 *\"";
/// A plugin that notes each delivery, as `JOB RUN ACTION ATTEMPT`.
const NOTE: &str = "cat > /dev/null; echo $MIG_JOB $MIG_RUN $MIG_ACTION_ID $MIG_ATTEMPT >> notes";
