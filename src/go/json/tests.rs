//! Go's peculiarities, and robustness against arbitrary text.

use proptest::prelude::*;

use super::{CanonicalJson, parse, to_string};

fn rewritten(text: &str) -> Result<String, String> {
    let value: Result<CanonicalJson, _> = parse(text.as_bytes());
    value.map(|value| value.as_str().to_owned()).map_err(|error| error.to_string())
}

#[test]
fn members_are_sorted_at_every_depth() {
    for (text, canonical) in [
        (
            r#"{"b":1,"a":{"d":[{"z":0,"y":{}}],"c":2}}"#,
            r#"{"a":{"c":2,"d":[{"y":{},"z":0}]},"b":1}"#,
        ),
        (r#"[{"é":1,"z":2},{"<":1,";":2}]"#, "[{\"z\":2,\"é\":1},{\";\":2,\"\\u003c\":1}]"),
        (r#"{"b":{},"a":[]}"#, r#"{"a":[],"b":{}}"#),
        ("{ }", "{}"),
        (" [ 1 , true ] ", "[1,true]"),
    ] {
        assert_eq!(rewritten(text).as_deref(), Ok(canonical), "{text}");
    }
}

#[test]
fn a_duplicate_key_is_rejected_with_its_position() {
    for (text, error) in [
        (
            r#"{"a":1,"b":2,"a":3}"#,
            r#"line 1, column 14 (a): the key "a" is given twice, first at line 1, column 2"#,
        ),
        (
            "[{\"x\":{\n\"a\":1,\"\\u0061\":1}}]",
            r#"line 2, column 7 ([0].x.\u0061): the key "a" is given twice, first at line 2, column 1"#,
        ),
    ] {
        assert_eq!(rewritten(text), Err(error.to_owned()));
    }
    // As in Go, a syntax error takes precedence.
    assert!(rewritten(r#"{"a":1,"a":2,}"#).unwrap_err().contains("invalid character"));
    // Two keys that are equal only after replacement are not duplicates.
    assert_eq!(rewritten(r#"{"\ud800":1,"\udc00":2}"#).as_deref(), Ok("{\"\u{fffd}\":2}"));
    assert!(rewritten(r#"{"\ud800":1,"\ud800":2}"#).is_err());
}

#[test]
fn error_messages_are_those_of_go() {
    for (text, error) in [
        ("", "line 1, column 1: unexpected end of JSON input"),
        ("[1,]", "line 1, column 4 ([1]): invalid character ']' looking for beginning of value"),
        ("{\"a\" 1}", "line 1, column 6 (a): invalid character '1' after object key"),
        (
            "{1}",
            "line 1, column 2: invalid character '1' looking for beginning of object key string",
        ),
        ("\"\\x\"", "line 1, column 3: invalid character 'x' in string escape code"),
        (
            "\"\\u00g0\"",
            "line 1, column 6: invalid character 'g' in \\u hexadecimal character escape",
        ),
        ("-a", "line 1, column 2: invalid character 'a' in numeric literal"),
        ("1.a", "line 1, column 3: invalid character 'a' after decimal point in numeric literal"),
        ("1e+", "line 1, column 4: unexpected end of JSON input"),
        ("nul!", "line 1, column 4: invalid character '!' in literal null (expecting 'l')"),
        (
            "1e309",
            "line 1, column 1: json: cannot unmarshal number 1e309 into Go value of type float64",
        ),
    ] {
        assert_eq!(rewritten(text), Err(error.to_owned()));
    }
}

#[test]
fn nesting_is_limited_as_in_go() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(rewritten(&nested(10_000)), Ok(nested(10_000)));
    assert!(rewritten(&nested(10_001)).unwrap_err().contains("'[' exceeded max depth"));
}

#[test]
fn deeply_nested_unordered_objects_take_linear_time() {
    // Reordering each object's bytes at its end would take minutes.
    let (depth, payload) = (9_000, "x".repeat(1 << 20));
    let text = format!("{}\"{payload}\"{}", r#"{"b":"#.repeat(depth), r#","a":1}"#.repeat(depth));
    let canonical = format!("{}\"{payload}\"{}", r#"{"a":1,"b":"#.repeat(depth), "}".repeat(depth));
    assert!(rewritten(&text) == Ok(canonical));
}

/// Generates text that is usually valid JSON.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        // Few digits: serde_json, the reference below, does not always round the last of many
        // digits correctly.
        any::<i32>().prop_map(|n| format!("{:?}", f64::from(n) / 8.0)),
        "[a-c<é\u{2028}\\\\\"]{0,4}".prop_map(|s| serde_json::to_string(&s).unwrap()),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let member = ("[a-f<é&]{1,3}", inner.clone()).prop_map(|(k, v)| format!("\"{k}\":{v}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..6).prop_map(|v| format!("[{}]", v.join(","))),
            proptest::collection::vec(member, 0..6).prop_map(|v| format!("{{{}}}", v.join(" , "))),
        ]
    })
}

/// Converts all numbers of a value to floats.
fn floats(value: serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Number(number) => number.as_f64().into(),
        serde_json::Value::Array(list) => list.into_iter().map(floats).collect(),
        serde_json::Value::Object(map) => map.into_iter().map(|(k, v)| (k, floats(v))).collect(),
        other => other,
    }
}

proptest! {
    #[test]
    fn canonical_json_is_stable_and_means_the_same(text in json()) {
        if let Ok(value) = parse::<CanonicalJson>(text.as_bytes()) {
            let (written, expected): (serde_json::Value, serde_json::Value) =
                (serde_json::from_str(value.as_str()).unwrap(), serde_json::from_str(&text).unwrap());
            prop_assert_eq!(to_string(&parse::<CanonicalJson>(value.as_str().as_bytes()).unwrap()), value.as_str());
            prop_assert_eq!(floats(written), floats(expected));
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _read = parse::<CanonicalJson>(&bytes).map_err(|error| error.to_string());
    }

    #[test]
    fn no_json_like_text_makes_the_parser_panic(text in "[\\[\\]{}:,\"\\\\u0-9a-ftrnlsE.+ -]{0,60}") {
        let _read = parse::<CanonicalJson>(text.as_bytes()).map_err(|error| error.to_string());
    }
}
