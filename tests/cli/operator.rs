//! `status`, `check`, `retry`, `run --standby` and metrics, as an operator uses them.

#![expect(clippy::disallowed_methods, reason = "tests change files directly")]

use std::time::{Duration, Instant};

use super::super::home::{CommandOutput, Home, names};
use super::{fails, good};

/// Time limit for the metrics file.
const TIMEOUT: Duration = Duration::from_secs(30);

#[test]
fn status_shows_runs_and_their_outcome() {
    let mut home = Home::installed();
    let id = good_id(&home.with_config(&["trigger", "setuid"]));
    let file = format!("runner/spool/action/new/{id}.json");
    let status = home.with_config(&["status"]);
    assert!(
        status.out.contains("job setuid is paused; waiting for the pause to end"),
        "{status:?}"
    );
    assert!(status.out.contains(": waiting to be sent\n"), "{status:?}");
    // No colours without a terminal.
    assert!(!status.out.contains('\u{1b}'), "{status:?}");

    // The same run after it has ended, with its plugin given up.
    let mut record: serde_json::Value = serde_json::from_str(&home.read(&file)).unwrap();
    record["plugins"] = serde_json::json!([{"plugin": "report.sh", "state": "givenup"}]);
    record["summary"] = serde_json::json!({"sent": 2, "answered": 1, "expired": 1});
    record["error"] = "plugin report.sh: it ended with exit status 1".into();
    record["entered"] = "2026-01-01T00:00:00Z".into();
    home.write(&format!("runner/spool/command/done/{id}.json"), &record.to_string());
    std::fs::remove_file(home.path(&file)).unwrap();
    let status = home.with_config(&["status"]);
    assert_eq!(status.exit, 1, "{status:?}");
    for text in [
        "Needs attention\n  job setuid: gave up delivering setuid.",
        ": given up in ",
        "        sent 2, answered 1, found 0, expired 1\n        plugin report.sh: given up\n",
        "exit status 1\n",
    ] {
        assert!(status.out.contains(text), "no {text:?} in {}", status.out);
    }
    let retry = format!("mig-runner -c runner/runner.cfg retry {id}`");
    assert!(status.out.contains(&retry), "{}", status.out);
    // A command is never wrapped, however long the path of the program is.
    let mut others = status.out.lines().filter(|line| !line.contains(&retry));
    assert!(others.all(|line| line.chars().count() <= 80), "{}", status.out);

    let report = |home: &Home| -> serde_json::Value {
        serde_json::from_str(&home.with_config(&["status", "--json"]).out).unwrap()
    };
    assert_eq!(report(&home)["since"], serde_json::Value::Null);
    home.start(&["-c", "runner/runner.cfg"]).until("ready");
    let running = report(&home);
    assert!(running["since"].is_string() && running["config_changed"] == false, "{running}");
    let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1 << 32);
    std::fs::File::open(home.path("runner/runner.cfg")).unwrap().set_modified(later).unwrap();
    assert_eq!(report(&home)["config_changed"], true);
    let status = home.with_config(&["status"]);
    assert!(status.out.contains("has changed since then: restart"), "{status:?}");
}

#[test]
fn given_up_runs_need_attention_until_retried_or_removed() {
    let home = Home::installed();
    let id = good_id(&home.with_config(&["trigger", "setuid"]));
    let mut record: serde_json::Value =
        serde_json::from_str(&home.read(&format!("runner/spool/action/new/{id}.json"))).unwrap();
    let report = |exit| -> serde_json::Value {
        let said = home.with_config(&["status", "--json"]);
        assert_eq!(said.exit, exit, "{said:?}");
        serde_json::from_str(&said.out).unwrap()
    };
    let summary = serde_json::json!({"sent": 2, "answered": 2});
    record["collected"] = "2026-01-01T00:00:00Z".into();
    for (id, job, state, summary) in [
        // A later run of the first job succeeded; the other job was removed.
        ("setuid.20260101T000000Z", "setuid", "givenup", &summary),
        ("setuid.20260102T000000Z", "setuid", "delivered", &summary),
        ("gone.20260101T120000Z", "gone", "owed", &serde_json::Value::Null),
    ] {
        (record["id"], record["name"]) = (id.into(), job.into());
        record["slot"] = "2026-01-01T00:00:00Z".into();
        record["plugins"] = serde_json::json!([{"plugin": "report.sh", "state": state}]);
        record["summary"] = summary.clone();
        home.write(&format!("runner/spool/command/done/{id}.json"), &record.to_string());
    }
    let status = report(1);
    let given_up = serde_json::json!([
        {"run": "gone.20260101T120000Z", "results": true, "plugins": []},
        {"run": "setuid.20260101T000000Z", "results": false, "plugins": ["report.sh"]},
    ]);
    assert_eq!(status["given_up"], given_up);
    let attention = status["attention"][0].as_str().unwrap();
    let named = "2 finished runs: gone.20260101T120000Z, setuid.20260101T000000Z; retry with `";
    assert!(attention.contains(named) && status["attention"][1].is_null(), "{status}");
    let page = home.with_config(&["status"]).out;
    // A command is never wrapped, however long the path of the program is.
    let retry = "mig-runner -c runner/runner.cfg retry RUN`";
    assert!(page.contains(retry), "{page}");
    let mut others = page.lines().filter(|line| !line.contains(retry));
    assert!(others.all(|line| line.chars().count() <= 80), "{page}");

    good(home.with_config(&["retry", "gone.20260101T120000Z"]));
    assert_eq!(report(1)["given_up"].as_array().unwrap().len(), 1);
    std::fs::remove_file(home.path("runner/spool/command/done/setuid.20260101T000000Z.json"))
        .unwrap();
    assert_eq!(report(0)["given_up"], serde_json::json!([]));
}

#[test]
fn check_groups_every_fault_by_file() {
    let home = Home::installed();
    let said = home.with_config(&["check", "--offline"]);
    assert_eq!(said.exit, 0, "{said:?}");
    let job = home.path("runner/runners/setuid").canonicalize().unwrap().display().to_string();
    assert!(said.out.contains(&format!("{job}\n  ok    at 04:15 every day, paused\n")), "{said:?}");
    assert!(said.out.contains("  note  skipped (--offline)\n"), "{said:?}");

    home.write("runner/runners/setuid/action.json", r#"{"name":"n"}"#);
    std::fs::remove_file(home.path("runner/plugins/report.sh")).unwrap();
    home.write("runner/spool/action/new/setuid.20261122T120000Z.json", "{");
    let said = home.with_config(&["check"]);
    assert_eq!(said.exit, 69, "{said:?}");
    for fault in [
        "  FAULT cannot read actions: cannot connect",
        "authorized-keys\n  FAULT there is no plugin report.sh",
        &format!("{job}\n  FAULT "),
        "  FAULT action/new/setuid.20261122T120000Z.json: it is not a JSON object",
    ] {
        assert!(said.out.contains(fault), "no {fault:?} in {said:?}");
    }
    let said = home.with_config(&["check", "--offline", "--json"]);
    assert_eq!(said.exit, 65, "{said:?}");
    let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["ok"], false);
    let groups = report["groups"].as_array().unwrap();
    let group = groups.iter().find(|group| group["of"] == job.as_str()).unwrap();
    assert_eq!(group["found"][0]["level"], "fault");
}

#[test]
fn repaired_command_dead_letter_is_fetched_anew() {
    let home = Home::installed();
    let id = good_id(&home.with_config(&["trigger", "setuid"]));
    let sent = home.read(&format!("runner/spool/action/new/{id}.json"));
    let dead = format!("{id}.command.json");
    home.write(&format!("runner/spool/action/invalid/{dead}"), "{");
    for arguments in [["retry", &dead], ["retry", "--all"]] {
        let said = home.with_config(&arguments);
        fails(&said, 66, &[&dead, "it is not a JSON object", "command/ready"]);
    }
    home.write(&format!("runner/spool/action/invalid/{dead}"), &sent);
    let said = good(home.with_config(&["retry", "--all", "--job", "setuid"]));
    assert!(said.starts_with("action/invalid → command/ready"), "{said}");
    assert_eq!(names(&home.path("runner/spool/command/ready")), [format!("{id}.json")]);
}

#[test]
fn completions_are_valid_in_each_installed_shell() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = good(home.run(&["completions", shell]));
        assert!(script.contains("mig-runner") && script.contains("standby"), "{script}");
        home.write("script", &script);
        let parsed = std::process::Command::new(shell).arg("-n").arg(home.path("script")).status();
        // The shell may not be installed.
        assert!(parsed.map_or(true, |status| status.success()), "{shell}");
    }
    fails(&home.run(&["completions", "tcsh"]), 64, &["tcsh"]);
}

#[test]
fn standby_runner_takes_over() {
    let mut home = Home::installed();
    let first = home.start(&["-c", "runner/runner.cfg"]);
    first.until("ready");
    let second = home.start(&["-c", "runner/runner.cfg", "run", "--standby"]);
    second.until("standing by: another runner is running");
    home.kill_first();
    second.until("taking over");
    second.until("ready");
    // A standby runner that could not take over fails at once.
    home.client("0123456789ABCDEF0123456789ABCDEF01234567", "http://127.0.0.1:9/");
    fails(&home.with_config(&["run", "--standby"]), 78, &["no secret key"]);
}

/// Returns the id that `trigger` printed.
fn good_id(said: &CommandOutput) -> String {
    assert_eq!(said.exit, 0, "{said:?}");
    said.out.trim().to_owned()
}

#[test]
fn metrics_are_written_at_start() {
    let mut home = Home::installed();
    let config = home.read("runner/runner.cfg");
    let file = home.path("runner.prom");
    home.write(
        "runner/runner.cfg",
        &format!("{config}\n[metrics]\ntextfile = {}\n", file.display()),
    );
    home.start(&["-c", "runner/runner.cfg"]).until("ready");
    let end = Instant::now() + TIMEOUT;
    while !file.exists() && Instant::now() < end {
        std::thread::yield_now();
    }
    let text = home.read("runner.prom");
    let entries = "mig_runner_spool_entries{folder=\"action/new\"} 0\n";
    assert!(text.contains(entries) && text.ends_with('\n'), "{text}");
}
