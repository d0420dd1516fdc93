//! Action files that the operator puts into the spool, and the content of a results document.

#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::NEVER;
use crate::rig::key::Key;
use crate::rig::{Rig, action, make_folder, wait, wait_until, write};

/// Waits for the run of an action file; returns its id.
fn claimed(rig: &Rig, stem: &str) -> String {
    wait("a run of the file", || {
        let entries = rig.spool();
        let mut runs = entries.iter().filter_map(|entry| {
            let (_, run) = entry.split_once(' ')?;
            run.starts_with(&format!("{stem}.")).then(|| run.to_owned())
        });
        runs.next()
    })
}

#[test]
fn action_copied_into_the_spool_is_sent_once() {
    let rig = Rig::new();
    let source = rig.path("mine.json");
    write(&source, action("/nonexistent").to_string());
    let runner = rig.runner();
    let cp = Command::new("cp").arg(&source).arg(rig.home("spool/action/new/")).status().unwrap();
    assert!(cp.success());
    let run = claimed(&rig, "mine");
    rig.finish_early(&run, "a test");
    let document = rig.wait_done(&run);
    assert_eq!(document["action"]["name"], "a test");
    let day = Timestamp::now().strftime("%Y%m%d").to_string();
    let id = &document["action"]["id"];
    let stored = fs::read(rig.home(&format!("results/{day}/{id}.json"))).unwrap();
    assert_eq!(fs::read(rig.home(&format!("results/{id}.json"))).unwrap(), stored);
    // After a restart, nothing is sent again.
    runner.kill();
    let _runner = rig.runner();
    assert_eq!(rig.database().names(), ["a test"]);
    assert_eq!(rig.spool(), [format!("action/done {run}"), format!("command/done {run}")]);
}

#[test]
fn slowly_written_action_file_is_sent_when_complete() {
    let rig = Rig::new();
    let _runner = rig.runner();
    let text = action("/nonexistent").to_string();
    let path = rig.home("spool/action/new/slow.json");
    let mut file = OpenOptions::new().create_new(true).append(true).open(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    for piece in text.as_bytes().chunks(16) {
        file.write_all(piece).unwrap();
        // The runner is notified of each write.
        file.sync_all().unwrap();
    }
    drop(file);
    let run = claimed(&rig, "slow");
    rig.finish_early(&run, "a test");
    rig.wait_done(&run);
    assert_eq!(rig.database().names(), ["a test"]);
    assert_eq!(rig.entries("action/invalid"), [""; 0]);
}

#[test]
fn action_signed_by_two_investigators_is_sent_unchanged() {
    let rig = Rig::new();
    let other = Key::generate(&rig.path("h"), "Other <other@localhost>");
    rig.database().insert_investigator("other", other.fingerprint(), &other.export());
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let (from, until) = (now - SignedDuration::from_secs(60), now + SignedDuration::from_secs(60));
    let operations = r#"[{"module":"file","parameters":{"searches":{"s":{"names":["."],"paths":["/nonexistent"]}}}}]"#;
    // The text to sign, in the form of the platform.
    let text = format!(
        "name=four eyes;target=status='online';validfrom={};expireafter=%!s(int64={});operations={operations};",
        from.as_second(),
        until.as_second(),
    );
    let signatures = [rig.key.sign(&text), other.sign(&text)];
    let action = json!({
        "name": "four eyes",
        "target": "status='online'",
        "validfrom": from,
        "expireafter": until,
        "operations": serde_json::from_str::<Value>(operations).unwrap(),
        "pgpsignatures": signatures,
        "syntaxversion": 2,
    });
    let _runner = rig.runner();
    write(&rig.home("spool/action/new/four-eyes.json"), action.to_string());
    let run = claimed(&rig, "four-eyes");
    rig.finish_early(&run, "four eyes");
    let document = rig.wait_done(&run);
    // The runner has changed neither the dates nor the signatures.
    for key in ["name", "validfrom", "expireafter", "pgpsignatures"] {
        assert_eq!(document["action"][key], action[key], "{key}");
    }
    assert_eq!(document["commands"][0]["status"], "success", "{document}");
    let names = rig.database().signers(document["action"]["id"].as_i64().unwrap());
    assert_eq!(names, ["other", "runner"]);
}

#[test]
fn document_lists_the_matching_files_of_this_host() {
    let rig = Rig::new();
    rig.plugin("keep", "cat > kept");
    let tree = rig.path("tree");
    for folder in ["", "deep", "deep/er"] {
        make_folder(&tree.join(folder));
    }
    for (name, text) in [
        ("found.conf", "secret = 1\n"),
        ("deep/found.conf", ""),
        ("deep/er/other.conf", "secret = 2\n"),
        ("deep/er/a name with blanks.conf", "secret\n"),
        ("deep/not.txt", "secret\n"),
    ] {
        write(&tree.join(name), text);
    }
    let search = json!({
        "paths": [tree], "names": ["\\.conf$"], "contents": ["^secret"],
        "options": {"matchall": true, "returnsha256": true},
    });
    let action = json!({
        "name": "x", "target": "status='online'",
        "operations": [{"module": "file", "parameters": {"searches": {"s": search}}}],
    });
    rig.job_with("job", &format!("{NEVER}\nplugin = keep"), &action);
    let _runner = rig.runner();
    let run = rig.trigger("job");
    rig.finish_early(&run, "mig-runner: job");
    let document = rig.wait_done(&run);
    let found: BTreeMap<String, String> = document["commands"][0]["results"][0]["elements"]["s"]
        .as_array()
        .unwrap_or_else(|| panic!("{document}"))
        .iter()
        .map(|element| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&element["file"]), text(&element["fileinfo"]["sha256"]).to_lowercase())
        })
        .collect();
    let listed = Command::new("sh")
        .args(["-c", "find \"$0\" -name '*.conf' -exec grep -l '^secret' {} + | tr '\\n' '\\0' | xargs -0 sha256sum"])
        .arg(&tree)
        .output()
        .unwrap();
    let listed: BTreeMap<String, String> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .map(|line| line.split_once("  ").unwrap())
        .map(|(sum, path)| (path.to_owned(), sum.to_owned()))
        .collect();
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!(found, listed);
    let stored = fs::read(rig.home(&format!("results/{}.json", document["action"]["id"]))).unwrap();
    wait_until("the plugin's copy", || rig.plugin_file("kept").as_bytes() == stored);
    assert_eq!((&document["name"], &document["plugin"]), (&json!("job"), &json!("keep")));
}
