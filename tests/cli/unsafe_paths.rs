//! Configurations, GnuPG homes, logs and secrets that other users can change: no command uses them,
//! and nothing that they name is created or opened.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::super::home::{CommandOutput, Home, writable_above};
use super::fails;

/// The user and group id of the unprivileged user `nobody`.
const NOBODY: u32 = 65534;

const CHECK: [&str; 2] = ["check", "--offline"];

/// Ends the agent that keeps the keys of a home.
fn end_agent(home: &Path) {
    let mut command = Command::new("gpgconf");
    assert!(command.arg("--homedir").arg(home).args(["--kill", "all"]).status().unwrap().success());
}

/// Returns both streams of a command.
fn text(said: &CommandOutput) -> String {
    format!("{}{}", said.out, said.err)
}

#[test]
fn folders_in_dev_are_checked() {
    let home = Home::installed();
    let shared = tempfile::tempdir_in("/dev/shm").unwrap();
    let copied = Command::new("cp").arg("-a").arg(home.path("g")).arg(shared.path()).status();
    assert!(copied.unwrap().success());
    let keys = shared.path().join("g");
    let client = home.read(".migrc");
    home.write(".migrc", &client.replace(home.path("g").to_str().unwrap(), keys.to_str().unwrap()));
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o777)).unwrap();
    let remedy = format!("run `chmod go-w {}`", keys.display());
    fails(&home.with_config(&["run"]), 77, &[&remedy]);
    let said = home.with_config(&CHECK);
    assert!(said.exit == 77 && text(&said).contains(&remedy), "{said:?}");
    end_agent(&keys);
}

#[test]
fn no_program_of_an_unsafe_gnupg_home_is_executed() {
    let home = Home::installed();
    end_agent(&home.path("g"));
    // Another user, who can write to the home, makes GnuPG execute a program.
    let program = format!("#!/bin/sh\ntouch {}\n", home.path("executed").display());
    home.write("program", &program);
    home.chmod("program", 0o755);
    home.write("g/gpg.conf", &format!("agent-program {}\n", home.path("program").display()));
    home.write("action.json", r#"{"name":"x","target":"status='online'","operations":[]}"#);
    let sign = ["action", "--json", "--sign", "action.json"];
    home.chmod("g/gpg.conf", 0o666);
    let remedy = "chmod go-w ";
    let said = home.with_config(&CHECK);
    assert!(said.exit == 77 && said.out.contains(remedy), "{said:?}");
    assert!(said.out.contains("key and API not checked"), "{said:?}");
    fails(&home.with_config(&sign), 77, &[remedy, "gpg.conf"]);
    fails(&home.run(&sign), 77, &[remedy, "gpg.conf"]);
    assert!(!home.path("executed").exists());
    // The attack works in a home that is trusted.
    home.chmod("g/gpg.conf", 0o600);
    home.run(&sign);
    assert!(home.path("executed").exists());
}

#[test]
fn unsafe_configuration_creates_nothing() {
    let home = Home::installed();
    let (log, spool) = (home.path("log"), home.path("other"));
    let file = format!("mode = file\nfile = {}", log.display());
    let config = home.read("runner/runner.cfg").replace("mode = \"stdout\"", &file);
    let spool_line = format!("[runner]\nspool = {}", spool.display());
    home.write("runner/runner.cfg", &config.replace("[runner]", &spool_line));
    home.chmod("runner/runner.cfg", 0o666);
    for command in [&["run"][..], &["run", "--standby"], &["status"], &["trigger", "setuid"]] {
        fails(&home.with_config(command), 77, &["chmod go-w", "runner.cfg"]);
        assert!(!log.exists() && !spool.exists(), "{command:?}");
    }
}

#[test]
fn folders_of_log_and_metrics_are_checked() {
    let home = Home::installed();
    let config = home.read("runner/runner.cfg");
    fs::create_dir_all(home.path("open/metrics")).unwrap();
    home.chmod("open", 0o777);
    let remedy = writable_above(&home.path("open").canonicalize().unwrap());
    let log = format!("mode = file\nfile = {}", home.path("open/log").display());
    let metrics = format!("\n[metrics]\ntextfile = {}\n", home.path("open/metrics/x").display());
    for config in [config.replace("mode = \"stdout\"", &log), config.clone() + &metrics] {
        home.write("runner/runner.cfg", &config);
        for command in [&["run"][..], &CHECK] {
            let said = home.with_config(command);
            assert!([73, 77].contains(&said.exit) && text(&said).contains(&remedy), "{said:?}");
        }
    }
    assert!(!home.path("open/log").exists() && !home.path("open/metrics/x").exists());
}

#[test]
fn configured_pipe_is_refused_and_not_waited_for() {
    let home = Home::installed();
    let pipe = home.path("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (config, client) = (home.read("runner/runner.cfg"), home.read(".migrc"));
    let of_runner = |key: &str| format!("{config}\n[client]\n{key} = {}\n", pipe.display());
    let of_client =
        |key: &str| client.replace("[api]", &format!("[api]\n{key} = {}", pipe.display()));
    for (config, client) in [
        (of_runner("passphrasefile"), client.clone()),
        (of_runner("clientconfpath"), client.clone()),
        (config.clone(), of_client("cacert")),
    ] {
        home.write("runner/runner.cfg", &config.replace("clientconfpath = \"default\"", ""));
        home.write(".migrc", &client);
        for command in [&["run"][..], &CHECK] {
            let said = home.with_config(command);
            let reason = "it is a named pipe, which only the command line may name";
            assert!(said.exit != 0 && text(&said).contains(reason), "{said:?}");
        }
    }
}

#[test]
fn no_command_is_advised_for_a_client_key_that_is_another_file() {
    let home = Home::installed();
    let keys = "skipverifycert = on\nclientcert = /etc/passwd\nclientkey = /etc/passwd\n[gpg]";
    home.write(".migrc", &home.read(".migrc").replace("[gpg]", keys));
    for command in [&["run"][..], &CHECK] {
        let said = home.with_config(command);
        let reason = "/etc/passwd is named as a private key and can be read by other users";
        assert!(said.exit == 77 && text(&said).contains(reason), "{said:?}");
        assert!(!text(&said).contains("chmod"), "{said:?}");
    }
}

/// Returns the home of root with an installation and with a configuration of another user that names
/// it; `None` unless root runs the test.
fn foreign_configuration() -> Option<Home> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let home = Home::installed();
    home.write("foreign/runner.cfg", &home.read("runner/runner.cfg"));
    for name in ["foreign", "foreign/runner.cfg"] {
        chown(home.path(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    Some(home)
}

#[test]
fn configuration_of_another_user_does_not_control_the_spool_of_root_as_root() {
    let Some(home) = foreign_configuration() else { return };
    let run = "setuid.20310101T000000Z";
    for command in [
        &["trigger", "setuid"][..],
        &["retry", run],
        &["cancel", run],
        &["status"],
        &["next", "setuid"],
        &["results", "setuid"],
        &["run"],
    ] {
        let said = home.run(&[&["-c", "foreign/runner.cfg"], command].concat());
        let reason =
            "foreign/runner.cfg belongs to user 65534, who could change it: only root may own it";
        assert!(said.exit == 77 && said.err.contains(reason), "{said:?}");
        assert!(!said.err.contains("chown"), "{said:?}");
    }
    let said = home.run(&["-c", "foreign/runner.cfg", "check", "--offline"]);
    assert!(said.exit == 77 && said.out.contains("key and API not checked"), "{said:?}");
}

#[test]
fn cancel_removes_nothing_in_an_exposed_place_as_root() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::installed();
    let run = "setuid.20310101T000000Z";
    let reason = format!("runner/spool/action/invalid/{run}.json.reason");
    home.write(&format!("runner/spool/action/new/{run}.json"), "{}");
    home.write(&reason, "of another run");
    home.chmod("runner/spool/action/invalid", 0o777);
    let said = home.with_config(&["cancel", run]);
    assert_eq!(said.exit, 77, "{said:?}");
    assert_eq!(home.read(&reason), "of another run");
}

#[test]
#[cfg(feature = "platform")]
fn platform_of_root_refuses_the_configuration_of_another_user_as_root() {
    let Some(home) = foreign_configuration() else { return };
    let program = env!("CARGO_BIN_EXE_mig-standalone");
    let run = |arguments: &[&str]| CommandOutput::of(&mut home.command_of(program, arguments));
    assert_eq!(run(&["init", "mig"]).exit, 0);
    let data = home.path("mig");
    let config = home.read("mig/standalone.cfg");
    let config = ["spool", "data"].iter().fold(config, |text, name| {
        text.replace(&format!("= {name} "), &format!("= {} ", data.join(name).display()))
    });
    home.write("foreign/standalone.cfg", &config);
    chown(home.path("foreign/standalone.cfg"), Some(NOBODY), Some(NOBODY)).unwrap();
    let said = run(&["-c", "foreign/standalone.cfg", "run"]);
    assert!(said.exit == 77 && said.err.contains("belongs to user 65534"), "{said:?}");
    // The same configuration does not decide which database of root changes.
    let agents = ["-c", "foreign/standalone.cfg", "agents"];
    let program = env!("CARGO_BIN_EXE_mig-data");
    let said = CommandOutput::of(&mut home.command_of(program, &agents));
    assert!(said.exit == 77 && said.err.contains("belongs to user 65534"), "{said:?}");
    let spool = ["-c", "foreign/standalone.cfg", "spool"];
    let said = CommandOutput::of(&mut home.command_of(program, &spool));
    assert!(said.exit == 77 && said.err.contains("belongs to user 65534"), "{said:?}");
}
