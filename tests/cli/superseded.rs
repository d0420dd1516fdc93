//! What the commands tell of runs without results: superseded ones, and those of `sendonly` jobs.

#![expect(clippy::disallowed_methods, reason = "tests look behind the program's back")]

use serde_json::{Value, json};

use super::super::home::{Home, names};
use super::{fails, good};

/// A superseded run, and the one that was sent instead.
const RUNS: [&str; 2] = ["setuid.20260101T000000Z", "setuid.20260102T000000Z"];

/// Returns a home whose job has one run without results, and the record of that run.
fn home(change: impl Fn(&mut Value)) -> (Home, Value) {
    let home = Home::installed();
    let id = good(home.with_config(&["trigger", "setuid"]));
    let new = format!("runner/spool/action/new/{}.json", id.trim());
    let mut record: Value = serde_json::from_str(&home.read(&new)).unwrap();
    std::fs::remove_file(home.path(&new)).unwrap();
    (record["id"], record["slot"]) = (RUNS[0].into(), "2026-01-01T00:00:00Z".into());
    record["origin"] = "schedule".into();
    record["collected"] = "2026-01-01T00:01:00Z".into();
    change(&mut record);
    home.write(&format!("runner/spool/action/done/{}.json", RUNS[0]), &record.to_string());
    (home, record)
}

fn status(home: &Home) -> (Value, String) {
    let (told, page) = (home.with_config(&["status", "--json"]), home.with_config(&["status"]));
    // No attention is needed.
    assert_eq!((told.exit, page.exit), (0, 0), "{told:?} {page:?}");
    (serde_json::from_str(&told.out).unwrap(), page.out)
}

#[test]
fn a_superseded_run_needs_nobody_and_is_counted() {
    let (home, mut record) = home(|record| {
        record["superseded"] = RUNS[1].into();
        record["error"] = "cannot connect".into();
        record["plugins"] = json!([{"plugin": "report.sh", "state": "skipped"}]);
    });
    let (told, page) = status(&home);
    assert_eq!((&told["superseded"], &told["attention"]), (&json!(1), &json!([])), "{told}");
    let job = told["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "setuid").unwrap();
    assert_eq!((&job["superseded"], &job["last"]["outcome"]), (&json!(1), &json!("superseded")));
    assert_eq!(job["last"]["superseded"], RUNS[1]);
    let line = "  1 run in action/done was superseded by a newer one and not sent\n";
    assert!(page.contains(line) && page.contains("superseded, so not sent: 1\n"), "{page}");
    assert!(page.contains(": superseded in ") && !page.contains("owed"), "{page}");

    // The job has run since, and the superseded run is still counted.
    record.as_object_mut().unwrap().remove("superseded");
    record["id"] = RUNS[1].into();
    record["plugins"][0]["state"] = "delivered".into();
    record["summary"] = json!({"sent": 2, "answered": 2});
    for folder in ["action", "command"] {
        let path = format!("runner/spool/{folder}/done/{}.json", RUNS[1]);
        home.write(&path, &record.to_string());
    }
    assert_eq!(status(&home).0["superseded"], 1);

    let said = home.with_config(&["results", "setuid", RUNS[0]]);
    fails(&said, 66, &["it was not sent: it was superseded by setuid.20260102T000000Z"]);
    let said = home.with_config(&["retry", "--all"]);
    assert!(said.exit == 0 && said.err.contains("there is nothing to retry"), "{said:?}");
    // By its name it can be sent after all.
    let said = good(home.with_config(&["retry", RUNS[0]]));
    assert_eq!(said, format!("action/done → action/new  {}\n", RUNS[0]));
    assert_eq!(names(&home.path("runner/spool/action/new")), [format!("{}.json", RUNS[0])]);
    assert_eq!(status(&home).0["superseded"], 0);
    let said = home.with_config(&["retry", RUNS[1]]);
    fails(&said, 66, &["neither in action/invalid nor given up or superseded"]);
}

#[test]
fn a_sendonly_run_owes_its_plugin_nothing() {
    for state in ["owed", "skipped"] {
        let (home, _) = home(|record| {
            record["settings"]["sendonly"] = true.into();
            record["actionid"] = 7.into();
            // Earlier versions called it owed.
            record["plugins"] = json!([{"plugin": "report.sh", "state": state}]);
        });
        let (told, page) = status(&home);
        let job = &told["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "setuid");
        let last = &job.unwrap()["last"];
        assert_eq!(last["outcome"], "sent", "{told}");
        assert_eq!(last["plugins"], json!([{"plugin": "report.sh", "state": "skipped"}]));
        assert!(page.contains("plugin report.sh: skipped\n") && !page.contains("owed"), "{page}");
        assert_eq!(told["superseded"], 0);
        fails(&home.with_config(&["retry", RUNS[0]]), 66, &["neither in"]);
        fails(&home.with_config(&["results", "setuid", RUNS[0]]), 66, &["left to others"]);
    }
}

#[test]
fn a_run_whose_command_record_was_removed_owes_nothing() {
    let (home, _) = home(|record| {
        record["actionid"] = 7.into();
        record["plugins"] = json!([{"plugin": "report.sh", "state": "owed"}]);
    });
    let (told, page) = status(&home);
    assert_eq!(told["superseded"], 0);
    assert!(page.contains(": its action is over in ") && !page.contains("owed"), "{page}");
}
