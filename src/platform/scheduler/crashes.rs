//! Crashes of the scheduler, at each change that it makes to the disk.
//!
//! The scheduler is killed, or the power fails, after each change. Started again, it must complete
//! the action, with one command that is answered once. The database is a real one, which keeps what
//! it has committed.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use jiff::SignedDuration;

use super::testing::{ACTION, TestRelay, action, agent, answer, noon, settings};
use super::*;
use crate::clock::testing::TestClock;
use crate::data::{ActionSignature, Permissions};
use crate::disk::model::{FaultInjector, InjectedFault, ModelFs, Now};
use crate::disk::{Disk, RealFs};
use crate::relay::Command;

/// Number of scans in which any action completes.
const ROUNDS: i64 = 10;
/// Number of changes that are not durable of which every combination is tried.
const SUBSETS_OF: usize = 1;
/// The same number for the full test.
const SUBSETS_OF_FULL: usize = 4;

/// The database, clock and file system of a scheduler, with one action to run.
struct World {
    _folder: tempfile::TempDir,
    store: Arc<Store>,
    clock: Arc<TestClock>,
    fs: ModelFs,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().to_owned(), "test");
        let store = Arc::new(Store::open(&disk, &folder.path().join("mig.db")).unwrap());
        store.insert_investigator("bob", "AB", b"key", Permissions::RUNNER, noon()).unwrap();
        store.upsert_agent(&agent()).unwrap();
        let signed = ActionSignature { investigator: Id::new(1), signature: "s".to_owned() };
        store.insert_action(&action("status='online'"), &[signed]).unwrap();
        let clock = Arc::new(TestClock::new(noon()));
        let fs = ModelFs::new(Arc::new(FaultInjector::new()), World::now(&clock));
        World { _folder: folder, store, clock, fs }
    }

    fn now(clock: &Arc<TestClock>) -> Now {
        let clock = Arc::clone(clock);
        Arc::new(move || clock.now())
    }

    /// Starts a scheduler and runs it, with an agent that answers, until the action is completed or
    /// the file system is dead.
    fn run(&self) {
        let Some((mut scheduler, commands)) = self.start() else {
            assert!(self.fs.faults().is_dead(), "the spool cannot be opened");
            return;
        };
        self.scan(&mut scheduler, &commands, 0..ROUNDS);
    }

    /// Starts a scheduler; returns `None` if it cannot open the spool.
    fn start(&self) -> Option<(Scheduler, Receiver<Command>)> {
        let (relay, commands) = TestRelay::with_commands();
        let spool = Spool::open(Arc::new(self.fs.clone()), Path::new("/spool")).ok()?;
        let ids = Arc::new(Ids::new(noon(), self.store.highest_id().unwrap()));
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let store = Arc::clone(&self.store);
        let scheduler = Scheduler::new(spool, store, ids, clock, settings(), relay, log);
        let recovered = scheduler.recover();
        assert!(recovered.is_ok() || self.fs.faults().is_dead(), "{recovered:?}");
        Some((scheduler, commands))
    }

    fn is_completed(&self) -> bool {
        self.status() == "completed" && self.used_folders() == ["action/done", "command/done"]
    }

    /// Lets a scheduler scan once a second.
    fn scan(&self, scheduler: &mut Scheduler, commands: &Receiver<Command>, rounds: Range<i64>) {
        for round in rounds {
            self.clock.set(noon() + SignedDuration::from_secs(round));
            scheduler.collect();
            if self.is_completed() || self.fs.faults().is_dead() {
                return;
            }
            for command in commands.try_iter() {
                let answer = answer(&command, "[{\"foundanything\":true}]");
                scheduler.receive(AgentMessage::Answer(answer));
            }
        }
    }

    fn status(&self) -> String {
        self.store.action(ACTION).unwrap().unwrap().status
    }

    /// Returns the folders that contain a file.
    fn used_folders(&self) -> Vec<&'static str> {
        let used = |folder: &&str| !self.fs.names(&Path::new("/spool").join(folder)).is_empty();
        [
            "action/new",
            "action/inflight",
            "action/done",
            "action/invalid",
            "command/ready",
            "command/inflight",
            "command/returned",
            "command/done",
        ]
        .into_iter()
        .filter(used)
        .collect()
    }

    /// Checks that the action is completed and was answered once.
    fn check(&self, when: &str) {
        assert_eq!(self.status(), "completed", "{when}");
        assert_eq!(self.used_folders(), ["action/done", "command/done"], "{when}");
        let commands = self.store.commands_of(ACTION).unwrap();
        assert_eq!(commands.len(), 1, "{when}");
        assert_eq!(commands[0].status, "success", "{when}");
        assert_eq!(commands[0].results, "[{\"foundanything\":true}]", "{when}");
    }
}

#[test]
fn scheduler_killed_at_any_step_resumes() {
    let world = World::new();
    world.run();
    world.check("undisturbed");
    let mut points = 0;
    loop {
        let world = World::new();
        world.fs.faults().set(InjectedFault::Death(points));
        world.run();
        if !world.fs.faults().is_dead() {
            break;
        }
        world.fs.faults().set(InjectedFault::None);
        world.run();
        world.check(&format!("killed after {points} changes"));
        points += 1;
    }
    println!("killed at {points} points");
    assert!(points > 20, "{points}");
}

#[test]
fn scheduler_resumes_after_power_failure_at_any_step() {
    let is_full = std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL");
    let subsets_of = if is_full { SUBSETS_OF_FULL } else { SUBSETS_OF };
    let mut states = 0;
    for points in 0.. {
        let mut subset = 0_u64;
        loop {
            let mut world = World::new();
            world.fs.faults().set(InjectedFault::Death(points));
            world.run();
            if !world.fs.faults().is_dead() {
                println!("power failed in {states} states of the disk");
                return assert!(states > 50, "{states}");
            }
            // All changes have the same weight.
            let pending = world.fs.pending(Path::new("none")).len();
            let all = (1_u64 << pending.min(subsets_of)) - 1;
            let mut drawn = subset;
            let draw = || {
                drawn += 1;
                drawn
            };
            // Changes beyond those of which every combination is tried are lost.
            let kept =
                |at: usize| subset.checked_shr(u32::try_from(at).unwrap()).unwrap_or(0) & 1 == 1;
            world.fs = world.fs.after_cut(&World::now(&world.clock), kept, draw);
            world.run();
            world.check(&format!(
                "power failed after {points} changes, {subset:b} of {pending} kept"
            ));
            states += 1;
            if subset == all {
                break;
            }
            subset += 1;
        }
    }
}

#[test]
fn shortage_at_any_step_is_temporary() {
    type FaultAt = fn(usize) -> InjectedFault;
    let faults: [(&str, FaultAt); 2] = [
        ("no descriptors", |steps| InjectedFault::AllCalls(steps, ErrorKind::Other)),
        ("no space", |changes| InjectedFault::AllChanges(changes, ErrorKind::StorageFull)),
    ];
    for (what, fault) in faults {
        let mut points = 0;
        loop {
            let world = World::new();
            let (mut scheduler, commands) = world.start().unwrap();
            world.fs.faults().set(fault(points));
            world.scan(&mut scheduler, &commands, 0..ROUNDS);
            let is_completed = world.is_completed();
            world.fs.faults().set(InjectedFault::None);
            world.scan(&mut scheduler, &commands, ROUNDS..2 * ROUNDS);
            world.check(&format!("{what} after {points} steps"));
            if is_completed {
                break;
            }
            points += 1;
        }
        assert!(points > 10, "{what}: {points}");
    }
}
