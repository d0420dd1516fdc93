//! Bounds on sizes and ages: `<10k` is at most 10 KiB, `>2d` changed more than two days ago.

use std::time::Duration;

use jiff::Timestamp;

use crate::clock;

const MINUTE_SECONDS: u64 = 60;
const HOUR_SECONDS: u64 = 60 * MINUTE_SECONDS;
const DAY_SECONDS: u64 = 24 * HOUR_SECONDS;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Less,
    Greater,
}

/// A number with an optional sign before it and an optional unit after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    sign: Option<Sign>,
    number: u64,
    unit: Option<char>,
}

impl Bound {
    /// Reads a bound whose unit is one of `units`.
    fn parse(text: &str, units: &[char]) -> Option<Bound> {
        let (sign, rest) = match (text.strip_prefix('<'), text.strip_prefix('>')) {
            (Some(rest), _) => (Some(Sign::Less), rest),
            (_, Some(rest)) => (Some(Sign::Greater), rest),
            _ => (None, text),
        };
        let unit = rest.chars().next_back().filter(|last| units.contains(last));
        let digits = unit.and_then(|unit| rest.strip_suffix(unit)).unwrap_or(rest);
        // Rust would accept another sign.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| is_number)?;
        Some(Bound { sign, number, unit })
    }
}

/// A condition on a file's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeBound {
    sign: Option<Sign>,
    bytes: u64,
}

impl SizeBound {
    /// Reads `10k`, `<1m`, `>512` and the like.
    pub(super) fn parse(text: &str) -> Option<SizeBound> {
        let Bound { sign, number, unit } = Bound::parse(text, &['k', 'm', 'g', 't'])?;
        let unit: u64 = match unit {
            Some('k') => 1 << 10,
            Some('m') => 1 << 20,
            Some('g') => 1 << 30,
            Some('t') => 1 << 40,
            _ => 1,
        };
        Some(SizeBound { sign, bytes: number.saturating_mul(unit) })
    }

    /// Returns whether a file of this size meets the condition. Both signs include the bound.
    pub(crate) fn contains(self, bytes: u64) -> bool {
        match self.sign {
            Some(Sign::Less) => bytes <= self.bytes,
            Some(Sign::Greater) => bytes >= self.bytes,
            None => bytes == self.bytes,
        }
    }
}

/// A condition on the time at which a file was modified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AgeBound {
    sign: Sign,
    limit: Timestamp,
}

impl AgeBound {
    /// Reads `<30m`, `>2d` and the like, as ages at the time `now`.
    pub(super) fn parse(text: &str, now: Timestamp) -> Option<AgeBound> {
        let Bound { sign, number, unit } = Bound::parse(text, &['d', 'h', 'm'])?;
        let unit = match unit? {
            'd' => DAY_SECONDS,
            'h' => HOUR_SECONDS,
            _ => MINUTE_SECONDS,
        };
        let age = Duration::from_secs(number.saturating_mul(unit));
        Some(AgeBound { sign: sign?, limit: clock::before(now, age) })
    }

    /// Returns whether a file modified at this time meets the condition. Neither sign includes the
    /// bound.
    pub(crate) fn contains(self, modified: Timestamp) -> bool {
        match self.sign {
            Sign::Greater => modified < self.limit,
            Sign::Less => modified > self.limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_have_sign_number_and_unit() {
        let parse = |text| {
            let bound = Bound::parse(text, &['k', 'm'])?;
            Some((bound.sign, bound.number, bound.unit))
        };
        assert_eq!(parse("<10k"), Some((Some(Sign::Less), 10, Some('k'))));
        assert_eq!(parse(">0"), Some((Some(Sign::Greater), 0, None)));
        assert_eq!(parse("007"), Some((None, 7, None)));
        for bad in [
            "10x",
            "<>1",
            "-1",
            "+1",
            "1.5k",
            "1kk",
            " 1",
            "k1",
            "1\n",
            "k",
            "",
            "<",
            "99999999999999999999",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn size_bounds_include_the_bound() {
        for (text, expected) in [
            ("<1k", [true, true, false]),
            (">1k", [false, true, true]),
            ("1k", [false, true, false]),
        ] {
            let bound = SizeBound::parse(text).unwrap();
            assert_eq!([1023, 1024, 1025].map(|bytes| bound.contains(bytes)), expected, "{text}");
        }
        assert!(SizeBound::parse("<99999999t").unwrap().contains(u64::MAX));
    }

    #[test]
    fn age_bounds_exclude_the_bound() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        let limit: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let nano = Duration::from_nanos(1);
        let (younger, older) = (clock::after(limit, nano), clock::before(limit, nano));
        for (sign, expected) in [("<", [true, false, false]), (">", [false, false, true])] {
            for age in ["2d", "48h", "2880m"] {
                let bound = AgeBound::parse(&format!("{sign}{age}"), now).unwrap();
                assert_eq!([younger, limit, older].map(|at| bound.contains(at)), expected);
            }
        }
        let longest = AgeBound::parse(&format!("<{}d", u64::MAX), now).unwrap();
        assert!(longest.contains(Timestamp::UNIX_EPOCH));
        for incomplete in ["5d", "<5", "d", "<d"] {
            assert_eq!(AgeBound::parse(incomplete, now), None, "{incomplete}");
        }
    }
}
