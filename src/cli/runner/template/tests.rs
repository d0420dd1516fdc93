//! Checks the template in the source, and a directory that was created from it.

#![expect(clippy::disallowed_methods, reason = "tests read files directly")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::config::runner::RunnerConfig;
use crate::disk::{COMMAND_PREFIX, RealFs};
use crate::job::folders::Jobs;
use crate::names::RunId;
use crate::plugin::Plugins;
use crate::plugin::run::{OUTPUT_BYTES_MAX, PluginCall, PluginLimits, PluginOutcome, run};
use crate::wake::Stop;

/// Returns every file below `folder` with its permissions, and every folder without a file.
fn tree(folder: &Path) -> Vec<(String, u32)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, u32)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            found.push((name, mode));
            if path.is_dir() {
                walk(root, &path, found);
            }
        }
    }
    let mut found = Vec::new();
    walk(folder, folder, &mut found);
    found.sort();
    found
}

fn new() -> (tempfile::TempDir, PathBuf) {
    let guard = tempfile::tempdir().unwrap();
    let folder = create(&guard.path().join("a \"b\\")).unwrap();
    (guard, folder)
}

#[test]
fn all_template_files_are_compiled_in() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("spool-template");
    let mut found: Vec<_> = tree(&source).into_iter().map(|(name, _)| name).collect();
    found.retain(|name| !source.join(name).is_dir() && !name.ends_with(".service"));
    let mut known: Vec<_> = TEMPLATE.iter().map(|(name, ..)| (*name).to_owned()).collect();
    known.extend(FOLDERS.map(|name| format!("{name}/.keep")));
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn created_directory_is_private_and_configured() {
    let (_guard, folder) = new();
    for (name, mode) in tree(&folder) {
        let is_plugin = name.starts_with("plugins/") && !name.ends_with(".py");
        let private = if folder.join(&name).is_dir() || is_plugin { 0o700 } else { 0o600 };
        assert_eq!(mode, private, "{name}");
    }
    assert!(FOLDERS.iter().all(|name| folder.join(name).is_dir()));
    assert_eq!(fs::read_dir(folder.join(SCRATCH)).unwrap().count(), 0);
    let config = fs::read_to_string(folder.join("runner.cfg")).unwrap();
    assert!(config.contains("/a \\\"b\\\\\"   ; contains"), "{config}");
    assert!(!config.contains(DIRECTORY));
}

#[test]
fn created_jobs_are_valid_and_paused() {
    let (_guard, folder) = new();
    let file = folder.join("runner.cfg");
    let config = RunnerConfig::parse(&fs::read(&file).unwrap(), &file).unwrap();
    assert_eq!(config.directory, folder);
    let disk = Disk::new(Arc::new(RealFs), folder.join(SCRATCH), COMMAND_PREFIX);
    let user = rustix::process::geteuid().as_raw();
    let mut jobs = Jobs::new(disk, folder.join("runners"), user, TimeZone::UTC);
    jobs.scan(Timestamp::UNIX_EPOCH).unwrap();
    assert!(jobs.rejections().next().is_none(), "{jobs:?}");
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["authorized-keys", "setuid", "world-writable"]);
    let plugins = Plugins::new(folder.join("plugins"));
    for job in jobs.iter() {
        assert!(job.config.paused, "{}", job.name);
        for plugin in &job.config.plugins {
            plugins.find(plugin).unwrap();
        }
    }
}

/// Returns the error of creating a directory.
fn error(folder: &Path) -> Failure {
    create(folder).unwrap_err()
}

#[test]
fn existing_files_are_never_overwritten() {
    let guard = tempfile::tempdir().unwrap();
    let taken = guard.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join(".mine"), "").unwrap();
    assert!(matches!(error(&taken).downcast_ref(), Some(TemplateError::NotEmpty { .. })));
    assert_eq!(fs::read_dir(&taken).unwrap().count(), 1);
    let file = taken.join(".mine");
    assert!(matches!(error(&file).downcast_ref(), Some(TemplateError::NotFolder { .. })));
    let odd = guard.path().join("a\nb");
    assert!(matches!(error(&odd).downcast_ref(), Some(TemplateError::Name { .. })));
    assert!(!odd.exists());
}

#[test]
fn existing_empty_folder_becomes_private() {
    let guard = tempfile::tempdir().unwrap();
    fs::set_permissions(guard.path(), Permissions::from_mode(0o775)).unwrap();
    create(guard.path()).unwrap();
    assert_eq!(fs::metadata(guard.path()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn folder_that_others_could_exchange_is_refused() {
    let guard = tempfile::tempdir().unwrap();
    let above = guard.path().canonicalize().unwrap().join("above");
    fs::create_dir(&above).unwrap();
    let chmod = |mode| fs::set_permissions(&above, Permissions::from_mode(mode)).unwrap();
    chmod(0o777);
    for name in ["new", "new/below"] {
        let failure = error(&above.join(name));
        assert_eq!(failure.exit(), Exit::Permission);
        let text = failure.to_string();
        let remedy = format!("name one elsewhere{}", or_chmod(&above, trust::own_user()));
        assert!(text.ends_with(&remedy), "{text}");
        assert!(!above.join("new").exists(), "nothing is created");
    }
    // In a folder such as /tmp, users cannot exchange the files of others.
    chmod(0o1777);
    create(&above.join("new")).unwrap();
}

/// Runs the sample plugin on `results`; returns its outcome, its output and its report.
fn report(results: &str) -> (PluginOutcome, String, String) {
    let (_guard, folder) = new();
    let document = folder.join("results.json");
    fs::write(&document, results).unwrap();
    let name = "report.sh".parse().unwrap();
    // Copy the plugin with cp: a file that this process wrote may still be open in a child that
    // another test has just forked, and then cannot be executed.
    let plugin = folder.join("plugins/report.sh");
    let copied = Command::new("cp").arg(&plugin).arg(plugin.with_extension("copy")).status();
    assert!(copied.unwrap().success());
    fs::rename(plugin.with_extension("copy"), &plugin).unwrap();
    let executable = Plugins::new(folder.join("plugins")).find(&name).unwrap();
    let id: RunId = "setuid.20261122T120010Z".parse().unwrap();
    let delivery = PluginCall {
        job: &"setuid".parse().unwrap(),
        plugin: &name,
        run: &id,
        action: crate::names::ActionId(42),
        attempt: 1,
        results: &document,
    };
    let limits = PluginLimits {
        timeout: std::time::Duration::from_secs(60),
        output_bytes_max: OUTPUT_BYTES_MAX,
    };
    let ended = run(&executable, &delivery, &limits, &Stop::new());
    let report = folder.join("reports").join(format!("{id}.txt"));
    let report = if report.exists() { fs::read_to_string(report).unwrap() } else { String::new() };
    (ended.outcome, ended.output, report)
}

#[test]
fn sample_plugin_reports_recorded_run() {
    let recorded = include_str!("../../../../tests/data/plugin/results.json");
    let (outcome, output, report) = report(recorded);
    assert!(matches!(outcome, PluginOutcome::Delivered), "{outcome:?}: {output}");
    assert!(report.starts_with("\nvm\n  -rw-r--r--        1349  /"), "{report}");
    assert!(report.contains("  /etc/passwd\n"), "{report}");
    assert!(report.ends_with("1 files found on 1 of 1 agents, 0 without an answer\n"), "{report}");
    assert!(output.ends_with("answer: reports/setuid.20261122T120010Z.txt"), "{output}");
}

#[test]
fn sample_plugin_accepts_any_agent_output() {
    let results = r#"{"action":{"id":42,"target":"name='a\"b'"},"commands":[
        {"id":1,"agent":{"name":"one"},"status":"success","results":[{"foundanything":true,
         "elements":{"s\\":[{"file":"/a \\\"\n\u001b[2J{},[]\u003c","fileinfo":{"size":7,
         "mode":"urwxr-xr-x","sha256":"AB"}},{"file":"","fileinfo":{"size":0}}],"t":null},
         "errors":["ERROR: open /x: permission denied"]}]},
        {"id":2,"agent":{"name":"two"},"status":"expired","results":null},
        {"results":[{"elements":{"commands":[{"file":""}]},"foundanything":false}],
         "status":"success","agent":{"name":"three"}}
        ],"name":"setuid","plugin":"report.sh"}"#;
    let (outcome, output, report) = report(results);
    assert!(matches!(outcome, PluginOutcome::Delivered), "{outcome:?}: {output}");
    assert_eq!(
        report,
        format!(
            "\none\n  urwxr-xr-x           7  /a \\\\\"\\n\\u001b[2J{{}},[]<\n    sha256 AB\n  \
             ! ERROR: open /x: permission denied\n\
             \ndid not answer, or failed:\n  two (expired)\n\
             \njob setuid, run setuid.20261122T120010Z, action 42, target name='a\"b'\n\
             1 files found on 1 of 3 agents, 1 without an answer\n"
        )
    );
}

#[test]
fn sample_plugin_reports_the_agent_of_a_placeholder_as_failed() {
    let results = r#"{"action":{"id":42,"target":"t"},"commands":[
        {"id":1,"action":{"name":"a"},"agent":{"name":"five"},"status":"failed","results":[
         {"foundanything":false,"success":false,"elements":null,"statistics":null,
          "errors":["the answer has 70 bytes"]}],
         "toolarge":{"bytes":70,"limit":64,"status":"success"}}
        ],"name":"setuid","plugin":"report.sh"}"#;
    let (outcome, output, report) = report(results);
    assert!(matches!(outcome, PluginOutcome::Delivered), "{outcome:?}: {output}");
    assert!(report.contains("did not answer, or failed:\n  five (failed)\n"), "{report}");
}

#[test]
fn sample_plugin_refuses_incomplete_results() {
    for results in ["", "{", r#"{"commands":[{"status":"success""#] {
        let (outcome, output, report) = report(results);
        assert!(matches!(outcome, PluginOutcome::Failed { .. }), "{results}: {outcome:?}");
        assert!(output.contains("incomplete"), "{output}");
        assert_eq!(report, "");
    }
}
