//! `run`: the parts of the daemon, put together from the configuration.
//!
//! The order is that of what may be wrong: the configuration first, the spool's
//! lock next, so that a second runner touches nothing, and the key before the
//! daemon begins to promise anything.

use std::path::PathBuf;
use std::sync::Arc;

use slog::{Logger, crit, error, info, o, warn};

use super::failure::Failure;
use super::installation::{Installation, machine_zone};
use super::output;
use super::{env, installation, key};
use crate::action::Signer;
use crate::api::{Client, Credentials, HttpSettings, Route};
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::config::client::ClientConfig;
use crate::config::logging::LogTarget;
use crate::config::runner::RunnerConfig;
use crate::daemon::workers::{Expand, WorkerContext};
use crate::daemon::{Awaited, Calendar, Daemon, Parts, Reopen, Settings, Standby, has_room};
use crate::disk::trust;
use crate::disk::{PathLock, RealFs};
use crate::exit::Exit;
use crate::invocation::Program;
use crate::job::scan::Jobs;
use crate::logging::Log;
use crate::manager::Manager;
use crate::pgp::KeyError;
use crate::plugin::Plugins;
use crate::spool::{Spool, SpoolError};
use crate::stage::launch::Defaults;
use crate::wake::Stop;

/// The user id of root.
const ROOT: u32 = 0;

/// Run the daemon: what happens without a command, too
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Examples:\n  mig-runner run\n  mig-runner run --standby")]
pub(crate) struct Run {
    /// Wait while another runner works here, then take over
    #[arg(long)]
    standby: bool,
}

impl Run {
    /// Runs the daemon until it is told to stop.
    ///
    /// # Errors
    /// It could not begin.
    pub(crate) fn run(&self, installation: &Installation) -> Result<Exit, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let journal = env::journal_stream();
        let logging = &installation.config.logging;
        let log = Log::start(logging, "mig-runner", journal.as_deref(), Arc::clone(&clock))?;
        let log = Arc::new(log);
        info!(log.root, "starting"; "version" => env!("CARGO_PKG_VERSION"),
        "config" => %installation.file.display(),
        "directory" => %installation.directory.display());
        let manager = Manager::at(env::manager(), &log.root);
        let begun = if self.standby {
            take_over(installation, &clock, &log, &manager)
        } else {
            begin(installation, &clock, &log, Stop::new()).map(Some)
        };
        let ran = begun.and_then(|begun| match begun {
            Some(daemon) => Ok(daemon.managed(manager).run()?),
            None => Ok(()),
        });
        if let Err(failure) = &ran
            && !matches!(logging.target, LogTarget::Stdout)
        {
            // The message goes to stderr; who only reads the log must find it too.
            crit!(log.root, "cannot run"; "error" => Chain(failure));
        }
        ran.map(|()| Exit::Done)
    }
}

/// As [`begin`], once no other runner is there any more; nothing if a signal came first.
fn take_over(
    installation: &Installation,
    clock: &Arc<dyn Clock>,
    log: &Arc<Log>,
    manager: &Manager,
) -> Result<Option<Daemon>, Failure> {
    check_user(installation, &["run", "--standby"])?;
    // What would be in the way when it counts is told now.
    let settings = Some(&installation.config.client);
    let (client, path) = installation::client(settings)?;
    match key::open(settings, &client, &path) {
        // It may pass until it counts.
        Ok(_) | Err(Failure::Key(KeyError::Shortage { .. })) => {}
        Err(failure) => return Err(failure),
    }
    let stop = Stop::new();
    let standby = Standby::begin(reopen(Arc::clone(log)), stop.clone())?;
    let mut pulse = manager.pulse();
    loop {
        // A signal that comes from now on ends the daemon that is put together here.
        let held = match begin(installation, clock, log, stop.clone()) {
            Err(Failure::Spool(SpoolError::Locked { .. })) => installation.layout.lock(),
            Err(Failure::JobsHeld { path }) => path,
            begun => return begun.map(Some),
        };
        info!(log.root, "standing by: another runner works"; "path" => %held.display());
        // To wait is its work, which it has begun.
        manager.ready("standing by: another runner works");
        if standby.wait(held, &mut pulse)? == Awaited::Stopped {
            info!(log.root, "stopped");
            return Ok(None);
        }
        info!(log.root, "the other runner is gone: taking over");
    }
}

/// Puts the daemon together.
fn begin(
    installation: &Installation,
    clock: &Arc<dyn Clock>,
    log: &Arc<Log>,
    stop: Stop,
) -> Result<Daemon, Failure> {
    let root = &log.root;
    check_user(installation, &["run"])?;
    let spool = Spool::open(Arc::new(RealFs), installation.layout.root(), root)?;
    let faults = installation.distrust(trust::own_user())?;
    if !faults.is_empty() {
        return Err(Failure::Distrusted { faults });
    }
    let jobs = hold_jobs(installation, &spool)?;
    let settings = Some(&installation.config.client);
    let (client, path) = installation::client(settings)?;
    let signer: Arc<dyn Signer> = match key::open(settings, &client, &path) {
        Ok(keyring) => {
            info!(root, "key found"; "key" => keyring.fingerprint());
            Arc::new(keyring)
        }
        Err(Failure::Key(short @ KeyError::Shortage { .. })) if is_full(&spool) => {
            // The runner's own files may have filled the disk, and only a running runner removes them.
            error!(root, "cannot use the key yet, what is old is removed first";
                "error" => Chain(&short));
            Arc::new(key::later(settings, &client, &path)?)
        }
        Err(failure) => return Err(failure),
    };
    let api = connect(installation, &client, &signer, clock, root)?;
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
    let daemon = Daemon::new(parts, context, reopen(Arc::clone(log))).holding(jobs);
    Ok(match &installation.config.metrics {
        Some(path) => daemon.measured(path.clone()),
        None => daemon,
    })
}

/// Returns whether the disk of the spool has no room, as far as that is known.
fn is_full(spool: &Spool) -> bool {
    spool.disk().free_space(spool.layout().root()).is_ok_and(|space| !has_room(space))
}

/// Refuses to run as another user than the one whose installation it is, before anything is made;
/// `arguments` are what the user typed, without the configuration.
fn check_user(installation: &Installation, arguments: &[&str]) -> Result<(), Failure> {
    let (owner, user) = (installation.owner()?, trust::own_user());
    // What root made, others may be meant to use; whether they can is seen soon.
    if owner == user || owner == ROOT {
        return Ok(());
    }
    let command = Program::Runner.command_here(arguments);
    Err(Failure::WrongUser { directory: installation.directory.clone(), owner, command })
}

/// Makes the folders of jobs and plugins if they are missing, and holds the jobs for this runner:
/// another one with a spool of its own would launch every slot a second time.
fn hold_jobs(installation: &Installation, spool: &Spool) -> Result<PathLock, Failure> {
    let (disk, runners) = (spool.disk(), installation.runners());
    disk.make_folders(&runners)?;
    disk.make_folders(&installation.plugins())?;
    PathLock::acquire(disk, &runners).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => Failure::JobsHeld { path: runners },
        _ => Failure::Disk(error),
    })
}

/// Returns the client of the API, after saying aloud what is not safe about it.
pub(crate) fn connect(
    installation: &Installation,
    client: &ClientConfig,
    signer: &Arc<dyn Signer>,
    clock: &Arc<dyn Clock>,
    log: &Logger,
) -> Result<Client, Failure> {
    if client.api.skip_verify && !is_clear_text(&client.api.url) {
        let text = "certificates are not checked: whoever is in between can read and change everything (skipverifycert)";
        warn!(log, "certificates are not checked"; "url" => &client.api.url);
        output::message(text);
    }
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

/// Returns whether the API is asked without TLS, so that there are no certificates to check.
fn is_clear_text(url: &str) -> bool {
    url.trim().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"))
}

fn calendar(installation: &Installation, spool: &Spool, log: &Logger) -> Calendar {
    let (zone, unknown) = machine_zone();
    if let Some(error) = unknown {
        warn!(log, "schedules without a timezone are taken as UTC"; "error" => Chain(&error));
    }
    let jobs = Jobs::new(spool.disk().clone(), installation.runners(), trust::own_user(), zone);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Calendar::new(jobs, host)
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

/// Returns what holds for runs unless their job says otherwise.
pub(crate) fn defaults(config: &RunnerConfig) -> Defaults {
    let client = &config.client;
    Defaults::new(client.delay_results, client.early_results, config.plugins.timeout)
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
