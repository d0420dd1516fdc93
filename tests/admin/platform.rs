//! `mig-data` on a running platform.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{CommandOutput, fails};
use crate::rig::Rig;

/// Runs a command on the rig's platform.
fn run(rig: &Rig, arguments: &[&str]) -> CommandOutput {
    let config = rig.path("p/standalone.cfg");
    let mut command = std::process::Command::new(super::PROGRAM);
    command.arg("-c").arg(config).args(arguments).env_clear().env("HOME", rig.path(""));
    CommandOutput::of(command.current_dir(rig.path("")))
}

/// Sends a request with an API key; returns the status line.
fn request_status(rig: &Rig, key: &str) -> String {
    let mut connection = TcpStream::connect(&rig.address).unwrap();
    let request = format!(
        "GET /api/v1/dashboard HTTP/1.1\r\nHost: {}\r\nX-MIGAPIKEY: {key}\r\nConnection: close\r\n\r\n",
        rig.address
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn administrator_changes_a_running_platform() {
    let rig = Rig::new();
    // On a server, targets are evaluated as a role.
    assert_eq!(run(&rig, &["schema", "init", "--roles"]).exit, 0);
    let listed = run(&rig, &["agents"]);
    assert_eq!(listed.exit, 0, "{listed:?}");
    let online = run(&rig, &["agents", "--json", "--target", "status='online'"]);
    let online: serde_json::Value = serde_json::from_str(&online.out).unwrap();
    assert_eq!(online.as_array().unwrap().len(), 1);

    assert!(request_status(&rig, "0123456789abcdefghijABCDEFGHIJKL").contains(" 401 "));
    let said = run(&rig, &["investigator", "apikey", "runner"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let key = said.out.trim_end();
    assert!(request_status(&rig, key).contains(" 200 "), "{}", request_status(&rig, key));
    assert_eq!(
        run(&rig, &["investigator", "disable", "runner"]).out,
        "runner (1) is now disabled\n"
    );
    assert!(request_status(&rig, key).contains(" 401 "));
    assert_eq!(run(&rig, &["investigator", "enable", "runner"]).exit, 0);
    assert!(request_status(&rig, key).contains(" 200 "));

    let spool = run(&rig, &["spool", "--fail-if-any"]);
    assert_eq!(spool.exit, 0, "{spool:?}");
    assert!(spool.out.starts_with("Spool of mig-standalone (process "), "{spool:?}");
    assert!(spool.out.contains("\n  command/ready         0\n"), "{spool:?}");
    let checked = run(&rig, &["schema", "check"]);
    assert_eq!(checked.exit, 0, "{checked:?}");
}

#[test]
fn spool_of_a_runner_is_rejected() {
    let rig = Rig::new();
    std::fs::create_dir_all(rig.path("r/action/inflight")).unwrap();
    std::fs::write(rig.path("r/.lock"), "mig-runner 1\n").unwrap();
    fails(
        &run(&rig, &["spool", "r"]),
        65,
        &["r is a runner's spool", "mig-runner -c FILE status`"],
    );
    fails(
        &run(&rig, &["spool", "none"]),
        66,
        &["none is not a scheduler's spool", "does not exist"],
    );
    let report = run(&rig, &["spool", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!(
        (&report["of"], &report["stuck"]),
        (&"mig-standalone".into(), &serde_json::json!([]))
    );
    assert_eq!(report["folders"].as_array().unwrap().len(), 8);
}
