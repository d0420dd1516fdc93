//! Draws that can be drawn again: by the seed that is printed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of numbers.
pub(crate) struct Chance(u64);

/// Tells whether everything is to be tried.
pub(crate) fn full() -> bool {
    std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL")
}

impl Chance {
    /// Returns the source that `MIG_TEST_SEED` gives, or a new one whose seed is printed.
    pub(crate) fn new() -> Chance {
        let given = std::env::vars().find(|(name, _)| name == "MIG_TEST_SEED");
        let seed = given.and_then(|(_, seed)| seed.parse().ok()).unwrap_or_else(any);
        println!("MIG_TEST_SEED={seed}");
        Chance(seed)
    }

    /// Returns any number below `limit`, as SplitMix64 does.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// Returns any time shorter than `span`.
    pub(crate) fn moment(&mut self, span: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(span.as_micros()).unwrap()))
    }
}

#[expect(clippy::disallowed_methods, reason = "any number will do")]
fn any() -> u64 {
    u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
}
