//! Recordings of the original, replayed.
//!
//! Deliberate differences are listed case by case; everything else must be equal.

use serde_json::{Value, json};

use super::super::super::testing::{self, reword};
use super::tree::Tree;
use super::{as_ordinary_user, run_on_tree};
use crate::testing::is_root;

fn recordings() -> Vec<(String, Value)> {
    testing::recordings("file")
}

/// Removes values that differ between runs and hosts, and sorts lists.
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

/// Returns whether only root can replay a recording: it was made by a user who does not own the
/// tree, or needs the tree's device.
fn needs_root(case: &str) -> bool {
    case.starts_with("nobody-") || case == "mode-paths-to-special"
}

/// Replays the chosen recordings and returns their number.
fn replay(is_chosen: fn(&str) -> bool) -> usize {
    let tree = Tree::new();
    let mut replayed = 0;
    for (case, recording) in recordings() {
        if !is_chosen(&case) {
            continue;
        }
        let run = || run_on_tree(&recording["parameters"], &tree.root);
        let by_other_user = case.starts_with("nobody-");
        let found = comparable(if by_other_user { as_ordinary_user(run) } else { run() });
        let mut expected = recording["results"][0].clone();
        let recorded = expected.clone();
        let is_corrected = correct(&case, &mut expected);
        assert_eq!(is_corrected, expected != recorded, "{case}");
        assert_eq!(is_corrected, row(&case).is_some(), "{case} is in the manual if it differs");
        reword("file", &case, &mut expected["errors"]);
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
fn results_equal_the_recordings() {
    assert!(replay(|case| !needs_root(case)) > 80);
}

#[test]
fn results_of_other_users_and_devices_equal_the_recordings_as_root() {
    if is_root("only root can create a device, and become another user") {
        assert!(replay(needs_root) > 3);
    }
}

/// Returns the row of the manual's table of differences that describes the difference in a
/// recording.
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

/// Returns a hit like `like`, for another file.
fn hit(like: &Value, file: &str, size: u64) -> Value {
    let mut hit = like.clone();
    hit["file"] = json!(file);
    hit["fileinfo"] = json!({"lastmodified": "2020-01-02 03:04:05 +0000 UTC", "mode": "-rw-r--r--", "size": size});
    hit
}

/// Keeps only the errors for which `holds` is true.
fn keep_errors(expected: &mut Value, holds: impl Fn(&str) -> bool) {
    let errors = expected["errors"].as_array_mut().unwrap();
    errors.retain(|error| holds(error.as_str().unwrap()));
}

/// Keeps only the hits of a search for whose path `holds` is true.
fn keep(expected: &mut Value, label: &str, holds: impl Fn(&str) -> bool) {
    let hits = expected["elements"][label].as_array_mut().unwrap();
    hits.retain(|hit| holds(hit["file"].as_str().unwrap()));
}

/// Corrects a recorded result where the original has a defect, and returns whether it does. Each
/// arm is one deliberate difference.
fn correct(case: &str, expected: &mut Value) -> bool {
    correct_errors(case, expected)
        || correct_unpacking(case, expected)
        || correct_filters(case, expected)
        || correct_walk(case, expected)
}

/// Keeps the first `count` errors.
fn truncate_errors(expected: &mut Value, count: usize) {
    expected["errors"].as_array_mut().unwrap().truncate(count);
}

fn correct_errors(case: &str, expected: &mut Value) -> bool {
    match case {
        // A path that fails is reported once.
        "mode-paths-to-special"
        | "paths-only-missing"
        | "paths-symlink-dangling"
        | "nobody-unreadable-name-only"
        | "nobody-returnsha256-unreadable" => expected["errors"].as_array_mut().unwrap().dedup(),
        "nobody-unreadable-subfolder" => {
            keep_errors(expected, |error| !error.starts_with("open "));
        }
        // A file is opened once for all filters.
        "nobody-unreadable-content" => {
            truncate_errors(expected, 3);
            expected["statistics"]["openfailed"] = json!(3);
        }
        // Errors come in the order of the walk, so the first error is another one.
        "maxerrors-negative" => expected["errors"][0] = json!("dangling link"),
        // A hash of a wrong length is an invalid parameter like others.
        "err-bad-sha2-length" | "err-bad-sha3-length" => {
            expected["elements"] = json!({});
            expected["statistics"] = json!({
                "exectime": "", "filescount": 0, "openfailed": 0, "totalhits": 0
            });
        }
        _ => return false,
    }
    true
}

fn correct_unpacking(case: &str, expected: &mut Value) -> bool {
    let packed = "/tmp/migtree/gzbad";
    match case {
        "decompress-bad-gzip-and-empty" => {
            truncate_errors(expected, 2);
            expected["statistics"]["openfailed"] = json!(2);
        }
        // An empty file has the hash of no bytes.
        "decompress-bad-gzip-hash" => {
            truncate_errors(expected, 2);
            let found = hit(&expected["elements"]["s1"][0], &format!("{packed}/empty"), 0);
            expected["elements"]["s1"] = json!([found]);
            expected["foundanything"] = json!(true);
            expected["statistics"] = json!({
                "exectime": "1ms", "filescount": 3, "openfailed": 2, "totalhits": 1
            });
        }
        // A hash that cannot be computed is one error and does not lose the result.
        "decompress-returnsha256-bad-gzip" => {
            expected["errors"] = json!(["one"]);
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
        // A file of one byte is not empty.
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

fn correct_filters(case: &str, expected: &mut Value) -> bool {
    match case {
        // Each filter counts, whatever filters precede it.
        "inverse-content-and-hash" => {
            let found = hit(&expected["elements"]["s1"][0], "/tmp/migtree/plain/abc", 3);
            expected["elements"]["s1"] = json!([found]);
            expected["foundanything"] = json!(true);
            expected["statistics"]["totalhits"] = json!(1);
        }
        // Long lines and the lines after them are searched.
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
        // The hash is returned without matchall, too.
        "returnsha256-matchany" => {
            expected["elements"]["s1"][0]["fileinfo"]["sha256"] =
                json!("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
        }
        _ => return false,
    }
    true
}

fn correct_walk(case: &str, expected: &mut Value) -> bool {
    match case {
        // Hits are found in the order of their paths, and each search has its own limit.
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
        // A search is limited to its own paths and depth, and a file is counted once.
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
