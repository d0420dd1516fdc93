//! Recordings of the original, replayed.
//!
//! What differs is listed, case by case: all else must agree.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::tree::Tree;
use super::{answer, as_ordinary_user};
use crate::testing::is_root;

fn recordings() -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/modules/file");
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let recording: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        (recording["case"].as_str().unwrap().to_owned(), recording)
    };
    paths.into_iter().map(read).collect()
}

/// Takes out what differs from run to run and from host to host, and sorts.
fn comparable(mut result: Value) -> Value {
    if let Some(took) = result["statistics"].get_mut("exectime") {
        *took = json!(!took.as_str().unwrap().is_empty());
    }
    if let Some(errors) = result["errors"].as_array_mut() {
        errors.sort_by_key(Value::to_string);
    }
    if let Some(elements) = result["elements"].as_object_mut() {
        for entries in elements.values_mut().filter_map(Value::as_array_mut) {
            for entry in entries.iter_mut() {
                let of_folder = entry["fileinfo"]["mode"].as_str().unwrap().starts_with('d');
                if of_folder || entry["file"].as_str().unwrap().starts_with("/proc/") {
                    entry["fileinfo"]["size"] = Value::Null;
                    entry["fileinfo"]["lastmodified"] = Value::Null;
                }
            }
            entries.sort_by_key(|entry| (entry["file"].to_string(), entry.to_string()));
        }
    }
    result
}

/// Returns whether a recording can only be replayed by root: it was made by a user who owns nothing of
/// the tree, or needs the tree's device.
fn needs_root(case: &str) -> bool {
    case.starts_with("nobody-") || case == "mode-paths-to-special"
}

/// Replays those recordings; returns how many there are.
fn replay(is_chosen: fn(&str) -> bool) -> usize {
    let tree = Tree::new();
    let mut replayed = 0;
    for (case, recording) in recordings() {
        if !is_chosen(&case) {
            continue;
        }
        let ask = || answer(&recording["parameters"], &tree.root);
        let by_nobody = case.starts_with("nobody-");
        let found = comparable(if by_nobody { as_ordinary_user(ask) } else { ask() });
        let mut expected = recording["results"][0].clone();
        let recorded = expected.clone();
        let is_mended = mend(&case, &mut expected);
        assert_eq!(is_mended, expected != recorded, "{case}");
        assert_eq!(is_mended, row(&case).is_some(), "{case} is in the manual if it differs");
        let expected = comparable(expected);
        for part in ["errors", "statistics", "elements"] {
            assert_eq!(found[part], expected[part], "{case}: {part}");
        }
        assert_eq!(found, expected, "{case}");
        replayed += 1;
    }
    replayed
}

#[test]
fn every_recording_is_answered_alike() {
    assert!(replay(|case| !needs_root(case)) > 80);
}

#[test]
fn recordings_of_other_users_and_of_a_device_are_answered_alike_as_root() {
    if is_root("only root can make a device, and become another user than the tree's owner") {
        assert!(replay(needs_root) > 3);
    }
}

/// Returns the row of the manual's table of differences that a recording is a case of.
fn row(case: &str) -> Option<&'static str> {
    Some(match case {
        "mode-paths-to-special" | "paths-only-missing" | "paths-symlink-dangling" => {
            "path that fails"
        }
        "nobody-unreadable-name-only" | "nobody-unreadable-subfolder" => "path that fails",
        "nobody-returnsha256-unreadable" | "nobody-unreadable-content" => "path that fails",
        "maxerrors-negative" | "matchlimit-3" | "matchlimit-3-matchany-two-checks" => {
            "order of findings"
        }
        "err-bad-sha2-length" | "err-bad-sha3-length" => "hash of wrong length",
        "decompress-bad-gzip-and-empty" | "decompress-bad-gzip-hash" => "hash of unreadable file",
        "decompress-returnsha256-bad-gzip" => "hash of unreadable file",
        "decompress-one-byte-file" => "packed file of one byte",
        "inverse-content-and-hash" => "inverted content, and hash",
        "content-long-lines" | "content-after-long-line" => "line over 64 KiB",
        "returnsha256-matchany" => "returnsha256 alone",
        "matchlimit-shared-by-searches" | "paths-nested-two-searches" => "several searches",
        "two-searches-inverse-leak" => "several searches",
        "paths-prefix-trap" => "path /a, and a file /ab",
        _ => return None,
    })
}

#[test]
fn every_difference_is_in_the_manual() {
    let page = include_str!("../../../../../man/mig-standalone.8");
    let (_, rows) = page.split_once(".It Em module file ").unwrap();
    let (rows, _) = rows.split_once("\n.El\n").unwrap();
    let is_described = |row: &str| rows.contains(&format!("\n.It {row} Ta "));
    for (case, _) in recordings() {
        if let Some(row) = row(&case) {
            assert!(is_described(row), "{case}: {row}");
        }
    }
    assert!(is_described("mismatch of content") && is_described("fifo as a path"));
}

/// A hit as `like`, of another file.
fn hit(like: &Value, file: &str, size: u64) -> Value {
    let mut hit = like.clone();
    hit["file"] = json!(file);
    hit["fileinfo"] = json!({"lastmodified": "2020-01-02 03:04:05 +0000 UTC", "mode": "-rw-r--r--", "size": size});
    hit
}

/// Leaves only those errors of which this holds.
fn keep_errors(expected: &mut Value, holds: impl Fn(&str) -> bool) {
    let errors = expected["errors"].as_array_mut().unwrap();
    errors.retain(|error| holds(error.as_str().unwrap()));
}

/// Leaves only those hits of a search of whose path this holds.
fn keep(expected: &mut Value, label: &str, holds: impl Fn(&str) -> bool) {
    let hits = expected["elements"][label].as_array_mut().unwrap();
    hits.retain(|hit| holds(hit["file"].as_str().unwrap()));
}

/// Turns what the original answers into what is sane, where it has a defect; each arm is one
/// difference by design, and everything that it leaves alone must agree. Tells whether there is one.
fn mend(case: &str, expected: &mut Value) -> bool {
    mend_errors(case, expected)
        || mend_unpacking(case, expected)
        || mend_filters(case, expected)
        || mend_walk(case, expected)
}

fn mend_errors(case: &str, expected: &mut Value) -> bool {
    match case {
        // A path that fails is told once.
        "mode-paths-to-special"
        | "paths-only-missing"
        | "paths-symlink-dangling"
        | "nobody-unreadable-name-only"
        | "nobody-returnsha256-unreadable" => expected["errors"].as_array_mut().unwrap().dedup(),
        "nobody-unreadable-subfolder" => {
            keep_errors(expected, |error| !error.starts_with("open "));
        }
        // What cannot be read is told by its path; a file is opened once for all filters.
        "nobody-unreadable-content" => {
            let modes = "/tmp/migtree/modes";
            expected["errors"] = json!([
                "ERROR: open /tmp/migtree/locked.txt: permission denied",
                format!("checkContent() -> open {modes}/m0000: permission denied"),
                format!("checkContent() -> open {modes}/m0600: permission denied"),
            ]);
            expected["statistics"]["openfailed"] = json!(3);
        }
        // Errors come in the order of the walk; the first is another one.
        "maxerrors-negative" => {
            expected["errors"][0] = json!(
                "ERROR: followSymLink() -> lstat /tmp/migtree/links/nowhere: no such file or directory"
            );
        }
        // A hash of a wrong length is a bad parameter like others.
        "err-bad-sha2-length" | "err-bad-sha3-length" => {
            let form = match case {
                "err-bad-sha2-length" => "^([A-F0-9]{64}|[A-F0-9]{96}|[A-F0-9]{128})$",
                _ => "^([A-F0-9]{56}|[A-F0-9]{64}|[A-F0-9]{96}|[A-F0-9]{128})$",
            };
            expected["errors"] =
                json!([format!("Invalid checksum format for hash 'AB'. Must match regex {form}")]);
            expected["elements"] = json!({});
            expected["statistics"] = json!({
                "exectime": "", "filescount": 0, "openfailed": 0, "totalhits": 0
            });
        }
        _ => return false,
    }
    true
}

fn mend_unpacking(case: &str, expected: &mut Value) -> bool {
    let packed = "/tmp/migtree/gzbad";
    match case {
        "decompress-bad-gzip-and-empty" => {
            expected["errors"] = json!([
                format!("checkContent() -> unpack {packed}/bad.gz: invalid gzip header"),
                format!("checkContent() -> unpack {packed}/trunc.gz: unexpected EOF"),
            ]);
            expected["statistics"]["openfailed"] = json!(2);
        }
        // An empty file has the hash of nothing.
        "decompress-bad-gzip-hash" => {
            expected["errors"] = json!([
                format!("checkHash() -> getHash() -> unpack {packed}/bad.gz: invalid gzip header"),
                format!("checkHash() -> getHash() -> unpack {packed}/trunc.gz: unexpected EOF"),
            ]);
            let found = hit(&expected["elements"]["s1"][0], &format!("{packed}/empty"), 0);
            expected["elements"]["s1"] = json!([found]);
            expected["foundanything"] = json!(true);
            expected["statistics"] = json!({
                "exectime": "1ms", "filescount": 3, "openfailed": 2, "totalhits": 1
            });
        }
        // A hash that cannot be had costs that hash, not the result.
        "decompress-returnsha256-bad-gzip" => {
            let error = "buildResults() -> getHash() -> unpack";
            expected["errors"] = json!([format!("{error} {packed}/bad.gz: invalid gzip header")]);
            expected["success"] = json!(true);
            expected["foundanything"] = json!(true);
            expected["statistics"]["exectime"] = json!("1ms");
            expected["statistics"]["openfailed"] = json!(1);
            let search = json!({"names": ["bad"], "paths": [packed], "options": {
                "decompress": true, "macroal": false, "matchall": true, "matchlimit": 0,
                "maxdepth": 0, "maxerrors": 0, "mismatch": null, "returnsha256": true
            }});
            let found = hit(&json!({"search": search}), &format!("{packed}/bad.gz"), 26);
            expected["elements"] = json!({"s1": [found]});
        }
        // A file of one byte keeps it.
        "decompress-one-byte-file" => {
            let hits = expected["elements"]["s1"].as_array().unwrap();
            let by = |key, value| {
                hits.iter().find(|hit| hit["search"][key][0] == value).unwrap().clone()
            };
            let short = |like: &Value| hit(like, "/tmp/migtree/gz/short", 1);
            let mut nothing = by("md5", "D41D8CD98F00B204E9800998ECF8427E");
            let none = by("contents", "x");
            nothing["file"] = none["file"].clone();
            nothing["fileinfo"] = none["fileinfo"].clone();
            let x = by("md5", "9DD4E461268C8034F5C8564E155C67A6");
            expected["elements"]["s1"] = json!([nothing, short(&none), short(&x)]);
            expected["statistics"]["totalhits"] = json!(2);
        }
        _ => return false,
    }
    true
}

fn mend_filters(case: &str, expected: &mut Value) -> bool {
    match case {
        // All filters count, whatever is before them.
        "inverse-content-and-hash" => {
            let found = hit(&expected["elements"]["s1"][0], "/tmp/migtree/plain/abc", 3);
            expected["elements"]["s1"] = json!([found]);
            expected["foundanything"] = json!(true);
            expected["statistics"]["totalhits"] = json!(1);
        }
        // Long lines are read like others, and so is what follows them.
        "content-long-lines" => {
            let like = expected["elements"]["s1"][0].clone();
            let hits = expected["elements"]["s1"].as_array_mut().unwrap();
            for length in [65536, 70000] {
                hits.push(hit(&like, &format!("/tmp/migtree/long/l{length}"), length + 8));
            }
            expected["statistics"]["totalhits"] = json!(5);
        }
        "content-after-long-line" => {
            let hits = expected["elements"]["s1"].as_array_mut().unwrap();
            let first = hits.iter().position(|hit| hit["file"] == "/tmp/migtree/long/first");
            hits.remove(first.unwrap());
            let none = hits.iter_mut().find(|hit| hit["file"] == "").unwrap();
            *none = hit(none, "/tmp/migtree/long/first", 70014);
        }
        // The hash is told wherever it is asked for.
        "returnsha256-matchany" => {
            expected["elements"]["s1"][0]["fileinfo"]["sha256"] =
                json!("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
        }
        _ => return false,
    }
    true
}

fn mend_walk(case: &str, expected: &mut Value) -> bool {
    match case {
        // Hits come by path, so the first ones are those; and each search has its own limit.
        "matchlimit-3" | "matchlimit-3-matchany-two-checks" | "matchlimit-shared-by-searches" => {
            let (label, count) = match case {
                "matchlimit-3" => ("s1", 3),
                "matchlimit-shared-by-searches" => ("a", 4),
                _ => ("s1", 2),
            };
            let hits = expected["elements"][label].as_array().unwrap();
            let mut searches: Vec<Value> = hits.iter().map(|hit| hit["search"].clone()).collect();
            searches.sort_by_key(Value::to_string);
            searches.dedup();
            let files = (0..count).map(|number| format!("/tmp/migtree/many/f{number:02}"));
            let first = |file: String| -> Vec<Value> {
                let of = |search| hit(&json!({"search": search}), &file, 5);
                searches.iter().map(of).collect()
            };
            expected["elements"][label] = files.flat_map(first).collect();
            if label == "a" {
                expected["statistics"]["totalhits"] = json!(24);
            }
        }
        // A search keeps to its own paths and depth, and a file is looked at once.
        "paths-nested-two-searches" => {
            keep(expected, "outer", |file| file == "/tmp/migtree/locked.txt");
            expected["statistics"]["totalhits"] = json!(6);
        }
        "paths-prefix-trap" => {
            keep(expected, "deep-only", |file| file == "/tmp/migtree/deep/f0");
            expected["statistics"]["totalhits"] = json!(3);
            expected["statistics"]["filescount"] = json!(106);
        }
        "two-searches-inverse-leak" => {
            keep(expected, "x", |file| file.starts_with("/tmp/migtree/plain/"));
            expected["statistics"]["totalhits"] = json!(15);
            expected["errors"] = Value::Null;
        }
        _ => return false,
    }
    true
}
