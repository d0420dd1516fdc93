//! Random numbers that can be repeated with the seed that is printed.

use std::cell::Cell;

/// A random number generator.
pub(super) struct SeededRandom(Cell<u64>);

impl SeededRandom {
    /// Returns a generator with the seed in `MIG_TEST_SEED`, or else with a new seed; prints the
    /// seed.
    pub(super) fn new() -> SeededRandom {
        let given = std::env::vars().find(|(name, _)| name == "MIG_TEST_SEED");
        let seed = given.and_then(|(_, seed)| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(crate::random::jitter()));
        println!("MIG_TEST_SEED={seed}");
        SeededRandom::from_seed(seed)
    }

    pub(super) fn from_seed(seed: u64) -> SeededRandom {
        SeededRandom(Cell::new(seed))
    }

    /// Returns a new generator, seeded by this one.
    pub(super) fn fork(&self) -> SeededRandom {
        SeededRandom::from_seed(self.next())
    }

    /// Returns the next number, by SplitMix64.
    pub(super) fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns `true` with a probability of one in `times`.
    pub(super) fn one_in(&self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }
}

/// Returns whether everything is to be tried instead of a random part.
pub(super) fn is_full_proof() -> bool {
    std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL")
}
