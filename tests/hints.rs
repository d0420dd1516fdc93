//! Commands in messages can be typed where they are printed.
//!
//! The programs are in a folder that is not in the `PATH`, and are called by a relative path that a
//! shell needs quoted. Each command that a message names is typed into a shell in the same folder.
//! `try` has tests of its own for its last lines.

#![cfg(test)]

use std::path::Path;

use super::home::{CommandOutput, Home};

/// How the runner is typed, up to the part of its name that differs between programs.
const TYPED: &str = "'my programs/mig-";
/// What stands for something in a command, and something that can be typed instead.
const PLACES: [(&str, &str); 5] = [
    ("DIR", "another"),
    ("FILE", "runner/runner.cfg"),
    ("RUN", "setuid.20310101T000000Z"),
    ("COMMAND", "agents"),
    ("DATA", "none"),
];

/// Returns a home with an installed runner and the folder of the programs.
fn home() -> Home {
    let home = Home::installed();
    let programs = Path::new(env!("CARGO_BIN_EXE_mig-runner")).parent().unwrap();
    std::os::unix::fs::symlink(programs, home.path("my programs")).unwrap();
    home
}

/// Types a line into a shell; what has not ended after so many seconds is ended.
fn type_in(home: &Home, line: &str, seconds: u32) -> CommandOutput {
    CommandOutput::of(
        &mut home.command_of("/bin/sh", &["-c", &format!("timeout {seconds} {line}")]),
    )
}

/// Returns the commands of ours in a text: each ends with its line or with a backtick.
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

/// Types a program's command, and checks that its messages name these commands and no other, and
/// that a shell finds each and it is understood.
#[track_caller]
fn check(home: &Home, typed: &str, expected: &[&str]) {
    let said = type_in(home, &format!("{TYPED}{typed}"), 60);
    let named = commands(&format!("{}\n{}", said.out, said.err));
    let expected: Vec<String> = expected.iter().map(|rest| format!("{TYPED}{rest}")).collect();
    assert_eq!(named, expected, "{said:?}");
    for command in named {
        let command = PLACES.iter().fold(command, |line, (place, text)| line.replace(place, text));
        // A daemon goes on until it is ended.
        let said = type_in(home, &command, 2);
        // 126 and 127: the shell did not find it. 64: the command line is wrong.
        assert!(![126, 127, 64].contains(&said.exit), "{command}: {said:?}");
    }
}

#[test]
fn a_newcomer_can_type_what_the_runner_says() {
    let home = home();
    if !Path::new("/etc/mig/runner.cfg").exists() {
        // `try` has a platform to start, if there is one.
        let ways = ["runner' try", "runner' init DIR", "runner' -c FILE"];
        check(&home, "runner'", &ways);
        check(&home, "runner' status", &ways);
    }
    let config = home.path("a b/runner.cfg").display().to_string();
    let next = [format!("runner' -c '{config}' check"), format!("runner' -c '{config}' run")];
    check(&home, "runner' init 'a b'", &next.each_ref().map(String::as_str));
    home.write("bad.cfg", "[runner]\ndirectory = not there\n");
    let place = home.path("not there");
    let init = format!("runner' init '{}'", place.display());
    check(&home, "runner' -c bad.cfg", &[&init]);
}

#[test]
fn an_operator_can_type_what_the_runner_says() {
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
    let json = type_in(&home, &format!("{TYPED}{status} --json"), 60);
    let report: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(commands(report["attention"][0].as_str().unwrap()), [format!("{TYPED}{retry}")]);
}

#[test]
fn programs_that_a_shell_finds_by_name_are_named_plainly() {
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
fn an_administrator_can_type_what_the_data_say() {
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
fn an_operator_can_type_what_the_platform_says() {
    let home = home();
    check(&home, "standalone' init mig", &["standalone' -c mig/standalone.cfg"]);
    if !Path::new("/etc/mig/standalone.cfg").exists() {
        let ways = ["standalone' try", "standalone' init DIR", "standalone' -c FILE"];
        check(&home, "standalone'", &ways);
    }
}
