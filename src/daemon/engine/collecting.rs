//! Collecting: creates the command records of actions that have ended.

use super::Engine;
use super::moves::RequestedMove;
use crate::spool::{Folder, Record, Run, SpoolError, Transition};
use crate::stage::fetch;

impl Engine {
    /// Creates the command records of the runs that are collected: they must be durable before the
    /// actions count as over. Returns the moves that can be made.
    pub(super) fn make_ready(
        &self,
        located: Vec<(RequestedMove, Run)>,
        failed: &mut Vec<(RequestedMove, SpoolError)>,
    ) -> Vec<(RequestedMove, Run)> {
        let (collected, mut ready): (Vec<_>, Vec<_>) = located
            .into_iter()
            .partition(|(requested, _)| requested.moved.transition == Transition::Collected);
        let records = collected.into_iter().map(|(requested, run)| {
            let mut record = run.record().clone();
            requested.moved.edit_record(&mut record);
            self.choose_document(&mut record);
            ((requested, run), record)
        });
        for ((requested, run), created) in self.parts.spool.make_ready(records.collect()) {
            match created {
                Ok(()) => ready.push((requested, run)),
                Err(error) => failed.push((requested, error)),
            }
        }
        ready
    }

    /// Chooses the path of a run's document, so that its fetch can begin with a single rename. If
    /// that is not possible now, the path is chosen when the fetch begins.
    fn choose_document(&self, record: &mut Record) {
        let (disk, directory) = (self.parts.spool.disk(), &self.parts.settings.directory);
        if record.document.is_none() {
            record.document = fetch::document_path(disk, directory, record).ok();
        }
    }

    /// Has the results of a run fetched now: the operator moved it to `action/done` before its
    /// action ended.
    pub(super) fn collect_now(&mut self, run: Run) -> Result<(), SpoolError> {
        let now = self.parts.clock.now();
        let mark = |record: &mut Record| {
            record.collected = Some(now);
            if !record.has_results() {
                record.skip_deliveries();
            }
        };
        let id = run.record().id.clone();
        if run.record().action_id.is_none() {
            let reason = "it was never accepted, so there are no results: move it to action/new";
            return self.parts.spool.reject(Folder::ActionDone, id.file_name().as_ref(), reason);
        }
        if run.record().has_results() {
            let mut record = run.record().clone();
            mark(&mut record);
            self.choose_document(&mut record);
            for ((), created) in self.parts.spool.make_ready(vec![((), record)]) {
                created?;
            }
        }
        let marked = self.parts.spool.apply(run, Transition::Marked, mark)?;
        if self.events.is_some() {
            self.scan.expect_own_move(&id, marked.stamp());
        }
        match self.parts.spool.read_run(Folder::Ready, &id)? {
            Some(run) => self.run_found(run),
            None => Ok(()),
        }
    }
}
