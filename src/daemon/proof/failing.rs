//! Each call to the disk fails, once or for a while: nothing is lost, and all is caught up with.

use std::io::ErrorKind;

use super::chance::{Chance, full};
use super::lives::ALL;
use super::power::of_all;
use super::scenario::{Play, Scenario};
use super::tally::Tally;
use crate::disk::model::Blow;

/// How the disk fails: full, out of order (as without descriptors), over quota, forbidden.
const KINDS: [ErrorKind; 4] = [
    ErrorKind::StorageFull,
    ErrorKind::Other,
    ErrorKind::QuotaExceeded,
    ErrorKind::PermissionDenied,
];
/// At how many calls of a scenario the disk fails, unless at all.
const QUICK: u64 = 40;
/// How many calls no scenario has.
const CALLS_MAX: usize = 3000;

/// Lets the disk fail as `blow` says while a scenario plays, and says how it ends when that is over.
fn failed(mut play: Play, blow: Blow) -> Option<Result<(), String>> {
    // It has begun before: a disk that fails at start is an error that ends the program.
    play.world.start();
    play.world.fs.fuse().set(blow);
    play.go_on_without_start();
    if !play.world.fs.fuse().is_blown() {
        return None;
    }
    play.world.fs.fuse().set(Blow::Never);
    // The runner catches up by itself.
    play.wait();
    Some(play.verdict(false).map_err(|fault| format!("{blow:?}: {fault}")))
}

/// Fails the calls of a scenario, each with as many of the kinds.
fn fail_each(
    scenario: &Scenario,
    chance: &Chance,
    blow: fn(usize, ErrorKind) -> Blow,
    kinds: usize,
) -> Tally {
    let mut tally = Tally::new("");
    for calls in 0..CALLS_MAX {
        if !full() && !chance.one_in(QUICK) {
            continue;
        }
        let first = usize::try_from(chance.draw() % 4).unwrap();
        let kinds = KINDS.iter().cycle().skip(first).take(if full() { kinds } else { 1 });
        let ends = kinds.map_while(|kind| failed(scenario.begin(), blow(calls, *kind)));
        let ends: Vec<_> = ends.collect();
        if ends.is_empty() {
            break;
        }
        ends.into_iter().for_each(|end| tally.count(end));
    }
    tally
}

#[test]
fn a_call_that_fails_once_loses_nothing() {
    let mut tally = Tally::new("calls of the disk that failed once");
    of_all(&mut tally, &Chance::new(), |scenario, chance| {
        // A disk that fails at a start ends the program, which is told.
        let is_meant = !scenario.restarts();
        if is_meant { fail_each(scenario, chance, Blow::Fail, KINDS.len()) } else { Tally::new("") }
    });
    tally.close();
}

#[test]
fn a_disk_that_fails_for_long_loses_nothing() {
    let mut tally = Tally::new("calls of the disk from which on it failed for long");
    of_all(&mut tally, &Chance::new(), |scenario, chance| {
        // What people do meanwhile leads elsewhere.
        let is_meant = scenario.is_left_alone();
        if is_meant { fail_each(scenario, chance, Blow::FailOn, 1) } else { Tally::new("") }
    });
    tally.close();
}

#[test]
fn a_disk_that_takes_no_changes_loses_nothing() {
    let mut tally = Tally::new("changes from which on the disk was full for long");
    of_all(&mut tally, &Chance::new(), |scenario, chance| {
        let is_meant = scenario.is_left_alone();
        if is_meant { fail_each(scenario, chance, Blow::Full, 1) } else { Tally::new("") }
    });
    tally.close();
}

#[test]
fn while_the_disk_is_full_status_says_so() {
    let mut play = ALL[0].begin();
    play.world.start();
    assert!(!play.world.is_degraded());
    play.world.fs.fuse().set(Blow::Full(0, ErrorKind::StorageFull));
    play.go_on_without_start();
    assert!(play.world.is_degraded());
    play.world.fs.fuse().set(Blow::Never);
    play.wait();
    assert_eq!(play.verdict(true), Ok(()));
}
