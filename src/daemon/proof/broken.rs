//! Builds that are broken on purpose: without any one of its safeguards the proof does not hold.

use std::time::Duration;

use super::chance::Chance;
use super::kill::killed;
use super::lives::ALL;
use super::power::{Cuts, believed, played};
use super::scenario::{Play, Scenario};
use crate::disk::Safeguard;

/// After how many combinations a proof that still holds is called blind.
const STATES_MAX: usize = 20_000;

fn scenario(name: &str) -> &'static Scenario {
    ALL.iter().find(|scenario| scenario.name == name).unwrap()
}

fn launch_without(safeguard: Safeguard) -> Play {
    ALL[0].begin_on(|fs| fs.without(safeguard))
}

/// Tells whether cuts of power show that something is missing.
fn is_caught(begin: impl Fn() -> Play) -> bool {
    let mut cuts = Cuts::new(Chance::new());
    while cuts.tally.points() + cuts.same < STATES_MAX {
        for steps in 0.. {
            let Some(play) = played(begin(), steps) else { break };
            cuts.cut(&play);
            if cuts.tally.has_faults() {
                return true;
            }
        }
    }
    false
}

#[test]
fn without_the_fsync_of_content_it_fails() {
    assert!(is_caught(|| launch_without(Safeguard::FileSync)));
}

#[test]
fn without_the_fsync_of_folders_it_fails() {
    assert!(is_caught(|| launch_without(Safeguard::FolderSync)));
}

#[test]
fn without_the_fsyncs_at_start_it_fails() {
    let mut cuts = Cuts::new(Chance::new());
    // Only some deaths show it.
    while !cuts.tally.has_faults() && cuts.tally.points() + cuts.same < STATES_MAX {
        believed("action/new", || launch_without(Safeguard::StartSync), &mut cuts);
    }
    assert!(cuts.tally.has_faults());
}

#[test]
fn without_the_look_for_the_file_that_counts_it_fails() {
    let ends = (0..).map_while(|steps| killed(launch_without(Safeguard::Counting), steps));
    assert!(ends.into_iter().any(|end| end.is_err()));
}

#[test]
fn without_the_search_by_signature_it_fails() {
    let begin = || {
        let play = scenario("answer lost").begin();
        play.world.platform.blind();
        play
    };
    let ends = (0..).map_while(|steps| killed(begin(), steps));
    assert!(ends.into_iter().any(|end| end.is_err()));
}

#[test]
fn without_settle_it_fails() {
    let mut play = scenario("arrives late").begin();
    play.world.set_settle(Duration::ZERO);
    play.go_on();
    assert!(play.finish().is_err());
}
