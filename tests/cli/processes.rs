//! GnuPG agents that a platform started do not outlive it.

#![expect(clippy::disallowed_methods, reason = "tests read /proc and files directly")]

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::home::Home;
use super::super::rig::Rig;

/// Returns the command lines of the processes that contain this folder.
fn processes(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        // Fails for a process that has ended.
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(folder)).collect()
}

#[test]
fn init_leaves_no_processes() {
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
    // The agent of the user's own home keeps running.
    assert_eq!(processes(&home.path("g")).len(), 1);
}

#[test]
fn stopped_platform_leaves_no_processes() {
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
    // Start an agent, as an earlier release or a GnuPG configuration of the operator may do.
    let keyring = folder.join("data/gnupg");
    let mut agent = Command::new("gpg-connect-agent");
    assert!(agent.arg("--homedir").arg(&keyring).arg("/bye").status().unwrap().success());
    assert!(processes(&keyring).iter().any(|line| line.starts_with("gpg-agent")));
    rig.stop_platform();
    assert_eq!(processes(&folder), [""; 0]);
}
