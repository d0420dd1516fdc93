//! jsonl: every event exactly once, one per line, all of a run or none.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::rig::{Rig, answer, command, document, odd_commands, recorded, run_to_end};

fn datasets(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["event"]["dataset"].as_str().unwrap()).collect()
}

fn ids(events: &[Value]) -> HashSet<&str> {
    events.iter().map(|event| event["event"]["id"].as_str().unwrap()).collect()
}

#[test]
fn repeated_run_yields_events_with_the_same_ids() {
    let rig = Rig::new();
    let output = rig.run("jsonl", recorded("passwd.json"));
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    assert!(output.stdout.starts_with("1 findings of 1 agents appended to "), "{output:?}");
    let first = rig.events();
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

    let mut again = rig.command("jsonl", recorded("passwd.json").as_bytes());
    assert_eq!(run_to_end(again.env("MIG_ATTEMPT", "2")).status, 0);
    let all = rig.events();
    assert_eq!(all.len(), 4);
    assert_eq!(ids(&all[2..]), ids(&first));
    assert_eq!((&all[1]["mig"]["attempt"], &all[3]["mig"]["attempt"]), (&json!(1), &json!(2)));
    let left = fs::read_dir(rig.path("plugins")).unwrap().count();
    assert_eq!(left, 7, "a file was left in the plugins folder");
    assert_eq!(
        fs::metadata(rig.path("findings.jsonl")).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn element_of_an_unknown_module_is_kept_whole() {
    let rig = Rig::new();
    assert_eq!(rig.run("jsonl", recorded("compressed.json")).status, 0);
    let events = rig.events();
    assert_eq!(events[0]["mig"]["module"], "ping");
    assert_eq!(events[0]["mig"]["element"]["resolvedhost"], "127.0.0.1 (127.0.0.1)");
    assert_eq!(rig.run("jsonl", recorded("no-commands.json")).status, 0);
    assert_eq!(datasets(&rig.events()[2..]), ["mig.run"]);
}

#[test]
fn elements_become_fields_of_the_common_schema() {
    let rig = Rig::new();
    let results = json!([
        {"elements": {"l": [{"file": "/a/b", "fileinfo": {"mode": "dugtrwxr-x--T", "size": 1}}]}},
        {"elements": {"packages": [{"name": "n", "version": "1:2", "type": "dpkg", "arch": "amd64"}]}},
        {"elements": {"connectedip": {"::/0": [{"localaddr": "::1", "localport": 22,
            "remoteaddr": "0:0::2", "remoteport": 4711}, {"localaddr": "masked"}], "10.0.0.0/8": null},
            "localmac": {".": [{"localmacaddr": "02:fc:00:00:00:01"}]}}},
    ]);
    let text = document(&[command(1, "success", &results)]);
    assert_eq!(rig.run("jsonl", text).status, 0);
    let events = rig.events();
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
    // A text that is not an address is only in mig.element: an index would refuse the event.
    assert_eq!(events[3]["source"], Value::Null);
    assert_eq!(events[3]["mig"]["element"]["localaddr"], "masked");
    assert_eq!(events[4]["source"]["mac"], "02-FC-00-00-00-01");
}

/// Checks every recorded answer of the file module: one finding for each file.
#[test]
fn every_recorded_file_becomes_one_finding() {
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
    let rig = Rig::new();
    assert_eq!(rig.run("jsonl", document(&commands)).status, 0);
    let events = rig.events();
    let found = datasets(&events).iter().filter(|name| **name == "mig.finding").count();
    assert_eq!(found, files);
    assert_eq!(ids(&events).len(), events.len());
    let summary = &events.last().unwrap()["mig"]["summary"];
    assert_eq!(summary["commands"], commands.len());
    assert_eq!(summary["findings"], files);
}

#[test]
fn failed_agents_become_events() {
    let rig = Rig::new();
    let complaint = json!([{"foundanything": false, "elements": {"l": null}, "errors": ["e1"]}]);
    let text = document(&[
        answer(1, &["/a", "/a", "/b"]),
        answer(2, &[]),
        command(3, "expired", &Value::Null),
        command(4, "failed", &json!([])),
        command(5, "success", &complaint),
    ]);
    assert_eq!(rig.run("jsonl", &text).status, 0);
    let events = rig.events();
    let agents: Vec<_> = events
        .iter()
        .filter(|event| event["event"]["dataset"] == "mig.agent")
        .map(|event| {
            let outcome = event["event"]["outcome"].as_str().unwrap();
            (event["mig"]["status"].as_str().unwrap(), outcome, event["error"]["message"].clone())
        })
        .collect();
    assert_eq!(
        agents,
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
    rig.write("jsonl.conf", "[jsonl]\nagents = all\nfile = \"all.jsonl\" ; c\nmode = 0640\n");
    assert_eq!(rig.run("jsonl", &text).status, 0);
    let all = fs::read_to_string(rig.path("all.jsonl")).unwrap();
    assert_eq!(all.matches("\"mig.agent\"").count(), 5);
    assert_eq!(fs::metadata(rig.path("all.jsonl")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn odd_answers_do_not_affect_other_agents() {
    let rig = Rig::new();
    let mut commands = odd_commands();
    let odd = commands.len();
    commands.insert(0, answer(1, &["/first"]));
    commands.push(answer(2, &["/last"]));
    let output = rig.run("jsonl", document(&commands));
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    let events = rig.events();
    let paths: Vec<_> = events.iter().filter_map(|event| event["file"]["path"].as_str()).collect();
    assert!(paths.first() == Some(&"/first") && paths.last() == Some(&"/last"), "{paths:?}");
    assert_eq!(events.last().unwrap()["mig"]["summary"]["commands"], odd + 2);
    assert_eq!(ids(&events).len(), events.len());
}

#[test]
fn every_form_of_the_document_is_read() {
    let rig = Rig::new();
    let text = document(&[answer(1, &["/a"]), answer(2, &["/b"])]);
    let value: Value = serde_json::from_str(&text).unwrap();
    let (action, commands) = (&value["action"], &value["commands"]);
    let forms = [
        text.clone(),
        serde_json::to_string_pretty(&value).unwrap(),
        format!("\u{feff}{{\"commands\":{commands},\"other\":[1,{{}}],\"action\":{action}}}\r\n"),
    ];
    for form in &forms {
        assert_eq!(rig.run("jsonl", form).status, 0, "{form}");
    }
    assert_eq!(run_to_end(&mut rig.shell_command("cat | ./jsonl", text.as_bytes())).status, 0);
    let events = rig.events();
    assert_eq!(events.len(), 12);
    assert_eq!(ids(&events).len(), 3);
}

#[test]
fn incomplete_document_yields_no_events() {
    let rig = Rig::new();
    let text = document(&[answer(1, &["/a"]), answer(2, &["/b"])]);
    let cuts = (0..text.len()).step_by(97).map(|end| text[..end].to_owned());
    let others = ["[]", "{}", "null", "{\"action\":3}", "{\"a\" 1}", "{[1]:2}", "{\"action\":{}}}"];
    for broken in cuts.chain(others.map(str::to_owned)) {
        let output = rig.run("jsonl", &broken);
        assert_eq!(output.status, 1, "{broken}");
        assert!(output.stderr.contains("results document"), "{output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    }
    assert!(!rig.path("findings.jsonl").exists());
}

#[test]
fn large_document_takes_little_memory() {
    let rig = Rig::new();
    // Commands that are read without becoming events.
    let padding = json!([{"elements": {}, "statistics": "x".repeat(4000), "foundanything": false}]);
    let command =
        |id| if id % 2 == 0 { answer(id, &["/a"]) } else { command(id, "success", &padding) };
    let text = document(&(0..20_000).map(command).collect::<Vec<_>>());
    // KiB of address space, a third of which the interpreter takes.
    let script = "ulimit -v 98304 && exec ./jsonl";
    let output = run_to_end(&mut rig.shell_command(script, text.as_bytes()));
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
    let events = rig.events();
    assert_eq!(events.len(), 10_001);
    assert_eq!(ids(&events).len(), 10_001);
}

#[test]
fn failed_append_leaves_the_file_unchanged() {
    let rig = Rig::new();
    rig.write("findings.jsonl", "{}\n");
    let padding = "x".repeat(4000);
    let commands: Vec<_> = (0..1000).map(|id| answer(id, &[&padding])).collect();
    let script = "trap '' XFSZ; ulimit -f 4096 && exec ./jsonl";
    let output = run_to_end(&mut rig.shell_command(script, document(&commands).as_bytes()));
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("findings.jsonl: File too large"), "{output:?}");
    assert_eq!(fs::read_to_string(rig.path("findings.jsonl")).unwrap(), "{}\n");
    rig.write("jsonl.conf", "[jsonl]\nfile = /dev/full\n");
    let output = rig.run("jsonl", document(&[]));
    assert_eq!(output.status, 1);
    assert!(output.stderr.contains("/dev/full is not a regular file"), "{output:?}");
}

#[test]
fn incomplete_last_line_is_left_alone() {
    let rig = Rig::new();
    rig.write("findings.jsonl", "{\"torn");
    assert_eq!(rig.run("jsonl", document(&[])).status, 0);
    let text = fs::read_to_string(rig.path("findings.jsonl")).unwrap();
    assert!(text.starts_with("{\"torn\n{\"@timestamp\""), "{text}");
}

#[test]
fn events_of_concurrent_runs_do_not_mix() {
    let rig = Rig::new();
    let padding = "x".repeat(10_000);
    let commands: Vec<_> = (0..300).map(|id| answer(id, &[&padding])).collect();
    let text = document(&commands);
    let children: Vec<_> =
        (0..4).map(|_| rig.command("jsonl", text.as_bytes()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let events = rig.events();
    assert_eq!(events.len(), 4 * 301);
    for run in events.chunks(301) {
        assert_eq!(run[300]["event"]["dataset"], "mig.run");
    }
}

#[test]
fn settings_faults_name_their_lines() {
    let rig = Rig::new();
    rig.write(
        "jsonl.conf",
        "; c\n[jsonl]\nfiel = \"x\"\nagents = some\nmode = 0777\nfile = \"a\n[other\n[loose]\nx = 1\n",
    );
    let output = rig.run("jsonl", document(&[]));
    assert_eq!(output.status, 1);
    let path = rig.path("jsonl.conf").display().to_string();
    let lines: Vec<_> = output.stderr.lines().map(|line| line.replace(&path, "FILE")).collect();
    assert_eq!(
        lines,
        [
            "jsonl: FILE:3: unknown key fiel: did you mean file?",
            "jsonl: FILE:4: agents: some is not one of failed, all",
            "jsonl: FILE:5: mode: 0777 is not a mode for a log file: write 0600, 0640 or 0644",
            "jsonl: FILE:6: the closing quote is missing",
            "jsonl: FILE:7: not a section: write [section]",
            "jsonl: FILE:8: unknown section loose: did you mean jsonl?",
        ]
    );
    assert!(!rig.path("findings.jsonl").exists());
}

#[test]
fn plugins_have_help_and_compile() {
    let rig = Rig::new();
    for plugin in ["jsonl", "mozdef"] {
        let output = run_to_end(&mut rig.shell_command(&format!("./{plugin} --help"), b""));
        assert_eq!((output.status, output.stderr.as_str()), (0, ""));
        assert!(output.stdout.contains(&format!("usage: {plugin}")), "{output:?}");
        let output = run_to_end(&mut rig.shell_command(&format!("./{plugin} x"), b""));
        assert_eq!(output.status, 1);
    }
    // Compiled into a folder outside the template, so that no other file changes.
    let script = "for name in jsonl mozdef *.py; do python3 -W error -c \
        'import py_compile, sys; py_compile.compile(sys.argv[1], \"../compiled\", doraise=True)' \
        $name || exit 1; done";
    let output = run_to_end(&mut rig.shell_command(script, b""));
    assert_eq!((output.status, output.stderr.as_str()), (0, ""));
}
