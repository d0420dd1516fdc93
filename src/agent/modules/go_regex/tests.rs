//! What Go itself says of each pattern, recorded; and no pattern makes us panic.

#![expect(clippy::disallowed_methods, reason = "tests read their data")]

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};
use serde_json::Value;

use super::unicode::{CATEGORIES, SCRIPTS};
use super::{GoRegex, as_go_reads};

fn forms() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn refusal(pattern: &str) -> String {
    GoRegex::new(pattern).unwrap_err().to_string()
}

fn matches(pattern: &str, text: &str) -> bool {
    GoRegex::new(pattern).unwrap().is_match(text.as_bytes())
}

#[test]
fn every_recorded_pattern_is_read_as_by_go() {
    let forms = forms();
    for vector in forms["regex"].as_array().unwrap() {
        let pattern = vector["pattern"].as_str().unwrap();
        if let Some(error) = vector["error"].as_str() {
            assert_eq!(refusal(pattern), error, "{pattern}");
            continue;
        }
        let regex = GoRegex::new(pattern).unwrap();
        for (text, expected) in vector["match_by_hex_of_text"].as_object().unwrap() {
            assert_eq!(
                regex.is_match(&unhex(text)),
                expected.as_bool().unwrap(),
                "{pattern} {text}"
            );
        }
    }
}

#[test]
fn repetition_applies_to_what_go_says() {
    assert!(matches("^a(?i)*B$", "aaab"), "a flag between stands for nothing");
    assert!(matches("^(?i)a*$", "aA"));
    assert!(!matches("^(?:(?i)a)a$", "AA"), "a flag ends with its group");
    assert!(matches("^(?i:a|b)c$", "Bc"));
    assert!(!matches("^(?i:a|b)c$", "BC"));
    assert!(matches(r"^\Qab\E*$", "abbb"), "only the last of what is quoted");
    assert!(matches(r"^\Qa*", "a*"), "unclosed quotes reach to the end");
    assert_eq!(
        refusal("(?i)*"),
        "error parsing regexp: missing argument to repetition operator: `*`"
    );
    assert_eq!(
        refusal("a|*?"),
        "error parsing regexp: missing argument to repetition operator: `*?`"
    );
    assert_eq!(
        refusal("a*{2}"),
        "error parsing regexp: invalid nested repetition operator: `*{2}`"
    );
    assert!(GoRegex::new("(?:a*)*(?:a{0}){1000}(?:a{2,}){500}").is_ok());
    assert_eq!(
        refusal("((a{2,}){5}){101}?"),
        "error parsing regexp: invalid repeat count: `{101}?`"
    );
    assert!(matches("a{01}", "a{01}"));
    assert_eq!(
        refusal("a{99999999999}"),
        "error parsing regexp: invalid repeat count: `{99999999999}`"
    );
}

#[test]
fn the_ascii_word_edge_never_falls_within_a_character() {
    assert!(!matches(r"\B", "aéa"));
    assert!(matches(r"\B", "é"));
    assert!(matches(r"a\Ba", "aa"));
    assert!(matches(r"^\B-\B$", "-"));
    assert!(matches(r"\B", ""));
}

#[test]
fn classes_as_go_reads_them() {
    assert!(matches(r"^[^[:^alpha:]\d-]$", "a"));
    assert!(matches(r"^[\x{D7FF}-\x{E000}]$", "\u{e000}"));
    assert!(!matches(r"\x{D800}", "\u{fffd}"));
    assert!(matches(r"^[^\x{D800}]$", "a"));
    assert!(matches(r"(?i)^[[:lower:]]$", "K"));
    assert!(matches(r"^(?i)\w$", "\u{17f}"), "folding reaches beyond ASCII");
    assert!(!matches(r"^[\W]$", "a"));
    assert!(matches(r"^\p{^Greek}\P{^Greek}$", "aα"));
    assert!(matches(r"^\p{Any}$", "\n"));
    assert_eq!(refusal(r"[\x"), r"error parsing regexp: invalid escape sequence: `\x`");
    assert_eq!(refusal(r"\xg1"), r"error parsing regexp: invalid escape sequence: `\xg1`");
    assert_eq!(
        refusal(r"\x{110000}"),
        r"error parsing regexp: invalid escape sequence: `\x{110000`"
    );
    assert_eq!(refusal(r"\x{}"), r"error parsing regexp: invalid escape sequence: `\x{}`");
    assert_eq!(
        refusal(r"\p{Greek"),
        r"error parsing regexp: invalid character class range: `\p{Greek`"
    );
    assert_eq!(refusal(r"a[b-"), r"error parsing regexp: missing closing ]: `[b-`");
}

#[test]
fn groups_as_go_reads_them() {
    for bad in ["(?P<>a)", "(?P<n-m>a)"] {
        assert!(refusal(bad).starts_with("error parsing regexp: invalid named capture: `(?P<"));
    }
    assert_eq!(refusal("(?P<n"), "error parsing regexp: invalid named capture: `(?P<n`");
    assert_eq!(
        refusal("(?-)a"),
        "error parsing regexp: invalid or unsupported Perl syntax: `(?-)`"
    );
    assert_eq!(
        refusal("(?i-s-m)"),
        "error parsing regexp: invalid or unsupported Perl syntax: `(?i-s-`"
    );
    assert_eq!(refusal("(?i"), "error parsing regexp: invalid or unsupported Perl syntax: `(?i`");
    assert!(refusal(&"(".repeat(5000)).contains("nests too deeply"));
    let deepest = format!("{}[^[:^alpha:]]{}", "(b|c(?i)".repeat(40), "d)*".repeat(40));
    assert!(GoRegex::new(&deepest).is_ok());
    assert!(matches("^a*(?i)+$", "aaa"));
}

#[test]
fn all_names_of_go_are_known_to_the_crate() {
    for name in CATEGORIES.iter().chain(&SCRIPTS) {
        assert!(GoRegex::new(&format!(r"\p{{{name}}}")).is_ok(), "{name}");
    }
    for refused in ["greek", "Alphabetic", "sc=Greek", "Kawi", "LC", "any", ""] {
        assert!(GoRegex::new(&format!(r"\p{{{refused}}}")).is_err(), "{refused}");
    }
}

#[test]
fn what_would_take_too_much_memory_is_refused() {
    assert!(
        refusal(r"(?:\pL{100}\pN{100}){10}(?:\pL{10}){100}(?:\pL{10}){100}(?:\pL{10}){100}")
            .contains("too large")
    );
}

#[test]
fn each_bad_byte_is_one_character() {
    assert_eq!(as_go_reads(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn whatever_is_accepted_is_accepted_by_the_crate(pattern in r"[a\\pPQEdDwWsSbBxzA0-9{}\[\]()^$.*+?|,:<>iUms-]{0,24}") {
        if let Err(error) = GoRegex::new(&pattern) {
            prop_assert!(!error.to_string().contains("too large"), "{}", error);
        }
    }

    #[test]
    fn no_text_makes_it_panic(pattern: String, text in any::<Vec<u8>>()) {
        if let Ok(regex) = GoRegex::new(&pattern) {
            regex.is_match(&text);
        }
    }
}
