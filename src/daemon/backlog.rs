//! The events that wait to be handled.
//!
//! Thousands of hints may arrive at once, and each may lead to a move, so one turn of the daemon's
//! loop handles at most [`HINTS_MAX`] of them. The end of a task does not wait behind hints, because
//! its worker could not start another task until then; nor does a stop.

use std::collections::VecDeque;

use super::Event;

/// Maximum number of events in one turn besides finished tasks and stops.
const HINTS_MAX: usize = 256;

/// The events that wait for a later turn, in the order in which they arrived.
#[derive(Debug, Default)]
pub(super) struct Backlog(VecDeque<Event>);

impl Backlog {
    /// Adds the events that have arrived; returns those to be handled now.
    pub(super) fn next(&mut self, arrived: impl Iterator<Item = Event>) -> Vec<Event> {
        let is_urgent = |event: &Event| matches!(event, Event::TaskFinished(_) | Event::Stop);
        let (mut next, others): (Vec<Event>, Vec<Event>) = arrived.partition(is_urgent);
        self.0.extend(others);
        next.extend(self.0.drain(..self.0.len().min(HINTS_MAX)));
        next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::daemon::workers::{FinishedTask, Task, TaskOutcome};
    use crate::spool::Family;
    use crate::spool::testing::record;
    use crate::stage::TaskKind;
    use crate::wake::Hint;

    fn finished() -> Event {
        let record = record("job.20261122T120000Z");
        let task = Task {
            key: (Family::Action, record.id.clone()),
            kind: TaskKind::Fetch,
            record,
            attempt: 1,
            missing_fetches: 0,
            page_size: None,
            not_final: None,
            taken: [].into(),
        };
        let (outcome, took) = (TaskOutcome::Stopped, Duration::ZERO);
        Event::TaskFinished(Box::new(FinishedTask { task, outcome, took }))
    }

    #[test]
    fn finished_task_and_stop_do_not_wait_behind_hints() {
        let hints =
            (0..HINTS_MAX + 10).map(|number| Event::Hint(Hint::Path(number.to_string().into())));
        let mut backlog = Backlog::default();
        let now = backlog.next(hints.chain([finished(), Event::Stop]));
        assert!(matches!(now[..2], [Event::TaskFinished(_), Event::Stop]));
        assert_eq!(now.len(), 2 + HINTS_MAX);
        assert!(!backlog.is_empty());
        // The rest follows in its order.
        let rest = backlog.next([finished()].into_iter());
        assert!(matches!(rest[0], Event::TaskFinished(_)));
        let Event::Hint(Hint::Path(path)) = &rest[1] else { panic!("{rest:?}") };
        assert_eq!(path.to_str().unwrap(), HINTS_MAX.to_string());
        assert_eq!(rest.len(), 1 + 10);
        assert!(backlog.is_empty());
    }
}
