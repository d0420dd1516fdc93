//! Random bytes from the system's random source.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// The letters of a mark.
const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
/// The number of letters of a mark.
const MARK_LETTERS: usize = 6;

/// Fills `bytes` with unpredictable values.
pub(crate) fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty())?;
    }
    Ok(())
}

/// Returns six random letters that make a name unique, such as the id of a run within its second.
pub(crate) fn mark() -> io::Result<String> {
    let mut bytes = [0; MARK_LETTERS];
    fill(&mut bytes)?;
    let letter = |byte: u8| LETTERS.get(usize::from(byte) % LETTERS.len()).copied();
    Ok(bytes.into_iter().filter_map(letter).map(char::from).collect())
}

/// Returns a random number for spreading retries; always 0 if there is no random source. It must
/// not be used for secrets.
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
