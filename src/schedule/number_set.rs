//! A set of small numbers in a few bytes: ten thousand schedules are in memory all the time.

use std::collections::BTreeSet;

/// Number of values of a word.
const WORD_BITS: u16 = 64;

/// A set of numbers from `first`, at most 64 for each word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NumberSet<const WORDS: usize> {
    first: u16,
    words: [u64; WORDS],
}

impl<const WORDS: usize> NumberSet<WORDS> {
    /// Returns the set of `values`, without those outside its bounds.
    pub(super) fn new(first: u16, values: &BTreeSet<u16>) -> NumberSet<WORDS> {
        let mut set = NumberSet { first, words: [0; WORDS] };
        for value in values {
            if let Some(offset) = value.checked_sub(first)
                && let Some(word) = set.words.get_mut(usize::from(offset / WORD_BITS))
            {
                *word |= 1 << (offset % WORD_BITS);
            }
        }
        set
    }

    pub(super) fn contains(&self, value: u16) -> bool {
        self.next_from(value) == Some(value)
    }

    /// Returns the smallest number of the set that is at least `min`.
    pub(super) fn next_from(&self, min: u16) -> Option<u16> {
        let offset = min.saturating_sub(self.first);
        let (index, skipped) = (offset / WORD_BITS, offset % WORD_BITS);
        let words = (0_u16..).zip(self.words).skip(usize::from(index));
        for (number, word) in words {
            let word = if number == index { word >> skipped << skipped } else { word };
            if word != 0 {
                let bit = u16::try_from(word.trailing_zeros()).ok()?;
                return self.first.checked_add(number * WORD_BITS + bit);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn set_has_the_numbers_that_it_was_made_of(
            values in proptest::collection::btree_set(1970_u16..2100, 0..20),
            min in 1900_u16..2200,
        ) {
            let set = NumberSet::<3>::new(1970, &values);
            prop_assert_eq!(set.next_from(min), values.range(min..).next().copied());
            prop_assert_eq!(set.contains(min), values.contains(&min));
        }
    }

    #[test]
    fn bounds_belong_to_the_set() {
        let set = NumberSet::<1>::new(0, &(0..64).collect());
        assert_eq!(
            (set.next_from(0), set.next_from(63), set.next_from(64)),
            (Some(0), Some(63), None)
        );
        let set = NumberSet::<1>::new(0, &BTreeSet::from([64]));
        assert_eq!(set.next_from(0), None);
    }
}
