//! jsonl: every event once, a line each, all or none.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::bench::{Bench, answer, command, document, ended, odd_commands, recorded};

fn datasets(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"]["dataset"].as_str().unwrap()).collect()
}

fn ids(events: &[Value]) -> HashSet<&str> {
    events.iter().map(|event| event["event"]["id"].as_str().unwrap()).collect()
}

#[test]
fn a_recorded_run_becomes_its_events_and_a_repetition_has_their_ids() {
    let bench = Bench::new();
    let ended_ = bench.run("jsonl", recorded("passwd.json"));
    assert_eq!((ended_.status, ended_.stderr.as_str()), (0, ""));
    assert!(ended_.stdout.starts_with("1 findings of 1 agents appended to "), "{ended_:?}");
    let first = bench.events();
    assert_eq!(datasets(&first), ["mig.finding", "mig.run"]);
    let found = &first[0];
    assert_eq!(found["@timestamp"], "2026-11-22T00:56:04.375637Z");
    assert_eq!(
        found["file"],
        json!({"path": "/etc/passwd", "name": "passwd", "directory": "/etc", "size": 1349,
               "mode": "0644", "type": "file", "mtime": "2026-11-22T00:44:37.261566521Z"})
    );
    assert_eq!(found["host"]["name"], "vm");
    assert_eq!(found["host"]["ip"][0], "192.0.2.2");
    assert_eq!(found["rule"]["name"], "s1");
    assert_eq!(found["mig"]["job"], "passwd");
    assert_eq!(found["mig"]["run"], "passwd.20261122T005600Z");
    assert_eq!(found["mig"]["command"]["id"], 28_052_718_747_840_u64);
    assert_eq!(found["mig"]["status"], "success");
    assert_eq!(found["mig"]["element"]["search"]["contents"][0], "^root:");
    assert_eq!(first[1]["mig"]["summary"]["statuses"], json!({"success": 1}));

    let mut again = bench.command("jsonl", recorded("passwd.json").as_bytes());
    assert_eq!(ended(again.env("MIG_ATTEMPT", "2")).status, 0);
    let all = bench.events();
    assert_eq!(all.len(), 4);
    assert_eq!(ids(&all[2..]), ids(&first));
    assert_eq!((&all[1]["mig"]["attempt"], &all[3]["mig"]["attempt"]), (&json!(1), &json!(2)));
    assert_eq!(fs::read_dir(bench.path("plugins")).unwrap().count(), 7, "something was left there");
    assert_eq!(
        fs::metadata(bench.path("findings.jsonl")).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn modules_without_words_of_their_own_are_told_whole() {
    let bench = Bench::new();
    assert_eq!(bench.run("jsonl", recorded("compressed.json")).status, 0);
    let events = bench.events();
    assert_eq!(events[0]["mig"]["module"], "ping");
    assert_eq!(events[0]["mig"]["element"]["resolvedhost"], "127.0.0.1 (127.0.0.1)");
    assert_eq!(bench.run("jsonl", recorded("no-commands.json")).status, 0);
    assert_eq!(datasets(&bench.events()[2..]), ["mig.run"]);
}

#[test]
fn each_module_is_told_in_the_common_words() {
    let bench = Bench::new();
    let results = json!([
        {"elements": {"l": [{"file": "/a/b", "fileinfo": {"mode": "dugtrwxr-x--T", "size": 1}}]}},
        {"elements": {"packages": [{"name": "n", "version": "1:2", "type": "dpkg", "arch": "amd64"}]}},
        {"elements": {"connectedip": {"::/0": [{"localaddr": "::1", "localport": 22,
            "remoteaddr": "0:0::2", "remoteport": 4711}, {"localaddr": "masked"}], "10.0.0.0/8": null},
            "localmac": {".": [{"localmacaddr": "02:fc:00:00:00:01"}]}}},
    ]);
    let text = document(&[command(1, "success", &results)]);
    assert_eq!(bench.run("jsonl", text).status, 0);
    let events = bench.events();
    assert_eq!(datasets(&events), [["mig.finding"; 5].as_slice(), &["mig.run"]].concat());
    assert_eq!(
        (&events[0]["file"]["type"], &events[0]["file"]["mode"]),
        (&json!("dir"), &Value::Null)
    );
    assert_eq!(
        events[1]["package"],
        json!({"name": "n", "version": "1:2", "architecture": "amd64", "type": "dpkg"})
    );
    assert_eq!(events[2]["source"], json!({"ip": "::1", "port": 22}));
    assert_eq!(events[2]["destination"], json!({"ip": "::2", "port": 4711}));
    assert_eq!(events[2]["mig"]["subject"], "::/0");
    // What is no address is told in mig.element only: an index would refuse the event.
    assert_eq!(events[3]["source"], Value::Null);
    assert_eq!(events[3]["mig"]["element"]["localaddr"], "masked");
    assert_eq!(events[4]["source"]["mac"], "02-FC-00-00-00-01");
}

/// All that the file module was seen to answer: as many findings as there are files in it.
#[test]
fn every_recorded_answer_of_the_file_module_is_told_once() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules/file");
    let (mut commands, mut files) = (Vec::new(), 0);
    for (id, entry) in (1..).zip(fs::read_dir(folder).unwrap()) {
        let case: Value =
            serde_json::from_slice(&fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let elements = case["results"].as_array().unwrap().iter().map(|result| &result["elements"]);
        let entries = elements
            .filter_map(Value::as_object)
            .flat_map(|labels| labels.values().filter_map(Value::as_array).flatten());
        files += entries.filter(|entry| entry["file"] != "").count();
        commands.push(command(id, case["status"].as_str().unwrap(), &case["results"]));
    }
    assert!(files > 100);
    let bench = Bench::new();
    assert_eq!(bench.run("jsonl", document(&commands)).status, 0);
    let events = bench.events();
    let found = datasets(&events).iter().filter(|name| **name == "mig.finding").count();
    assert_eq!(found, files);
    assert_eq!(ids(&events).len(), events.len());
    let summary = &events.last().unwrap()["mig"]["summary"];
    assert_eq!(summary["commands"], commands.len());
    assert_eq!(summary["findings"], files);
}

#[test]
fn agents_without_a_good_answer_are_told_too() {
    let bench = Bench::new();
    let complaint = json!([{"foundanything": false, "elements": {"l": null}, "errors": ["e1"]}]);
    let text = document(&[
        answer(1, &["/a", "/a", "/b"]),
        answer(2, &[]),
        command(3, "expired", &Value::Null),
        command(4, "failed", &json!([])),
        command(5, "success", &complaint),
    ]);
    assert_eq!(bench.run("jsonl", &text).status, 0);
    let events = bench.events();
    let told: Vec<_> = events
        .iter()
        .filter(|event| event["event"]["dataset"] == "mig.agent")
        .map(|event| {
            let outcome = event["event"]["outcome"].as_str().unwrap();
            (event["mig"]["status"].as_str().unwrap(), outcome, event["error"]["message"].clone())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("expired", "unknown", Value::Null),
            ("failed", "failure", Value::Null),
            ("success", "success", json!(["e1"]))
        ]
    );
    let last = events.last().unwrap();
    assert_eq!(last["event"]["outcome"], "failure");
    assert_eq!(last["event"]["end"], "2026-11-22T00:56:04Z");
    assert_eq!(
        last["mig"]["summary"],
        json!({"commands": 5, "found": 1, "findings": 3, "errors": 1,
               "statuses": {"expired": 1, "failed": 1, "success": 3}})
    );
    bench.write("jsonl.conf", "[jsonl]\nagents = all\nfile = \"all.jsonl\" ; c\nmode = 0640\n");
    assert_eq!(bench.run("jsonl", &text).status, 0);
    let all = fs::read_to_string(bench.path("all.jsonl")).unwrap();
    assert_eq!(all.matches("\"mig.agent\"").count(), 5);
    assert_eq!(fs::metadata(bench.path("all.jsonl")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_an_agent_says_spoils_nobody_elses_answer() {
    let bench = Bench::new();
    let mut commands = odd_commands();
    let odd = commands.len();
    commands.insert(0, answer(1, &["/first"]));
    commands.push(answer(2, &["/last"]));
    let ended = bench.run("jsonl", document(&commands));
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    let events = bench.events();
    let paths: Vec<_> = events.iter().filter_map(|event| event["file"]["path"].as_str()).collect();
    assert!(paths.first() == Some(&"/first") && paths.last() == Some(&"/last"), "{paths:?}");
    assert_eq!(events.last().unwrap()["mig"]["summary"]["commands"], odd + 2);
    assert_eq!(ids(&events).len(), events.len());
}

#[test]
fn any_form_of_the_document_is_read() {
    let bench = Bench::new();
    let text = document(&[answer(1, &["/a"]), answer(2, &["/b"])]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let (action, commands) = (&value["action"], &value["commands"]);
    let forms = [
        text.clone(),
        serde_json::to_string_pretty(&value).unwrap(),
        format!("\u{feff}{{\"commands\":{commands},\"other\":[1,{{}}],\"action\":{action}}}\r\n"),
    ];
    for form in &forms {
        assert_eq!(bench.run("jsonl", form).status, 0, "{form}");
    }
    assert_eq!(ended(&mut bench.shell_command("cat | ./jsonl", text.as_bytes())).status, 0);
    let events = bench.events();
    assert_eq!(events.len(), 12);
    assert_eq!(ids(&events).len(), 3);
}

#[test]
fn nothing_is_told_of_a_document_that_is_not_whole() {
    let bench = Bench::new();
    let text = document(&[answer(1, &["/a"]), answer(2, &["/b"])]);
    let cuts = (0..text.len()).step_by(97).map(|end| text[..end].to_owned());
    let others = ["[]", "{}", "null", "{\"action\":3}", "{\"a\" 1}", "{[1]:2}", "{\"action\":{}}}"];
    for broken in cuts.chain(others.map(str::to_owned)) {
        let ended = bench.run("jsonl", &broken);
        assert_eq!(ended.status, 1, "{broken}");
        assert!(ended.stderr.starts_with("jsonl: th"), "{ended:?}");
        assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    }
    assert!(!bench.path("findings.jsonl").exists());
}

#[test]
fn a_large_document_takes_little_memory() {
    let bench = Bench::new();
    // What is looked at and not told.
    let padding = json!([{"elements": {}, "statistics": "x".repeat(4000), "foundanything": false}]);
    let told =
        |id| if id % 2 == 0 { answer(id, &["/a"]) } else { command(id, "success", &padding) };
    let text = document(&(0..20_000).map(told).collect::<Vec<_>>());
    // KiB of address space, of which the interpreter takes a third.
    let script = "ulimit -v 98304 && exec ./jsonl";
    let ended = ended(&mut bench.shell_command(script, text.as_bytes()));
    assert_eq!((ended.status, ended.stderr.as_str()), (0, ""));
    let events = bench.events();
    assert_eq!(events.len(), 10_001);
    assert_eq!(ids(&events).len(), 10_001);
}

#[test]
fn what_cannot_be_appended_whole_is_not_appended() {
    let bench = Bench::new();
    bench.write("findings.jsonl", "{}\n");
    let padding = "x".repeat(4000);
    let commands: Vec<_> = (0..1000).map(|id| answer(id, &[&padding])).collect();
    let script = "trap '' XFSZ; ulimit -f 4096 && exec ./jsonl";
    let ended_ = ended(&mut bench.shell_command(script, document(&commands).as_bytes()));
    assert_eq!(ended_.status, 1, "{ended_:?}");
    assert!(ended_.stderr.contains("findings.jsonl: File too large"), "{ended_:?}");
    assert_eq!(fs::read_to_string(bench.path("findings.jsonl")).unwrap(), "{}\n");
    bench.write("jsonl.conf", "[jsonl]\nfile = /dev/full\n");
    let ended_ = bench.run("jsonl", document(&[]));
    assert_eq!(ended_.status, 1);
    assert!(ended_.stderr.contains("/dev/full is not a regular file"), "{ended_:?}");
}

#[test]
fn a_torn_line_stays_alone() {
    let bench = Bench::new();
    bench.write("findings.jsonl", "{\"torn");
    assert_eq!(bench.run("jsonl", document(&[])).status, 0);
    let text = fs::read_to_string(bench.path("findings.jsonl")).unwrap();
    assert!(text.starts_with("{\"torn\n{\"@timestamp\""), "{text}");
}

#[test]
fn the_lines_of_runs_at_once_do_not_mix() {
    let bench = Bench::new();
    let padding = "x".repeat(10_000);
    let commands: Vec<_> = (0..300).map(|id| answer(id, &[&padding])).collect();
    let text = document(&commands);
    let children: Vec<_> =
        (0..4).map(|_| bench.command("jsonl", text.as_bytes()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let events = bench.events();
    assert_eq!(events.len(), 4 * 301);
    for run in events.chunks(301) {
        assert_eq!(run[300]["event"]["dataset"], "mig.run");
    }
}

#[test]
fn faults_of_the_settings_are_told_with_their_lines() {
    let bench = Bench::new();
    bench.write(
        "jsonl.conf",
        "; c\n[jsonl]\nfiel = \"x\"\nagents = some\nmode = 0777\nfile = \"a\n[other\n[loose]\nx = 1\n",
    );
    let ended_ = bench.run("jsonl", document(&[]));
    assert_eq!(ended_.status, 1);
    let path = bench.path("jsonl.conf").display().to_string();
    let said: Vec<_> = ended_.stderr.lines().map(|line| line.replace(&path, "FILE")).collect();
    assert_eq!(
        said,
        [
            "jsonl: FILE:3: unknown key fiel: did you mean file?",
            "jsonl: FILE:4: agents: some is none of failed, all",
            "jsonl: FILE:5: mode: 0777 are no permissions of a log: write 0600, 0640 or 0644",
            "jsonl: FILE:6: the closing quote is missing",
            "jsonl: FILE:7: this is no section: write [section]",
            "jsonl: FILE:8: unknown section loose: did you mean jsonl?",
        ]
    );
    assert!(!bench.path("findings.jsonl").exists());
}

#[test]
fn the_plugins_explain_themselves_and_compile() {
    let bench = Bench::new();
    for plugin in ["jsonl", "mozdef"] {
        let ended_ = ended(&mut bench.shell_command(&format!("./{plugin} --help"), b""));
        assert_eq!((ended_.status, ended_.stderr.as_str()), (0, ""));
        assert!(ended_.stdout.contains(&format!("usage: {plugin}")), "{ended_:?}");
        let ended_ = ended(&mut bench.shell_command(&format!("./{plugin} x"), b""));
        assert_eq!(ended_.status, 1);
    }
    // Into the one folder that is no part of the template, so that nothing is left elsewhere.
    let script = "for name in jsonl mozdef *.py; do python3 -W error -c \
        'import py_compile, sys; py_compile.compile(sys.argv[1], \"../compiled\", doraise=True)' \
        $name || exit 1; done";
    let ended_ = ended(&mut bench.shell_command(script, b""));
    assert_eq!((ended_.status, ended_.stderr.as_str()), (0, ""));
}
