//! Decides what to do about a job now: which slot to launch, which slots are missed, and when to
//! decide again.
//!
//! The decision is pure: it depends only on the plan, the job's last slot and the time. Events in
//! between (a restart, a night in suspend, a clock set by hand) are not special cases; they only
//! change the distance between the last slot and now.
//!
//! **Invariants.**
//! * No slot is launched that is not later than the last one, so a clock that is set back launches
//!   nothing twice.
//! * One decision launches at most one slot, and the next decision after a launch is at least a
//!   second later.
//! * A decision queries the schedule at most a hundred times: the latest slot of a long period is
//!   found by bisection, not by iteration.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Cron;
use crate::clock::{after, before, elapsed};

/// Maximum delay of a slot that still counts as on time.
const LATE_SPAN_MAX: Duration = Duration::from_secs(60);
/// Maximum time by which a credible last slot is ahead of the clock.
const AHEAD_SPAN_MAX: Duration = Duration::from_secs(60 * 60);
/// Minimum time between two launches of a job.
const LAUNCH_SPAN_MIN: Duration = Duration::from_secs(1);
/// Minimum distance of two slots, which are whole seconds.
const SLOT_SPAN_MIN: Duration = Duration::from_secs(1);

/// What to do with slots that were found too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Missed {
    #[default]
    Skip,
    /// Launch the latest of them once.
    Once,
}

/// When a job runs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) cron: Arc<Cron>,
    /// The time zone of the schedule.
    pub(crate) zone: TimeZone,
    /// Delay of a run after its slot; the slot itself is unchanged.
    pub(crate) splay: Duration,
    pub(crate) missed: Missed,
}

/// What to do about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// The slot to launch now, unless its run already exists.
    pub(crate) fire: Option<Timestamp>,
    /// The missed slots; the last of them may be the one in `fire`.
    pub(crate) missed: Option<MissedSlots>,
    /// The new last slot, even if it is earlier than the old one; `None` leaves it unchanged.
    pub(crate) stamp: Option<Timestamp>,
    /// The next slot; `None` if the schedule is finished.
    pub(crate) next: Option<Timestamp>,
    /// When to decide again: when the next slot is due, but at least a second after a launch.
    pub(crate) wake: Option<Timestamp>,
    /// The last slot was too far ahead of the clock to be credible, and was ignored. The caller
    /// logs an error, and must rely on the ids on disk to prevent a slot from running twice.
    pub(crate) ahead: bool,
}

/// Slots that were found too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MissedSlots {
    pub(crate) first: Timestamp,
    /// The same as `first` if there is only one.
    pub(crate) last: Timestamp,
}

impl Plan {
    /// Decides what to do at `now` about a job whose last slot was `last`. For a job that is new,
    /// has returned or has a new schedule, `last` is the time at which this was noticed.
    pub(crate) fn decide(&self, last: Timestamp, now: Timestamp) -> Due {
        // A slot is due when this time reaches it. Subtracting the splay here keeps it out of the
        // following calculations.
        let reached = before(now, self.splay);
        let ahead = last > after(now, AHEAD_SPAN_MAX);
        // Without a credible last slot, a slot that is on time is launched, and older ones are not
        // missed.
        let since = if ahead { before(reached, LATE_SPAN_MAX) } else { last };

        let newest = self.latest(since, reached);
        let fire = newest.filter(|slot| match self.missed {
            Missed::Skip => elapsed(*slot, reached) <= LATE_SPAN_MAX,
            Missed::Once => true,
        });
        let next = self.next_after(since.max(reached));
        Due {
            fire,
            missed: newest.and_then(|newest| self.missed_slots(since, newest, reached)),
            stamp: newest.or(ahead.then_some(reached)),
            next,
            wake: next.map(|slot| match fire {
                Some(_) => self.due_at(slot).max(after(now, LAUNCH_SPAN_MIN)),
                None => self.due_at(slot),
            }),
            ahead,
        }
    }

    /// Returns when the run of `slot` begins.
    pub(crate) fn due_at(&self, slot: Timestamp) -> Timestamp {
        after(slot, self.splay)
    }

    fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.cron.next_after(instant, &self.zone)
    }

    /// Returns the missed slots after `since`. `newest` is the last of them, or the first slot
    /// after them.
    fn missed_slots(
        &self,
        since: Timestamp,
        newest: Timestamp,
        reached: Timestamp,
    ) -> Option<MissedSlots> {
        let late = |slot: &Timestamp| elapsed(*slot, reached) > LATE_SPAN_MAX;
        let first = self.next_after(since).filter(late)?;
        let last = if late(&newest) {
            newest
        } else {
            let too_late = before(before(reached, LATE_SPAN_MAX), Duration::from_nanos(1));
            self.latest(since, too_late).unwrap_or(first)
        };
        Some(MissedSlots { first, last })
    }

    /// Returns the latest slot later than `since` and at or before `reached`.
    fn latest(&self, since: Timestamp, reached: Timestamp) -> Option<Timestamp> {
        let due = |instant| self.next_after(instant).filter(|slot| *slot <= reached);
        let mut latest = due(since)?;
        // Usually it is the only one.
        let Some(second) = due(latest) else { return Some(latest) };
        latest = second;
        // There is no slot between `empty` and `reached`; each iteration halves the period before
        // it.
        let mut empty = reached;
        loop {
            let room = elapsed(latest, empty);
            if room < SLOT_SPAN_MIN {
                return Some(latest);
            }
            let middle = after(latest, room / 2);
            match due(middle) {
                Some(slot) => latest = slot,
                None => empty = middle,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    fn plan(text: &str, missed: Missed) -> Plan {
        let cron: Cron = text.parse().unwrap();
        Plan { cron: cron.into(), zone: TimeZone::UTC, splay: Duration::ZERO, missed }
    }

    #[test]
    fn slot_is_missed_after_a_minute() {
        let plan = plan("0 * * * *", Missed::Skip);
        let due = plan.decide(at("11:30:00"), at("12:01:00"));
        assert_eq!((due.fire, due.missed), (Some(at("12:00:00")), None));
        let due = plan.decide(at("11:30:00"), at("12:01:00.001"));
        let slot = at("12:00:00");
        assert_eq!((due.fire, due.missed), (None, Some(MissedSlots { first: slot, last: slot })));
        assert_eq!((due.stamp, due.next), (Some(slot), Some(at("13:00:00"))));
    }

    #[test]
    fn latest_missed_slot_represents_all() {
        let (last, now) = (at("06:30:00"), at("12:30:00"));
        let missed = Some(MissedSlots { first: at("07:00:00"), last: at("12:00:00") });
        let skipped = plan("0 * * * *", Missed::Skip).decide(last, now);
        assert_eq!((skipped.fire, skipped.missed), (None, missed));
        let once = plan("0 * * * *", Missed::Once).decide(last, now);
        assert_eq!((once.fire, once.missed), (Some(at("12:00:00")), missed));
        assert_eq!(once.stamp, skipped.stamp);
    }

    #[test]
    fn slot_on_time_replaces_earlier_missed_slots() {
        let due = plan("0 * * * *", Missed::Once).decide(at("06:30:00"), at("12:00:30"));
        assert_eq!(due.fire, Some(at("12:00:00")));
        let missed = MissedSlots { first: at("07:00:00"), last: at("11:00:00") };
        assert_eq!(due.missed, Some(missed));
    }

    #[test]
    fn last_of_several_slots_on_time_is_launched() {
        let due = plan("*/10 * * * * * *", Missed::Skip).decide(at("12:00:00"), at("12:00:35"));
        assert_eq!((due.fire, due.missed), (Some(at("12:00:30")), None));
        assert_eq!(due.wake, Some(at("12:00:40")));
    }

    #[test]
    fn only_slots_after_the_last_slot_are_launched() {
        let plan = plan("*/5 * * * *", Missed::Once);
        let due = plan.decide(at("12:10:00"), at("12:10:20"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, Some(at("12:15:00"))));
        // The clock was set back by 40 minutes; the next slot is the first that has not run.
        let due = plan.decide(at("12:10:00"), at("11:30:20"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, Some(at("12:15:00"))));
        assert!(!due.ahead);
    }

    #[test]
    fn implausible_last_slot_is_ignored_and_corrected() {
        let plan = plan("0 * * * *", Missed::Once);
        let due = plan.decide(at("13:00:30.001"), at("12:00:30"));
        assert!(due.ahead);
        assert_eq!((due.fire, due.stamp), (Some(at("12:00:00")), Some(at("12:00:00"))));
        let due = plan.decide(at("23:00:00"), at("12:30:00"));
        assert_eq!((due.fire, due.missed, due.stamp), (None, None, Some(at("12:30:00"))));
        assert_eq!(due.next, Some(at("13:00:00")));
        assert!(!plan.decide(at("13:00:30"), at("12:00:30")).ahead);
    }

    #[test]
    fn splay_delays_the_run_but_not_its_slot() {
        let plan = Plan { splay: Duration::from_secs(600), ..plan("0 * * * *", Missed::Skip) };
        let due = plan.decide(at("11:30:00"), at("12:09:59"));
        assert_eq!(
            (due.fire, due.next, due.wake),
            (None, Some(at("12:00:00")), Some(at("12:10:00")))
        );
        let due = plan.decide(at("11:30:00"), at("12:11:00"));
        assert_eq!((due.fire, due.wake), (Some(at("12:00:00")), Some(at("13:10:00"))));
    }

    #[test]
    fn schedule_without_further_slots_is_finished() {
        let plan = plan("0 12 22 11 * 2026", Missed::Skip);
        let due = plan.decide(at("11:00:00"), at("12:00:00"));
        assert_eq!((due.fire, due.next, due.wake), (Some(at("12:00:00")), None, None));
        let due = plan.decide(at("12:00:00"), at("18:00:00"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, None));
    }
}
