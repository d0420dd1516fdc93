//! Tests of invalid, missing and unknown keys.

use super::*;

/// Queries one section `[s]` and returns the messages.
fn faults<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> Vec<String> {
    let mut reader = Reader::new(text.as_bytes());
    reader.section("s", read);
    match reader.finish(Path::new("f"), Some(())) {
        Ok(()) => Vec::new(),
        Err(error) => error.lines().collect(),
    }
}

/// Queries one section `[s]`, which must be valid.
fn read<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
    let mut reader = Reader::new(text.as_bytes());
    let value = reader.section("s", read);
    reader.finish(Path::new("f"), Some(value)).unwrap()
}

#[test]
fn keys_that_are_not_queried_are_unknown() {
    let text = "[s]\nshedule = x\nplace = y\nfoo = 1\n[t]\nfoo\n[s \"sub\"]\nk = 1\n[zz]\n";
    let mut reader = Reader::new(text.as_bytes());
    reader.section("s", |s| s.text("schedule"));
    reader.section("other", |s| s.text("place"));
    let error = reader.finish(Path::new("f"), Some(())).unwrap_err();
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "f:2: unknown key shedule in [s] (did you mean schedule?)",
            "f:3: unknown key place in [s] (it belongs to [other])",
            "f:4: unknown key foo in [s] (known: schedule)",
            "f:5: unknown section [t] (did you mean s?)",
            "f:7: [s] has no subsections: write [s]",
            "f:9: unknown section [zz] (known: s, other)",
        ]
    );
}

#[test]
fn last_text_counts_and_empty_text_is_unset() {
    assert_eq!(read("[s]\nk = a\nK = b\n", |s| s.text("k")).unwrap().value, "b");
    assert_eq!(read("[s]\nk = a\nk = \n", |s| s.text("k")), None);
    assert_eq!(read("[s]\nk = a\nk =\nk = b\n", |s| s.texts("k")).len(), 2);
    assert_eq!(faults("[s]\nk\n", |s| s.text("k")), ["f:2: k needs a value: write k = …"]);
}

#[test]
fn bare_key_clears_a_list() {
    let list = read("[s]\nk = a\nk\nk = b\nk =\n", |s| s.list("k"));
    assert_eq!(list.into_iter().map(|found| found.value).collect::<Vec<_>>(), ["b", ""]);
}

#[test]
fn missing_required_key_is_reported_once() {
    let faults_of = |text| faults(text, |s| s.required("k", "x"));
    assert_eq!(faults_of(""), ["f: k is missing: write k = x in [s]"]);
    assert_eq!(faults_of("\n[s]\n"), ["f:2: k is missing: write k = x in [s]"]);
    assert_eq!(faults_of("[s]\nk = \n"), ["f:1: k is missing: write k = x in [s]"]);
    assert_eq!(faults_of("[s]\nk x\n"), ["f:2: missing = after k"]);
    assert_eq!(faults_of("[s]\nk\n"), ["f:2: k needs a value: write k = …"]);
    // The key may be in the part that cannot be parsed.
    assert_eq!(faults_of("[s\nk = x\n"), ["f:1: the header [s has no closing ]"]);
    assert_eq!(faults_of("k = x\n"), ["f:1: k comes before any [section]"]);
}

#[test]
fn numbers_are_bounded() {
    let number = |text: &str| read(text, |s| s.number("k", -16..=300_i32));
    for (text, expected) in [("7", 7), ("+7", 7), (" 007", 7), ("0x1F", 31), ("-0x10", -16)] {
        assert_eq!(number(&format!("[s]\nk = \"{text}\"\n")), Some(expected), "{text}");
    }
    for text in ["", "x", "1.5", "1e3", "0x", "0x+1", "0X1", "- 1", "1_000", "9223372036854775808"]
    {
        let found = faults(&format!("[s]\nk = {text}\n"), |s| s.number("k", 0..=9_u8));
        assert_eq!(found, [format!("f:2: k must be a whole number, not \"{text}\"")]);
    }
    let found = faults("[s]\nk = 10\n", |s| s.number("k", 0..=9_u8));
    assert_eq!(found, ["f:2: k must be 0 to 9, not 10"]);
    let found = faults("[s]\nk = 300\n", |s| s.number("k", 0..=9_u8));
    assert_eq!(found, ["f:2: k must be 0 to 9, not 300"]);
}

#[test]
fn durations_are_bounded() {
    let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
    assert_eq!(read("[s]\nk = 1m\n", |s| s.duration("k", &range)), Some(Duration::from_secs(60)));
    let found = faults("[s]\nk = 25h\n", |s| s.duration("k", &range));
    assert_eq!(found, ["f:2: k must be 1s to 1d, not 1d1h"]);
    let found = faults("[s]\nk = 5\n", |s| s.duration("k", &range));
    assert_eq!(found, ["f:2: k = \"5\": write a duration such as 30s, 5m, 1h30m or 3d"]);
    assert_eq!(read("[s]\nk = 0\n", |s| s.keep("k", &range)), Some(Keep::Count(0)));
    let found = faults("[s]\nk = 2d\n", |s| s.keep("k", &range));
    assert_eq!(found, ["f:2: k must be 1s to 1d, not 2d"]);
}

#[test]
fn unknown_words_are_rejected() {
    let words = [("skip", 1), ("once", 2)];
    assert_eq!(read("[s]\nk = once\n", |s| s.choice("k", &words)), Some(2));
    let found = faults("[s]\nk = \"tw\u{1b}ice\"\n", |s| s.choice("k", &words));
    assert_eq!(found, ["f:2: k must be skip | once, not \"tw\\u{1b}ice\""]);
}

#[test]
fn overridden_flag_is_validated() {
    assert_eq!(read("[s]\nk\nk = OFF\n", |s| s.flag("k")), Some(false));
    let found = faults("[s]\nk = maybe\nk = on\n", |s| s.flag("k"));
    assert_eq!(found, ["f:2: k must be on or off, not \"maybe\""]);
}

mod vectors {
    //! Recorded results of the original's parser: values and rejections.

    use serde::Deserialize;
    use serde_json::{Map, Value};

    use super::*;
    use crate::config::runner::RunnerConfig;

    #[derive(Deserialize)]
    struct Vector {
        kind: String,
        label: String,
        text: String,
        text_b64: Option<String>,
        values: Map<String, Value>,
        error: Option<String>,
        anomaly: Option<String>,
    }

    impl Vector {
        fn bytes(&self) -> Vec<u8> {
            use base64::Engine;
            let engine = base64::engine::general_purpose::STANDARD;
            let encoded = self.text_b64.as_deref();
            encoded.map_or_else(|| self.text.clone().into(), |text| engine.decode(text).unwrap())
        }
    }

    type Known = (&'static str, &'static [&'static str]);

    /// The keys of the original's three files, without keys of its internals.
    const KEYS: [(&str, &[Known]); 3] = [
        ("entity", &[("configuration", &["schedule", "plugin", "expiry", "sendonly"])]),
        (
            "runner",
            &[
                ("runner", &["directory", "checkdirectory"]),
                (
                    "logging",
                    &[
                        "mode",
                        "level",
                        "file",
                        "maxfilesize",
                        "protocol",
                        "host",
                        "port",
                        "facility",
                    ],
                ),
                ("client", &["clientconfpath", "passphrase", "delayresults"]),
            ],
        ),
        (
            "client",
            &[
                ("api", &["url", "skipverifycert"]),
                ("gpg", &["home", "keyid", "keyserver", "useapikeyauth"]),
                ("targets", &["macro"]),
            ],
        ),
    ];

    fn value(section: &mut Section<'_>, key: &'static str) -> Value {
        match key {
            "sendonly" | "skipverifycert" => section.flag(key).unwrap_or(false).into(),
            "checkdirectory" | "maxfilesize" | "port" => {
                section.integer(key).map_or(0, |found| found.value).into()
            }
            "macro" => section.list(key).into_iter().map(|found| found.value).collect(),
            _ => section.text(key).map_or_else(String::new, |found| found.value).into(),
        }
    }

    /// Parses the original's settings of a file.
    fn read(vector: &Vector) -> Result<Map<String, Value>, ConfigError> {
        let (_, sections) = KEYS.iter().find(|(kind, _)| *kind == vector.kind).unwrap();
        let mut reader = Reader::new(&vector.bytes());
        let mut values = Map::new();
        for (name, keys) in *sections {
            for (key, value) in reader.section(name, |section| {
                keys.iter().map(|key| (*key, value(section, key))).collect::<Vec<_>>()
            }) {
                let path =
                    if vector.kind == "entity" { key.to_owned() } else { format!("{name}.{key}") };
                values.insert(path, value);
            }
        }
        reader.finish(Path::new("FILE"), Some(values))
    }

    fn compare(vector: &Vector) -> Result<(), String> {
        let read = read(vector);
        match (vector.anomaly.as_deref(), &vector.error, read) {
            // A byte order mark is skipped; no values are recorded for these files.
            (Some("bom"), _, read) => read.map(|_| ()).map_err(|error| error.to_string()),
            (Some("internal-section" | "internal-key"), _, Ok(_)) => {
                Err("an internal key of the original was accepted".to_owned())
            }
            (Some("internal-section" | "internal-key"), _, Err(_)) => Ok(()),
            // Values that the original accepts but cannot use.
            (Some("range"), _, _) => {
                let config = RunnerConfig::parse(&vector.bytes(), Path::new("FILE"));
                config.err().map(|_| ()).ok_or_else(|| "out of bounds and accepted".to_owned())
            }
            (Some("repeated-plugin"), _, Ok(_)) => {
                let mut reader = Reader::new(&vector.bytes());
                let plugins = reader.section("configuration", |section| section.texts("plugin"));
                (plugins.len() > 1).then_some(()).ok_or_else(|| "accepted as one plugin".to_owned())
            }
            // The values recorded for a rejected file are those before the fault.
            (_, Some(_), Err(_)) => Ok(()),
            (_, Some(error), Ok(_)) => Err(format!("rejected by the original: {error}")),
            (_, None, Err(error)) => Err(error.to_string()),
            (_, None, Ok(values)) => {
                let differs =
                    values.iter().find(|(key, value)| !same(vector.values.get(*key), value));
                differs.map_or(Ok(()), |(key, value)| {
                    Err(format!("{key} is {value}, not {:?}", vector.values.get(key)))
                })
            }
        }
    }

    /// An empty list may be recorded as null, and a missing key counts as one.
    fn same(recorded: Option<&Value>, read: &Value) -> bool {
        match (recorded, read) {
            (None | Some(Value::Null), Value::Array(list)) => list.is_empty(),
            (recorded, read) => recorded == Some(read),
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "other vectors may be given from outside")]
    fn agree_with_the_original() {
        let mut file =
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/config/gcfg_vectors.json").to_owned();
        if let Ok(other) = std::env::var("MIG_TEST_GCFG_VECTORS") {
            file = other;
        }
        let vectors: Vec<Vector> = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        assert!(!vectors.is_empty());
        let differing: Vec<_> = vectors
            .iter()
            .filter_map(|vector| Some(format!("{}: {}", vector.label, compare(vector).err()?)))
            .collect();
        assert!(differing.is_empty(), "{}", differing.join("\n"));
    }
}
