//! The workers: threads that do the slow work on copies of records.
//!
//! Each task runs in a thread of its own, and each pool has a maximum number of threads. A worker
//! changes neither the spool nor the index (a search reads the finished runs); it returns its
//! outcome to the engine as an event.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::index::Key;
use crate::action::{Signature, Signer};
use crate::api::{ActionState, Api, ApiError, Found, Next, Posted, Scope, Search};
use crate::clock::{Clock, before, elapsed};
use crate::disk::{Disk, DiskError};
use crate::names::{ActionId, PluginName};
use crate::plugin::run::{OUTPUT_BYTES_MAX, PluginCall, PluginExit, PluginLimits};
use crate::plugin::{Deliver, PluginError};
use crate::spool::finished::run_with_action;
use crate::spool::{Layout, Record};
use crate::stage::fetch::{FetchAttempt, FetchError, FetchProgress, Fetcher};
use crate::stage::prune::DAY;
use crate::stage::sign::sign;
use crate::stage::signed::{SignedAction, SigningError};
use crate::stage::{TaskKind, grace};
use crate::wake::Stop;

/// Maximum time by which the clock may have been set back while a run was under way.
const SKEW: Duration = DAY;

/// Returns the target that a macro stands for; `None` if the target is not a macro.
pub(crate) type Expand = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The services that the workers use.
pub(crate) struct WorkerContext {
    pub(crate) api: Arc<dyn Api>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) expand: Expand,
    pub(crate) plugins: Arc<dyn Deliver>,
    /// The disk to which documents are written.
    pub(crate) disk: Disk,
    pub(crate) directory: PathBuf,
    /// The paths of the spool, for reading.
    pub(crate) spool: Layout,
    /// Number of commands requested at once, unless that proves too slow.
    pub(crate) page_size: u32,
    /// Number of pages of a run requested in parallel.
    pub(crate) pages: u32,
    pub(crate) clock: Arc<dyn Clock>,
    /// Interrupts long operations when the runner stops.
    pub(crate) stop: Stop,
}

/// A task for one run.
#[derive(Debug)]
pub(crate) struct Task {
    pub(super) key: Key,
    pub(super) kind: TaskKind,
    /// The record, as it was when the work began.
    pub(super) record: Record,
    /// The number of this attempt, from 1.
    pub(super) attempt: u32,
    /// Number of earlier fetches with missing commands.
    pub(super) missing_fetches: u32,
    /// Number of commands requested at once, if an earlier fetch reduced it.
    pub(super) page_size: Option<u32>,
    /// When the results first were complete except for commands that may still change.
    pub(super) not_final: Option<Timestamp>,
    /// Actions that belong to other runs: a search must not return them.
    pub(super) taken: BTreeSet<ActionId>,
}

impl Task {
    /// Returns whether the action of a POST that was queued at `queued` must be signed again with
    /// later dates: the POST has waited for more than half of the action's time on the fleet.
    pub(super) fn is_outdated(&self, queued: Timestamp, now: Timestamp) -> bool {
        self.kind == TaskKind::Post
            && !self.record.request.verbatim
            && elapsed(queued, now) > self.record.settings.expiry / 2
    }
}

/// Why a search for an action failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SearchError {
    /// The API did not answer.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The finished runs cannot be read.
    #[error("cannot determine which run the action belongs to")]
    Disk(#[from] DiskError),
}

/// The outcome of a task.
#[derive(Debug)]
pub(crate) enum TaskOutcome {
    /// Of [`TaskKind::Sign`].
    Signed(Result<SignedAction, SigningError>),
    /// Of [`TaskKind::Post`].
    Posted(Posted),
    /// Of [`TaskKind::Search`], with the time at which the search began.
    Searched(Result<Found, SearchError>, Timestamp),
    /// Of [`TaskKind::QueryStatus`].
    StatusQueried(Result<Option<ActionState>, ApiError>),
    /// Of [`TaskKind::Fetch`].
    Fetched(FetchAttempt),
    /// Of [`TaskKind::Deliver`].
    Delivered(PluginName, Result<PluginExit, PluginError>),
    /// Of a kind that sends a request: the task waited for other requests, and sent none.
    TurnedAway,
    /// Of any kind: the runner stopped before the task began, or before it was complete.
    Stopped,
}

/// A task that a worker has finished.
#[derive(Debug)]
pub(crate) struct FinishedTask {
    pub(super) task: Task,
    pub(super) outcome: TaskOutcome,
    pub(super) took: Duration,
}

impl TaskOutcome {
    /// Returns [`TaskOutcome::Stopped`] if the API client or the fetch failed only because of a
    /// stop, and otherwise the outcome itself.
    fn or_stopped(self) -> TaskOutcome {
        let is_stopped = match &self {
            TaskOutcome::Posted(Posted::Refused { cause, .. })
            | TaskOutcome::Searched(Err(SearchError::Api(cause)), _)
            | TaskOutcome::StatusQueried(Err(cause))
            | TaskOutcome::Fetched(FetchAttempt { fetched: Err(FetchError::Api(cause)), .. }) => {
                matches!(cause, ApiError::Stopped { .. })
            }
            TaskOutcome::Fetched(FetchAttempt { fetched: Err(FetchError::Stopped), .. }) => true,
            _ => false,
        };
        if is_stopped { TaskOutcome::Stopped } else { self }
    }

    /// Returns whether the outcome shows that other requests would fail as well.
    pub(super) fn shows_api_down(&self) -> bool {
        match self {
            TaskOutcome::Posted(Posted::Refused { next, .. }) => *next == Next::BackOffAll,
            TaskOutcome::Searched(Err(SearchError::Api(error)), _)
            | TaskOutcome::Fetched(FetchAttempt { fetched: Err(FetchError::Api(error)), .. }) => {
                error.scope() == Scope::Api
            }
            _ => false,
        }
    }

    /// Returns whether the outcome shows that the API answers.
    pub(super) fn shows_api_up(&self) -> bool {
        let answers = |error: &ApiError| error.scope() == Scope::Request;
        match self {
            TaskOutcome::Posted(Posted::Accepted { .. }) => true,
            TaskOutcome::Posted(Posted::Refused { cause, .. } | Posted::Unknown { cause }) => {
                answers(cause)
            }
            TaskOutcome::Searched(Err(SearchError::Api(error)), _) => answers(error),
            TaskOutcome::Searched(..) => true,
            TaskOutcome::StatusQueried(seen) => seen.as_ref().err().is_none_or(answers),
            TaskOutcome::Fetched(FetchAttempt { fetched, .. }) => match fetched {
                Err(FetchError::Api(error)) => answers(error),
                fetched => matches!(
                    fetched,
                    Ok(_) | Err(FetchError::Missing { .. } | FetchError::NotFinal { .. })
                ),
            },
            TaskOutcome::Signed(_)
            | TaskOutcome::Delivered(..)
            | TaskOutcome::TurnedAway
            | TaskOutcome::Stopped => false,
        }
    }
}

/// Returns the name of a kind of task in metrics and log.
pub(super) fn kind_name(kind: &TaskKind) -> &'static str {
    match kind {
        TaskKind::Sign { .. } => "sign",
        TaskKind::Post => "post",
        TaskKind::Search => "search",
        // The name that the manual documents.
        TaskKind::QueryStatus => "probe",
        TaskKind::Fetch => "fetch",
        TaskKind::Deliver(_) => "deliver",
    }
}

impl WorkerContext {
    /// Performs a task; the outcome says if a stop interrupted it.
    pub(super) fn perform(&self, task: &Task) -> TaskOutcome {
        self.perform_all(task).or_stopped()
    }

    fn perform_all(&self, task: &Task) -> TaskOutcome {
        if self.stop.is_requested() {
            return TaskOutcome::Stopped;
        }
        let record = &task.record;
        match &task.kind {
            TaskKind::Sign { period } => {
                TaskOutcome::Signed(sign(record, *period, self.signer.as_ref(), &self.expand))
            }
            TaskKind::Post => TaskOutcome::Posted(self.post(record)),
            TaskKind::Search => {
                let began = self.clock.now();
                TaskOutcome::Searched(self.search(task), began)
            }
            TaskKind::QueryStatus => TaskOutcome::StatusQueried(match record.action_id {
                Some(id) => grace::query_status(self.api.as_ref(), id),
                None => Ok(None),
            }),
            TaskKind::Fetch => {
                let fetcher = Fetcher {
                    api: self.api.as_ref(),
                    disk: &self.disk,
                    directory: &self.directory,
                    clock: self.clock.as_ref(),
                    pages: self.pages,
                    stop: &self.stop,
                };
                let past = FetchProgress {
                    missing_attempts: task.missing_fetches,
                    page_size: task.page_size.unwrap_or(self.page_size),
                    not_final: task.not_final,
                };
                TaskOutcome::Fetched(fetcher.fetch(record, past))
            }
            TaskKind::Deliver(plugin) => {
                TaskOutcome::Delivered(plugin.clone(), self.deliver(task, plugin))
            }
        }
    }

    fn post(&self, record: &Record) -> Posted {
        let posted = record.request.posted.as_deref().unwrap_or_default();
        self.api.post(posted, &signatures(record))
    }

    fn search(&self, task: &Task) -> Result<Found, SearchError> {
        let request = &task.record.request;
        let (Some(valid_from), Some(expire_after)) = (request.valid_from, request.expire_after)
        else {
            // Nothing was ever signed for the run, so the platform cannot have an action of it.
            return Ok(Found::None);
        };
        let (signatures, mut taken) = (signatures(&task.record), task.taken.clone());
        loop {
            let found = self.api.find(&Search {
                name: &request.action_name,
                valid_from,
                expire_after,
                signatures: &signatures,
                taken: &taken,
            })?;
            match found {
                Found::Action { id, .. } if self.is_held(&task.record, id)? => taken.insert(id),
                found => return Ok(found),
            };
        }
    }

    /// Returns whether another run that is finished or a dead letter has an action. The search
    /// checks this only for an action that it found, which seldom belongs to another run; so
    /// nothing about finished runs needs to stay in memory.
    fn is_held(&self, record: &Record, action: ActionId) -> Result<bool, SearchError> {
        // The record of a run whose action we signed was written after the action's first valid
        // time. An action that was signed elsewhere may have any dates.
        let since = record.request.valid_from.filter(|_| !record.request.verbatim);
        let since = since.map(|since| before(since, SKEW));
        Ok(run_with_action(&self.disk, &self.spool, action, &record.id, since)?.is_some())
    }

    fn deliver(&self, task: &Task, plugin: &PluginName) -> Result<PluginExit, PluginError> {
        let record = &task.record;
        let results = self.directory.join(record.document.as_deref().unwrap_or_default());
        let delivery = PluginCall {
            job: &record.name,
            plugin,
            run: &record.id,
            action: record.action_id.unwrap_or(ActionId(0)),
            attempt: task.attempt,
            results: &results,
        };
        let limits = PluginLimits {
            timeout: record.settings.plugin_timeout,
            output_bytes_max: OUTPUT_BYTES_MAX,
        };
        self.plugins.deliver(&delivery, &limits, &self.stop)
    }
}

fn signatures(record: &Record) -> Vec<Signature> {
    // The platform cannot have accepted an invalid signature.
    record.request.signatures.iter().filter_map(|s| s.clone().try_into().ok()).collect()
}

impl std::fmt::Debug for WorkerContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerContext").field("directory", &self.directory).finish_non_exhaustive()
    }
}
