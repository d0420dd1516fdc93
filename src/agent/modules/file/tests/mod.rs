//! The module on the tree with which the original was recorded.

#![expect(clippy::disallowed_methods, reason = "tests create and read their own files")]

mod replay;
mod tools;
mod tree;

use std::path::Path;

use serde_json::{Value, json};

use crate::clock::{Clock, SystemClock};

use super::run;
use tree::Tree;

/// The path of the tree in the recordings.
const RECORDED_ROOT: &str = "/tmp/migtree";

/// Runs the module on the tree at `root` and returns its result with the paths of the recordings.
fn run_on_tree(parameters: &Value, root: &Path) -> Value {
    let root = root.to_str().unwrap();
    let parameters = parameters.to_string().replace(RECORDED_ROOT, root);
    let parameters = serde_json::from_str(&parameters).unwrap();
    let result = run(parameters, SystemClock.now()).unwrap();
    let result = serde_json::to_string(&result).unwrap().replace(root, RECORDED_ROOT);
    serde_json::from_str(&result).unwrap()
}

/// Runs `test` as an unprivileged user: as `nobody` if this process is root, else as its own user.
/// On Linux a thread can have its own user.
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

/// Runs one search on the tree and returns the files found, in their order, and the errors.
fn search(tree: &Tree, search: &Value) -> (Vec<String>, Vec<String>) {
    let result = run_on_tree(&json!({"searches": {"s": search}}), &tree.root);
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
fn named_pipe_does_not_block_a_search() {
    let tree = Tree::new();
    let parameters = json!({"paths": ["/tmp/migtree/special/fifo"], "contents": ["x"],
        "options": {"matchall": true}});
    let (files, errors) = search(&tree, &parameters);
    assert_eq!(files, [""]);
    assert_eq!(errors, ["cannot open T/special/fifo: is a named pipe"]);
    let parameters = json!({"paths": ["/tmp/migtree/links/to-fifo"], "names": ["."],
        "options": {"matchall": true}});
    assert_eq!(search(&tree, &parameters).1, ["cannot open T/links/to-fifo: is a named pipe"]);
}

/// The original finds nothing here without `matchall`; with it, it finds these files.
#[test]
fn mismatch_of_content_works_with_and_without_matchall() {
    let tree = Tree::new();
    let find = |matchall: bool| {
        let parameters = json!({"paths": ["/tmp/migtree/plain"], "contents": ["abc"],
            "options": {"mismatch": ["content"], "matchall": matchall}});
        search(&tree, &parameters).0
    };
    let found = find(false);
    assert!(!found.is_empty() && !found.contains(&String::new()), "{found:?}");
    assert!(!found.contains(&"T/plain/abc".to_owned()), "{found:?}");
    assert_eq!(found, find(true));
}

#[test]
fn hits_are_listed_by_path() {
    let tree = Tree::new();
    let parameters = json!({"paths": ["/tmp/migtree/many", "/tmp/migtree/deep"], "names": ["^[fg]"],
        "options": {"matchall": true}});
    let (files, _) = search(&tree, &parameters);
    let mut sorted = files.clone();
    sorted.sort();
    assert_eq!((files.len(), files), (31, sorted));
}

#[test]
fn depth_counts_from_each_search_path() {
    let tree = Tree::new();
    let find = |depth: i64| {
        let parameters = json!({"paths": ["/tmp/migtree/deep", "/tmp/migtree/deep/d1/d2"],
            "names": ["^f"], "options": {"matchall": true, "maxdepth": depth}});
        search(&tree, &parameters).0.len()
    };
    // The depth of the inner path counts from that path.
    assert_eq!([find(1), find(2), find(3), find(0)], [2, 4, 5, 6]);
}

#[test]
fn content_filters_can_be_inverted_in_every_way() {
    let tree = Tree::new();
    let find = |contents: Value, options: Value| {
        let parameters = json!({"paths": ["/tmp/migtree/plain"], "contents": contents,
            "names": ["^(keys|empty)"], "options": options});
        search(&tree, &parameters).0
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
    // Each of several contents needs a line that does not match.
    assert_eq!(find(json!(["^key", "^#"]), all(true, true)).len(), 2);
    assert_eq!(find(json!(["^key", "."]), all(true, true)), [""]);
}

#[test]
fn unreadable_file_passes_no_inverse_filter() {
    let tree = Tree::new();
    for (contents, mismatch) in [("!x", json!([])), ("x", json!(["content"]))] {
        for matchall in [true, false] {
            let parameters = json!({"paths": ["/tmp/migtree/modes"], "names": ["^m0000$"],
                "contents": [contents], "md5": ["0".repeat(32)],
                "options": {"matchall": matchall, "mismatch": mismatch}});
            let (files, errors) = as_ordinary_user(|| search(&tree, &parameters));
            // Without matchall, the name is a search of its own.
            let expected = usize::from(!matchall);
            assert_eq!(files.iter().filter(|file| file.ends_with("m0000")).count(), expected);
            let error = "cannot search contents: cannot open T/modes/m0000: Permission denied (os error 13)";
            assert_eq!(errors.iter().filter(|text| *text == error).count(), 1);
        }
    }
}

#[test]
fn search_lists_a_file_once() {
    let tree = Tree::new();
    let parameters = json!({"paths": ["/tmp/migtree/plain", "/tmp/migtree/plain/abc",
        "/tmp/migtree/links/to-file"], "names": ["^a"], "options": {"matchall": true}});
    let result = run_on_tree(&json!({"searches": {"s": parameters}}), &tree.root);
    assert_eq!(result["statistics"]["totalhits"], 2);
    assert_eq!(result["statistics"]["filescount"], 15);
}

#[test]
fn files_with_invalid_utf8_names_are_searched() {
    let tree = Tree::new();
    let parameters = json!({"paths": ["/tmp/migtree/odd"], "names": ["^bad..utf8$"],
        "contents": ["^odd$"], "options": {"matchall": true, "returnsha256": true}});
    let (files, errors) = search(&tree, &parameters);
    assert_eq!(files, ["T/odd/bad\u{fffd}\u{fffd}utf8"]);
    assert_eq!(errors, [""; 0]);
}

#[test]
fn invalid_parameters_are_rejected_with_the_reason() {
    let tree = Tree::new();
    let rejection = |searches: Value| {
        let result = run_on_tree(&json!({"searches": searches}), &tree.root);
        assert_eq!(result["success"], false);
        result["errors"][0].as_str().unwrap().to_owned()
    };
    let search = |filter: Value| {
        let mut search = json!({"paths": ["/tmp/migtree/plain"]});
        search.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        json!({"s": search})
    };
    let long = "x".repeat(65);
    for (searches, reason) in [
        (json!({"": {"paths": ["/"]}}), "a search has no label".to_owned()),
        (
            json!({long.as_str(): {"paths": ["/"]}}),
            format!("label {long:?} has more than 64 characters or a line break"),
        ),
        (
            search(json!({"mtimes": ["d"]})),
            r#"search "s": invalid mtime "d": must be <N or >N, where N ends in d, h or m"#.to_owned(),
        ),
        (
            search(json!({"sizes": ["99999999999999999999"]})),
            "search \"s\": invalid size \"99999999999999999999\": must be N, <N or >N, where N may end \
             in k, m, g or t"
                .to_owned(),
        ),
        (search(json!({"names": [""]})), r#"search "s": filter without a value"#.to_owned()),
        (
            search(json!({"options": {"maxdepth": "1"}})),
            "invalid parameters: searches: options: maxdepth: invalid type: string \"1\", expected f64"
                .to_owned(),
        ),
    ] {
        assert_eq!(rejection(searches), reason);
    }
}
