//! `results`: findings, agents without an answer, and changes since the previous run.

use super::super::home::Home;
use super::{fails, good};

/// Returns a command of an agent that found files, given as `PATH MODE`.
fn found(id: u64, agent: &str, files: &[&str]) -> String {
    let elements: Vec<String> = files
        .iter()
        .map(|file| {
            let (path, mode) = file.split_once(' ').unwrap();
            format!(r#"{{"file":"{path}","fileinfo":{{"mode":"{mode}","size":7}}}}"#)
        })
        .collect();
    let result = format!(
        r#"{{"foundanything":true,"success":true,"elements":{{"s1":[{}]}},"errors":null}}"#,
        elements.join(",")
    );
    command(id, agent, "success", &result)
}

fn command(id: u64, agent: &str, status: &str, result: &str) -> String {
    format!(
        r#"{{"id":{id},"action":{{"id":200,"name":"mig-runner: setuid","operations":[{{"module":"file"}}],"counters":{{"sent":5}}}},"agent":{{"name":"{agent}"}},"status":"{status}","results":[{result}]}}"#
    )
}

fn document(name: &str, commands: &[String]) -> String {
    format!(
        "{{\"action\":{{}},\"commands\":[\n{}\n],\"name\":\"{name}\",\"plugin\":\"\"}}",
        commands.join("\n,")
    )
}

/// Returns a home in which the job `setuid` has run twice.
fn home() -> Home {
    let home = Home::new();
    assert_eq!(home.run(&["init", "runner"]).exit, 0);
    let failed = r#"{"foundanything":false,"success":false,"errors":["no\nsuch path"]}"#;
    let first = [
        found(1, "web1", &["/usr/bin/su urwxr-xr-x", "/tmp/x urwxr-xr-x"]),
        found(2, "web2", &["/usr/bin/su urwxr-xr-x"]),
        found(3, "web3", &["/usr/bin/su urwxr-xr-x"]),
    ];
    let incomplete =
        r#"{"foundanything":false,"success":true,"errors":["/proc/1: permission denied"]}"#;
    let second = [
        found(4, "web1", &["/usr/bin/su urwxr-xr-x", "/tmp/y urwxr-xr-x"]),
        command(5, "web2", "success", failed),
        command(6, "web3", "expired", ""),
        command(7, "web4", "sent", ""),
        command(8, "web5", "success", incomplete),
    ];
    let folder = "runner/runners/setuid/results";
    home.write(&format!("{folder}/20261121/100.json"), &document("setuid", &first));
    home.write(&format!("{folder}/20261122/200.json"), &document("setuid", &second));
    home
}

#[test]
fn findings_come_before_failed_agents() {
    let home = home();
    let said = good(home.with_config(&["results", "setuid"]));
    let path = home.path("runner/runners/setuid/results/20261122/200.json");
    let expected = [
        "web1  file  s1  /usr/bin/su  urwxr-xr-x  7 bytes",
        "web1  file  s1  /tmp/y  urwxr-xr-x  7 bytes",
        "web2  failed  no\\nsuch path",
        "web3  expired  did not answer in time",
        "web4  unanswered  did not answer before the results were fetched (sent)",
        "web5  incomplete  /proc/1: permission denied",
        "action 200: sent 5, answered 3, found 1, failed 1, expired 1, not final 1",
        &format!("results: {}", path.canonicalize().unwrap().display()),
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);

    let said = good(home.with_config(&["results", "setuid", "100"]));
    assert!(said.contains("web3  file  s1  /usr/bin/su") && said.contains("action 100"), "{said}");
}

#[test]
fn json_output_has_one_object_per_line() {
    let home = home();
    let said = good(home.with_config(&["results", "setuid", "--json"]));
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 7, "{said}");
    assert_eq!(lines[0]["kind"], "finding");
    assert_eq!(lines[0]["element"]["fileinfo"]["size"], 7);
    assert_eq!(lines[2]["kind"], "agent");
    assert_eq!(
        (&lines[2]["outcome"], &lines[2]["errors"][0]),
        (&"failed".into(), &"no\nsuch path".into())
    );
    assert_eq!(lines[5]["outcome"], "incomplete");
    assert_eq!(lines[6]["kind"], "summary");
    assert_eq!(lines[6]["summary"]["not_final"], 1);
}

#[test]
fn diff_shows_changes_since_previous_run() {
    let home = home();
    let said = good(home.with_config(&["results", "setuid", "--diff"]));
    let lines: Vec<&str> = said.lines().collect();
    let expected = [
        "new      web1  file  s1  /tmp/y  urwxr-xr-x  7 bytes",
        "gone     web1  file  s1  /tmp/x  urwxr-xr-x  7 bytes",
        "unknown  web2  file  s1  /usr/bin/su  urwxr-xr-x  7 bytes",
        "unknown  web3  file  s1  /usr/bin/su  urwxr-xr-x  7 bytes",
    ];
    assert_eq!(lines[..4], expected);
    assert!(said.contains("\nnew 1, gone 1, unchanged 1, unknown 2 ("), "{said}");
    let json = good(home.with_config(&["results", "setuid", "--diff", "--json"]));
    assert!(json.contains(r#""change":"unchanged""#), "{json}");

    let first = home.with_config(&["results", "setuid", "100", "--diff"]);
    assert!(first.err.contains("no previous run has results"), "{first:?}");
    assert!(first.out.contains("new 4, gone 0, unchanged 0"), "{first:?}");
}

#[test]
fn removed_job_keeps_its_later_results() {
    let home = home();
    home.write(
        "runner/results/20261123/300.json",
        &document("gone", &[found(8, "web1", &["/a -"])]),
    );
    home.write("runner/results/20261123/301.json", "{\"no\":\"document\"");
    let said = good(home.with_config(&["results", "gone"]));
    assert!(
        said.contains("web1  file  s1  /a  -  7 bytes") && said.contains("action 300"),
        "{said}"
    );
    // The documents of another job are not used.
    assert!(good(home.with_config(&["results", "setuid"])).contains("action 200"));
}

#[test]
fn missing_results_are_reported_with_reason() {
    let home = home();
    fails(&home.with_config(&["results", "nosuch"]), 66, &["no job nosuch", "setuid"]);
    fails(&home.with_config(&["results", "setuid", "7"]), 66, &["of 7", "no such action"]);
    fails(&home.with_config(&["results", "setuid", "yesterday"]), 66, &["must end with its slot"]);
    let other = "other.20261122T041500Z";
    fails(&home.with_config(&["results", "setuid", other]), 66, &["not a run of setuid"]);
    let pruned = "setuid.20261122T041500Z";
    fails(&home.with_config(&["results", "setuid", pruned]), 66, &["record was removed", "200"]);
    let waiting = home.with_config(&["trigger", "setuid"]).out;
    fails(&home.with_config(&["results", "setuid", waiting.trim()]), 66, &["it is in action/new"]);
    home.write("runner/runners/setuid/results/20261124/400.json", "{\"commands\":[{\"id\":1}");
    fails(
        &home.with_config(&["results", "setuid"]),
        65,
        &["400.json is not a valid results document", "EOF"],
    );
}

#[test]
fn folder_that_cannot_be_listed_does_not_hide_the_results() {
    let home = home();
    // The listing of a file fails for every user.
    let folder = home.path("runner/spool/command/done");
    std::fs::create_dir_all(home.path("runner/spool/.tmp")).unwrap();
    std::fs::remove_dir_all(&folder).ok();
    home.write("runner/spool/command/done", "");
    let said = home.with_config(&["results", "setuid"]);
    assert!(said.exit == 74 && said.out.contains("web1  file  s1  /tmp/y"), "{said:?}");
    assert!(said.err.contains("cannot list ") && said.err.contains("command/done"), "{said:?}");
    // An answer that there are no results would be wrong.
    std::fs::remove_dir_all(home.path("runner/runners/setuid/results")).unwrap();
    home.write("runner/runners/setuid/results", "");
    let said = home.with_config(&["results", "setuid"]);
    assert!(said.exit == 74 && said.err.contains("setuid/results"), "{said:?}");
    assert!(!said.err.contains("no run has completed"), "{said:?}");
}

#[test]
fn jobs_that_cannot_be_listed_do_not_hide_the_spool() {
    let home = home();
    let waiting = home.with_config(&["trigger", "setuid"]).out;
    std::fs::remove_dir_all(home.path("runner/runners")).unwrap();
    home.write("runner/runners", "");
    let said = home.with_config(&["status"]);
    assert!(said.exit == 1 && said.out.contains("cannot list "), "{said:?}");
    assert!(
        said.out.contains(waiting.trim()) && said.out.contains("to be sent before"),
        "{said:?}"
    );
}

#[test]
fn record_in_a_folder_that_cannot_be_searched_does_not_hide_that_of_another_folder() {
    let home = home();
    let id = good(home.with_config(&["trigger", "setuid"])).trim().to_owned();
    let text = home.read(&format!("runner/spool/action/new/{id}.json"));
    let mut record: serde_json::Value = serde_json::from_str(&text).unwrap();
    record["fetched"] = "2026-11-22T00:01:00Z".into();
    record["document"] = "runners/setuid/results/20261122/200.json".into();
    home.write(&format!("runner/spool/command/done/{id}.json"), &record.to_string());
    std::fs::remove_dir(home.path("runner/spool/command/inflight")).unwrap();
    home.write("runner/spool/command/inflight", "");
    let said = home.with_config(&["results", "setuid", &id]);
    assert!(said.exit == 74 && said.out.contains("web1  file  s1  /tmp/y"), "{said:?}");
    assert!(said.err.contains("command/inflight"), "{said:?}");
}
