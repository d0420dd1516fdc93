//! The commands of the runner: their output, and their messages for errors.

#![cfg(test)]

mod gnupg;
mod input;
mod messages;
mod operator;
#[cfg(feature = "platform")]
mod processes;
mod results;
#[cfg(feature = "platform")]
mod secrets;
mod superseded;
mod trust;
mod unsafe_paths;

use std::os::unix::fs::MetadataExt;

use super::home::{CommandOutput, Home, names};

const COMMANDS: [&str; 12] = [
    "run",
    "init",
    "check",
    "status",
    "next",
    "trigger",
    "retry",
    "cancel",
    "action",
    "results",
    "completions",
    "try",
];

/// Checks that a command failed with one message that contains each of `texts`.
#[track_caller]
fn fails(said: &CommandOutput, exit: i32, texts: &[&str]) {
    assert_eq!(said.exit, exit, "{said:?}");
    let first = said.err.lines().next().unwrap_or_default();
    assert!(first.starts_with("mig-runner: "), "{said:?}");
    for text in texts {
        assert!(first.contains(text), "no {text:?} in {said:?}");
    }
    let messages = said.err.lines().filter(|line| line.starts_with("mig-runner: ")).count();
    assert_eq!(messages, 1, "{said:?}");
}

/// Checks that a command succeeded, and returns its output.
#[track_caller]
fn good(said: CommandOutput) -> String {
    assert_eq!(said.exit, 0, "{said:?}");
    said.out
}

#[test]
fn help_and_version_need_no_configuration() {
    let home = Home::new();
    for arguments in [["-V"], ["--version"]] {
        assert_eq!(
            good(home.run(&arguments)),
            format!("mig-runner {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
    let help = good(home.run(&["--help"]));
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let own = good(home.run(&[command, "--help"]));
        assert!(own.contains("Usage: mig-runner"), "{own}");
    }
    // Even if the configuration is invalid.
    home.write("bad.cfg", "[");
    good(home.run(&["-c", "bad.cfg", "--help"]));
}

#[test]
fn missing_configuration_suggests_first_steps() {
    let home = Home::new();
    if std::path::Path::new("/etc/mig/runner.cfg").exists() {
        return;
    }
    let said = home.run(&[]);
    fails(&said, 78, &["/etc/mig/runner.cfg"]);
    assert!(said.err.contains("mig-runner init DIR") && said.err.contains("-c FILE"), "{said:?}");
    fails(&home.run(&["-c", "none.cfg"]), 78, &["none.cfg", "No such file"]);
}

#[test]
fn configuration_faults_name_their_lines() {
    let home = Home::new();
    home.write("runner.cfg", "[runner]\ndirectory = x\ncheckdirectory = soon\n[clients]\n");
    let said = home.run(&["-c", "runner.cfg"]);
    assert_eq!(said.exit, 78);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert!(lines[0].starts_with("mig-runner: runner.cfg:3: checkdirectory"), "{said:?}");
    assert!(
        lines[1].starts_with("mig-runner: runner.cfg:4: unknown section [clients]"),
        "{said:?}"
    );
    home.write("runner.cfg", "[runner]\ndirektory = x\n");
    let said = home.run(&["-c", "runner.cfg"]);
    assert!(said.err.contains("did you mean directory?"), "{said:?}");
    home.write("runner.cfg", "[runner]\ndirectory = nowhere\n");
    fails(&home.run(&["-c", "runner.cfg"]), 78, &["nowhere", "mig-runner init"]);
}

#[test]
fn secrets_readable_by_others_are_refused() {
    let home = Home::new();
    home.write("runner.cfg", "[runner]\ndirectory = .\n[client]\npassphrase = s3cret\n");
    home.chmod("runner.cfg", 0o644);
    let said = home.run(&["-c", "runner.cfg", "check", "--offline"]);
    fails(&said, 77, &["chmod go=", "runner.cfg"]);
    assert!(!said.err.contains("s3cret"));
}

#[test]
fn init_creates_private_directory_once() {
    let home = Home::new();
    let said = good(home.run(&["init", "runner"]));
    assert!(said.contains("mig-runner -c") && said.contains(".migrc"), "{said}");
    assert_eq!(names(&home.path("runner")), ["plugins", "runner.cfg", "runners", "spool"]);
    assert_eq!(home.path("runner/spool").metadata().unwrap().mode() & 0o777, 0o700);
    fails(&home.run(&["init", "runner"]), 73, &["not empty"]);
}

#[test]
fn next_shows_times_and_rejects_schedules_without_any() {
    let home = Home::new();
    let paris = ["--timezone", "Europe/Paris", "--from", "2026-03-27T12:00:00Z", "-n", "3"];
    let said = good(home.run(&[&["next", "--cron", "30 2 * * *"], &paris[..]].concat()));
    // 02:30 does not exist on the 29th: the time moves to the end of the gap.
    assert_eq!(
        said,
        "2026-03-28T02:30:00+01:00\n2026-03-29T03:00:00+02:00\n2026-03-30T02:30:00+02:00\n"
    );
    fails(&home.run(&["next", "--cron", "0 0 31 2 *"]), 65, &["never fires after"]);
    fails(&home.run(&["next", "--cron", "5-1 * * * *"]), 65, &["minute", "reversed"]);
    fails(
        &home.run(&["next", "--cron", "@daily", "--timezone", "Mars/Phobos"]),
        65,
        &["Mars/Phobos"],
    );
    let last = home.run(&["next", "--cron", "0 0 1 1 * 2027", "--from", "2026-01-01T00:00:00Z"]);
    assert_eq!((last.exit, last.out.as_str()), (0, "2027-01-01T00:00:00Z\n"));
    assert!(last.err.contains("it never fires after"), "{last:?}");
}

#[test]
fn action_prints_signed_text() {
    let home = Home::new();
    home.write(
        "a.json",
        r#"{"name":"n & m","target":"t","validfrom":"2026-11-22T12:00:00Z","expireafter":"2026-11-22T12:05:00Z","operations":[{"module":"file","parameters":{"b":"<x>","a":1.0}}]}"#,
    );
    let operations = r#"[{"module":"file","parameters":{"a":1,"b":"\u003cx\u003e"}}]"#;
    assert_eq!(
        good(home.run(&["action", "a.json"])),
        format!(
            "name=n & m;target=t;validfrom=1795348800;expireafter=%!s(int64=1795349100);operations={operations};"
        )
    );
    let json = good(home.run(&["action", "--json", "a.json"]));
    assert!(json.contains(&format!("\"operations\":{operations}")), "{json}");
    home.write("bad.json", "{\n  \"name\": nothing }");
    fails(&home.run(&["action", "bad.json"]), 65, &["bad.json", "line 2"]);
    fails(&home.run(&["action", "none.json"]), 66, &["none.json"]);
}

#[test]
fn start_without_key_is_refused() {
    let home = Home::new();
    assert_eq!(home.run(&["init", "runner"]).exit, 0);
    fails(&home.with_config(&[]), 78, &["clientconfpath", ".migrc"]);
    std::fs::create_dir(home.path("g")).unwrap();
    home.chmod("g", 0o700);
    let missing = "0123456789ABCDEF0123456789ABCDEF01234567";
    home.client(missing, "http://127.0.0.1:9/");
    fails(&home.with_config(&[]), 78, &[missing, "no secret key"]);
}

#[test]
fn second_runner_is_refused() {
    let mut home = Home::installed();
    let log = home.start(&["-c", "runner/runner.cfg"]);
    log.until("ready");
    fails(&home.with_config(&["run"]), 75, &["another runner", "spool"]);
    // Even with a different spool, it would launch the same jobs a second time.
    let config = home.read("runner/runner.cfg");
    let other =
        config.replace("[runner]", &format!("[runner]\nspool = {}", home.path("s").display()));
    home.write("other.cfg", &other);
    fails(&home.run(&["-c", "other.cfg", "run"]), 75, &["another runner", "runners"]);
    assert!(home.with_config(&["status"]).out.starts_with("A runner has been running in "));
}

#[test]
fn run_is_triggered_cancelled_and_retried() {
    let home = Home::installed();
    let said = home.with_config(&["trigger", "setuid"]);
    assert_eq!(said.exit, 0, "{said:?}");
    // The sample jobs are paused, and no runner is running.
    assert!(said.err.contains("paused") && said.err.contains("no runner"), "{said:?}");
    let id = said.out.trim();
    let file = format!("runner/spool/action/new/{id}.json");
    assert_eq!(home.path(&file).metadata().unwrap().mode() & 0o777, 0o600);
    assert!(home.read(&file).starts_with(&format!("{{\"version\":1,\"id\":\"{id}\",\"seq\":1,")));
    assert_eq!(names(&home.path("runner/spool/.tmp")), [""; 0]);

    let status = home.with_config(&["status"]);
    assert_eq!(status.exit, 0, "{status:?}");
    assert!(status.out.contains(id) && status.out.contains("No runner"), "{status:?}");
    assert!(status.out.lines().all(|line| line.chars().count() <= 80), "{status:?}");

    good(home.with_config(&["cancel", id]));
    let status = home.with_config(&["status", "--json"]);
    assert_eq!(status.exit, 1, "{status:?}");
    let report: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(report["waiting"][0]["why"], "cancelled by the operator");
    assert_eq!(report["jobs"][1]["last"]["folder"], "action/invalid");
    fails(&home.with_config(&["cancel", id]), 66, &["action/invalid"]);

    assert!(good(home.with_config(&["retry", "--all"])).contains("action/invalid → action/new"));
    assert_eq!(names(&home.path("runner/spool/action/invalid")), [""; 0]);
    fails(&home.with_config(&["retry", "nothing"]), 66, &["nothing"]);
}

#[test]
fn trigger_wait_prints_moves() {
    let mut home = Home::installed();
    let lines = home.start(&["-c", "runner/runner.cfg", "trigger", "--wait", "setuid"]);
    let id = lines.until("setuid.");
    assert!(lines.until("→ action/new").ends_with(&id));
    good(home.with_config(&["cancel", &id]));
    assert!(lines.until("action/new → action/invalid").ends_with(&id));
}

#[test]
fn faulty_or_missing_job_is_reported() {
    let home = Home::installed();
    fails(&home.with_config(&["trigger", "nosuch"]), 66, &["nosuch", "setuid"]);
    home.write("runner/runners/bad/entity.cfg", "[configuration]\nplugin = report.sh\n");
    home.write("runner/runners/bad/action.json", r#"{"name":"n","target":"t","operations":[]}"#);
    home.chmod("runner/runners/bad", 0o700);
    fails(&home.with_config(&["trigger", "bad"]), 65, &["entity.cfg", "schedule is missing"]);
    home.write("runner/runners/bad/entity.cfg", "[configuration]\nschedule = \"@daily\"\n");
    home.write("runner/runners/bad/action.json", "{\"name\":");
    fails(&home.with_config(&["trigger", "bad"]), 65, &["action.json"]);
}

#[test]
fn closed_stdout_is_not_an_error() {
    let home = Home::new();
    let mut command = home.command(&["next", "--cron", "* * * * *", "-n", "100000"]);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
