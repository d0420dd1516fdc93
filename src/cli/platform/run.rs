//! `run`: runs the platform until a signal stops it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::standalone::Standalone;
use crate::cli::failure::{Explain, Failure, SystemError};
use crate::cli::input::{self, InputError, InputFile};
use crate::cli::workspace::Workspace;
use crate::cli::{env, program};
use crate::clock::{Clock, SystemClock};
use crate::config::logging::{LogFormat, LogTarget, LoggingConfig};
use crate::disk::trust;
use crate::disk::trusted_paths::Content;
use crate::exit::Exit;
use crate::invocation::Program;
use crate::logging::Log;
use crate::manager::Manager;
use crate::pgp;
use crate::platform::config::{PATH, StandaloneConfig};

/// Size limit of the configuration, in bytes.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
#[error("there is no configuration at {}", path.display())]
struct Unconfigured {
    path: PathBuf,
}

impl Explain for Unconfigured {
    fn exit(&self) -> Exit {
        Exit::Config
    }

    fn hints(&self) -> Vec<String> {
        program::first_steps(Program::Standalone, "platform")
    }
}

/// Run the platform (default)
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Example:\n  mig-standalone run -c /srv/mig/standalone.cfg")]
pub(super) struct Run {}

impl Run {
    /// Runs the platform that `file` configures until a signal stops it.
    pub(super) fn run(&self, file: &Path) -> Result<Exit, Failure> {
        let config = read_trusted(file)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Log::start(
            &logging_config(LogTarget::Stdout),
            "mig-standalone",
            env::journal_stream().as_deref(),
            Arc::clone(&clock),
        )?;
        // Before anything is started, so that no signal is missed.
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(no_signals)?;
        let program = program::own_executable()?;
        let platform = Standalone::start(&config, program, clock, &log.root)?;
        let manager = Manager::at(env::manager(), &log.root);
        platform.watched_by(manager.watchdog())?;
        manager.ready(&format!("the API is at {}", platform.url()));
        signals.forever().next();
        // A second signal ends the process at once, as it does without a handler.
        for signal in [SIGTERM, SIGINT] {
            let is_set = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_default(signal, is_set).map_err(no_signals)?;
        }
        slog::info!(log.root, "stopping");
        manager.stopping();
        // A signature that is being checked may take longer than the stop: its request fails now.
        pgp::end_workers();
        platform.stop()?;
        Ok(Exit::Done)
    }
}

/// Returns the logging settings of a platform.
pub(super) fn logging_config(target: LogTarget) -> LoggingConfig {
    LoggingConfig { target, level: slog::Level::Info, format: LogFormat::Text }
}

fn no_signals(source: io::Error) -> SystemError {
    SystemError { doing: "wait for signals", source }
}

/// Reads a configuration that only this process's user and root can change, and creates the folders
/// that it names.
fn read_trusted(file: &Path) -> Result<StandaloneConfig, Failure> {
    let (mut config, text) = read(file)?;
    let workspace = Workspace::enter_unchanged(&[&config.data, &config.spool])?;
    let has_password = config.postgres.as_ref().is_some_and(|server| server.password.is_some());
    let content = if has_password { Content::Secret } else { Content::Public };
    text.check_trust(content, trust::own_user())?;
    workspace.make_folder(&config.data)?;
    workspace.make_folder(&config.spool)?;
    if let Some(server) = config.postgres {
        config.postgres = Some(input::with_credentials(server)?);
    }
    Ok(config)
}

fn read(file: &Path) -> Result<(StandaloneConfig, InputFile), Failure> {
    let text = match InputFile::read(file, CONFIG_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && file == Path::new(PATH) => {
            return Err(Unconfigured { path: file.to_owned() }.into());
        }
        read => read.map_err(InputError::Config)?,
    };
    Ok((StandaloneConfig::parse(&text.bytes, file)?, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_configuration_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("standalone.cfg");
        let failure = read(&file).err().unwrap();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.lines()[0].contains("standalone.cfg"), "{failure}");
        #[expect(clippy::disallowed_methods, reason = "tests write a configuration directly")]
        std::fs::write(&file, "[api]\nlisten = x\nport = 1\n").unwrap();
        let failure = read(&file).err().unwrap();
        assert_eq!((failure.exit(), failure.lines().len()), (Exit::Config, 2), "{failure}");
    }

    #[test]
    fn missing_default_configuration_suggests_init() {
        let failure = Failure::from(Unconfigured { path: PATH.into() });
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.hints().iter().any(|hint| hint.contains("mig-standalone init")));
    }
}
