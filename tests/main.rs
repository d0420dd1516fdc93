//! Integration tests: the real programs, on real files, against the platform for one host.

#![cfg(test)]

/// MIG's data, as those look after it who run a platform: `mig-data` on each database.
#[cfg(feature = "data")]
mod admin;
/// The commands, as a person types them.
mod cli;
/// A PostgreSQL server that ends with the tests.
#[cfg(feature = "data")]
#[path = "../src/data/testing/cluster.rs"]
#[expect(dead_code, reason = "some of it is for the unit tests")]
mod cluster;
/// Runs, from a job's folder to its plugins, through everything that can happen on the way.
#[cfg(feature = "platform")]
mod flow;
/// Commands in messages can be typed where they are printed.
mod hints;
/// The home of a new user, to type commands in.
mod home;
/// Rules for the structure of the source: layers, import cycles, crates, sizes.
mod layers;
/// The manual pages name what the program has, and nothing else.
mod man;
/// The platform by itself, through kills.
#[cfg(feature = "platform")]
mod platform;
/// The plugins of the template, and the examples of the manual.
mod plugins;
/// The proof from outside: the real runner is killed, starved and deafened, and loses nothing.
#[cfg(feature = "platform")]
mod proof;
/// What whole runs stand on: a key, a platform and a runner in a folder of their own.
#[cfg(feature = "platform")]
mod rig;
/// What a service manager hears of the programs, and when it hears no more.
#[cfg(feature = "platform")]
mod service;
/// What is typed and all that is answered, word by word.
mod transcripts;
/// A whole MIG on this host, as a newcomer starts it.
#[cfg(feature = "platform")]
mod trial;
/// Answers that do not say whether the platform has the action: it has it once.
#[cfg(feature = "platform")]
mod uncertain;

/// Starts a process as it is: nobody here talks to GnuPG but through programs.
#[cfg(feature = "data")]
fn start_process(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    command.spawn()
}
