//! Each call to the disk fails, once or for a while: nothing is lost, and all is caught up with.

use std::io::ErrorKind;

use super::chance::{Chance, full};
use super::lives::ALL;
use super::scenario::{Play, Scenario};
use super::tally::Tally;
use crate::disk::model::Blow;

/// How the disk fails: full, out of order, without descriptors, forbidden.
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

/// Fails the calls of one scenario after the other.
fn prove(what: &'static str, blow: fn(usize, ErrorKind) -> Blow, is_meant: fn(&Scenario) -> bool) {
    let chance = Chance::new();
    let mut tally = Tally::new(what);
    for scenario in ALL.iter().filter(|scenario| is_meant(scenario)) {
        for calls in 0..CALLS_MAX {
            if !full() && !chance.one_in(QUICK) {
                continue;
            }
            let at = usize::try_from(chance.draw() % 4).unwrap();
            let kinds = if full() { &KINDS[..] } else { &KINDS[at..=at] };
            let ends = kinds.iter().map_while(|kind| failed(scenario.begin(), blow(calls, *kind)));
            let ends: Vec<_> = ends.collect();
            if ends.is_empty() {
                break;
            }
            ends.into_iter().for_each(|end| tally.count(end));
        }
    }
    tally.close();
}

#[test]
fn a_call_that_fails_once_loses_nothing() {
    prove("calls of the disk that failed once", Blow::Fail, |scenario| !scenario.restarts());
}

#[test]
fn a_disk_that_fails_for_long_loses_nothing() {
    // What people do meanwhile leads elsewhere.
    prove("calls of the disk that failed for long", Blow::FailOn, Scenario::is_left_alone);
}

#[test]
fn a_disk_that_takes_no_changes_loses_nothing() {
    prove("changes that a full disk refused for long", Blow::Full, Scenario::is_left_alone);
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
