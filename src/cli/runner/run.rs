//! `run`: builds the daemon from the configuration and runs it.
//!
//! The order matters: the configuration is checked first, and who can change it, before anything
//! that it names is created or opened; then the spool is locked, so that a second runner changes
//! nothing; then the key is opened, before the daemon starts any work.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use slog::{Logger, crit, error, info, o, warn};

use super::installation::{self, Installation, machine_zone};
use super::{key, trusted};
use crate::action::Signer;
use crate::api::{Client, Credentials, HttpSettings, Route, SettingsError};
use crate::chain::Chain;
use crate::cli::failure::{Explain, Failure};
use crate::cli::workspace::as_user;
use crate::cli::{env, input, output};
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::config::logging::LogTarget;
use crate::config::runner::RunnerConfig;
use crate::daemon::workers::{Expand, WorkerContext};
use crate::daemon::{
    Awaited, Daemon, DaemonError, JobCalendar, Parts, Reopen, Settings, Standby, has_room,
};
use crate::disk::trust::{self, ROOT};
use crate::disk::{FolderLock, RealFs, check_folder};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::job::folders::Jobs;
use crate::logging::Log;
use crate::manager::Manager;
use crate::pgp::KeyError;
use crate::plugin::Plugins;
use crate::spool::{Spool, SpoolError};
use crate::stage::launch::RunDefaults;
use crate::wake::Stop;

/// Why the daemon must not run with this installation.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("another runner uses the jobs in {}: stop it first", path.display())]
    JobsLocked {
        /// The folder of all jobs.
        path: PathBuf,
    },
    /// The owner's runner could not use files that this user creates.
    #[error("the runner of {} runs as user {owner}: run `{} {command}`", directory.display(), as_user(*owner))]
    WrongUser { directory: PathBuf, owner: u32, command: String },
}

impl Explain for RunError {
    fn exit(&self) -> Exit {
        match self {
            RunError::JobsLocked { .. } => Exit::Locked,
            RunError::WrongUser { .. } => Exit::Permission,
        }
    }
}

impl Explain for DaemonError {
    fn exit(&self) -> Exit {
        match self {
            DaemonError::Spool { source } | DaemonError::Lost { source } => source.exit(),
            DaemonError::JobsHeld { .. } => Exit::Locked,
            DaemonError::Signals { .. } => Exit::System,
        }
    }
}

impl Explain for SettingsError {
    fn exit(&self) -> Exit {
        Exit::Config
    }
}

/// Run the daemon (default)
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  mig-runner run\n  mig-runner run --standby")]
pub(super) struct Run {
    /// Wait while another runner is running, then take over
    #[arg(long)]
    standby: bool,
}

impl Run {
    /// Runs the daemon until a signal stops it.
    pub(super) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        // First, because the log is a file that another user may have named.
        let arguments: &[&str] = if self.standby { &["run", "--standby"] } else { &["run"] };
        check_trust(installation, arguments)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = env::journal_stream();
        let logging = &installation.config.logging;
        let log = Log::start(logging, "mig-runner", journal.as_deref(), Arc::clone(&clock))?;
        let log = Arc::new(log);
        info!(log.root, "starting"; "version" => env!("CARGO_PKG_VERSION"),
        "config" => %installation.file.display(),
        "directory" => %installation.directory.display());
        let manager = Manager::at(env::manager(), &log.root);
        let built = if self.standby {
            stand_by(installation, &clock, &log, &manager)
        } else {
            build(installation, &clock, &log, Stop::new()).map(Some)
        };
        let ran = built.and_then(|daemon| match daemon {
            Some(daemon) => Ok(daemon.with_manager(manager).run()?),
            None => Ok(()),
        });
        if let Err(failure) = &ran
            && !matches!(logging.target, LogTarget::Stdout)
        {
            // The message goes to stderr; it must appear in the log as well.
            crit!(log.root, "cannot run"; "error" => Chain(failure.error()));
        }
        ran.map(|()| Exit::Done)
    }
}

/// Waits until no other runner is running, then builds the daemon. Returns `None` if a signal ended
/// the wait.
fn stand_by(
    installation: &Installation,
    clock: &Arc<dyn Clock>,
    log: &Arc<Log>,
    manager: &Manager,
) -> Result<Option<Daemon>, Failure> {
    // Report now what would make the takeover fail. A key that is unavailable because of a
    // temporary shortage may be available by then.
    let settings = Some(&installation.config.client);
    let (client, path) = trusted_client(installation)?;
    if let Err(failure) = key::open(settings, &client, &path)
        && !matches!(failure.downcast_ref(), Some(KeyError::Shortage { .. }))
    {
        return Err(failure);
    }
    let stop = Stop::new();
    let standby = Standby::begin(reopen(Arc::clone(log)), stop.clone())?;
    let mut watchdog = manager.watchdog();
    loop {
        // A signal that arrives from now on stops the daemon that is built here.
        let failure = match build(installation, clock, log, stop.clone()) {
            Err(failure) => failure,
            built => return built.map(Some),
        };
        let locked = match (failure.downcast_ref(), failure.downcast_ref()) {
            (Some(SpoolError::Locked { .. }), _) => installation.layout.lock(),
            (_, Some(RunError::JobsLocked { path })) => FolderLock::file(path),
            _ => return Err(failure),
        };
        info!(log.root, "standing by: another runner is running"; "path" => %locked.display());
        // Waiting is the normal state of a standby, so the service counts as started.
        manager.ready("standing by: another runner is running");
        if standby.wait(locked, &mut watchdog)? == Awaited::Stopped {
            info!(log.root, "stopped");
            return Ok(None);
        }
        info!(log.root, "the other runner has ended; taking over");
    }
}

/// Locks the spool and the jobs, opens the key and builds the daemon.
fn build(
    installation: &Installation,
    clock: &Arc<dyn Clock>,
    log: &Arc<Log>,
    stop: Stop,
) -> Result<Daemon, Failure> {
    let root = &log.root;
    // Again: a standby may have waited for a long time.
    check_trust(installation, &["run"])?;
    for folder in [installation.layout.root(), &installation.runners(), &installation.plugins()] {
        installation.workspace.make_folder(folder)?;
    }
    let spool = Spool::open(Arc::new(RealFs), installation.layout.root(), root)?;
    let jobs = lock_jobs(installation, &spool)?;
    let (client, path) = trusted_client(installation)?;
    let signer = open_key(installation, &spool, (&client, &path), clock, root)?;
    let api = connect(installation, &client, &signer, clock, root)?;
    if let Some(exposure) = api.exposure() {
        warn!(root, "traffic with the API is not protected";
            "url" => &client.api.url, "reason" => %exposure);
        output::message(exposure);
    }
    let context = WorkerContext {
        api: Arc::new(api.stopped_by(stop.clone())),
        signer,
        expand: expand(client),
        plugins: Arc::new(Plugins::new(installation.plugins())),
        disk: spool.disk().clone(),
        directory: installation.directory.clone(),
        spool: spool.layout().clone(),
        page_size: installation.config.client.page_size,
        pages: installation.config.client.pages,
        clock: Arc::clone(clock),
        stop,
    };
    let parts = Parts {
        settings: engine_settings(&installation.config, installation.directory.clone()),
        calendar: calendar(installation, &spool, root),
        spool,
        clock: Arc::clone(clock),
        log: root.clone(),
    };
    let daemon = Daemon::new(parts, context, reopen(Arc::clone(log))).with_jobs_lock(jobs);
    Ok(match &installation.config.metrics {
        Some(path) => daemon.with_metrics(path.clone()),
        None => daemon,
    })
}

/// Reads the client configuration, after checking that no other user can change what it names.
fn trusted_client(installation: &Installation) -> Result<(ClientConfig, PathBuf), Failure> {
    let settings = &installation.config.client;
    let (client, path) = installation::client(Some(settings))?;
    let paths = trusted::client_paths(settings, &client, &path)?;
    trusted::check(installation, &paths, trust::own_user())?;
    Ok((client, path))
}

/// Opens the key, or, while the disk is full, returns a keyring that opens it later.
fn open_key(
    installation: &Installation,
    spool: &Spool,
    (client, path): (&ClientConfig, &Path),
    clock: &Arc<dyn Clock>,
    log: &Logger,
) -> Result<Arc<dyn Signer>, Failure> {
    let settings = Some(&installation.config.client);
    let failure = match key::open(settings, client, path) {
        Ok(keyring) => {
            info!(log, "found key"; "key" => keyring.fingerprint());
            let keyring = Arc::new(keyring.held(Arc::clone(clock), log.clone()));
            keyring.unlock_in_background();
            return Ok(keyring);
        }
        Err(failure) => failure,
    };
    match failure.downcast_ref() {
        // The runner's own files may have filled the disk, and only a running runner removes them.
        Some(KeyError::Shortage { .. }) if is_full(spool) => {
            error!(log, "cannot use the key yet; removing expired files first";
                "error" => Chain(failure.error()));
            let (clock, log) = (Arc::clone(clock), log.clone());
            Ok(Arc::new(key::later(settings, client, path, clock, log)?))
        }
        _ => Err(failure),
    }
}

/// Returns whether the disk of the spool is known to be full.
fn is_full(spool: &Spool) -> bool {
    spool.disk().free_space(spool.layout().root()).is_ok_and(|space| !has_room(space))
}

/// Refuses to run as another user than the installation's, or with files and folders that other users
/// can change, before anything is created.
fn check_trust(installation: &Installation, arguments: &[&str]) -> Result<(), Failure> {
    check_user(installation, arguments)?;
    installation.workspace.check_exposure()?;
    trusted::check(installation, &trusted::installation_paths(installation), trust::own_user())?;
    let metrics = installation.config.metrics.as_deref();
    let fault = metrics.map_or(Ok(None), check_folder)?;
    input::refuse(fault.into_iter().collect())
}

/// Refuses to run as a user other than the owner of the installation, before anything is created.
/// `arguments` are what the user typed, without the configuration.
fn check_user(installation: &Installation, arguments: &[&str]) -> Result<(), Failure> {
    let (owner, user) = (installation.owner()?, trust::own_user());
    // Files of root may be meant for another user; if that user cannot use them, opening fails.
    if owner == user || owner == ROOT {
        return Ok(());
    }
    let command = Program::Runner.command_here(arguments);
    let directory = installation.directory.clone();
    Err(RunError::WrongUser { directory, owner, command }.into())
}

/// Locks the jobs: another runner with a different spool would launch every slot a second time.
fn lock_jobs(installation: &Installation, spool: &Spool) -> Result<FolderLock, Failure> {
    let (disk, runners) = (spool.disk(), installation.runners());
    FolderLock::acquire(disk, &runners).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => RunError::JobsLocked { path: runners }.into(),
        _ => error.into(),
    })
}

/// Returns the API client.
pub(super) fn connect(
    installation: &Installation,
    client: &ClientConfig,
    signer: &Arc<dyn Signer>,
    clock: &Arc<dyn Clock>,
    log: &Logger,
) -> Result<Client, Failure> {
    let credentials = match &client.gpg.api_key {
        Some(key) => Credentials::ApiKey(key.duplicate()),
        None => Credentials::Signer(Arc::clone(signer)),
    };
    let settings = &installation.config.client;
    let http = HttpSettings::read(&client.api, settings, credentials, env::proxies())?;
    let api = Client::new(http, Arc::clone(clock), log.new(o!("part" => "api")))?;
    if let Route::Through(proxy) = api.route() {
        info!(log, "using a proxy"; "proxy" => &proxy.shown, "variable" => proxy.variable);
    }
    Ok(api)
}

fn calendar(installation: &Installation, spool: &Spool, log: &Logger) -> JobCalendar {
    let (zone, unknown) = machine_zone();
    if let Some(error) = unknown {
        warn!(log, "cannot find the system time zone; using UTC for schedules without a timezone"; "error" => Chain(&error));
    }
    let jobs = Jobs::new(spool.disk().clone(), installation.runners(), trust::own_user(), zone);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    JobCalendar::new(jobs, host)
}

fn engine_settings(config: &RunnerConfig, directory: PathBuf) -> Settings {
    let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    Settings {
        directory,
        check_span: config.check_span,
        settle: config.client.settle,
        fetch_giveup: config.client.giveup,
        delivery_giveup: config.plugins.giveup,
        defaults: defaults(config),
        parallel: count(config.client.parallel),
        plugins: count(config.plugins.parallel),
        retention: config.retention,
    }
}

/// Returns the settings for runs whose job does not override them.
pub(super) fn defaults(config: &RunnerConfig) -> RunDefaults {
    let client = &config.client;
    RunDefaults::new(client.delay_results, client.early_results, config.plugins.timeout)
}

fn expand(client: ClientConfig) -> Expand {
    Box::new(move |target| {
        let expanded = client.expand(target);
        (expanded != target).then(|| expanded.to_owned())
    })
}

fn reopen(log: Arc<Log>) -> Reopen {
    Reopen(Box::new(move || {
        if let Err(error) = log.reopen() {
            error!(log.root, "cannot reopen the log"; "error" => Chain(&error));
        }
    }))
}
