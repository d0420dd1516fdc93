//! `run`: the platform, until a signal stops it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::cli::env;
use crate::cli::failure::Failure;
use crate::cli::installation::Text;
use crate::clock::{Clock, SystemClock};
use crate::config::logging::{LogFormat, LogTarget, LoggingConfig};
use crate::disk::{COMMAND_PREFIX, Disk, RealFs};
use crate::exit::Exit;
use crate::logging::Log;
use crate::manager::Manager;
use crate::platform::Platform;
use crate::platform::config::{PATH, StandaloneConfig};

/// The longest configuration that is read.
const CONFIG_BYTES_MAX: u64 = 1024 * 1024;

/// Run the platform: what happens without a command, too
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Run {}

impl Run {
    /// Runs the platform that is configured in `file` until it is told to stop.
    ///
    /// # Errors
    /// It could not begin, or could not stop in order.
    pub(super) fn run(&self, file: &Path) -> Result<Exit, Failure> {
        let config = read(file)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let log = Log::start(
            &logging(LogTarget::Stdout),
            "mig-standalone",
            env::journal_stream().as_deref(),
            Arc::clone(&clock),
        )?;
        // Before anything is started, so that no signal is missed.
        let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(deaf)?;
        let program = super::program()?;
        let platform = Platform::start(&config, program, clock, &log.root)?;
        let manager = Manager::at(env::manager(), &log.root);
        platform.watched_by(manager.pulse())?;
        manager.ready(&format!("the API is at {}", platform.url()));
        signals.forever().next();
        // A second signal ends the process at once, as it does without a handler.
        for signal in [SIGTERM, SIGINT] {
            let asked = Arc::new(AtomicBool::new(true));
            signal_hook::flag::register_conditional_default(signal, asked).map_err(deaf)?;
        }
        slog::info!(log.root, "platform stops");
        manager.stopping();
        platform.stop()?;
        Ok(Exit::Done)
    }
}

/// Returns how a platform keeps its log.
pub(super) fn logging(target: LogTarget) -> LoggingConfig {
    LoggingConfig { target, level: slog::Level::Info, format: LogFormat::Text }
}

fn deaf(source: io::Error) -> Failure {
    Failure::System { doing: "wait for signals", source }
}

fn read(file: &Path) -> Result<StandaloneConfig, Failure> {
    let text = match Text::read(file, CONFIG_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && file == Path::new(PATH) => {
            return Err(Failure::NoPlatform { path: file.to_owned() });
        }
        read => read.map_err(Failure::ConfigFile)?,
    };
    let mut config = StandaloneConfig::parse(&text.bytes, file)?;
    if let Some(server) = config.postgres {
        if server.password.is_some() {
            text.check_hidden()?;
        }
        let disk = Disk::new(Arc::new(RealFs), config.data.clone(), COMMAND_PREFIX);
        config.postgres = Some(server.with_credentials(&disk, &env::postgres_credentials())?);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_of_a_configuration_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("standalone.cfg");
        let failure = read(&file).unwrap_err();
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.lines()[0].contains("standalone.cfg"), "{failure}");
        #[expect(clippy::disallowed_methods, reason = "what a person would write")]
        std::fs::write(&file, "[api]\nlisten = x\nport = 1\n").unwrap();
        let failure = read(&file).unwrap_err();
        assert_eq!((failure.exit(), failure.lines().len()), (Exit::Config, 2), "{failure}");
    }

    #[test]
    fn who_has_no_platform_yet_is_told_how_to_get_one() {
        let failure = Failure::NoPlatform { path: PATH.into() };
        assert_eq!(failure.exit(), Exit::Config);
        assert!(failure.hints().iter().any(|hint| hint.contains("mig-standalone init")));
    }
}
