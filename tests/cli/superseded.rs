//! Runs without results in the output of the commands: superseded runs, and those of `sendonly`
//! jobs.

#![expect(clippy::disallowed_methods, reason = "tests change files directly")]

use serde_json::{Value, json};

use super::super::home::{Home, names};
use super::{fails, good};

/// A superseded run, and the run that superseded it.
const RUNS: [&str; 2] = ["setuid.20260101T000000Z", "setuid.20260102T000000Z"];

/// Returns a home whose job has one run without results, with the record of that run.
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
    let (report, page) = (home.with_config(&["status", "--json"]), home.with_config(&["status"]));
    // Nothing needs attention.
    assert_eq!((report.exit, page.exit), (0, 0), "{report:?} {page:?}");
    (serde_json::from_str(&report.out).unwrap(), page.out)
}

#[test]
fn superseded_runs_are_counted_and_need_no_attention() {
    let (home, mut record) = home(|record| {
        record["superseded"] = RUNS[1].into();
        record["error"] = "cannot connect".into();
        record["plugins"] = json!([{"plugin": "report.sh", "state": "skipped"}]);
    });
    let (report, page) = status(&home);
    assert_eq!((&report["superseded"], &report["attention"]), (&json!(1), &json!([])), "{report}");
    let job =
        report["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "setuid").unwrap();
    assert_eq!((&job["superseded"], &job["last"]["outcome"]), (&json!(1), &json!("superseded")));
    assert_eq!(job["last"]["superseded"], RUNS[1]);
    let line = "  1 run in action/done was not sent: superseded by a newer one\n";
    assert!(page.contains(line) && page.contains("superseded, not sent: 1\n"), "{page}");
    assert!(page.contains(": superseded in ") && !page.contains("owed"), "{page}");

    // After a later run of the job, the superseded run is still counted.
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
    fails(&said, 66, &["it was not sent: superseded by setuid.20260102T000000Z"]);
    let said = home.with_config(&["retry", "--all"]);
    assert!(said.exit == 0 && said.err.contains("nothing to retry"), "{said:?}");
    // It is retried if it is named.
    let said = good(home.with_config(&["retry", RUNS[0]]));
    assert_eq!(said, format!("action/done → action/new  {}\n", RUNS[0]));
    assert_eq!(names(&home.path("runner/spool/action/new")), [format!("{}.json", RUNS[0])]);
    assert_eq!(status(&home).0["superseded"], 0);
    let said = home.with_config(&["retry", RUNS[1]]);
    fails(&said, 66, &["neither in action/invalid nor given up nor superseded"]);
}

#[test]
fn sendonly_run_has_no_deliveries() {
    for state in ["owed", "skipped"] {
        let (home, _) = home(|record| {
            record["settings"]["sendonly"] = true.into();
            record["actionid"] = 7.into();
            // Records of earlier versions have `owed`.
            record["plugins"] = json!([{"plugin": "report.sh", "state": state}]);
        });
        let (report, page) = status(&home);
        let job = &report["jobs"].as_array().unwrap().iter().find(|job| job["name"] == "setuid");
        let last = &job.unwrap()["last"];
        assert_eq!(last["outcome"], "sent", "{report}");
        assert_eq!(last["plugins"], json!([{"plugin": "report.sh", "state": "skipped"}]));
        assert!(page.contains("plugin report.sh: skipped\n") && !page.contains("owed"), "{page}");
        assert_eq!(report["superseded"], 0);
        fails(&home.with_config(&["retry", RUNS[0]]), 66, &["neither in"]);
        fails(&home.with_config(&["results", "setuid", RUNS[0]]), 66, &["not fetched (sendonly)"]);
    }
}

#[test]
fn run_without_command_record_has_no_deliveries() {
    let (home, _) = home(|record| {
        record["actionid"] = 7.into();
        record["plugins"] = json!([{"plugin": "report.sh", "state": "owed"}]);
    });
    let (report, page) = status(&home);
    assert_eq!(report["superseded"], 0);
    assert!(page.contains(": action ended in ") && !page.contains("owed"), "{page}");
}
