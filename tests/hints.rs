//! Commands that messages suggest can be copied into a shell and run.
//!
//! The programs are in a folder outside the `PATH`, and are called by a relative path that needs
//! quotes. Each suggested command is run by a shell in the same working directory. The suggestions
//! of `try` are tested with `try`.

#![cfg(test)]

use std::path::Path;

use super::home::{CommandOutput, Home};

/// The path of the programs as it is typed, up to the part that differs between programs.
const TYPED: &str = "'my programs/mig-";
/// Placeholders in suggested commands, with a value for each.
const PLACEHOLDERS: [(&str, &str); 5] = [
    ("DIR", "another"),
    ("FILE", "runner/runner.cfg"),
    ("RUN", "setuid.20310101T000000Z"),
    ("COMMAND", "agents"),
    ("DATA", "none"),
];

/// Returns a home with an installed runner and a link to the folder of the programs.
fn home() -> Home {
    let home = Home::installed();
    let programs = Path::new(env!("CARGO_BIN_EXE_mig-runner")).parent().unwrap();
    std::os::unix::fs::symlink(programs, home.path("my programs")).unwrap();
    home
}

/// Runs a line in a shell, for at most `seconds`.
fn run_line(home: &Home, line: &str, seconds: u32) -> CommandOutput {
    CommandOutput::of(
        &mut home.command_of("/bin/sh", &["-c", &format!("timeout {seconds} {line}")]),
    )
}

/// Returns the commands in a text that call our programs. Each ends with its line or with a
/// backtick.
fn commands(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in text.lines() {
        for (at, _) in line.match_indices(TYPED) {
            let command = line[at..].split('`').next().unwrap();
            found.push(command.to_owned());
        }
    }
    found
}

/// Runs a command, and checks that its messages suggest exactly the `expected` commands, and that
/// each of these is found by a shell and has a valid command line.
#[track_caller]
fn check(home: &Home, typed: &str, expected: &[&str]) {
    let said = run_line(home, &format!("{TYPED}{typed}"), 60);
    let suggested = commands(&format!("{}\n{}", said.out, said.err));
    let expected: Vec<String> = expected.iter().map(|rest| format!("{TYPED}{rest}")).collect();
    assert_eq!(suggested, expected, "{said:?}");
    for command in suggested {
        let command =
            PLACEHOLDERS.iter().fold(command, |line, (name, value)| line.replace(name, value));
        // A daemon runs until it is killed.
        let said = run_line(home, &command, 2);
        // 126 and 127: the shell cannot find or run it. 64: the command line is invalid.
        assert!(![126, 127, 64].contains(&said.exit), "{command}: {said:?}");
    }
}

#[test]
fn hints_for_first_use_of_runner_work() {
    let home = home();
    if !Path::new("/etc/mig/runner.cfg").exists() {
        let ways = ["runner' try", "runner' init DIR", "runner' -c FILE"];
        check(&home, "runner'", &ways);
        check(&home, "runner' status", &ways);
    }
    let config = home.path("a b/runner.cfg").display().to_string();
    let next = [format!("runner' -c '{config}' check"), format!("runner' -c '{config}' run")];
    check(&home, "runner' init 'a b'", &next.each_ref().map(String::as_str));
    home.write("bad.cfg", "[runner]\ndirectory = not there\n");
    let folder = home.path("not there");
    let init = format!("runner' init '{}'", folder.display());
    check(&home, "runner' -c bad.cfg", &[&init]);
}

#[test]
fn hints_of_runner_work() {
    let mut home = home();
    home.start(&["-c", "runner/runner.cfg"]).until("ready");
    let run = "runner' -c runner/runner.cfg run";
    check(&home, run, &[&format!("{run} --standby")]);
    home.kill_first();

    home.write("runner/spool/action/invalid/setuid.20260101T000000Z.json", "{}");
    let retry = "runner' -c runner/runner.cfg retry RUN";
    check(&home, "runner' -c runner/runner.cfg status", &[retry]);
    let status = "runner' -c runner/runner.cfg status";
    check(&home, "runner' check --offline -c runner/runner.cfg", &[status]);
    let json = run_line(&home, &format!("{TYPED}{status} --json"), 60);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(commands(report["attention"][0].as_str().unwrap()), [format!("{TYPED}{retry}")]);
}

#[test]
fn hints_use_plain_name_of_program_in_path() {
    let home = home();
    let folder = Path::new(env!("CARGO_BIN_EXE_mig-runner")).parent().unwrap();
    for line in ["mig-runner init new1", "'my programs/mig-runner' init new2"] {
        let mut shell = home.command_of("/bin/sh", &["-c", line]);
        shell.env("PATH", format!("/bin:{}", folder.display()));
        let said = CommandOutput::of(&mut shell);
        assert!(said.out.contains("  3. mig-runner -c "), "{said:?}");
    }
}

#[cfg(feature = "data")]
#[test]
fn hints_of_data_tool_work() {
    let home = home();
    if !Path::new("/etc/mig/standalone.cfg").exists() {
        let ways = [
            "data' -c FILE COMMAND",
            "data' -d postgres://USER@HOST/mig COMMAND",
            "data' -d sqlite:DATA/mig.db COMMAND",
        ];
        check(&home, "data' agents", &ways);
    }
    let file = "data' -d sqlite:it.db";
    check(&home, &format!("{file} agents"), &[&format!("{file} schema init")]);
    check(&home, &format!("{file} commands 7"), &[&format!("{file} actions")]);
    check(&home, &format!("{file} commands seven"), &[&format!("{file} actions")]);
    let list = format!("{file} investigator list");
    check(&home, &format!("{file} investigator show Eve"), &[&list]);
    home.write("a b.cfg", "[directories]\ndata = .\n");
    let config = "data' -c 'a b.cfg'";
    check(&home, &format!("{config} agents"), &[&format!("{config} schema init")]);
    home.write("runner/spool/.lock", "mig-runner 1\n");
    check(&home, "data' spool runner/spool", &["runner' -c FILE status"]);
}

#[cfg(feature = "platform")]
#[test]
fn hints_of_platform_work() {
    let home = home();
    check(&home, "standalone' init mig", &["standalone' -c mig/standalone.cfg"]);
    if !Path::new("/etc/mig/standalone.cfg").exists() {
        let ways = ["standalone' try", "standalone' init DIR", "standalone' -c FILE"];
        check(&home, "standalone'", &ways);
    }
}
