//! Every scenario: what may become of a run, by itself and by what people do.

use super::scenario::Beat::{At, Do, Move, Pass, Prune, Reload, Remove, Restart};
use super::scenario::{Beat, End, Scenario, end, life};
use super::world::{JOB, World, home};
use crate::daemon::testing::Mood;
use crate::disk::FreeSpace;
use crate::spool::Folder;

/// The run of that slot.
macro_rules! run {
    ($folder:literal) => {
        run!($folder, "")
    };
    ($folder:literal, $end:literal) => {
        concat!($folder, " job.20261122T120100Z", $end)
    };
}
/// A disk that has room.
const ROOMY: FreeSpace = FreeSpace { bytes: 0.5, files: 0.5 };
/// A disk that is nearly full.
const FULL: FreeSpace = FreeSpace { bytes: 0.01, files: 0.5 };
/// The run of a later slot, when its action is over.
const LATER_DONE: &str = "action/done job.20261122T120200Z";
/// The same run, when it is finished.
const LATER_FINISHED: &str = "command/done job.20261122T120200Z";
/// Where a run ends that nothing stops.
const FINISHED: &[&str] = &[run!("action/done"), run!("command/done")];

const LAUNCH: Beat = At("2026-11-22T12:01:00Z");
const EXPIRED: Beat = At("2026-11-22T12:01:20Z");
const ONCE: &[End] = &[end(1, FINISHED)];
/// A POST that was cut off by a crash is known not to have arrived only later, and made again.
const REFUSED_OR_ONCE: &[End] = &[end(0, &[run!("action/invalid")]), end(1, FINISHED)];

pub(super) const ALL: &[Scenario] = &[
    life("launch, accepted, expired", "", |_| (), &[LAUNCH, EXPIRED], ONCE),
    life(
        "answer lost",
        "",
        |w| w.platform.expect(&[Mood::Lose]),
        &[LAUNCH, Pass(5), EXPIRED],
        ONCE,
    ),
    life("never arrived", "", |w| w.platform.expect(&[Mood::Drop]), &[LAUNCH, Pass(130)], ONCE),
    life(
        "arrives late",
        "",
        |w| w.platform.expect(&[Mood::Late]),
        &[LAUNCH, Pass(30), Do(|w| w.platform.arrive()), Pass(130)],
        ONCE,
    ),
    life(
        "refused",
        "",
        |w| w.platform.expect(&[Mood::Refuse]),
        &[LAUNCH, Pass(5)],
        REFUSED_OR_ONCE,
    ),
    life("called late", "", |w| w.platform.expect(&[Mood::CallLate]), &[LAUNCH, Pass(5)], ONCE),
    life(
        "API away",
        "",
        |w| w.platform.expect(&[Mood::Away; 2]),
        &[LAUNCH, Pass(3), Pass(9)],
        ONCE,
    ),
    life(
        "early results",
        "earlyresults = true",
        |w| w.platform.answer(2, false),
        &[LAUNCH, Pass(5), Do(|w| w.platform.answer(2, true)), Pass(8)],
        ONCE,
    ),
    life(
        "never completed",
        "",
        |w| w.platform.answer(1, false),
        &[LAUNCH, EXPIRED, Pass(15)],
        ONCE,
    ),
    life("pages", "plugin = p", |w| w.platform.answer(7, true), &[LAUNCH, EXPIRED], ONCE),
    life(
        "missing commands",
        "",
        |w| w.platform.hide(&[1]),
        &[LAUNCH, EXPIRED, Pass(6), Pass(61)],
        ONCE,
    ),
    life(
        "two plugins",
        "plugin = p\nplugin = q",
        |w| w.fail("q", 2),
        &[LAUNCH, EXPIRED, Pass(5)],
        ONCE,
    ),
    life(
        "delivery given up and tried again",
        "plugin = p\nplugin = q",
        |w| w.fail("q", 1_000_000),
        &[
            LAUNCH,
            EXPIRED,
            Pass(5 * 86_400),
            Do(|w| w.fail("q", 0)),
            Move(Folder::CommandDone, Folder::Returned),
        ],
        ONCE,
    ),
    life(
        "fetch given up and tried again",
        "",
        |w| w.platform.mute(true),
        &[
            LAUNCH,
            EXPIRED,
            Pass(7 * 86_400),
            Do(|w| w.platform.mute(false)),
            Move(Folder::CommandDone, Folder::CommandInflight),
        ],
        ONCE,
    ),
    life(
        "send only",
        "sendonly = true",
        |_| (),
        &[LAUNCH, Pass(1)],
        &[end(1, &[run!("action/done")])],
    ),
    life(
        "job changed while it runs",
        "plugin = p",
        |_| (),
        &[LAUNCH, Do(|w| w.job("schedule = \"0 0 1 1 *\"\nplugin = q")), EXPIRED],
        ONCE,
    ),
    life("restarted", "plugin = p", |_| (), &[LAUNCH, Restart, EXPIRED, Restart], ONCE),
    life(
        "adopted",
        "",
        |w| {
            let text = include_bytes!("../../../tests/data/runner/inflight-sample.json");
            w.fs.put(&home("runners").join(JOB).join("inflight/28052764426376.json"), text);
            w.job("schedule = \"0 0 1 1 *\"");
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
    life(
        "dropped in",
        "",
        |w| w.job("schedule = \"0 0 1 1 *\""),
        &[Do(drop_in), Pass(1), Pass(400)],
        &[end(1, &["action/done mine.CLAIMED-xxxxxx", "command/done mine.CLAIMED-xxxxxx"])],
    ),
    life(
        "cancelled and put back",
        "",
        |w| w.platform.expect(&[Mood::Away]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::Invalid),
            Pass(10),
            Move(Folder::Invalid, Folder::New),
            Pass(10),
        ],
        ONCE,
    ),
    life(
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
    life(
        "waited for no longer",
        "plugin = p",
        |_| (),
        &[LAUNCH, Move(Folder::ActionInflight, Folder::ActionDone), Pass(1)],
        ONCE,
    ),
    life(
        "fetched anew",
        "plugin = p",
        |_| (),
        &[LAUNCH, EXPIRED, Move(Folder::CommandDone, Folder::Ready), Pass(1)],
        ONCE,
    ),
    life(
        "removed",
        "",
        |_| (),
        &[LAUNCH, Remove(Folder::ActionInflight), EXPIRED],
        // Where it was interrupted before, there was nothing to remove yet.
        &[end(1, &[]), end(1, FINISHED), end(0, &[])],
    ),
    life(
        "refused and retried",
        "",
        |w| w.platform.expect(&[Mood::Refuse]),
        &[LAUNCH, Move(Folder::Invalid, Folder::New), Pass(5)],
        &[end(1, FINISHED), end(0, &[run!("action/invalid")])],
    ),
    life(
        "out of time",
        "deadline = 10m",
        |w| w.platform.expect(&[Mood::Away; 1000]),
        &[LAUNCH, Pass(300), Pass(300)],
        &[end(0, &[run!("action/invalid")])],
    ),
    life(
        "cancelled and put back after its deadline",
        "deadline = 10m",
        |w| w.platform.expect(&[Mood::Away]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::Invalid),
            Pass(1000),
            Move(Folder::Invalid, Folder::New),
            Pass(10),
        ],
        // A runner that starts just then cannot tell that it was away.
        &[end(1, FINISHED), end(0, &[run!("action/invalid")])],
    ),
    life(
        "taken out of the spool",
        "",
        |w| w.platform.expect(&[Mood::Away]),
        &[LAUNCH, Remove(Folder::New), Pass(10)],
        &[end(0, &[]), end(1, FINISHED)],
    ),
    life(
        "put back while it is in flight",
        "",
        |_| (),
        &[LAUNCH, Move(Folder::ActionInflight, Folder::New), Pass(5)],
        ONCE,
    ),
    life(
        "put in flight before it was sent",
        "",
        |w| w.platform.expect(&[Mood::Away]),
        &[
            LAUNCH,
            Move(Folder::New, Folder::ActionInflight),
            Pass(5),
            Move(Folder::Invalid, Folder::New),
        ],
        ONCE,
    ),
    life(
        "called over before it was sent",
        "",
        |w| w.platform.expect(&[Mood::Away]),
        &[LAUNCH, Move(Folder::New, Folder::ActionDone), Pass(5)],
        &[
            end(0, &[run!("action/invalid"), run!("action/invalid", ".json.reason")]),
            end(1, FINISHED),
        ],
    ),
    life(
        "fetched anew while it is fetched",
        "plugin = p",
        |w| w.platform.mute(true),
        &[
            LAUNCH,
            EXPIRED,
            Move(Folder::CommandInflight, Folder::Ready),
            Do(|w| w.platform.mute(false)),
            Pass(20),
        ],
        ONCE,
    ),
    life(
        "fetched anew while a plugin is owed",
        "plugin = p\nplugin = q",
        |w| w.fail("q", 3),
        &[LAUNCH, EXPIRED, Move(Folder::Returned, Folder::Ready), Pass(20)],
        ONCE,
    ),
    life(
        "removed while it is fetched",
        "",
        |w| w.platform.mute(true),
        &[
            LAUNCH,
            EXPIRED,
            Remove(Folder::CommandInflight),
            Do(|w| w.platform.mute(false)),
            Pass(20),
        ],
        &[end(1, &[run!("action/done")]), end(1, FINISHED)],
    ),
    life(
        "removed while a plugin is owed",
        "plugin = p",
        |w| w.fail("p", 2),
        &[LAUNCH, EXPIRED, Remove(Folder::Returned), Pass(20)],
        &[end(1, &[run!("action/done")]), end(1, FINISHED)],
    ),
    life(
        "forgotten",
        "plugin = p",
        |_| (),
        &[LAUNCH, EXPIRED, Remove(Folder::CommandDone), Remove(Folder::ActionDone), Pass(5)],
        // What a person removes without a sync may come back with the power, and what was not over
        // by then was not removed.
        &[
            end(1, &[]),
            end(1, FINISHED),
            end(1, &[run!("action/done")]),
            end(1, &[run!("command/done")]),
        ],
    ),
    life(
        "superseded while the disk was full",
        "schedule = \"1,2 12 22 11 *\"",
        |w| w.fs.set_free_space(FULL),
        &[LAUNCH, At("2026-11-22T12:02:00Z"), Do(|w| w.fs.set_free_space(ROOMY)), Pass(60)],
        // A slot that could not be launched gives way to the next one; and where the disk does not say
        // how full it is, both are sent.
        &[
            end(1, &[run!("action/done"), LATER_DONE, LATER_FINISHED]),
            end(1, &[LATER_DONE, LATER_FINISHED]),
            end(2, &[run!("action/done"), LATER_DONE, run!("command/done"), LATER_FINISHED]),
        ],
    ),
    life(
        "its job taken away and put back",
        "",
        |w| w.platform.expect(&[Mood::Away]),
        &[LAUNCH, Do(|w| w.away(true)), Pass(60), Do(|w| w.away(false)), Pass(60)],
        // A slot that could not be launched before the job was gone has none any more.
        &[end(1, FINISHED), end(0, &[])],
    ),
    life(
        "reloaded",
        "plugin = p",
        |w| w.platform.expect(&[Mood::Away; 2]),
        &[LAUNCH, Reload, Pass(3), Reload, EXPIRED, Reload],
        ONCE,
    ),
    life(
        "pruned",
        "plugin = p",
        World::keep_a_day,
        &[LAUNCH, EXPIRED, Pass(200), Pass(400), Pass(3 * 86_400), Prune],
        &[end(1, &[]), end(1, FINISHED)],
    ),
];

fn drop_in(world: &World) {
    let taken = world.spool().iter().any(|entry| entry.contains("mine"));
    if !taken && world.platform.posts() == 0 {
        let text = br#"{"name":"by hand","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        world.fs.put(&home("spool/action/new/mine.json"), text);
    }
}
