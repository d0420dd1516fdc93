//! Chance, from the system's random source.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// The letters of a mark.
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
/// How many letters a mark has.
const MARK_LETTERS: usize = 6;

/// Fills `bytes` with what nobody can guess.
///
/// # Errors
/// The system has no random source.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Returns six letters that tell two runs begun in the same second apart.
///
/// # Errors
/// As [`fill`].
pub(crate) fn mark() -> io::Result<String> {
    let mut bytes = [0; MARK_LETTERS];
    fill(&mut bytes)?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied();
    Ok(bytes.into_iter().filter_map(letter).map(char::from).collect())
}

/// Returns any number; without a random source, always the same: to spread attempts, not to hide anything.
pub(crate) fn jitter() -> u32 {
    let mut bytes = [0; 4];
    fill(&mut bytes).map_or(0, |()| u32::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_six_letters_and_differ() {
        let (one, other) = (mark().unwrap(), mark().unwrap());
        assert_eq!(one.len(), MARK_LETTERS);
        assert!(one.chars().all(|c| c.is_ascii_lowercase()));
        assert_ne!(one, other);
    }
}
