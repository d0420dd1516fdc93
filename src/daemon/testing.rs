//! A daemon in a temporary folder, with a platform that does what a test says.
#![expect(clippy::disallowed_methods, reason = "tests do by hand what people do")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;
use serde_json::value::RawValue;
use slog::{Discard, Logger, o};

use super::calendar::Calendar;
use super::engine::Engine;
use super::workers::{Bench, Workers};
use super::{Event, Parts, Settings};
use crate::action::sign::testing::FixedSigner;
use crate::action::{Action, Signature};
use crate::api::{Api, ApiError, Dashboard, Found, Next, Page, Posted, Search, Seen};
use crate::clock::testing::TestClock;
use crate::config::duration::Keep;
use crate::config::runner::RetentionSettings;
use crate::disk::{Disk, RealFs, guard};
use crate::job::scan::Jobs;
use crate::names::{ActionId, RunId};
use crate::plugin::Plugins;
use crate::spool::{Family, Folder, Record, Spool};
use crate::stage::launch::Defaults;
use crate::wake::Stop;

/// How long a test waits for a worker.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the platform does with the next POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Takes it, and says so.
    Accept,
    /// Takes it, and the answer is lost.
    Lose,
    /// Does not take it, and the connection breaks.
    Drop,
    /// Cannot be reached.
    Away,
    /// Refuses it for good.
    Refuse,
    /// Calls its period over.
    CallLate,
}

/// A platform in memory.
#[derive(Debug, Default)]
pub(crate) struct Platform {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    moods: VecDeque<Mood>,
    actions: Vec<(ActionId, String, Vec<Signature>)>,
    posts: usize,
    agents: u64,
    status: String,
    strange: bool,
    hidden: Vec<u64>,
    offsets: Vec<u64>,
}

impl Platform {
    /// Says what happens to the next POSTs; after them all are accepted.
    pub(crate) fn expect(&self, moods: &[Mood]) {
        self.state.lock().unwrap().moods.extend(moods);
    }

    /// Sets how many agents answer each action, and whether they have.
    pub(crate) fn answer(&self, agents: u64, completed: bool) {
        let mut state = self.state.lock().unwrap();
        state.agents = agents;
        state.status = if completed { "completed" } else { "inflight" }.to_owned();
    }

    /// Sets how the platform calls each action from now on.
    pub(crate) fn call(&self, status: &str) {
        self.state.lock().unwrap().status = status.to_owned();
    }

    /// Says whether the commands are those of another action.
    pub(crate) fn confuse(&self, strange: bool) {
        self.state.lock().unwrap().strange = strange;
    }

    /// Says for each of the next pages which agent's command it leaves out.
    pub(crate) fn hide(&self, agents: &[u64]) {
        self.state.lock().unwrap().hidden = agents.to_vec();
    }

    /// Returns the offsets of the pages that were asked for.
    pub(crate) fn offsets(&self) -> Vec<u64> {
        self.state.lock().unwrap().offsets.clone()
    }

    /// Returns the names of the actions that the platform has.
    pub(crate) fn actions(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state
            .actions
            .iter()
            .map(|(_, text, _)| Action::parse(text.as_bytes()).unwrap().name)
            .collect()
    }

    /// Returns the actions that the platform has, as they were posted.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.state.lock().unwrap().actions.iter().map(|(_, text, _)| text.clone()).collect()
    }

    /// Returns how often something was posted.
    pub(crate) fn posts(&self) -> usize {
        self.state.lock().unwrap().posts
    }
}

fn broken() -> ApiError {
    ApiError::FormTooLong { bytes: 0, limit: 0 }
}

impl Api for Platform {
    fn post(&self, action_json: &str, signatures: &[Signature]) -> Posted {
        let mut state = self.state.lock().unwrap();
        state.posts += 1;
        let mood = state.moods.pop_front().unwrap_or(Mood::Accept);
        if matches!(mood, Mood::Accept | Mood::Lose) {
            let id = ActionId(1000 + state.actions.len() as u64);
            state.actions.push((id, action_json.to_owned(), signatures.to_vec()));
        }
        match mood {
            Mood::Accept => {
                let (id, text, _) = state.actions.last().unwrap();
                let action = RawValue::from_string(text.clone()).unwrap();
                Posted::Accepted { id: *id, action }
            }
            Mood::Lose | Mood::Drop => Posted::Unknown { cause: broken() },
            Mood::Away => Posted::Refused { cause: broken(), next: Next::BackOffAll },
            Mood::Refuse => Posted::Refused { cause: broken(), next: Next::Invalid },
            Mood::CallLate => Posted::Refused { cause: broken(), next: Next::DateAnew },
        }
    }

    fn find(&self, search: &Search<'_>) -> Result<Found, ApiError> {
        let state = self.state.lock().unwrap();
        let found = state.actions.iter().find(|(id, _, signatures)| {
            !search.taken.contains(id) && signatures.iter().any(|s| search.signatures.contains(s))
        });
        Ok(match found {
            Some((id, text, _)) => {
                Found::Action { id: *id, action: RawValue::from_string(text.clone()).unwrap() }
            }
            None => Found::None,
        })
    }

    fn action(&self, id: ActionId) -> Result<Option<Seen>, ApiError> {
        let state = self.state.lock().unwrap();
        let is_there = state.actions.iter().any(|(other, ..)| *other == id);
        Ok(is_there.then(|| Seen { status: state.status.clone() }))
    }

    fn commands(
        &self,
        id: ActionId,
        offset: u64,
        limit: u32,
        sink: &mut dyn FnMut(&RawValue) -> std::io::Result<()>,
    ) -> Result<Page, ApiError> {
        let mut state = self.state.lock().unwrap();
        state.offsets.push(offset);
        let hidden = if state.hidden.is_empty() { None } else { Some(state.hidden.remove(0)) };
        let (_, text, _) = state.actions.iter().find(|(other, ..)| *other == id).unwrap();
        let mut name = Action::parse(text.as_bytes()).unwrap().name;
        if state.strange {
            name = "another".to_owned();
        }
        let last = state.agents.min(offset + u64::from(limit));
        for agent in (offset..last).filter(|agent| Some(*agent) != hidden) {
            let command = json!({"id": 7000 + agent, "action": {"name": name, "counters": {"sent": state.agents}},
                "agent": {"name": format!("agent{agent}")}, "status": "success",
                "results": [{"foundanything": true, "success": true, "elements": {}, "errors": null}]});
            let taken = sink(&RawValue::from_string(command.to_string()).unwrap());
            taken.map_err(|_| broken())?;
        }
        let items = last.saturating_sub(offset);
        Ok(Page { items, sent: Some(state.agents).filter(|_| items > 0) })
    }

    fn dashboard(&self) -> Result<Dashboard, ApiError> {
        Ok(Dashboard { agents_online: Some(self.state.lock().unwrap().agents) })
    }

    fn skew(&self) -> Option<jiff::SignedDuration> {
        None
    }
}

/// A runner's directory, its engine, and the clock that both follow.
pub(crate) struct Rig {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) platform: Arc<Platform>,
    /// How long the next engine keeps what is finished.
    pub(crate) retention: RetentionSettings,
    sender: Option<Sender<Event>>,
    engine: Option<(Engine, Receiver<Event>)>,
}

impl Rig {
    /// Returns a rig whose clock shows `now`, with an empty directory and no engine yet.
    pub(crate) fn new(now: &str) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        for name in ["runners", "plugins"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let clock = Arc::new(TestClock::new(now.parse().unwrap()));
        let keep = Keep::All;
        let retention = RetentionSettings { done: keep, invalid: keep, results: keep };
        let platform = Arc::default();
        Rig { folder, clock, platform, retention, sender: None, engine: None }
    }

    /// Returns the path of a part of the directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts a job into the directory.
    pub(crate) fn job(&self, name: &str, config: &str) {
        let folder = self.path("runners").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        write(&folder.join("entity.cfg"), &format!("[configuration]\n{config}\n"));
        let action = r#"{"name":"x","target":"status='online'","operations":[{"module":"file","parameters":{}}]}"#;
        write(&folder.join("action.json"), action);
    }

    /// Puts a plugin into the directory: a shell script.
    pub(crate) fn plugin(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("plugins").join(name);
        write(&path, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// Starts an engine, or another one after a crash.
    pub(crate) fn start(&mut self) {
        self.engine = None;
        let log = Logger::root(Discard, o!());
        let root = self.path("spool");
        let spool = Spool::open(Arc::new(RealFs), &root, &log).unwrap();
        let disk: Disk = spool.disk().clone();
        let jobs = Jobs::new(disk.clone(), self.path("runners"), guard::user(), TimeZone::UTC);
        let settings = Settings {
            directory: self.folder.path().to_owned(),
            check_span: Duration::from_secs(30),
            settle: Duration::from_secs(120),
            fetch_giveup: Duration::from_secs(7 * 86_400),
            delivery_giveup: Duration::from_secs(5 * 86_400),
            defaults: Defaults::new(None, false, Duration::from_secs(10)),
            parallel: 2,
            plugins: 4,
            retention: self.retention,
        };
        let bench = Bench {
            api: Arc::clone(&self.platform) as Arc<dyn Api>,
            signer: Arc::new(FixedSigner("AAAA=BBBB")),
            expand: Box::new(|_| None),
            plugins: Plugins::new(self.path("plugins")),
            disk,
            directory: self.folder.path().to_owned(),
            page_size: 2,
            pages: 2,
            clock: self.clock.clone(),
            stop: Stop::new(),
        };
        let (sender, events) = channel();
        self.sender = Some(sender.clone());
        let workers = Workers::new(Arc::new(bench), sender, 2, 4);
        let calendar = Calendar::new(jobs, "host".to_owned());
        let parts = Parts { settings, spool, calendar, clock: self.clock.clone(), log };
        let mut engine = Engine::new(parts, workers);
        engine.begin().unwrap();
        self.engine = Some((engine, events));
    }

    /// Drops the engine as a crash would.
    pub(crate) fn crash(&mut self) {
        self.engine = None;
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
        use crate::clock::Clock;
        let now: Timestamp = crate::clock::after(self.clock.now(), Duration::from_secs(seconds));
        self.clock.set(now);
        self.settle();
    }

    fn settle(&mut self) {
        use crate::clock::Clock;
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        engine.look_everywhere(now);
        loop {
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
    }

    /// Lets the engine remove what is old, `running` after its start.
    pub(crate) fn prune(&mut self, running: Duration) {
        use crate::clock::Clock;
        let now = self.clock.now();
        let (engine, events) = self.engine.as_mut().unwrap();
        let sender = self.sender.as_ref().unwrap();
        while engine.prune(now, running, sender).is_none_or(|next| next <= now) {
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

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
