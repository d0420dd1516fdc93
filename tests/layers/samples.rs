//! Samples of code that obeys or breaks the rules.

use super::{LINES_MAX, dependencies, faults, stale_rows};

/// Checks that a file with `code` in it has one fault for each text in `expected`, and no other.
fn check(name: &str, code: &str, expected: &[&str]) {
    let faults = faults(name, &format!("//! A sample.\n{code}\n"));
    assert_eq!(faults.len(), expected.len(), "{code}: {faults:?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.contains(expected), "{code}: {fault}");
    }
}

#[test]
fn imports_from_the_same_or_a_higher_layer_are_faults() {
    check("stage/fetch.rs", "use crate::spool::Spool;\nuse crate::stage::Step;", &[]);
    check(
        "spool/mod.rs",
        "use crate::stage::Step;",
        &["spool/mod.rs:2: layer 4 imports crate::stage::Step"],
    );
    check(
        "api/mod.rs",
        "\nuse crate::{pgp, names::{self, JobName}};",
        &["api/mod.rs:3: layer 4 imports crate::pgp"],
    );
    check("api/mod.rs", "fn f() { crate::spool::open() }", &["crate::spool::open of layer 4"]);
    check("api/mod.rs", "pub(crate) use crate::spool::*;", &["crate::spool::* of layer 4"]);
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
fn imports_through_super_are_followed() {
    check("api/client.rs", "use super::ApiError; use super::super::pgp::Key;", &["pgp::Key"]);
    check("watch.rs", "use super::pgp::Key;", &["layer 4 imports crate::pgp::Key"]);
    check("watch.rs", "mod tests { use super::*; use super::super::pgp::Key; }", &["crate::pgp"]);
    check("watch.rs", "mod tests { mod deeper { use super::super::*; } }", &[]);
    check("watch.rs", "mod a {}\nuse super::pgp::Key as super_key;", &["watch.rs:3:"]);
}

#[test]
fn comments_and_strings_are_not_imports() {
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
fn crates_outside_their_modules_are_faults() {
    check("watch/mod.rs", "use notify::{Event, Watcher as _};", &[]);
    check("daemon/mod.rs", "fn f(e: notify::Event) {}", &["notify is for watch only"]);
    check(
        "api/mod.rs",
        "use rustix::{fs::stat, path::Arg};",
        &["rustix::fs::stat", "rustix::path::Arg: rustix is for none"],
    );
    check("platform/server/mod.rs", "use hyper::Request;", &[]);
    check("platform/api/mod.rs", "use hyper::Request;", &["hyper is for platform/server"]);
    check("pgp/mod.rs", "use std::process::{Command, Stdio};", &["std::process::Command"]);
    check("pgp/tests.rs", "use std::process::Command;", &[]);
    check("action/mod.rs", "use std::{fs, io::Read};", &["does no I/O, but imports std::fs"]);
    check("action/mod.rs", "mod tests { use std::fs; }", &[]);
    check("go/json.rs", "use std::env;", &["does no I/O, but imports std::env"]);
}

#[test]
fn commands_that_make_a_disk_are_faults() {
    let code = "use crate::disk::{Disk, RealFs};";
    check("cli/data/new.rs", code, &["cli/data/new.rs:2: imports crate::disk::RealFs: get"]);
    check("cli/data/new.rs", &format!("mod tests {{ {code} }}"), &[]);
    check("cli/workspace.rs", code, &[]);
    check("daemon/mod.rs", code, &[]);
}

#[test]
fn public_items_outside_the_mains_are_faults() {
    check("spool/mod.rs", "pub(crate) struct A { pub(super) b: u8 }", &[]);
    check("spool/mod.rs", "pub struct A;", &["spool/mod.rs:2: a public item"]);
    check("lib.rs", "pub fn main() {}", &[]);
}

#[test]
fn long_file_and_missing_module_doc_are_faults() {
    check("wake.rs", &"\n".repeat(LINES_MAX), &["402 lines, more than 400"]);
    assert_eq!(faults("wake.rs", "use std::fs;\n"), ["wake.rs:1: has no module doc"]);
}

#[test]
fn stale_rows_are_faults() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\nclap = \"4\"\n# notify = \"8\"\n\
                    [target.'cfg(unix)'.dev-dependencies]\nnative-tls = \"1\"\n[features]\nfs2 = []\n";
    assert_eq!(dependencies(manifest), ["clap", "native_tls"]);
    let faults = stale_rows(manifest, |module| module != "watch");
    for fault in [
        "PINS: notify is not a dependency",
        "PINS: notify names watch, which does not exist",
        "watch does not exist",
    ] {
        assert!(faults.iter().any(|found| found == fault), "{fault}: {faults:?}");
    }
    assert!(!faults.iter().any(|fault| fault.starts_with("PINS: clap is")), "{faults:?}");
}
