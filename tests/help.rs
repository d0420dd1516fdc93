//! Every help text of every program fits 80 columns and, for a command, has an example.

use crate::home::{CommandOutput, Home};

const PROGRAMS: &[(&str, &str)] = &[
    ("mig-runner", env!("CARGO_BIN_EXE_mig-runner")),
    #[cfg(feature = "platform")]
    ("mig-standalone", env!("CARGO_BIN_EXE_mig-standalone")),
    #[cfg(feature = "data")]
    ("mig-data", env!("CARGO_BIN_EXE_mig-data")),
];

/// Checks the help of a command and of all commands below it; returns their number.
fn check(home: &Home, name: &str, program: &str, command: &[&str]) -> usize {
    let arguments = [command, &["--help"]].concat();
    let said = CommandOutput::of(&mut home.command_of(program, &arguments));
    assert_eq!(said.exit, 0, "{said:?}");
    let wide = said.out.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None, "{name} {command:?}");
    let listed = said.out.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below: Vec<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let has_example = said.out.lines().any(|line| {
        let line = line.trim_start_matches([' ', '$']);
        line.starts_with(name) && line.contains(&command.join(" "))
    });
    assert!(command.is_empty() || !below.is_empty() || has_example, "no example: {}", said.out);
    let checked = |below: &str| check(home, name, program, &[command, &[below]].concat());
    1 + below.into_iter().map(checked).sum::<usize>()
}

#[test]
fn every_help_text_fits_80_columns_and_has_an_example() {
    let home = Home::new();
    for (name, program) in PROGRAMS {
        let checked = check(&home, name, program, &[]);
        assert!(checked > 3, "{name}: only {checked} help texts");
    }
}
