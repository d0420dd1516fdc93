//! All scenarios: what may happen to a run, by itself and by actions of the operator.

use super::scenario::ScenarioStep::{At, Do, Move, Pass, Prune, Reload, Remove, Restart};
use super::scenario::{AllowedEnd, Scenario, ScenarioStep, end, scenario};
use super::simulation::{JOB, Simulation, home};
use crate::daemon::testing::PostReply;
use crate::disk::FreeSpace;
use crate::spool::Folder;

/// The run of the first slot, in a folder.
macro_rules! run {
    ($folder:literal) => {
        run!($folder, "")
    };
    ($folder:literal, $end:literal) => {
        concat!($folder, " job.20261122T120100Z", $end)
    };
}
/// Free space of a disk with room.
const ROOMY: FreeSpace = FreeSpace { bytes: 0.5, files: 0.5 };
/// Free space of a disk that is nearly full.
const FULL: FreeSpace = FreeSpace { bytes: 0.01, files: 0.5 };
/// The run of a later slot, when its action has ended.
const LATER_DONE: &str = "action/done job.20261122T120200Z";
/// The same run, when its deliveries are complete.
const LATER_FINISHED: &str = "command/done job.20261122T120200Z";
/// The files of a finished run.
const FINISHED: &[&str] = &[run!("action/done"), run!("command/done")];

const LAUNCH: ScenarioStep = At("2026-11-22T12:01:00Z");
const EXPIRED: ScenarioStep = At("2026-11-22T12:01:20Z");
const ONCE: &[AllowedEnd] = &[end(1, FINISHED)];
/// If a crash interrupts the POST, a search finds out later that it was not received, and it is
/// repeated.
const REJECTED_OR_ONCE: &[AllowedEnd] = &[end(0, &[run!("action/invalid")]), end(1, FINISHED)];

pub(super) const ALL: &[Scenario] = &[
    scenario("launch, accepted, expired", "", |_| (), &[LAUNCH, EXPIRED], ONCE),
    scenario(
        "answer lost",
        "",
        |s| s.platform.script_replies(&[PostReply::LoseAnswer]),
        &[LAUNCH, Pass(5), EXPIRED],
        ONCE,
    ),
    scenario(
        "POST not received",
        "",
        |s| s.platform.script_replies(&[PostReply::DropConnection]),
        &[LAUNCH, Pass(130)],
        ONCE,
    ),
    scenario(
        "arrives late",
        "",
        |s| s.platform.script_replies(&[PostReply::AcceptLater]),
        &[LAUNCH, Pass(30), Do(|s| s.platform.accept_late_posts()), Pass(130)],
        ONCE,
    ),
    scenario(
        "rejected",
        "",
        |s| s.platform.script_replies(&[PostReply::Reject]),
        &[LAUNCH, Pass(5)],
        REJECTED_OR_ONCE,
    ),
    scenario(
        "rejected as expired",
        "",
        |s| s.platform.script_replies(&[PostReply::RejectAsExpired]),
        &[LAUNCH, Pass(5)],
        ONCE,
    ),
    scenario(
        "API unavailable",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable; 2]),
        &[LAUNCH, Pass(3), Pass(9)],
        ONCE,
    ),
    scenario(
        "early results",
        "earlyresults = true",
        |s| s.platform.set_agents(2, false),
        &[LAUNCH, Pass(5), Do(|s| s.platform.set_agents(2, true)), Pass(8)],
        ONCE,
    ),
    scenario(
        "never completed",
        "",
        |s| s.platform.set_agents(1, false),
        &[LAUNCH, EXPIRED, Pass(15)],
        ONCE,
    ),
    scenario("pages", "plugin = p", |s| s.platform.set_agents(7, true), &[LAUNCH, EXPIRED], ONCE),
    scenario(
        "missing commands",
        "",
        |s| s.platform.hide_commands(&[1]),
        &[LAUNCH, EXPIRED, Pass(6), Pass(61)],
        ONCE,
    ),
    scenario(
        "two plugins",
        "plugin = p\nplugin = q",
        |s| s.fail_plugin("q", 2),
        &[LAUNCH, EXPIRED, Pass(5)],
        ONCE,
    ),
    scenario(
        "delivery given up and tried again",
        "plugin = p\nplugin = q",
        |s| s.fail_plugin("q", 1_000_000),
        &[
            LAUNCH,
            EXPIRED,
            Pass(5 * 86_400),
            Do(|s| s.fail_plugin("q", 0)),
            Move(Folder::CommandDone, Folder::Returned),
        ],
        ONCE,
    ),
    scenario(
        "fetch given up and tried again",
        "",
        |s| s.platform.fail_fetches(true),
        &[
            LAUNCH,
            EXPIRED,
            Pass(7 * 86_400),
            Do(|s| s.platform.fail_fetches(false)),
            Move(Folder::CommandDone, Folder::CommandInflight),
        ],
        ONCE,
    ),
    scenario(
        "send only",
        "sendonly = true",
        |_| (),
        &[LAUNCH, Pass(1)],
        &[end(1, &[run!("action/done")])],
    ),
    scenario(
        "job changed while it runs",
        "plugin = p",
        |_| (),
        &[LAUNCH, Do(|s| s.write_job("schedule = \"0 0 1 1 *\"\nplugin = q")), EXPIRED],
        ONCE,
    ),
    scenario("restarted", "plugin = p", |_| (), &[LAUNCH, Restart, EXPIRED, Restart], ONCE),
    scenario(
        "adopted",
        "",
        |s| {
            let text = include_bytes!("../../../tests/data/runner/inflight-sample.json");
            s.fs.put(&home("runners").join(JOB).join("inflight/28052764426376.json"), text);
            s.write_job("schedule = \"0 0 1 1 *\"");
        },
        &[Pass(1)],
        &[end(
            0,
            &[
                "action/done job.20261122T011340Z-28052764426376",
                "command/done job.20261122T011340Z-28052764426376",
            ],
        )],
    ),
    scenario(
        "action file",
        "",
        |s| s.write_job("schedule = \"0 0 1 1 *\""),
        &[Do(put_action_file), Pass(1), Pass(400)],
        &[end(1, &["action/done mine.CLAIMED-xxxxxx", "command/done mine.CLAIMED-xxxxxx"])],
    ),
    scenario(
        "cancelled and put back",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::Invalid),
            Pass(10),
            Move(Folder::Invalid, Folder::New),
            Pass(10),
        ],
        ONCE,
    ),
    scenario(
        "accepted, cancelled and put back",
        "",
        |_| (),
        &[
            LAUNCH,
            Move(Folder::ActionInflight, Folder::Invalid),
            Pass(1),
            Move(Folder::Invalid, Folder::New),
        ],
        ONCE,
    ),
    scenario(
        "collected early",
        "plugin = p",
        |_| (),
        &[LAUNCH, Move(Folder::ActionInflight, Folder::ActionDone), Pass(1)],
        ONCE,
    ),
    scenario(
        "fetched again",
        "plugin = p",
        |_| (),
        &[LAUNCH, EXPIRED, Move(Folder::CommandDone, Folder::Ready), Pass(1)],
        ONCE,
    ),
    scenario(
        "removed",
        "",
        |_| (),
        &[LAUNCH, Remove(Folder::ActionInflight), EXPIRED],
        // If the interruption came earlier, there was no run to remove yet.
        &[end(1, &[]), end(1, FINISHED), end(0, &[])],
    ),
    scenario(
        "rejected and retried",
        "",
        |s| s.platform.script_replies(&[PostReply::Reject]),
        &[LAUNCH, Move(Folder::Invalid, Folder::New), Pass(5)],
        &[end(1, FINISHED), end(0, &[run!("action/invalid")])],
    ),
    scenario(
        "past its deadline",
        "deadline = 10m",
        |s| s.platform.script_replies(&[PostReply::Unavailable; 1000]),
        &[LAUNCH, Pass(300), Pass(300)],
        &[end(0, &[run!("action/invalid")])],
    ),
    scenario(
        "cancelled and put back after its deadline",
        "deadline = 10m",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::Invalid),
            Pass(1000),
            Move(Folder::Invalid, Folder::New),
            Pass(10),
        ],
        // A runner that starts just then cannot know that the run was away.
        &[end(1, FINISHED), end(0, &[run!("action/invalid")])],
    ),
    scenario(
        "removed before it was sent",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[LAUNCH, Remove(Folder::New), Pass(10)],
        &[end(0, &[]), end(1, FINISHED)],
    ),
    scenario(
        "put back while in flight",
        "",
        |_| (),
        &[LAUNCH, Move(Folder::ActionInflight, Folder::New), Pass(5)],
        ONCE,
    ),
    scenario(
        "moved in flight before it was sent",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::ActionInflight),
            Pass(5),
            Move(Folder::Invalid, Folder::New),
        ],
        ONCE,
    ),
    scenario(
        "collected before it was sent",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[LAUNCH, Move(Folder::New, Folder::ActionDone), Pass(5)],
        &[
            end(0, &[run!("action/invalid"), run!("action/invalid", ".json.reason")]),
            end(1, FINISHED),
        ],
    ),
    scenario(
        "fetched again during the fetch",
        "plugin = p",
        |s| s.platform.fail_fetches(true),
        &[
            LAUNCH,
            EXPIRED,
            Move(Folder::CommandInflight, Folder::Ready),
            Do(|s| s.platform.fail_fetches(false)),
            Pass(20),
        ],
        ONCE,
    ),
    scenario(
        "fetched again while a delivery is owed",
        "plugin = p\nplugin = q",
        |s| s.fail_plugin("q", 3),
        &[LAUNCH, EXPIRED, Move(Folder::Returned, Folder::Ready), Pass(20)],
        ONCE,
    ),
    scenario(
        "removed during the fetch",
        "",
        |s| s.platform.fail_fetches(true),
        &[
            LAUNCH,
            EXPIRED,
            Remove(Folder::CommandInflight),
            Do(|s| s.platform.fail_fetches(false)),
            Pass(20),
        ],
        &[end(1, &[run!("action/done")]), end(1, FINISHED)],
    ),
    scenario(
        "removed while a delivery is owed",
        "plugin = p",
        |s| s.fail_plugin("p", 2),
        &[LAUNCH, EXPIRED, Remove(Folder::Returned), Pass(20)],
        &[end(1, &[run!("action/done")]), end(1, FINISHED)],
    ),
    scenario(
        "removed when finished",
        "plugin = p",
        |_| (),
        &[LAUNCH, EXPIRED, Remove(Folder::CommandDone), Remove(Folder::ActionDone), Pass(5)],
        // A file that is removed without a sync may exist again after a power cut, and a run that
        // was not finished by then was not removed.
        &[
            end(1, &[]),
            end(1, FINISHED),
            end(1, &[run!("action/done")]),
            end(1, &[run!("command/done")]),
        ],
    ),
    scenario(
        "superseded while the disk was full",
        "schedule = \"1,2 12 22 11 *\"",
        |s| s.fs.set_free_space(FULL),
        &[LAUNCH, At("2026-11-22T12:02:00Z"), Do(|s| s.fs.set_free_space(ROOMY)), Pass(60)],
        // A slot that could not be launched is replaced by the next one. If the query of the free
        // space fails, both are sent.
        &[
            end(1, &[run!("action/done"), LATER_DONE, LATER_FINISHED]),
            end(1, &[LATER_DONE, LATER_FINISHED]),
            end(2, &[run!("action/done"), LATER_DONE, run!("command/done"), LATER_FINISHED]),
        ],
    ),
    scenario(
        "job removed and restored",
        "",
        |s| s.platform.script_replies(&[PostReply::Unavailable]),
        &[LAUNCH, Do(|s| s.set_job_away(true)), Pass(60), Do(|s| s.set_job_away(false)), Pass(60)],
        // A slot that could not be launched before the job was removed is not launched.
        &[end(1, FINISHED), end(0, &[])],
    ),
    scenario(
        "reloaded",
        "plugin = p",
        |s| s.platform.script_replies(&[PostReply::Unavailable; 2]),
        &[LAUNCH, Reload, Pass(3), Reload, EXPIRED, Reload],
        ONCE,
    ),
    scenario(
        "pruned",
        "plugin = p",
        Simulation::keep_a_day,
        &[LAUNCH, EXPIRED, Pass(200), Pass(400), Pass(3 * 86_400), Prune],
        &[end(1, &[]), end(1, FINISHED)],
    ),
];

fn put_action_file(simulation: &Simulation) {
    let is_claimed = simulation.spool().iter().any(|entry| entry.contains("mine"));
    if !is_claimed && simulation.platform.post_count() == 0 {
        let text = br#"{"name":"by hand","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        simulation.fs.put(&home("spool/action/new/mine.json"), text);
    }
}
