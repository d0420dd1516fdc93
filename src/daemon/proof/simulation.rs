//! A simulated host: a runner on a file system in memory, with a simulated platform and plugins.
//! All of it can be stopped at any operation, copied in the state after a power cut, and started
//! again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use jiff::Timestamp;

use super::recording_plugins::RecordingPlugins;
use crate::action::sign::testing::HashSigner;
use crate::api::Api;
use crate::clock::Clock;
use crate::clock::testing::TestClock;
use crate::config::duration::Keep;
use crate::config::runner::RetentionSettings;
use crate::daemon::Event;
use crate::daemon::engine::Engine;
use crate::daemon::testing::{
    EngineBuilder, Platform, SETTLE, WORKER_TIMEOUT, WorkerCounts, keep_all,
};
use crate::disk::model::{FaultInjector, ModelFs, Now};
use crate::disk::{FileKind, read};
use crate::plugin::Deliver;
use crate::spool::record::{FileContent, classify};
use crate::spool::{Folder, Record};
use crate::stage::prune::DAY;
use crate::wake::Stop;

pub(super) const HOME: &str = "/home";
/// The job of all scenarios. Some have more jobs.
pub(super) const JOB: &str = "job";
/// The scratch folder.
pub(super) const SCRATCH: &str = "spool/.tmp";
/// Running time after which the engine trusts the clock.
const TRUSTED_SPAN: Duration = Duration::from_secs(2 * 3600);
/// Time limit for the search for expired files, before the next turn.
const SEARCH_WAIT: Duration = Duration::from_millis(1);
/// Maximum number of turns of the engine at one time of the clock.
const TURNS_MAX: u32 = 10_000;
/// Size limit for a file; no file of a test reaches it.
pub(super) const BYTES_MAX: u64 = 1 << 24;

/// A simulated host.
pub(super) struct Simulation {
    pub(super) fs: ModelFs,
    pub(super) clock: Arc<TestClock>,
    pub(super) platform: Arc<Platform>,
    pub(super) plugins: Arc<RecordingPlugins>,
    settle: Duration,
    retention: RetentionSettings,
    engine: Option<(Engine, Sender<Event>, Receiver<Event>)>,
    /// Why the last start failed.
    pub(super) start_error: Option<String>,
}

/// Waits for the end of all running tasks. Their outcomes are recorded together, in an order that
/// does not depend on the speed of their threads.
fn finished_tasks(events: &Receiver<Event>, running: usize) -> Vec<Event> {
    let mut finished = Vec::new();
    while finished.len() < running {
        if let Event::TaskFinished(task) = events.recv_timeout(WORKER_TIMEOUT).unwrap() {
            finished.push(task);
        }
    }
    finished.sort_by_key(|finished| format!("{:?}", (&finished.task.key, &finished.task.kind)));
    finished.into_iter().map(Event::TaskFinished).collect()
}

fn now_of(clock: &Arc<TestClock>) -> Now {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now())
}

impl Simulation {
    /// Returns a host whose clock shows `now`, with an empty jobs folder, on a file system that
    /// `change` has changed.
    pub(super) fn new(now: &str, change: impl FnOnce(ModelFs) -> ModelFs) -> Simulation {
        let clock = Arc::new(TestClock::new(now.parse().unwrap()));
        let fs = change(ModelFs::new(Arc::new(FaultInjector::new()), now_of(&clock)));
        fs.put_folder(&home("runners"));
        let faults = Arc::clone(fs.faults());
        let plugins = RecordingPlugins::default().copy(fs.clone());
        let platform = Arc::new(Platform::default().copy(faults));
        Simulation {
            fs,
            clock,
            platform,
            plugins: Arc::new(plugins),
            settle: SETTLE,
            retention: keep_all(),
            engine: None,
            start_error: None,
        }
    }

    /// Returns the host after a power cut: see [`ModelFs::after_cut`].
    pub(super) fn after_cut(
        &self,
        kept: impl FnMut(usize) -> bool,
        draw: impl FnMut() -> u64,
    ) -> Simulation {
        let clock = Arc::new(TestClock::new(self.clock.now()));
        let fs = self.fs.after_cut(&now_of(&clock), kept, draw);
        let faults = Arc::clone(fs.faults());
        let plugins = self.plugins.copy(fs.clone());
        let platform = Arc::new(self.platform.copy(faults));
        Simulation {
            fs,
            clock,
            platform,
            plugins: Arc::new(plugins),
            settle: self.settle,
            retention: self.retention,
            engine: None,
            start_error: None,
        }
    }

    pub(super) fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// Sets the number of times a plugin fails before it accepts a delivery.
    pub(super) fn fail_plugin(&self, plugin: &str, times: u32) {
        self.plugins.set_failures(plugin, times);
    }

    /// Creates the job, or replaces its files.
    pub(super) fn write_job(&self, config: &str) {
        let folder = home("runners").join(JOB);
        let config = format!("[configuration]\n{config}\n");
        self.fs.put(&folder.join("entity.cfg"), config.as_bytes());
        let action = br#"{"name":"x","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        self.fs.put(&folder.join("action.json"), action);
    }

    /// Creates a job like the job of all scenarios.
    pub(super) fn copy_job(&self, name: &str) {
        for file in ["entity.cfg", "action.json"] {
            let bytes = read(&self.fs, &home("runners").join(JOB).join(file), BYTES_MAX).unwrap();
            self.fs.put(&home("runners").join(name).join(file), &bytes);
        }
    }

    /// Moves the job out of the jobs folder, or back.
    pub(super) fn set_job_away(&self, is_away: bool) {
        let (here, there) = (home("runners").join(JOB), home("away"));
        let (from, to) = if is_away { (here, there) } else { (there, here) };
        // The move may have been made before the runner was killed.
        let folder = from.parent().unwrap();
        if self.fs.names(folder).iter().any(|entry| from.ends_with(&entry.name)) {
            self.fs.mv(&from, &to);
        }
    }

    /// Starts an engine; returns whether it has started.
    pub(super) fn start(&mut self) -> bool {
        self.engine = None;
        let builder = EngineBuilder {
            fs: Arc::new(self.fs.clone()),
            directory: Path::new(HOME),
            clock: Arc::clone(&self.clock),
            platform: Arc::clone(&self.platform) as Arc<dyn Api>,
            plugins: Arc::clone(&self.plugins) as Arc<dyn Deliver>,
            signer: Arc::new(HashSigner),
            stop: Stop::new(),
            settle: self.settle,
            retention: self.retention,
            workers: WorkerCounts::USUAL,
        };
        let built = builder.build().map_err(|error| crate::chain::Chain(&error).to_string());
        let started = built.and_then(|(mut engine, sender, events)| {
            let started = engine.start();
            self.engine = Some((engine, sender, events));
            started.map_err(|error| crate::chain::Chain(&error).to_string())
        });
        self.start_error = started.err();
        self.start_error.is_none()
    }

    /// Ends the engine as a crash would.
    pub(super) fn kill(&mut self) {
        // Its workers have no further effect: the process is dead, or all workers are idle.
        self.engine = None;
    }

    /// Sets the clock, but never back, and runs the engine until nothing is due.
    pub(super) fn run_at(&mut self, now: &str) {
        let now: Timestamp = now.parse().unwrap();
        self.clock.set(now.max(self.clock.now()));
        self.scan_and_run();
    }

    /// Moves the clock ahead, and runs the engine until nothing is due.
    pub(super) fn advance(&mut self, seconds: u64) {
        self.clock.set(crate::clock::after(self.clock.now(), Duration::from_secs(seconds)));
        self.scan_and_run();
    }

    fn scan_and_run(&mut self) {
        let now = self.clock.now();
        let Some((engine, _, events)) = self.engine.as_mut() else { return };
        engine.scan_everything(now);
        for _ in 0..TURNS_MAX {
            if self.fs.faults().is_dead() && engine.is_idle() {
                return;
            }
            engine.launch_due(now);
            engine.recheck_files(now);
            let next = engine.process_due();
            if !engine.is_idle() {
                for finished in finished_tasks(events, engine.running_tasks()) {
                    engine.handle(finished);
                }
            } else if [next, engine.next_recheck()].into_iter().flatten().all(|next| next > now) {
                return;
            }
        }
        panic!("the engine never becomes idle: {:?}", self.spool());
    }

    /// Makes the engine retry everything, as after SIGHUP.
    pub(super) fn reload(&mut self) {
        if let Some((engine, ..)) = self.engine.as_mut() {
            engine.retry_now();
        }
        self.scan_and_run();
    }

    /// Sets the retention to a day.
    pub(super) fn keep_a_day(&mut self) {
        let day = Keep::For(DAY);
        self.retention = RetentionSettings { done: day, invalid: day, results: day };
    }

    /// Makes the engine remove expired files.
    pub(super) fn prune(&mut self) {
        let now = self.clock.now();
        // Two hours pass, and the wall clock is set back by two hours.
        self.clock.pass(TRUSTED_SPAN);
        self.clock.set(now);
        let Some((engine, sender, events)) = self.engine.as_mut() else { return };
        while engine.prune(now, sender).is_none_or(|next| next <= now) {
            if self.fs.faults().is_dead() {
                return;
            }
            if let Ok(event @ Event::RemovalPlanned(_)) = events.recv_timeout(SEARCH_WAIT) {
                engine.handle(event);
            }
        }
    }

    /// Returns a hash of everything that determines what happens next. The scratch folder does not,
    /// because the next start empties it.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.fs.digest(&home(SCRATCH), &mut hasher);
        self.clock.now().hash(&mut hasher);
        self.platform.digest(&mut hasher);
        self.plugins.digest(&mut hasher);
        hasher.finish()
    }

    /// Lists the entries of the spool as `FOLDER NAME`, by folder; random letters are shown as `x`.
    pub(super) fn spool(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in Folder::ALL {
            for (name, _) in self.entries(folder) {
                let name = name.strip_suffix(".json").unwrap_or(&name).to_owned();
                found.push(format!("{folder} {}", masked(&name)));
            }
        }
        found
    }

    fn entries(&self, folder: Folder) -> Vec<(String, FileKind)> {
        let listed = self.fs.names(&home("spool").join(folder.path()));
        listed.into_iter().map(|entry| (entry.name.into_string().unwrap(), entry.kind)).collect()
    }

    /// Returns the path of the first run in a folder, if there is one.
    pub(super) fn first_run(&self, folder: Folder) -> Option<PathBuf> {
        let (name, _) =
            self.entries(folder).into_iter().find(|(name, _)| name.ends_with(".json"))?;
        Some(home("spool").join(folder.path()).join(name))
    }

    /// Moves the first run in a folder, if there is one, as the operator does.
    pub(super) fn move_run(&self, from: Folder, to: Folder) {
        let Some(path) = self.first_run(from) else { return };
        let to = home("spool").join(to.path()).join(path.file_name().unwrap());
        self.fs.mv(&path, &to);
    }

    /// Removes the first run in a folder, if there is one, as the operator does.
    pub(super) fn remove_run(&self, folder: Folder) {
        if let Some(path) = self.first_run(folder) {
            self.fs.rm(&path);
        }
    }

    /// Returns the records in a folder, and an error for each file that is not a valid record.
    pub(super) fn records(&self, folder: Folder) -> Vec<Result<Record, String>> {
        let files = self.entries(folder).into_iter().filter(|(name, _)| name.ends_with(".json"));
        let record = |(name, _): (String, FileKind)| {
            let path = home("spool").join(folder.path()).join(&name);
            let bytes = read(&self.fs, &path, BYTES_MAX).map_err(|error| error.to_string())?;
            match classify(&bytes) {
                FileContent::Record(record) => Ok(*record),
                other => Err(format!("{folder} {name}: {other:?}")),
            }
        };
        files.map(record).collect()
    }
}

/// Returns a path in the runner's directory.
pub(super) fn home(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}

/// Replaces the second and the random letters of a claimed run, which differ between executions.
fn masked(name: &str) -> String {
    match name.rsplit_once("Z-") {
        Some((head, mark)) if mark.len() == 6 && !mark.contains('.') => {
            // The letters are random. The second is that of the claim, which is later if the first
            // attempt failed.
            let stem = head.rsplit_once('.').map_or(head, |(stem, _)| stem);
            format!("{stem}.CLAIMED-xxxxxx")
        }
        _ => name.to_owned(),
    }
}
