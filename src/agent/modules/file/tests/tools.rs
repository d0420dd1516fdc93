//! The module compared with the host's tools, on the same tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::super::run;
use super::tree::Tree;
use crate::clock::{Clock, SystemClock};
use crate::testing::is_root;

/// The parts of the tree without links and names in invalid UTF-8. Tools examine a link itself, the
/// module its target.
const PARTS: [&str; 7] = ["plain", "sizes", "modes", "mtimes", "many", "deep", "long"];

/// Number of different hashes to search for.
const SUMS: usize = 3;
/// The parts with small files that their owner can read.
const READABLE: [&str; 3] = ["plain", "many", "deep"];
/// The part with files that only root can read.
const UNREADABLE: [&str; 1] = ["modes"];

struct Host {
    tree: Tree,
    parts: &'static [&'static str],
}

impl Host {
    /// Returns a host on which these parts of the tree are searched.
    fn new(parts: &'static [&'static str]) -> Host {
        Host { tree: Tree::new(), parts }
    }

    fn parts(&self) -> Vec<PathBuf> {
        self.parts.iter().map(|part| self.tree.root.join(part)).collect()
    }

    /// Returns the module's entries for a search.
    fn entries(&self, mut search: Value) -> Vec<Value> {
        search["paths"] = json!(self.parts());
        search["options"]["matchall"] = json!(true);
        let parameters = json!({"searches": {"s": search}}).to_string();
        let result = run(serde_json::from_str(&parameters).unwrap(), SystemClock.now()).unwrap();
        let result = serde_json::to_value(result).unwrap();
        assert_eq!(result["errors"], Value::Null, "{result}");
        result["elements"]["s"].as_array().unwrap().clone()
    }

    /// Returns the files found by the module.
    fn found(&self, search: Value) -> BTreeSet<String> {
        let entries = self.entries(search);
        let files = entries.iter().map(|entry| entry["file"].as_str().unwrap().to_owned());
        files.filter(|file| !file.is_empty()).collect()
    }

    /// Returns the output lines of a tool that gets the parts of the tree after `before`.
    fn tool_lines(&self, tool: &str, before: &[&str], after: &[&str]) -> BTreeSet<String> {
        let mut command = Command::new(tool);
        command.args(before).args(self.parts()).args(after).env("LC_ALL", "C");
        let output = command.output().unwrap_or_else(|error| panic!("{tool}: {error}"));
        String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
    }

    fn find(&self, conditions: &[&str]) -> BTreeSet<String> {
        let conditions: Vec<&str> = [conditions, &["-type", "f"]].concat();
        self.tool_lines("find", &[], &conditions)
    }
}

#[test]
fn files_are_those_that_find_lists() {
    let host = Host::new(&PARTS);
    let cases: [(Value, &[&str]); 10] = [
        (json!({"names": ["."]}), &[]),
        (json!({"names": ["^f"]}), &["-name", "f*"]),
        (json!({"names": ["!^f"]}), &["-not", "-name", "f*"]),
        (json!({"names": ["[0-9]$"]}), &["-name", "*[0-9]"]),
        (json!({"sizes": [">1k"]}), &["-size", "+1023c"]),
        (json!({"sizes": ["<1k"]}), &["-size", "-1025c"]),
        (json!({"modes": ["^u"]}), &["-perm", "-4000"]),
        (json!({"modes": ["r..$"]}), &["-perm", "-004"]),
        (json!({"mtimes": ["<1d"]}), &["-mmin", "-1440"]),
        (json!({"names": ["."], "options": {"maxdepth": 2}}), &["-maxdepth", "2"]),
    ];
    for (search, conditions) in cases {
        let listed = host.find(conditions);
        assert!(!listed.is_empty(), "{conditions:?} finds nothing");
        assert!(conditions.is_empty() || listed.len() < host.find(&[]).len(), "{conditions:?}");
        assert_eq!(host.found(search.clone()), listed, "{search}");
    }
}

fn grep_agrees(parts: &'static [&'static str]) {
    let host = Host::new(parts);
    for pattern in ["a", "^root", "[0-9]+$", "nosuchtext"] {
        let found = host.found(json!({"contents": [pattern]}));
        let listed = host.tool_lines("grep", &["-rlEa", "--devices=skip", "-e", pattern], &[]);
        assert_eq!(found, listed, "{pattern}");
        let found = host.found(json!({"contents": [format!("!{pattern}")]}));
        let listed = host.tool_lines("grep", &["-rLEa", "--devices=skip", "-e", pattern], &[]);
        assert_eq!(found, listed, "!{pattern}");
    }
}

#[test]
fn content_hits_are_those_of_grep() {
    grep_agrees(&READABLE);
}

#[test]
fn content_hits_are_those_of_grep_as_root() {
    if is_root("only root can read files of mode 0000") {
        grep_agrees(&UNREADABLE);
    }
}

/// Returns the hashes that a tool computes for all files, by file.
fn sums(host: &Host, tool: &[&str]) -> BTreeMap<String, String> {
    let (program, arguments) = tool.split_first().unwrap();
    let files = host.find(&[]);
    let output = Command::new(program).args(arguments).args(&files).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let pair = |line: &str| {
        let (sum, file) = line.split_once(' ').unwrap();
        (file.trim_start_matches([' ', '*']).to_owned(), sum.to_uppercase())
    };
    lines.lines().map(pair).collect()
}

#[test]
fn hashes_are_those_of_the_host_s_tools() {
    sums_agree(&READABLE);
}

#[test]
fn hashes_are_those_of_the_host_s_tools_as_root() {
    if is_root("only root can read files of mode 0000") {
        sums_agree(&UNREADABLE);
    }
}

fn sums_agree(parts: &'static [&'static str]) {
    let host = Host::new(parts);
    let sha256 = sums(&host, &["sha256sum"]);
    let entries = host.entries(json!({"names": ["."], "options": {"returnsha256": true}}));
    let returned: BTreeMap<String, String> = entries
        .iter()
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&entry["file"]), text(&entry["fileinfo"]["sha256"]))
        })
        .collect();
    assert_eq!(returned, sha256);
    for (filter, tool) in [
        ("md5", &["md5sum"][..]),
        ("sha1", &["sha1sum"]),
        ("sha2", &["sha256sum"]),
        ("sha2", &["sha384sum"]),
        ("sha2", &["sha512sum"]),
        ("sha3", &["openssl", "dgst", "-r", "-sha3-256"]),
        ("sha3", &["openssl", "dgst", "-r", "-sha3-512"]),
    ] {
        let sums = sums(&host, tool);
        for sum in sums.values().collect::<BTreeSet<_>>().into_iter().take(SUMS) {
            let same = sums.iter().filter(|(_, other)| *other == sum);
            let same: BTreeSet<String> = same.map(|(file, _)| file.clone()).collect();
            assert_eq!(host.found(json!({filter: [sum]})), same, "{tool:?} {sum}");
        }
    }
}
