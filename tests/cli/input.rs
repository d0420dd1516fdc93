//! Input files may be links, pipes or standard input, and must not be writable by other users.

#![expect(clippy::disallowed_methods, reason = "tests write files directly")]

use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::super::home::{CommandOutput, Home, writable_above};
use super::{fails, good};

/// Runs a line in bash; `$RUNNER`, `$DATA` and `$STANDALONE` are the programs.
fn bash(home: &Home, line: &str, stdin: &str) -> CommandOutput {
    let mut command = home.command_of("/bin/bash", &["-c", line]);
    command.env("RUNNER", env!("CARGO_BIN_EXE_mig-runner"));
    command.env("DATA", env!("CARGO_BIN_EXE_mig-data"));
    command.env("STANDALONE", env!("CARGO_BIN_EXE_mig-standalone"));
    feed(&mut command, stdin)
}

/// Runs a command with a pipe as its standard input.
fn feed(command: &mut Command, stdin: &str) -> CommandOutput {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // Fails if the program reads no input and has closed the pipe.
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    CommandOutput {
        exit: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn configuration_may_be_link_pipe_or_stdin() {
    let home = Home::installed();
    let config = home.read("runner/runner.cfg");
    let expected =
        good(home.with_config(&["next", "setuid", "-n", "1", "--from", "2026-01-01T00:00:00Z"]));
    symlink("runner/runner.cfg", home.path("link.cfg")).unwrap();
    let next = "next setuid -n 1 --from 2026-01-01T00:00:00Z";
    for source in
        ["link.cfg", "<(cat runner/runner.cfg)", "/dev/stdin", "-", "- < runner/runner.cfg"]
    {
        let said = bash(&home, &format!("\"$RUNNER\" -c {source} {next}"), &config);
        assert_eq!((said.exit, &said.out), (0, &expected), "{source}: {said:?}");
    }
    // Reading stops at the size limit, even if the pipe never ends.
    let said = bash(&home, &format!("\"$RUNNER\" -c <(yes '; more') {next}"), "");
    fails(&said, 78, &["cannot read /dev/fd/", "over 1048576 bytes"]);
    let said = bash(&home, &format!("\"$RUNNER\" -c runner {next}"), "");
    fails(&said, 78, &["cannot read runner: it is a folder"]);
    // A fault is reported with the name that was typed.
    let said = bash(&home, &format!("\"$RUNNER\" -c - {next}"), "[runnner]\n");
    assert!(said.err.contains("-:1: unknown section [runnner]"), "{said:?}");
}

#[test]
fn action_and_passphrase_may_come_from_pipe() {
    let home = Home::installed();
    home.chmod("", 0o700);
    let action = home.read("runner/runners/setuid/action.json");
    let signed = good(home.run(&["action", "runner/runners/setuid/action.json"]));
    for source in ["-", "/dev/stdin", "<(cat runner/runners/setuid/action.json)"] {
        let said = bash(&home, &format!("\"$RUNNER\" action {source}"), &action);
        assert_eq!((said.exit, &said.out), (0, &signed), "{source}: {said:?}");
    }
    symlink("secret", home.path("link")).unwrap();
    home.write("secret", "right");
    let config = home.read("runner/runner.cfg");
    let with = |file: &str| format!("{config}\n[client]\npassphrasefile = {file}\n");
    for file in ["link", "/dev/stdin"] {
        home.write("p.cfg", &with(&home.path(file).display().to_string()));
        let said = bash(&home, "\"$RUNNER\" -c p.cfg check --offline", "right\n");
        assert!(said.exit == 0 && said.out.contains(" can sign\n"), "{file}: {said:?}");
    }
    // Users who can write to the folder of a link can change its target.
    std::fs::create_dir(home.path("open")).unwrap();
    home.chmod("open", 0o777);
    symlink("../secret", home.path("open/link")).unwrap();
    home.write("p.cfg", &with(&home.path("open/link").display().to_string()));
    let said = home.run(&["-c", "p.cfg", "check", "--offline"]);
    let fault = writable_above(&home.path("open").canonicalize().unwrap());
    assert!(said.out.contains(&fault), "{said:?}");
}

#[test]
fn permissions_of_link_targets_are_checked() {
    let home = Home::installed();
    home.chmod("", 0o700);
    std::fs::create_dir(home.path("kept")).unwrap();
    home.chmod("kept", 0o700);
    for name in ["runners", "plugins", "spool"] {
        let path = home.path("runner").join(name);
        std::fs::rename(&path, home.path("kept").join(name)).unwrap();
        symlink(format!("../kept/{name}"), path).unwrap();
    }
    good(home.with_config(&["check", "--offline"]));
    // The remedy in the message works.
    for name in ["runners", "plugins", "spool"] {
        let kept = home.path("kept").join(name).canonicalize().unwrap();
        home.chmod(&format!("kept/{name}"), 0o707);
        let remedy = format!("chmod go-w {}", kept.display());
        let checked = home.with_config(&["check", "--offline"]);
        assert!(checked.exit != 0 && checked.out.contains(&remedy), "{checked:?}");
        let said = home.with_config(&["run"]);
        assert_eq!(said.exit, 77, "{said:?}");
        assert!(said.err.contains(&remedy), "{said:?}");
        assert!(Command::new("sh").args(["-c", &remedy]).status().unwrap().success());
        good(home.with_config(&["check", "--offline"]));
    }
    // The message about a dangling link names its target.
    for name in ["runners", "plugins", "spool"] {
        let (kept, away) = (home.path("kept").join(name), home.path("away"));
        std::fs::rename(&kept, &away).unwrap();
        let said = home.with_config(&["run"]);
        let place = kept.parent().unwrap().canonicalize().unwrap().join(name);
        let lead = format!("the link points to {}, which does not exist", place.display());
        assert!(said.exit != 0 && said.err.contains(&lead), "{name}: {said:?}");
        std::fs::rename(&away, &kept).unwrap();
    }
}

#[cfg(feature = "data")]
#[test]
fn keys_and_databases_may_be_links_and_keys_pipes() {
    let home = Home::new();
    home.chmod("", 0o700);
    let fingerprint = home.key();
    let key = home.gpg(&["--armor", "--export", &fingerprint]).stdout;
    let key = String::from_utf8(key).unwrap();
    home.write("key.asc", &key);
    symlink("key.asc", home.path("link.asc")).unwrap();
    home.write("a.cfg", "[directories]\ndata = data\n");
    symlink("a.cfg", home.path("link.cfg")).unwrap();
    for (number, source) in
        ["link.asc", "<(cat key.asc)", "/dev/stdin", "-", "/dev/fd/0"].iter().enumerate()
    {
        let (made, added) = (format!("m{number}"), format!("db{number}"));
        let line = format!("\"$STANDALONE\" init {made} --key {source}");
        let said = bash(&home, &line, &key);
        assert!(said.exit == 0 && said.out.contains(&fingerprint), "{source}: {said:?}");
        let line = format!(
            "\"$DATA\" -d sqlite:{added} schema init && ln -s {added} l{number} && \
            \"$DATA\" -d sqlite:l{number} investigator add Bob --key {source}"
        );
        let said = bash(&home, &line, &key);
        assert!(said.exit == 0 && said.out.contains(&fingerprint), "{source}: {said:?}");
        let listed = bash(&home, &format!("\"$DATA\" -d sqlite:{added} investigator list"), "");
        assert!(listed.out.contains("Bob"), "{listed:?}");
        // SQLite creates its files beside the database, not beside the link.
        assert!(!home.path(&format!("l{number}-wal")).exists());
    }
    // Relative paths in a configuration from a pipe are relative to the working directory.
    good(bash(&home, "mkdir -m 700 data && \"$DATA\" -c a.cfg schema init", ""));
    for source in ["link.cfg", "<(cat a.cfg)", "-", "/dev/stdin"] {
        let line = format!("\"$DATA\" -c {source} investigator list");
        good(bash(&home, &line, &home.read("a.cfg")));
    }
    for (source, name) in
        [("<(echo '[apii]')", "/dev/fd/"), ("-", "-:1: "), ("/dev/stdin", "/dev/stdin:1: ")]
    {
        let said = bash(&home, &format!("\"$STANDALONE\" -c {source}"), "[apii]\n");
        assert!(said.exit == 78 && said.err.contains(name), "{source}: {said:?}");
        assert!(said.err.contains("unknown section [apii]"), "{source}: {said:?}");
    }
    // A database must be a file.
    let said = bash(&home, "\"$DATA\" -d sqlite:/dev/stdin investigator list", "");
    assert!(said.err.contains("/dev/stdin is not a regular file"), "{said:?}");
}

#[test]
fn init_ignores_files_left_by_other_tools() {
    let home = Home::new();
    for (program, folder) in [
        (env!("CARGO_BIN_EXE_mig-runner"), "r"),
        #[cfg(feature = "platform")]
        (env!("CARGO_BIN_EXE_mig-standalone"), "p"),
    ] {
        for name in ["lost+found", ".snapshot", ".ssh"] {
            std::fs::create_dir_all(home.path(folder).join(name)).unwrap();
        }
        for name in ["README.md", ".gitkeep", ".bashrc", "runner.cfg.dpkg-old", "x~"] {
            home.write(&format!("{folder}/{name}"), "x");
        }
        let init = || CommandOutput::of(&mut home.command_of(program, &["init", folder]));
        home.write(&format!("{folder}/letter"), "x");
        let said = init();
        assert!(said.exit == 73 && said.err.contains("is not empty"), "{said:?}");
        std::fs::remove_file(home.path(folder).join("letter")).unwrap();
        let said = init();
        assert_eq!(said.exit, 0, "{said:?}");
        assert_eq!(home.read(&format!("{folder}/README.md")), "x");
    }
}

#[cfg(feature = "platform")]
#[test]
fn platform_with_unsafe_links_does_not_start() {
    let home = Home::new();
    home.chmod("", 0o700);
    for name in ["open", "open/data", "open/spool"] {
        std::fs::create_dir(home.path(name)).unwrap();
        home.chmod(name, 0o700);
    }
    for name in ["data", "spool"] {
        symlink(format!("open/{name}"), home.path(name)).unwrap();
    }
    let text = "[api]\nlisten = 127.0.0.1:0\n[directories]\ndata = data\nspool = spool\n";
    home.write("p.cfg", text);
    home.chmod("open", 0o707);
    let said = bash(&home, "\"$STANDALONE\" -c p.cfg", "");
    let open = home.path("open").canonicalize().unwrap();
    assert!(said.exit == 77 && said.err.contains(&writable_above(&open)), "{said:?}");
    home.chmod("open", 0o700);
    std::fs::remove_dir(home.path("open/spool")).unwrap();
    let said = bash(&home, "\"$STANDALONE\" -c p.cfg", "");
    let lead = format!("the link points to {}/spool, which does not exist", open.display());
    assert!(said.exit != 0 && said.err.contains(&lead), "{said:?}");
}
