//! The scheduler is killed, or the power goes, after each change that it makes to the disk;
//! started again, it brings the action to its end, with one command that is answered once.
//!
//! The database is a real one, which keeps what it has committed.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::channel;

use jiff::SignedDuration;

use super::tests::{ACTION, action, agent, noon, rules};
use super::*;
use crate::action::CommandStatus;
use crate::clock::testing::TestClock;
use crate::data::{ActionSignature, Permissions};
use crate::disk::model::{Blow, Fuse, ModelFs, Now};
use crate::disk::{Disk, RealFs};

/// More rounds than any life of an action takes.
const ROUNDS: i64 = 10;
/// Of how many changes that are not durable every combination is tried.
const SUBSETS_OF: usize = 1;
/// Of how many, if all is to be tried.
const SUBSETS_OF_FULL: usize = 4;

/// A platform without its API and its agent, and the action that it is to run.
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
        let fs = ModelFs::new(Arc::new(Fuse::new()), World::now(&clock));
        World { _folder: folder, store, clock, fs }
    }

    fn now(clock: &Arc<TestClock>) -> Now {
        let clock = Arc::clone(clock);
        Arc::new(move || clock.now())
    }

    /// Starts a scheduler and lets it work, the agent answering, until the action is over or
    /// nothing is carried out any more.
    fn live(&self) {
        let Some((mut scheduler, work)) = self.begin() else {
            assert!(self.fs.fuse().is_dead(), "the spool cannot be used any more");
            return;
        };
        self.work(&mut scheduler, &work, 0..ROUNDS);
    }

    /// Starts a scheduler; `None` if it cannot use the spool.
    fn begin(&self) -> Option<(Scheduler, Receiver<Work>)> {
        let (sender, work) = channel();
        let spool = Spool::open(Arc::new(self.fs.clone()), Path::new("/spool")).ok()?;
        let ids = Arc::new(Ids::new(noon(), self.store.highest_id().unwrap()));
        let log = slog::Logger::root(slog::Discard, slog::o!());
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let store = Arc::clone(&self.store);
        let scheduler = Scheduler::new(spool, store, ids, clock, rules(), sender, log);
        let recovered = scheduler.recover();
        assert!(recovered.is_ok() || self.fs.fuse().is_dead(), "{recovered:?}");
        Some((scheduler, work))
    }

    fn is_over(&self) -> bool {
        self.status() == "completed" && self.places() == ["action/done", "command/done"]
    }

    /// Lets a scheduler work for some seconds.
    fn work(&self, scheduler: &mut Scheduler, work: &Receiver<Work>, rounds: Range<i64>) {
        for round in rounds {
            self.clock.set(noon() + SignedDuration::from_secs(round));
            scheduler.collect();
            if self.is_over() || self.fs.fuse().is_dead() {
                return;
            }
            for Work { command, action } in work.try_iter() {
                let results = "[{\"foundanything\":true}]".to_owned();
                let status = CommandStatus::Success;
                scheduler.unwritten.push(Done { command, action: action.id, status, results });
            }
        }
    }

    fn status(&self) -> String {
        self.store.action(ACTION).unwrap().unwrap().status
    }

    /// Returns the folders that have a file.
    fn places(&self) -> Vec<&'static str> {
        let used = |place: &&str| !self.fs.names(&Path::new("/spool").join(place)).is_empty();
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

    /// Checks that the action is over, as it should be.
    fn check(&self, when: &str) {
        assert_eq!(self.status(), "completed", "{when}");
        assert_eq!(self.places(), ["action/done", "command/done"], "{when}");
        let commands = self.store.commands_of(ACTION).unwrap();
        assert_eq!(commands.len(), 1, "{when}");
        assert_eq!(commands[0].status, "success", "{when}");
        assert_eq!(commands[0].results, "[{\"foundanything\":true}]", "{when}");
    }
}

#[test]
fn a_scheduler_killed_at_any_step_goes_on() {
    let world = World::new();
    world.live();
    world.check("undisturbed");
    let mut points = 0;
    loop {
        let world = World::new();
        world.fs.fuse().set(Blow::Dead(points));
        world.live();
        if !world.fs.fuse().is_dead() {
            break;
        }
        world.fs.fuse().set(Blow::Never);
        world.live();
        world.check(&format!("killed after {points} changes"));
        points += 1;
    }
    println!("killed at {points} points");
    assert!(points > 20, "{points}");
}

#[test]
fn a_scheduler_goes_on_after_a_cut_of_power_at_any_step() {
    let is_full = std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL");
    let subsets_of = if is_full { SUBSETS_OF_FULL } else { SUBSETS_OF };
    let mut states = 0;
    for points in 0.. {
        let mut subset = 0_u64;
        loop {
            let mut world = World::new();
            world.fs.fuse().set(Blow::Dead(points));
            world.live();
            if !world.fs.fuse().is_dead() {
                println!("the power went in {states} states of the disk");
                return assert!(states > 50, "{states}");
            }
            // None of the changes is of less weight.
            let pending = world.fs.pending(Path::new("none")).len();
            let all = (1_u64 << pending.min(subsets_of)) - 1;
            let mut drawn = subset;
            let draw = || {
                drawn += 1;
                drawn
            };
            // Beyond those that are tried in every combination the changes are lost.
            let kept =
                |at: usize| subset.checked_shr(u32::try_from(at).unwrap()).unwrap_or(0) & 1 == 1;
            world.fs = world.fs.after_cut(&World::now(&world.clock), kept, draw);
            world.live();
            world.check(&format!("power cut after {points} changes, {subset:b} of {pending} left"));
            states += 1;
            if subset == all {
                break;
            }
            subset += 1;
        }
    }
}

#[test]
fn a_shortage_at_any_step_ends_nothing() {
    type Blows = fn(usize) -> Blow;
    let blows: [(&str, Blows); 2] = [
        ("no descriptors", |steps| Blow::FailOn(steps, ErrorKind::Other)),
        ("no space", |changes| Blow::Full(changes, ErrorKind::StorageFull)),
    ];
    for (what, blow) in blows {
        let mut points = 0;
        loop {
            let world = World::new();
            let (mut scheduler, work) = world.begin().unwrap();
            world.fs.fuse().set(blow(points));
            world.work(&mut scheduler, &work, 0..ROUNDS);
            let is_over = world.is_over();
            world.fs.fuse().set(Blow::Never);
            world.work(&mut scheduler, &work, ROUNDS..2 * ROUNDS);
            world.check(&format!("{what} after {points} steps"));
            if is_over {
                break;
            }
            points += 1;
        }
        assert!(points > 10, "{what}: {points}");
    }
}
