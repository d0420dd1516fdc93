//! Random numbers that can be reproduced with the printed seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A random number generator.
pub(crate) struct SeededRandom(u64);

/// Returns whether the full test was requested.
pub(crate) fn full() -> bool {
    std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL")
}

impl SeededRandom {
    /// Returns a generator seeded from `MIG_TEST_SEED` or with a new seed, and prints the seed.
    pub(crate) fn new() -> SeededRandom {
        let given = std::env::vars().find(|(name, _)| name == "MIG_TEST_SEED");
        let seed = given.and_then(|(_, seed)| seed.parse().ok()).unwrap_or_else(new_seed);
        println!("MIG_TEST_SEED={seed}");
        SeededRandom(seed)
    }

    /// Returns a random number below `limit` (SplitMix64).
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }

    /// Returns a random duration shorter than `span`.
    pub(crate) fn moment(&mut self, span: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(span.as_micros()).unwrap()))
    }
}

#[expect(clippy::disallowed_methods, reason = "a seed can be any number")]
fn new_seed() -> u64 {
    u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos())
}
