//! The MIG platform of one host: API, scheduler, database and spool in one process.
//!
//! It has the API and the tables of the original, and a spool like that of the original's
//! scheduler. It sends commands to agents, and receives their heartbeats and answers, through the
//! [`relay`](crate::relay). The program that starts the platform connects an agent to it.
//!
//! ```text
//! client ──HTTP──▶ server ──▶ api ──▶ database ◀── scheduler ◀──▶ spool
//!                                                    │    ▲
//!                                           commands ▼    │ heartbeats, answers
//!                                                    relay
//! ```
//!
//! **Invariants.** Everything that the API has acknowledged is in the database. The lock on the
//! spool keeps a second platform away from it.
//!
//! **Failure.** A platform that was killed at any point resumes at its next start from database and
//! spool. A command that an agent was running is sent again, unless its action has expired.

mod admit;
mod agents;
pub(crate) mod api;
pub(crate) mod config;
mod data_folder;
mod error;
mod retention;
pub(crate) mod scheduler;
mod server;
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

use api::{Api, HostNames, Repeats};
use config::StandaloneConfig;
pub(crate) use data_folder::Data;
use data_folder::SCRATCH;
pub(crate) use error::PlatformError;
use scheduler::{Event, Scheduler, SchedulerSettings};
use server::Server;
use signers::Signers;
use spool::Spool;
pub(crate) use spool::SpoolError;

use crate::clock::Clock;
use crate::data::Ids;
use crate::disk::trust;
use crate::disk::trusted_paths::faults;
use crate::disk::{DAEMON_PREFIX, Disk, FolderLock, RealFs};
use crate::manager::Watchdog;
use crate::relay::{ActionVerifier, CommandSender, Inbox};
use crate::wake::Stop;

/// A platform that holds its locks and its address, but serves nothing yet.
#[derive(Debug)]
pub(crate) struct OpenPlatform {
    data: Data,
    lock: FolderLock,
    spool: Spool,
    spool_path: PathBuf,
    settings: SchedulerSettings,
    signers: Arc<Signers>,
    ids: Arc<Ids>,
    clock: Arc<dyn Clock>,
    local_queue: String,
    hosts: HostNames,
    listener: TcpListener,
    address: SocketAddr,
    /// The scheduler's inbox: both ends, until the scheduler runs.
    events: (Sender<Event>, Receiver<Event>),
    stop: Stop,
    log: slog::Logger,
}

impl OpenPlatform {
    /// Opens and locks the platform that `config` describes. `local_queue` is the queue of the
    /// agent on this host.
    pub(crate) fn open(
        config: &StandaloneConfig,
        local_queue: String,
        clock: Arc<dyn Clock>,
        log: &slog::Logger,
    ) -> Result<OpenPlatform, PlatformError> {
        check_trust(config)?;
        // The locks first: nothing is changed that another platform uses.
        let spool = Spool::open(Arc::new(RealFs), &config.spool)?;
        let data = Data::open(&config.data, config.postgres.as_ref())?;
        let lock = data.lock(&config.data)?;
        let ready = data.verifier().check_gnupg();
        ready.map_err(|source| PlatformError::Engine { home: data.home.clone(), source })?;
        data.verifier().remove_all()?;
        let signers_log = log.new(slog::o!("stage" => "signers"));
        let signers = Signers::new(Arc::clone(&data.store), data.verifier(), signers_log);
        let ids = Ids::new(clock.now(), data.store.highest_id()?);
        let (listener, address) = listen(config.listen)?;
        if !address.ip().is_loopback() {
            slog::warn!(log, "API is reachable from other hosts, without encryption"; "listen" => %address);
        }
        Ok(OpenPlatform {
            data,
            lock,
            spool,
            spool_path: config.spool.clone(),
            settings: SchedulerSettings {
                heartbeat_period: config.heartbeat_period,
                offline_after: config.offline_after,
                retention: config.retention,
            },
            signers: Arc::new(signers),
            ids: Arc::new(ids),
            clock,
            local_queue,
            hosts: config.hosts.clone(),
            listener,
            address,
            events: channel(),
            stop: Stop::new(),
            log: log.clone(),
        })
    }

    /// Returns the inbox to which a relay delivers what agents send.
    pub(crate) fn inbox(&self) -> Arc<dyn Inbox> {
        Arc::new(self.events.0.clone())
    }

    /// Returns the verifier of actions, which uses the keys of the platform's investigators.
    pub(crate) fn verifier(&self) -> Arc<dyn ActionVerifier> {
        Arc::clone(&self.signers) as Arc<dyn ActionVerifier>
    }

    /// Returns the flag that is set when the platform stops.
    pub(crate) fn stop_flag(&self) -> Stop {
        self.stop.clone()
    }

    /// Starts the scheduler, which sends its commands to `commands`, and the API. Agents whose
    /// first heartbeat is already in the inbox are registered first, so that the first action finds
    /// them.
    pub(crate) fn start(self, commands: Box<dyn CommandSender>) -> Result<Platform, PlatformError> {
        let (store, log) = (Arc::clone(&self.data.store), self.log);
        let child = |stage: &'static str| log.new(slog::o!("stage" => stage));
        let mut scheduler = Scheduler::new(
            self.spool,
            Arc::clone(&store),
            Arc::clone(&self.ids),
            Arc::clone(&self.clock),
            self.settings,
            commands,
            child("scheduler"),
        );
        scheduler.stop_on(self.stop.clone());
        scheduler.remove_keys_of(Arc::clone(&self.signers));
        scheduler
            .recover()
            .map_err(|source| PlatformError::Recover { path: self.spool_path, source })?;
        let (sender, events) = self.events;
        scheduler.register_agents(&events).map_err(PlatformError::Register)?;
        let api = Api {
            store,
            signers: self.signers,
            ids: self.ids,
            clock: self.clock,
            local_queue: self.local_queue,
            base: format!("http://{}", self.address),
            hosts: self.hosts,
            repeats: Repeats::default(),
            log: child("api"),
        };
        let scheduler = SchedulerThread::start(scheduler, sender, events, self.stop)?;
        let server = match Server::start(self.listener, api) {
            Ok(server) => server,
            Err(source) => {
                scheduler.stop()?;
                return Err(broken("API", source));
            }
        };
        slog::info!(log, "platform started"; "listen" => %self.address);
        Ok(Platform { address: self.address, data: self.data, server, scheduler, _lock: self.lock })
    }
}

/// The thread in which the scheduler runs.
#[derive(Debug)]
struct SchedulerThread {
    stop: Stop,
    thread: JoinHandle<()>,
    events: Sender<Event>,
}

impl SchedulerThread {
    fn start(
        scheduler: Scheduler,
        sender: Sender<Event>,
        events: Receiver<Event>,
        stop: Stop,
    ) -> Result<SchedulerThread, PlatformError> {
        let thread = std::thread::Builder::new()
            .name("scheduler".to_owned())
            .spawn(move || scheduler.run(&events))
            .map_err(|source| broken("scheduler", source))?;
        Ok(SchedulerThread { stop, thread, events: sender })
    }

    /// Sets the stop flag, and waits until the scheduler has saved the answers that have arrived.
    fn stop(self) -> Result<(), PlatformError> {
        self.stop.request();
        // Sending fails only if the scheduler has ended already.
        self.events.send(Event::Stop).ok();
        self.thread.join().map_err(|_| broken("scheduler", io::Error::other("its thread panicked")))
    }
}

/// A running platform.
#[derive(Debug)]
pub(crate) struct Platform {
    address: SocketAddr,
    data: Data,
    server: Server,
    scheduler: SchedulerThread,
    _lock: FolderLock,
}

impl Platform {
    /// Returns the address on which the API listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the API's URL, with the final slash that clients expect.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/api/v1/", self.address)
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    /// Lets the scheduler feed the service manager's watchdog: nothing works without the scheduler.
    ///
    /// # Errors
    /// The scheduler's thread has panicked.
    pub(crate) fn watched_by(&self, watchdog: Watchdog) -> Result<(), PlatformError> {
        let sent = self.scheduler.events.send(Event::Watched(watchdog));
        sent.map_err(|_| broken("scheduler", io::Error::other("its thread panicked")))
    }

    /// Stops the API, then the scheduler. Calls `join_agent` when no more commands are sent, and
    /// ends GnuPG's processes after that, because the agent uses them.
    pub(crate) fn stop(self, join_agent: impl FnOnce()) -> Result<(), PlatformError> {
        // Set before the API is stopped, which may take as long as a request does: the scheduler
        // begins no more steps, and the agent kills its modules. Their commands stay unanswered,
        // and are sent again after the next start.
        self.scheduler.stop.request();
        let served = self.server.stop().map_err(|source| broken("API", source));
        let scheduled = self.scheduler.stop();
        join_agent();
        // No process of GnuPG may outlive the platform, whatever else has failed.
        let ended = self.data.end_agents();
        scheduled?;
        served?;
        ended
    }
}

/// Rejects folders that other users can change.
fn check_trust(config: &StandaloneConfig) -> Result<(), PlatformError> {
    let disk = Disk::new(Arc::new(RealFs), config.data.join(SCRATCH), DAEMON_PREFIX);
    let faults = faults(&disk, &config.trusted_paths(), trust::own_user())?;
    if faults.is_empty() { Ok(()) } else { Err(PlatformError::Distrusted { faults }) }
}

fn broken(thread: &'static str, source: io::Error) -> PlatformError {
    PlatformError::Thread { thread, source }
}

/// Binds the address; port 0 selects a free port.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), PlatformError> {
    let failed = |source| PlatformError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
