//! Transcripts: what a person types, and all that is answered, line by line.
//!
//! A file of `tests/data/transcripts` is a session in an empty home. What stands after `$` is typed
//! into a shell; `>` comes on stdout, `!` on stderr, and `=` is the exit status where it is not 0.
//! `#` says what is shown. `{home}` is the home, and other words in braces stand for what differs each
//! time: see [`WORDS`].

#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read files as people do")]

use std::path::Path;

use super::home::{CommandOutput, Home};

/// A word that may stand for something, and what that is made of.
type Word = (&'static str, fn(char) -> bool);

/// What may stand for something.
const WORDS: [Word; 5] = [
    ("{key}", |letter| letter.is_ascii_hexdigit()),
    ("{mark}", |letter| letter.is_ascii_lowercase()),
    ("{number}", |letter| letter.is_ascii_digit()),
    ("{time}", |letter| letter.is_ascii_digit() || "TZ:.-".contains(letter)),
    ("{version}", |letter| letter.is_ascii_digit() || letter == '.'),
];

/// Tells whether a line is as the transcript has it.
fn is_like(line: &str, expected: &str) -> bool {
    let places = WORDS.iter().filter_map(|word| Some((expected.find(word.0)?, word)));
    let Some((at, (word, is_part))) = places.min_by_key(|place| place.0) else {
        return line == expected;
    };
    let Some(rest) = line.strip_prefix(&expected[..at]) else { return false };
    // All of these characters are of one byte.
    let longest = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
    (1..=longest).rev().any(|end| is_like(&rest[end..], &expected[at + word.len()..]))
}

/// Types a line into a shell that finds the programs; returns the lines that a transcript would have.
fn answered(home: &Home, typed: &str) -> Vec<String> {
    let programs = Path::new(env!("CARGO_BIN_EXE_mig-runner")).parent().unwrap();
    // The files that a session makes have the same modes for every user.
    let mut shell = home.command_of("/bin/sh", &["-c", &format!("umask 022\n{typed}")]);
    let said =
        CommandOutput::of(shell.env("PATH", format!("{}:/usr/bin:/bin", programs.display())));
    let folder = home.path("").display().to_string();
    let marked = |mark: &'static str, text: &str| -> Vec<String> {
        let text = text.replace(folder.trim_end_matches('/'), "{home}");
        text.lines().map(|line| format!("{mark} {line}").trim_end().to_owned()).collect()
    };
    let mut lines = [marked(">", &said.out), marked("!", &said.err)].concat();
    if said.exit != 0 {
        lines.push(format!("= {}", said.exit));
    }
    lines
}

/// Goes through a session, and checks that all is answered as the file has it.
fn play(home: &Home, name: &str) {
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
        let answered = answered(home, typed);
        let is_answered = answered.len() == expected.len()
            && answered.iter().zip(&expected).all(|(line, expected)| is_like(line, expected));
        is_same &= is_answered;
        for line in
            if is_answered { expected.iter().map(ToString::to_string).collect() } else { answered }
        {
            session.push_str(&format!("{line}\n"));
        }
    }
    assert!(is_same, "{} is not what is answered now:\n{session}", path.display());
}

#[test]
fn a_word_stands_for_what_differs_and_for_nothing_else() {
    for (line, expected, is_so) in [
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
        assert_eq!(is_like(line, expected), is_so, "{line:?} {expected:?}");
    }
}

#[test]
fn the_help_of_the_runner() {
    play(&Home::new(), "runner-help.txt");
}

#[test]
fn a_newcomer_who_has_configured_nothing() {
    let is_used = Path::new("/etc/mig").exists();
    if !is_used && cfg!(feature = "platform") {
        play(&Home::new(), "unconfigured.txt");
    }
}

#[test]
fn an_operator_of_the_runner() {
    play(&Home::new(), "runner-files.txt");
}

#[test]
fn an_operator_of_an_installed_runner() {
    play(&Home::installed(), "runner.txt");
}

#[cfg(feature = "platform")]
#[test]
fn an_operator_of_the_platform() {
    play(&Home::new(), "standalone.txt");
}

#[cfg(feature = "data")]
#[test]
fn an_administrator_of_the_data() {
    play(&Home::new(), "data.txt");
}
