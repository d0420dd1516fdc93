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

mod agent;
mod api;
mod child;
pub(crate) mod cli;
pub(crate) mod config;
mod host;
mod module;
mod modules;
mod scheduler;
mod server;
mod signers;
mod spool;
mod target;
mod view;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

pub(crate) use agent::AgentError;
use agent::{Agent, Tools};
use api::Api;
use config::StandaloneConfig;
pub(crate) use scheduler::ScheduleError;
use scheduler::{Event, Scheduler};
use server::Server;
use signers::Signers;
use spool::Spool;
pub(crate) use spool::SpoolError;

use crate::clock::Clock;
use crate::data::{DataError, Ids, Permissions, Store};
use crate::disk::{DAEMON_PREFIX, Disk, DiskError, RealFs};
use crate::pgp::{Fingerprint, ImportError, Verifier};
use crate::wake::Stop;

/// Why a platform cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlatformError {
    /// The data folder cannot be used.
    #[error("cannot use the platform's data folder")]
    Disk(#[from] DiskError),
    /// The tables cannot be used.
    #[error("cannot use the platform's database")]
    Data(#[from] DataError),
    /// The spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What a crash left cannot be mended.
    #[error("cannot go on from spool {}", path.display())]
    Recover {
        /// The spool.
        path: PathBuf,
        /// Why.
        source: ScheduleError,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: choose another one with listen = … in [api]")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The agent cannot be started.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A thread cannot be started, or broke down.
    #[error("cannot run the platform's {thread}")]
    Thread {
        /// What it is for.
        thread: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Somebody with this key is known already.
    #[error("an investigator with the key {fingerprint} is there already")]
    Known {
        /// The key.
        fingerprint: Fingerprint,
    },
    /// The key cannot be used.
    #[error("cannot use the key of investigator {name}")]
    Key {
        /// Whose it is.
        name: String,
        /// Why.
        source: ImportError,
    },
}

/// What a platform keeps: its tables and its keyring.
#[derive(Debug)]
pub(crate) struct Data {
    store: Arc<Store>,
    home: PathBuf,
}

impl Data {
    /// Opens the data folder; makes it, private to its owner, if it is not there.
    pub(crate) fn open(folder: &Path) -> Result<Data, PlatformError> {
        let disk = Disk::new(Arc::new(RealFs), folder.join(".tmp"), DAEMON_PREFIX);
        let home = folder.join("gnupg");
        disk.make_folders(&folder.join(".tmp"))?;
        disk.make_folder(&home)?;
        let store = Arc::new(Store::open(&disk, &folder.join("mig.db"))?);
        Ok(Data { store, home })
    }

    /// Adds an investigator with an armored public key.
    pub(crate) fn add_investigator(
        &self,
        name: &str,
        armored: &[u8],
        permissions: Permissions,
        clock: &dyn Clock,
    ) -> Result<Fingerprint, PlatformError> {
        let fingerprint = self
            .verifier()
            .import(armored)
            .map_err(|source| PlatformError::Key { name: name.to_owned(), source })?;
        match self.store.insert_investigator(
            name,
            fingerprint.as_str(),
            armored,
            permissions,
            clock.now(),
        ) {
            Err(DataError::Duplicate { .. }) => Err(PlatformError::Known { fingerprint }),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(fingerprint),
        }
    }

    fn verifier(&self) -> Verifier {
        Verifier::new(&self.home)
    }
}

/// A platform that runs.
#[derive(Debug)]
pub(crate) struct Platform {
    address: SocketAddr,
    data: Data,
    stop: Stop,
    server: Server,
    agent: Agent,
    scheduler: JoinHandle<()>,
    events: Sender<Event>,
}

impl Platform {
    /// Starts a platform; `program` is the executable whose `module NAME` runs a module.
    pub(crate) fn start(
        config: &StandaloneConfig,
        program: PathBuf,
        clock: Arc<dyn Clock>,
        log: &slog::Logger,
    ) -> Result<Platform, PlatformError> {
        let child = |stage: &'static str| log.new(slog::o!("stage" => stage));
        // The lock first: nothing is touched that another platform uses.
        let spool = Spool::open(Arc::new(RealFs), &config.spool)?;
        let data = Data::open(&config.data)?;
        let signers = Signers::new(Arc::clone(&data.store), data.verifier(), child("signers"));
        let signers = Arc::new(signers);
        let ids = Arc::new(Ids::new(clock.now(), data.store.highest_id()?));
        let (work, worker) = channel();
        let (events, inbox) = channel();
        let scheduler = Scheduler::new(
            spool,
            Arc::clone(&data.store),
            Arc::clone(&ids),
            Arc::clone(&clock),
            config.heartbeat,
            work,
            child("scheduler"),
        );
        scheduler
            .recover()
            .map_err(|source| PlatformError::Recover { path: config.spool.clone(), source })?;
        let listen = |source| PlatformError::Listen { address: config.listen, source };
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        if !address.ip().is_loopback() {
            slog::warn!(log, "the API can be reached from other hosts, in clear text"; "listen" => %address);
        }
        let stop = Stop::new();
        let tools = Tools {
            program,
            store: Arc::clone(&data.store),
            signers: Arc::clone(&signers),
            clock: Arc::clone(&clock),
            disk: Disk::new(Arc::new(RealFs), config.data.join(".tmp"), DAEMON_PREFIX),
            heartbeat: config.heartbeat,
            module_timeout: config.module_timeout,
            stop: stop.clone(),
            log: child("agent"),
        };
        let agent = Agent::start(tools, &ids, worker, &events)?;
        let thread = |thread| move |source| PlatformError::Thread { thread, source };
        let scheduler = std::thread::Builder::new()
            .name("scheduler".to_owned())
            .spawn(move || scheduler.run(&inbox))
            .map_err(thread("scheduler"))?;
        let base = format!("http://{address}");
        let store = Arc::clone(&data.store);
        let api = Api { store, signers, ids, clock, base, log: child("api") };
        let server = Server::start(listener, api).map_err(thread("API"))?;
        slog::info!(log, "platform started"; "listen" => %address);
        Ok(Platform { address, data, stop, server, agent, scheduler, events })
    }

    /// Returns the API's URL, with the slash at its end that clients want.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/", self.address)
    }

    /// Returns what the platform keeps.
    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Stops the platform in order: no more requests, no more commands, no more modules.
    pub(crate) fn stop(self) -> Result<(), PlatformError> {
        let thread = |thread| move |source| PlatformError::Thread { thread, source };
        let served = self.server.stop().map_err(thread("API"));
        // Modules first: their agent then drops what it was doing.
        self.stop.ask();
        // The scheduler has ended already if it cannot be told.
        self.events.send(Event::Stop).ok();
        let scheduled = self.scheduler.join();
        self.agent.join();
        served?;
        scheduled.map_err(|_| thread("scheduler")(io::Error::other("its thread broke down")))
    }
}

#[cfg(test)]
mod tests;
