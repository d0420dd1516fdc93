//! Hostile texts cause no panic and no slow call.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::prelude::{Strategy, prop_oneof};
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};

use super::super::Cron;
use super::{at, cron, in_zone, random, share};

/// Time limit of parsing or of one next time; higher without optimization.
const CALL_SPAN_MAX: Duration = Duration::from_millis(if cfg!(debug_assertions) { 50 } else { 10 });
/// Number of attempts before a slow call counts: other processes slow the machine down too.
const TRIES: usize = 5;

/// The parts of hostile texts.
const PIECES: &[&str] = &[
    "*",
    "?",
    "/",
    "-",
    ",",
    "#",
    "L",
    "W",
    "LW",
    "@",
    "@daily",
    " ",
    "\t",
    "\u{b}",
    "\u{a0}",
    "0",
    "00",
    "1",
    "5",
    "7",
    "12",
    "28",
    "29",
    "30",
    "31",
    "59",
    "60",
    "99",
    "1970",
    "2099",
    "2100",
    "65535",
    "65536",
    "18446744073709551616",
    "JAN",
    "feb",
    "MON",
    "sunday",
    "mo",
    "é",
    "٣",
    "\0",
    "+1",
    "1e1",
    "5L",
    "31W",
    "1#5",
    "*/31",
    "22-3",
    "0-7",
    "FRI-SUN",
];

fn nonsense() -> impl Strategy<Value = String> {
    let field = vec(select(PIECES), 1..5).prop_map(|pieces| pieces.concat());
    vec(field, 0..9).prop_map(|fields| fields.join(" "))
}

/// A valid expression with a character replaced or removed.
fn damaged() -> impl Strategy<Value = String> {
    let typed = select(&["", "-", ",", "/", "#", "W", "L", "9"]);
    (random::expression(), 0..40_usize, typed).prop_map(|(text, at, typed)| {
        let spoil =
            |(index, c): (usize, char)| if index == at { typed.to_owned() } else { c.into() };
        text.char_indices().map(spoil).collect()
    })
}

/// Texts around the size limit.
fn long() -> impl Strategy<Value = String> {
    let piece = select(&["1,", "L,", "1#1,", "* ", "0-59/1,"]);
    (1..4_000_usize, piece).prop_map(|(times, piece)| format!("{} * * * *", piece.repeat(times)))
}

/// Days that rarely or never exist.
fn rare() -> impl Strategy<Value = String> {
    let (months, years) = (select(&["2", "4,6", "2,11"]), select(&["*", "*/2"]));
    (28..=31_u16, select(&["", "W"]), months, years)
        .prop_map(|(day, workday, months, years)| format!("* * {day}{workday} {months} * {years}"))
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![8 => nonsense(), 8 => damaged(), 1 => long(), 2 => rare(), 1 => random::expression()]
}

/// Calls `work`; fails if every attempt takes too long.
fn in_time<T>(text: &str, work: impl Fn() -> T) -> T {
    for _ in 0..TRIES {
        let start = Instant::now();
        let result = work();
        if start.elapsed() <= CALL_SPAN_MAX {
            return result;
        }
    }
    panic!("{text:?} takes longer than {CALL_SPAN_MAX:?}");
}

#[test]
fn no_text_panics_or_takes_long() {
    let config = Config {
        cases: u32::try_from(share(4_000, 40_000)).unwrap(),
        failure_persistence: None,
        ..Config::default()
    };
    let zones = ["UTC", "America/New_York", "Africa/Casablanca"].map(in_zone);
    let instants =
        [at("2026-03-08T06:59:59.5Z"), at("2098-12-31T23:59:59Z"), Timestamp::MIN, Timestamp::MAX];
    let checked = TestRunner::new(config).run(&hostile(), |text| {
        let Ok(cron) = in_time(&text, || text.parse::<Cron>()) else { return Ok(()) };
        for zone in &zones {
            for after in instants {
                let next = in_time(&text, || cron.next_after(after, zone));
                assert!(next.is_none_or(|next| next > after), "{text:?} after {after}");
            }
        }
        assert!(!cron.in_words().is_empty());
        Ok(())
    });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn schedule_that_never_fires_is_detected_quickly() {
    for (text, zone) in [
        ("0 0 31 2 *", "UTC"),
        ("0 0 31W 2 *", "UTC"),
        ("0 0 31 4,6,9,11 *", "UTC"),
        ("0 0 29 2 * 2025-2027", "UTC"),
        ("0 0 29W 2 * 2025-2027", "UTC"),
        ("0 0 * 2 1#5 2025", "UTC"),
        ("* * * * * 1999", "UTC"),
        // Always in the gap.
        ("*/5 2 * 3 SUN#2 2027-2099", "America/New_York"),
    ] {
        let (cron, zone) = (cron(text), in_zone(zone));
        assert_eq!(
            in_time(text, || cron.next_after(at("2026-11-22T00:00:00Z"), &zone)),
            None,
            "{text}"
        );
    }
}
