//! What is played: lives of a run, each with all that may be seen in the end.
//!
//! A life that is interrupted anywhere and goes on ends as one that is not: one
//! action on the platform, the results stored, the plugins served, the files of
//! the run where they belong. Where an interruption may lead elsewhere, each end
//! is named.

use super::world::{JOB, World, home};
use crate::clock::Clock;
use crate::daemon::testing::Mood;
use crate::disk::model::ModelFs;
use crate::spool::Folder;

/// When all scenarios begin.
const BEGIN: &str = "2026-11-22T12:00:30Z";
/// The only slot of the job.
const SCHEDULE: &str = "schedule = \"1 12 22 11 *\"";
/// The run of that slot.
macro_rules! run {
    ($folder:literal) => {
        concat!($folder, " job.20261122T120100Z")
    };
}
/// Where a run ends that nothing stops.
const FINISHED: &[&str] = &[run!("action/done"), run!("command/done")];

/// A step of a scenario.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beat {
    /// The clock is set.
    At(&'static str),
    /// Time passes, in seconds.
    Pass(u64),
    /// A person moves the run.
    Move(Folder, Folder),
    /// A person removes the run.
    Remove(Folder),
    /// Something else happens.
    Do(fn(&World)),
    /// The runner is stopped and started.
    Restart,
}

/// What there is in the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    /// How many actions the platform has.
    pub(super) actions: usize,
    /// Where the runs are.
    pub(super) spool: &'static [&'static str],
}

/// A life of a run.
#[derive(Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    config: &'static str,
    setup: fn(&World),
    beats: &'static [Beat],
    ends: &'static [End],
}

use Beat::{At, Do, Move, Pass, Remove, Restart};

const fn end(actions: usize, spool: &'static [&'static str]) -> End {
    End { actions, spool }
}

const LAUNCH: Beat = At("2026-11-22T12:01:00Z");
const EXPIRED: Beat = At("2026-11-22T12:01:20Z");
const ONCE: &[End] = &[end(1, FINISHED)];
/// A POST that was cut off by a crash is known not to have arrived only later, and made again.
const REFUSED_OR_ONCE: &[End] = &[end(0, &[run!("action/invalid")]), end(1, FINISHED)];

/// Every scenario.
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
];

const fn life(
    name: &'static str,
    config: &'static str,
    setup: fn(&World),
    beats: &'static [Beat],
    ends: &'static [End],
) -> Scenario {
    Scenario { name, config, setup, beats, ends }
}

fn drop_in(world: &World) {
    let taken = world.spool().iter().any(|entry| entry.contains("mine"));
    if !taken && world.platform.posts() == 0 {
        let text = br#"{"name":"by hand","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        world.fs.put(&home("spool/action/new/mine.json"), text);
    }
}

/// A scenario that is being played.
pub(super) struct Play {
    pub(super) world: World,
    scenario: Scenario,
    next: usize,
}

impl Scenario {
    /// Tells whether the runner is restarted in it.
    pub(super) fn restarts(&self) -> bool {
        self.beats.iter().any(|beat| matches!(beat, Restart))
    }

    /// Tells whether nobody does anything in it.
    pub(super) fn is_left_alone(&self) -> bool {
        self.beats.iter().all(|beat| matches!(beat, At(_) | Pass(_)))
    }

    /// Returns the scenario before its first step.
    pub(super) fn begin(&self) -> Play {
        self.begin_on(|fs| fs)
    }

    /// Returns the scenario before its first step, on a file system that `change` makes another one.
    pub(super) fn begin_on(&self, change: impl FnOnce(ModelFs) -> ModelFs) -> Play {
        let world = World::new(BEGIN, change);
        world.job(&format!("{SCHEDULE}\nexpiry = 20s\n{}", self.config));
        world.platform.answer(3, true);
        (self.setup)(&world);
        world.fs.sync_all();
        Play { world, scenario: *self, next: 0 }
    }
}

impl Play {
    /// Returns the play as it goes on in another world.
    pub(super) fn within(&self, world: World) -> Play {
        Play { world, scenario: self.scenario, next: self.next }
    }

    /// Starts the runner and plays on, to the end or until the runner is dead.
    pub(super) fn go_on(&mut self) {
        self.world.start();
        if !self.is_dead() {
            self.go_on_without_start();
        }
    }

    /// Plays on, to the end or until the runner is dead.
    pub(super) fn go_on_without_start(&mut self) {
        while let Some(beat) = self.scenario.beats.get(self.next) {
            self.beat(*beat);
            if self.is_dead() {
                return;
            }
            self.next += 1;
        }
    }

    pub(super) fn is_dead(&self) -> bool {
        self.world.fs.fuse().is_dead()
    }

    fn beat(&mut self, beat: Beat) {
        let world = &mut self.world;
        match beat {
            At(time) => world.at(time),
            Pass(seconds) => world.pass(seconds),
            Move(from, to) => world.mv(from, to),
            Remove(folder) => world.rm(folder),
            Do(something) => something(world),
            Restart => drop(world.start()),
        }
        if let Move(..) | Remove(_) | Do(_) = beat {
            world.pass(0);
        }
    }

    /// Lets time pass until nothing more can happen, and says what is wrong then.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if !self.world.start() {
            return Err(format!("it cannot be started: {:?}", self.world.refusal));
        }
        self.wait();
        self.verdict(true)
    }

    /// Lets time pass until nothing more can happen.
    pub(super) fn wait(&mut self) {
        for seconds in [1, 5, 20, 60, 130, 400, 400, 86_400] {
            self.world.pass(seconds);
        }
    }

    /// Says what is wrong with what has come of the scenario; `tidy`: also that something is left
    /// which the next start removes.
    pub(super) fn verdict(&self, tidy: bool) -> Result<(), String> {
        let (actions, spool) = (self.world.platform.actions().len(), self.world.spool());
        let mut faults = self.world.faults(tidy);
        let fits = |end: &End| end.actions == actions && end.spool == spool;
        if !self.scenario.ends.iter().any(fits) {
            faults.push(format!("{actions} actions, {spool:?}"));
        }
        if faults.is_empty() {
            return Ok(());
        }
        let (name, next, now) = (self.scenario.name, self.next, self.world.clock.now());
        Err(format!("{name} (step {next}, {now}): {}", faults.join("; ")))
    }
}
