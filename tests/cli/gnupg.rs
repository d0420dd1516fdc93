//! GnuPG beside the commands: what is said about its configuration, and what it leaves running.

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
fn a_fault_of_gpg_conf_has_a_message_of_its_own_in_each_command() {
    let home = Home::installed();
    home.write("action.json", r#"{"name":"x","target":"status='online'","operations":[]}"#);
    let file = home.path("g/gpg.conf").display().to_string();
    for (option, texts) in [
        ("digest-algo FOO", ["selected digest algorithm is invalid", "correct or remove it"]),
        ("trust-model foo", ["unknown trust model 'foo'", "correct or remove it"]),
        ("local-user nobody", ["with the key \"nobody\" as well", "remove local-user nobody"]),
    ] {
        home.write("g/gpg.conf", &format!("{option}\n"));
        let mut commands = vec![
            vec!["-c", "runner/runner.cfg", "check", "--offline"],
            vec!["action", "--json", "--sign", "action.json"],
        ];
        // Nothing is signed before the first request.
        if option != "local-user nobody" {
            commands.push(vec!["-c", "runner/runner.cfg", "run"]);
        }
        for command in commands {
            let said = home.run(&command);
            let text = format!("{}{}", said.out, said.err);
            for part in texts.iter().copied().chain([file.as_str()]) {
                assert!(text.contains(part), "{option} {command:?}: {said:?}");
            }
            for wrong in ["no secret key", "no-allow-loopback-pinentry"] {
                assert!(!text.contains(wrong), "{option} {command:?}: {said:?}");
            }
            assert_eq!(said.exit, 78, "{option} {command:?}: {said:?}");
        }
    }
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
        rig.hurry(&run, "mig-runner: job");
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
