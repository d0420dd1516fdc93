//! The events that other threads send to the engine's channel.

use super::done_review::UncollectedFiles;
use super::finished_counts::FinishedCounts;
use super::pruner::RemovalPlan;
use super::workers::FinishedTask;
use crate::spool::SpoolError;
use crate::wake::Hint;

/// An event for the engine's loop.
#[derive(Debug)]
pub(crate) enum Event {
    /// Something may have changed: scan a path, or everything.
    Hint(Hint),
    /// A worker has finished a task.
    TaskFinished(Box<FinishedTask>),
    /// The search for expired files has ended.
    RemovalPlanned(RemovalPlan),
    /// The review of `action/done` has ended.
    DoneReviewed(Result<UncollectedFiles, SpoolError>),
    /// The finished runs have been counted.
    FinishedCounted(Result<FinishedCounts, SpoolError>),
    /// SIGTERM or SIGINT was received.
    Stop,
    /// SIGHUP was received: reopen the log and scan everything.
    Reload,
}
