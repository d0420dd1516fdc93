//! The retry report: which failed work is retried, and when. The runner writes it; `status` and the
//! operator read it.
//!
//! **Invariants.** It is output, not state: the runner never reads it, because a starting runner
//! retries everything at once. The file exists only while something has failed, and describes only
//! the process that wrote it. A crash may lose it.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::folder::Folder;
use super::{Spool, SpoolError, View};
use crate::disk::DiskError;
use crate::names::{PluginName, RunId};

/// Format version of the file.
const VERSION: u32 = 1;
/// Maximum number of attempts in a report.
pub(crate) const ATTEMPTS_MAX: usize = 1000;
/// Size limit of the file, in bytes: [`ATTEMPTS_MAX`] attempts with the longest names.
const RETRY_REPORT_BYTES_MAX: u64 = 1024 * 1024;

/// Failed work that is retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryReport {
    version: u32,
    /// The process that wrote the report.
    #[serde(rename = "pid")]
    pub(crate) process: u32,
    /// The circuit breaker, while the API, the network or the key is unavailable.
    pub(crate) api: Option<RetryTime>,
    /// Retries of individual runs and plugins, the earliest first.
    pub(crate) attempts: Vec<RetryAttempt>,
    /// Number of further attempts, which the report omits.
    pub(crate) more: usize,
}

/// Number of failures, and the time of the next attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetryTime {
    /// Number of consecutive failures.
    pub(crate) failures: u32,
    /// This time is in the past if the attempt is under way or waits for its turn.
    pub(crate) next_attempt: Timestamp,
}

/// The next attempt of a run or of one of its plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RetryAttempt {
    /// The run's folder.
    pub(crate) folder: Folder,
    pub(crate) run: RunId,
    /// The plugin that failed; `None` if the run itself failed.
    pub(crate) plugin: Option<PluginName>,
    #[serde(flatten)]
    pub(crate) retry: RetryTime,
}

/// Why a retry report cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RetryReportError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("`.retries` in the spool is not a valid retry report")]
    Form { source: serde_json::Error },
    #[error("`.retries` in the spool has the unknown version {0}")]
    Version(u32),
}

impl RetryReport {
    /// Returns the report of this process; `None` if nothing has failed.
    pub(crate) fn new(
        api: Option<RetryTime>,
        attempts: Vec<RetryAttempt>,
        more: usize,
    ) -> Option<RetryReport> {
        if api.is_none() && attempts.is_empty() {
            return None;
        }
        Some(RetryReport { version: VERSION, process: std::process::id(), api, attempts, more })
    }
}

impl Spool {
    /// Replaces the report as a whole; removes it if `None`.
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
    /// Reads the report; `None` if there is none.
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
        let retry = RetryTime { failures, next_attempt: "2026-11-22T12:00:05Z".parse().unwrap() };
        let attempt = |plugin: Option<&str>| RetryAttempt {
            folder: Folder::Returned,
            run: "job.20261122T120000Z".parse().unwrap(),
            plugin: plugin.map(|plugin| plugin.parse().unwrap()),
            retry,
        };
        RetryReport::new(Some(retry), vec![attempt(Some("mail")), attempt(None)], 3).unwrap()
    }

    #[test]
    fn report_is_private_reads_back_and_is_removed() {
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
    fn damaged_or_newer_report_yields_an_error() {
        let (folder, spool) = spool();
        let path = folder.path().join("spool/.retries");
        for (text, why) in [
            ("", "not a valid retry report"),
            ("{\"version\":1}", "missing field"),
            ("{\"version\":2,\"new\":true}", "has the unknown version 2"),
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
    fn longest_report_can_be_read() {
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
