//! A test rig: an engine in a temporary folder, with a simulated platform that a test controls.
#![expect(clippy::disallowed_methods, reason = "tests change files as the operator does")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use slog::{Discard, Logger, o};

use super::Event;
use super::engine::Engine;
use super::job_calendar::JobCalendar;
use super::pools::Workers;
use super::workers::WorkerContext;
use super::{Parts, Settings};
use crate::action::Signer;
use crate::action::sign::testing::HashSigner;
use crate::api::Api;
use crate::clock::Clock as _;
use crate::clock::testing::TestClock;
use crate::config::duration::Keep;
use crate::config::runner::RetentionSettings;
use crate::disk::{Disk, Fs, RealFs, trust};
use crate::job::folders::Jobs;
use crate::names::RunId;
use crate::plugin::{Deliver, Plugins};
use crate::spool::{Family, Folder, Record, Spool, SpoolError};
use crate::stage::launch::RunDefaults;
use crate::testing::{make_private, retried, write_private};
use crate::wake::Stop;

mod platform;
mod tasks;

pub(crate) use platform::{Outage, Platform, PostReply};
pub(crate) use tasks::first_attempt;

/// Time limit for a worker in tests.
pub(crate) const WORKER_TIMEOUT: Duration = Duration::from_secs(20);

/// Time during which an unanswered POST may still take effect on the platform, in tests.
pub(crate) const SETTLE: Duration = Duration::from_secs(120);

/// The number of workers of an engine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerCounts {
    /// In each of the two pools that use the API.
    pub(crate) parallel: usize,
    pub(crate) plugins: usize,
}

impl WorkerCounts {
    /// As many as without a setting.
    pub(crate) const USUAL: WorkerCounts = WorkerCounts { parallel: 2, plugins: 4 };
    /// One, so that the order of the tasks does not depend on the speed of the threads.
    pub(crate) const ONE: WorkerCounts = WorkerCounts { parallel: 1, plugins: 1 };
}

/// Builds an engine for a test.
pub(crate) struct EngineBuilder<'a> {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) directory: &'a Path,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) platform: Arc<dyn Api>,
    pub(crate) plugins: Arc<dyn Deliver>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) stop: Stop,
    pub(crate) settle: Duration,
    pub(crate) retention: RetentionSettings,
    pub(crate) workers: WorkerCounts,
}

/// Returns the retention settings that keep everything.
pub(crate) fn keep_all() -> RetentionSettings {
    RetentionSettings { done: Keep::All, invalid: Keep::All, results: Keep::All }
}

impl EngineBuilder<'_> {
    /// Returns an engine that has not read anything yet, and both ends of its channel.
    pub(crate) fn build(self) -> Result<(Engine, Sender<Event>, Receiver<Event>), SpoolError> {
        let log = Logger::root(Discard, o!());
        let root = self.directory.join("spool");
        let spool = retried(
            || Spool::open(Arc::clone(&self.fs), &root, &log),
            |error| matches!(error, SpoolError::Locked { .. }),
        )?;
        let disk: Disk = spool.disk().clone();
        let runners = self.directory.join("runners");
        let jobs = Jobs::new(disk.clone(), runners, trust::own_user(), TimeZone::UTC);
        let WorkerCounts { parallel, plugins } = self.workers;
        let settings = Settings {
            directory: self.directory.to_owned(),
            check_span: Duration::from_secs(30),
            settle: self.settle,
            fetch_giveup: Duration::from_secs(7 * 86_400),
            delivery_giveup: Duration::from_secs(5 * 86_400),
            defaults: RunDefaults::new(None, false, Duration::from_secs(10)),
            parallel,
            plugins,
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
        let workers = Workers::new(Arc::new(context), sender.clone(), parallel, plugins);
        let calendar = JobCalendar::new(jobs, "host".to_owned());
        let parts = Parts { settings, spool, calendar, clock: self.clock, log };
        Ok((Engine::new(parts, workers), sender, events))
    }
}

/// A runner's directory, its engine, and the clock of both.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) platform: Arc<Platform>,
    /// The retention settings of the next engine.
    pub(crate) retention: RetentionSettings,
    /// The number of workers of the next engine.
    pub(crate) workers: WorkerCounts,
    /// The signer of the next engine.
    pub(crate) signer: Arc<dyn Signer>,
    /// Stops the next engine when it is set.
    pub(crate) stop_flag: Stop,
    /// The file system of the next engine.
    pub(crate) fs: Arc<dyn Fs>,
    sender: Option<Sender<Event>>,
    engine: Option<(Engine, Receiver<Event>)>,
}

impl Rig {
    /// Returns a rig whose clock shows `now`, with an empty directory and without an engine.
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
            workers: WorkerCounts::USUAL,
            signer: Arc::new(HashSigner),
            stop_flag: Stop::new(),
            fs: Arc::new(RealFs),
            sender: None,
            engine: None,
        }
    }

    /// Returns a path in the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a job, or replaces its files.
    pub(crate) fn write_job(&self, name: &str, config: &str) {
        let folder = self.path("runners").join(name);
        make_private(&folder);
        write_private(&folder.join("entity.cfg"), &format!("[configuration]\n{config}\n"));
        let action = r#"{"name":"x","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        write_private(&folder.join("action.json"), action);
    }

    /// Creates a plugin from a shell script.
    pub(crate) fn write_plugin(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("plugins").join(name);
        write_private(&path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Starts an engine without watches; it replaces an earlier one as after a crash.
    pub(crate) fn start(&mut self) {
        self.start_with(|_, _| ());
    }

    /// Starts an engine with watches and threads of its own, as the daemon does.
    pub(crate) fn start_watching(&mut self) {
        self.start_with(Engine::watch);
        self.run_until(|engine| engine.scan().has_reviewed_done());
    }

    fn start_with(&mut self, prepare: impl FnOnce(&mut Engine, Sender<Event>)) {
        self.engine = None;
        let builder = EngineBuilder {
            fs: Arc::clone(&self.fs),
            directory: self.folder.path(),
            clock: self.clock.clone(),
            platform: Arc::clone(&self.platform) as Arc<dyn Api>,
            plugins: Arc::new(Plugins::new(self.path("plugins"))),
            signer: Arc::clone(&self.signer),
            stop: self.stop_flag.clone(),
            settle: SETTLE,
            retention: self.retention,
            workers: self.workers,
        };
        let (mut engine, sender, events) = builder.build().unwrap();
        prepare(&mut engine, sender.clone());
        self.sender = Some(sender);
        engine.start().unwrap();
        self.engine = Some((engine, events));
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine.as_ref().unwrap().0
    }

    /// Makes the engine record metrics, including the last successes in the spool.
    pub(crate) fn enable_metrics(&mut self) {
        let path = self.path("metrics");
        let engine = &mut self.engine.as_mut().unwrap().0;
        engine.enable_metrics(path);
        engine.read_last_successes();
    }

    /// Makes the engine write the metrics, and returns them.
    pub(crate) fn metrics(&mut self) -> String {
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.write_metrics(now);
        std::fs::read_to_string(self.path("metrics")).unwrap()
    }

    /// Ends the engine as a crash would.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
    }

    /// Makes the engine write the retry report if it is due; returns when it is due again.
    pub(crate) fn write_retry_report(&mut self) -> Option<Timestamp> {
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.write_retry_report(now)
    }

    /// Stops the engine in an orderly way.
    pub(crate) fn stop(&mut self) {
        let (mut engine, _events) = self.engine.take().unwrap();
        engine.record_pending();
        engine.remove_retry_report();
    }

    /// Sets the clock without running the engine.
    pub(crate) fn set_clock(&self, now: &str) {
        self.clock.set(now.parse().unwrap());
    }

    /// Sets the clock, and runs the engine until nothing is due and all workers are idle.
    pub(crate) fn run_at(&mut self, now: &str) {
        self.clock.set(now.parse().unwrap());
        self.scan_and_run();
    }

    /// Moves the clock ahead, and runs the engine as [`Rig::run_at`] does.
    pub(crate) fn advance(&mut self, seconds: u64) {
        self.clock.pass(Duration::from_secs(seconds));
        self.scan_and_run();
    }

    fn scan_and_run(&mut self) {
        let now = self.clock.now();
        let (engine, _) = self.engine.as_mut().unwrap();
        engine.scan_everything(now);
        self.run();
    }

    /// Sets the clock, and runs the engine before it scans anything.
    pub(crate) fn run_without_scan_at(&mut self, now: &str) {
        self.clock.set(now.parse().unwrap());
        self.run();
    }

    fn run(&mut self) {
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        loop {
            engine.launch_due(now);
            engine.recheck_files(now);
            let next = engine.process_due();
            if !engine.is_idle() {
                engine.handle(events.recv_timeout(WORKER_TIMEOUT).unwrap());
            } else if self.stop_flag.is_requested()
                || [next, engine.next_recheck()].into_iter().flatten().all(|next| next > now)
            {
                return;
            }
        }
    }

    /// Runs the engine on the events that it receives, until a condition holds.
    pub(crate) fn run_until(&mut self, condition: impl Fn(&Engine) -> bool) {
        while !condition(self.engine()) {
            let (engine, events) = self.engine.as_mut().unwrap();
            engine.handle(events.recv_timeout(WORKER_TIMEOUT).expect("no event arrived"));
            self.run();
        }
    }

    /// Makes the engine launch the slots that are due in one turn.
    pub(crate) fn launch_due(&mut self) {
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.launch_due(now);
    }

    /// Makes the engine process what is due in one turn, without the files to be checked again.
    pub(crate) fn process_due(&mut self) {
        self.engine.as_mut().unwrap().0.process_due();
    }

    /// Makes the engine check files again that may have to be moved, in one turn.
    pub(crate) fn recheck_files(&mut self) {
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.recheck_files(now);
    }

    /// Makes the engine scan everything.
    pub(crate) fn scan(&mut self) {
        let now = self.clock.now();
        self.engine.as_mut().unwrap().0.scan_everything(now);
    }

    /// Sends a hint to the engine.
    pub(crate) fn send_hint(&mut self, hint: crate::wake::Hint) {
        self.engine.as_mut().unwrap().0.handle(Event::Hint(hint));
    }

    /// Makes the engine write new metrics now, without the last successes in the spool.
    pub(crate) fn write_new_metrics(&mut self) {
        let (now, path) = (self.clock.now(), self.path("metrics"));
        let (engine, _) = self.engine.as_mut().unwrap();
        engine.enable_metrics(path);
        engine.write_metrics(now);
    }

    /// Makes the engine remove expired files.
    pub(crate) fn prune(&mut self) {
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        let sender = self.sender.as_ref().unwrap();
        while engine.prune(now, sender).is_none_or(|next| next <= now) {
            if let Ok(event @ Event::RemovalPlanned(_)) =
                events.recv_timeout(Duration::from_millis(1))
            {
                engine.handle(event);
            }
        }
    }

    /// Lists the entries of the spool as `FOLDER NAME`, by folder.
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

    pub(crate) fn record(&self, folder: Folder, id: &str) -> Record {
        let (engine, _) = self.engine.as_ref().unwrap();
        let id: RunId = id.parse().unwrap();
        assert!(matches!(folder.family(), Family::Action | Family::Command));
        engine.parts().spool.read_run(folder, &id).unwrap().unwrap().into_record()
    }

    /// Moves the file of a run as the operator does.
    pub(crate) fn move_run(&self, id: &str, from: Folder, to: Folder) {
        let path =
            |folder: Folder| self.path("spool").join(folder.path()).join(format!("{id}.json"));
        std::fs::rename(path(from), path(to)).unwrap();
    }
}
