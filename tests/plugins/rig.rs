//! A runner's directory with the template's plugins, and results documents.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// The `PATH` of a plugin that the runner starts.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A runner's directory that is removed after its test.
pub(super) struct Rig {
    folder: tempfile::TempDir,
}

/// The result of a plugin's run.
#[derive(Debug)]
pub(super) struct PluginRun {
    pub(super) status: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Rig {
    /// Returns a directory with a copy of the template's plugins.
    pub(super) fn new() -> Rig {
        let python = Command::new("python3").arg("--version").env("PATH", PATH).output();
        assert!(
            python.is_ok_and(|python| python.status.success()),
            "python3 is missing: install the package python3, as `.ci/packages test` does"
        );
        let folder = tempfile::tempdir().unwrap();
        // Copied by another process: a file written by this one may still be open in a child that
        // another test has just forked, and could then not be executed.
        let template = Path::new(env!("CARGO_MANIFEST_DIR")).join("spool-template/plugins");
        let copied = Command::new("cp").arg("-r").args([&template, folder.path()]).status();
        assert!(copied.unwrap().success());
        Rig { folder }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Returns the command of a plugin as the runner starts it: environment, folder, stdin.
    pub(super) fn command(&self, plugin: &str, document: &[u8]) -> Command {
        self.shell_command(&format!("exec ./{plugin}"), document)
    }

    /// Returns the same for a shell script.
    pub(super) fn shell_command(&self, script: &str, document: &[u8]) -> Command {
        let mut results = tempfile::tempfile_in(self.folder.path()).unwrap();
        results.write_all(document).unwrap();
        std::io::Seek::rewind(&mut results).unwrap();
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", script])
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C.UTF-8")
            .env("MIG_PLUGIN", "plugin")
            .env("MIG_JOB", "passwd")
            .env("MIG_RUN", "passwd.20261122T005600Z")
            .env("MIG_ACTION_ID", "28052712325147")
            .env("MIG_ATTEMPT", "1")
            .env("MIG_RESULTS", "/nonexistent/results.json")
            .current_dir(self.path("plugins"))
            .process_group(0)
            .stdin(results)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, plugin: &str, document: impl AsRef<[u8]>) -> PluginRun {
        run_to_end(&mut self.command(plugin, document.as_ref()))
    }

    /// Returns the events that jsonl appended; every line must be an event.
    pub(super) fn events(&self) -> Vec<Value> {
        let path = self.path("findings.jsonl");
        let text = if path.exists() { fs::read_to_string(path).unwrap() } else { String::new() };
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs a command to its end.
pub(super) fn run_to_end(command: &mut Command) -> PluginRun {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    PluginRun {
        status: output.status.code().expect("output by a signal"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Returns a document from `tests/data/plugins`.
pub(super) fn recorded(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/plugins");
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Returns a document with one command per line, as the runner writes it.
pub(super) fn document(commands: &[String]) -> String {
    let action = json!({
        "id": 42, "name": "mig-runner: passwd", "target": "all",
        "threat": {"ref": "r1", "level": "high", "family": "f", "type": "system"},
        "description": {"url": "https://example.test/"},
        "validfrom": "2026-11-22T00:55:00Z", "expireafter": "2026-11-22T00:56:30Z",
        "operations": [{"module": "file"}, {"module": "pkg"}, {"module": "netstat"}, {"module": "ping"}],
    });
    let commands = commands.join("\n,");
    format!(
        "{{\"action\":{action},\"commands\":[\n{commands}\n],\"name\":\"passwd\",\"plugin\":\"p\"}}"
    )
}

/// Returns the command of an agent that found these files.
pub(super) fn answer(id: u64, files: &[&str]) -> String {
    let entries: Vec<_> = files
        .iter()
        .map(|file| {
            json!({"file": file, "fileinfo": {"size": 7, "mode": "urwxr-xr-x", "sha256": "AB"},
                   "search": {"names": ["^a$"], "sizes": [">1k"], "paths": ["/x", "/y"]}})
        })
        .collect();
    let result = json!({"foundanything": !files.is_empty(), "success": true,
                        "elements": {"label": entries}, "errors": null});
    command(id, "success", &json!([result]))
}

pub(super) fn command(id: u64, status: &str, results: &Value) -> String {
    json!({"id": id, "agent": {"name": format!("agent-{id}"), "tags": null}, "status": status,
           "results": results, "starttime": "2026-11-22T00:56:01Z",
           "finishtime": "2026-11-22T00:56:04Z"})
    .to_string()
}

/// Returns commands that no agent should send and that must not affect the others.
pub(super) fn odd_commands() -> Vec<String> {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let nested = "{\"a\":".repeat(900) + "1" + &"}".repeat(900);
    let digits = "9".repeat(10_000);
    let mut odd: Vec<String> = [
        "null", "3", "\"x\"", "[]", "{}", "[[[]]]", r#"{"results":3,"agent":[],"status":{}}"#,
        r#"{"id":"x","results":[null,3,{"elements":3},{"elements":{"l":3}}],"status":"success"}"#,
        r#"{"results":[{"elements":{"l":[null,3,{"file":3},{"file":"/a","fileinfo":3,"search":3}]}}]}"#,
        r#"{"results":[{},{"elements":{"packages":[null,{"name":3}]}},{"elements":{"k":{"s":[3]}}}]}"#,
        r#"{"results":[{"foundanything":true}],"agent":{"name":"\ud800\u0000\n\u2028","environment":{"addresses":[3]}}}"#,
        r#"{"results":[{"foundanything":true,"elements":[1e999,NaN,-Infinity,1.5e300]}]}"#,
        r#"{"finishtime":"2026-11-22T00:56:04Z\n","starttime":"٢٠٢٦-11-22T00:56:04Z","id":1e999}"#,
        "{\"status\":\"\u{7f}\ttab\"}", "{\"status\":truth}", "{\"status\" \"success\"}",
    ]
    .map(str::to_owned)
    .to_vec();
    for value in [&deep, &nested, &digits] {
        odd.push(format!(r#"{{"results":[{{"foundanything":true,"elements":{value}}}]}}"#));
        odd.push(format!(
            r#"{{"id":{value},"results":[{{"elements":{{"l":[{{"file":"/a","x":{value}}}]}}}}]}}"#
        ));
        odd.push(format!(r#"{{"agent":{{"tags":{value}}},"status":"failed"}}"#));
    }
    odd
}
