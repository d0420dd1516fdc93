//! Failures of the scheduler, each logged once until what failed succeeds again.
//!
//! The scheduler repeats every step at each scan, so a lasting fault would fill the log. Two failures
//! are the same if the same subject failed for the same kind of reason. Their texts are not compared:
//! they contain names of temporary files, which differ at every attempt.

use std::collections::HashMap;
use std::fmt;
use std::io;

use super::ScheduleError;
use crate::chain::Chain;
use crate::data::{ActionRow, DataError, Id};
use crate::platform::spool::{EntryName, SpoolFolder};

/// What failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// The step of an entry in this folder.
    Entry(SpoolFolder, EntryName),
    /// The list of a folder's entries.
    Folder(SpoolFolder),
    /// The removal of expired files from a folder.
    ExpiredFiles(SpoolFolder),
    ExpiredActions,
    SilentAgents,
    WithdrawnKeys,
    AgentStatus,
    NewActions,
    /// The evaluation of targets for an agent.
    Agent(Id),
    /// The acceptance of a new action.
    NewAction(Id),
    /// The storage of the answer to a command.
    Answer(Id),
    /// The heartbeat of the agent with this queue.
    Heartbeat(String),
}

impl Subject {
    fn message(&self) -> &'static str {
        match self {
            Subject::Entry(..) => "cannot process entry",
            Subject::Agent(_) => {
                "cannot read some columns of an agent; conditions on these columns do not select it"
            }
            Subject::NewAction(_) => "cannot accept action",
            Subject::Answer(_) => "cannot save answer",
            Subject::Folder(_) => "cannot read folder",
            Subject::ExpiredFiles(_) => "cannot remove expired files",
            Subject::ExpiredActions => "cannot remove expired actions",
            Subject::SilentAgents => "cannot remove silent agents",
            Subject::WithdrawnKeys => "cannot check whether keys are withdrawn",
            Subject::AgentStatus => "cannot update status of agents",
            Subject::NewActions => "cannot read new actions",
            Subject::Heartbeat(_) => "cannot save heartbeat",
        }
    }
}

/// The keys and values with which a log message names the subject.
impl slog::KV for Subject {
    fn serialize(
        &self,
        _record: &slog::Record<'_>,
        serializer: &mut dyn slog::Serializer,
    ) -> slog::Result {
        match self {
            Subject::Entry(folder, name) => {
                serializer.emit_arguments("folder", &format_args!("{folder}"))?;
                serializer.emit_arguments("entry", &format_args!("{name}"))
            }
            Subject::Folder(folder) | Subject::ExpiredFiles(folder) => {
                serializer.emit_arguments("folder", &format_args!("{folder}"))
            }
            Subject::Agent(id) => serializer.emit_i64("agent", id.number()),
            Subject::NewAction(id) => serializer.emit_i64("action", id.number()),
            Subject::Answer(id) => serializer.emit_i64("command", id.number()),
            Subject::Heartbeat(queue) => serializer.emit_str("queue", queue),
            Subject::ExpiredActions
            | Subject::SilentAgents
            | Subject::WithdrawnKeys
            | Subject::AgentStatus
            | Subject::NewActions => Ok(()),
        }
    }
}

/// The kind of a reason, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Disk(io::ErrorKind),
    Data(std::mem::Discriminant<DataError>),
    View,
    Columns,
    Json,
    Unknown,
    Status,
}

impl Cause {
    fn of(error: &ScheduleError) -> Cause {
        match error {
            ScheduleError::Disk(error) => Cause::Disk(error.kind()),
            ScheduleError::Data(error) => Cause::Data(std::mem::discriminant(error)),
            ScheduleError::View(_) => Cause::View,
            ScheduleError::Columns(_) => Cause::Columns,
            ScheduleError::Json(_) => Cause::Json,
            ScheduleError::Unknown => Cause::Unknown,
            ScheduleError::Status => Cause::Status,
        }
    }
}

/// The failures that have been logged and not been followed by a success.
pub(super) struct FailureLog {
    logged: HashMap<Subject, Cause>,
    log: slog::Logger,
}

impl fmt::Debug for FailureLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FailureLog").field("logged", &self.logged).finish_non_exhaustive()
    }
}

impl FailureLog {
    pub(super) fn new(log: slog::Logger) -> FailureLog {
        FailureLog { logged: HashMap::new(), log }
    }

    /// Logs a failure, unless it is the one that was logged last for its subject.
    pub(super) fn report(&mut self, subject: Subject, error: impl Into<ScheduleError>) {
        let error = error.into();
        let cause = Cause::of(&error);
        if self.logged.get(&subject) != Some(&cause) {
            slog::error!(self.log, "{}", subject.message(); subject.clone(), "error" => %Chain(&error));
            self.logged.insert(subject, cause);
        }
    }

    /// Records that the subject has succeeded.
    pub(super) fn clear(&mut self, subject: &Subject) {
        self.logged.remove(subject);
    }

    /// Reports the error of a step, or records that it has succeeded.
    pub(super) fn note<T, E: Into<ScheduleError>>(
        &mut self,
        subject: Subject,
        done: Result<T, E>,
    ) -> Option<T> {
        match done {
            Ok(value) => {
                self.clear(&subject);
                Some(value)
            }
            Err(error) => {
                self.report(subject, error);
                None
            }
        }
    }

    /// Returns the number of subjects whose last failure was logged.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.logged.len()
    }

    /// Returns the ids of the agents whose last failure was logged, except the substitute for an id
    /// that cannot be read.
    pub(super) fn agents(&self) -> Vec<Id> {
        let id = |subject: &Subject| match subject {
            Subject::Agent(id) if id.number() != 0 => Some(*id),
            _ => None,
        };
        self.logged.keys().filter_map(id).collect()
    }

    /// Forgets the new actions that are not among `actions`.
    pub(super) fn keep_new_actions(&mut self, actions: &[ActionRow]) {
        self.logged.retain(|subject, _| match subject {
            Subject::NewAction(id) => actions.iter().any(|action| action.id == *id),
            _ => true,
        });
    }

    /// Forgets the entries of a folder that it no longer contains. `names` are sorted.
    pub(super) fn keep_entries(&mut self, folder: SpoolFolder, names: &[EntryName]) {
        self.logged.retain(|subject, _| match subject {
            Subject::Entry(of, name) if *of == folder => {
                let key = |name: &EntryName| (name.action, name.command);
                names.binary_search_by_key(&key(name), key).is_ok()
            }
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::disk::Context;

    /// Returns a log, and the messages written to it.
    fn log() -> (FailureLog, Arc<Mutex<Vec<String>>>) {
        struct Recorder(Arc<Mutex<Vec<String>>>);
        impl slog::Drain for Recorder {
            type Ok = ();
            type Err = slog::Never;
            fn log(
                &self,
                record: &slog::Record<'_>,
                _: &slog::OwnedKVList,
            ) -> Result<(), slog::Never> {
                self.0.lock().unwrap().push(record.msg().to_string());
                Ok(())
            }
        }
        let messages = Arc::new(Mutex::new(Vec::new()));
        let log = slog::Logger::root(Recorder(Arc::clone(&messages)), slog::o!());
        (FailureLog::new(log), messages)
    }

    /// Returns the error of a write to a temporary file with this number in its name.
    fn no_descriptor(number: u32) -> ScheduleError {
        let error = io::Error::from(rustix::io::Errno::MFILE);
        let path = format!("/spool/.tmp/mig-{number}");
        Err::<(), _>(error).context("create", Path::new(&path)).unwrap_err().into()
    }

    #[test]
    fn action_that_is_not_new_any_more_is_forgotten() {
        let (mut failures, _) = log();
        for id in [7, 8] {
            failures.report(Subject::NewAction(Id::new(id)), ScheduleError::Unknown);
        }
        let left = crate::platform::scheduler::testing::action("");
        failures.keep_new_actions(std::slice::from_ref(&left));
        assert_eq!(failures.logged.keys().collect::<Vec<_>>(), [&Subject::NewAction(left.id)]);
    }

    #[test]
    fn failure_with_another_temporary_name_is_not_logged_again() {
        let (mut failures, messages) = log();
        let folder = SpoolFolder::ActionNew;
        let subject = || Subject::Entry(folder, EntryName::action(Id::new(7)));
        for number in 0..5 {
            failures.report(subject(), no_descriptor(number));
            failures.report(Subject::Folder(folder), no_descriptor(number));
        }
        assert_eq!(*messages.lock().unwrap(), ["cannot process entry", "cannot read folder"]);
        failures.report(subject(), ScheduleError::Unknown);
        assert_eq!(messages.lock().unwrap().len(), 3, "another reason is logged");
        failures.clear(&subject());
        failures.report(subject(), ScheduleError::Unknown);
        assert_eq!(messages.lock().unwrap().len(), 4, "a failure after a success is logged");
        failures.keep_entries(folder, &[]);
        assert_eq!(failures.logged.len(), 1, "an entry that is gone is forgotten");
    }
}
