//! What the scheduler's tests share: a scheduler with its database and spool, and sample rows.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;

use jiff::SignedDuration;

use super::*;
use crate::clock::testing::TestClock;
use crate::data::testing::{DatabaseKind as Kind, Tables};
use crate::data::{ActionSignature, AgentRow, NEVER_FINISHED, NEVER_STARTED, Permissions};
use crate::disk::RealFs;
use crate::platform::spool::SpoolError;
use crate::relay::{Command, Outcome};
use crate::testing::{Logged, retried};

pub(super) const ACTION: Id = Id::new(7);
/// The queue of [`agent`].
const QUEUE: &str = "linux.host";
pub(super) const WEEK: Duration = Duration::from_secs(7 * 86_400);

pub(super) struct Rig {
    pub(super) tables: Tables,
    pub(super) clock: Arc<TestClock>,
    pub(super) store: Arc<Store>,
    pub(super) scheduler: Scheduler,
    pub(super) commands: Receiver<Command>,
}

pub(super) fn noon() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

impl Rig {
    /// Returns a rig with one agent and one pending action, which expires in a minute.
    pub(super) fn new(kind: Kind) -> Rig {
        let tables = Tables::new(kind);
        let store = Arc::new(tables.open().unwrap());
        let clock = Arc::new(TestClock::new(noon()));
        let (scheduler, commands) = scheduler(&tables.folder().join("spool"), &store, &clock);
        store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, noon()).unwrap();
        store.upsert_agent(&agent()).unwrap();
        let signed = ActionSignature { investigator: Id::new(1), signature: "s".to_owned() };
        store.insert_action(&action("status='online'"), &[signed]).unwrap();
        Rig { tables, clock, store, scheduler, commands }
    }

    /// Ends the scheduler as a kill does, and starts another one.
    pub(super) fn restart(self) -> Rig {
        let Rig { tables, clock, store, scheduler: old, .. } = self;
        drop(old);
        let (scheduler, commands) = scheduler(&tables.folder().join("spool"), &store, &clock);
        scheduler.recover().unwrap();
        Rig { tables, clock, store, scheduler, commands }
    }

    pub(super) fn collect_after(&mut self, seconds: i64) {
        self.clock.set(noon() + SignedDuration::from_secs(seconds));
        self.scheduler.collect();
    }

    /// Lets the scheduler log into memory; returns what it logs.
    pub(super) fn log(&mut self) -> Logged {
        let logged = Logged::default();
        self.scheduler.log = logged.logger();
        self.scheduler.failures = FailureLog::new(logged.logger());
        logged
    }

    /// Lets the agent answer a command.
    pub(super) fn answer(&mut self, command: &Command) {
        let answer = answer(command, "[{\"foundanything\":true}]");
        self.scheduler.receive(AgentMessage::Answer(answer));
    }

    pub(super) fn path(&self, folder: &str) -> PathBuf {
        self.tables.folder().join("spool").join(folder)
    }

    /// Returns the folders that contain a file, in order.
    pub(super) fn used_folders(&self) -> Vec<String> {
        let is_used = |folder: &&str| self.path(folder).read_dir().unwrap().next().is_some();
        ["action/new", "action/inflight", "action/done", "action/invalid"]
            .iter()
            .chain(&["command/ready", "command/inflight", "command/returned", "command/done"])
            .copied()
            .filter(is_used)
            .map(str::to_owned)
            .collect()
    }

    pub(super) fn status(&self) -> String {
        self.store.action(ACTION).unwrap().unwrap().status
    }

    pub(super) fn command(&self) -> CommandRow {
        self.store.commands_of(ACTION).unwrap().pop().unwrap()
    }
}

/// A relay to the agent of [`agent`], whose commands the test receives.
#[derive(Debug)]
pub(super) struct TestRelay(Sender<Command>);

impl TestRelay {
    /// Returns a relay and the commands that are sent to it.
    pub(super) fn with_commands() -> (Box<dyn CommandSender>, Receiver<Command>) {
        let (sender, commands) = channel();
        (Box::new(TestRelay(sender)), commands)
    }
}

impl CommandSender for TestRelay {
    fn only_queue(&self) -> Option<&str> {
        Some(QUEUE)
    }

    fn send(&self, _: &str, command: Command) -> Result<(), RelayClosed> {
        self.0.send(command).map_err(|_| RelayClosed)
    }
}

/// Returns the answer to a command that was run.
pub(super) fn answer(command: &Command, results: &str) -> Answer {
    let (command_id, action_id) = (command.id, command.action_id);
    Answer { command_id, action_id, outcome: Outcome::Success, results: results.to_owned() }
}

/// Returns a scheduler with the spool at `root`, and the commands that it sends.
pub(super) fn scheduler(
    root: &Path,
    store: &Arc<Store>,
    clock: &Arc<TestClock>,
) -> (Scheduler, Receiver<Command>) {
    let open = || Spool::open(Arc::new(RealFs), root);
    let spool = retried(open, |error| matches!(error, SpoolError::Locked { .. })).unwrap();
    let (relay, commands) = TestRelay::with_commands();
    let ids = Arc::new(Ids::new(noon(), Id::new(100)));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    (Scheduler::new(spool, Arc::clone(store), ids, clock, settings(), relay, log), commands)
}

/// Returns settings with times that only the tests about them reach.
pub(super) fn settings() -> SchedulerSettings {
    SchedulerSettings {
        heartbeat_period: Duration::from_secs(600),
        offline_after: Duration::from_secs(36_000),
        retention: Retention { spool: Some(WEEK), actions: Some(4 * WEEK) },
    }
}

pub(super) fn agent() -> AgentRow {
    AgentRow {
        id: Id::new(5),
        name: "host".to_owned(),
        queueloc: QUEUE.to_owned(),
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
