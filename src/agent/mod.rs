//! The agent: it is heard now and then, and runs what its host is asked.
//!
//! It trusts nobody: a command's action is checked for signatures and period here
//! again, as agents of a fleet do. Each operation is a child process; a module that
//! hangs is ended, and costs others nothing but one of [`WORKERS`] places.
//!
//! **Invariant.** A command that was taken is answered, unless the platform stops:
//! then it is given to the agent again after the restart.
//!
//! **Failure.** A temporary shortage of the host (descriptors, processes, memory, space) is not an answer:
//! the check or the operation is repeated until the action expires.

mod again;
pub(crate) mod child;
mod fault;
pub(crate) mod host;
mod limits;
pub(crate) mod module;
pub(crate) mod modules;
mod row;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use fault::{OperationError, Refused};

use child::Ended;
use host::Environment;
use modules::{ModuleError, ModuleResult, message};

use crate::chain::Chain;
use crate::clock::{Clock, elapsed};
use crate::data::{
    ActionRow, AgentRow, AgentStatus, CommandStatus, DataError, Id, Ids, NEVER_FINISHED, Odd, Store,
};
use crate::disk::{Disk, DiskError};
use crate::pgp::RsaNumbers;
use crate::platform::scheduler::Event;
use crate::platform::signers::Signers;
use crate::platform::view;
use crate::wake::Stop;

/// How many commands are run at once.
const WORKERS: usize = 4;

/// How often the agent looks at the clock.
const LOOK_SPAN: Duration = Duration::from_secs(1);

/// Returns whether a heartbeat is due after that at `last`: the period is over, or the clock was set
/// back.
fn is_due(last: Timestamp, now: Timestamp, period: Duration) -> bool {
    now < last || elapsed(last, now) >= period
}

/// A command that is to be run.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) command: Id,
    pub(crate) action: ActionRow,
}

/// A command that was run.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) command: Id,
    pub(crate) action: Id,
    pub(crate) status: CommandStatus,
    /// A result for each operation, as a JSON list.
    pub(crate) results: String,
}

/// What an operation asks for.
#[derive(Debug, Deserialize)]
struct Operation {
    #[serde(default)]
    module: String,
    parameters: Box<RawValue>,
    #[serde(default)]
    is_compressed: bool,
}

/// What the agent works with.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// The program whose `module NAME` runs a module.
    pub(crate) program: PathBuf,
    pub(crate) store: Arc<Store>,
    /// Those who may ask.
    pub(crate) signers: Arc<Signers>,
    /// What time it is.
    pub(crate) clock: Arc<dyn Clock>,
    /// How to look at the host.
    pub(crate) disk: Disk,
    /// How often the agent is heard.
    pub(crate) heartbeat: Duration,
    /// How long a module may run.
    pub(crate) module_timeout: Duration,
    /// Asked for when the platform stops.
    pub(crate) stop: Stop,
    /// Where errors are told.
    pub(crate) log: slog::Logger,
}

/// The agent of this host.
#[derive(Debug)]
pub(crate) struct Agent {
    threads: Vec<JoinHandle<()>>,
}

impl Agent {
    /// Registers the agent, then starts it: it runs what comes from `work` and tells `done`.
    pub(crate) fn start(
        tools: Tools,
        ids: &Ids,
        work: Receiver<Work>,
        done: &Sender<Event>,
    ) -> Result<Agent, AgentError> {
        let row = tools.register(ids)?;
        let mut threads = Vec::new();
        let work = Arc::new(Mutex::new(work));
        for number in 1..=WORKERS {
            let (tools, work, done) = (tools.clone(), Arc::clone(&work), done.clone());
            let thread = std::thread::Builder::new().name(format!("agent-{number}"));
            threads.push(thread.spawn(move || tools.work(&work, &done))?);
        }
        let thread = std::thread::Builder::new().name("heartbeat".to_owned());
        threads.push(thread.spawn(move || tools.beat(row))?);
        Ok(Agent { threads })
    }

    /// Waits until all its threads have ended, which they do after a stop when `work` ends.
    pub(crate) fn join(self) {
        for thread in self.threads {
            // A thread that broke down has said so; there is nothing to be had from it.
            thread.join().ok();
        }
    }
}

/// Why the agent cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    /// It cannot be registered.
    #[error("cannot register the agent")]
    Register(#[from] DataError),
    /// Its environment cannot be written.
    #[error("cannot describe this host")]
    Environment(#[from] serde_json::Error),
    /// The host cannot be looked at.
    #[error("cannot look at this host")]
    Host(#[from] DiskError),
    /// It has no thread.
    #[error("cannot start the agent's threads")]
    Thread(#[from] io::Error),
}

impl Tools {
    /// Registers the agent under the number that this host had before, if it had one.
    fn register(&self, ids: &Ids) -> Result<AgentRow, AgentError> {
        let (name, queueloc) = (host::name(&self.disk)?, host::place(&self.disk)?);
        let now = self.clock.now();
        let known = self.store.agent_at(&queueloc)?;
        let row = AgentRow {
            id: known.map_or_else(|| ids.next(), |known| known.id),
            name,
            queueloc,
            mode: "daemon".to_owned(),
            version: format!("standalone-{}", env!("CARGO_PKG_VERSION")),
            pid: std::process::id().into(),
            starttime: now,
            destructiontime: Some(NEVER_FINISHED),
            heartbeattime: now,
            refreshtime: now,
            status: AgentStatus::Online.as_str().to_owned(),
            environment: serde_json::to_string(&Environment::of_this_host(&self.disk)?)?,
            tags: "{}".to_owned(),
            loadername: String::new(),
            odd: Odd::default(),
        };
        self.store.upsert_agent(&row)?;
        slog::info!(self.log, "agent registered"; "agent" => row.id.number(), "name" => &row.name);
        Ok(row)
    }

    /// Sends heartbeats until a stop is asked for. The wall clock is looked at often: after a suspend it
    /// has jumped, and the agent would count as offline, so a heartbeat is sent at once.
    fn beat(&self, mut row: AgentRow) {
        while !self.stop.wait(self.heartbeat.min(LOOK_SPAN)) {
            let now = self.clock.now();
            if !is_due(row.heartbeattime, now, self.heartbeat) {
                continue;
            }
            let environment = Environment::of_this_host(&self.disk).map_err(AgentError::from);
            match environment.and_then(|found| Ok(serde_json::to_string(&found)?)) {
                Ok(environment) => (row.environment, row.refreshtime) = (environment, now),
                Err(error) => {
                    slog::error!(self.log, "host cannot be described"; "error" => %Chain(&error));
                }
            }
            let last = std::mem::replace(&mut row.heartbeattime, now);
            if let Err(error) = self.store.upsert_agent(&row) {
                slog::error!(self.log, "heartbeat lost"; "error" => %Chain(&error));
                // It is sent again, no later than after a jump.
                row.heartbeattime = last;
            }
        }
    }

    /// Runs commands until there are no more.
    fn work(&self, work: &Mutex<Receiver<Work>>, done: &Sender<Event>) {
        loop {
            let next = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(next) = next else { return };
            if self.stop.asked() {
                return;
            }
            if let Some(answer) = self.answer(&next)
                && done.send(Event::Done(answer)).is_err()
            {
                return;
            }
        }
    }

    /// Runs a command; `None` if a stop came first.
    fn answer(&self, work: &Work) -> Option<Done> {
        let end = work.action.expireafter;
        let checked = self.again(end, Refused::is_shortage, || self.check(&work.action))?;
        let (status, results) = match checked {
            Ok(()) => self.operate(&work.action)?,
            Err(refused) => {
                slog::warn!(self.log, "command refused"; "command" => work.command.number(),
                    "error" => %Chain(&refused));
                let result = ModuleResult::failed(Chain(&refused).to_string());
                (CommandStatus::Failed, vec![result])
            }
        };
        let results = serde_json::to_string(&results);
        let (status, results) = match results {
            Ok(results) => (status, results),
            Err(error) => {
                slog::error!(self.log, "results cannot be written"; "error" => %Chain(&error));
                (CommandStatus::Failed, "[]".to_owned())
            }
        };
        Some(Done { command: work.command, action: work.action.id, status, results })
    }

    /// Checks that an action may be run now: every signature, and the period.
    fn check(&self, row: &ActionRow) -> Result<(), Refused> {
        if row.expireafter < self.clock.now() {
            return Err(Refused::Expired);
        }
        let action = view::posted(row, &[])?;
        let signatures = action.signatures.as_deref().unwrap_or_default();
        if signatures.is_empty() {
            return Err(Refused::Unsigned);
        }
        let text = action.signed_text();
        for signature in signatures {
            // An earlier release of the API accepted short numbers; such actions are run.
            self.signers.who_signed(text.as_bytes(), signature, RsaNumbers::AnyLength)?;
        }
        Ok(())
    }

    /// Runs the operations of an action, one after the other; one that fails does not end it.
    fn operate(&self, action: &ActionRow) -> Option<(CommandStatus, Vec<ModuleResult>)> {
        let operations: Vec<Operation> = match serde_json::from_str(&action.operations) {
            Ok(operations) => operations,
            Err(error) => {
                let result = ModuleResult::failed(OperationError::from(error).to_string());
                return Some((CommandStatus::Failed, vec![result]));
            }
        };
        let (mut status, mut results) = (CommandStatus::Success, Vec::new());
        for operation in &operations {
            let end = action.expireafter;
            match self.again(end, OperationError::is_shortage, || self.run(operation, end))? {
                Ok(result) => results.push(result?),
                Err(error) => {
                    status = error.status();
                    results.push(ModuleResult::failed(Chain(&error).to_string()));
                }
            }
        }
        Some((status, results))
    }

    /// Runs one operation; `None` if a stop came first.
    fn run(
        &self,
        operation: &Operation,
        end: Timestamp,
    ) -> Result<Option<ModuleResult>, OperationError> {
        let name = operation.module.as_str();
        if !modules::is_available(name) {
            return Err(ModuleError::Unknown(name.to_owned()).into());
        }
        let parameters = message::unpack(&operation.parameters, operation.is_compressed)?;
        let line = message::write(&parameters)?;
        let span = self.module_timeout.min(elapsed(self.clock.now(), end));
        match child::run(&self.program, name, &line, span, &self.stop)? {
            Ended::Exited { status, output } if status.success() => {
                Ok(Some(serde_json::from_slice(&output)?))
            }
            Ended::Exited { status, .. } => Err(OperationError::Exit(status)),
            Ended::Aborted => Err(OperationError::Aborted),
            Ended::Killed => Err(OperationError::Killed),
            Ended::TimedOut => Err(OperationError::Timeout(span)),
            Ended::TooLong => Err(OperationError::TooLong),
            Ended::Stopped => Ok(None),
        }
    }
}

/// Returns what stands for the results of operations that have none: an empty one for each.
pub(crate) fn empty_results(operations: &str) -> Result<String, serde_json::Error> {
    let operations: Option<Vec<Box<RawValue>>> = serde_json::from_str(operations)?;
    let empty = ModuleResult { errors: Vec::new(), ..ModuleResult::failed(String::new()) };
    serde_json::to_string(&vec![empty; operations.map_or(0, |operations| operations.len())])
}
