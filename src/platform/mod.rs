//! The one-host platform: a MIG for people who have no servers.
//!
//! It speaks the API of the real one, keeps the same tables, has the scheduler's
//! spool and one agent, all in one process:
//!
//! ```text
//! client ──HTTP──▶ server ──▶ api ──▶ database ◀── scheduler ◀──▶ spool
//!                                                    │    ▲
//!                                                    ▼    │
//!                                                    agent ──▶ child process for each operation
//! ```
//!
//! **Invariants.** What was acknowledged is in the database. One platform uses a
//! spool, by its lock. No process of a module outlives the platform's stop.
//!
//! **Failure.** Killed anywhere, it goes on at the next start from database and
//! spool; a command that was being run is run again, if its action has not expired.

pub(crate) mod api;
pub(crate) mod config;
mod data_folder;
mod retention;
pub(crate) mod scheduler;
mod server;
pub(crate) mod shortage;
pub(crate) mod signers;
pub(crate) mod spool;
pub(crate) mod target;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod view;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use api::Api;
use config::StandaloneConfig;
pub(crate) use data_folder::Data;
use data_folder::SCRATCH;
pub(crate) use scheduler::ScheduleError;
use scheduler::{Event, Rules, Scheduler};
use server::Server;
use signers::Signers;
use spool::Spool;
pub(crate) use spool::SpoolError;

use crate::agent::{Agent, AgentError, Tools, Work, host};
use crate::clock::Clock;
use crate::data::{DataError, Ids};
use crate::disk::trust::{self, Distrust};
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, Lock, RealFs};
use crate::manager::Pulse;
use crate::pgp::{Fingerprint, ImportError, VerifyError};
use crate::wake::Stop;

/// Why a platform cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    /// The data folder cannot be used.
    #[error("cannot use the platform's data folder")]
    Disk(#[from] DiskError),
    /// Others can change where a link leads, or its target.
    #[error("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Distrusted {
        /// What they can change, and what to do.
        faults: Vec<Distrust>,
    },
    /// Another platform uses the data.
    #[error("another platform uses data folder {}", path.display())]
    Busy { path: PathBuf },
    /// The tables cannot be used.
    #[error("cannot use the platform's database")]
    Data(#[from] DataError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What a crash left cannot be mended.
    #[error("cannot go on from spool {}", path.display())]
    Recover { path: PathBuf, source: ScheduleError },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: choose another one with listen = … in [api]")]
    Listen { address: SocketAddr, source: io::Error },
    /// The agent cannot be started.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A thread cannot be started, or has broken down.
    #[error("cannot run the platform's {thread}")]
    Thread {
        /// What it is for.
        thread: &'static str,
        source: io::Error,
    },
    /// GnuPG cannot be used.
    #[error("cannot use GnuPG with home {}", home.display())]
    Engine {
        /// The home of the investigators' keys.
        home: PathBuf,
        source: VerifyError,
    },
    /// Somebody with this key is known already.
    #[error("an investigator with the key {fingerprint} is there already")]
    Known { fingerprint: Fingerprint },
    /// A process of GnuPG does not end.
    #[error("cannot end what GnuPG has started for {}: gpgconf --homedir {} --kill all ends it", home.display(), home.display())]
    Keyring {
        /// The home of the keyring.
        home: PathBuf,
        source: io::Error,
    },
    /// The key cannot be used.
    #[error("cannot use the key of investigator {name}")]
    Key { name: String, source: ImportError },
}

/// The threads that do the platform's work.
#[derive(Debug)]
struct Works {
    stop: Stop,
    agent: Agent,
    scheduler: JoinHandle<()>,
    events: Sender<Event>,
}

impl Works {
    /// Stops them: no more commands, no more modules.
    fn stop(self) -> Result<(), PlatformError> {
        // Modules are ended and their commands stay unanswered, so that they are run again.
        self.stop.ask();
        // A scheduler that cannot be told has ended already.
        self.events.send(Event::Stop).ok();
        let scheduled = self.scheduler.join();
        self.agent.join();
        scheduled.map_err(|_| broken("scheduler", io::Error::other("its thread broke down")))
    }
}

/// A platform that runs.
#[derive(Debug)]
pub(crate) struct Platform {
    address: SocketAddr,
    data: Data,
    server: Server,
    works: Works,
    _lock: Lock,
}

impl Platform {
    /// Starts a platform; `program` is the executable whose `module NAME` runs a module.
    pub(crate) fn start(
        config: &StandaloneConfig,
        program: PathBuf,
        clock: Arc<dyn Clock>,
        log: &slog::Logger,
    ) -> Result<Platform, PlatformError> {
        check_links(config)?;
        // The locks first: nothing is touched that another platform uses.
        let spool = Spool::open(Arc::new(RealFs), &config.spool)?;
        let data = Data::open(&config.data, config.postgres.as_ref())?;
        let lock = data.lock(&config.data)?;
        let ready = data.verifier().check_gnupg();
        ready.map_err(|source| PlatformError::Engine { home: data.home.clone(), source })?;
        let store = || Arc::clone(&data.store);
        let child = |stage: &'static str| log.new(slog::o!("stage" => stage));
        let signers = Arc::new(Signers::new(store(), data.verifier(), child("signers")));
        let ids = Arc::new(Ids::new(clock.now(), data.store.highest_id()?));
        let listener = listen(config.listen)?;
        let address = listener
            .local_addr()
            .map_err(|source| PlatformError::Listen { address: config.listen, source })?;
        if !address.ip().is_loopback() {
            slog::warn!(log, "the API can be reached from other hosts, in clear text"; "listen" => %address);
        }
        let place = host::place(&data.disk).map_err(AgentError::from)?;
        let (work, worker) = channel();
        let scheduler = Scheduler::new(
            spool,
            store(),
            Arc::clone(&ids),
            Arc::clone(&clock),
            rules(config, &place),
            work,
            child("scheduler"),
        );
        let stop = Stop::new();
        let scheduler = scheduler.stopped_by(stop.clone());
        scheduler
            .recover()
            .map_err(|source| PlatformError::Recover { path: config.spool.clone(), source })?;
        let tools = Tools {
            program,
            store: store(),
            signers: Arc::clone(&signers),
            clock: Arc::clone(&clock),
            disk: Disk::new(Arc::new(RealFs), config.data.join(SCRATCH), DAEMON_PREFIX),
            heartbeat: config.heartbeat,
            module_timeout: config.module_timeout,
            stop,
            log: child("agent"),
        };
        let works = set_to_work(scheduler, tools, &ids, worker)?;
        let base = format!("http://{address}");
        let api = Api { store: store(), signers, ids, clock, place, base, log: child("api") };
        let server = match Server::start(listener, api) {
            Ok(server) => server,
            Err(source) => {
                works.stop()?;
                return Err(broken("API", source));
            }
        };
        slog::info!(log, "platform started"; "listen" => %address);
        Ok(Platform { address, data, server, works, _lock: lock })
    }

    /// Returns where the API listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the API's URL, with the slash at its end that clients want.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/", self.address)
    }

    /// Returns what the platform keeps.
    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Lets a pulse show that the scheduler goes round, without which nothing else does.
    ///
    /// # Errors
    /// The scheduler has broken down.
    pub(crate) fn watched_by(&self, pulse: Pulse) -> Result<(), PlatformError> {
        let told = self.works.events.send(Event::Watched(pulse));
        told.map_err(|_| broken("scheduler", io::Error::other("its thread broke down")))
    }

    /// Stops the platform in order: no more requests, then no more work.
    pub(crate) fn stop(self) -> Result<(), PlatformError> {
        // First, because a request may take its time: no more steps of an action, no more modules.
        self.works.stop.ask();
        let served = self.server.stop().map_err(|source| broken("API", source));
        let worked = self.works.stop();
        // A process of GnuPG must not outlive the platform, whatever else failed.
        let ended = self.data.end_agents();
        worked?;
        served?;
        ended
    }
}

/// Refuses folders behind links that others can change.
fn check_links(config: &StandaloneConfig) -> Result<(), PlatformError> {
    let disk = Disk::new(Arc::new(RealFs), config.data.join(SCRATCH), DAEMON_PREFIX);
    let mut faults = disk.check_links(&config.data, trust::own_user())?;
    faults.extend(disk.check_links(&config.spool, trust::own_user())?);
    if faults.is_empty() { Ok(()) } else { Err(PlatformError::Distrusted { faults }) }
}

fn rules(config: &StandaloneConfig, place: &str) -> Rules {
    Rules {
        heartbeat: config.heartbeat,
        silence: config.silence,
        place: place.to_owned(),
        retention: config.retention,
    }
}

fn broken(thread: &'static str, source: io::Error) -> PlatformError {
    PlatformError::Thread { thread, source }
}

/// Takes the address, with port 0 a free one.
fn listen(address: SocketAddr) -> Result<TcpListener, PlatformError> {
    TcpListener::bind(address).map_err(|source| PlatformError::Listen { address, source })
}

/// Starts the agent, then the scheduler: the first action finds the agent registered.
fn set_to_work(
    scheduler: Scheduler,
    tools: Tools,
    ids: &Ids,
    work: Receiver<Work>,
) -> Result<Works, PlatformError> {
    let (events, inbox) = channel();
    let stop = tools.stop.clone();
    let agent = Agent::start(tools, ids, work, &events)?;
    let thread = std::thread::Builder::new().name("scheduler".to_owned());
    match thread.spawn(move || scheduler.run(&inbox)) {
        Ok(scheduler) => Ok(Works { stop, agent, scheduler, events }),
        Err(source) => {
            // The scheduler is gone and with it the agent's work.
            stop.ask();
            agent.join();
            Err(broken("scheduler", source))
        }
    }
}

#[cfg(test)]
mod tests;
