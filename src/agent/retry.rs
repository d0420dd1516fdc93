//! Repeats an attempt that failed because of a temporary shortage of the host.

use std::error::Error;
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;

use super::AgentContext;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::exit::Exit;

/// Delay before the first repetition; it doubles with each further one.
const DELAY_MIN: Duration = Duration::from_millis(100);
/// Maximum delay between repetitions.
const DELAY_MAX: Duration = Duration::from_secs(5);
/// Minimum time that is left for a repetition. A shorter one would often be killed at its time limit,
/// which would hide the shortage.
const ATTEMPT_MIN: Duration = Duration::from_secs(1);
/// Exit status of a program that the system started but whose libraries it could not load.
const NOT_LOADED: i32 = 127;

/// Returns whether a module's exit status means that the host lacked a resource.
pub(super) fn is_shortage_status(status: ExitStatus) -> bool {
    let shortages = [Exit::System, Exit::Io, Exit::Locked].map(|exit| i32::from(exit.number()));
    status.code().is_some_and(|code| code == NOT_LOADED || shortages.contains(&code))
}

impl AgentContext {
    /// Repeats `attempt` while it fails because of a shortage, until `end`, and then returns its
    /// last error. Returns `None` if the agent stops first.
    pub(super) fn retry_until<T, E: Error + 'static>(
        &self,
        end: Timestamp,
        is_shortage: fn(&E) -> bool,
        mut attempt: impl FnMut() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let mut delay = DELAY_MIN;
        loop {
            let error = match attempt() {
                Err(error) if is_shortage(&error) => error,
                ended => return Some(ended),
            };
            if delay == DELAY_MIN {
                slog::warn!(self.log, "host lacks resources; retrying"; "error" => %Chain(&error));
            }
            let left = elapsed(self.clock.now(), end);
            if self.stop.wait(delay.min(left)) {
                return None;
            }
            if left <= delay.saturating_add(ATTEMPT_MIN) {
                return Some(Err(error));
            }
            delay = delay.saturating_mul(2).min(DELAY_MAX);
        }
    }
}
