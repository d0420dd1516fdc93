//! Checks for unit tests that a manual page documents every command, option, exit status and
//! environment variable of its program, and no other.

use std::collections::BTreeSet;

use clap::Command;

use super::env::GNUPG_VARIABLES;
use crate::exit::Exit;

/// Returns the lines of a section of a page.
fn section<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let lines = page.lines().skip_while(|line| *line != format!(".Sh {name}"));
    lines.skip(1).take_while(|line| !line.starts_with(".Sh ")).collect()
}

/// Returns the options in a line of the page, as they are typed.
fn options(line: &str) -> BTreeSet<String> {
    let mut words = line.split_whitespace();
    let mut found = BTreeSet::new();
    while let Some(word) = words.next() {
        if word == "Fl" || word == ".Fl" {
            found.extend(words.next().map(|flag| format!("-{flag}")));
        }
    }
    found
}

/// Returns the options that are specific to a command.
fn own_options(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter(|argument| !argument.is_global_set());
    let mut found: BTreeSet<String> = own
        .flat_map(|argument| {
            let long = argument.get_long().map(|long| format!("--{long}"));
            let short = argument.get_short().map(|short| format!("-{short}"));
            [long, short].into_iter().flatten().collect::<Vec<_>>()
        })
        .collect();
    found.remove("--help");
    found.remove("-h");
    found
}

/// Returns the full name and the options of every command below `parent` that can be run.
fn commands(parent: &Command, prefix: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for command in parent.get_subcommands() {
        let name = format!("{prefix}{}", command.get_name());
        if !command.is_subcommand_required_set() {
            found.push((name.clone(), own_options(command)));
        }
        found.extend(commands(command, &format!("{name} ")));
    }
    found
}

pub(super) fn check_commands(page: &str, command: &Command) {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let documented: Vec<(String, BTreeSet<String>)> = section(page, "COMMANDS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .map(|line| {
            let name: Vec<&str> = line.split(' ').take_while(is_name).collect();
            (name.join(" "), options(line))
        })
        .collect();
    assert_eq!(documented, commands(command, ""));
}

/// Checks the global options of a program.
pub(super) fn check_options(page: &str, mut command: Command) {
    command.build();
    for argument in command.get_arguments() {
        let short = format!(".It Fl {}", argument.get_short().unwrap());
        let line = section(page, "DESCRIPTION").into_iter().find(|line| line.starts_with(&short));
        let line = line.unwrap_or_else(|| panic!("{short} is not documented"));
        let long = argument.get_long().map(|long| format!("--{long}"));
        assert!(long.is_none_or(|long| options(line).contains(&long)), "{line}");
    }
}

pub(super) fn check_exits(page: &str, exits: &[Exit]) {
    let documented: Vec<u8> = section(page, "EXIT STATUS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
        .collect();
    assert_eq!(documented, exits.iter().map(|exit| exit.number()).collect::<Vec<u8>>());
}

pub(super) fn check_variables(page: &str, variables: &[&str]) {
    let documented: BTreeSet<&str> = section(page, "ENVIRONMENT")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Ev "))
        .flat_map(|names| names.split(" , "))
        .collect();
    assert_eq!(documented, variables.iter().copied().collect());
}

/// Checks that a page lists the variables that the processes of GnuPG get.
pub(super) fn check_gnupg_variables(page: &str) {
    let (last, others) = GNUPG_VARIABLES.split_last().unwrap();
    let list = format!(".Li {}\nand\n.Li {last} ,", others.join(" , "));
    assert!(section(page, "ENVIRONMENT").join("\n").contains(&list), "{list}");
}
