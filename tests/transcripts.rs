//! Transcripts: sessions of shell commands with their complete expected output.
//!
//! Each file of `tests/data/transcripts` is a session in an empty home. A line that starts with `$`
//! is typed into a shell; `>` marks its stdout, `!` its stderr, and `=` its exit status unless that
//! is 0. `#` starts a comment. `{home}` stands for the home; the other placeholders stand for text
//! that differs each time: see [`PLACEHOLDERS`].

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read files directly")]

use std::path::Path;

use super::home::{CommandOutput, Home};

/// A placeholder, and the characters that it matches.
type Placeholder = (&'static str, fn(char) -> bool);

const PLACEHOLDERS: [Placeholder; 5] = [
    ("{key}", |letter| letter.is_ascii_hexdigit()),
    ("{mark}", |letter| letter.is_ascii_lowercase()),
    ("{number}", |letter| letter.is_ascii_digit()),
    ("{time}", |letter| letter.is_ascii_digit() || "TZ:.-".contains(letter)),
    ("{version}", |letter| letter.is_ascii_digit() || letter == '.'),
];

/// Returns whether a line matches a line of a transcript.
fn matches(line: &str, expected: &str) -> bool {
    let found = PLACEHOLDERS.iter().filter_map(|word| Some((expected.find(word.0)?, word)));
    let Some((at, (word, is_part))) = found.min_by_key(|found| found.0) else {
        return line == expected;
    };
    let Some(rest) = line.strip_prefix(&expected[..at]) else { return false };
    // All of these characters are ASCII, so every cut is valid.
    let longest = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
    (1..=longest).rev().any(|end| matches(&rest[end..], &expected[at + word.len()..]))
}

/// Runs a line in a shell with the programs in its `PATH`; returns its output as lines of a
/// transcript.
fn output_of(home: &Home, typed: &str) -> Vec<String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_mig-runner")).parent().unwrap();
    // With a fixed umask, the modes of files do not depend on the user who runs the tests.
    let mut shell = home.command_of("/bin/sh", &["-c", &format!("umask 022\n{typed}")]);
    let output =
        CommandOutput::of(shell.env("PATH", format!("{}:/usr/bin:/bin", programs.display())));
    let folder = home.path("").display().to_string();
    let marked = |mark: &'static str, text: &str| -> Vec<String> {
        let text = text.replace(folder.trim_end_matches('/'), "{home}");
        text.lines().map(|line| format!("{mark} {line}").trim_end().to_owned()).collect()
    };
    let mut lines = [marked(">", &output.out), marked("!", &output.err)].concat();
    if output.exit != 0 {
        lines.push(format!("= {}", output.exit));
    }
    lines
}

/// Runs a session, and checks its output.
fn run(home: &Home, name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transcripts").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut is_same = true;
    let mut session = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        session.push_str(&format!("{line}\n"));
        let Some(typed) = line.strip_prefix("$ ") else {
            assert!(
                line.is_empty() || line.starts_with('#'),
                "{name}: {line:?} follows no command"
            );
            continue;
        };
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(['>', '!', '='])) {
            expected.push(line);
        }
        let actual = output_of(home, typed);
        let is_expected = actual.len() == expected.len()
            && actual.iter().zip(&expected).all(|(line, expected)| matches(line, expected));
        is_same &= is_expected;
        for line in
            if is_expected { expected.iter().map(ToString::to_string).collect() } else { actual }
        {
            session.push_str(&format!("{line}\n"));
        }
    }
    assert!(is_same, "{} differs from the actual session:\n{session}", path.display());
}

#[test]
fn placeholders_match_only_their_characters() {
    for (line, expected, does_match) in [
        ("plain", "plain", true),
        ("plain", "plainer", false),
        ("at 2026-11-22T12:00:00Z.", "at {time}", true),
        ("at 12:00:00 or so", "at {time} or so", true),
        ("at  or so", "at {time} or so", false),
        ("at 12:00: noon", "at {time}: noon", true),
        ("run x-manual-abcdef", "run x-manual-{mark}", true),
        ("run x-manual-ABCDEF", "run x-manual-{mark}", false),
        ("7 and 8", "{number} and {number}", true),
        ("7 and 8.", "{number} and {number}", false),
    ] {
        assert_eq!(matches(line, expected), does_match, "{line:?} {expected:?}");
    }
}

#[test]
fn runner_help() {
    run(&Home::new(), "runner-help.txt");
}

#[test]
fn programs_without_configuration() {
    let is_used = Path::new("/etc/mig").exists();
    if !is_used && cfg!(feature = "platform") {
        run(&Home::new(), "unconfigured.txt");
    }
}

#[test]
fn runner_without_installation() {
    run(&Home::new(), "runner-files.txt");
}

#[test]
fn installed_runner() {
    run(&Home::installed(), "runner.txt");
}

#[cfg(feature = "platform")]
#[test]
fn platform_session() {
    run(&Home::new(), "standalone.txt");
}

#[cfg(feature = "data")]
#[test]
fn data_session() {
    run(&Home::new(), "data.txt");
}
