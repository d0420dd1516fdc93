//! The watchdog of the service manager: a loop sends notifications to show that it is running.
//!
//! **Invariant.** Only the loop itself sends its notifications, from its own thread. When the loop
//! hangs, the manager receives no more of them and restarts the service.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::notify_socket::NotifySocket;

/// Number of notifications in each watchdog timeout: one of them may be late.
const FEEDS_PER_TIMEOUT: u32 = 2;
/// Maximum delay before a lost notification is sent again.
const RETRY_SPAN: Duration = Duration::from_secs(1);

/// Sends the watchdog notifications of a loop, if the service manager expects any.
#[derive(Debug)]
pub(crate) struct Watchdog(Option<Watched>);

#[derive(Debug)]
struct Watched {
    socket: Arc<NotifySocket>,
    period: Duration,
    /// When the next notification is due.
    due: Instant,
}

impl Watchdog {
    /// Returns a watchdog with this timeout; the first notification is due at once.
    pub(super) fn new(
        socket: Option<Arc<NotifySocket>>,
        watchdog_timeout: Option<Duration>,
    ) -> Watchdog {
        Watchdog(socket.zip(watchdog_timeout).map(|(socket, timeout)| Watched {
            socket,
            period: timeout / FEEDS_PER_TIMEOUT,
            due: Instant::now(),
        }))
    }

    /// Sends a notification if one is due; returns the time until the next one, or `None` if the
    /// service manager does not expect any.
    pub(crate) fn feed(&mut self) -> Option<Duration> {
        let watched = self.0.as_mut()?;
        let now = Instant::now();
        if watched.due <= now {
            let is_received = watched.socket.send("WATCHDOG=1");
            let pause = if is_received { watched.period } else { watched.period.min(RETRY_SPAN) };
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
    fn notifications_are_sent_twice_per_timeout() {
        let listener = Listener::new();
        let timeout = Duration::from_secs(3600);
        let mut watchdog = listener.manager(Some(timeout)).watchdog();
        let until = watchdog.feed().unwrap();
        assert!(until <= timeout / 2 && until > timeout / 3, "{until:?}");
        assert!(watchdog.feed().unwrap() <= until);
        assert_eq!(listener.received(), ["WATCHDOG=1"]);
        watchdog.0.as_mut().unwrap().due = Instant::now();
        watchdog.feed().unwrap();
        assert_eq!(listener.received(), ["WATCHDOG=1"]);
    }

    #[test]
    fn lost_notification_is_sent_again_soon() {
        let listener = Listener::new();
        let mut watchdog = listener.manager(Some(Duration::from_secs(3600))).watchdog();
        drop(listener);
        assert!(watchdog.feed().unwrap() <= RETRY_SPAN);
    }

    #[test]
    fn nothing_is_sent_without_a_timeout() {
        let listener = Listener::new();
        assert_eq!(listener.manager(None).watchdog().feed(), None);
        assert!(listener.received().is_empty());
    }
}
