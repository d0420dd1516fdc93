//! Runs MIG actions on a schedule, collects their results and hands them to plugins.
//!
//! MIG, Mozilla's platform for investigating fleets, runs signed *actions* on thousands of
//! agents. This crate is its runner: a daemon whose whole state is a spool of small files, each
//! of which is one run of one job and moves from folder to folder by atomic renames. What a run
//! waits for is the folder it is in: to be seen with `tree`, steered with `mv`, and read back
//! after any crash.
//!
//! # How a run flows
//!
//! ```text
//!  runners/JOB ──launch──▶ action/new ──submit──▶ action/inflight ──collect──▶ action/done
//!                             │    (sign, POST)        (on the fleet)              │
//!                             ▼                                                    ▼
//!                       action/invalid                                       command/ready
//!                                                                                  │ fetch
//!  plugins ◀──deliver── command/returned ◀───────────────────────────────  command/inflight
//!                             │
//!                             ▼
//!                       command/done
//! ```
//!
//! Beside the runner, in the same crate: a MIG platform for one host, so that nobody needs servers
//! to try it (`standalone`), and MIG's tables with the command that looks after them (`data`,
//! `cli::data`). So there are three programs: `mig-runner`, `mig-standalone` and `mig-data`.
//!
//! # Layers
//!
//! A module uses its own children and lower layers; modules of one layer do not know one another.
//! A test reads the source and fails where that is not so.
//!
//! | layer | modules |
//! | --- | --- |
//! | 6 the door | `cli`: command lines in, answers out |
//! | 5 the whole | `daemon`: the engine's loop and its workers · `standalone`: the one-host platform |
//! | 4 the flow | `stage`: what is to be done with a run, one file a stage |
//! | 3 contact | `job` · `spool` · `api` · `pgp` · `plugin` · `watch` · `logging` · `metrics` · `manager` · `data` |
//! | 2 thought, no I/O | `config` · `schedule` · `action` |
//! | 1 the floor | `disk` · `clock` · `wake` · `names` · `random` · `spawn` · `chain` · `exit` · `invocation` |
//!
//! # What always holds
//!
//! * The disk is the truth: nothing is in memory that a restart could not read back.
//! * One thread, the engine's, makes every move; a worker gets a copy and hands back an outcome. Other
//!   threads read the spool and change nothing in it: a search, a review of `action/done`, a count, a plan
//!   of what to prune.
//! * What a scan costs depends on unfinished runs and on what is new. Folders of finished runs are watched
//!   or read on threads of their own, and nothing of a finished run stays in memory.
//! * Only `disk` writes, and only `spool` moves runs. Only `api` and `data` open connections, only `plugin`,
//!   the platform's agent, a trial and `pgp` start processes, only `cli` prints, only `clock`
//!   reads the time.
//! * At most one action on the fleet for a run, at least one delivery to each of its plugins.

mod action;
#[cfg(feature = "platform")]
mod agent;
mod api;
mod chain;
mod cli;
mod clock;
mod config;
mod daemon;
#[cfg(feature = "data")]
mod data;
mod disk;
mod exit;
mod go;
mod invocation;
mod job;
mod logging;
mod manager;
mod metrics;
#[cfg(feature = "platform")]
mod modules;
mod names;
mod pgp;
#[cfg(feature = "platform")]
mod platform;
mod plugin;
mod random;
mod schedule;
mod spawn;
mod spool;
mod stage;
#[cfg(test)]
mod testing;
mod wake;
mod watch;

use std::process::ExitCode;

/// Runs `mig-runner` with the arguments of this process.
#[must_use]
pub fn mig_runner() -> ExitCode {
    cli::main()
}

/// Runs `mig-standalone` with the arguments of this process.
#[cfg(feature = "platform")]
#[must_use]
pub fn mig_standalone() -> ExitCode {
    cli::platform::main()
}

/// Runs `mig-data` with the arguments of this process.
#[cfg(feature = "data")]
#[must_use]
pub fn mig_data() -> ExitCode {
    cli::data::main()
}
