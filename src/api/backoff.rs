//! Delays between attempts.

use std::time::Duration;

/// Delay after the first failure.
const FIRST_SPAN: Duration = Duration::from_secs(1);
/// Maximum delay without `Retry-After`.
const LONGEST_SPAN: Duration = Duration::from_secs(300);
/// Maximum delay that a response can demand with `Retry-After`.
pub(super) const RETRY_AFTER_SPAN_MAX: Duration = Duration::from_secs(3600);

/// Returns the delay after a number of consecutive failures, at least `retry_after`.
///
/// The delay doubles from 1 s to 5 min. `jitter` is a random number: half of the delay is fixed and
/// the other half is scaled by it, so that runs that failed together do not retry together.
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
    fn delay_doubles_from_a_second_to_five_minutes() {
        let whole: Vec<u64> = (1..=12).map(|n| delay(n, u32::MAX, None).as_secs()).collect();
        assert_eq!(whole, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(delay(0, u32::MAX, None), FIRST_SPAN);
        assert_eq!(delay(u32::MAX, u32::MAX, None), LONGEST_SPAN);
    }

    #[test]
    fn jitter_varies_the_delay_between_half_and_whole() {
        assert_eq!(delay(3, 0, None), Duration::from_secs(2));
        let some = delay(3, u32::MAX / 2, None);
        assert!(some > Duration::from_millis(2900) && some < Duration::from_millis(3100));
    }

    #[test]
    fn retry_after_is_a_bounded_minimum() {
        let with_retry_after = |seconds| delay(1, 0, Some(Duration::from_secs(seconds)));
        assert_eq!(with_retry_after(0), Duration::from_millis(500));
        assert_eq!(with_retry_after(120), Duration::from_secs(120));
        assert_eq!(with_retry_after(u64::MAX), RETRY_AFTER_SPAN_MAX);
    }
}
