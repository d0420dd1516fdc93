//! The manual pages about plugins and actions: their examples work, and their lists are complete.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::http::{Answer, Server};
use super::rig::{Rig, answer, command, document};

const PAGES: [&str; 4] =
    ["mig-action.5", "mig-runner-jsonl.1", "mig-runner-mozdef.1", "mig-runner-plugin.7"];

fn source(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// Returns the literal displays of a page as a reader sees them.
fn displays(page: &str) -> Vec<String> {
    let page = source(&format!("man/{page}"));
    let (mut displays, mut inside) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match &mut inside {
            None if line.starts_with(".Bd -literal") => inside = Some(String::new()),
            Some(_) if line == ".Ed" => displays.extend(inside.take()),
            Some(text) => {
                let mut line = line.to_owned();
                for (escape, shown) in [
                    ("\\&", ""),
                    ("\\(aq", "'"),
                    ("\\(ga", "`"),
                    ("\\-", "-"),
                    ("\\(ha", "^"),
                    ("\\(ti", "~"),
                ] {
                    line = line.replace(escape, shown);
                }
                *text += &(line.replace("\\e", "\\") + "\n");
            }
            None => {}
        }
    }
    displays
}

/// Returns the display of a page that contains `beginning`.
fn example(page: &str, beginning: &str) -> String {
    let found = displays(page).into_iter().find(|text| text.contains(beginning));
    found.unwrap_or_else(|| panic!("no example {beginning} in {page}"))
}

/// Installs an example as a plugin.
fn install(rig: &Rig, name: &str) {
    rig.write("example", example("mig-runner-plugin.7", &format!("# {name}: ")));
    // By another process: a file written by this one may still be open in a child of another test.
    let script = format!("cp example plugins/{name} && chmod 700 plugins/{name}");
    let copied = Command::new("/bin/sh").args(["-c", &script]).current_dir(rig.path(".")).status();
    assert!(copied.unwrap().success());
}

#[test]
fn pages_are_well_formed() {
    for page in PAGES {
        let lint = Command::new("mandoc")
            .args(["-Tlint", "-W", "warning"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("man").join(page))
            .output()
            .expect("mandoc is missing: install the package mandoc, as `.ci/packages test` does");
        assert!(lint.status.success(), "{}", String::from_utf8_lossy(&lint.stdout));
        for display in displays(page) {
            assert!(display.lines().all(|line| line.len() <= 75), "too wide in {page}: {display}");
        }
    }
}

#[test]
fn shell_example_keeps_each_document_once() {
    let rig = Rig::new();
    install(&rig, "archive");
    let text = document(&[answer(1, &["/a"])]);
    for _ in 0..2 {
        let output = rig.run("archive", &text);
        assert_eq!((output.status, output.stderr.as_str()), (0, ""), "{output:?}");
    }
    let kept = rig.path("archive/passwd");
    let names: Vec<_> =
        fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["28052712325147.json.gz"]);
    let unpacked = Command::new("gzip").args(["-dc"]).arg(kept.join(&names[0])).output().unwrap();
    assert_eq!(String::from_utf8(unpacked.stdout).unwrap(), text);
    fs::remove_dir_all(rig.path("archive")).unwrap();
    rig.write("archive", "in the way");
    assert_eq!(rig.run("archive", &text).status, 75);
}

#[test]
fn python_example_reports_to_a_server() {
    let rig = Rig::new();
    install(&rig, "webhook");
    let text = document(&[answer(1, &["/a"]), answer(2, &[]), command(3, "expired", &Value::Null)]);
    for (answer, status) in [
        (Answer::Status(200), 0),
        (Answer::Status(404), 1),
        (Answer::Status(429), 75),
        (Answer::Status(503), 75),
        (Answer::Close, 75),
    ] {
        let server = Server::new(std::slice::from_ref(&answer));
        rig.write("webhook.url", format!("http://127.0.0.1:{}/hook\n", server.port));
        let output = rig.run("webhook", &text);
        assert_eq!(output.status, status, "{answer:?} {output:?}");
        assert_eq!(output.stderr.lines().count(), usize::from(status != 0), "{output:?}");
        let body: Value = serde_json::from_str(&server.take()[0].body).unwrap();
        assert_eq!(
            body,
            json!({"id": "passwd.20261122T005600Z", "job": "passwd", "found": ["agent-1"],
                   "silent": {"agent-3": "expired"}})
        );
    }
}

#[test]
fn actions_of_the_page_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let actions: Vec<_> =
        displays("mig-action.5").into_iter().filter(|text| text.starts_with('{')).collect();
    let mut modules = Vec::new();
    for text in &actions {
        let path = folder.path().join("action.json");
        fs::write(&path, text).unwrap();
        for form in [&[][..], &["--json"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_mig-runner"))
                .arg("action")
                .arg(&path)
                .args(form)
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let messages = String::from_utf8(output.stderr).unwrap();
            assert!(output.status.success(), "{text}: {messages}");
            assert_eq!(messages, "", "{text}");
            assert!(!output.stdout.is_empty());
        }
        let action: Value = serde_json::from_str(text).unwrap();
        for operation in action["operations"].as_array().unwrap() {
            modules.push(operation["module"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(modules, ["file", "pkg", "netstat", "timedrift", "ping"]);
}

#[test]
fn page_lists_the_whole_environment_of_a_plugin() {
    let (page, code) = (source("man/mig-runner-plugin.7"), source("src/plugin/run.rs"));
    let names = |text: &str, before: &str, after: char| -> Vec<String> {
        let parts = text.split(before).skip(1);
        let mut names: Vec<_> =
            parts.map(|part| part.split(after).next().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let given = names(&code, ".env(\"", '"');
    assert!(given.len() > 6);
    assert_eq!(names(&page, ".It Ev ", '\n'), given);
}

#[test]
fn pages_list_all_settings_of_the_plugins() {
    let rig = Rig::new();
    for (plugin, page) in [("jsonl", "mig-runner-jsonl.1"), ("mozdef", "mig-runner-mozdef.1")] {
        let script = format!(
            "import importlib.machinery as m; \
             known = m.SourceFileLoader('x', './{plugin}').load_module().KNOWN; \
             print(*sorted(key for keys in known.values() for key in keys))"
        );
        let script = format!("exec python3 -W ignore -B -c \"{script}\"");
        let output = super::rig::run_to_end(&mut rig.shell_command(&script, b""));
        assert_eq!((output.status, output.stderr.as_str()), (0, ""));
        let page = source(&format!("man/{page}"));
        let mut listed: Vec<_> =
            page.lines().filter_map(|line| line.strip_prefix(".It Cm ")).collect();
        listed.sort_unstable();
        assert_eq!(listed.join(" "), output.stdout.trim(), "{plugin}");
    }
}
