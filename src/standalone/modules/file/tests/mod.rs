//! The module against recordings of the original, over the tree that they were made on.

#![expect(clippy::disallowed_methods, reason = "tests make and read files of their own")]

mod tree;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clock::SystemClock;

use super::super::run;
use tree::Tree;

/// Where the recordings have their tree.
const RECORDED_ROOT: &str = "/tmp/migtree";

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

/// Runs the module on the tree at `root` and returns its result in terms of the recordings.
fn answer(parameters: &Value, root: &Path) -> Value {
    let root = root.to_str().unwrap();
    let parameters = parameters.to_string().replace(RECORDED_ROOT, root);
    let parameters = serde_json::from_str(&parameters).unwrap();
    let result = run("file", parameters, &SystemClock).unwrap();
    let result = serde_json::to_string(&result).unwrap().replace(root, RECORDED_ROOT);
    serde_json::from_str(&result).unwrap()
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
/// difference by design, and everything that it leaves alone must agree.
fn mend(case: &str, expected: &mut Value) {
    let packed = "/tmp/migtree/gzbad";
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
        // The hash is told wherever it is asked for.
        "returnsha256-matchany" => {
            expected["elements"]["s1"][0]["fileinfo"]["sha256"] =
                json!("BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD");
        }
        // Errors come in the order of the walk; the first is another one.
        "maxerrors-negative" => {
            expected["errors"][0] = json!(
                "ERROR: followSymLink() -> lstat /tmp/migtree/links/nowhere: no such file or directory"
            );
        }
        _ => {}
    }
}

/// Runs `test` as the user nobody. On Linux a thread has its own user, so that others are not disturbed.
fn as_nobody<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let nobody = rustix::fs::Uid::from_raw(65534);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            test()
        });
        thread.join().unwrap()
    })
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn every_recording_is_answered_alike() {
    let tree = Tree::new();
    let mut replayed = 0;
    for (case, recording) in recordings() {
        let by_nobody = case.starts_with("nobody-");
        if by_nobody && !is_root() {
            println!("{case}: skipped, for only root can become somebody else");
            continue;
        }
        if case == "mode-paths-to-special" && !tree.has_device {
            println!("{case}: skipped, for the device could not be made");
            continue;
        }
        let ask = || answer(&recording["parameters"], &tree.root);
        let found = comparable(if by_nobody { as_nobody(ask) } else { ask() });
        let mut expected = recording["results"][0].clone();
        mend(&case, &mut expected);
        let expected = comparable(expected);
        for part in ["errors", "statistics", "elements"] {
            assert_eq!(found[part], expected[part], "{case}: {part}");
        }
        assert_eq!(found, expected, "{case}");
        replayed += 1;
    }
    println!("{replayed} recordings are answered alike");
    assert!(replayed > 80);
}

/// Runs one search over the tree and returns the files that it finds, in their order, and its errors.
fn search(tree: &Tree, search: Value) -> (Vec<String>, Vec<String>) {
    let result = answer(&json!({"searches": {"s": search}}), &tree.root);
    let texts = |values: Vec<&Value>| -> Vec<String> {
        let texts = values.into_iter().map(|value| value.as_str().unwrap());
        texts.map(|text| text.replace(RECORDED_ROOT, "T")).collect()
    };
    let entries = result["elements"]["s"].as_array();
    let files = entries.into_iter().flatten().map(|entry| &entry["file"]).collect();
    let errors = result["errors"].as_array().into_iter().flatten().collect();
    (texts(files), texts(errors))
}

#[test]
fn a_pipe_holds_nothing_up() {
    let tree = Tree::new();
    let ask = json!({"paths": ["/tmp/migtree/special/fifo"], "contents": ["x"],
        "options": {"matchall": true}});
    let (files, errors) = search(&tree, ask);
    assert_eq!(files, [""]);
    assert_eq!(errors, ["ERROR: open T/special/fifo: is a named pipe"]);
    let ask = json!({"paths": ["/tmp/migtree/links/to-fifo"], "names": ["."],
        "options": {"matchall": true}});
    assert_eq!(search(&tree, ask).1, ["ERROR: open T/links/to-fifo: is a named pipe"]);
}

#[test]
fn hits_come_by_path() {
    let tree = Tree::new();
    let ask = json!({"paths": ["/tmp/migtree/many", "/tmp/migtree/deep"], "names": ["^[fg]"],
        "options": {"matchall": true}});
    let (files, _) = search(&tree, ask);
    let mut sorted = files.clone();
    sorted.sort();
    assert_eq!((files.len(), files), (31, sorted));
}

#[test]
fn depth_counts_from_the_path_that_was_searched() {
    let tree = Tree::new();
    let find = |depth: i64| {
        let ask = json!({"paths": ["/tmp/migtree/deep", "/tmp/migtree/deep/d1/d2"],
            "names": ["^f"], "options": {"matchall": true, "maxdepth": depth}});
        search(&tree, ask).0.len()
    };
    // The inner path begins anew, though it lies deeper than the outer one reaches.
    assert_eq!([find(1), find(2), find(3), find(0)], [2, 4, 5, 6]);
}

#[test]
fn lines_are_turned_round_in_every_way() {
    let tree = Tree::new();
    let find = |contents: Value, options: Value| {
        let ask = json!({"paths": ["/tmp/migtree/plain"], "contents": contents,
            "names": ["^(keys|empty)"], "options": options});
        search(&tree, ask).0
    };
    let any = json!({"mismatch": ["content"]});
    let keys = ["T/plain/empty.log", "T/plain/keys.txt"];
    assert_eq!(find(json!(["rogue"]), any)[..12].iter().filter(|f| f.contains("keys")).count(), 1);
    let all = |mismatch: bool, macroal: bool| {
        let mismatch = if mismatch { json!(["content"]) } else { json!([]) };
        json!({"matchall": true, "mismatch": mismatch, "macroal": macroal})
    };
    assert_eq!(find(json!(["rogue"]), all(true, false)), keys);
    assert_eq!(find(json!(["!rogue"]), all(false, false)), keys);
    assert_eq!(find(json!(["!rogue"]), all(true, false)), ["T/plain/keys-rogue.txt"]);
    // Each of several must have a line that fails it.
    assert_eq!(find(json!(["^key", "^#"]), all(true, true)).len(), 2);
    assert_eq!(find(json!(["^key", "."]), all(true, true)), [""]);
}

#[test]
fn an_inverse_filter_says_nothing_of_what_it_could_not_read() {
    if !is_root() {
        println!("skipped, for only root can become somebody else");
        return;
    }
    let tree = Tree::new();
    for (contents, mismatch) in [("!x", json!([])), ("x", json!(["content"]))] {
        for matchall in [true, false] {
            let ask = json!({"paths": ["/tmp/migtree/modes"], "names": ["^m0000$"],
                "contents": [contents], "md5": ["0".repeat(32)],
                "options": {"matchall": matchall, "mismatch": mismatch}});
            let (files, errors) = as_nobody(|| search(&tree, ask));
            let by_content = |file: &String| file.ends_with("m0000");
            let expected = usize::from(!matchall);
            assert_eq!(files.iter().filter(|file| by_content(file)).count(), expected);
            let error = "checkContent() -> open T/modes/m0000: permission denied";
            assert_eq!(errors.iter().filter(|text| *text == error).count(), 1);
        }
    }
}

#[test]
fn a_file_is_told_once_by_a_search() {
    let tree = Tree::new();
    let ask = json!({"paths": ["/tmp/migtree/plain", "/tmp/migtree/plain/abc",
        "/tmp/migtree/links/to-file"], "names": ["^a"], "options": {"matchall": true}});
    let result = answer(&json!({"searches": {"s": ask}}), &tree.root);
    assert_eq!(result["statistics"]["totalhits"], 2);
    assert_eq!(result["statistics"]["filescount"], 15);
}

#[test]
fn names_of_any_bytes_are_opened() {
    let tree = Tree::new();
    let ask = json!({"paths": ["/tmp/migtree/odd"], "names": ["^bad..utf8$"],
        "contents": ["^odd$"], "options": {"matchall": true, "returnsha256": true}});
    let (files, errors) = search(&tree, ask);
    assert_eq!(files, ["T/odd/bad\u{fffd}\u{fffd}utf8"]);
    assert_eq!(errors, [""; 0]);
}

#[test]
fn labels_and_forms_are_judged() {
    let tree = Tree::new();
    let refused = |searches: Value| {
        let result = answer(&json!({"searches": searches}), &tree.root);
        assert_eq!(result["success"], false);
        result["errors"][0].as_str().unwrap().to_owned()
    };
    let search = |filter: Value| {
        let mut search = json!({"paths": ["/tmp/migtree/plain"]});
        search.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        json!({"s": search})
    };
    assert_eq!(refused(json!({"": {"paths": ["/"]}})), "empty labels are not permitted");
    let long = "x".repeat(65);
    assert!(refused(json!({long: {"paths": ["/"]}})).starts_with("The syntax of label 'xxx"));
    assert_eq!(
        refused(search(json!({"mtimes": ["d"]}))),
        "Invalid mtime format for mtime 'd'. Must match regex ^(<|>)[0-9]*(d|h|m)$"
    );
    assert_eq!(
        refused(search(json!({"sizes": ["99999999999999999999"]}))),
        "makeChecks() -> strconv.ParseUint: parsing \"99999999999999999999\": value out of range"
    );
    assert_eq!(refused(search(json!({"names": [""]}))), "Empty values are not permitted");
    assert_eq!(
        refused(search(json!({"options": {"maxdepth": "1"}}))),
        "ReadInputParameters() -> json: cannot unmarshal string into Go struct field \
         options.searches.options.maxdepth of type float64"
    );
}
