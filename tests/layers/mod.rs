//! Rules for the structure of the source, checked by reading it.
//!
//! - A module imports only its own children and modules of lower layers.
//! - The files of an import cycle are few.
//! - A crate is used only in the modules that it is pinned to.
//! - The second layer does no I/O.
//! - Only the programs' mains are public.
//! - A command gets its disk from a workspace.
//! - A file has a module doc and at most [`LINES_MAX`] lines.
//!
//! No file is exempt, and a row of a table that no longer matches the tree is a fault as well.

#![cfg(test)]

mod cycles;
mod samples;
mod source;

use std::path::{Path, PathBuf};

use source::{Import, Source};

/// The modules and their layers. A module imports only from lower layers.
const LAYERS: [(&str, u8); 34] = [
    ("bin", 7),
    ("cli", 7),
    ("daemon", 6),
    ("agent", 6),
    ("platform", 6),
    ("stage", 5),
    ("relay", 5),
    ("job", 4),
    ("spool", 4),
    ("api", 4),
    ("pgp", 4),
    ("plugin", 4),
    ("watch", 4),
    ("logging", 4),
    ("metrics", 4),
    ("manager", 4),
    ("data", 4),
    ("modules", 3),
    ("config", 3),
    ("schedule", 3),
    ("action", 3),
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
    // Unit tests of every layer use it.
    ("testing", 0),
    // The table of the fuzz targets, which are in every layer.
    ("fuzzing", 8),
    // The root of the crate imports every module and is imported by none.
    ("lib", 9),
];

/// Crates, or parts of them, and the only modules that may use them. The longest match applies.
const PINS: [(&str, &[&str]); 41] = [
    ("bytes", &["data/postgres"]),
    ("chrono", &["schedule/calendar"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli/completions"]),
    ("close_fds", &["spawn/user"]),
    ("configparser", &["config/dialect"]),
    ("flate2", &["action", "agent"]),
    ("fs2", &["disk"]),
    ("gpgme", &["pgp"]),
    ("http_body_util", &["platform/server"]),
    ("humantime", &["config/duration"]),
    ("hyper", &["platform/server"]),
    ("hyper_util", &["platform/server"]),
    ("memchr", &["action/document"]),
    ("native_tls", &["data/postgres"]),
    ("notify", &["watch"]),
    ("openssl", &["pgp/secret", "pgp/document_signature"]),
    ("pbkdf2", &["data/apikey"]),
    ("postgres", &["data/postgres"]),
    ("postgres_native_tls", &["data/postgres"]),
    ("process_wrap", &["spawn/session"]),
    ("regex", &["go/regexp", "platform"]),
    ("reqwest", &["api"]),
    ("rusqlite", &["data"]),
    ("rustix", &[]),
    ("rustix::event", &["spawn"]),
    ("rustix::fs", &["disk", "plugin", "agent"]),
    ("rustix::io", &["agent/modules", "cli/shortage", "disk", "pgp/gpg_agent", "spawn"]),
    ("rustix::mm", &["pgp/signer_process/memory"]),
    ("rustix::net", &["agent/modules", "platform/server"]),
    (
        "rustix::process",
        &[
            "cli/platform",
            "disk",
            "pgp/gpg_agent",
            "pgp/signer_process",
            "pgp/worker",
            "platform/server",
            "plugin",
            "spawn",
            "agent",
            "testing",
        ],
    ),
    ("rustix::rand", &["random"]),
    ("rustix::system", &["cli/runner/run", "logging"]),
    ("rustix::thread", &["agent/modules", "spawn"]),
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
            "pgp/environment",
            "pgp/configuration",
            "agent",
            "cli/platform",
            "cli/runner/trial",
        ],
    ),
    ("tokio", &["platform/server"]),
];

/// The files of `cli` that may access the file system: commands get their disk from a workspace, so
/// that root never works in the folder of a user. The others start a daemon, or, as `cli/input`, read
/// files that the user names and keep their disk private.
const DISKS: [&str; 4] =
    ["cli/input", "cli/platform/standalone", "cli/runner/run", "cli/workspace"];
/// What the second layer may not import.
const IO: [&str; 6] = ["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread"];
/// The layers that do no I/O.
const LAYERS_WITHOUT_IO: [u8; 2] = [2, 3];
/// Files that may have `pub` items: the root, with the mains of the programs.
const PUBLIC: [&str; 1] = ["lib"];
/// Maximum number of lines of a file.
const LINES_MAX: usize = 400;

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

/// Returns whether `path` is `prefix` or below it.
fn within(path: &str, prefix: &str, separator: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}

/// Returns the faults of a file of `src`; `name` is its path there.
fn faults(name: &str, text: &str) -> Vec<String> {
    let source = Source::read(name, text);
    let mut faults = form_faults(name, text);
    let Some(own) = layer(source.module()) else {
        faults.push(format!("{name}:1: {} is in no layer", source.module()));
        return faults;
    };
    for import in &source.imports {
        let fault = layer_fault(&source, own, import)
            .or_else(|| pin_fault(&source, own, import))
            .or_else(|| disk_fault(&source, import));
        faults.extend(fault.map(|fault| format!("{name}:{}: {fault}", import.line)));
    }
    if !PUBLIC.contains(&source.name()) {
        faults.extend(source.public.iter().map(|line| format!("{name}:{line}: a public item")));
    }
    faults
}

/// Returns the faults in the length and the head of a file.
fn form_faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{name}:1: {lines} lines, more than {LINES_MAX}"));
    }
    if !text.starts_with("//! ") {
        faults.push(format!("{name}:1: has no module doc"));
    }
    faults
}

fn layer_fault(source: &Source, own: u8, import: &Import) -> Option<String> {
    let other = import.module()?;
    if other == source.module() || source.module() == "lib" {
        return None;
    }
    match layer(other) {
        Some(layer) if layer < own => None,
        Some(layer) => Some(format!("layer {own} imports {} of layer {layer}", import.path())),
        // An item of the crate's root, which is above all layers.
        None => Some(format!("layer {own} imports {} of the root", import.path())),
    }
}

fn pin_fault(source: &Source, own: u8, import: &Import) -> Option<String> {
    if import.module().is_some() || import.in_tests {
        return None;
    }
    let path = import.path();
    if LAYERS_WITHOUT_IO.contains(&own) && IO.iter().any(|io| within(&path, io, "::")) {
        return Some(format!("layer {own} does no I/O, but imports {path}"));
    }
    let pins = PINS.iter().filter(|(pin, _)| within(&path, pin, "::"));
    let (pin, homes) = pins.max_by_key(|(pin, _)| pin.len())?;
    let at_home = homes.iter().any(|home| within(source.name(), home, "/"));
    let homes = if homes.is_empty() { "none".to_owned() } else { homes.join(", ") };
    (!at_home).then(|| format!("imports {path}: {pin} is for {homes} only"))
}

/// Returns the fault of a command that makes a disk of its own.
fn disk_fault(source: &Source, import: &Import) -> Option<String> {
    let is_disk = import.path() == "crate::disk::RealFs" && !import.in_tests && !source.is_test;
    let is_fault = is_disk && source.module() == "cli" && !DISKS.contains(&source.name());
    is_fault.then(|| format!("imports {}: get the disk from a workspace", import.path()))
}

/// Returns the rows of the tables that match neither the dependencies nor the tree of `src`.
///
/// `manifest` is the text of Cargo.toml; `exists` returns whether `src` has a module.
fn stale_rows(manifest: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let crates = dependencies(manifest);
    let mut faults = Vec::new();
    for (pin, homes) in PINS {
        let name = pin.split("::").next().unwrap();
        if name != "std" && !crates.iter().any(|known| known == name) {
            faults.push(format!("PINS: {pin} is not a dependency"));
        }
        let missing = homes.iter().filter(|home| !exists(home));
        faults
            .extend(missing.map(|home| format!("PINS: {pin} names {home}, which does not exist")));
    }
    let modules = LAYERS.iter().map(|(module, _)| *module).filter(|module| *module != "bin");
    let missing = modules.chain(PUBLIC).chain(DISKS).filter(|module| !exists(module));
    faults.extend(missing.map(|module| format!("{module} does not exist")));
    faults
}

/// Returns the dependencies in a Cargo.toml, as they are named in code.
fn dependencies(manifest: &str) -> Vec<String> {
    let (mut crates, mut is_list) = (Vec::new(), false);
    for line in manifest.lines() {
        if let Some(section) = line.strip_prefix('[') {
            is_list = section.trim_end().ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=')
            && is_list
            && !name.starts_with('#')
        {
            crates.push(name.trim().replace('-', "_"));
        }
    }
    crates
}

/// Returns the `.rs` files in a folder and below.
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

/// Returns the files below a folder of this crate, by their paths there, and their texts.
fn texts(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let found = files(&root);
    assert!(!found.is_empty(), "nothing in {}", root.display());
    let text = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, read(&path))
    };
    found.into_iter().map(text).collect()
}

#[expect(clippy::disallowed_methods, reason = "the source is not one of the runner's files")]
fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn source_obeys_the_rules() {
    let texts = texts("src");
    assert_none(&texts.iter().flat_map(|(name, text)| faults(name, text)).collect::<Vec<_>>());
}

#[test]
fn input_gives_no_disk_to_a_command() {
    let text = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/input.rs"));
    let gives_disk = |line: &&str| line.contains("pub") && line.contains("Disk {");
    assert_eq!(text.lines().find(gives_disk), None);
    assert!(text.contains("\nfn disk() -> Disk {"));
}

#[test]
fn import_cycles_are_small() {
    let sources: Vec<Source> =
        texts("src").iter().map(|(name, text)| Source::read(name, text)).collect();
    assert_none(&cycles::faults(&sources));
}

#[test]
fn test_files_are_short_and_have_module_docs() {
    let texts = texts("tests");
    assert_none(&texts.iter().flat_map(|(name, text)| form_faults(name, text)).collect::<Vec<_>>());
}

#[test]
fn tables_match_the_dependencies_and_the_tree() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let src = root.join("src");
    let exists =
        |module: &str| src.join(module).is_dir() || src.join(format!("{module}.rs")).is_file();
    assert_none(&stale_rows(&read(&root.join("Cargo.toml")), exists));
}
