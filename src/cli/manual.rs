//! The manual page tells what the program does: commands, options, exit statuses, environment.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory};

use super::{Arguments, env};
use crate::exit::Exit;

/// The page of the runner.
const PAGE: &str = include_str!("../../man/mig-runner.8");

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

/// Returns the options of a command that are its own.
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

/// Returns the commands below one that do something, each by its whole name with its options.
fn commands(below: &Command, prefix: &str) -> Vec<(String, BTreeSet<String>)> {
    let mut found = Vec::new();
    for command in below.get_subcommands() {
        let name = format!("{prefix}{}", command.get_name());
        if !command.is_subcommand_required_set() {
            found.push((name.clone(), own_options(command)));
        }
        found.extend(commands(command, &format!("{name} ")));
    }
    found
}

/// Checks that a page has every command of a program with its options, and no other.
pub(super) fn check_commands(page: &str, command: &Command) {
    let is_name = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
    let told: Vec<(String, BTreeSet<String>)> = section(page, "COMMANDS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .map(|line| {
            let name: Vec<&str> = line.split(' ').take_while(is_name).collect();
            (name.join(" "), options(line))
        })
        .collect();
    assert_eq!(told, commands(command, ""));
}

/// Checks that a page has the options of a program.
pub(super) fn check_options(page: &str, mut command: Command) {
    command.build();
    for argument in command.get_arguments() {
        let short = format!(".It Fl {}", argument.get_short().unwrap());
        let told = section(page, "DESCRIPTION").into_iter().find(|line| line.starts_with(&short));
        let told = told.unwrap_or_else(|| panic!("{short} is not told"));
        let long = argument.get_long().map(|long| format!("--{long}"));
        assert!(long.is_none_or(|long| options(told).contains(&long)), "{told}");
    }
}

#[test]
fn the_page_has_every_command_with_its_options_and_no_other() {
    check_commands(PAGE, &Arguments::command());
}

#[test]
fn the_page_has_the_options_of_the_program() {
    check_options(PAGE, Arguments::command());
}

/// Checks that a page has these exit statuses and no other.
pub(super) fn check_exits(page: &str, exits: &[Exit]) {
    let told: Vec<u8> = section(page, "EXIT STATUS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
        .collect();
    assert_eq!(told, exits.iter().map(|exit| exit.number()).collect::<Vec<u8>>());
}

/// Checks that a page has these variables and no other.
pub(super) fn check_variables(page: &str, variables: &[&str]) {
    let told: BTreeSet<&str> = section(page, "ENVIRONMENT")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Ev "))
        .flat_map(|names| names.split(" , "))
        .collect();
    assert_eq!(told, variables.iter().copied().collect());
}

#[test]
fn the_page_has_every_exit_status() {
    check_exits(PAGE, &Exit::ALL);
}

#[test]
fn the_page_has_every_variable() {
    check_variables(PAGE, &env::VARIABLES);
}
