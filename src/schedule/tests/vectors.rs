//! Recorded results of the original's library, and the correct results where it is wrong.

use jiff::{Timestamp, ToSpan};
use serde::Deserialize;

use super::super::{Cron, ScheduleError};
use super::reference::Reference;
use super::{at, from_environment, in_zone};

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
    rejected: Vec<Rejected>,
}

#[derive(Deserialize)]
struct Vector {
    expr: String,
    tz: String,
    from: Timestamp,
    next: Vec<String>,
    anomaly: Option<String>,
    design: Option<Vec<Timestamp>>,
}

#[derive(Deserialize)]
struct Rejected {
    expr: String,
}

/// Returns the vectors of this repository, or those of another file in the same format.
fn vectors() -> Vectors {
    #[expect(clippy::disallowed_methods, reason = "the environment names the file")]
    let text = match from_environment("MIG_TEST_CRON_VECTORS") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("../../../tests/data/schedule/cron_next.json").to_owned(),
    };
    serde_json::from_str(&text).unwrap()
}

impl Vector {
    fn ours(&self, cron: &Cron, count: usize) -> Vec<Timestamp> {
        let zone = in_zone(&self.tz);
        let next = |after: &Timestamp| cron.next_after(*after, &zone);
        std::iter::successors(next(&self.from), next).take(count).collect()
    }

    /// The expected slots: as recorded, as designed, or as found by the reference.
    fn expected(&self) -> Vec<Timestamp> {
        if let Some(design) = &self.design {
            return design.clone();
        }
        if self.anomaly.is_none() {
            let never = at("0001-01-01T00:00:00Z");
            return self.next.iter().map(|text| at(text)).filter(|next| *next != never).collect();
        }
        let until = self.from + (24 * 400).hours();
        Reference::new(&self.expr).slots(&in_zone(&self.tz), self.from, until, 5)
    }
}

#[test]
fn vectors_yield_the_expected_slots() {
    let Vectors { vectors, .. } = vectors();
    let mut checked = 0;
    for vector in &vectors {
        let label = format!("{:?} in {} from {}", vector.expr, vector.tz, vector.from);
        let parsed = vector.expr.parse::<Cron>();
        let surplus = vector.expr.split_whitespace().count() > 7
            || (vector.expr.starts_with('@') && vector.expr.contains(' '));
        if surplus || has_reversed_range(&vector.expr) {
            assert!(vector.anomaly.is_some() && parsed.is_err(), "{label}");
            continue;
        }
        let cron = parsed.unwrap_or_else(|error| panic!("{label}: {error}"));
        let expected = vector.expected();
        assert_eq!(vector.ours(&cron, expected.len().max(1)), expected, "{label}");
        checked += 1;
    }
    assert!(checked * 10 > vectors.len() * 9);
}

#[test]
fn schedule_that_never_fires_is_rejected_at_load() {
    let mut refused = 0;
    for vector in &vectors().vectors {
        let Ok(cron) = vector.expr.parse::<Cron>() else { continue };
        let checked = cron.check_at(vector.from, &in_zone(&vector.tz));
        match vector.ours(&cron, 1).first() {
            Some(_) => assert!(checked.is_ok(), "{}", vector.expr),
            None => {
                assert!(matches!(checked, Err(ScheduleError::Never { .. })), "{}", vector.expr);
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn expressions_that_the_original_rejects_are_rejected() {
    for rejected in &vectors().rejected {
        assert!(rejected.expr.parse::<Cron>().is_err(), "{:?} is accepted", rejected.expr);
    }
}

/// Returns whether `text` contains a reversed range of plain numbers.
fn has_reversed_range(text: &str) -> bool {
    let range = |item: &str| {
        let (from, to) = item.split('/').next()?.split_once('-')?;
        Some((from.parse::<u16>().ok()?, to.parse::<u16>().ok()?))
    };
    text.split([' ', ',']).filter_map(range).any(|(from, to)| from > to)
}
