//! The stages: each decides what to do next with a run.
//!
//! Deciding and doing are separate. `decide` is a pure function of the record, the time and the
//! context of the run. The engine carries the decision out: it waits, gives a task to a worker, or
//! moves the run. A second pure function decides what follows from the worker's outcome.
//!
//! **Invariants.** A stage never sleeps and never touches the spool. A worker gets a copy of the
//! record and returns an outcome; the engine applies the outcome to the record that is then on
//! disk.

pub(crate) mod adopt;
pub(crate) mod archive;
pub(crate) mod claim;
pub(crate) mod collect;
pub(crate) mod deliver;
pub(crate) mod document;
pub(crate) mod fetch;
pub(crate) mod grace;
pub(crate) mod launch;
pub(crate) mod misdated;
mod pages;
mod presigned;
pub(crate) mod prune;
pub(crate) mod sign;
pub(crate) mod signed;
pub(crate) mod submit;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ApiError, Scope};
use crate::names::PluginName;
use crate::spool::{Record, Transition};

/// What a stage decides for a run.
#[derive(Debug)]
pub(crate) enum Step {
    /// Do nothing before this time; `None`: nothing until something changes.
    Wait(Option<Timestamp>),
    /// Start a task of a worker.
    Start(TaskKind),
    /// Move the run or change its record.
    Move(Move),
    /// Reject the run, because its record does not fit its folder. The reason includes the remedy.
    Reject(String),
}

/// A kind of task, which a worker performs with a copy of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TaskKind {
    /// Date and sign the action.
    Sign {
        /// The action's validity.
        period: signed::Period,
    },
    /// Post the signed action.
    Post,
    /// Search the platform for the posted action.
    Search,
    /// Query the action's status on the platform.
    QueryStatus,
    Fetch,
    /// Run a plugin with the results.
    Deliver(PluginName),
}

/// A change of the record. It may be applied again if the first write failed.
pub(crate) type Edit = Box<dyn Fn(&mut Record) + Send>;

/// A transition, with its change of the record and the task that follows at once.
pub(crate) struct Move {
    pub(crate) transition: Transition,
    /// Changes the record; `None`: the file is renamed unchanged.
    pub(crate) edit: Option<Edit>,
    /// The task to start right afterwards, without another decision.
    pub(crate) then: Option<TaskKind>,
}

impl fmt::Debug for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Move")
            .field("transition", &self.transition)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

impl Move {
    /// Returns a move that leaves the record unchanged.
    pub(crate) fn unchanged(transition: Transition) -> Move {
        Move { transition, edit: None, then: None }
    }

    pub(crate) fn changing(
        transition: Transition,
        edit: impl Fn(&mut Record) + Send + 'static,
    ) -> Move {
        Move { transition, edit: Some(Box::new(edit)), then: None }
    }

    /// Returns a move of a run that has failed, with the reason.
    pub(crate) fn refused(transition: Transition, reason: String) -> Move {
        Move::changing(transition, move |record| record.reason = Some(reason.clone()))
    }

    /// Applies the change of the record, if there is one.
    pub(crate) fn edit_record(&self, record: &mut Record) {
        if let Some(edit) = &self.edit {
            edit(record);
        }
    }

    /// Adds a task to start right afterwards.
    pub(crate) fn then(self, kind: TaskKind) -> Move {
        Move { then: Some(kind), ..self }
    }
}

/// The attempts made with a run, or with one of its plugins, since the runner started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PastAttempts {
    /// Earliest time for the next attempt.
    pub(crate) not_before: Timestamp,
    /// End of the last failed attempt; `None`: none has failed.
    pub(crate) failed: Option<Timestamp>,
}

impl PastAttempts {
    /// No attempt was made yet.
    pub(crate) const NONE: PastAttempts = PastAttempts { not_before: Timestamp::MIN, failed: None };

    /// Returns whether to give up: the time limit has passed, and an attempt after it has failed. A
    /// machine that was off or suspended meanwhile therefore makes another attempt.
    pub(crate) fn should_give_up(self, now: Timestamp, limit: Timestamp) -> bool {
        now >= limit && self.failed.is_some_and(|failed| failed >= limit)
    }
}

/// What follows from the outcome of a task.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The move to make, if any.
    pub(crate) moved: Option<Move>,
    /// Why the run is rejected, if it is.
    pub(crate) rejected: Option<String>,
    /// How long to wait before the next attempt.
    pub(crate) pause: Pause,
}

/// How long to wait after an outcome, and which runs wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// No wait: the task succeeded.
    None,
    /// This run waits, exactly this long.
    For(Duration),
    /// This run backs off, at least as long as the server requested.
    Run(Option<Duration>),
    /// All work that needs the API backs off: the fault is not this run's.
    Api(Option<Duration>),
}

impl Verdict {
    /// Returns the verdict that the task succeeded and leads to this move.
    pub(crate) fn moved(moved: Move) -> Verdict {
        Verdict { moved: Some(moved), rejected: None, pause: Pause::None }
    }

    /// Returns the verdict to change the record and then wait.
    pub(crate) fn noted(moved: Move, pause: Pause) -> Verdict {
        Verdict { moved: Some(moved), rejected: None, pause }
    }

    /// Returns the verdict to reject the run; the reason includes the remedy.
    pub(crate) fn rejected(reason: String) -> Verdict {
        Verdict { moved: None, rejected: Some(reason), pause: Pause::None }
    }

    /// Returns the verdict to try again, with an unchanged record.
    pub(crate) fn paused(pause: Pause) -> Verdict {
        Verdict { moved: None, rejected: None, pause }
    }
}

impl Pause {
    /// Returns the wait after a request that failed.
    pub(crate) fn after(cause: &ApiError) -> Pause {
        match cause.scope() {
            Scope::Request => Pause::Run(cause.retry_after()),
            Scope::Api => Pause::Api(cause.retry_after()),
        }
    }
}
