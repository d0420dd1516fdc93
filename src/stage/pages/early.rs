//! The commands of a page that arrived before its turn.
//!
//! The facts of the commands wait in memory, and so do the commands if they are few, which saves
//! writing them twice. Other commands wait in a file beside the partial document. The file need not
//! survive a crash, after which the page is requested again.
//!
//! **Invariant.** An early page holds no more commands than were requested, whatever the API sends.
//! It may send any number, and an earlier page may take any time. What exceeds the page belongs to
//! the next ones.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::action::document;
use crate::api::LargePermit;
use crate::disk::{Context, Disk, DiskError};
use crate::stage::document::{CommandFacts, CommandFile, DocumentError, PartialDocument};

/// Size limit of the commands in memory, in bytes; can be exceeded by one command. Most pages fit.
const MEMORY_BYTES: usize = 2 << 20;

/// The commands of an early page.
#[derive(Debug)]
pub(super) struct EarlyPage {
    /// The facts of each command, and the size of its line in bytes.
    commands: Vec<(CommandFacts, usize)>,
    /// The number of commands that were requested.
    count_max: usize,
    /// The first commands, if memory cannot hold all.
    file: Option<CommandFile>,
    /// The other commands, one per line.
    lines: String,
    path: PathBuf,
}

/// Returns the path of the file for an early page of a lane.
pub(super) fn early_path(part: &Path, lane: u32) -> PathBuf {
    part.with_extension(format!("part-{lane}"))
}

impl EarlyPage {
    /// Returns an empty page for at most `count_max` commands, which uses a file at `path` if it
    /// becomes too large for memory.
    pub(super) fn new(path: PathBuf, count_max: u32) -> EarlyPage {
        let count_max = usize::try_from(count_max).unwrap_or(usize::MAX);
        EarlyPage { commands: Vec::new(), count_max, file: None, lines: String::new(), path }
    }

    /// Adds a command; returns `false` if the page is full.
    pub(super) fn push(
        &mut self,
        disk: &Disk,
        facts: CommandFacts,
        command: &str,
    ) -> Result<bool, DiskError> {
        if self.commands.len() >= self.count_max {
            return Ok(false);
        }
        let begin = self.lines.len();
        document::push_line(0, command, &mut self.lines);
        self.commands.push((facts, self.lines.len().saturating_sub(begin)));
        if self.lines.len() < MEMORY_BYTES {
            return Ok(true);
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(CommandFile::begin(disk, &self.path)?),
        };
        let written = file.append(&self.lines);
        self.lines.clear();
        // Release the memory that an unusually large command needed.
        self.lines.shrink_to(MEMORY_BYTES);
        written.map(|()| true)
    }

    /// Moves all commands into the part, in the order in which they arrived.
    pub(super) fn drain(
        &mut self,
        disk: &Disk,
        part: &mut PartialDocument,
    ) -> Result<(), DocumentError> {
        if self.commands.is_empty() {
            return Ok(());
        }
        if self.file.is_some() {
            // Any of its lines may be large.
            let _permit = LargePermit::wait();
            let file = BufReader::new(disk.reader(&self.path)?);
            let (mut lines, mut line) = (file.chain(self.lines.as_bytes()), String::new());
            for (facts, _) in &self.commands {
                line.clear();
                lines.read_line(&mut line).context("read", &self.path)?;
                part.add(facts, &line)?;
            }
        } else {
            let mut rest = self.lines.as_str();
            for (facts, size) in &self.commands {
                let (line, others) = rest.split_at_checked(*size).unwrap_or((rest, ""));
                part.add(facts, line)?;
                rest = others;
            }
        }
        self.commands.clear();
        self.lines.clear();
        Ok(())
    }

    /// Removes the file, if any.
    pub(super) fn remove(self, disk: &Disk) -> Result<(), DiskError> {
        self.file.map_or(Ok(()), |file| disk.unlink(file.path()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::action::CommandText;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    const HEAD: &str = "{\"action\":{},\"commands\":[\n";

    /// Stores commands of `bytes` each in an early page and drains it. Returns the text of the
    /// part, and whether the early page used a file.
    fn wait(bytes: usize, count: u64) -> (String, bool) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let (path, file) = (folder.path().join(".7.part"), folder.path().join(".7.part-1"));
        let mut part = PartialDocument::open(&disk, &path, HEAD).unwrap();
        let mut early = EarlyPage::new(file.clone(), u32::MAX);
        for id in 1..=count {
            let command = command(id, bytes);
            assert!(
                early
                    .push(
                        &disk,
                        CommandFacts::of(CommandText::new(&command, None), "a").unwrap(),
                        &command
                    )
                    .unwrap()
            );
        }
        let was_file = file.exists();
        early.drain(&disk, &mut part).unwrap();
        // A second drain has nothing to do.
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
    fn few_commands_wait_in_memory_and_many_in_a_file() {
        for (bytes, count, wanted) in [(10, 3, false), (MEMORY_BYTES, 1, true), (900_000, 5, true)]
        {
            let (text, was_file) = wait(bytes, count);
            assert_eq!(was_file, wanted, "{bytes}");
            let lines: Vec<String> = (1..=count).map(|id| command(id, bytes)).collect();
            assert!(text == format!("{HEAD}{}\n", lines.join("\n,")), "{bytes}");
        }
    }
}
