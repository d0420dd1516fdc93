//! The filter `sizes`: `10k`, `<1m`, `>512`.

use super::bound::Sign;

/// What a file's size must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SizeTest {
    sign: Option<Sign>,
    bytes: u64,
}

impl SizeTest {
    /// Returns the test for `number` bytes, or of the unit that its letter names.
    pub(super) fn new(sign: Option<Sign>, number: u64, unit: Option<char>) -> SizeTest {
        let unit: u64 = match unit {
            Some('k') => 1 << 10,
            Some('m') => 1 << 20,
            Some('g') => 1 << 30,
            Some('t') => 1 << 40,
            _ => 1,
        };
        SizeTest { sign, bytes: number.saturating_mul(unit) }
    }

    /// Tells whether a file of `bytes` passes; both signs include the size itself.
    pub(super) fn holds(self, bytes: u64) -> bool {
        match self.sign {
            Some(Sign::Less) => bytes <= self.bytes,
            Some(Sign::Greater) => bytes >= self.bytes,
            None => bytes == self.bytes,
        }
    }
}
