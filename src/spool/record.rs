//! What is known of a run: one type of record, readable in any folder.
//!
//! The folder says what is to be done next, the record what is known, so that a
//! file moved by hand still reads. All that a run will ever need is copied in
//! when it is launched; the job's folder is not read again for it.
//!
//! **Invariants.** `version` comes first; a record of another version is never
//! rewritten. `seq` is raised at every write: of several files of one run the
//! highest counts.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::action::Summary;
use crate::names::{ActionId, JobName, PluginName, RunId};

/// The version of the records that this program writes.
pub(crate) const VERSION: u32 = 1;
/// The largest record that is read, in bytes: an action of 10 MiB, posted and as it was given,
/// escaped in JSON, and as the API answered it.
pub(crate) const RECORD_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// All that is known of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    version: u32,
    /// The run's id; the file is named after it.
    pub(crate) id: RunId,
    /// How often the record was written.
    pub(crate) seq: u64,
    /// The action as the API answered, byte for byte; nothing before it was accepted.
    pub(crate) action: Option<Box<RawValue>>,
    /// The job's name, or the stem of a file that was dropped in: `name` in the results document.
    pub(crate) name: JobName,
    /// The first plugin, empty if there is none: `plugin` in the results document.
    pub(crate) plugin: String,
    /// How the run began.
    pub(crate) origin: Origin,
    /// The time that it is a run of, in UTC.
    pub(crate) slot: Timestamp,
    /// When it entered `action/new`, the last time it did.
    pub(crate) entered: Timestamp,
    /// What the job asks for.
    pub(crate) settings: Settings,
    /// What is, or was, to be posted.
    pub(crate) request: Request,
    /// The action's id on the platform.
    #[serde(rename = "actionid")]
    pub(crate) action_id: Option<ActionId>,
    /// When the action was found to be over and its results could be fetched.
    pub(crate) collected: Option<Timestamp>,
    /// The platform's last word on the action: `completed`, `invalid`, …
    pub(crate) status: Option<String>,
    /// The results document, relative to the runner's directory.
    pub(crate) document: Option<String>,
    /// When the document was complete.
    pub(crate) fetched: Option<Timestamp>,
    /// The plugins that get the document, and what became of that.
    pub(crate) plugins: Vec<Delivery>,
    /// What the results came to.
    pub(crate) summary: Option<Summary>,
    /// The last thing that went wrong.
    pub(crate) error: Option<String>,
    /// Why the run is in `action/invalid`, or why its fetch was given up.
    pub(crate) reason: Option<String>,
    /// The newer run of its job that took its place before it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) superseded: Option<RunId>,
}

/// How a run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    /// Its slot was due.
    Schedule,
    Trigger,
    /// An action was put into `action/new` by hand.
    Dropped,
    /// The original runner had posted it.
    Adopted,
}

/// What a job asks for, as it was when the run was launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// How long the action is valid.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub(crate) expiry: Duration,
    /// Whether the results are left to others.
    #[serde(rename = "sendonly")]
    pub(crate) send_only: bool,
    /// How long after the expiry the results are fetched; `None`: when the platform says completed.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::optional")]
    #[serde(rename = "delayresults")]
    pub(crate) delay_results: Option<Duration>,
    /// Whether the results are taken as soon as all agents have answered.
    #[serde(rename = "earlyresults")]
    pub(crate) early_results: bool,
    /// Until when the run may be sent.
    pub(crate) deadline: Timestamp,
    /// How long a plugin may take.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[serde(rename = "plugintimeout")]
    pub(crate) plugin_timeout: Duration,
}

/// What is, or was, to be posted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The action as the job or the person gave it.
    pub(crate) template: String,
    /// Whether the template is posted as it stands: it came with its signatures and dates.
    pub(crate) verbatim: bool,
    /// The exact JSON text that was last signed for posting.
    pub(crate) posted: Option<String>,
    /// The name in the action that was posted.
    #[serde(rename = "actionname")]
    pub(crate) action_name: String,
    /// From when the action that was posted is valid.
    #[serde(rename = "validfrom")]
    pub(crate) valid_from: Option<Timestamp>,
    /// Until when the action that was posted is valid.
    #[serde(rename = "expireafter")]
    pub(crate) expire_after: Option<Timestamp>,
    /// Every signature ever made for the run.
    pub(crate) signatures: Vec<String>,
    /// What is known of the last POST.
    pub(crate) fate: Fate,
}

/// What is known of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fate {
    Unsent,
    /// The platform may have the action: neither post nor sign again before that is known.
    Unknown,
    /// The platform does not have the action.
    Refused,
    /// The platform has the action.
    Accepted,
}

impl Fate {
    /// Returns its word, as in the record.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fate::Unsent => "unsent",
            Fate::Unknown => "unknown",
            Fate::Refused => "refused",
            Fate::Accepted => "accepted",
        }
    }
}

/// A plugin that gets the results of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    pub(crate) plugin: PluginName,
    /// Whether it has them.
    pub(crate) state: DeliveryState,
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    /// The plugin has not taken the results yet.
    Owed,
    /// The plugin took the results.
    Delivered,
    /// It was tried for too long.
    GivenUp,
    /// There are no results for it: the run is `sendonly` or was superseded.
    Skipped,
}

/// What a new run is made from.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    pub(crate) id: RunId,
    pub(crate) origin: Origin,
    /// The job's name, or the stem of the file that was dropped in.
    pub(crate) name: JobName,
    pub(crate) template: String,
    /// The name that the posted action will bear.
    pub(crate) action_name: String,
    /// Whether the text is posted as it stands.
    pub(crate) verbatim: bool,
    /// What the job asks for.
    pub(crate) settings: Settings,
    /// The plugins that will get the results.
    pub(crate) plugins: Vec<PluginName>,
}

impl Record {
    /// Returns the first record of a run, as it enters `action/new`.
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
            request: Request {
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
            document: None,
            fetched: None,
            plugins: launch.plugins.into_iter().map(delivery).collect(),
            summary: None,
            error: None,
            reason: None,
            superseded: None,
        }
    }

    /// Returns whether the run's results are fetched and delivered: those of a `sendonly` run are if a
    /// person put its record into `command/ready`.
    pub(crate) fn has_results(&self) -> bool {
        let is_plain = !self.settings.send_only && self.superseded.is_none();
        is_plain || self.document.is_some()
    }

    /// Notes that no plugin gets results, because there are none.
    pub(crate) fn skip_deliveries(&mut self) {
        skip(&mut self.plugins);
    }

    /// Returns the deliveries to show to people. Records of `sendonly` runs from earlier versions call
    /// their plugins owed, although nothing is delivered unless the results are fetched by hand.
    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        let mut shown = self.plugins.clone();
        if !self.has_results() {
            skip(&mut shown);
        }
        shown
    }

    /// Returns the job that the run belongs to; an action that was dropped in belongs to none.
    pub(crate) fn job(&self) -> Option<&JobName> {
        match self.origin {
            Origin::Schedule | Origin::Trigger | Origin::Adopted => Some(&self.name),
            Origin::Dropped => None,
        }
    }

    /// Returns the record as it is written to disk.
    ///
    /// # Errors
    /// None is known; the type of the answer is serde's.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Returns the record without its long texts: enough to decide, not to act.
    pub(crate) fn facts(mut self) -> Record {
        self.action = None;
        self.request.template = String::new();
        // That something was posted is a fact; what, is not needed to decide.
        self.request.posted = self.request.posted.map(|_| String::new());
        self
    }
}

fn skip(plugins: &mut [Delivery]) {
    for delivery in plugins.iter_mut().filter(|d| d.state == DeliveryState::Owed) {
        delivery.state = DeliveryState::Skipped;
    }
}

/// What a file in the spool turned out to be.
#[derive(Debug)]
pub(crate) enum Content {
    Record(Box<Record>),
    /// A plain MIG action.
    Action(String),
    /// A record of a version that this program does not know.
    Newer(u64),
    /// None of these, and why not.
    Damaged(String),
}

/// Tells what the bytes of a file are.
pub(crate) fn classify(bytes: &[u8]) -> Content {
    #[derive(Deserialize)]
    struct Head<'a> {
        version: Option<u64>,
        #[serde(borrow)]
        operations: Option<&'a RawValue>,
    }
    if bytes.is_empty() {
        return Content::Damaged("it is empty".to_owned());
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Content::Damaged("it is not UTF-8".to_owned());
    };
    match serde_json::from_str::<Head<'_>>(text) {
        Ok(Head { version: Some(version), .. }) if version != u64::from(VERSION) => {
            Content::Newer(version)
        }
        Ok(Head { version: Some(_), .. }) => match serde_json::from_str::<Record>(text) {
            Ok(record) => Content::Record(Box::new(record)),
            Err(error) => Content::Damaged(format!("it is no record of a run: {error}")),
        },
        Ok(Head { version: None, operations: Some(_) }) => Content::Action(text.to_owned()),
        Ok(Head { version: None, operations: None }) => Content::Damaged(
            "it is neither a record nor an action: it has no operations".to_owned(),
        ),
        Err(error) => Content::Damaged(format!("it is no JSON object: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::record;
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let written = record("job.20261122T120000Z");
        let bytes = written.to_bytes().unwrap();
        assert!(bytes.starts_with(b"{\"version\":1,\"id\":\"job.20261122T120000Z\",\"seq\":1,"));
        let Content::Record(read) = classify(&bytes) else { panic!("no record") };
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn the_answer_of_the_api_is_kept_byte_for_byte() {
        let mut written = record("job.20261122T120000Z");
        let answer = r#"{"id":28052764426370,  "x":1e400,"y":"\ud800"}"#;
        written.action = Some(RawValue::from_string(answer.to_owned()).unwrap());
        let Content::Record(read) = classify(&written.to_bytes().unwrap()) else {
            panic!("no record")
        };
        assert_eq!(read.action.unwrap().get(), answer);
    }

    #[test]
    fn what_is_no_record_is_told_apart() {
        assert!(matches!(classify(br#"{"version":2,"new":true}"#), Content::Newer(2)));
        assert!(matches!(classify(br#"{"name":"x","operations":[]}"#), Content::Action(_)));
        for damaged in [&b""[..], b"{", b"[]", b"null", b"\xff", b"{}", br#"{"version":1}"#] {
            assert!(matches!(classify(damaged), Content::Damaged(_)), "{damaged:?}");
        }
    }

    #[test]
    fn every_truncation_is_damaged() {
        let bytes = record("job.20261122T120000Z").to_bytes().unwrap();
        // The last byte is the newline.
        for end in 0..bytes.len() - 1 {
            assert!(matches!(classify(&bytes[..end]), Content::Damaged(_)), "{end}");
        }
    }
}
