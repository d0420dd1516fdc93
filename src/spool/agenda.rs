//! What failed and is tried again, and when: the runner writes it, people and `status` read it.
//!
//! **Invariants.** It is a view and no state: no runner reads it, because a runner
//! that starts tries all at once. It is there only while something failed, and
//! tells nothing but of the process that wrote it. A crash may lose it.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::{Spool, SpoolError, View};
use crate::disk::DiskError;
use crate::names::{PluginName, RunId};

/// The version of the file that this program writes.
const VERSION: u32 = 1;
/// How many attempts it tells of, at the most.
pub(crate) const ATTEMPTS_MAX: usize = 1000;
/// The largest file that is read, in bytes: so many attempts, each with the longest names.
const AGENDA_BYTES_MAX: u64 = 1024 * 1024;

/// What failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agenda {
    version: u32,
    /// The process that tries.
    #[serde(rename = "pid")]
    pub(crate) process: u32,
    /// The API, the network or the key, while all that needs them waits.
    pub(crate) api: Option<Again>,
    /// What runs wait for by themselves, the earliest first.
    pub(crate) attempts: Vec<Attempt>,
    /// How many more of these there are.
    pub(crate) more: usize,
}

/// How often something failed, and when it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Again {
    /// How often it failed in a row.
    pub(crate) failures: u32,
    /// When it is tried again; in the past if it is being tried, or as soon as its turn comes.
    pub(crate) next_attempt: Timestamp,
}

/// An attempt that a run, or one of its plugins, waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Where the run is.
    pub(crate) folder: Folder,
    pub(crate) run: RunId,
    /// The plugin, if it is one that is tried again.
    pub(crate) plugin: Option<PluginName>,
    /// How often it failed, and when it is tried.
    #[serde(flatten)]
    pub(crate) again: Again,
}

/// Why an agenda says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgendaError {
    /// It cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is damaged, or of another version.
    #[error("`.agenda` in the spool is not of a form that this version knows")]
    Form { source: serde_json::Error },
    /// It is of another version.
    #[error("`.agenda` in the spool is of version {0}")]
    Version(u32),
}

impl Agenda {
    /// Returns what this process tries; nothing if nothing failed.
    pub(crate) fn new(api: Option<Again>, attempts: Vec<Attempt>, more: usize) -> Option<Agenda> {
        if api.is_none() && attempts.is_empty() {
            return None;
        }
        Some(Agenda { version: VERSION, process: std::process::id(), api, attempts, more })
    }
}

impl Spool {
    /// Replaces what is told, as a whole; with `None`, nothing is told any more.
    pub(crate) fn tell_agenda(&self, agenda: Option<&Agenda>) -> Result<(), SpoolError> {
        let path = self.layout.agenda();
        let Some(agenda) = agenda else {
            return match self.disk.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        };
        let mut bytes =
            serde_json::to_vec(agenda).map_err(|source| SpoolError::Agenda { source })?;
        bytes.push(b'\n');
        Ok(self.disk.publish(&path, &bytes)?)
    }
}

impl View<'_> {
    /// Reads what is told; nothing if nothing is.
    ///
    /// # Errors
    /// See [`AgendaError`]: nothing else depends on it.
    pub(crate) fn agenda(&self) -> Result<Option<Agenda>, AgendaError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let bytes = match self.disk.read(&self.layout.agenda(), AGENDA_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let form = |source| AgendaError::Form { source };
        match serde_json::from_slice(&bytes).map_err(form)? {
            Head { version: VERSION } => serde_json::from_slice(&bytes).map(Some).map_err(form),
            Head { version } => Err(AgendaError::Version(version)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests break files on purpose")]

    use std::os::unix::fs::PermissionsExt;

    use super::super::testing::spool;
    use super::*;
    use crate::chain::Chain;

    fn agenda(failures: u32) -> Agenda {
        let again = Again { failures, next_attempt: "2026-11-22T12:00:05Z".parse().unwrap() };
        let attempt = |plugin: Option<&str>| Attempt {
            folder: Folder::Returned,
            run: "job.20261122T120000Z".parse().unwrap(),
            plugin: plugin.map(|plugin| plugin.parse().unwrap()),
            again,
        };
        Agenda::new(Some(again), vec![attempt(Some("mail")), attempt(None)], 3).unwrap()
    }

    #[test]
    fn it_is_private_read_as_it_was_written_and_gone_when_nothing_is_told() {
        let (folder, spool) = spool();
        let path = folder.path().join("spool/.agenda");
        assert_eq!(spool.view().agenda().unwrap(), None);
        for failures in [1, 2] {
            spool.tell_agenda(Some(&agenda(failures))).unwrap();
            assert_eq!(spool.view().agenda().unwrap(), Some(agenda(failures)));
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("spool/.tmp")).unwrap().count(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        let first = "\"attempts\":[{\"folder\":\"command/returned\",\"run\":\"job.20261122T120000Z\",\
             \"plugin\":\"mail\",\"failures\":2,\"next_attempt\":\"2026-11-22T12:00:05Z\"},";
        assert!(text.starts_with("{\"version\":1,\"pid\":") && text.contains(first), "{text}");
        for _ in 0..2 {
            spool.tell_agenda(None).unwrap();
            assert_eq!(spool.view().agenda().unwrap(), None);
        }
        assert_eq!(Agenda::new(None, Vec::new(), 0), None);
    }

    #[test]
    fn one_that_is_damaged_or_somebody_elses_says_why_it_says_nothing() {
        let (folder, spool) = spool();
        let path = folder.path().join("spool/.agenda");
        for (text, why) in [
            ("", "not of a form"),
            ("{\"version\":1}", "missing field"),
            ("{\"version\":2,\"new\":true}", "is of version 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = spool.view().agenda().unwrap_err();
            assert!(Chain(&error).to_string().contains(why), "{text}: {}", Chain(&error));
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(spool.view().agenda(), Err(AgendaError::Disk(_))));
        assert!(spool.tell_agenda(Some(&agenda(1))).is_err());
        assert_eq!(std::fs::read_dir(folder.path().join("spool/.tmp")).unwrap().count(), 0);
    }

    #[test]
    fn the_longest_can_be_read() {
        let (_folder, spool) = spool();
        let Agenda { api, attempts, .. } = agenda(u32::MAX);
        let mut attempt = attempts[0].clone();
        let run = format!("{}.20261122T120000Z", "\"".repeat(111));
        (attempt.run, attempt.plugin) = (run.parse().unwrap(), "p".repeat(128).parse().ok());
        let longest = Agenda::new(api, vec![attempt; ATTEMPTS_MAX], usize::MAX);
        spool.tell_agenda(longest.as_ref()).unwrap();
        assert_eq!(spool.view().agenda().unwrap(), longest);
    }
}
