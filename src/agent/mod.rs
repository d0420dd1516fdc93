//! The agent: runs the modules that commands request on its host, and sends heartbeats.
//!
//! It knows the scheduler only through the [`relay`](crate::relay). It trusts no command: like the
//! agents of a fleet, it checks the signatures and the period of each action itself. Each operation
//! runs in a child process. A module that hangs is killed at its time limit, and until then
//! occupies only one of [`WORKERS`] workers.
//!
//! **Invariant.** The agent answers every command that it has received, unless it is stopped first.
//! The scheduler sends an unanswered command again after its restart.
//!
//! **Failure.** A temporary shortage of the host (descriptors, processes, memory, space) is never
//! an answer: the agent repeats the check or the operation until the action expires.

pub(crate) mod child;
mod error;
mod heartbeat;
pub(crate) mod host;
pub(crate) mod module;
pub(crate) mod modules;
mod results;
mod retry;
mod worker;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::Clock;
use crate::disk::{Disk, DiskError};
use crate::relay::{ActionVerifier, AgentRelay, RelayClosed};
use crate::wake::Stop;

/// Number of commands that run at the same time.
const WORKERS: u64 = 4;

/// What the agent receives from the program that starts it.
#[derive(Debug)]
pub(crate) struct AgentContext {
    /// The program whose `module NAME` runs a module.
    pub(crate) program: PathBuf,
    pub(crate) relay: Arc<dyn AgentRelay>,
    pub(crate) verifier: Arc<dyn ActionVerifier>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Access to the files that describe the host.
    pub(crate) disk: Disk,
    /// Time between two heartbeats.
    pub(crate) heartbeat_period: Duration,
    /// Time limit of one module.
    pub(crate) module_timeout: Duration,
    /// Kills running modules and ends the agent's threads.
    pub(crate) stop: Stop,
    pub(crate) log: slog::Logger,
}

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    threads: Vec<JoinHandle<()>>,
}

impl Agent {
    /// Sends the first heartbeat and starts the threads that send the others and run commands.
    pub(crate) fn start(context: AgentContext) -> Result<Agent, AgentError> {
        let first = context.first_heartbeat()?;
        let context = Arc::new(context);
        let mut threads = Vec::new();
        for number in 1..=WORKERS {
            let context = Arc::clone(&context);
            let thread = std::thread::Builder::new().name(format!("agent-{number}"));
            threads.push(thread.spawn(move || context.run_commands())?);
        }
        let thread = std::thread::Builder::new().name("heartbeat".to_owned());
        threads.push(thread.spawn(move || context.send_heartbeats(first))?);
        Ok(Agent { threads })
    }

    /// Waits until all threads have ended, as they do after a stop once the scheduler's end of the
    /// relay is closed.
    pub(crate) fn join(self) {
        for thread in self.threads {
            // A thread that panicked has already printed why.
            thread.join().ok();
        }
    }
}

/// Why the agent cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentError {
    #[error("cannot register the agent")]
    Register(#[from] RelayClosed),
    #[error("cannot describe this host")]
    Environment(#[from] serde_json::Error),
    #[error("cannot read the properties of this host")]
    Host(#[from] DiskError),
    #[error("cannot start the agent's threads")]
    Thread(#[from] io::Error),
}
