//! Draws that can be drawn again: by the seed that is printed.

use std::cell::Cell;

/// A source of numbers.
pub(super) struct Chance(Cell<u64>);

impl Chance {
    /// Returns the source that `MIG_TEST_SEED` gives, or a new one whose seed is printed.
    pub(super) fn new() -> Chance {
        let given = std::env::vars().find(|(name, _)| name == "MIG_TEST_SEED");
        let seed = given.and_then(|(_, seed)| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| u64::from(crate::random::jitter()));
        println!("MIG_TEST_SEED={seed}");
        Chance::of(seed)
    }

    /// Returns the source that a seed gives.
    pub(super) fn of(seed: u64) -> Chance {
        Chance(Cell::new(seed))
    }

    /// Returns another source, which this one determines.
    pub(super) fn fork(&self) -> Chance {
        Chance::of(self.draw())
    }

    /// Returns any number, as SplitMix64 does.
    pub(super) fn draw(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Tells whether something that happens once in `times` happens.
    pub(super) fn one_in(&self, times: u64) -> bool {
        self.draw().is_multiple_of(times)
    }
}

/// Tells whether everything is to be tried.
pub(super) fn full() -> bool {
    std::env::vars().any(|(name, _)| name == "MIG_TEST_FULL")
}
