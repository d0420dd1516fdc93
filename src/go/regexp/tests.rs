//! Patterns with results recorded from Go, and edge cases of Go's rules.

#![expect(clippy::disallowed_methods, reason = "tests read their data")]

use proptest::prelude::{ProptestConfig, any, proptest};
use serde_json::Value;

use super::names::{CATEGORIES, SCRIPTS};
use super::{Regexp, decode_utf8};

fn forms() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

/// Returns the reason for which a pattern is rejected.
fn reason(pattern: &str) -> String {
    Regexp::new(pattern).unwrap_err().reason
}

fn matches(pattern: &str, text: &str) -> bool {
    Regexp::new(pattern).unwrap().is_match(text.as_bytes())
}

#[test]
fn recorded_patterns_match_or_fail_as_in_go() {
    for vector in forms()["regex"].as_array().unwrap() {
        let pattern = vector["pattern"].as_str().unwrap();
        let regexp = Regexp::new(pattern);
        assert_eq!(regexp.is_err(), vector["error"].is_string(), "{pattern}: {regexp:?}");
        for (text, expected) in vector["match_by_hex_of_text"].as_object().into_iter().flatten() {
            let found = regexp.as_ref().unwrap().is_match(&unhex(text));
            assert_eq!(found, expected.as_bool().unwrap(), "{pattern} {text}");
        }
    }
}

#[test]
fn repetition_applies_to_the_atom_that_go_repeats() {
    assert!(matches("^a(?i)*B$", "aaab"), "flags are not an atom");
    assert!(matches("^(?i)a*$", "aA"));
    assert!(!matches("^(?:(?i)a)a$", "AA"), "a flag ends with its group");
    assert!(matches("^(?:a(?i)|b)$", "B"), "a flag applies to later alternatives");
    assert!(matches("^(?i:a|b)c$", "Bc"));
    assert!(!matches("^(?i:a|b)c$", "BC"));
    assert!(matches(r"^\Qab\E*$", "abbb"), "only the last quoted character");
    assert!(matches(r"^\Qa*", "a*"), "an unclosed quote ends with the pattern");
    assert!(matches("^a*(?i)+$", "aaa"));
    assert!(matches("^a+(?i)?$", ""), "an optional repetition");
    assert!(matches("a{01}", "a{01}"));
    for pattern in ["(?i)*", "a|*?", "(*a)", "a*{2}", "a**?", "a{99999999999}"] {
        assert!(Regexp::new(pattern).is_err(), "{pattern}");
    }
}

#[test]
fn nested_counts_are_multiplied() {
    assert!(Regexp::new("(?:a*)*(?:a{0}){1000}(?:a{2,}){500}").is_ok());
    assert!(Regexp::new("(?:(?:a{1000}){0}|b{10}){100}").is_ok());
    for pattern in ["((a{2,}){5}){101}?", "(?:b{11}|a){91}", "(?:(?:a{11})c){91}"] {
        assert!(reason(pattern).contains("counts over 1000"), "{pattern}");
    }
}

#[test]
fn ascii_word_boundary_is_never_within_a_character() {
    assert!(!matches(r"\B", "aéa"));
    assert!(matches(r"\B", "é"));
    assert!(matches(r"a\Ba", "aa"));
    assert!(matches(r"^\B-\B$", "-"));
    assert!(matches(r"\B", ""));
}

#[test]
fn classes_contain_the_same_characters_as_in_go() {
    assert!(matches(r"^[^[:^alpha:]\d-]$", "a"));
    assert!(matches(r"^[a-c-e]{2}$", "-e"));
    assert!(matches(r"^[--/]$", "."));
    assert!(matches(r"^[\x{D7FF}-\x{E000}]$", "\u{e000}"));
    assert!(!matches(r"\x{D800}", "\u{fffd}"));
    assert!(matches(r"^[^\x{D800}]$", "a"));
    assert!(matches(r"(?i)^[[:lower:]]$", "K"));
    assert!(matches(r"^(?i)\w$", "\u{17f}"), "folding goes beyond ASCII");
    assert!(!matches(r"^[\W]$", "a"));
    assert!(matches(r"^\p{^Greek}\P{^Greek}$", "aα"));
    assert!(matches(r"^\p{Any}$", "\n"));
}

#[test]
fn invalid_characters_and_classes_are_rejected() {
    for pattern in [r"[\x", r"\xg1", r"\x4", r"\x{110000}", r"\x{}", r"\x{+1}", r"\xé"] {
        assert!(reason(pattern).starts_with(r"invalid escape \x"), "{pattern}");
    }
    for pattern in [r"\p{Greek", r"\p", r"\p^", r"\pé"] {
        assert!(reason(pattern).starts_with("unknown Unicode class"), "{pattern}");
    }
    for pattern in ["a[b-", "[]", "[^", "["] {
        assert_eq!(reason(pattern), "unclosed character class", "{pattern}");
    }
}

#[test]
fn groups_and_flags_are_those_of_go() {
    for pattern in ["(?P<>a)", "(?P<n-m>a)", "(?P<n"] {
        assert_eq!(reason(pattern), "invalid group name", "{pattern}");
    }
    for pattern in ["(?-)a", "(?i-s-m)", "(?i", "(?i-)", "(?R)", "(?P=n)", "(?<n>a)"] {
        assert_eq!(reason(pattern), "unknown flag or kind of group", "{pattern}");
    }
    assert!(matches("^(?)(?ii-i)(?sU)a.b$", "a\nb"));
    assert_eq!(reason("((a)"), "unclosed group");
    assert_eq!(reason("(a))"), "unopened group");
}

#[test]
fn deep_nesting_and_large_expressions_are_rejected() {
    assert!(Regexp::new(&"(".repeat(5000)).is_err());
    let deepest = format!("{}[^[:^alpha:]]{}", "(b|c(?i)".repeat(40), "d)*".repeat(40));
    assert!(Regexp::new(&deepest).is_ok());
    let large = r"(?:\pL{100}\pN{100}){10}(?:\pL{10}){100}(?:\pL{10}){100}(?:\pL{10}){100}";
    assert_eq!(reason(large), "expression too large");
}

#[test]
fn crate_knows_all_class_names_of_go() {
    for name in CATEGORIES.split_whitespace().chain(SCRIPTS.split_whitespace()) {
        assert!(Regexp::new(&format!(r"\p{{{name}}}")).is_ok(), "{name}");
    }
    for rejected in ["greek", "Alphabetic", "sc=Greek", "Kawi", "LC", "any", "", "Greek Han"] {
        assert!(Regexp::new(&format!(r"\p{{{rejected}}}")).is_err(), "{rejected}");
    }
}

#[test]
fn each_invalid_byte_becomes_one_character() {
    assert_eq!(decode_utf8(b"a\xe2\x82b\xff"), "a\u{fffd}\u{fffd}b\u{fffd}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn random_patterns_are_accepted_or_rejected_without_panic(pattern in r"[a\\pPQEdDwWsSbBxzA0-9{}\[\]()^$.*+?|,:<>iUms-]{0,24}") {
        Regexp::new(&pattern).ok();
    }

    #[test]
    fn random_texts_are_matched_without_panic(pattern: String, text in any::<Vec<u8>>()) {
        if let Ok(regexp) = Regexp::new(&pattern) {
            regexp.is_match(&text);
        }
    }
}
