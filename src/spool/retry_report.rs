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
const RETRY_REPORT_BYTES_MAX: u64 = 1024 * 1024;

/// What failed and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryReport {
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

/// Why a retry report says nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryReportError {
    /// It cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is damaged, or of another version.
    #[error("`.retries` in the spool is not of a form that this version knows")]
    Form { source: serde_json::Error },
    /// It is of another version.
    #[error("`.retries` in the spool is of version {0}")]
    Version(u32),
}

impl RetryReport {
    /// Returns what this process tries; nothing if nothing failed.
    pub(crate) fn new(
        api: Option<Again>,
        attempts: Vec<Attempt>,
        more: usize,
    ) -> Option<RetryReport> {
        if api.is_none() && attempts.is_empty() {
            return None;
        }
        Some(RetryReport { version: VERSION, process: std::process::id(), api, attempts, more })
    }
}

impl Spool {
    /// Replaces what is told, as a whole; with `None`, nothing is told any more.
    pub(crate) fn write_retry_report(
        &self,
        retry_report: Option<&RetryReport>,
    ) -> Result<(), SpoolError> {
        let path = self.layout.retry_report();
        let Some(retry_report) = retry_report else {
            return match self.disk.unlink(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
                _ => Ok(()),
            };
        };
        let mut bytes = serde_json::to_vec(retry_report)
            .map_err(|source| SpoolError::RetryReport { source })?;
        bytes.push(b'\n');
        Ok(self.disk.publish(&path, &bytes)?)
    }
}

impl View<'_> {
    /// Reads what is told; nothing if nothing is.
    ///
    /// # Errors
    /// See [`RetryReportError`]: nothing else depends on it.
    pub(crate) fn retry_report(&self) -> Result<Option<RetryReport>, RetryReportError> {
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        let bytes = match self.disk.read(&self.layout.retry_report(), RETRY_REPORT_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let form = |source| RetryReportError::Form { source };
        match serde_json::from_slice(&bytes).map_err(form)? {
            Head { version: VERSION } => serde_json::from_slice(&bytes).map(Some).map_err(form),
            Head { version } => Err(RetryReportError::Version(version)),
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

    fn retry_report(failures: u32) -> RetryReport {
        let again = Again { failures, next_attempt: "2026-11-22T12:00:05Z".parse().unwrap() };
        let attempt = |plugin: Option<&str>| Attempt {
            folder: Folder::Returned,
            run: "job.20261122T120000Z".parse().unwrap(),
            plugin: plugin.map(|plugin| plugin.parse().unwrap()),
            again,
        };
        RetryReport::new(Some(again), vec![attempt(Some("mail")), attempt(None)], 3).unwrap()
    }

    #[test]
    fn it_is_private_read_as_it_was_written_and_gone_when_nothing_is_told() {
        let (folder, spool) = spool();
        let path = folder.path().join("spool/.retries");
        assert_eq!(spool.view().retry_report().unwrap(), None);
        for failures in [1, 2] {
            spool.write_retry_report(Some(&retry_report(failures))).unwrap();
            assert_eq!(spool.view().retry_report().unwrap(), Some(retry_report(failures)));
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(folder.path().join("spool/.tmp")).unwrap().count(), 0);
        let text = std::fs::read_to_string(&path).unwrap();
        let first = "\"attempts\":[{\"folder\":\"command/returned\",\"run\":\"job.20261122T120000Z\",\
             \"plugin\":\"mail\",\"failures\":2,\"next_attempt\":\"2026-11-22T12:00:05Z\"},";
        assert!(text.starts_with("{\"version\":1,\"pid\":") && text.contains(first), "{text}");
        for _ in 0..2 {
            spool.write_retry_report(None).unwrap();
            assert_eq!(spool.view().retry_report().unwrap(), None);
        }
        assert_eq!(RetryReport::new(None, Vec::new(), 0), None);
    }

    #[test]
    fn one_that_is_damaged_or_somebody_elses_says_why_it_says_nothing() {
        let (folder, spool) = spool();
        let path = folder.path().join("spool/.retries");
        for (text, why) in [
            ("", "not of a form"),
            ("{\"version\":1}", "missing field"),
            ("{\"version\":2,\"new\":true}", "is of version 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = spool.view().retry_report().unwrap_err();
            assert!(Chain(&error).to_string().contains(why), "{text}: {}", Chain(&error));
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(spool.view().retry_report(), Err(RetryReportError::Disk(_))));
        assert!(spool.write_retry_report(Some(&retry_report(1))).is_err());
        assert_eq!(std::fs::read_dir(folder.path().join("spool/.tmp")).unwrap().count(), 0);
    }

    #[test]
    fn the_longest_can_be_read() {
        let (_folder, spool) = spool();
        let RetryReport { api, attempts, .. } = retry_report(u32::MAX);
        let mut attempt = attempts[0].clone();
        let run = format!("{}.20261122T120000Z", "\"".repeat(111));
        (attempt.run, attempt.plugin) = (run.parse().unwrap(), "p".repeat(128).parse().ok());
        let longest = RetryReport::new(api, vec![attempt; ATTEMPTS_MAX], usize::MAX);
        spool.write_retry_report(longest.as_ref()).unwrap();
        assert_eq!(spool.view().retry_report().unwrap(), longest);
    }
}
