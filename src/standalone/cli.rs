//! The command line of `mig-standalone`.
//!
//! Answers go to `out`, messages to `err`, each as `mig-standalone: …`; the log of a
//! platform that runs goes to the standard output.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::child;
use super::config::{self, StandaloneConfig};
use super::module::{self, RunError};
use super::modules::Surroundings;
use super::{Data, Platform, PlatformError, SpoolError};
use crate::chain::Chain;
use crate::clock::{Clock, SystemClock};
use crate::config::fault::ConfigError;
use crate::config::logging::{LogFormat, LogTarget, LoggingConfig};
use crate::data::Permissions;
use crate::disk::{Disk, DiskError, HAND_PREFIX, RealFs};
use crate::exit::Exit;
use crate::logging::{Log, LogError};

/// The most that is read of a configuration or a key.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What `init` writes.
const CONFIG: &str = "\
# A MIG platform for one host. Relative paths begin at this file's folder.

[api]
    listen = 127.0.0.1:1664

[directories]
    spool = spool
    data = data

[agent]
    heartbeatfreq = 30s
    moduletimeout = 5m
";

/// A MIG platform for one host.
#[derive(Debug, Parser)]
#[command(name = "mig-standalone", version, disable_version_flag = true)]
struct Arguments {
    /// The configuration
    #[arg(short, value_name = "FILE", default_value = config::PATH, global = true)]
    config: PathBuf,
    /// Print the version
    #[arg(short = 'V', action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the platform; this is the default
    Run,
    /// Lay out a platform in an empty folder
    Init {
        /// The folder
        folder: PathBuf,
        /// Let the owner of this armored public key ask and run actions
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// What that investigator is called
        #[arg(long, default_value = "runner", requires = "key")]
        name: String,
    },
    /// Run a module: one message on the standard input, one result on the standard output
    Module {
        /// The module
        name: String,
    },
}

/// Why a command has failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("cannot read configuration: name another one with -c, or make one with init")]
    NoConfig(#[source] DiskError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot begin the log")]
    Log(#[from] LogError),
    #[error("cannot wait for signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error("{} is not empty: name a folder that is, or that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot lay out a platform")]
    Create(#[source] DiskError),
    #[error("cannot read the key")]
    Key(#[source] DiskError),
    #[error(transparent)]
    Module(#[from] RunError),
    #[error("cannot write the answer")]
    Write(#[source] io::Error),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Failure::NoConfig(_) | Failure::Key(_) => Exit::NoInput,
            Failure::Config(_) => Exit::Config,
            Failure::Platform(
                PlatformError::Busy { .. } | PlatformError::Spool(SpoolError::Locked { .. }),
            ) => Exit::Locked,
            Failure::Platform(PlatformError::Known { .. } | PlatformError::Key { .. }) => {
                Exit::Data
            }
            Failure::Log(_) | Failure::Signals(_) | Failure::Platform(_) => Exit::System,
            Failure::NotEmpty(_) | Failure::Create(_) => Exit::CannotCreate,
            Failure::Module(_) => Exit::Data,
            Failure::Write(_) => Exit::Io,
        }
    }
}

/// Runs what this process's command line asks for.
pub(crate) fn start() -> Exit {
    // Not locked: the log of a platform that runs goes to the standard output as well.
    let (mut input, mut out, mut err) = (io::stdin().lock(), io::stdout(), io::stderr());
    match std::env::current_exe() {
        Ok(program) => main(std::env::args_os(), program, &mut input, &mut out, &mut err),
        Err(error) => {
            // There is nowhere left to tell that standard error is closed.
            writeln!(err, "mig-standalone: cannot find its own executable: {error}").ok();
            Exit::System
        }
    }
}

/// Runs what the command line asks for; `program` is the executable itself.
pub(crate) fn main(
    arguments: impl IntoIterator<Item = OsString>,
    program: PathBuf,
    input: &mut dyn Read,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, out, err),
    };
    let done = match arguments.command.unwrap_or(Verb::Run) {
        Verb::Run => run(&arguments.config, program),
        Verb::Init { folder, key, name } => {
            init(&folder, key.as_deref().map(|key| (name.as_str(), key)), &SystemClock)
                .and_then(|text| out.write_all(text.as_bytes()).map_err(Failure::Write))
        }
        Verb::Module { name } => {
            let around = Surroundings { clock: &SystemClock, path: &search_path() };
            module::run(&name, input, out, around).map_err(Failure::from)
        }
    };
    let Err(failure) = done else { return Exit::Done };
    let lines = match &failure {
        Failure::Config(error) => error.lines().collect(),
        failure => vec![Chain(failure).to_string()],
    };
    for line in lines {
        // There is nowhere left to tell that standard error is closed.
        writeln!(err, "mig-standalone: {line}").ok();
    }
    failure.exit()
}

/// Returns where the host's programs are.
#[expect(clippy::disallowed_methods, reason = "the one place here that reads the environment")]
fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| child::PATH.into())
}

/// Tells what clap has to say: a help that was asked for, or what is wrong.
fn usage(error: &clap::Error, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let text = error.render();
    // A closed output is no failure of a help.
    if error.use_stderr() {
        write!(err, "{text}").ok();
        Exit::Usage
    } else {
        write!(out, "{text}").ok();
        Exit::Done
    }
}

fn read(file: &Path) -> Result<StandaloneConfig, Failure> {
    let text = disk(file).read(file, FILE_BYTES_MAX).map_err(Failure::NoConfig)?;
    Ok(StandaloneConfig::parse(&text, file)?)
}

/// Returns a disk that only reads, or makes folders.
fn disk(folder: &Path) -> Disk {
    Disk::new(Arc::new(RealFs), folder.to_owned(), HAND_PREFIX)
}

fn run(file: &Path, program: PathBuf) -> Result<(), Failure> {
    let config = read(file)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let logging = LoggingConfig {
        target: LogTarget::Stdout,
        level: slog::Level::Info,
        format: LogFormat::Text,
    };
    let log = Log::start(&logging, "mig-standalone", None, Arc::clone(&clock))?;
    // Before anything is started, so that no signal is missed.
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(Failure::Signals)?;
    let platform = Platform::start(&config, program, clock, &log.root)?;
    signals.forever().next();
    // A second signal ends the process at once, as it does without a handler.
    for signal in [SIGTERM, SIGINT] {
        let again = signal_hook::flag::register_conditional_default(
            signal,
            Arc::new(std::sync::atomic::AtomicBool::new(true)),
        );
        again.map_err(Failure::Signals)?;
    }
    slog::info!(log.root, "platform stops");
    Ok(platform.stop()?)
}

/// Lays out a platform; returns what to do next.
fn init(folder: &Path, key: Option<(&str, &Path)>, clock: &dyn Clock) -> Result<String, Failure> {
    let disk = Disk::new(Arc::new(RealFs), folder.join("data/.tmp"), HAND_PREFIX);
    // Read first, so that a wrong name leaves nothing behind.
    let key = match key {
        Some((name, file)) => Some((name, disk.read(file, FILE_BYTES_MAX).map_err(Failure::Key)?)),
        None => None,
    };
    disk.make_folders(folder).map_err(Failure::Create)?;
    if !disk.list(folder).map_err(Failure::Create)?.is_empty() {
        return Err(Failure::NotEmpty(folder.to_owned()));
    }
    let data = Data::open(&folder.join("data"))?;
    let file = folder.join("standalone.cfg");
    disk.create(&file, CONFIG.as_bytes()).map_err(Failure::Create)?;
    let mut text = String::new();
    if let Some((name, armored)) = key {
        let fingerprint = data.add_investigator(name, &armored, Permissions::RUNNER, clock)?;
        text.push_str(&format!("{name} may run actions with the key {}\n", fingerprint.as_str()));
    }
    text.push_str(&format!("start it: mig-standalone -c {}\n", file.display()));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns exit status, stdout and stderr.
    fn mig_standalone(arguments: &[&str], input: &str) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let arguments = ["mig-standalone"].iter().chain(arguments).map(OsString::from);
        let exit = main(arguments, PathBuf::new(), &mut input.as_bytes(), &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn what_init_lays_out_can_be_started_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("mig");
        let path = root.to_str().unwrap();
        let (exit, out, err) = mig_standalone(&["init", path], "");
        assert_eq!((exit, err.as_str()), (Exit::Done, ""));
        assert_eq!(out, format!("start it: mig-standalone -c {path}/standalone.cfg\n"));
        let config = read(&root.join("standalone.cfg")).unwrap();
        assert_eq!((config.spool, config.data), (root.join("spool"), root.join("data")));
        let disk = disk(&root);
        for private in ["", "data", "data/gnupg", "data/mig.db", "standalone.cfg"] {
            let meta = disk.find(&root.join(private)).unwrap().unwrap();
            assert_eq!(meta.mode & 0o077, 0, "{private}");
        }
        let (exit, _, err) = mig_standalone(&["init", path], "");
        assert_eq!(exit, Exit::CannotCreate);
        assert!(err.starts_with("mig-standalone: ") && err.contains("is not empty"), "{err}");
    }

    #[test]
    fn a_key_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (root, key) = (folder.path().join("mig"), folder.path().join("key"));
        disk(folder.path()).create(&key, b"no key").unwrap();
        let arguments = ["init", root.to_str().unwrap(), "--key", key.to_str().unwrap()];
        let (exit, _, err) = mig_standalone(&arguments, "");
        assert_eq!(exit, Exit::Data, "{err}");
    }

    #[test]
    fn faults_of_a_configuration_are_told_one_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("standalone.cfg");
        let path = file.to_str().unwrap();
        let (exit, _, err) = mig_standalone(&["-c", path], "");
        assert_eq!(exit, Exit::NoInput);
        assert!(err.contains("init"), "{err}");
        disk(folder.path()).create(&file, b"[api]\nlisten = x\nport = 1\n").unwrap();
        let (exit, _, err) = mig_standalone(&["-c", path, "run"], "");
        assert_eq!((exit, err.lines().count()), (Exit::Config, 2), "{err}");
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        let (exit, _, err) = mig_standalone(&["module", "nosuch"], "");
        assert_eq!(
            (exit, err.as_str()),
            (Exit::Data, "mig-standalone: module 'nosuch' is not available\n")
        );
    }

    #[test]
    fn help_and_version_need_nothing() {
        let (exit, out, _) = mig_standalone(&["-V"], "");
        assert_eq!(
            (exit, out),
            (Exit::Done, format!("mig-standalone {}\n", env!("CARGO_PKG_VERSION")))
        );
        assert_eq!(mig_standalone(&["--help"], "").0, Exit::Done);
        assert_eq!(mig_standalone(&["--nosuch"], "").0, Exit::Usage);
    }
}
