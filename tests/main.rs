//! Integration tests: the real programs, on real files, against the platform for one host.

#![cfg(test)]

/// `mig-data` on each kind of database.
#[cfg(feature = "data")]
mod admin;
/// Packets that unpack to gigabytes.
#[cfg(feature = "data")]
mod bomb;
/// The commands of the runner.
mod cli;
/// A PostgreSQL server that is stopped after the tests.
#[cfg(feature = "data")]
#[path = "../src/data/testing/cluster.rs"]
#[expect(dead_code, reason = "unit tests use other parts of it")]
mod cluster;
/// Complete runs, from the folder of a job to its plugins, with all kinds of disturbances.
#[cfg(feature = "platform")]
mod flow;
/// The help texts fit a terminal and contain examples.
mod help;
/// Commands that messages suggest can be run as printed.
mod hints;
/// A temporary home folder for running commands.
mod home;
/// Rules for the structure of the source: layers, import cycles, crates, sizes.
mod layers;
/// The manual pages document exactly what the programs have.
mod man;
/// The platform alone, including kills.
#[cfg(feature = "platform")]
mod platform;
/// The plugins of the template, and the examples of the manual.
mod plugins;
/// The proof with the real runner: it is killed and deprived of disk space and events, and loses
/// nothing.
#[cfg(feature = "platform")]
mod proof;
/// Commands of root in the folder of a user who exchanges names meanwhile.
mod races;
/// A complete installation for tests: a key, a platform and a runner in a temporary folder.
#[cfg(feature = "platform")]
mod rig;
/// Notifications for the service manager.
#[cfg(feature = "platform")]
mod service;
/// Transcripts: commands and their exact output.
mod transcripts;
/// `mig-standalone trial`, as a new user runs it.
#[cfg(feature = "platform")]
mod trial;
/// Lost and ambiguous answers: the platform has each action exactly once.
#[cfg(feature = "platform")]
mod uncertain;

/// Starts a process directly: these tests do not use GnuPG's library.
#[cfg(feature = "data")]
fn start_process(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    command.spawn()
}
