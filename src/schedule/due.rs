//! What is to be done about a job now: which slot to launch, which are missed,
//! when to look again.
//!
//! Pure: the answer follows from the plan, the job's last slot and the time.
//! Whatever happened in between (a restart, a night in suspend, a clock set
//! by hand) has no case of its own; it is only a larger or smaller distance
//! between last slot and now.
//!
//! **Invariants.**
//! * No slot is launched that is not later than the last one, so a clock that
//!   is set back launches nothing twice.
//! * One decision launches one slot at most, and the next decision after a
//!   launch is not due within a second.
//! * A decision asks the schedule a hundred times at most: the latest slot of
//!   a long time is found by halving, not by walking.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Cron;
use crate::clock::{after, before, elapsed};

/// How late a slot may be found and still be on time.
const LATE_SPAN_MAX: Duration = Duration::from_secs(60);
/// How far ahead of the clock a last slot may be and still be believed.
const AHEAD_SPAN_MAX: Duration = Duration::from_secs(60 * 60);
/// How long after a launch the next one of the same job may be.
const LAUNCH_SPAN_MIN: Duration = Duration::from_secs(1);
/// Slots are whole seconds: two of them are never closer.
const SLOT_SPAN_MIN: Duration = Duration::from_secs(1);

/// What becomes of slots that were found too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Missed {
    #[default]
    Skip,
    /// The latest of them is launched, for all.
    Once,
}

/// When a job is to run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) cron: Arc<Cron>,
    /// The zone in which the schedule is meant.
    pub(crate) zone: TimeZone,
    /// How long after its slot a run begins; the slot stays what it is.
    pub(crate) splay: Duration,
    /// What becomes of slots that were found too late.
    pub(crate) missed: Missed,
}

/// What is to be done about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    /// The slot to launch now, unless a run of it exists.
    pub(crate) fire: Option<Timestamp>,
    /// The slots that were found too late; the last of them may be the one in `fire`.
    pub(crate) missed: Option<MissedSlots>,
    /// What the last slot becomes, even if it was later; unchanged if nothing.
    pub(crate) stamp: Option<Timestamp>,
    /// The next slot; nothing if the schedule is finished.
    pub(crate) next: Option<Timestamp>,
    /// When to decide again: when the next slot is due, but not within a second of a launch.
    pub(crate) wake: Option<Timestamp>,
    /// The last slot was too far ahead of the clock to be believed. It was ignored, and the
    /// caller logs an error; it must then rely on the ids on disk that no slot runs twice.
    pub(crate) ahead: bool,
}

/// Slots that were found too late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MissedSlots {
    /// The earliest of them.
    pub(crate) first: Timestamp,
    /// The latest of them; the same if there is only one.
    pub(crate) last: Timestamp,
}

impl Plan {
    /// Decides what to do at `now` about the job whose last slot was `last`; for a job that is
    /// new, came back or has another schedule, `last` is the time at which that was seen.
    pub(crate) fn decide(&self, last: Timestamp, now: Timestamp) -> Due {
        // A slot is due when this time has reached it. Delaying the clock by the splay keeps
        // the splay out of all that follows.
        let reached = before(now, self.splay);
        let ahead = last > after(now, AHEAD_SPAN_MAX);
        // Without a last slot that can be believed, what is on time now is launched and
        // nothing older is missed.
        let held = if ahead { before(reached, LATE_SPAN_MAX) } else { last };

        let newest = self.latest(held, reached);
        let fire = newest.filter(|slot| match self.missed {
            Missed::Skip => elapsed(*slot, reached) <= LATE_SPAN_MAX,
            Missed::Once => true,
        });
        let next = self.next_after(held.max(reached));
        Due {
            fire,
            missed: newest.and_then(|newest| self.missed_slots(held, newest, reached)),
            stamp: newest.or(ahead.then_some(reached)),
            next,
            wake: next.map(|slot| match fire {
                Some(_) => self.due_at(slot).max(after(now, LAUNCH_SPAN_MIN)),
                None => self.due_at(slot),
            }),
            ahead,
        }
    }

    /// Returns when the run of `slot` is to begin.
    pub(crate) fn due_at(&self, slot: Timestamp) -> Timestamp {
        after(slot, self.splay)
    }

    fn next_after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.cron.next_after(instant, &self.zone)
    }

    /// Returns the slots after `held` that were found too late, of which `newest` is the last or
    /// the first after them.
    fn missed_slots(
        &self,
        held: Timestamp,
        newest: Timestamp,
        reached: Timestamp,
    ) -> Option<MissedSlots> {
        let late = |slot: &Timestamp| elapsed(*slot, reached) > LATE_SPAN_MAX;
        let first = self.next_after(held).filter(late)?;
        let last = if late(&newest) {
            newest
        } else {
            let too_late = before(before(reached, LATE_SPAN_MAX), Duration::from_nanos(1));
            self.latest(held, too_late).unwrap_or(first)
        };
        Some(MissedSlots { first, last })
    }

    /// Returns the latest slot that is later than `held` and not later than `reached`.
    fn latest(&self, held: Timestamp, reached: Timestamp) -> Option<Timestamp> {
        let due = |instant| self.next_after(instant).filter(|slot| *slot <= reached);
        let mut latest = due(held)?;
        // Most often it is the only one.
        let Some(second) = due(latest) else { return Some(latest) };
        latest = second;
        // There is no slot between `empty` and `reached`; the room before it is halved.
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
    fn a_slot_is_on_time_for_a_minute_and_then_missed() {
        let plan = plan("0 * * * *", Missed::Skip);
        let due = plan.decide(at("11:30:00"), at("12:01:00"));
        assert_eq!((due.fire, due.missed), (Some(at("12:00:00")), None));
        let due = plan.decide(at("11:30:00"), at("12:01:00.001"));
        let slot = at("12:00:00");
        assert_eq!((due.fire, due.missed), (None, Some(MissedSlots { first: slot, last: slot })));
        assert_eq!((due.stamp, due.next), (Some(slot), Some(at("13:00:00"))));
    }

    #[test]
    fn of_many_missed_slots_the_latest_stands_for_all() {
        let (last, now) = (at("06:30:00"), at("12:30:00"));
        let missed = Some(MissedSlots { first: at("07:00:00"), last: at("12:00:00") });
        let skipped = plan("0 * * * *", Missed::Skip).decide(last, now);
        assert_eq!((skipped.fire, skipped.missed), (None, missed));
        let once = plan("0 * * * *", Missed::Once).decide(last, now);
        assert_eq!((once.fire, once.missed), (Some(at("12:00:00")), missed));
        assert_eq!(once.stamp, skipped.stamp);
    }

    #[test]
    fn a_slot_on_time_stands_for_the_missed_ones_before_it() {
        let due = plan("0 * * * *", Missed::Once).decide(at("06:30:00"), at("12:00:30"));
        assert_eq!(due.fire, Some(at("12:00:00")));
        let missed = MissedSlots { first: at("07:00:00"), last: at("11:00:00") };
        assert_eq!(due.missed, Some(missed));
    }

    #[test]
    fn of_several_slots_on_time_the_last_is_launched() {
        let due = plan("*/10 * * * * * *", Missed::Skip).decide(at("12:00:00"), at("12:00:35"));
        assert_eq!((due.fire, due.missed), (Some(at("12:00:30")), None));
        assert_eq!(due.wake, Some(at("12:00:40")));
    }

    #[test]
    fn nothing_is_launched_that_is_not_later_than_the_last_slot() {
        let plan = plan("*/5 * * * *", Missed::Once);
        let due = plan.decide(at("12:10:00"), at("12:10:20"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, Some(at("12:15:00"))));
        // The clock went back by 40 minutes; the next slot is the first that did not run.
        let due = plan.decide(at("12:10:00"), at("11:30:20"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, Some(at("12:15:00"))));
        assert!(!due.ahead);
    }

    #[test]
    fn a_last_slot_far_ahead_holds_nothing_back_and_is_put_right() {
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
    fn a_splay_delays_the_run_and_not_its_slot() {
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
    fn a_schedule_that_ran_out_is_finished() {
        let plan = plan("0 12 22 11 * 2026", Missed::Skip);
        let due = plan.decide(at("11:00:00"), at("12:00:00"));
        assert_eq!((due.fire, due.next, due.wake), (Some(at("12:00:00")), None, None));
        let due = plan.decide(at("12:00:00"), at("18:00:00"));
        assert_eq!((due.fire, due.stamp, due.next), (None, None, None));
    }
}
