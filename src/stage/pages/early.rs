//! What waits of a page that came before its turn.
//!
//! What its commands add up to waits in memory, and they themselves as far as they
//! are few: those need not be written twice. The others wait in a file beside the
//! part; it need not outlive a crash, after which the page is asked for again.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;

use crate::action::document;
use crate::disk::{Context, Disk, DiskError};
use crate::stage::document::{Lines, Part, Tally};

/// How much waits in memory, in bytes; one command more at the most. Most pages of the usual size fit.
const MEMORY_BYTES: usize = 2 << 20;

/// The commands of an early page, and what they add up to.
#[derive(Debug)]
pub(super) struct Early {
    tallies: Vec<Tally>,
    /// The first commands, if they are too many for memory.
    file: Option<Lines>,
    /// The others, one a line.
    lines: Vec<u8>,
    path: PathBuf,
}

impl Early {
    /// Returns what waits before anything came; what is too much waits in a file at `path`.
    pub(super) fn new(path: PathBuf) -> Early {
        Early { tallies: Vec::new(), file: None, lines: Vec::new(), path }
    }

    pub(super) fn push(
        &mut self,
        disk: &Disk,
        tally: Tally,
        command: &str,
    ) -> Result<(), DiskError> {
        self.tallies.push(tally);
        document::push_line(0, command, &mut self.lines);
        if self.lines.len() < MEMORY_BYTES {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Lines::begin(disk, &self.path)?),
        };
        let written = file.append(&self.lines);
        self.lines.clear();
        // One command of an unusual size does not stay in memory.
        self.lines.shrink_to(MEMORY_BYTES);
        written
    }

    /// Moves what waits into the part, in the order in which it came.
    pub(super) fn drain(&mut self, disk: &Disk, part: &mut Part) -> Result<(), DiskError> {
        if self.tallies.is_empty() {
            return Ok(());
        }
        if self.file.is_some() {
            let reader = BufReader::new(disk.reader(&self.path)?);
            self.add_to(part, reader.chain(self.lines.as_slice()))?;
        } else {
            self.add_to(part, self.lines.as_slice())?;
        }
        self.tallies.clear();
        Ok(())
    }

    fn add_to(&self, part: &mut Part, mut lines: impl BufRead) -> Result<(), DiskError> {
        let mut line = String::new();
        for tally in &self.tallies {
            line.clear();
            lines.read_line(&mut line).context("read", &self.path)?;
            part.add(tally, &line)?;
        }
        Ok(())
    }

    /// Removes the file, if there is one.
    pub(super) fn remove(self, disk: &Disk) -> Result<(), DiskError> {
        self.file.map_or(Ok(()), |file| disk.unlink(file.path()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    const HEAD: &str = "{\"action\":{},\"commands\":[\n";

    /// Lets commands of `bytes` each wait, drains them and returns the part's text, and whether there
    /// was a file meanwhile.
    fn wait(bytes: usize, count: u64) -> (String, bool) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let (path, file) = (folder.path().join(".7.part"), folder.path().join(".7.part-1"));
        let mut part = Part::open(&disk, &path, HEAD).unwrap();
        let mut early = Early::new(file.clone());
        for id in 1..=count {
            let command = command(id, bytes);
            early.push(&disk, Tally::of(&command, "a").unwrap(), &command).unwrap();
        }
        let was_file = file.exists();
        early.drain(&disk, &mut part).unwrap();
        // There is nothing left to drain.
        early.drain(&disk, &mut part).unwrap();
        early.remove(&disk).unwrap();
        part.sync().unwrap();
        assert!(!file.exists());
        let text = disk.read(&path, u64::MAX).unwrap();
        (String::from_utf8(text).unwrap(), was_file)
    }

    fn command(id: u64, bytes: usize) -> String {
        let filler = "x".repeat(bytes);
        format!(r#"{{"id":{id},"action":{{"name":"a"}},"status":"success","filler":"{filler}"}}"#)
    }

    #[test]
    fn few_wait_in_memory_and_many_in_a_file() {
        for (bytes, count, wanted) in [(10, 3, false), (MEMORY_BYTES, 1, true), (900_000, 5, true)]
        {
            let (text, was_file) = wait(bytes, count);
            assert_eq!(was_file, wanted, "{bytes}");
            let lines: Vec<String> = (1..=count).map(|id| command(id, bytes)).collect();
            assert!(text == format!("{HEAD}{}\n", lines.join("\n,")), "{bytes}");
        }
    }
}
