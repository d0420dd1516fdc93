//! The module over the tree that the original was recorded on.

#![expect(clippy::disallowed_methods, reason = "tests make and read files of their own")]

mod replay;
mod tools;
mod tree;

use std::path::Path;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};

use super::run;
use tree::Tree;

/// Where the recordings have their tree.
const RECORDED_ROOT: &str = "/tmp/migtree";

/// Runs the module on the tree at `root` and returns its result in terms of the recordings.
fn answer(parameters: &Value, root: &Path) -> Value {
    let root = root.to_str().unwrap();
    let parameters = parameters.to_string().replace(RECORDED_ROOT, root);
    let parameters = serde_json::from_str(&parameters).unwrap();
    let result = run(parameters, SystemClock.now()).unwrap();
    let result = serde_json::to_string(&result).unwrap().replace(root, RECORDED_ROOT);
    serde_json::from_str(&result).unwrap()
}

/// Runs `test` as an ordinary user: as nobody if this process is root, else as its own user. On Linux a
/// thread can have its own user.
fn as_ordinary_user<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    let nobody = rustix::fs::Uid::from_raw(65534);
    if !rustix::process::geteuid().is_root() {
        return test();
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
            test()
        });
        thread.join().unwrap()
    })
}

/// Runs one search over the tree and returns the files that it finds, in their order, and its errors.
fn search(tree: &Tree, search: &Value) -> (Vec<String>, Vec<String>) {
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
    let (files, errors) = search(&tree, &ask);
    assert_eq!(files, [""]);
    assert_eq!(errors, ["ERROR: open T/special/fifo: is a named pipe"]);
    let ask = json!({"paths": ["/tmp/migtree/links/to-fifo"], "names": ["."],
        "options": {"matchall": true}});
    assert_eq!(search(&tree, &ask).1, ["ERROR: open T/links/to-fifo: is a named pipe"]);
}

/// The original finds nothing here, for no reason that it gives; with `matchall` it finds the same files.
#[test]
fn content_that_must_not_match_is_looked_for_with_and_without_matchall() {
    let tree = Tree::new();
    let find = |matchall: bool| {
        let ask = json!({"paths": ["/tmp/migtree/plain"], "contents": ["abc"],
            "options": {"mismatch": ["content"], "matchall": matchall}});
        search(&tree, &ask).0
    };
    let found = find(false);
    assert!(!found.is_empty() && !found.contains(&String::new()), "{found:?}");
    assert!(!found.contains(&"T/plain/abc".to_owned()), "{found:?}");
    assert_eq!(found, find(true));
}

#[test]
fn hits_come_by_path() {
    let tree = Tree::new();
    let ask = json!({"paths": ["/tmp/migtree/many", "/tmp/migtree/deep"], "names": ["^[fg]"],
        "options": {"matchall": true}});
    let (files, _) = search(&tree, &ask);
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
        search(&tree, &ask).0.len()
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
        search(&tree, &ask).0
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
    let tree = Tree::new();
    for (contents, mismatch) in [("!x", json!([])), ("x", json!(["content"]))] {
        for matchall in [true, false] {
            let ask = json!({"paths": ["/tmp/migtree/modes"], "names": ["^m0000$"],
                "contents": [contents], "md5": ["0".repeat(32)],
                "options": {"matchall": matchall, "mismatch": mismatch}});
            let (files, errors) = as_ordinary_user(|| search(&tree, &ask));
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
    let (files, errors) = search(&tree, &ask);
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
