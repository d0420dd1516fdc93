//! The stages: each looks at one run and says what is to be done with it.
//!
//! Deciding and doing are apart. `decide` is a pure function of a record, the
//! time and what is around the run; the engine does what it says: it waits, gives
//! work that takes time to a worker, or moves the run. What a worker brings back
//! goes through a second pure function, which says what follows from it.
//!
//! **Invariants.** A stage never sleeps and never touches the spool. A worker
//! gets a copy of the record and hands back an outcome; the engine applies it to
//! the record that is on disk then.

pub(crate) mod adopt;
pub(crate) mod archive;
pub(crate) mod claim;
pub(crate) mod collect;
pub(crate) mod deliver;
pub(crate) mod document;
mod elsewhere;
pub(crate) mod fetch;
pub(crate) mod grace;
pub(crate) mod launch;
pub(crate) mod misdated;
mod pages;
pub(crate) mod prune;
pub(crate) mod sign;
pub(crate) mod submit;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::{ApiError, Scope};
use crate::names::PluginName;
use crate::spool::{Record, Transition};

/// What a stage wants for a run now.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing before this time; `None`: nothing until something changes.
    Wait(Option<Timestamp>),
    /// Work that takes time.
    Work(Work),
    /// A move or a note in the record.
    Move(Move),
    /// It cannot be where it is; the reason says why, and what to do.
    Reject(String),
}

/// Work that a worker does with a copy of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Date and sign the action.
    Sign {
        /// When it is valid.
        period: sign::Period,
    },
    /// Post what was signed.
    Post,
    /// Look on the platform for what was posted.
    Search,
    /// Ask the platform how far the action is.
    Probe,
    Fetch,
    /// Hand the results to a plugin.
    Deliver(PluginName),
}

/// A change of the record, for a move; it may be made again where the disk was full the first time.
pub(crate) type Edit = Box<dyn Fn(&mut Record) + Send>;

/// A move, with what it changes in the record and what is done at once afterwards.
pub(crate) struct Move {
    pub(crate) transition: Transition,
    /// What it changes; `None`: the file is renamed unchanged.
    pub(crate) edit: Option<Edit>,
    /// What follows without another decision.
    pub(crate) then: Option<Work>,
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
    /// Returns a move that changes nothing.
    pub(crate) fn unchanged(transition: Transition) -> Move {
        Move { transition, edit: None, then: None }
    }

    /// Returns a move that changes the record.
    pub(crate) fn changing(
        transition: Transition,
        edit: impl Fn(&mut Record) + Send + 'static,
    ) -> Move {
        Move { transition, edit: Some(Box::new(edit)), then: None }
    }

    /// Returns a move of a run that cannot go on, with the reason.
    pub(crate) fn refused(transition: Transition, reason: String) -> Move {
        Move::changing(transition, move |record| record.reason = Some(reason.clone()))
    }

    /// Adds what follows at once.
    pub(crate) fn then(self, work: Work) -> Move {
        Move { then: Some(work), ..self }
    }
}

/// The attempts made with a run, or with one of its plugins, since the runner started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Past {
    /// Earliest time for the next attempt.
    pub(crate) not_before: Timestamp,
    /// When the last attempt that failed ended. `None`: none has failed.
    pub(crate) failed: Option<Timestamp>,
}

impl Past {
    /// No attempt was made.
    pub(crate) const NONE: Past = Past { not_before: Timestamp::MIN, failed: None };

    /// Returns whether the work is given up: its time limit has passed, and an attempt after the limit
    /// has failed. A machine that was off or suspended meanwhile therefore makes another attempt.
    pub(crate) fn is_hopeless(self, now: Timestamp, limit: Timestamp) -> bool {
        now >= limit && self.failed.is_some_and(|failed| failed >= limit)
    }
}

/// What follows from an outcome.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// The move to make, if any.
    pub(crate) moved: Option<Move>,
    /// Why the run cannot go on and is put aside, if that is so.
    pub(crate) rejected: Option<String>,
    /// How long nothing is tried.
    pub(crate) pause: Pause,
}

/// How long nothing is tried after an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Not at all: all went well.
    None,
    /// This run alone, for as long as this.
    For(Duration),
    /// This run alone: it backs off, at least as long as the server asked for.
    Run(Option<Duration>),
    /// Everything that needs the API: the fault is not this run's.
    Api(Option<Duration>),
}

impl Verdict {
    /// Returns the verdict that all went well.
    pub(crate) fn moved(moved: Move) -> Verdict {
        Verdict { moved: Some(moved), rejected: None, pause: Pause::None }
    }

    /// Returns the verdict that a move is made and then waited.
    pub(crate) fn noted(moved: Move, pause: Pause) -> Verdict {
        Verdict { moved: Some(moved), rejected: None, pause }
    }

    /// Returns the verdict that the run cannot go on; the reason says why, and what to do.
    pub(crate) fn rejected(reason: String) -> Verdict {
        Verdict { moved: None, rejected: Some(reason), pause: Pause::None }
    }

    /// Returns the verdict that nothing has changed and it is tried again.
    pub(crate) fn paused(pause: Pause) -> Verdict {
        Verdict { moved: None, rejected: None, pause }
    }
}

impl Pause {
    /// Returns how long to wait after a request that failed.
    pub(crate) fn after(cause: &ApiError) -> Pause {
        match cause.scope() {
            Scope::Request => Pause::Run(cause.retry_after()),
            Scope::Api => Pause::Api(cause.retry_after()),
        }
    }
}
