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

/// Checks that a page has every command of a program with its options, and no other.
pub(super) fn check_commands(page: &str, command: &Command) {
    let told: Vec<(String, BTreeSet<String>)> = section(page, "COMMANDS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .map(|line| (line.split(' ').next().unwrap().to_owned(), options(line)))
        .collect();
    let known: Vec<(String, BTreeSet<String>)> = command
        .get_subcommands()
        .map(|command| (command.get_name().to_owned(), own_options(command)))
        .collect();
    assert_eq!(told, known);
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

#[test]
fn the_page_has_every_exit_status() {
    let told: Vec<u8> = section(PAGE, "EXIT STATUS")
        .iter()
        .filter_map(|line| line.strip_prefix(".It ")?.parse().ok())
        .collect();
    assert_eq!(told, Exit::ALL.map(Exit::number));
}

#[test]
fn the_page_has_every_variable() {
    let told: BTreeSet<&str> = section(PAGE, "ENVIRONMENT")
        .iter()
        .filter_map(|line| line.strip_prefix(".It Ev "))
        .flat_map(|names| names.split(" , "))
        .collect();
    assert_eq!(told, BTreeSet::from(env::VARIABLES));
}
