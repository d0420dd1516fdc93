//! Who may import whom, checked in the source itself.
//!
//! A module imports its own children and lower layers only; a crate is used in
//! the module that it was taken in for; the second layer does no I/O; nothing is
//! public but the programs' mains; a file is no longer than can be read at once.

#![cfg(test)]

mod source;

use std::path::{Path, PathBuf};

use source::{Import, Source};

/// The modules and their layers: imports go down.
const LAYERS: [(&str, u8); 33] = [
    ("bin", 6),
    ("cli", 6),
    ("daemon", 5),
    ("agent", 5),
    ("platform", 5),
    ("stage", 4),
    ("relay", 4),
    ("job", 3),
    ("spool", 3),
    ("api", 3),
    ("pgp", 3),
    ("plugin", 3),
    ("watch", 3),
    ("logging", 3),
    ("metrics", 3),
    ("manager", 3),
    ("data", 3),
    ("modules", 2),
    ("config", 2),
    ("schedule", 2),
    ("action", 2),
    ("go", 2),
    ("disk", 1),
    ("clock", 1),
    ("wake", 1),
    ("names", 1),
    ("random", 1),
    ("spawn", 1),
    ("chain", 1),
    ("exit", 1),
    ("invocation", 1),
    // For unit tests of every layer.
    ("testing", 0),
    // The crate's root knows all, and nobody needs it.
    ("lib", 7),
];

/// Modules that the other modules of their own layer may import; they import none of those.
const BASES: [&str; 1] = ["go"];

/// Crates, or parts of them, and the only modules that use them; the longest one that fits counts.
const PINS: [(&str, &[&str]); 34] = [
    ("axum", &["platform/server"]),
    ("bytes", &["data/postgres"]),
    ("chrono", &["schedule/calendar"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli/completions"]),
    ("configparser", &["config"]),
    ("flate2", &["action", "agent"]),
    ("fs2", &["disk"]),
    ("gpgme", &["pgp"]),
    ("humantime", &["config/duration"]),
    ("native_tls", &["data/postgres"]),
    ("notify", &["watch"]),
    ("pbkdf2", &["data/apikey"]),
    ("postgres", &["data/postgres"]),
    ("postgres_native_tls", &["data/postgres"]),
    ("regex", &["go/regexp", "platform"]),
    ("reqwest", &["api"]),
    ("rusqlite", &["data"]),
    ("rustix", &[]),
    ("rustix::event", &["spawn"]),
    ("rustix::fs", &["disk", "plugin", "agent"]),
    ("rustix::io", &["agent/modules", "cli/shortage", "disk", "pgp/agent", "spawn"]),
    ("rustix::net", &["agent/modules"]),
    (
        "rustix::process",
        &["cli/platform", "disk", "pgp/agent", "plugin", "spawn", "agent", "testing"],
    ),
    ("rustix::rand", &["random"]),
    ("rustix::system", &["cli/runner/run", "logging"]),
    ("rustix::thread", &["agent/modules"]),
    ("rustix::time", &["clock"]),
    ("saffron", &["schedule/calendar"]),
    ("signal_hook", &["cli/platform", "daemon"]),
    ("slog_term", &["logging"]),
    ("sqlparser", &["platform"]),
    (
        "std::process::Command",
        &[
            "spawn",
            "plugin/run",
            "pgp/agent",
            "pgp/setup",
            "pgp/shortage",
            "agent",
            "cli/platform",
            "cli/runner/trial",
        ],
    ),
    ("tokio", &["platform/server"]),
];

/// What the second layer does without.
const IO: [&str; 6] = ["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread"];
/// The layer that does no I/O.
const THOUGHT: u8 = 2;
/// Files that may contain `pub` items: the root, with the mains of the programs.
const PUBLIC: [&str; 1] = ["lib"];
/// How long a file may be without a reason in its head.
const LINES_MAX: usize = 400;
/// How such a reason begins.
const REASON: &str = "//! Over 400 lines:";

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Returns whether the other modules of its layer may import `module`.
fn is_base(module: &str) -> bool {
    BASES.contains(&module)
}

/// Tells whether `path` is `prefix` or below it.
fn within(path: &str, prefix: &str, separator: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Returns what is wrong with a file of `src`, named by its path in it.
fn faults(name: &str, text: &str) -> Vec<String> {
    let source = Source::read(name, text);
    let mut faults = shape(name, text);
    let Some(own) = layer(source.module()) else {
        faults.push(format!("{name}:1: {} is in no layer", source.module()));
        return faults;
    };
    for import in &source.imports {
        let fault = layering(&source, own, import).or_else(|| pinning(&source, own, import));
        faults.extend(fault.map(|fault| format!("{name}:{}: {fault}", import.line)));
    }
    if !PUBLIC.contains(&source.name()) {
        faults.extend(source.public.iter().map(|line| format!("{name}:{line}: a public item")));
    }
    faults
}

fn shape(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX && !text.lines().any(|line| line.starts_with(REASON)) {
        faults.push(format!("{name}:1: {lines} lines and no \"{REASON}\" in its head"));
    }
    if !text.starts_with("//! ") {
        faults.push(format!("{name}:1: does not say what it is"));
    }
    faults
}

fn layering(source: &Source, own: u8, import: &Import) -> Option<String> {
    let other = import.module()?;
    if other == source.module() || source.module() == "lib" {
        return None;
    }
    match layer(other) {
        Some(layer) if layer < own => None,
        Some(layer) if layer == own && is_base(other) && !is_base(source.module()) => None,
        Some(layer) => Some(format!("layer {own} imports {} of layer {layer}", import.path())),
        // An item of the crate's root, which is above all.
        None => Some(format!("layer {own} imports {} of the root", import.path())),
    }
}

fn pinning(source: &Source, own: u8, import: &Import) -> Option<String> {
    if import.module().is_some() || import.in_tests {
        return None;
    }
    let path = import.path();
    if own == THOUGHT && IO.iter().any(|io| within(&path, io, "::")) {
        return Some(format!("layer {own} does no I/O and imports {path}"));
    }
    let pins = PINS.iter().filter(|(pin, _)| within(&path, pin, "::"));
    let (pin, homes) = pins.max_by_key(|(pin, _)| pin.len())?;
    let at_home = homes.iter().any(|home| within(source.name(), home, "/"));
    let homes = if homes.is_empty() { "none".to_owned() } else { homes.join(", ") };
    (!at_home).then(|| format!("imports {path}: {pin} is for {homes} only"))
}

/// Returns the files of a folder that end in `.rs`, with those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Returns what `check` finds in the files below `folder`.
fn all(folder: &str, check: impl Fn(&str, &str) -> Vec<String>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let found = files(&root);
    assert!(!found.is_empty(), "nothing in {}", root.display());
    let fault = |path: PathBuf| {
        #[expect(clippy::disallowed_methods, reason = "the source is no file of the runner's")]
        let text = std::fs::read_to_string(&path).unwrap();
        check(path.strip_prefix(&root).unwrap().to_str().unwrap(), &text)
    };
    found.into_iter().flat_map(fault).collect()
}

#[test]
fn the_source_keeps_its_layers() {
    let faults = all("src", faults);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn the_tests_can_be_read_too() {
    let faults = all("tests", shape);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Checks that a file with `code` in it has the faults that `told` names in part, and no other.
fn check(name: &str, code: &str, told: &[&str]) {
    let faults = faults(name, &format!("//! A sample.\n{code}\n"));
    assert_eq!(faults.len(), told.len(), "{code}: {faults:?}");
    for (fault, told) in faults.iter().zip(told) {
        assert!(fault.contains(told), "{code}: {fault}");
    }
}

#[test]
fn imports_go_down() {
    check("stage/fetch.rs", "use crate::spool::Spool;\nuse crate::stage::Step;", &[]);
    check(
        "spool/mod.rs",
        "use crate::stage::Step;",
        &["spool/mod.rs:2: layer 3 imports crate::stage::Step"],
    );
    check(
        "api/mod.rs",
        "\nuse crate::{pgp, names::{self, JobName}};",
        &["api/mod.rs:3: layer 3 imports crate::pgp"],
    );
    check("api/mod.rs", "fn f() { crate::spool::open() }", &["crate::spool::open of layer 3"]);
    check("api/mod.rs", "pub(crate) use crate::spool::*;", &["crate::spool::* of layer 3"]);
    check("config/mod.rs", "type X = Vec<crate::disk::Disk>;", &[]);
    check("api/mod.rs", "fn f() { Vec::<u8>::new(); <u8 as crate::spool::X>::f() }", &["::X"]);
    check("config/mod.rs", "use crate::main;", &["of the root"]);
    check("action/mod.rs", "use crate::go::json;", &[]);
    check("go/json.rs", "use crate::action::Action;", &["layer 2 imports crate::action::Action"]);
    check("disk/mod.rs", "use crate::go::time::Time;", &["layer 1 imports crate::go::time::Time"]);
    check("lib.rs", "mod cli;\npub use crate::cli::main;", &[]);
    check("other.rs", "", &["other is in no layer"]);
}

#[test]
fn a_way_round_is_seen() {
    check("api/client.rs", "use super::ApiError; use super::super::pgp::Key;", &["pgp::Key"]);
    check("watch.rs", "use super::pgp::Key;", &["layer 3 imports crate::pgp::Key"]);
    check("watch.rs", "mod tests { use super::*; use super::super::pgp::Key; }", &["crate::pgp"]);
    check("watch.rs", "mod tests { mod deeper { use super::super::*; } }", &[]);
    check("watch.rs", "mod a {}\nuse super::pgp::Key as super_key;", &["watch.rs:3:"]);
}

#[test]
fn what_is_no_code_imports_nothing() {
    check("api/mod.rs", "// use crate::spool::Run;\n/* /* x */ use crate::spool::Run; */", &[]);
    check("api/mod.rs", r##"const A: &str = r#"" crate::spool::Run"#;"##, &[]);
    check("api/mod.rs", r#"const A: &str = "\" crate::spool::Run";"#, &[]);
    check(
        "api/mod.rs",
        r"fn f<'a>(c: char) -> bool { c == '\'' || c == '\u{1}' || c == '/' }",
        &[],
    );
    check("api/mod.rs", "fn f<'a>() { 'x'; crate::spool::x() }", &["crate::spool::x"]);
}

#[test]
fn crates_stay_where_they_are_used() {
    check("watch/mod.rs", "use notify::{Event, Watcher as _};", &[]);
    check("daemon/mod.rs", "fn f(e: notify::Event) {}", &["notify is for watch only"]);
    check(
        "api/mod.rs",
        "use rustix::{fs::stat, path::Arg};",
        &["rustix::fs::stat", "rustix::path::Arg: rustix is for none"],
    );
    check("platform/server.rs", "use axum::Router;", &[]);
    check("platform/api/mod.rs", "use axum::Router;", &["axum is for platform/server"]);
    check("pgp/mod.rs", "use std::process::{Command, Stdio};", &["std::process::Command"]);
    check("pgp/tests.rs", "use std::process::Command;", &[]);
    check("action/mod.rs", "use std::{fs, io::Read};", &["does no I/O and imports std::fs"]);
    check("action/mod.rs", "mod tests { use std::fs; }", &[]);
    check("go/json.rs", "use std::env;", &["does no I/O and imports std::env"]);
}

#[test]
fn nothing_is_public_but_the_mains() {
    check("spool/mod.rs", "pub(crate) struct A { pub(super) b: u8 }", &[]);
    check("spool/mod.rs", "pub struct A;", &["spool/mod.rs:2: a public item"]);
    check("lib.rs", "pub fn main() {}", &[]);
}

#[test]
fn a_file_is_short_or_says_why_and_says_what_it_is() {
    let long = "\n".repeat(LINES_MAX);
    check("wake.rs", &long, &["402 lines and no"]);
    check("wake.rs", &format!("{REASON} because.{long}"), &[]);
    assert_eq!(faults("wake.rs", "use std::fs;\n"), ["wake.rs:1: does not say what it is"]);
}
