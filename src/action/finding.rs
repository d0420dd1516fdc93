//! The findings of a command, one by one, described in words.
//!
//! Each module reports findings in its own form. The form of the file module is known: a label, and
//! for each file its path, mode, size and hash. The form of any other module is interpreted
//! generically: what it groups findings by becomes the label, and the rest is shown as `key=value`.
//!
//! **Invariant.** An agent's data is not trusted: data of an unexpected form is shown unchanged.

use serde_json::Value;
use serde_json::value::RawValue;

use super::raw::{Field, RawObject, lenient};

const FILE_MODULE: &str = "file";
/// The description of a finding without details.
const NO_DETAILS: &str = "found";

/// Something that an operation found on an agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finding {
    /// The module that found it; empty if the command does not name it.
    pub(crate) module: String,
    /// What was searched for; empty if the module searches for only one thing.
    pub(crate) label: String,
    /// The finding in words.
    pub(crate) what: String,
    /// The finding as the module reported it.
    pub(crate) element: Value,
}

/// Returns the findings in the JSON of a command; empty if it is not a command.
pub(crate) fn findings(command: &str) -> Vec<Finding> {
    let Ok(command) = serde_json::from_str::<RawObject<'_>>(command) else {
        return Vec::new();
    };
    let action: RawObject<'_> = command.get(Field::Action);
    let operations: Vec<Option<&RawValue>> = action.get(Field::Operations);
    let results: Vec<Option<&RawValue>> = command.get(Field::Results);
    let mut found = Vec::new();
    for (at, result) in results.into_iter().enumerate() {
        let result: RawObject<'_> = lenient(result);
        if !result.get::<bool>(Field::FoundAnything) {
            continue;
        }
        let operation: RawObject<'_> = lenient(operations.get(at).copied().flatten());
        let module: String = operation.get(Field::Module);
        let elements: Value = result.get(Field::Elements);
        let before = found.len();
        collect(&module, "", elements, &mut found);
        if found.len() == before {
            let (label, what) = (String::new(), NO_DETAILS.to_owned());
            found.push(Finding { module, label, what, element: Value::Null });
        }
    }
    found
}

/// Collects the findings in a module's elements: lists contain them, and the keys of an object that
/// contains only lists and objects are labels.
fn collect(module: &str, label: &str, elements: Value, found: &mut Vec<Finding>) {
    match elements {
        Value::Null => {}
        Value::Object(groups) if groups.values().all(is_group) => {
            for (key, group) in groups {
                let label = if label.is_empty() { key } else { format!("{label} {key}") };
                collect(module, &label, group, found);
            }
        }
        Value::Array(findings) => {
            found
                .extend(findings.into_iter().filter_map(|element| finding(module, label, element)));
        }
        element => found.extend(finding(module, label, element)),
    }
}

fn is_group(value: &Value) -> bool {
    matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

fn finding(module: &str, label: &str, element: Value) -> Option<Finding> {
    let is_file = module == FILE_MODULE && element.get("file").is_some();
    let what = if is_file { file(&element)? } else { words(&element) };
    Some(Finding { module: module.to_owned(), label: label.to_owned(), what, element })
}

/// Describes a file of the file module; `None` for the module's notation for "not found".
fn file(element: &Value) -> Option<String> {
    let path = element.get("file")?.as_str().filter(|path| !path.is_empty())?;
    let info = element.get("fileinfo").unwrap_or(&Value::Null);
    let mut text = path.to_owned();
    if let Some(mode) = info.get("mode").and_then(Value::as_str) {
        text.push_str(&format!("  {mode}"));
    }
    if let Some(size) = info.get("size").filter(|size| size.is_number()) {
        text.push_str(&format!("  {size} bytes"));
    }
    let hash = info.get("sha256").and_then(Value::as_str).filter(|hash| !hash.is_empty());
    if let Some(hash) = hash {
        text.push_str(&format!("  sha256 {}", hash.to_lowercase()));
    }
    Some(text)
}

/// Describes a finding with `key=value` for each of its fields.
fn words(element: &Value) -> String {
    match element {
        Value::Object(parts) => {
            let present = parts.iter().filter(|(_, value)| !value.is_null());
            let text: Vec<String> =
                present.map(|(key, value)| format!("{key}={}", word(value))).collect();
            if text.is_empty() { NO_DETAILS.to_owned() } else { text.join(" ") }
        }
        other => word(other),
    }
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(module: &str, result: &str) -> Vec<[String; 3]> {
        let command = format!(
            r#"{{"id":1,"action":{{"operations":[{{"module":"{module}"}}]}},"results":[{result}]}}"#
        );
        findings(&command)
            .into_iter()
            .map(|found| [found.module, found.label, found.what])
            .collect()
    }

    /// Returns the findings in a recorded result of a real agent.
    fn recorded(module: &str, recording: &str) -> Vec<[String; 3]> {
        let recording: Value = serde_json::from_str(recording).unwrap();
        command(module, &recording["results"][0].to_string())
    }

    #[test]
    fn files_are_described_with_mode_size_and_hash() {
        let found = recorded(
            "file",
            include_str!("../../tests/data/modules/file/decompress-returnsha256.json"),
        );
        let hash = "4fdbc441ea7b546100e086ac1e4fc5ae6749b7314311c99db05be450eca12996";
        let plain = format!("/tmp/migtree/gz/plain.txt  -rw-r--r--  17 bytes  sha256 {hash}");
        assert_eq!(found[0], ["file".to_owned(), "s1".to_owned(), plain]);
        // The module's notation for "not found" is not a finding.
        let none = include_str!("../../tests/data/modules/file/name-notfound.json");
        assert_eq!(recorded("file", none), [[""; 3]; 0]);
    }

    #[test]
    fn groups_of_other_modules_are_labels() {
        let netstat = r#"{"foundanything":true,"elements":{"localip":{"::1":[{"localaddr":"::1","port":7}],"::2":null},"localmac":{}}}"#;
        let found = command("netstat", netstat);
        assert_eq!(found, [["netstat", "localip ::1", "localaddr=::1 port=7"]]);
        let ping =
            r#"{"foundanything":true,"elements":{"failures":null,"latencies":[0.5],"host":"a b"}}"#;
        assert_eq!(command("ping", ping), [["ping", "", r#"host="a b" latencies=[0.5]"#]]);
        let list = r#"{"foundanything":true,"elements":["x",{},7]}"#;
        let found = command("odd", list);
        assert_eq!(found, [["odd", "", "x"], ["odd", "", "found"], ["odd", "", "7"]]);
    }

    #[test]
    fn findings_of_unexpected_form_are_shown_unchanged() {
        for (elements, what) in [
            (r#"{"s1":[{"file":7,"mode":"x"}]}"#, None),
            (r#"{"s1":[{"name":"x"}]}"#, Some("name=x")),
            (r#""text""#, Some("text")),
            ("null", Some("found")),
            ("{}", Some("found")),
        ] {
            let found =
                command("file", &format!(r#"{{"foundanything":true,"elements":{elements}}}"#));
            assert_eq!(found[0][2], what.unwrap_or("found"), "{elements}");
        }
        assert_eq!(
            command("file", r#"{"foundanything":false,"elements":{"s1":[7]}}"#),
            [[""; 3]; 0]
        );
        for none in ["", "[]", "{}", r#"{"results":7}"#, r#"{"results":[null,7]}"#] {
            assert_eq!(findings(none), [], "{none}");
        }
    }
}
