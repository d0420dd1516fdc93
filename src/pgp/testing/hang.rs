//! A GnuPG home whose `gpg` hangs: the keyring is a named pipe that nothing writes to.

#![expect(clippy::disallowed_methods, reason = "tests edit the files of GnuPG homes")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::testing::retried;

/// While it exists, every `gpg` that reads the keyring of a home hangs.
pub(crate) struct HangingGpg {
    home: PathBuf,
}

impl HangingGpg {
    pub(crate) fn new(home: &Path) -> HangingGpg {
        let ring = home.join("pubring.kbx");
        fs::rename(&ring, home.join("away")).unwrap();
        assert!(Command::new("mkfifo").arg(&ring).status().unwrap().success());
        HangingGpg { home: home.to_owned() }
    }

    /// Returns the process ids of the `gpg` that use the home.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let home = self.home.to_str().unwrap();
        // Later releases of GnuPG's library pass the option and its value as one word.
        let joined = format!("--homedir={home}");
        let is_meant = |line: &[u8]| {
            let mut words = line.split(|byte| *byte == 0);
            words.next().is_some_and(|program| program == b"gpg" || program.ends_with(b"/gpg"))
                && words.any(|word| word == home.as_bytes() || word == joined.as_bytes())
        };
        let numbers = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            is_meant(&line).then_some(number)
        });
        numbers.collect()
    }

    /// Waits until a `gpg` hangs.
    pub(crate) fn wait_started(&self) {
        let started = || (!self.processes().is_empty()).then_some(()).ok_or("no gpg has started");
        retried(started, |_| true).unwrap();
    }

    /// Checks that no `gpg` is left. A killed process that is not reaped yet does not count.
    pub(crate) fn assert_ended(&self) {
        let ended = || match self.processes() {
            left if left.is_empty() => Ok(()),
            left => Err(left),
        };
        retried(ended, |_| true).unwrap();
    }
}

impl Drop for HangingGpg {
    fn drop(&mut self) {
        let ring = self.home.join("pubring.kbx");
        fs::remove_file(&ring).unwrap();
        fs::rename(self.home.join("away"), ring).unwrap();
    }
}
