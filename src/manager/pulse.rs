//! The pulse of a loop: it shows the service manager that the loop goes round.
//!
//! **Invariant.** A beat is made by the loop whose life it shows, in its own thread,
//! and by nothing else: when the loop hangs, the manager hears no more of it and
//! ends the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::line::Line;

/// How many beats a silence that is allowed has room for: one may come late.
const BEATS: u32 = 2;
/// How soon a beat is made again that was not heard, at the most.
const AGAIN_SPAN: Duration = Duration::from_secs(1);

/// The pulse of a loop.
#[derive(Debug)]
pub(crate) struct Pulse(Option<Watched>);

/// The pulse of a loop that is watched.
#[derive(Debug)]
struct Watched {
    line: Arc<Line>,
    period: Duration,
    /// When the next beat is due.
    due: Instant,
}

impl Pulse {
    /// Returns a pulse for a line whose other end allows a silence this long; it is due at once.
    pub(super) fn new(line: Option<Arc<Line>>, silence_max: Option<Duration>) -> Pulse {
        Pulse(line.zip(silence_max).map(|(line, silence_max)| Watched {
            line,
            period: silence_max / BEATS,
            due: Instant::now(),
        }))
    }

    /// Makes a beat if one is due; returns how long until the next one is, if anybody watches.
    pub(crate) fn beat(&mut self) -> Option<Duration> {
        let watched = self.0.as_mut()?;
        let now = Instant::now();
        if watched.due <= now {
            let heard = watched.line.say("WATCHDOG=1");
            let pause = if heard { watched.period } else { watched.period.min(AGAIN_SPAN) };
            watched.due = now.checked_add(pause).unwrap_or(now);
        }
        Some(watched.due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Listener;
    use super::*;

    #[test]
    fn a_beat_is_made_when_it_is_due_and_then_half_the_silence_later() {
        let listener = Listener::new();
        let silence = Duration::from_secs(3600);
        let mut pulse = listener.manager(Some(silence)).pulse();
        let until = pulse.beat().unwrap();
        assert!(until <= silence / 2 && until > silence / 3, "{until:?}");
        assert!(pulse.beat().unwrap() <= until);
        assert_eq!(listener.heard(), ["WATCHDOG=1"]);
        pulse.0.as_mut().unwrap().due = Instant::now();
        pulse.beat().unwrap();
        assert_eq!(listener.heard(), ["WATCHDOG=1"]);
    }

    #[test]
    fn a_beat_that_was_not_heard_is_made_again_soon() {
        let listener = Listener::new();
        let mut pulse = listener.manager(Some(Duration::from_secs(3600))).pulse();
        drop(listener);
        assert!(pulse.beat().unwrap() <= AGAIN_SPAN);
    }

    #[test]
    fn nobody_watches_without_a_limit() {
        let listener = Listener::new();
        assert_eq!(listener.manager(None).pulse().beat(), None);
        assert!(listener.heard().is_empty());
    }
}
