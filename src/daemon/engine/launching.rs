//! Launching: starts the runs of slots that are due, and records the slots.

use jiff::Timestamp;

use super::Engine;
use crate::daemon::launcher::LaunchRecorders;

impl Engine {
    /// Launches the slots that are due.
    pub(in crate::daemon) fn launch_due(&mut self, now: Timestamp) {
        // First, what is signed is recorded, so that it is posted while other runs are launched.
        self.make_requested(now);
        let recorders = LaunchRecorders { errors: &mut self.errors, metrics: &mut self.metrics };
        for run in self.launcher.launch_due(&mut self.parts, &self.index, recorders, now) {
            self.track(run);
        }
    }

    /// Records the last slots of jobs with new runs, later if runs wait; returns when to call this
    /// again.
    pub(super) fn record_slots(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_slot_due = self.parts.calendar.next().is_some_and(|slot| slot <= now);
        let do_others_wait = is_slot_due || !self.moves.is_empty() || !self.queues.are_empty();
        self.launcher.record_slots(&self.parts, &mut self.errors, do_others_wait, now)
    }

    /// Records all last slots before the runner stops.
    pub(in crate::daemon) fn record_all_slots(&mut self) {
        let now = self.parts.clock.now();
        while self.launcher.record_slots(&self.parts, &mut self.errors, false, now).is_some() {}
    }
}
