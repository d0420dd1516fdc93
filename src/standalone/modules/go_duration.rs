//! Spans of time as Go writes them: `1.5µs`, `1m0.000150741s`, `25h1m1s`.

use std::time::Duration;

const NANOS_PER_MICRO: u128 = 1_000;
const NANOS_PER_MILLI: u128 = 1_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
const SECONDS_PER_MINUTE: u128 = 60;
const MINUTES_PER_HOUR: u128 = 60;

/// Returns the text of a span of time.
pub(crate) fn text(span: Duration) -> String {
    let nanos = span.as_nanos();
    match nanos {
        0 => "0s".to_owned(),
        1..NANOS_PER_MICRO => format!("{nanos}ns"),
        NANOS_PER_MICRO..NANOS_PER_MILLI => format!("{}µs", decimal(nanos, NANOS_PER_MICRO)),
        NANOS_PER_MILLI..NANOS_PER_SECOND => format!("{}ms", decimal(nanos, NANOS_PER_MILLI)),
        _ => {
            let minutes = nanos / NANOS_PER_SECOND / SECONDS_PER_MINUTE;
            let rest = nanos % (NANOS_PER_SECOND * SECONDS_PER_MINUTE);
            let seconds = decimal(rest, NANOS_PER_SECOND);
            let (hours, minutes_left) = (minutes / MINUTES_PER_HOUR, minutes % MINUTES_PER_HOUR);
            match (hours, minutes) {
                (0, 0) => format!("{seconds}s"),
                (0, _) => format!("{minutes}m{seconds}s"),
                _ => format!("{hours}h{minutes_left}m{seconds}s"),
            }
        }
    }
}

/// Writes `nanos` in units of `unit` nanoseconds, a power of ten, without needless zeros.
fn decimal(nanos: u128, unit: u128) -> String {
    let digits = unit.to_string().len() - 1;
    let text = format!("{}.{:0digits$}", nanos / unit, nanos % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests read their data")]

    use super::*;

    #[test]
    fn spans_are_written_as_by_go() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/modules/go-forms.json");
        let forms: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        for vector in forms["duration_string"].as_array().unwrap() {
            // No module tells of a negative span.
            if let Some(nanos) = vector["ns"].as_u64() {
                assert_eq!(text(Duration::from_nanos(nanos)), vector["string"].as_str().unwrap());
            }
        }
    }
}
