//! A runner on a file system in memory, with a platform and plugins that remember: all of it can
//! be stopped at any step, copied as it is after a cut of power, and started again.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::recorder::Recorder;
use crate::action::sign::testing::HashSigner;
use crate::api::Api;
use crate::clock::Clock;
use crate::clock::testing::TestClock;
use crate::config::duration::Keep;
use crate::config::runner::RetentionSettings;
use crate::daemon::Event;
use crate::daemon::engine::Engine;
use crate::daemon::testing::{PATIENCE, Place, Platform, SETTLE, keep_all};
use crate::disk::model::{Fuse, ModelFs, Now};
use crate::disk::{FileKind, Fs, read};
use crate::plugin::Deliver;
use crate::spool::record::{Content, classify};
use crate::spool::{DeliveryState, Folder, Record};
use crate::stage::prune::DAY;
use crate::wake::Stop;

pub(super) const HOME: &str = "/home";
/// The job of all scenarios.
pub(super) const JOB: &str = "job";
/// The folder of what is not finished.
pub(super) const SCRATCH: &str = "spool/.tmp";
/// Running for so long, the engine trusts the clock.
const TRUSTED_SPAN: Duration = Duration::from_secs(2 * 3600);
/// How long it is waited for what is old before the engine is asked again.
const GLANCE: Duration = Duration::from_millis(1);
/// How often an engine may be asked what is due at one moment.
const TURNS_MAX: u32 = 10_000;
/// More than any file of a test has.
const BYTES_MAX: u64 = 1 << 24;

/// All that a scenario plays in.
pub(super) struct World {
    pub(super) fs: ModelFs,
    pub(super) clock: Arc<TestClock>,
    pub(super) platform: Arc<Platform>,
    plugins: Arc<Recorder>,
    settle: Duration,
    retention: RetentionSettings,
    engine: Option<(Engine, Sender<Event>, Receiver<Event>)>,
    /// Why it could not begin the last time.
    pub(super) refusal: Option<String>,
}

fn now_of(clock: &Arc<TestClock>) -> Now {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now())
}

impl World {
    /// Returns a world whose clock shows `now`, with empty folders for jobs and plugins; `change`
    /// makes its file system another one.
    pub(super) fn new(now: &str, change: impl FnOnce(ModelFs) -> ModelFs) -> World {
        let clock = Arc::new(TestClock::new(now.parse().unwrap()));
        let fs = change(ModelFs::new(Arc::new(Fuse::new()), now_of(&clock)));
        fs.put_folder(&home("runners"));
        let fuse = Arc::clone(fs.fuse());
        let plugins = Recorder::default().fork(fs.clone());
        let platform = Arc::new(Platform::default().fork(fuse));
        World {
            fs,
            clock,
            platform,
            plugins: Arc::new(plugins),
            settle: SETTLE,
            retention: keep_all(),
            engine: None,
            refusal: None,
        }
    }

    /// Returns the world after a cut of power: see [`ModelFs::after_cut`].
    pub(super) fn after_cut(
        &self,
        kept: impl FnMut(usize) -> bool,
        draw: impl FnMut() -> u64,
    ) -> World {
        let clock = Arc::new(TestClock::new(self.clock.now()));
        let fs = self.fs.after_cut(&now_of(&clock), kept, draw);
        let fuse = Arc::clone(fs.fuse());
        let plugins = self.plugins.fork(fs.clone());
        let platform = Arc::new(self.platform.fork(fuse));
        World {
            fs,
            clock,
            platform,
            plugins: Arc::new(plugins),
            settle: self.settle,
            retention: self.retention,
            engine: None,
            refusal: None,
        }
    }

    /// Sets how long an unanswered POST may still take effect.
    pub(super) fn set_settle(&mut self, settle: Duration) {
        self.settle = settle;
    }

    /// Sets how often each plugin fails before it takes what it gets.
    pub(super) fn fail(&self, plugin: &str, times: u32) {
        self.plugins.fail(plugin, times);
    }

    /// Puts the job into the directory.
    pub(super) fn job(&self, config: &str) {
        let folder = home("runners").join(JOB);
        let config = format!("[configuration]\n{config}\n");
        self.fs.put(&folder.join("entity.cfg"), config.as_bytes());
        let action = br#"{"name":"x","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        self.fs.put(&folder.join("action.json"), action);
    }

    /// Takes the job away, or puts it back.
    pub(super) fn away(&self, away: bool) {
        let (here, there) = (home("runners").join(JOB), home("away"));
        let (from, to) = if away { (here, there) } else { (there, here) };
        // It may have been done before the runner died. A person's look does not fail.
        let folder = from.parent().unwrap();
        if self.fs.names(folder).iter().any(|entry| from.ends_with(&entry.name)) {
            self.fs.mv(&from, &to);
        }
    }

    /// Starts an engine; tells whether it could begin.
    pub(super) fn start(&mut self) -> bool {
        self.engine = None;
        let place = Place {
            fs: Arc::new(self.fs.clone()),
            directory: Path::new(HOME),
            clock: Arc::clone(&self.clock),
            platform: Arc::clone(&self.platform) as Arc<dyn Api>,
            plugins: Arc::clone(&self.plugins) as Arc<dyn Deliver>,
            signer: Arc::new(HashSigner),
            stop: Stop::new(),
            settle: self.settle,
            retention: self.retention,
        };
        let begun = place.engine().map_err(|error| crate::chain::Chain(&error).to_string());
        let begun = begun.and_then(|(mut engine, sender, events)| {
            let begun = engine.begin();
            self.engine = Some((engine, sender, events));
            begun.map_err(|error| crate::chain::Chain(&error).to_string())
        });
        self.refusal = begun.err();
        self.refusal.is_none()
    }

    /// Ends the engine as a crash would.
    pub(super) fn kill(&mut self) {
        // What its workers still do has no effect: the fuse has blown, or nothing is under way.
        self.engine = None;
    }

    /// Sets the clock, never back, and lets the engine do all that is due then.
    pub(super) fn at(&mut self, now: &str) {
        let now: Timestamp = now.parse().unwrap();
        self.clock.set(now.max(self.clock.now()));
        self.settle();
    }

    /// Moves the clock ahead.
    pub(super) fn pass(&mut self, seconds: u64) {
        self.clock.set(crate::clock::after(self.clock.now(), Duration::from_secs(seconds)));
        self.settle();
    }

    fn settle(&mut self) {
        let now = self.clock.now();
        let Some((engine, _, events)) = self.engine.as_mut() else { return };
        engine.look_everywhere(now);
        for _ in 0..TURNS_MAX {
            if self.fs.fuse().is_dead() && engine.is_quiet() {
                return;
            }
            engine.launch_due(now);
            engine.look_at_young(now);
            let next = engine.turn();
            if !engine.is_quiet() {
                let Event::Done(done) = events.recv_timeout(PATIENCE).unwrap() else { continue };
                engine.done(*done);
            } else if next.is_none_or(|next| next > now) {
                return;
            }
        }
        panic!("the engine never rests: {:?}", self.spool());
    }

    /// Does what a hangup asks for.
    pub(super) fn reload(&mut self) {
        if let Some((engine, ..)) = self.engine.as_mut() {
            engine.try_all_now();
        }
        self.settle();
    }

    /// Sets how long what is over is kept: a day.
    pub(super) fn keep_a_day(&mut self) {
        let day = Keep::For(DAY);
        self.retention = RetentionSettings { done: day, invalid: day, results: day };
    }

    /// Lets the engine remove what is old.
    pub(super) fn prune(&mut self) {
        let now = self.clock.now();
        // Two hours pass, and the clock is set back by as much.
        self.clock.pass(TRUSTED_SPAN);
        self.clock.set(now);
        let Some((engine, sender, events)) = self.engine.as_mut() else { return };
        while engine.prune(now, sender).is_none_or(|next| next <= now) {
            if self.fs.fuse().is_dead() {
                return;
            }
            if let Ok(Event::Planned(plan)) = events.recv_timeout(GLANCE) {
                engine.planned(plan);
            }
        }
    }

    /// Returns a number that is another one where what comes next may be another thing: but for the
    /// scratch folder, which a start sweeps.
    pub(super) fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.fs.digest(&home(SCRATCH), &mut hasher);
        self.clock.now().hash(&mut hasher);
        self.platform.digest(&mut hasher);
        self.plugins.digest(&mut hasher);
        hasher.finish()
    }

    /// Returns where the runs are, as `folder run`, by folder; random letters are all `x`.
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

    /// Returns the path of the file of the only run in a folder.
    pub(super) fn only(&self, folder: Folder) -> Option<PathBuf> {
        let (name, _) =
            self.entries(folder).into_iter().find(|(name, _)| name.ends_with(".json"))?;
        Some(home("spool").join(folder.path()).join(name))
    }

    /// Moves the only run in a folder to another one, as a person would; that there is none is no error.
    pub(super) fn mv(&self, from: Folder, to: Folder) {
        let Some(path) = self.only(from) else { return };
        let to = home("spool").join(to.path()).join(path.file_name().unwrap());
        self.fs.mv(&path, &to);
    }

    /// Removes the only run in a folder, as a person would.
    pub(super) fn rm(&self, folder: Folder) {
        if let Some(path) = self.only(folder) {
            self.fs.rm(&path);
        }
    }

    /// Returns the records in a folder, and why each that is none is none.
    pub(super) fn records(&self, folder: Folder) -> Vec<Result<Record, String>> {
        let files = self.entries(folder).into_iter().filter(|(name, _)| name.ends_with(".json"));
        let record = |(name, _): (String, FileKind)| {
            let path = home("spool").join(folder.path()).join(&name);
            let bytes = read(&self.fs, &path, BYTES_MAX).map_err(|error| error.to_string())?;
            match classify(&bytes) {
                Content::Record(record) => Ok(*record),
                other => Err(format!("{folder} {name}: {other:?}")),
            }
        };
        files.map(record).collect()
    }

    /// Says what is wrong with what the world has come to, whatever was played; `tidy`: also what
    /// the next start removes.
    pub(super) fn faults(&self, tidy: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for record in self.records(Folder::CommandDone) {
            match record {
                Ok(record) => faults.extend(self.unfinished(&record).err()),
                Err(error) => faults.push(error),
            }
        }
        let scratch = self.fs.list(&home(SCRATCH)).unwrap_or_default();
        for entry in scratch.into_iter().filter(|_| tidy) {
            faults.push(format!("temporary left: {}", entry.name.display()));
        }
        if self.is_degraded() {
            faults.push("degraded though nothing fails".to_owned());
        }
        faults
    }

    /// Tells whether `status` says that the disk does not do what the runner asks.
    pub(super) fn is_degraded(&self) -> bool {
        self.fs.lock(&home(SCRATCH)).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Checks that the results of a finished run are stored and that each plugin got them.
    fn unfinished(&self, record: &Record) -> Result<(), String> {
        let id = &record.id;
        let (Some(document), Some(_)) = (&record.document, record.fetched) else {
            return if record.reason.is_some() {
                Ok(())
            } else {
                Err(format!("{id}: no document"))
            };
        };
        let bytes = read(&self.fs, &home(document), BYTES_MAX)
            .map_err(|error| format!("{id}: {document}: {error}"))?;
        let parsed: Value =
            serde_json::from_slice(&bytes).map_err(|error| format!("{id}: {document}: {error}"))?;
        let commands = parsed["commands"].as_array().map_or(0, Vec::len) as u64;
        let sent = record.summary.as_ref().map_or(u64::MAX, |summary| summary.sent);
        if commands != sent {
            return Err(format!("{id}: {commands} of {sent} commands are stored"));
        }
        let name = Path::new(document).file_name().unwrap();
        if self.fs.meta(&home("results").join(name)).is_err() {
            return Err(format!("{id}: results/{} is missing", name.display()));
        }
        for delivery in record.plugins.iter().filter(|d| d.state == DeliveryState::Delivered) {
            if !self.plugins.has_got(&delivery.plugin, id, &bytes) {
                return Err(format!("{id}: {} did not get the results", delivery.plugin));
            }
        }
        Ok(())
    }

    /// Returns the parts of results that were left behind, as faults.
    pub(super) fn parts(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.parts_in(&home(""), &mut faults);
        faults
    }

    fn parts_in(&self, folder: &Path, faults: &mut Vec<String>) {
        for entry in self.fs.list(folder).unwrap_or_default() {
            let path = folder.join(&entry.name);
            if entry.kind == FileKind::Folder {
                self.parts_in(&path, faults);
            } else if path.extension().is_some_and(|extension| extension == "part") {
                faults.push(format!("part left: {}", path.display()));
            }
        }
    }
}

/// Returns a path in the runner's directory.
pub(super) fn home(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}

/// Makes the letters that tell two runs of one second apart the same in all.
fn masked(name: &str) -> String {
    match name.rsplit_once("Z-") {
        Some((head, mark)) if mark.len() == 6 && !mark.contains('.') => {
            // Chance draws the mark, and the second is that of the claim: a later one where the
            // first attempt failed.
            let stem = head.rsplit_once('.').map_or(head, |(stem, _)| stem);
            format!("{stem}.CLAIMED-xxxxxx")
        }
        _ => name.to_owned(),
    }
}
