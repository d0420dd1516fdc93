//! Properties of every expression, zone and instant: the slots are exactly those found by iterating
//! over all minutes, and a decision selects the right ones.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use proptest::{prop_assert, prop_assert_eq};

use super::super::due::{Missed, Plan};
use super::reference::Reference;
use super::{cron, random, share};

/// Runs `test` on random values; a failure prints the smallest failing value.
fn for_all<S: Strategy>(
    part: usize,
    whole: usize,
    values: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) {
    let cases = u32::try_from(share(part, whole)).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config).run(values, test).unwrap_or_else(|error| panic!("{error}"));
}

fn queries() -> impl Strategy<Value = (String, jiff::tz::TimeZone, Timestamp)> {
    (random::expression(), random::zone()).prop_flat_map(|(text, zone)| {
        let from = random::instant(&zone);
        from.prop_map(move |from| (text.clone(), zone.clone(), from))
    })
}

#[test]
fn slots_match_the_reference() {
    const SLOTS: usize = 300;
    for_all(600, 6_000, &queries(), |(text, zone, from)| {
        let cron = cron(&text);
        let until = from + 72.hours();
        let found = Reference::new(&text).slots(&zone, from, until, SLOTS);
        let mut after = from;
        for expected in &found {
            let next = cron.next_after(after, &zone);
            prop_assert_eq!(next, Some(*expected), "{} after {}", &text, after);
            prop_assert!(*expected > after);
            after = *expected;
        }
        if found.len() < SLOTS {
            let next = cron.next_after(after, &zone);
            prop_assert!(next.is_none_or(|next| next > until), "{} after {}", &text, after);
        }
        Ok(())
    });
}

#[test]
fn distant_slot_matches_the_reference() {
    for_all(60, 1_500, &queries(), |(text, zone, from)| {
        let until = from + (24 * 400).hours();
        let expected = Reference::new(&text).slots(&zone, from, until, 1);
        let next = cron(&text).next_after(from, &zone).filter(|next| *next <= until);
        prop_assert_eq!(next, expected.first().copied());
        Ok(())
    });
}

#[test]
fn decision_selects_the_right_slots() {
    let past = (0..3 * 86_400_i64, 0..900_u64, any::<bool>());
    for_all(400, 6_000, &(queries(), past), |((text, zone, last), (past, splay, once))| {
        let now = last + past.seconds();
        let (splay, missed) =
            (Duration::from_secs(splay), if once { Missed::Once } else { Missed::Skip });
        let plan = Plan { cron: cron(&text).into(), zone: zone.clone(), splay, missed };
        let due = plan.decide(last, now);

        // The reference searches only a short period: an expression may have a slot per second.
        let reached = now - SignedDuration::try_from(splay).unwrap();
        let reference = Reference::new(&text);
        let near = last.max(reached - 2.hours());
        let late = |slot: &Timestamp| *slot < reached - 60.seconds();
        let slots = reference.slots(&zone, near, reached.max(near), usize::MAX);
        let Some(newest) = slots.last() else {
            prop_assert!(due.fire.is_none_or(|slot| once && slot <= near));
            return Ok(());
        };
        prop_assert_eq!(due.stamp, Some(*newest));
        prop_assert_eq!(due.fire, (once || !late(newest)).then_some(*newest));
        let missed = slots.iter().rfind(|slot| late(slot));
        if let Some(missed) = missed {
            prop_assert_eq!(due.missed.map(|missed| missed.last), Some(*missed));
        }
        if near == last {
            let first = slots.first().filter(|slot| late(slot));
            prop_assert_eq!(due.missed.map(|missed| missed.first), first.copied());
        }
        prop_assert!(due.next.is_none_or(|next| next > reached));
        prop_assert!(due.wake.is_none_or(|wake| wake > now));
        Ok(())
    });
}
