//! A daemon in a temporary folder, with a platform that does what a test says.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slog::{Discard, Logger, o};

use super::calendar::Calendar;
use super::engine::Engine;
use super::workers::{WorkerContext, Workers};
use super::{Event, Parts, Settings};
use crate::action::Signer;
use crate::action::sign::testing::HashSigner;
use crate::api::Api;
use crate::clock::testing::TestClock;
use crate::config::duration::Keep;
use crate::config::runner::RetentionSettings;
use crate::disk::{Disk, Fs, RealFs, trust};
use crate::job::scan::Jobs;
use crate::metrics::Metrics;
use crate::names::RunId;
use crate::plugin::{Deliver, Plugins};
use crate::spool::{Family, Folder, Record, Spool, SpoolError};
use crate::stage::launch::Defaults;
use crate::testing::{make_private, retried, write_private};
use crate::wake::Stop;

mod platform;

pub(crate) use platform::{Mood, Outage, Platform};

/// How long a test waits for a worker.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long an unanswered POST may still take effect.
pub(crate) const SETTLE: Duration = Duration::from_secs(120);

/// What an engine works with and in.
pub(crate) struct Place<'a> {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) directory: &'a Path,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) platform: Arc<dyn Api>,
    pub(crate) plugins: Arc<dyn Deliver>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) stop: Stop,
    pub(crate) settle: Duration,
    pub(crate) retention: RetentionSettings,
}

/// Returns the settings with which everything is kept.
pub(crate) fn keep_all() -> RetentionSettings {
    RetentionSettings { done: Keep::All, invalid: Keep::All, results: Keep::All }
}

impl Place<'_> {
    /// Returns an engine that has looked at nothing yet, and what comes through its door.
    pub(crate) fn engine(self) -> Result<(Engine, Sender<Event>, Receiver<Event>), SpoolError> {
        let log = Logger::root(Discard, o!());
        let root = self.directory.join("spool");
        let spool = retried(
            || Spool::open(Arc::clone(&self.fs), &root, &log),
            |error| matches!(error, SpoolError::Locked { .. }),
        )?;
        let disk: Disk = spool.disk().clone();
        let runners = self.directory.join("runners");
        let jobs = Jobs::new(disk.clone(), runners, trust::own_user(), TimeZone::UTC);
        let settings = Settings {
            directory: self.directory.to_owned(),
            check_span: Duration::from_secs(30),
            settle: self.settle,
            fetch_giveup: Duration::from_secs(7 * 86_400),
            delivery_giveup: Duration::from_secs(5 * 86_400),
            defaults: Defaults::new(None, false, Duration::from_secs(10)),
            parallel: 2,
            plugins: 4,
            retention: self.retention,
        };
        let context = WorkerContext {
            api: self.platform,
            signer: self.signer,
            expand: Box::new(|_| None),
            plugins: self.plugins,
            disk,
            directory: self.directory.to_owned(),
            spool: spool.layout().clone(),
            page_size: 2,
            pages: 2,
            clock: self.clock.clone(),
            stop: self.stop,
        };
        let (sender, events) = channel();
        let workers = Workers::new(Arc::new(context), sender.clone(), 2, 4);
        let calendar = Calendar::new(jobs, "host".to_owned());
        let parts = Parts { settings, spool, calendar, clock: self.clock, log };
        Ok((Engine::new(parts, workers), sender, events))
    }
}

/// Lets an engine take an event, as the daemon does.
fn hear(engine: &mut Engine, event: Event) {
    match event {
        Event::Hint(hint) => engine.hear(&hint),
        Event::Done(done) => engine.done(*done),
        Event::Planned(plan) => engine.planned(plan),
        Event::Reviewed(found) => engine.reviewed(found),
        Event::Counted(finished) => engine.counted(finished),
        Event::Stop | Event::Reload => {}
    }
}

/// A runner's directory, its engine, and the clock that both follow.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) platform: Arc<Platform>,
    /// How long the next engine keeps what is finished.
    pub(crate) retention: RetentionSettings,
    /// What the next engine signs with.
    pub(crate) signer: Arc<dyn Signer>,
    /// Asks the next engine to stop.
    pub(crate) stopper: Stop,
    /// The file system that the next engine works on.
    pub(crate) fs: Arc<dyn Fs>,
    sender: Option<Sender<Event>>,
    engine: Option<(Engine, Receiver<Event>)>,
}

impl Rig {
    /// Returns a rig whose clock shows `now`, with an empty directory and no engine yet.
    pub(crate) fn new(now: &str) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        for name in ["runners", "plugins"] {
            make_private(&folder.path().join(name));
        }
        let clock = Arc::new(TestClock::new(now.parse().unwrap()));
        let platform = Arc::default();
        Rig {
            folder,
            clock,
            platform,
            retention: keep_all(),
            signer: Arc::new(HashSigner),
            stopper: Stop::new(),
            fs: Arc::new(RealFs),
            sender: None,
            engine: None,
        }
    }

    /// Returns the path of a part of the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a job into the directory.
    pub(crate) fn job(&self, name: &str, config: &str) {
        let folder = self.path("runners").join(name);
        make_private(&folder);
        write_private(&folder.join("entity.cfg"), &format!("[configuration]\n{config}\n"));
        let action = r#"{"name":"x","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        write_private(&folder.join("action.json"), action);
    }

    /// Puts a plugin into the directory: a shell script.
    pub(crate) fn plugin(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("plugins").join(name);
        write_private(&path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Starts an engine, or another one after a crash.
    pub(crate) fn start(&mut self) {
        self.start_with(|_, _| ());
    }

    /// Starts an engine that watches its folders, as the daemon's does, with threads of its own.
    pub(crate) fn start_watching(&mut self) {
        self.start_with(Engine::watch);
        self.hear_until(|engine| engine.review.is_settled());
    }

    fn start_with(&mut self, prepare: impl FnOnce(&mut Engine, Sender<Event>)) {
        self.engine = None;
        let context = Place {
            fs: Arc::clone(&self.fs),
            directory: self.folder.path(),
            clock: self.clock.clone(),
            platform: Arc::clone(&self.platform) as Arc<dyn Api>,
            plugins: Arc::new(Plugins::new(self.path("plugins"))),
            signer: Arc::clone(&self.signer),
            stop: self.stopper.clone(),
            settle: SETTLE,
            retention: self.retention,
        };
        let (mut engine, sender, events) = context.engine().unwrap();
        prepare(&mut engine, sender.clone());
        self.sender = Some(sender);
        engine.begin().unwrap();
        self.engine = Some((engine, events));
    }

    /// Returns the engine that was started.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine.as_ref().unwrap().0
    }

    /// Lets the engine count its work from now on, with what the spool tells of the past.
    pub(crate) fn measure(&mut self) {
        use crate::clock::Clock;
        let metrics = Metrics::new(self.path("metrics"), self.clock.now());
        let engine = &mut self.engine.as_mut().unwrap().0;
        engine.metrics = Some(metrics);
        engine.measure_past();
    }

    /// Returns the metrics as the engine writes them.
    pub(crate) fn metrics(&mut self) -> String {
        use crate::clock::Clock;
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.write_metrics(now);
        std::fs::read_to_string(self.path("metrics")).unwrap()
    }

    /// Drops the engine as a crash would.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
    }

    /// Lets the engine tell what it tries again; returns when there may be more to tell.
    pub(crate) fn tell(&mut self) -> Option<Timestamp> {
        use crate::clock::Clock;
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.write_retry_report(now)
    }

    /// Lets the engine end in order.
    pub(crate) fn stop(&mut self) {
        let (mut engine, _events) = self.engine.take().unwrap();
        engine.write_held();
        engine.remove_retry_report();
    }

    /// Sets the clock of a machine on which no engine runs.
    pub(crate) fn clock_to(&self, now: &str) {
        self.clock.set(now.parse().unwrap());
    }

    /// Sets the clock and lets the engine do all that is due then, until nobody is at work.
    pub(crate) fn at(&mut self, now: &str) {
        self.clock.set(now.parse().unwrap());
        self.settle();
    }

    /// Moves the clock ahead.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
        self.settle();
    }

    fn settle(&mut self) {
        use crate::clock::Clock;
        let now = self.clock.now();
        let (engine, _) = self.engine.as_mut().unwrap();
        engine.look_everywhere(now);
        self.work();
    }

    /// Sets the clock and lets the engine do what is due then, before it looks at anything.
    pub(crate) fn work_at(&mut self, now: &str) {
        self.clock.set(now.parse().unwrap());
        self.work();
    }

    fn work(&mut self) {
        use crate::clock::Clock;
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        loop {
            engine.launch_due(now);
            engine.look_at_young(now);
            let next = engine.turn();
            if !engine.is_quiet() {
                hear(engine, events.recv_timeout(PATIENCE).unwrap());
            } else if next.is_none_or(|next| next > now) || self.stopper.asked() {
                return;
            }
        }
    }

    /// Lets the engine follow what it hears, and do what is due, until something holds.
    pub(crate) fn hear_until(&mut self, holds: impl Fn(&Engine) -> bool) {
        while !holds(self.engine()) {
            let (engine, events) = self.engine.as_mut().unwrap();
            hear(engine, events.recv_timeout(PATIENCE).expect("nothing more happens"));
            self.work();
        }
    }

    /// Lets the engine look at everything.
    pub(crate) fn look(&mut self) {
        use crate::clock::Clock;
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.look_everywhere(now);
    }

    /// Lets the engine hear a hint.
    pub(crate) fn hear(&mut self, hint: crate::wake::Hint) {
        hear(&mut self.engine.as_mut().unwrap().0, Event::Hint(hint));
    }

    /// Lets the engine write metrics now, without what the spool tells of the past.
    pub(crate) fn write_new_metrics(&mut self) {
        use crate::clock::Clock;
        let (now, path) = (self.clock.now(), self.path("metrics"));
        let (engine, _) = self.engine.as_mut().unwrap();
        engine.metrics = Some(crate::metrics::Metrics::new(path, now));
        engine.write_metrics(now);
    }

    /// Lets the engine remove what is old.
    pub(crate) fn prune(&mut self) {
        use crate::clock::Clock;
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        let sender = self.sender.as_ref().unwrap();
        while engine.prune(now, sender).is_none_or(|next| next <= now) {
            if let Ok(Event::Planned(plan)) = events.recv_timeout(Duration::from_millis(1)) {
                engine.planned(plan);
            }
        }
    }

    /// Returns where the runs are, as `folder run`, by folder.
    pub(crate) fn spool(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in Folder::ALL {
            let path = self.path("spool").join(folder.path());
            let mut names: Vec<String> = std::fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            found.extend(
                names
                    .iter()
                    .map(|name| format!("{folder} {}", name.strip_suffix(".json").unwrap_or(name))),
            );
        }
        found
    }

    /// Reads the record of a run.
    pub(crate) fn record(&self, folder: Folder, id: &str) -> Record {
        let (engine, _) = self.engine.as_ref().unwrap();
        let id: RunId = id.parse().unwrap();
        assert!(matches!(folder.family(), Family::Action | Family::Command));
        engine.parts.spool.take(folder, &id).unwrap().unwrap().into_record()
    }

    /// Moves a run's file as a person would.
    pub(crate) fn mv(&self, id: &str, from: Folder, to: Folder) {
        let path =
            |folder: Folder| self.path("spool").join(folder.path()).join(format!("{id}.json"));
        std::fs::rename(path(from), path(to)).unwrap();
    }
}
