//! Runs MIG actions on a schedule, collects their results and pipes them to plugins.
//!
//! MIG is Mozilla's platform for investigating fleets: it runs signed *actions* on thousands of
//! agents. This crate contains a runner for it, `mig-runner`; a platform for one host,
//! `mig-standalone`, so that a newcomer needs no servers; and `mig-data`, which administers the
//! tables of a platform.
//!
//! The whole state of the runner is a spool of small files. Each run of a job is one file. Its
//! folder says what happens to it next, and it moves from folder to folder by atomic renames. So
//! `tree` shows the state, `mv` changes it, and after a crash the runner continues from the files.
//!
//! # The life of a run
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
//! `stage` decides what to do with a run, `daemon` does it, `spool` makes every move durable.
//! The states, the commit points and what a crash leaves are described in `spool`.
//!
//! # The platform
//!
//! ```text
//!  client ──HTTP──▶ platform: API ──▶ tables ◀── scheduler and its spool
//!                                                   │        ▲
//!                                     relay:  commands    heartbeats, answers
//!                                                   ▼        │
//!                                     agent ──▶ a child process for each operation
//! ```
//!
//! # Layers
//!
//! A module imports only its own children and lower layers. Modules of one layer do not import each
//! other. `tests/layers` checks this, which crate is used where, and the import cycles.
//!
//! | layer | modules |
//! | --- | --- |
//! | 7 commands | `cli`: command lines, answers and messages; `cli::runner`, `cli::platform`, `cli::data` are the three programs |
//! | 6 services | `daemon`: the runner's engine and its workers · `platform`: API, scheduler and its spool, targets, signers · `agent`: the host, child processes, modules |
//! | 5 steps | `stage`: decides what happens to a run, one file per stage · `relay`: the interface between platform and agent |
//! | 4 outside world | `job` · `spool` · `api`: client of the MIG API · `pgp`: keys and signatures, by GnuPG · `plugin` · `watch`: inotify · `logging` · `metrics` · `manager`: the service manager · `data`: MIG's tables |
//! | 3 rules, no I/O | `config`: configuration files · `schedule`: cron expressions · `action`: actions, commands and results · `modules`: parameters of the agent's modules |
//! | 2 Go, no I/O | `go`: what Go does with JSON, times, durations and regular expressions |
//! | 1 system | `disk`: durable files · `clock` · `wake` · `names` · `random` · `spawn`: processes · `chain`: error chains · `exit` · `invocation` |
//!
//! # What always holds
//!
//! * The disk is the truth: memory holds nothing that a restart could not read back.
//! * One thread, the engine's, makes every move. The moves of a turn are committed together: their
//!   fsyncs run on helper threads. A worker gets a copy of a record and returns an outcome. Other threads only read the spool: a search, a review of `action/done`, a count, a plan
//!   of what to prune.
//! * The cost of a scan depends on unfinished and new runs only. Folders of finished runs are watched,
//!   or read on threads of their own, and nothing about a finished run stays in memory.
//! * Only `disk` writes files, and only `spool` moves runs. Only `api` and `data` open network
//!   connections, only `plugin`, `agent`, `pgp` and `try` start processes, only `cli` prints, only
//!   `clock` reads the time.
//! * A run sends at most one action to the fleet. Each of its plugins receives the results at least
//!   once.
//!
//! # Glossary
//!
//! | term | meaning |
//! | --- | --- |
//! | the original | Mozilla's `mig-runner`, and the rest of MIG, written in Go |
//! | platform | API, scheduler and agents together: the original's, or `mig-standalone` |
//! | investigator | a person or program with a key that the platform knows; signs actions |
//! | action | what is posted to the API: a target, operations, a validity period and signatures |
//! | command | what the scheduler sends of an action to one agent; its answer is part of the results |
//! | operation | one call of a module within an action |
//! | finding | one thing that an operation found, such as a file or a package |
//! | job | a folder in `runners/`: a schedule, an action and plugins |
//! | slot | a time at which a job's schedule fires; part of the run's id |
//! | run | one execution of a job's action, or of an action dropped into the spool; keeps one id |
//! | record | the JSON file `ID.json` with everything known about a run |
//! | family | `action/` or `command/`: four folders, of which a run is in one at a time |
//! | document | the results of a run in one JSON file, `ACTIONID.json`; the input of plugins |
//! | placeholder | the command in a document that stands for one whose answer is too large |
//! | stage | a step in the life of a run: launch, submit, collect, fetch, deliver, prune |
//! | transition | an event that moves a run to another folder or changes its record |
//! | pending outcome | an outcome of a worker that could not be written yet and is retried |
//! | claim | giving a dropped-in action a run id |
//! | adopt | taking over an action that the original has in flight |
//! | superseded | not sent, because a newer run of the job takes its place |
//! | dead letter | a file in `action/invalid`, with its reason; kept until the operator or retention removes it |
//! | duplicate | a second file of a run in one family; the one with the highest `seq` counts |
//! | displaced file | a file that another process put in the place of a run's file while it was rewritten |
//! | unindexed file | a file in the spool that is not an entry, such as one with an unknown version |
//! | give up | stop retrying a fetch or a delivery after its time limit; `retry` starts it again |
//! | retry report | `spool/.retries`: what failed and when it is retried, for `status` and people |
//! | circuit breaker | stops all work that needs the API after a fault of API, network or key, until one probe succeeds |
//! | settle | the time after which a search shows reliably whether the platform has an action |
//! | hint | an inotify event: it says where to look, never what is true |
//! | scan | reading the active folders completely: at start, after lost events, and every `checkdirectory` seconds |
//! | review | reading `action/done` on its own thread, at start and after lost events |
//! | workspace | the folder that a command works in; root becomes its owner before it changes a file |
//! | service manager | systemd: start notification, status, watchdog |
//! | target | the SQL condition of an action that selects agents |
//! | heartbeat | an agent's message that it is alive, with its properties |
//! | signer | an investigator whose key the platform or agent accepts |

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
#[cfg_attr(
    not(any(test, feature = "platform")),
    expect(dead_code, reason = "only the platform uses all of it")
)]
mod data;
mod disk;
mod exit;
#[cfg(any(test, fuzzing))]
mod fuzzing;
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
#[cfg(feature = "platform")]
mod relay;
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
    cli::runner::main()
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

/// Returns the fuzz target of that name. Only builds for fuzzing contain it.
#[cfg(fuzzing)]
#[must_use]
pub fn fuzz_target(name: &str) -> Option<fn(&[u8])> {
    fuzzing::target(name)
}
