//! Processes of GnuPG: none of those that a platform has started outlives it.

#![expect(clippy::disallowed_methods, reason = "tests look behind the program's back")]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::home::Home;
use super::super::rig::Rig;

/// Returns the command lines of the processes that name this folder.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        // It may have ended meanwhile.
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn what_lays_out_a_platform_leaves_nothing_running() {
    let home = Home::new();
    home.key();
    let key = home.gpg(&["--armor", "--export"]).stdout;
    home.write("key.asc", std::str::from_utf8(&key).unwrap());
    home.write("cut.asc", std::str::from_utf8(&key[..key.len() / 2]).unwrap());
    let program = env!("CARGO_BIN_EXE_mig-standalone");
    for (folder, file, exit) in [("p", "key.asc", 0), ("q", "cut.asc", 65)] {
        let mut init = home.command_of(program, &["init", folder, "--key", file]);
        assert_eq!(init.status().unwrap().code(), Some(exit), "{folder}");
        assert_eq!(processes(&home.path(folder)), [""; 0]);
    }
    // The agent of the person's own home goes on.
    assert_eq!(processes(&home.path("g")).len(), 1);
}

#[test]
fn a_platform_leaves_nothing_running_that_it_or_gnupg_started() {
    let mut rig = Rig::new();
    let folder = rig.path("p");
    let run = |rig: &Rig| {
        let _runner = rig.runner();
        let run = rig.trigger("job");
        rig.finish_early(&run, "mig-runner: job");
        rig.wait_done(&run);
    };
    rig.job("job", "schedule = \"0 0 1 1 *\"");
    run(&rig);
    rig.kill_platform();
    assert_eq!(processes(&folder), [""; 0]);
    rig.start_platform();
    run(&rig);
    // As an earlier release, or an operator's own configuration, lets GnuPG start one.
    let keyring = folder.join("data/gnupg");
    let mut agent = Command::new("gpg-connect-agent");
    assert!(agent.arg("--homedir").arg(&keyring).arg("/bye").status().unwrap().success());
    assert!(processes(&keyring).iter().any(|line| line.starts_with("gpg-agent")));
    rig.stop_platform();
    assert_eq!(processes(&folder), [""; 0]);
}
