//! How long to wait before the next attempt.

use std::time::Duration;

/// The wait after the first failure.
const FIRST_SPAN: Duration = Duration::from_secs(1);
/// The longest wait of our own accord.
const LONGEST_SPAN: Duration = Duration::from_secs(300);
/// The longest wait that an answer may impose.
pub(super) const RETRY_AFTER_SPAN_MAX: Duration = Duration::from_secs(3600);

/// Returns how long to wait after `failures` in a row, `retry_after` at the least.
///
/// The span doubles from 1 s to 5 min. `jitter` is a random number: half of the
/// span stands, the other half is shared out evenly, so that what failed
/// together does not come back together.
pub(crate) fn delay(failures: u32, jitter: u32, retry_after: Option<Duration>) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let half = FIRST_SPAN.saturating_mul(doubled).min(LONGEST_SPAN) / 2;
    let share = half.mul_f64(f64::from(jitter) / f64::from(u32::MAX));
    (half + share).max(retry_after.unwrap_or_default().min(RETRY_AFTER_SPAN_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_a_second_to_five_minutes() {
        let whole: Vec<u64> = (1..=12).map(|n| delay(n, u32::MAX, None).as_secs()).collect();
        assert_eq!(whole, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(0, u32::MAX, None), FIRST_SPAN);
        assert_eq!(delay(u32::MAX, u32::MAX, None), LONGEST_SPAN);
    }

    #[test]
    fn jitter_moves_it_between_the_half_and_the_whole() {
        assert_eq!(delay(3, 0, None), Duration::from_secs(2));
        let some = delay(3, u32::MAX / 2, None);
        assert!(some > Duration::from_millis(2900) && some < Duration::from_millis(3100));
    }

    #[test]
    fn waits_at_least_as_long_as_it_is_told_but_not_for_ever() {
        let told = |seconds| delay(1, 0, Some(Duration::from_secs(seconds)));
        assert_eq!(told(0), Duration::from_millis(500));
        assert_eq!(told(120), Duration::from_secs(120));
        assert_eq!(told(u64::MAX), RETRY_AFTER_SPAN_MAX);
    }
}
