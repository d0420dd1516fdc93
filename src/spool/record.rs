//! The record of a run: one type for every folder.
//!
//! The folder says what to do next, and the record says what is known, so that a file is still
//! readable after an operator has moved it. Everything that a run will ever need is copied into its
//! record at launch; the job folder is not read again for it.
//!
//! **Invariants.** `version` comes first, and a record of another version is never rewritten. Every
//! write raises `seq`: of several files of one run, the one with the highest counts.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::action::{LargeAnswer, Summary};
use crate::names::{ActionId, JobName, PluginName, RunId};

/// The version of the records that this program writes.
pub(crate) const VERSION: u32 = 1;
/// Size limit of a record, in bytes: holds an action of 10 MiB three times (as given, as posted
/// and as the API answered it), escaped in JSON.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Everything that is known about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    /// Also the stem of the file's name.
    pub(crate) id: RunId,
    /// Number of times that the record was written.
    pub(crate) seq: u64,
    /// The action as the API returned it, byte for byte; `None` until it was accepted.
    pub(crate) action: Option<Box<RawValue>>,
    /// The job's name, or the stem of a dropped file; `name` in the results document.
    pub(crate) name: JobName,
    /// The first plugin, or empty without plugins; `plugin` in the results document.
    pub(crate) plugin: String,
    pub(crate) origin: Origin,
    /// The time for which the run was launched, in UTC.
    pub(crate) slot: Timestamp,
    /// When the run last entered `action/new`.
    pub(crate) entered: Timestamp,
    /// The job's settings at launch.
    pub(crate) settings: Settings,
    /// The action to be posted, or as it was posted.
    pub(crate) request: Submission,
    #[serde(rename = "actionid")]
    pub(crate) action_id: Option<ActionId>,
    /// When the runner found that the action had ended or that its results are not wanted; after
    /// the operator put the run back, when its fetch began again.
    pub(crate) collected: Option<Timestamp>,
    /// The last status of the action on the platform: `completed`, `invalid`, …
    pub(crate) status: Option<String>,
    /// The number of the action's commands, as the platform reported it with that status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sent: Option<u64>,
    /// The path of the results document, relative to the runner's directory.
    pub(crate) document: Option<String>,
    /// When the document became complete.
    pub(crate) fetched: Option<Timestamp>,
    /// The plugins that get the document, each with the state of its delivery.
    pub(crate) plugins: Vec<Delivery>,
    /// Counts of the results.
    pub(crate) summary: Option<Summary>,
    /// The first of the answers that were too large to be stored.
    #[serde(rename = "toolarge", default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) too_large: Vec<LargeAnswer>,
    /// The last error.
    pub(crate) error: Option<String>,
    /// Why the run is in `action/invalid`, or why its fetch was given up.
    pub(crate) reason: Option<String>,
    /// The newer run of the same job that took this run's place before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superseded: Option<RunId>,
}

/// What created a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// The schedule: a slot was due.
    Schedule,
    /// The command `trigger`.
    Trigger,
    /// The operator put an action into `action/new`.
    Dropped,
    /// The original runner posted the action.
    Adopted,
}

/// The settings of a job at the time of the launch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Period for which the action is valid.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) expiry: Duration,
    /// Whether the runner leaves the results on the platform.
    #[serde(rename = "sendonly")]
    pub(crate) send_only: bool,
    /// Delay between the expiry and the fetch; `None`: fetch when the platform says completed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[serde(rename = "delayresults")]
    pub(crate) delay_results: Option<Duration>,
    /// Whether the results are fetched as soon as all agents have answered.
    #[serde(rename = "earlyresults")]
    pub(crate) early_results: bool,
    /// Time after which the run is no longer sent.
    pub(crate) deadline: Timestamp,
    /// Time limit of a plugin.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[serde(rename = "plugintimeout")]
    pub(crate) plugin_timeout: Duration,
}

/// The action that a run posts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Submission {
    /// The action as the job or the operator supplied it.
    pub(crate) template: String,
    /// Whether the template is posted unchanged, because it came with signatures and dates.
    pub(crate) verbatim: bool,
    /// The exact JSON text that was last signed for posting.
    pub(crate) posted: Option<String>,
    /// The name inside the posted action.
    #[serde(rename = "actionname")]
    pub(crate) action_name: String,
    /// Start of the posted action's validity.
    #[serde(rename = "validfrom")]
    pub(crate) valid_from: Option<Timestamp>,
    /// End of the posted action's validity.
    #[serde(rename = "expireafter")]
    pub(crate) expire_after: Option<Timestamp>,
    /// Every signature ever made for the run.
    pub(crate) signatures: Vec<String>,
    /// What is known of the last POST.
    pub(crate) fate: Fate,
}

/// Whether the platform has the action of the last POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    Unsent,
    /// The platform may have the action. Until this is known, the run is neither posted nor signed.
    Unknown,
    /// The platform does not have the action.
    Refused,
    /// The platform has the action.
    Accepted,
}

impl Fate {
    /// Returns the word used in the record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fate::Unsent => "unsent",
            Fate::Unknown => "unknown",
            Fate::Refused => "refused",
            Fate::Accepted => "accepted",
        }
    }
}

/// The delivery of the results to one plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    pub(crate) plugin: PluginName,
    pub(crate) state: DeliveryState,
}

/// The state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    /// The plugin has not accepted the results yet.
    Owed,
    /// The plugin accepted the results.
    Delivered,
    /// The plugin failed for longer than `giveup`.
    GivenUp,
    /// Nothing to deliver: the run is `sendonly` or was superseded.
    Skipped,
}

/// The input from which the first record of a run is built.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) id: RunId,
    pub(crate) origin: Origin,
    /// The job's name, or the stem of a dropped file.
    pub(crate) name: JobName,
    pub(crate) template: String,
    /// The name that the posted action will have.
    pub(crate) action_name: String,
    /// Whether the template is posted unchanged.
    pub(crate) verbatim: bool,
    pub(crate) settings: Settings,
    pub(crate) plugins: Vec<PluginName>,
}

impl Record {
    /// Returns the first record of a run, which enters `action/new` at `now`.
    pub(crate) fn new(launch: Launch, now: Timestamp) -> Record {
        let plugin = launch.plugins.first().map(ToString::to_string).unwrap_or_default();
        let state =
            if launch.settings.send_only { DeliveryState::Skipped } else { DeliveryState::Owed };
        let delivery = |plugin| Delivery { plugin, state };
        Record {
            version: VERSION,
            slot: launch.id.slot(),
            id: launch.id,
            seq: 1,
            action: None,
            name: launch.name,
            plugin,
            origin: launch.origin,
            entered: now,
            settings: launch.settings,
            request: Submission {
                template: launch.template,
                verbatim: launch.verbatim,
                posted: None,
                action_name: launch.action_name,
                valid_from: None,
                expire_after: None,
                signatures: Vec::new(),
                fate: Fate::Unsent,
            },
            action_id: None,
            collected: None,
            status: None,
            sent: None,
            document: None,
            fetched: None,
            plugins: launch.plugins.into_iter().map(delivery).collect(),
            summary: None,
            too_large: Vec::new(),
            error: None,
            reason: None,
            superseded: None,
        }
    }

    /// Returns whether the run's results are fetched and delivered. This includes a `sendonly` run
    /// whose record the operator put into `command/ready`.
    pub(crate) fn has_results(&self) -> bool {
        let is_plain = !self.settings.send_only && self.superseded.is_none();
        is_plain || self.document.is_some()
    }

    /// Marks all owed deliveries as skipped, because there are no results.
    pub(crate) fn skip_deliveries(&mut self) {
        skip(&mut self.plugins);
    }

    /// Returns the deliveries for display. Records of `sendonly` runs that earlier versions wrote
    /// say `owed`, although nothing is delivered unless the operator has the results fetched.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut shown = self.plugins.clone();
        if !self.has_results() {
            skip(&mut shown);
        }
        shown
    }

    /// Returns the job that the run belongs to; `None` for a dropped action.
    pub(crate) fn job(&self) -> Option<&JobName> {
        match self.origin {
            Origin::Schedule | Origin::Trigger | Origin::Adopted => Some(&self.name),
            Origin::Dropped => None,
        }
    }

    /// Returns the content of the record's file.
    ///
    /// # Errors
    /// Only a bug could cause one: every record can be encoded.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Returns the record without its long texts: enough for decisions, not for sending.
    pub(crate) fn facts(mut self) -> Record {
        self.action = None;
        self.request.template = String::new();
        // Decisions depend on whether a text was posted, not on the text.
        self.request.posted = self.request.posted.map(|_| String::new());
        self
    }
}

fn skip(plugins: &mut [Delivery]) {
    for delivery in plugins.iter_mut().filter(|d| d.state == DeliveryState::Owed) {
        delivery.state = DeliveryState::Skipped;
    }
}

/// What the bytes of a file in the spool represent.
#[derive(Debug)]
pub(crate) enum FileContent {
    Record(Box<Record>),
    /// A plain MIG action.
    Action(String),
    /// A record of a version that this program does not know.
    Newer(u64),
    /// None of the above; contains the reason.
    Damaged(String),
}

/// Determines what the bytes of a file represent.
pub(crate) fn classify(bytes: &[u8]) -> FileContent {
    #[derive(Deserialize)]
    struct Head<'a> {
        version: Option<u64>,
        #[serde(borrow)]
        operations: Option<&'a RawValue>,
    }
    if bytes.is_empty() {
        return FileContent::Damaged("it is empty".to_owned());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return FileContent::Damaged("it is not UTF-8".to_owned());
    };
    match serde_json::from_str::<Head<'_>>(text) {
        Ok(Head { version: Some(version), .. }) if version != u64::from(VERSION) => {
            FileContent::Newer(version)
        }
        Ok(Head { version: Some(_), .. }) => match serde_json::from_str::<Record>(text) {
            Ok(record) => FileContent::Record(Box::new(record)),
            Err(error) => {
                FileContent::Damaged(format!("it is not a valid record of a run: {error}"))
            }
        },
        Ok(Head { version: None, operations: Some(_) }) => FileContent::Action(text.to_owned()),
        Ok(Head { version: None, operations: None }) => FileContent::Damaged(
            "it is neither a record nor an action: it has no operations".to_owned(),
        ),
        Err(error) => FileContent::Damaged(format!("it is not a JSON object: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    #[test]
    fn record_reads_back_as_written() {
        let written = record("job.20261122T120000Z");
        let bytes = written.to_bytes().unwrap();
        assert!(bytes.starts_with(b"{\"version\":1,\"id\":\"job.20261122T120000Z\",\"seq\":1,"));
        let FileContent::Record(read) = classify(&bytes) else { panic!("no record") };
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn answer_of_the_api_is_kept_byte_for_byte() {
        let mut written = record("job.20261122T120000Z");
        let answer = r#"{"id":28052764426370,  "x":1e400,"y":"\ud800"}"#;
        written.action = Some(RawValue::from_string(answer.to_owned()).unwrap());
        let FileContent::Record(read) = classify(&written.to_bytes().unwrap()) else {
            panic!("no record")
        };
        assert_eq!(read.action.unwrap().get(), answer);
    }

    #[test]
    fn actions_newer_records_and_damaged_files_are_recognised() {
        assert!(matches!(classify(br#"{"version":2,"new":true}"#), FileContent::Newer(2)));
        assert!(matches!(classify(br#"{"name":"x","operations":[]}"#), FileContent::Action(_)));
        for damaged in [&b""[..], b"{", b"[]", b"null", b"\xff", b"{}", br#"{"version":1}"#] {
            assert!(matches!(classify(damaged), FileContent::Damaged(_)), "{damaged:?}");
        }
    }

    #[test]
    fn every_truncated_record_is_damaged() {
        let bytes = record("job.20261122T120000Z").to_bytes().unwrap();
        // The last byte is the newline, which a record can lose.
        for end in 0..bytes.len() - 1 {
            assert!(matches!(classify(&bytes[..end]), FileContent::Damaged(_)), "{end}");
        }
    }
}
