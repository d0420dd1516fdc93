//! Each call to the disk fails, once or for a while: nothing is lost, and all is caught up with.

use std::io::ErrorKind;

use super::chance::{Chance, full};
use super::scenario::{ALL, Play, Scenario};
use crate::disk::model::Blow;

/// How the disk fails: full, out of order, without descriptors, forbidden.
const KINDS: [ErrorKind; 4] = [
    ErrorKind::StorageFull,
    ErrorKind::Other,
    ErrorKind::QuotaExceeded,
    ErrorKind::PermissionDenied,
];
/// At how many calls of a scenario the disk fails, unless at all.
const QUICK: u64 = 25;

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

fn prove(
    scenarios: impl Iterator<Item = &'static Scenario>,
    blow: impl Fn(usize, ErrorKind) -> Blow,
) {
    let chance = Chance::new();
    let (mut points, mut faults) = (0, Vec::new());
    for scenario in scenarios {
        for calls in 0.. {
            if !full() && !chance.one_in(QUICK) {
                if calls > 3000 {
                    break;
                }
                continue;
            }
            let at = usize::try_from(chance.draw() % 4).unwrap();
            let kinds = if full() { &KINDS[..] } else { &KINDS[at..=at] };
            let ends: Vec<_> = kinds
                .iter()
                .map_while(|kind| failed(scenario.begin(), blow(calls, *kind)))
                .collect();
            if ends.is_empty() {
                break;
            }
            points += ends.len();
            faults.extend(ends.into_iter().filter_map(Result::err));
        }
    }
    println!("disk failed at {points} points, {} faults", faults.len());
    assert!(faults.is_empty(), "{}\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_call_that_fails_once_loses_nothing() {
    prove(ALL.iter().filter(|scenario| !scenario.restarts()), Blow::Fail);
}

#[test]
fn a_disk_that_fails_for_long_loses_nothing() {
    // What people do meanwhile leads elsewhere.
    prove(ALL.iter().filter(|scenario| scenario.is_left_alone()), Blow::FailOn);
}
