//! Tests of valid and invalid lines.

use proptest::prelude::*;

use super::*;

/// Returns section, key, value (`None` for a bare key) and line of each entry.
fn entries(text: &str) -> Vec<(String, String, Option<String>, u32)> {
    let document = read(text.as_bytes());
    assert_eq!(document.faults, [], "{text:?}");
    document.entries.into_iter().map(parts).collect()
}

fn parts(entry: Entry) -> (String, String, Option<String>, u32) {
    let value = match entry.value {
        EntryValue::Text(text) => Some(text.expose().to_owned()),
        EntryValue::Bare => None,
        EntryValue::Broken => panic!("an invalid value without a fault"),
    };
    (entry.section, entry.key, value, entry.line)
}

fn values(text: &str) -> Vec<Option<String>> {
    entries(text).into_iter().map(|(_, _, value, _)| value).collect()
}

fn faults(text: &str) -> Vec<(Option<u32>, String)> {
    read(text.as_bytes()).faults.into_iter().map(|fault| (fault.line, fault.text)).collect()
}

#[test]
fn entries_have_their_section_and_line() {
    let text = "\u{feff}; head\n[A]\nx = 1 ; c\n\n[b] # c\nY=2\\\n3\n[a]\nX = 4\nz\n";
    let entry = |section: &str, key: &str, value: Option<&str>, line| {
        (section.to_owned(), key.to_owned(), value.map(str::to_owned), line)
    };
    assert_eq!(
        entries(text),
        [
            entry("a", "x", Some("1"), 3),
            entry("b", "y", Some("23"), 6),
            entry("a", "x", Some("4"), 9),
            entry("a", "z", None, 10),
        ]
    );
}

#[test]
fn quotes_escapes_and_comments_in_values() {
    for (written, expected) in [
        (r#""a;b#c""#, "a;b#c"),
        (r#"a"b ; c"d  ; comment"#, "ab ; cd"),
        (r#""\\ \" \t""#, "\\ \" \t"),
        (r#"" a "  "#, " a "),
        ("[x] = y: z", "[x] = y: z"),
        ("a\rb\r", "ab"),
        (r#"a """#, "a "),
        ("", ""),
        ("=", "="),
    ] {
        assert_eq!(values(&format!("[s]\nk = {written}\n")), [Some(expected.to_owned())]);
    }
}

#[test]
fn all_faults_of_a_file_are_reported() {
    let text =
        "k = 1\n<x>\n[a\n[b]\n_y = 1\nx = \"1\nx 1\nx = C:\\d\nx = \"\\d\"\n[\"c\"]\n[d \"\"]\n";
    let found = faults(text);
    let lines: Vec<_> = found.iter().filter_map(|(line, _)| *line).collect();
    assert_eq!(lines, [1, 2, 3, 5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn invalid_text_is_rejected_with_its_line() {
    let fault = |bytes: &[u8]| read(bytes).faults.into_iter().map(|fault| fault.line).collect();
    let lines: Vec<Option<u32>> = fault(b"[a]\n; \xff\n<");
    assert_eq!(lines, [Some(2)]);
    let lines: Vec<Option<u32>> = fault(b"[a]\n\nk = \0\n<");
    assert_eq!(lines, [Some(3)]);
}

#[test]
fn keys_below_an_invalid_header_are_not_reported() {
    let document = read(b"[a]\nx = 1\n[b\ny = 2\n[c \"d\"]\nz = 3\n");
    let keys: Vec<_> = document.entries.iter().map(|entry| entry.key.as_str()).collect();
    assert_eq!(keys, ["x"]);
    assert_eq!(document.faults.len(), 1);
}

#[test]
fn messages_do_not_show_values() {
    for value in ["\"hunter2", "hunter2\\x", "\"hunter2\\x\"", "\"hunter2\nx\""] {
        let found = faults(&format!("[client]\npassphrase = {value}\n"));
        assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"), "{found:?}");
    }
}

/// Quotes a value so that it parses to itself.
fn quoted(value: &str) -> String {
    let escaped = value.replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{}\"", escaped.replace('\n', r"\n"))
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_rejected(text in "(\\[|\\]|\"|\\\\|=|;|#|\n|\r|k|é| |\t|_|-|\u{1f}|\u{feff}){0,60}|(?s).{0,60}") {
        let document = read(text.as_bytes());
        let last = u32::try_from(text.matches('\n').count()).unwrap() + 1;
        for line in document.faults.iter().filter_map(|fault| fault.line) {
            prop_assert!((1..=last).contains(&line));
        }
        for entry in document.entries {
            prop_assert!((1..=last).contains(&entry.line));
            prop_assert!(document.headers.iter().any(|header| header.name == entry.section));
        }
    }

    #[test]
    fn any_bytes_are_accepted_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        read(&bytes);
    }

    #[test]
    fn quoted_values_parse_to_themselves(
        written in proptest::collection::vec(("[a-z][a-z0-9-]{0,8}", "[^\0\r]{0,20}"), 0..8)
    ) {
        let mut text = "[s]\n".to_owned();
        for (key, value) in &written {
            text.push_str(&format!("{key} = {}\n", quoted(value)));
        }
        let found = entries(&text).into_iter().map(|(_, key, value, _)| (key, value.unwrap()));
        prop_assert_eq!(found.collect::<Vec<_>>(), written);
    }
}
