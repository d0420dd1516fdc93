//! Searches the memory of a process for copies of a secret.

#![expect(clippy::disallowed_methods, reason = "a test reads /proc")]

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Returns the number of copies of a secret in the memory of a process. `hidden` is the secret with
/// each byte increased by one: the test that searches for the secret must not contain it.
pub(in crate::pgp) fn copies(process: &str, hidden: &[u8]) -> usize {
    let folder = Path::new("/proc").join(process);
    let memory = File::open(folder.join("mem")).unwrap();
    let maps = read_to_string(folder.join("maps")).unwrap();
    let writable = maps.lines().filter(|line| line.contains(" rw"));
    let found = writable.map(|line| {
        let (begin, end) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (begin, end) = (address(begin), address(end));
        let mut bytes = vec![0; usize::try_from(end - begin).unwrap()];
        // The mapping may be gone.
        let size = memory.read_at(&mut bytes, begin).unwrap_or_default();
        let is_copy = |bytes: &&[u8]| {
            bytes.iter().zip(hidden).all(|(byte, next)| byte.wrapping_add(1) == *next)
        };
        bytes[..size].windows(hidden.len()).filter(is_copy).count()
    });
    found.sum()
}
