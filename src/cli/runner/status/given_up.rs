//! Finished runs whose results or deliveries were given up, and which the operator must retry or
//! remove.

use std::collections::HashSet;

use serde::Serialize;

use super::entries::{Entries, READ_BYTES_MAX, RECORDS_MAX, UnreadableRecords};
use super::job::JobReport;
use crate::cli::failure::Failure;
use crate::cli::runner::outcome;
use crate::invocation::Program;
use crate::names::{PluginName, RunId};
use crate::spool::{DeliveryState, Folder, View};

/// Maximum number of runs that a message names.
const NAMED_MAX: usize = 3;

/// A finished run whose fetch or deliveries the runner gave up.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct GivenUp {
    pub(super) run: RunId,
    /// Whether the fetch of its results was given up.
    pub(super) results: bool,
    /// The plugins whose deliveries were given up.
    pub(super) plugins: Vec<PluginName>,
}

/// Returns the given-up runs among the newest finished ones, the newest first.
pub(super) fn read(
    entries: &Entries,
    view: &View<'_>,
    unreadable: &mut UnreadableRecords,
) -> Result<Vec<GivenUp>, Failure> {
    let (mut found, mut bytes) = (Vec::new(), 0_u64);
    let finished = entries.listings.iter().filter(|listing| listing.folder == Folder::CommandDone);
    for id in finished.flat_map(|listing| listing.runs.iter().rev()).take(RECORDS_MAX) {
        // A file that is not a record, or a run that has been retried meanwhile, is skipped.
        let Some(run) = unreadable.read(view, Folder::CommandDone, id)? else { continue };
        let record = run.record();
        if outcome::has_given_up(record) {
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

/// Returns the message for the operator about these runs. It leaves out the last run of each job,
/// which the report of that job names.
pub(super) fn attention(given_up: &[GivenUp], jobs: &[JobReport]) -> Option<String> {
    let last: HashSet<&RunId> =
        jobs.iter().filter_map(|job| Some(&job.last.as_ref()?.run)).collect();
    let others: Vec<&str> = given_up
        .iter()
        .filter(|found| !last.contains(&found.run))
        .map(|found| found.run.as_str())
        .collect();
    let named: Vec<&str> = others.iter().copied().take(NAMED_MAX).collect();
    let noun = if others.len() == 1 { "run" } else { "runs" };
    let more = match others.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!others.is_empty()).then(|| {
        format!(
            "gave up fetching or delivering the results of {} finished {noun}: {}{more}; retry with \
             `{}`, or remove the file from command/done to accept the loss",
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
    use crate::cli::runner::spool_access::SpoolAccess;
    use crate::cli::workspace::Workspace;
    use crate::disk::trust;
    use crate::spool::testing::{record, spool};
    use crate::spool::{Delivery, Record};

    /// Returns the record of a finished run with one plugin.
    fn finished(id: &str, state: DeliveryState) -> Record {
        let mut finished = record(id);
        finished.collected = Some(finished.slot);
        finished.summary = Some(crate::action::Summary::default());
        finished.plugins = vec![Delivery { plugin: "mail".parse().unwrap(), state }];
        finished
    }

    #[test]
    fn given_up_runs_are_found_behind_later_runs() {
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
        let workspace = Workspace::enter(&[spool.layout().root()]).unwrap();
        let (layout, owner) = (spool.layout(), trust::own_user());
        let access = SpoolAccess { layout, disk, owner, workspace: &workspace };
        let entries = Entries::read(&access.view());
        let found = read(&entries, &access.view(), &mut UnreadableRecords::default()).unwrap();
        let summary: Vec<_> = found
            .iter()
            .map(|found| (found.run.as_str(), found.results, found.plugins.len()))
            .collect();
        assert_eq!(
            summary,
            [("gone.20261122T110000Z", true, 0), ("job.20261122T100000Z", false, 1)]
        );
    }

    #[test]
    fn message_names_runs_and_remedies() {
        let given_up = |count: u32| -> Vec<GivenUp> {
            let run = |number| format!("job.20261122T12000{number}Z").parse().unwrap();
            let found = |number| GivenUp { run: run(number), results: true, plugins: Vec::new() };
            (0..count).map(found).collect()
        };
        assert_eq!(attention(&given_up(0), &[]), None);
        let one = attention(&given_up(1), &[]).unwrap();
        assert!(one.contains("1 finished run: job.20261122T120000Z; retry with `mig-"), "{one}");
        let five = attention(&given_up(5), &[]).unwrap();
        assert!(five.contains("5 finished runs: "), "{five}");
        assert!(
            five.contains("job.20261122T120002Z and 2 more; retry with `mig-runner retry RUN`"),
            "{five}"
        );
    }
}
