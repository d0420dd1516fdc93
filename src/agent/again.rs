//! Repeats an attempt that failed because of a temporary shortage.

use std::error::Error;
use std::process::ExitStatus;
use std::time::Duration;

use jiff::Timestamp;

use super::Tools;
use crate::chain::Chain;
use crate::clock::elapsed;
use crate::exit::Exit;

/// How long to wait before the first repetition.
const FIRST_SPAN: Duration = Duration::from_millis(100);
/// How long to wait at most.
const LAST_SPAN: Duration = Duration::from_secs(5);
/// How a program ends that the system could start but not load.
const NOT_LOADED: i32 = 127;

/// Returns whether a module ended in a way that says that the host was short of something.
pub(super) fn is_for_shortage(status: ExitStatus) -> bool {
    let shortages = [Exit::System, Exit::Io, Exit::Locked].map(|exit| i32::from(exit.number()));
    status.code().is_some_and(|code| code == NOT_LOADED || shortages.contains(&code))
}

impl Tools {
    /// Repeats `attempt` while it fails for a shortage, until `end`; the last error counts then.
    /// `None` if a stop comes first.
    pub(super) fn again<T, E: Error + 'static>(
        &self,
        end: Timestamp,
        is_shortage: fn(&E) -> bool,
        mut attempt: impl FnMut() -> Result<T, E>,
    ) -> Option<Result<T, E>> {
        let mut span = FIRST_SPAN;
        loop {
            let error = match attempt() {
                Err(error) if is_shortage(&error) => error,
                done => return Some(done),
            };
            if span == FIRST_SPAN {
                slog::warn!(self.log, "the host is short of something, trying again";
                    "error" => %Chain(&error));
            }
            if self.stop.wait(span.min(elapsed(self.clock.now(), end))) {
                return None;
            }
            if elapsed(self.clock.now(), end).is_zero() {
                return Some(Err(error));
            }
            span = span.saturating_mul(2).min(LAST_SPAN);
        }
    }
}
