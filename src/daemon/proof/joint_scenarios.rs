//! Scenarios in which several runs move in the same turn, so that their moves are committed
//! together.

use super::scenario::ScenarioStep::{At, Pass};
use super::scenario::{AllowedEnd, Scenario, ScenarioStep, end, scenario};
use super::simulation::Simulation;
use crate::daemon::testing::PostReply;

/// The end of a run of each of the three jobs.
const FINISHED: &[&str] = &[
    "action/done a.20261122T120100Z",
    "action/done b.20261122T120100Z",
    "action/done job.20261122T120100Z",
    "command/done a.20261122T120100Z",
    "command/done b.20261122T120100Z",
    "command/done job.20261122T120100Z",
];
const ONCE: &[AllowedEnd] = &[end(3, FINISHED)];
/// The same without results.
const SENT: &[AllowedEnd] = &[end(3, FINISHED.split_at(3).0)];
const LAUNCH: ScenarioStep = At("2026-11-22T12:01:00Z");
const EXPIRED: ScenarioStep = At("2026-11-22T12:01:20Z");

pub(super) const JOINT: &[Scenario] = &[
    scenario("three jobs at once", "plugin = p", three_jobs, &[LAUNCH, EXPIRED], ONCE),
    scenario("three jobs that send only", "sendonly = true", three_jobs, &[LAUNCH, Pass(1)], SENT),
    scenario(
        "three answers lost",
        "",
        |s| {
            three_jobs(s);
            s.platform.script_replies(&[PostReply::LoseAnswer; 3]);
        },
        &[LAUNCH, Pass(5), EXPIRED],
        ONCE,
    ),
];

fn three_jobs(simulation: &mut Simulation) {
    for name in ["a", "b"] {
        simulation.copy_job(name);
    }
}
