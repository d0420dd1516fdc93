//! Tasks whose outcome a test chooses.

use std::time::Duration;

use super::Rig;
use crate::daemon::Event;
use crate::daemon::workers::{FinishedTask, Task, TaskOutcome};
use crate::spool::{Family, Record};
use crate::stage::TaskKind;

/// Returns the first attempt at a task on the record of an action.
pub(crate) fn first_attempt(kind: TaskKind, record: Record) -> Task {
    Task {
        key: (Family::Action, record.id.clone()),
        kind,
        record,
        attempt: 1,
        missing_fetches: 0,
        page_size: None,
        not_final: None,
        taken: [].into(),
    }
}

impl Rig {
    /// Makes the engine handle the end of a task on a record, and runs the engine.
    pub(crate) fn end_task(&mut self, kind: TaskKind, record: Record, outcome: TaskOutcome) {
        let task = first_attempt(kind, record);
        let finished = FinishedTask { task, outcome, took: Duration::ZERO };
        let (engine, _) = self.engine.as_mut().unwrap();
        engine.handle(Event::TaskFinished(Box::new(finished)));
        self.run();
    }
}
