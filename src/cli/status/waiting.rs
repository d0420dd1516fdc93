//! What is not over, and what it waits for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::attempts::{Attempts, Need, RunAttempts};
use super::entries::{Entries, Listing};
use super::{Failure, Hand};
use crate::spool::{DeliveryState, Fate, Folder, Record, Run};

/// How many records of a folder are read, the oldest first.
const RECORDS_MAX: usize = 1000;

/// An entry that is not over.
#[derive(Debug, Serialize)]
pub(super) struct Waiting {
    pub(super) folder: Folder,
    /// The run, or the name of a file that is none.
    pub(super) name: String,
    /// Why it is there.
    pub(super) why: String,
    /// When what failed is tried again.
    #[serde(flatten)]
    pub(super) attempts: RunAttempts,
}

/// Returns what is not over with the reason, and how many more there are; `paused` has each job
/// that there is, and `attempts` what is tried again.
pub(super) fn read(
    entries: &Entries,
    hand: &Hand<'_>,
    paused: &BTreeMap<&str, bool>,
    attempts: &Attempts,
    now: Timestamp,
) -> Result<(Vec<Waiting>, usize), Failure> {
    let (view, mut waiting, mut more) = (hand.view(), Vec::new(), 0);
    for Listing { folder, runs, others } in &entries.0 {
        let folder = *folder;
        if !folder.is_active() && folder != Folder::Invalid {
            continue;
        }
        more += runs.len().saturating_sub(RECORDS_MAX);
        for id in runs.iter().take(RECORDS_MAX) {
            let run = view.take(folder, id)?;
            // One that is none has moved on, or is no record.
            let record = run.as_ref().map(Run::record);
            let why = record.and_then(|record| why(folder, record, paused, now));
            let why = why.or_else(|| hand.reason(id)).unwrap_or_default();
            let need = record.map_or(Need::Nothing, |record| need(folder, record, paused));
            let attempts = attempts.of_run(folder, id, need);
            waiting.push(Waiting { folder, name: id.to_string(), why, attempts });
        }
        for name in others {
            let why = "a file that is no run".to_owned();
            let attempts = RunAttempts::default();
            waiting.push(Waiting { folder, name: name.clone(), why, attempts });
        }
    }
    Ok((waiting, more))
}

/// Returns why a run is where it is.
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
            Some(until) if now < until => format!("runs on the fleet until {until}"),
            Some(_) if record.settings.delay_results.is_some() => {
                "its action has expired: its results are fetched after delayresults".to_owned()
            }
            Some(_) => {
                "its action has expired: the platform is asked whether it is completed".to_owned()
            }
            None => "runs on the fleet".to_owned(),
        },
        Folder::Ready | Folder::CommandInflight => "its results are being fetched".to_owned(),
        Folder::Returned => {
            let owed = record.plugins.iter().filter(|d| d.state == DeliveryState::Owed);
            let names: Vec<&str> = owed.map(|delivery| delivery.plugin.as_str()).collect();
            format!("its results are owed to {}", names.join(", "))
        }
        Folder::Invalid | Folder::ActionDone | Folder::CommandDone => return None,
    };
    Some(match trouble {
        Some(trouble) => format!("{waits}; last: {trouble}"),
        None => waits,
    })
}

/// Returns what a run needs for its next attempt.
fn need(folder: Folder, record: &Record, paused: &BTreeMap<&str, bool>) -> Need {
    match folder {
        Folder::New if record.request.fate == Fate::Unknown => Need::Api,
        Folder::New => match record.job().map(|job| paused.get(job.as_str())) {
            Some(Some(true) | None) => Need::Person,
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

/// Returns what a run waits for that was not accepted yet.
fn unsent(record: &Record, paused: &BTreeMap<&str, bool>) -> String {
    let deadline = record.settings.deadline;
    if record.request.fate == Fate::Unknown {
        return "it is not known whether the platform has it: it is looked for there".to_owned();
    }
    match record.job().map(|job| paused.get(job.as_str())) {
        Some(Some(true)) => format!(
            "{} is paused: waits until the pause ends, or its deadline passes at {deadline}",
            record.name
        ),
        Some(None) => {
            format!("{} is not there, or not usable: waits for it until {deadline}", record.name)
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
    fn a_run_tells_what_it_waits_for_and_what_went_wrong() {
        let mut run = record("job.20261122T120000Z");
        let told = |run: &Record, folder, paused: &[(&str, bool)]| {
            let now = "2026-11-22T12:30:00Z".parse().unwrap();
            why(folder, run, &paused.iter().copied().collect(), now).unwrap_or_default()
        };
        let ready = [("job", false)];
        assert_eq!(told(&run, Folder::New, &ready), "to be sent before 2026-11-22T13:00:00Z");
        assert!(told(&run, Folder::New, &[("job", true)]).starts_with("job is paused: waits"));
        assert!(told(&run, Folder::New, &[]).starts_with("job is not there"));
        run.error = Some("connection refused".to_owned());
        assert!(told(&run, Folder::New, &ready).ends_with("Z; last: connection refused"));
        run.request.fate = Fate::Unknown;
        assert!(told(&run, Folder::New, &[("job", true)]).starts_with("it is not known"));
        let plugin: PluginName = "mail".parse().unwrap();
        run.plugins.push(Delivery { plugin, state: DeliveryState::Owed });
        let owed = "its results are owed to mail; last: connection refused";
        assert_eq!(told(&run, Folder::Returned, &ready), owed);
        assert_eq!(told(&run, Folder::Invalid, &ready), "connection refused");
        run.error = None;
        for (expires, delay, wanted) in [
            ("2026-11-22T12:30:01Z", None, "runs on the fleet until 2026-11-22T12:30:01Z"),
            ("2026-11-22T12:30:00Z", None, "its action has expired: the platform is asked"),
            ("2026-11-22T12:30:00Z", Some(60), "its action has expired: its results are fetched"),
        ] {
            run.request.expire_after = Some(expires.parse().unwrap());
            run.settings.delay_results = delay.map(std::time::Duration::from_secs);
            let told = told(&run, Folder::ActionInflight, &ready);
            assert!(told.starts_with(wanted), "{told}");
        }
    }
}
