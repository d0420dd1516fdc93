//! Temporary failures of the API, the signing key and plugins; and a second runner.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{NEVER, NOTE};
use crate::rig::key::Key;
use crate::rig::{Rig, wait, wait_until, write};

/// The exit status if another runner has locked the spool.
const LOCKED: i32 = 75;

#[test]
fn second_runner_ends_without_changing_anything() {
    let rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    let runner = rig.runner();
    // On the same spool, and on the same jobs with a spool of its own.
    rig.write_config("other.cfg", "d", "other-spool");
    for (config, text) in [("runner.cfg", "spool"), ("other.cfg", "jobs")] {
        let output = rig.mig_runner(config, &[]).output().unwrap();
        let messages = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(LOCKED), "{config}: {messages}");
        assert!(messages.starts_with("mig-runner: another runner "), "{messages}");
        assert!(messages.lines().count() == 1 && messages.contains(text), "{messages}");
    }
    // The first runner continues. When it has ended, another one can start.
    rig.wait_done(&rig.trigger("job"));
    runner.kill();
    rig.runner();
}

#[test]
fn outage_of_the_api_delays_runs_and_loses_none() {
    let mut rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 5s\ndelayresults = 0s\nplugin = note"));
    rig.kill_platform();
    let runner = rig.runner();
    let fired = rig.trigger("job");
    runner.wait_logged("action not accepted yet", &[("run", &fired), ("fate", "refused")]);
    rig.start_platform();
    wait_until("the agent's answer", || rig.database().is_completed("mig-runner: job"));
    // A second outage, when the results are to be fetched.
    rig.kill_platform();
    runner.wait_logged("results not fetched yet", &[("run", &fired)]);
    let record = rig.wait_in("command/inflight", &fired);
    assert!(record["error"].as_str().unwrap().contains("cannot connect"), "{record}");
    rig.start_platform();
    let document = rig.wait_done(&fired);
    assert_eq!(document["commands"].as_array().unwrap().len(), 1, "{document}");
    runner.wait_logged("API available again; resuming work", &[]);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
    assert_eq!(rig.plugin_file("notes").lines().count(), 1);
}

#[test]
fn missing_signing_key_ends_the_start_and_is_named() {
    let rig = Rig::new();
    let text = fs::read_to_string(rig.path("migrc")).unwrap();
    let wrong = "0123456789ABCDEF0123456789ABCDEF01234567";
    write(&rig.path("migrc"), text.replace(rig.key.fingerprint(), wrong));
    let output = rig.mig_runner("runner.cfg", &[]).output().unwrap();
    let messages = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(messages.contains(wrong), "{messages}");
    assert!(messages.contains(rig.key.home().to_str().unwrap()), "{messages}");
    assert_eq!(messages.lines().count(), 1, "{messages}");
}

#[test]
fn runs_wait_until_the_platform_knows_the_key() {
    let mut rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 3s"));
    // The platform knows only the first key of the rig.
    rig.key = Key::generate(&rig.path("h"), "Other <other@localhost>");
    rig.point_at(&rig.address.clone());
    let runner = rig.runner();
    let run = rig.trigger("job");
    let said = runner.wait_logged("action not accepted yet", &[("run", &run), ("fate", "refused")]);
    assert!(said["error"].as_str().unwrap().contains("answered 401"), "{said}");
    rig.database().insert_investigator("other", rig.key.fingerprint(), &rig.key.export());
    rig.wait_done(&run);
    assert_eq!(rig.database().names(), ["mig-runner: job"]);
}

#[test]
fn failing_plugin_is_retried_without_delaying_others() {
    let rig = Rig::new();
    rig.plugin("note", NOTE);
    rig.plugin(
        "fails",
        "echo went wrong >&2; mkdir first && exit 3; mkdir second && exit 75; echo done > taken",
    );
    let plugins = "plugin = fails\nplugin = later\nplugin = note";
    rig.job("job", &format!("{NEVER}\nexpiry = 1h\n{plugins}"));
    let runner = rig.runner();
    let run = rig.trigger("job");
    rig.finish_early(&run, "mig-runner: job");
    wait_until("the plugin that works", || !rig.plugin_file("notes").is_empty());
    rig.wait_in("command/returned", &run);
    let missing = runner.wait_logged("cannot run plugin", &[("run", &run), ("plugin", "later")]);
    assert!(missing["error"].as_str().unwrap().contains("later"), "{missing}");
    runner.wait_logged("plugin output", &[("plugin", "fails"), ("output", "went wrong")]);
    rig.plugin("later", NOTE);
    rig.wait_done(&run);
    assert_eq!(rig.plugin_file("taken"), "done\n");
    let notes = rig.plugin_file("notes");
    let attempts: Vec<&str> = notes.lines().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(attempts.len(), 2, "{notes}");
    assert_eq!(attempts[0], "1", "{notes}");
    let done = rig.wait_in("command/done", &run);
    assert_eq!(done["error"], serde_json::Value::Null, "{done}");
}

/// Runs `status` with these arguments. Its exit status is 0: temporary failures need no operator.
fn status(rig: &Rig, arguments: &[&str]) -> String {
    let command = [&["status"], arguments].concat();
    let Output { status, stdout, stderr } =
        rig.mig_runner("runner.cfg", &command).output().unwrap();
    assert!(status.success(), "{status}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn status_shows_retries_and_their_times() {
    let mut rig = Rig::new();
    rig.plugin("fails", "echo not today; test -e repaired");
    rig.plugin("note", NOTE);
    rig.job("job", &format!("{NEVER}\nexpiry = 2s\nplugin = note\nplugin = fails"));
    let retry_report = rig.home("spool/.retries");
    let runner = rig.runner();
    assert!(!retry_report.exists());
    let owed = rig.trigger("job");
    runner.wait_logged_times(2, "plugin finished", &[("run", &owed), ("plugin", "fails")]);
    rig.kill_platform();
    let unsent = rig.trigger("job");
    let entry_of = |report: &Value, run: &str| -> Value {
        let waiting = report["waiting"].as_array().unwrap();
        waiting.iter().find(|entry| entry["name"] == run).cloned().unwrap_or_default()
    };
    let report = wait("the retries", || {
        let report: Value = serde_json::from_str(&status(&rig, &["--json"])).unwrap();
        (report["api"].is_object() && entry_of(&report, &owed)["failures"].is_u64())
            .then_some(report)
    });
    assert!(report["api"]["failures"].as_u64().unwrap() >= 1, "{report:#}");
    let post_retry = entry_of(&report, &unsent);
    assert_eq!(post_retry["next_attempt"], report["api"]["next_attempt"], "{report:#}");
    assert!(post_retry["why"].as_str().unwrap().contains("cannot connect"), "{report:#}");
    let delivery_retry = entry_of(&report, &owed);
    let plugin = &delivery_retry["plugins"][0];
    assert_eq!((&plugin["plugin"], &delivery_retry["plugins"][1]), (&json!("fails"), &Value::Null));
    assert_eq!(plugin["failures"], delivery_retry["failures"], "{report:#}");
    let next = plugin["next_attempt"].as_str().unwrap();
    assert!(next.len() == "2026-11-22T12:00:05Z".len() && next.ends_with('Z'), "{next}");
    assert_eq!(retry_report.metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let page = status(&rig, &[]);
    let words = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [
        "Unfinished API or signing key unavailable: failed ",
        "; waiting for the API, next attempt at ",
        "not today; plugin fails failed ",
    ] {
        assert!(words.contains(text), "no {text:?} in {page}");
    }
    assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");

    rig.start_platform();
    write(&rig.home("plugins/repaired"), "");
    for run in [&unsent, &owed] {
        rig.wait_done(run);
    }
    wait_until("the end of the retry report", || !retry_report.exists());
    assert!(!status(&rig, &[]).contains("key unavailable"));
    // An invalid file is ignored.
    write(&retry_report, "{");
    let page = status(&rig, &[]);
    assert!(page.contains("  retry times unknown: "), "{page}");
    runner.stop(Signal::TERM);
}

#[test]
fn status_shows_no_retries_without_a_running_runner() {
    let mut rig = Rig::new();
    rig.job("job", &format!("{NEVER}\nexpiry = 2s"));
    rig.kill_platform();
    let retry_report = rig.home("spool/.retries");
    let shows_retry = |rig: &Rig| status(rig, &[]).contains("key unavailable: failed");
    for is_killed in [true, false] {
        let runner = rig.runner();
        rig.trigger("job");
        wait_until("a retry of the API", || shows_retry(&rig));
        if is_killed {
            runner.kill();
            assert!(retry_report.exists());
        } else {
            runner.stop(Signal::TERM);
            assert!(!retry_report.exists());
        }
        let page = status(&rig, &[]);
        assert!(
            !shows_retry(&rig) && page.contains("\nUnfinished runs continue when it is started.\n"),
            "{page}"
        );
    }
}
