//! The platform and the agent of this host, connected in one process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use crate::agent::{Agent, AgentContext, AgentError, host};
use crate::clock::Clock;
use crate::disk::{DAEMON_PREFIX, Disk, RealFs};
use crate::manager::Pulse;
use crate::platform::config::StandaloneConfig;
use crate::platform::{Data, OpenPlatform, Platform, PlatformError};
use crate::relay::in_process;

/// Why the platform or its agent cannot be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandaloneError {
    #[error(transparent)]
    Platform(#[from] PlatformError),
    #[error(transparent)]
    Agent(#[from] AgentError),
}

/// A running platform with its agent.
#[derive(Debug)]
pub(crate) struct Standalone {
    platform: Platform,
    agent: Agent,
}

impl Standalone {
    /// Starts both; `program` is the executable whose `module NAME` runs a module. The agent starts
    /// first: its first heartbeat is waiting in the scheduler's inbox when the platform starts.
    pub(crate) fn start(
        config: &StandaloneConfig,
        program: PathBuf,
        clock: Arc<dyn Clock>,
        log: &slog::Logger,
    ) -> Result<Standalone, StandaloneError> {
        // The agent only reads, so its scratch folder is never created.
        let disk = Disk::new(Arc::new(RealFs), config.data.clone(), DAEMON_PREFIX);
        let queue = host::queue(&disk).map_err(AgentError::from)?;
        let platform = OpenPlatform::open(config, queue.clone(), Arc::clone(&clock), log)?;
        let (commands, relay) = in_process(queue, platform.inbox());
        let stop = platform.stop_flag();
        let agent = Agent::start(AgentContext {
            program,
            relay: Arc::new(relay),
            verifier: platform.verifier(),
            clock,
            disk,
            heartbeat_period: config.heartbeat_period,
            module_timeout: config.module_timeout,
            stop: stop.clone(),
            log: log.new(slog::o!("stage" => "agent")),
        })?;
        match platform.start(Box::new(commands)) {
            Ok(platform) => Ok(Standalone { platform, agent }),
            Err(error) => {
                // The scheduler's end of the relay is closed already, so the workers stop.
                stop.ask();
                agent.join();
                Err(error.into())
            }
        }
    }

    /// Returns the address on which the API listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.platform.address()
    }

    /// Returns the API's URL, with the final slash that clients expect.
    pub(crate) fn url(&self) -> String {
        self.platform.url()
    }

    pub(crate) fn data(&self) -> &Data {
        self.platform.data()
    }

    /// Lets the scheduler feed the service manager's watchdog.
    pub(crate) fn watched_by(&self, pulse: Pulse) -> Result<(), PlatformError> {
        self.platform.watched_by(pulse)
    }

    /// Stops the API, the scheduler and the agent, in this order.
    pub(crate) fn stop(self) -> Result<(), PlatformError> {
        let agent = self.agent;
        self.platform.stop(|| agent.join())
    }
}

#[cfg(test)]
mod tests;
