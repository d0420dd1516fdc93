//! What was given up of runs that are finished: a person has it tried again, or accepts the loss.

use std::collections::HashSet;

use serde::Serialize;

use super::Failure;
use super::entries::Entries;
use super::job::JobReport;
use crate::cli::outcome;
use crate::invocation::Program;
use crate::names::{PluginName, RunId};
use crate::spool::{DeliveryState, Folder, View};

/// How many finished runs are looked at, the newest first.
pub(super) const RECORDS_MAX: usize = 2000;
/// How much is read of them, in bytes: the record of a run holds its action, which may be large.
pub(super) const READ_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How many are named to a person.
const NAMED_MAX: usize = 3;

/// A finished run of which something was given up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct GivenUp {
    pub(super) run: RunId,
    /// Whether its results were.
    pub(super) results: bool,
    /// The plugins that do not have them.
    pub(super) plugins: Vec<PluginName>,
}

/// Returns the finished runs of which something was given up, the newest first.
pub(super) fn read(entries: &Entries, view: &View<'_>) -> Result<Vec<GivenUp>, Failure> {
    let (mut found, mut bytes) = (Vec::new(), 0_u64);
    let finished = entries.0.iter().filter(|listing| listing.folder == Folder::CommandDone);
    for id in finished.flat_map(|listing| listing.runs.iter().rev()).take(RECORDS_MAX) {
        // One that is none was put back meanwhile, or is no record.
        let Some(run) = view.take(Folder::CommandDone, id)? else { continue };
        let record = run.record();
        if outcome::needs_person(record) {
            let lost = record.plugins.iter().filter(|d| d.state == DeliveryState::GivenUp);
            let plugins = lost.map(|delivery| delivery.plugin.clone()).collect();
            found.push(GivenUp { run: id.clone(), results: record.summary.is_none(), plugins });
        }
        bytes = bytes.saturating_add(run.stamp().size);
        if bytes > READ_BYTES_MAX {
            break;
        }
    }
    Ok(found)
}

/// Returns what a person is told of these runs; of the last run of a job its report tells.
pub(super) fn attention(given_up: &[GivenUp], jobs: &[JobReport]) -> Option<String> {
    let last: HashSet<&RunId> =
        jobs.iter().filter_map(|job| Some(&job.last.as_ref()?.run)).collect();
    let others: Vec<&str> = given_up
        .iter()
        .filter(|found| !last.contains(&found.run))
        .map(|found| found.run.as_str())
        .collect();
    let named: Vec<&str> = others.iter().copied().take(NAMED_MAX).collect();
    let (noun, verb) = if others.len() == 1 { ("run", "was") } else { ("runs", "were") };
    let more = match others.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!others.is_empty()).then(|| {
        format!(
            "results or deliveries of {} finished {noun} {verb} given up: {}{more}; `{}` \
             tries a run again; removing its file from command/done accepts the loss",
            others.len(),
            named.join(", "),
            Program::Runner.command_here(&["retry", "RUN"])
        )
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests fill a spool")]

    use super::*;
    use crate::cli::status::Hand;
    use crate::disk::trust;
    use crate::spool::testing::{record, spool};
    use crate::spool::{Delivery, Record};

    /// Returns a record of a run that came to its end, with one plugin.
    fn finished(id: &str, state: DeliveryState) -> Record {
        let mut finished = record(id);
        finished.collected = Some(finished.slot);
        finished.summary = Some(crate::action::Summary::default());
        finished.plugins = vec![Delivery { plugin: "mail".parse().unwrap(), state }];
        finished
    }

    #[test]
    fn what_was_given_up_is_found_behind_later_runs() {
        let (_folder, spool) = spool();
        let mut unfetched = finished("gone.20261122T110000Z", DeliveryState::Owed);
        unfetched.summary = None;
        for record in [
            unfetched,
            finished("job.20261122T100000Z", DeliveryState::GivenUp),
            finished("job.20261122T120000Z", DeliveryState::Delivered),
        ] {
            let path = spool.layout().run(Folder::CommandDone, &record.id);
            std::fs::write(path, record.to_bytes().unwrap()).unwrap();
        }
        let disk = spool.disk().clone();
        let hand = Hand { layout: spool.layout(), disk, owner: trust::own_user() };
        let entries = Entries::read(&hand.view()).unwrap();
        let found = read(&entries, &hand.view()).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|found| (found.run.as_str(), found.results, found.plugins.len()))
            .collect();
        assert_eq!(told, [("gone.20261122T110000Z", true, 0), ("job.20261122T100000Z", false, 1)]);
    }

    #[test]
    fn a_person_is_told_how_many_and_what_to_do() {
        let given_up = |count: u32| -> Vec<GivenUp> {
            let run = |number| format!("job.20261122T12000{number}Z").parse().unwrap();
            let found = |number| GivenUp { run: run(number), results: true, plugins: Vec::new() };
            (0..count).map(found).collect()
        };
        assert_eq!(attention(&given_up(0), &[]), None);
        let one = attention(&given_up(1), &[]).unwrap();
        assert!(one.contains("1 finished run was given up: job.20261122T120000Z; `mig-"), "{one}");
        let five = attention(&given_up(5), &[]).unwrap();
        assert!(five.contains("5 finished runs were"), "{five}");
        assert!(five.contains("job.20261122T120002Z and 2 more; `mig-runner retry RUN`"), "{five}");
    }
}
