//! Random expressions, zones and instants.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;

use super::in_zone;

/// Zones with all kinds of clock changes: by an hour, by half an hour, at midnight, by a whole day,
/// by decree, and none.
const ZONES: [&str; 12] = [
    "UTC",
    "Europe/Paris",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Pacific/Apia",
    "Pacific/Chatham",
];
const MONTHS: [&str; 4] = ["jan", "MAR", "October", "dec"];
const WEEKDAYS: [&str; 5] = ["SUN", "mon", "Wednesday", "FRI", "sat"];

pub(super) fn expression() -> impl Strategy<Value = String> {
    let five = (minute(), hour(), day(), month(), weekday());
    let end = prop_oneof![
        6 => Just((None, None)),
        2 => year().prop_map(|year| (None, Some(year))),
        2 => (numbers(0..=59), year()).prop_map(|(second, year)| (Some(second), Some(year))),
    ];
    (five, end).prop_map(|((minute, hour, day, month, weekday), (second, year))| {
        let fields =
            [second, Some(minute), Some(hour), Some(day), Some(month), Some(weekday), year];
        fields.into_iter().flatten().collect::<Vec<_>>().join(" ")
    })
}

/// A zone, by its name.
pub(super) fn zone() -> impl Strategy<Value = TimeZone> {
    select(&ZONES).prop_map(in_zone)
}

/// An instant in the first half of this century, in two of three cases near a clock change.
pub(super) fn instant(zone: &TimeZone) -> impl Strategy<Value = Timestamp> + use<> {
    let zone = zone.clone();
    let second = 946_684_800_i64..2_366_841_600;
    (second, 0..3, -4 * 3600..4 * 3600_i64, 0..2_i64).prop_map(
        move |(second, near, off, fraction)| {
            let instant = Timestamp::from_second(second).unwrap() + (fraction * 500).milliseconds();
            match zone.following(instant).next() {
                Some(change) if near > 0 => change.timestamp() + off.seconds(),
                _ => instant,
            }
        },
    )
}

fn minute() -> impl Strategy<Value = String> {
    prop_oneof![1 => Just("*".to_owned()), 3 => numbers(0..=59)]
}

fn hour() -> impl Strategy<Value = String> {
    // Most clock changes are in the early hours.
    prop_oneof![2 => Just("*".to_owned()), 2 => numbers(0..=23), 2 => numbers(0..=3)]
}

fn day() -> impl Strategy<Value = String> {
    let special = prop_oneof![
        Just("L".to_owned()),
        Just("lw".to_owned()),
        (1..=31_u16).prop_map(|day| format!("{day}W")),
    ];
    prop_oneof![
        6 => Just("*".to_owned()),
        1 => Just("?".to_owned()),
        2 => numbers(1..=31),
        2 => list(prop_oneof![1 => special, 1 => item(1..=31)].boxed()),
    ]
}

fn month() -> impl Strategy<Value = String> {
    let named = select(&MONTHS).prop_map(str::to_owned);
    prop_oneof![
        6 => Just("*".to_owned()),
        2 => numbers(1..=12),
        1 => list(prop_oneof![named, item(1..=12)].boxed()),
    ]
}

fn weekday() -> impl Strategy<Value = String> {
    let named = select(&WEEKDAYS).prop_map(str::to_owned);
    let either = prop_oneof![named, (0..=7_u16).prop_map(|day| day.to_string())].boxed();
    let special = prop_oneof![
        either.clone(),
        either.clone().prop_map(|day| format!("{day}L")),
        (either, 1..=5_u16).prop_map(|(day, nth)| format!("{day}#{nth}")),
        (0..=6_u16).prop_map(|from| format!("{from}-7")),
        select(&["MON-FRI", "fri-sun", "1-7/2", "7-3", "7/2"]).prop_map(str::to_owned),
    ];
    prop_oneof![
        6 => Just("*".to_owned()),
        2 => numbers(0..=6),
        2 => list(special.boxed()),
    ]
}

fn year() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => Just("*".to_owned()),
        1 => Just("*/2".to_owned()),
        1 => (2000..=2045_u16).prop_map(|year| format!("{year}-2046/3")),
    ]
}

fn numbers(range: RangeInclusive<u16>) -> impl Strategy<Value = String> {
    list(item(range).boxed())
}

fn list(item: proptest::strategy::BoxedStrategy<String>) -> impl Strategy<Value = String> {
    proptest::collection::vec(item, 1..4).prop_map(|items| items.join(","))
}

fn item(range: RangeInclusive<u16>) -> impl Strategy<Value = String> {
    let (first, last) = (*range.start(), *range.end());
    let ends = (range.clone(), range.clone()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    let step = 1..=last.min(24);
    prop_oneof![
        6 => range.clone().prop_map(|value| value.to_string()),
        2 => range.clone().prop_map(|value| format!("{value:02}")),
        2 => ends.clone().prop_map(|(from, to)| format!("{from}-{to}")),
        2 => step.clone().prop_map(|step| format!("*/{step}")),
        1 => (first..=last, step.clone()).prop_map(|(from, step)| format!("{from}/{step}")),
        1 => (ends, step).prop_map(|((from, to), step)| format!("{from}-{to}/{step}")),
    ]
}
