//! Tests with vectors recorded from the platform's own code, and tests of the runner's additions.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde::Deserialize;

use super::sign::testing::FixedSigner;
use super::*;
use crate::go::json::{CanonicalJson, GoStruct, JsonFault};

/// A recording: an action file and Go's output for it.
#[derive(Deserialize)]
struct Vector {
    label: String,
    action: String,
    /// The file in base64, if it is not text.
    action_b64: Option<String>,
    string: String,
    marshalled: String,
    /// Go's error, if it rejects the file.
    error: Option<String>,
    /// Why the runner deviates from Go here.
    anomaly: Option<String>,
}

#[expect(clippy::disallowed_methods, reason = "tests read their data")]
fn vectors() -> Vec<Vector> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/action/action_strings.json");
    let path = std::env::var_os("MIG_TEST_ACTION_VECTORS").map_or(own, PathBuf::from);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

fn check(vector: &Vector) -> Result<(), String> {
    let decoded = vector.action_b64.as_ref().map(|text| STANDARD.decode(text).unwrap());
    let bytes = decoded.unwrap_or_else(|| vector.action.clone().into_bytes());
    let parsed = Action::parse(&bytes);
    if vector.anomaly.is_some() {
        return match parsed {
            Err(error) if matches!(error.fault(), JsonFault::Duplicate { .. }) => Ok(()),
            other => Err(format!("a duplicate key is not rejected: {other:?}")),
        };
    }
    match (&vector.error, parsed) {
        (Some(text), Err(error)) => {
            let message = error.fault().to_string();
            let expected = text.strip_prefix("unmarshal: ").unwrap_or(text);
            // Very long values are truncated in our message.
            if message == expected || message.contains('…') {
                Ok(())
            } else {
                Err(format!("{message}\n  {expected}"))
            }
        }
        (None, Ok(action)) => {
            let (string, json) = (action.signed_text(), action.to_json());
            if string != vector.string {
                return Err(format!("{string}\n  {}", vector.string));
            }
            if json != vector.marshalled {
                return Err(format!("{json}\n  {}", vector.marshalled));
            }
            let again = Action::parse(json.as_bytes()).map(|action| action.to_json());
            if again.as_deref() == Ok(&json) { Ok(()) } else { Err(format!("again: {again:?}")) }
        }
        (Some(text), Ok(_)) => Err(format!("accepted, but Go says {text}")),
        (None, Err(error)) => Err(format!("rejected: {error}")),
    }
}

#[test]
fn recorded_actions_yield_the_platforms_bytes() {
    let vectors = vectors();
    assert!(!vectors.is_empty());
    let wrong = |vector: &Vector| check(vector).err().map(|why| format!("{}: {why}", vector.label));
    let failures: Vec<String> = vectors.iter().filter_map(wrong).collect();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        vectors.len(),
        failures.join("\n")
    );
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn plain(operation: &Operation) -> String {
    let text: String = serde_json::from_str(operation.parameters.as_str()).unwrap();
    let bytes = STANDARD.decode(text).unwrap();
    let mut plain = String::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_string(&mut plain).unwrap();
    plain
}

#[test]
fn action_is_dated_in_whole_seconds_and_signed() {
    let file =
        br#"{"name":"n","target":"t","syntaxversion":1,"pgpsignatures":["old"],"operations":[
        {"module":"a","parameters":{"x":"<"},"want_compressed":true},
        {"module":"b","parameters":"H4sI","want_compressed":true,"is_compressed":true},
        {"module":"c","parameters":1}]}"#;
    let mut action = Action::parse(file).unwrap();
    action.dated("mig-runner: j", at("2026-11-22T01:00:00.9Z"), at("2026-11-22T01:06:00.1Z"));
    action.set_target("status='online'");
    assert_eq!(action.valid_from.to_string(), "2026-11-22T01:00:00Z");
    assert_eq!(action.expire_after.to_string(), "2026-11-22T01:06:00Z");
    assert_eq!((action.name.as_str(), action.syntax_version), ("mig-runner: j", 2));
    let operations = action.operations.clone().unwrap();
    assert!(operations[0].is_compressed && operations[0].want_compressed);
    assert_eq!(plain(&operations[0]), r#"{"x":"\u003c"}"#);
    assert_eq!(operations[1].parameters.as_str(), "\"H4sI\"");
    assert_eq!(operations[2].parameters.as_str(), "1");

    let signature = action.sign_with(&FixedSigner("YQ==abcd")).unwrap();
    assert_eq!(action.signatures, Some(vec![signature.as_str().to_owned()]));
    action.sign_with(&FixedSigner("Yg==abcd")).unwrap();
    assert_eq!(action.signatures.map(|all| all.len()), Some(2));
}

#[test]
fn parameters_compressed_by_the_original_are_readable() {
    let operation = Operation {
        parameters: CanonicalJson::string(
            "H4sIAAAAAAAA/wTAMQrFIAyA4bv8s4i6PMhtHtYhUBNp41R6934P3bcFUhPHuEPtH+qGUNsvl1xyJbEuD+9+Imifi0ToHL4Dae8XAAD//+FAGbpDAAAA",
        ),
        is_compressed: true,
        ..Operation::default()
    };
    let plain = plain(&operation);
    assert!(plain.starts_with(r#"{"count":1,"destination":"127.0.0.1""#), "{plain}");
}

#[test]
fn key_in_two_spellings_is_rejected_where_go_would_merge() {
    let twice = |first: &str, second: &str| {
        Action::parse(format!("{{{first},{second}}}").as_bytes()).map_err(|error| error.to_string())
    };
    assert_eq!(twice(r#""name":"a""#, r#""NAME":"b""#).unwrap().name, "b");
    assert_eq!(twice(r#""name":"a""#, r#""NAME":null"#).unwrap().name, "a");
    assert_eq!(
        twice(r#""operations":[]"#, r#""OPERATION\u017f":[]"#).unwrap_err(),
        "line 1, column 18 (OPERATION\\u017f): the key \"OPERATIONſ\" is given twice, first at line 1, column 2"
    );
    assert!(twice(r#""Threat":{}"#, r#""threat":{}"#).is_err());
    assert!(twice(r#""other":1"#, r#""other":1"#).is_err());
    assert!(twice(r#""other":{"a":1,"a":1}"#, r#""x":1"#).is_err());
}

#[test]
fn ids_are_whole_numbers() {
    let id = |text: &str| Action::parse(text.as_bytes()).unwrap().action_id();
    assert_eq!(id(r#"{"id":28052712325147}"#), Some(ActionId(28_052_712_325_147)));
    for none in ["{}", r#"{"id":0}"#, r#"{"id":-5}"#, r#"{"id":1.5}"#, r#"{"id":1e300}"#] {
        assert_eq!(id(none), None, "{none}");
    }
}

#[test]
fn large_action_is_processed_quickly() {
    // 3 MB of the most expensive kinds: numbers, small objects out of order, escapes.
    let element = r#"{"b":1.25e-9,"a":["<&>",12345678901234567890]},"#;
    let elements = element.repeat(3_000_000 / element.len());
    let file = format!(
        r#"{{"name":"n","target":"t","operations":[{{"module":"m","parameters":[{elements}0]}}]}}"#
    );
    let start = std::time::Instant::now();
    let action = Action::parse(file.as_bytes()).unwrap();
    let length = action.signed_text().len() + action.to_json().len();
    assert!(length > 2 * file.len());
    // A generous limit: this build is not optimized, and the machine is shared.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// Generates an object with keys of an action, in any case, and mostly valid values.
fn action_file() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        "\"[a-z<é]{0,5}\"",
        "-?[1-9][0-9]{0,5}(\\.5)?",
        Just(r#""2016-01-02T03:04:05.5+01:00""#.to_owned()),
        Just(r#"["a"]"#.to_owned()),
        Just(r#"[{"module":"m","parameters":{"b":1e30,"a":"<"},"is_compressed":true}]"#.to_owned()),
        Just(r#"{"level":"x","revision":1.5,"sent":3}"#.to_owned()),
    ];
    let mut keys: Vec<&str> = <Action as GoStruct>::KEYS.to_vec();
    keys.extend(["NAME", "Target", "unknown"]);
    let member = (proptest::sample::select(keys), value).prop_map(|(k, v)| format!("\"{k}\":{v}"));
    proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")))
}

proptest! {
    #[test]
    fn written_action_parses_to_itself(file in action_file()) {
        if let Ok(action) = Action::parse(file.as_bytes()) {
            let again = Action::parse(action.to_json().as_bytes()).unwrap();
            prop_assert_eq!(again.to_json(), action.to_json());
            prop_assert_eq!(again.signed_text(), action.signed_text());
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _read = Action::parse(&bytes).map(|action| action.signed_text());
    }
}
