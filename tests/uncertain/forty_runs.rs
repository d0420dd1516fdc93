//! Forty runs of one job within seconds: each action is valid for the configured time, none is
//! rejected, and each run finds its own action.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use rustix::process::Signal;

use super::start_proxy;
use crate::rig::proxy::ProxyFault;
use crate::rig::{Rig, wait_until};

/// Number of runs.
const RUNS: usize = 40;
/// Number of POSTs without an answer.
const UNANSWERED: usize = 8;
/// The validity of each action.
const EXPIRY: SignedDuration = SignedDuration::from_secs(20);

#[test]
#[expect(clippy::disallowed_methods, reason = "a test measures the periods of real actions")]
fn forty_runs_within_seconds_are_valid_for_the_configured_time() {
    let rig = Rig::new();
    rig.job("many", "schedule = \"0 0 1 1 *\"\nexpiry = 20s\nsendonly = on");
    let _proxy = start_proxy(&rig, &[("many", ProxyFault::AnswerLost); UNANSWERED]);
    rig.runner().stop(Signal::TERM);
    // The runs wait for the runner, which sends all of them just after its start.
    let runs: Vec<String> = (0..RUNS).map(|_| rig.trigger("many")).collect();
    let begun = Timestamp::now();
    let runner = rig.runner();
    wait_until("forty actions", || rig.database().actions("mig-runner: many").len() >= RUNS);
    let sent = Timestamp::now();
    let (mut ids, mut signatures) = (BTreeSet::new(), BTreeSet::new());
    for run in &runs {
        let record = rig.wait_in("action/done", run);
        let end: Timestamp = record["request"]["expireafter"].as_str().unwrap().parse().unwrap();
        let second = SignedDuration::from_secs(1);
        assert!((begun + EXPIRY - second..=sent + EXPIRY).contains(&end), "{begun} {sent} {end}");
        let begin: Timestamp = record["request"]["validfrom"].as_str().unwrap().parse().unwrap();
        assert!(
            end.duration_since(begin) >= EXPIRY + SignedDuration::from_secs(60),
            "{begin} {end}"
        );
        // The search found the action of this run.
        assert_eq!(record["action"]["pgpsignatures"], record["request"]["signatures"], "{run}");
        signatures.insert(record["request"]["signatures"][0].to_string());
        ids.insert(record["action"]["id"].as_i64().unwrap());
    }
    assert_eq!((ids.len(), signatures.len()), (RUNS, RUNS));
    assert_eq!(rig.database().actions("mig-runner: many").len(), RUNS);
    assert_eq!(runner.logged("action not accepted yet", &[("fate", "refused")]).len(), 0);
    assert_eq!(runner.logged("action not accepted yet", &[("fate", "unknown")]).len(), UNANSWERED);
}
