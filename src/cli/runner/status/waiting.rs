//! Unfinished runs and dead letters, with what each is waiting for.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use jiff::Timestamp;
use serde::Serialize;

use super::attempts::{Attempts, Need, RunAttempts};
use super::entries::{Entries, Listing};
use crate::cli::failure::Failure;
use crate::cli::runner::spool_access::SpoolAccess;
use crate::spool::{DeliveryState, Fate, Folder, Record, Seen};

/// Maximum number of records that are read in a folder, the oldest first.
const RECORDS_MAX: usize = 1000;

/// An unfinished run, or a file that is not a run.
#[derive(Debug, Serialize)]
pub(super) struct WaitingEntry {
    pub(super) folder: Folder,
    /// The run id, or the name of a file that is not a run.
    pub(super) name: String,
    /// What it is waiting for.
    pub(super) why: String,
    #[serde(flatten)]
    pub(super) attempts: RunAttempts,
}

/// Returns the unfinished runs and dead letters, and the number of those that were not read.
/// `paused` has an entry for each existing job.
pub(super) fn read(
    entries: &Entries,
    spool: &SpoolAccess<'_>,
    paused: &BTreeMap<&str, bool>,
    attempts: &Attempts,
    now: Timestamp,
) -> Result<(Vec<WaitingEntry>, usize), Failure> {
    let (view, mut waiting, mut more) = (spool.report_view(), Vec::new(), 0);
    for Listing { folder, runs, others } in &entries.listings {
        let folder = *folder;
        if !folder.is_active() && folder != Folder::Invalid {
            continue;
        }
        more += runs.len().saturating_sub(RECORDS_MAX);
        for id in runs.iter().take(RECORDS_MAX) {
            let seen = view.read_entry(folder, OsStr::new(&id.file_name()))?;
            // `None` for a file that is not a record, or a run that has moved on.
            let record = if let Seen::Run(run) = &seen { Some(run.record()) } else { None };
            let why = match &seen {
                Seen::Run(run) => why(folder, run.record(), paused, now),
                Seen::Unreadable { reason } => Some(format!("cannot be read: {reason}")),
                _ => None,
            };
            let why = why.or_else(|| spool.reason(id)).unwrap_or_default();
            let need = record.map_or(Need::Nothing, |record| need(folder, record, paused));
            let attempts = attempts.of_run(folder, id, need);
            waiting.push(WaitingEntry { folder, name: id.to_string(), why, attempts });
        }
        for name in others {
            let why = "not a run: ignored".to_owned();
            let attempts = RunAttempts::default();
            waiting.push(WaitingEntry { folder, name: name.clone(), why, attempts });
        }
    }
    Ok((waiting, more))
}

/// Returns what a run is waiting for, or why it is a dead letter.
fn why(
    folder: Folder,
    record: &Record,
    paused: &BTreeMap<&str, bool>,
    now: Timestamp,
) -> Option<String> {
    let trouble = record.reason.as_ref().or(record.error.as_ref());
    if folder == Folder::Invalid {
        return trouble.cloned();
    }
    let waits = match folder {
        Folder::New => unsent(record, paused),
        Folder::ActionInflight => match record.request.expire_after {
            Some(until) if now < until => format!("running on the fleet until {until}"),
            Some(_) if record.settings.delay_results.is_some() => {
                "action expired; results are fetched after delayresults".to_owned()
            }
            Some(_) => "action expired; checking whether it is completed".to_owned(),
            None => "running on the fleet".to_owned(),
        },
        Folder::Ready | Folder::CommandInflight => "fetching results".to_owned(),
        Folder::Returned => {
            let owed = record.plugins.iter().filter(|d| d.state == DeliveryState::Owed);
            let names: Vec<&str> = owed.map(|delivery| delivery.plugin.as_str()).collect();
            format!("results owed to {}", names.join(", "))
        }
        Folder::Invalid | Folder::ActionDone | Folder::CommandDone => return None,
    };
    Some(match trouble {
        Some(trouble) => format!("{waits}; last error: {trouble}"),
        None => waits,
    })
}

fn need(folder: Folder, record: &Record, paused: &BTreeMap<&str, bool>) -> Need {
    match folder {
        Folder::New if record.request.fate == Fate::Unknown => Need::Api,
        Folder::New => match record.job().map(|job| paused.get(job.as_str())) {
            Some(Some(true) | None) => Need::Operator,
            Some(Some(false)) | None => Need::Api,
        },
        Folder::Ready | Folder::CommandInflight => Need::Api,
        Folder::ActionInflight
        | Folder::Returned
        | Folder::Invalid
        | Folder::ActionDone
        | Folder::CommandDone => Need::Nothing,
    }
}

/// Returns what a run in `action/new` is waiting for.
fn unsent(record: &Record, paused: &BTreeMap<&str, bool>) -> String {
    let deadline = record.settings.deadline;
    if record.request.fate == Fate::Unknown {
        return "posted, but not known whether accepted; searching the platform for it".to_owned();
    }
    match record.job().map(|job| paused.get(job.as_str())) {
        Some(Some(true)) => {
            format!("job {} is paused; waiting for the pause to end, until {deadline}", record.name)
        }
        Some(None) => {
            format!("job {} is missing or invalid; waiting for it until {deadline}", record.name)
        }
        Some(Some(false)) | None => format!("to be sent before {deadline}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::PluginName;
    use crate::spool::Delivery;
    use crate::spool::testing::record;

    #[test]
    fn entry_states_what_it_waits_for_and_last_error() {
        let mut run = record("job.20261122T120000Z");
        let shown = |run: &Record, folder, paused: &[(&str, bool)]| {
            let now = "2026-11-22T12:30:00Z".parse().unwrap();
            why(folder, run, &paused.iter().copied().collect(), now).unwrap_or_default()
        };
        let ready = [("job", false)];
        assert_eq!(shown(&run, Folder::New, &ready), "to be sent before 2026-11-22T13:00:00Z");
        assert!(
            shown(&run, Folder::New, &[("job", true)]).starts_with("job job is paused; waiting")
        );
        assert!(shown(&run, Folder::New, &[]).starts_with("job job is missing"));
        run.error = Some("connection refused".to_owned());
        assert!(shown(&run, Folder::New, &ready).ends_with("Z; last error: connection refused"));
        run.request.fate = Fate::Unknown;
        assert!(shown(&run, Folder::New, &[("job", true)]).starts_with("posted, but not known"));
        let plugin: PluginName = "mail".parse().unwrap();
        run.plugins.push(Delivery { plugin, state: DeliveryState::Owed });
        let owed = "results owed to mail; last error: connection refused";
        assert_eq!(shown(&run, Folder::Returned, &ready), owed);
        assert_eq!(shown(&run, Folder::Invalid, &ready), "connection refused");
        run.error = None;
        for (expires, delay, wanted) in [
            ("2026-11-22T12:30:01Z", None, "running on the fleet until 2026-11-22T12:30:01Z"),
            ("2026-11-22T12:30:00Z", None, "action expired; checking"),
            ("2026-11-22T12:30:00Z", Some(60), "action expired; results are fetched"),
        ] {
            run.request.expire_after = Some(expires.parse().unwrap());
            run.settings.delay_results = delay.map(std::time::Duration::from_secs);
            let text = shown(&run, Folder::ActionInflight, &ready);
            assert!(text.starts_with(wanted), "{text}");
        }
    }
}
