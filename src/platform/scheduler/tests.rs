//! A scheduler with a clock that is set by hand and an agent that is the test.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests put the spool into the states of a crash"
)]

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use jiff::SignedDuration;

use super::*;
use crate::action::CommandStatus;
use crate::clock::testing::TestClock;
use crate::data::testing::{DatabaseKind as Kind, Tables, on_each_database};
use crate::data::{
    ActionSignature, AgentRow, InvalidColumns, NEVER_FINISHED, NEVER_STARTED, Permissions,
};
use crate::disk::RealFs;
use crate::platform::spool::SpoolError;
use crate::testing::retried;

pub(super) const ACTION: Id = Id::new(7);
const WEEK_SPAN: Duration = Duration::from_secs(7 * 86_400);

pub(super) struct Rig {
    tables: Tables,
    clock: Arc<TestClock>,
    pub(super) store: Arc<Store>,
    scheduler: Scheduler,
    pub(super) work: Receiver<Work>,
}

pub(super) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

impl Rig {
    /// Returns a rig with one agent and one action that is pending and ends in a minute.
    pub(super) fn new(kind: Kind) -> Rig {
        let tables = Tables::new(kind);
        let store = Arc::new(tables.open().unwrap());
        let clock = Arc::new(TestClock::new(noon()));
        let (scheduler, work) = scheduler(&tables.folder().join("spool"), &store, &clock);
        store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, noon()).unwrap();
        store.upsert_agent(&agent()).unwrap();
        let signed = ActionSignature { investigator: Id::new(1), signature: "s".to_owned() };
        store.insert_action(&action("status='online'"), &[signed]).unwrap();
        Rig { tables, clock, store, scheduler, work }
    }

    /// Ends the scheduler as a kill would, and starts another one.
    pub(super) fn restart(self) -> Rig {
        let Rig { tables, clock, store, scheduler: old, .. } = self;
        drop(old);
        let (scheduler, work) = scheduler(&tables.folder().join("spool"), &store, &clock);
        scheduler.recover().unwrap();
        Rig { tables, clock, store, scheduler, work }
    }

    pub(super) fn collect_after(&mut self, seconds: i64) {
        self.clock.set(noon() + SignedDuration::from_secs(seconds));
        self.scheduler.collect();
    }

    fn answer(&mut self, work: &Work, status: CommandStatus) {
        let results = "[{\"foundanything\":true}]".to_owned();
        let (command, action) = (work.command, work.action.id);
        self.scheduler.unwritten.push(Done { command, action, status, results });
    }

    pub(super) fn path(&self, place: &str) -> PathBuf {
        self.tables.folder().join("spool").join(place)
    }

    /// Returns the folders that have a file, in order.
    pub(super) fn places(&self) -> Vec<String> {
        let is_used = |place: &&str| self.path(place).read_dir().unwrap().next().is_some();
        ["action/new", "action/inflight", "action/done", "action/invalid"]
            .iter()
            .chain(&["command/ready", "command/inflight", "command/returned", "command/done"])
            .copied()
            .filter(|place| is_used(place))
            .map(str::to_owned)
            .collect()
    }

    fn status(&self) -> String {
        self.store.action(ACTION).unwrap().unwrap().status
    }

    fn command(&self) -> CommandRow {
        self.store.commands_of(ACTION).unwrap().pop().unwrap()
    }
}

fn scheduler(
    root: &Path,
    store: &Arc<Store>,
    clock: &Arc<TestClock>,
) -> (Scheduler, Receiver<Work>) {
    let open = || Spool::open(Arc::new(RealFs), root);
    let spool = retried(open, |error| matches!(error, SpoolError::Locked { .. })).unwrap();
    let (sender, work) = channel();
    let ids = Arc::new(Ids::new(noon(), Id::new(100)));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    (Scheduler::new(spool, Arc::clone(store), ids, clock, rules(), sender, log), work)
}

/// Returns rules with times that no test reaches by the way.
pub(super) fn rules() -> Rules {
    Rules {
        heartbeat: Duration::from_secs(600),
        silence: Duration::from_secs(36_000),
        place: agent().queueloc,
        retention: Retention { spool: Some(WEEK_SPAN), actions: Some(4 * WEEK_SPAN) },
    }
}

pub(super) fn agent() -> AgentRow {
    AgentRow {
        id: Id::new(5),
        name: "host".to_owned(),
        queueloc: "linux.host".to_owned(),
        mode: "daemon".to_owned(),
        version: "1".to_owned(),
        pid: 1,
        starttime: noon(),
        destructiontime: None,
        heartbeattime: noon(),
        refreshtime: noon(),
        status: "online".to_owned(),
        environment: "{}".to_owned(),
        tags: "{}".to_owned(),
        loadername: String::new(),
        invalid: InvalidColumns::default(),
    }
}

pub(super) fn action(target: &str) -> ActionRow {
    ActionRow {
        id: ACTION,
        name: "a".to_owned(),
        target: target.to_owned(),
        description: "{}".to_owned(),
        threat: "{}".to_owned(),
        operations: r#"[{"module":"file","parameters":null}]"#.to_owned(),
        validfrom: noon() - SignedDuration::from_secs(60),
        expireafter: noon() + SignedDuration::from_secs(60),
        starttime: Some(NEVER_STARTED),
        finishtime: Some(NEVER_FINISHED),
        lastupdatetime: Some(NEVER_STARTED),
        status: "pending".to_owned(),
        syntaxversion: 2,
        pgpsignatures: "[]".to_owned(),
        invalid: InvalidColumns::default(),
    }
}

on_each_database!(
    an_action_goes_through_its_folders,
    an_action_waits_for_its_time,
    an_action_that_is_found_too_late_is_invalid,
    an_agent_that_stopped_answering_is_waited_for_a_little_longer,
    after_a_kill_the_command_is_given_again_or_expires,
    a_crash_between_two_steps_leaves_nothing_undone,
    an_answer_that_is_damaged_is_set_aside_and_the_command_goes_on,
    an_action_that_is_over_is_not_begun_again,
    a_file_that_is_no_entry_is_left_alone_and_holds_nobody_up,
    commands_to_others_wait_for_their_end,
    an_agent_that_is_silent_is_idle_and_then_offline,
    what_is_over_is_kept_as_long_as_it_is_to_be,
    a_stop_keeps_the_answers_that_have_come_and_begins_nothing
);

fn a_stop_keeps_the_answers_that_have_come_and_begins_nothing(kind: Kind) {
    let mut rig = Rig::new(kind);
    let stop = Stop::new();
    rig.scheduler.stop = stop.clone();
    stop.ask();
    rig.collect_after(0);
    assert_eq!((rig.places(), rig.status().as_str()), (Vec::new(), "pending"));
    let mut rig = rig.restart();
    rig.collect_after(0);
    let work = rig.work.try_recv().unwrap();
    rig.scheduler.stop = stop;
    let (sender, events) = channel();
    let (command, action) = (work.command, work.action.id);
    let (status, results) = (CommandStatus::Success, "[]".to_owned());
    sender.send(Event::Done(Done { command, action, status, results })).unwrap();
    let Rig { tables, clock, store, scheduler: stopping, .. } = rig;
    stopping.run(&events);
    let (scheduler, given) = scheduler(&tables.folder().join("spool"), &store, &clock);
    let mut rig = Rig { tables, clock, store, scheduler, work: given };
    assert_eq!(rig.places(), ["action/inflight", "command/inflight", "command/returned"]);
    rig.collect_after(1);
    assert!(rig.work.try_recv().is_err(), "the command is not given again");
    assert_eq!((rig.status().as_str(), rig.command().status.as_str()), ("completed", "success"));
}

fn an_action_goes_through_its_folders(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    assert_eq!(rig.places(), ["action/inflight", "command/inflight"]);
    assert_eq!(rig.status(), "inflight");
    let work = rig.work.try_recv().unwrap();
    rig.collect_after(1);
    assert!(rig.work.try_recv().is_err(), "a command is given once");
    rig.answer(&work, CommandStatus::Success);
    rig.collect_after(2);
    assert_eq!(rig.places(), ["action/done", "command/done"]);
    assert_eq!(rig.status(), "completed");
    assert_eq!(rig.command().status, "success");
    let kept = std::fs::read_to_string(rig.path("action/done/7.json")).unwrap();
    assert!(kept.contains("\"operations\":null") && kept.contains("\"success\":1"), "{kept}");
}

fn an_action_waits_for_its_time(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(-120);
    assert_eq!((rig.places(), rig.status().as_str()), (Vec::new(), "pending"));
}

fn an_action_that_is_found_too_late_is_invalid(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(61);
    assert_eq!(
        (rig.places(), rig.status().as_str()),
        (vec!["action/invalid".to_owned()], "invalid")
    );
}

fn an_agent_that_stopped_answering_is_waited_for_a_little_longer(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let work = rig.work.try_recv().unwrap();
    rig.collect_after(61);
    assert_eq!(rig.command().status, "sent");
    rig.collect_after(63);
    assert_eq!((rig.command().status.as_str(), rig.status().as_str()), ("expired", "completed"));
    rig.answer(&work, CommandStatus::Success);
    rig.collect_after(64);
    assert_eq!(rig.command().status, "expired", "what was told once is not taken back");
    assert!(rig.scheduler.unwritten.is_empty());
}

fn after_a_kill_the_command_is_given_again_or_expires(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    rig = rig.restart();
    rig.collect_after(1);
    assert_eq!(rig.work.try_recv().unwrap().command, rig.command().id);
    rig = rig.restart();
    rig.collect_after(61);
    assert!(rig.work.try_recv().is_err());
    assert_eq!(rig.status(), "completed");
}

/// Each step of the scheduler with the one after it undone, as a crash between them would leave it.
fn a_crash_between_two_steps_leaves_nothing_undone(kind: Kind) {
    let copy = |rig: &Rig, from: &str, to: &str| {
        let (from, to) = (rig.path(from), rig.path(to));
        for file in from.read_dir().unwrap().map(|file| file.unwrap().file_name()) {
            std::fs::copy(from.join(&file), to.join(&file)).unwrap();
        }
    };
    let clear = |rig: &Rig, place: &str| {
        for file in rig.path(place).read_dir().unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    };
    type Crash<'a> = &'a dyn Fn(&Rig);
    let crashes: [(&str, Crash<'_>); 5] = [
        ("nothing", &|_| {}),
        ("in new although it is inflight", &|rig| {
            copy(rig, "action/inflight", "action/new");
            clear(rig, "action/inflight");
        }),
        ("in new and in inflight", &|rig| copy(rig, "action/inflight", "action/new")),
        ("commands not made", &|rig| clear(rig, "command/inflight")),
        ("ready and inflight", &|rig| copy(rig, "command/inflight", "command/ready")),
    ];
    for (what, crash) in crashes {
        let mut rig = Rig::new(kind);
        rig.collect_after(0);
        crash(&rig);
        rig = rig.restart();
        rig.collect_after(1);
        assert_eq!(rig.places(), ["action/inflight", "command/inflight"], "{what}");
        let work = rig.work.try_recv().unwrap();
        rig.answer(&work, CommandStatus::Success);
        rig.collect_after(2);
        copy(&rig, "command/done", "command/inflight");
        copy(&rig, "action/done", "action/inflight");
        rig = rig.restart();
        rig.collect_after(3);
        rig.collect_after(4);
        assert_eq!(rig.places(), ["action/done", "command/done"], "{what}");
        assert_eq!(rig.store.command_counts(ACTION).unwrap().all(), 1, "{what}");
    }
}

fn an_answer_that_is_damaged_is_set_aside_and_the_command_goes_on(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let name = Name::command(ACTION, rig.command().id).to_string();
    std::fs::write(rig.path("command/returned").join(&name), "{\"status\":\"sent\"").unwrap();
    rig.collect_after(1);
    assert!(rig.path("command/returned").join(format!("{name}.fail")).exists());
    rig.collect_after(64);
    assert_eq!(rig.command().status, "expired");
}

fn an_action_that_is_over_is_not_begun_again(kind: Kind) {
    let mut rig = Rig::new(kind);
    rig.collect_after(0);
    let work = rig.work.try_recv().unwrap();
    rig.answer(&work, CommandStatus::Success);
    rig.collect_after(1);
    std::fs::rename(rig.path("action/done/7.json"), rig.path("action/new/7.json")).unwrap();
    rig.collect_after(2);
    assert_eq!(rig.places(), ["action/done", "command/done"]);
    assert!(rig.work.try_recv().is_err());
}

fn a_file_that_is_no_entry_is_left_alone_and_holds_nobody_up(kind: Kind) {
    let mut rig = Rig::new(kind);
    for name in ["notes.txt", "99.json", ".hidden"] {
        std::fs::write(rig.path("action/new").join(name), "x").unwrap();
    }
    rig.collect_after(0);
    assert_eq!(rig.status(), "inflight");
    assert!(rig.path("action/new/99.json").exists());
    assert_eq!(rig.scheduler.told.len(), 1);
}

fn commands_to_others_wait_for_their_end(kind: Kind) {
    let mut rig = Rig::new(kind);
    let other = AgentRow { id: Id::new(6), queueloc: "linux.other".to_owned(), ..agent() };
    rig.store.upsert_agent(&other).unwrap();
    rig.collect_after(0);
    let work = rig.work.try_recv().unwrap();
    assert_eq!(rig.store.command(work.command).unwrap().unwrap().agent, agent().id);
    rig.answer(&work, CommandStatus::Success);
    rig.collect_after(1);
    assert!(rig.work.try_recv().is_err(), "the other's command was given to this host's agent");
    rig.collect_after(61);
    let counters = rig.store.command_counts(ACTION).unwrap();
    let of = |status| counters.of(status);
    assert_eq!((of(CommandStatus::Success), of(CommandStatus::Expired)), (1, 1));
}

fn an_agent_that_is_silent_is_idle_and_then_offline(kind: Kind) {
    let mut rig = Rig::new(kind);
    for (seconds, status) in [(2999, "online"), (3001, "idle"), (36_001, "offline")] {
        rig.collect_after(seconds);
        assert_eq!(rig.store.agent(agent().id).unwrap().unwrap().status, status, "{seconds}");
    }
    assert_eq!(rig.store.disappeared_endpoints().unwrap(), 1);
}

fn what_is_over_is_kept_as_long_as_it_is_to_be(kind: Kind) {
    let mut rig = Rig::new(kind);
    let days = |days: i64| noon() + SignedDuration::from_hours(24 * days);
    let late = ActionRow { expireafter: days(400), ..action("1=1") };
    let (bad, waits) = (Id::new(8), Id::new(9));
    let invalid = ActionRow { id: bad, target: "nonsense(".to_owned(), ..late.clone() };
    rig.store.insert_action(&invalid, &[]).unwrap();
    // What is still owed stays, however old it is.
    let owed = ActionRow { id: waits, validfrom: days(300), ..late };
    rig.store.insert_action(&owed, &[]).unwrap();
    rig.collect_after(0);
    rig.collect_after(120);
    assert_eq!(rig.places(), ["action/done", "action/invalid", "command/done"]);
    std::fs::write(rig.path("command/returned/7-7.json.fail"), "?").unwrap();
    std::fs::write(rig.path("action/done/mine"), "!").unwrap();
    for place in rig.places() {
        for file in rig.path(&place).read_dir().unwrap() {
            let file = std::fs::File::open(file.unwrap().path()).unwrap();
            file.set_modified(noon().into()).unwrap();
        }
    }
    let mut on = |day| {
        rig.clock.set(days(day));
        rig.scheduler.collect();
        let kept = |id| rig.store.action(id).unwrap().is_some();
        (
            rig.places().len(),
            [ACTION, bad, waits].map(kept),
            rig.store.commands_of(ACTION).unwrap().len(),
        )
    };
    assert_eq!(on(6), (4, [true, true, true], 1));
    assert_eq!(on(8), (1, [true, true, true], 1), "only what is not ours is left in the spool");
    assert_eq!(on(29), (1, [false, false, true], 0));
}
