//! The agent's heartbeats.
//!
//! The agent reads the wall clock once a second. After a suspend the clock has jumped and the
//! scheduler would regard the agent as offline, so the agent sends a heartbeat immediately.

use std::time::Duration;

use jiff::Timestamp;

use super::host::{self, Environment};
use super::{AgentContext, AgentError};
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::relay::{AgentMessage, Heartbeat};

/// Interval at which the agent reads the clock.
const CLOCK_PERIOD: Duration = Duration::from_secs(1);

/// Returns whether a heartbeat is due after the one at `last`: the period has passed, or the clock
/// was set back.
fn is_due(last: Timestamp, now: Timestamp, period: Duration) -> bool {
    now < last || elapsed(last, now) >= period
}

impl AgentContext {
    /// Sends the heartbeat that registers the agent.
    pub(super) fn first_heartbeat(&self) -> Result<Heartbeat, AgentError> {
        let now = self.clock.now();
        let heartbeat = Heartbeat {
            name: host::name(&self.disk)?,
            queue: host::queue(&self.disk)?,
            mode: "daemon".to_owned(),
            version: format!("standalone-{}", env!("CARGO_PKG_VERSION")),
            pid: std::process::id(),
            started: now,
            sent: now,
            refreshed: now,
            environment: self.environment()?,
            tags: "{}".to_owned(),
        };
        self.relay.send(AgentMessage::Heartbeat(heartbeat.clone()))?;
        Ok(heartbeat)
    }

    /// Sends further heartbeats, with a fresh environment, until a stop.
    pub(super) fn send_heartbeats(&self, mut heartbeat: Heartbeat) {
        let mut is_failing = false;
        while !self.stop.wait(self.heartbeat_period.min(CLOCK_PERIOD)) {
            let now = self.clock.now();
            if !is_due(heartbeat.sent, now, self.heartbeat_period) {
                continue;
            }
            match self.environment() {
                Ok(environment) => {
                    (heartbeat.environment, heartbeat.refreshed) = (environment, now);
                    is_failing = false;
                }
                // Logged once until the host can be described again.
                Err(error) if !is_failing => {
                    slog::error!(self.log, "cannot describe host"; "error" => %Chain(&error));
                    is_failing = true;
                }
                Err(_) => {}
            }
            heartbeat.sent = now;
            if self.relay.send(AgentMessage::Heartbeat(heartbeat.clone())).is_err() {
                return;
            }
        }
    }

    fn environment(&self) -> Result<String, AgentError> {
        Ok(serde_json::to_string(&Environment::of_this_host(&self.disk)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeat_is_due_after_its_period_and_after_a_clock_jump() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (last, period) = (at("2026-11-22T12:00:00Z"), Duration::from_secs(30));
        for (now, expected) in [
            ("2026-11-22T12:00:29Z", false),
            ("2026-11-22T12:00:30Z", true),
            ("2026-11-22T13:00:00Z", true),
            ("2026-11-22T11:59:59Z", true),
        ] {
            assert_eq!(is_due(last, at(now), period), expected, "{now}");
        }
    }
}
