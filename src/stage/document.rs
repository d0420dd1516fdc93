//! The results document while it grows: `.ACTIONID.part` beside its final name.
//!
//! The part **is** the document without its end: the head, then one command a
//! line as the API sent it. Only what is whole counts: to resume, the part is cut
//! at the first line that is no command. At the end the tail is written, the
//! file fsynced and renamed: a document that has its name is complete.
//!
//! **Invariant.** Memory grows by the set of command ids only.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::action::{Command, CommandError, Summary, document};
use crate::disk::{Context, Disk, DiskError, FsFile};

/// How much is collected before it is written, in bytes; one command more at the most.
const BUFFER_BYTES: usize = 128 * 1024;
/// The longest line of a part, in bytes: the longest command that is taken from the API, and its ends.
const LINE_BYTES_MAX: u64 = (64 << 20) + 2;

/// A results document that is not complete yet.
#[derive(Debug)]
pub(crate) struct Part {
    lines: Lines,
    ids: HashSet<u64>,
    summary: Summary,
    sent: u64,
}

/// What a document keeps in mind of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    id: u64,
    counts: Summary,
    sent: u64,
}

/// Why a command does not go into a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// The disk did not do what it was asked.
    #[error(transparent)]
    Disk {
        #[from]
        source: DiskError,
    },
    /// The API sent results of something else.
    #[error("the API sent a command of the action `{found}` instead of `{wanted}`", found = crate::chain::escape(found), wanted = crate::chain::escape(wanted))]
    Stranger {
        /// The name of the action that the command is of.
        found: String,
        /// The name of the action that was asked for.
        wanted: String,
    },
    /// The API sent something that is no command.
    #[error("the API sent what is no command")]
    NoCommand {
        /// Why it is none.
        source: CommandError,
    },
}

/// Returns the name under which a document grows, beside its final one.
pub(crate) fn part_path(document: &Path) -> PathBuf {
    let stem = document.file_stem().unwrap_or_default().to_string_lossy();
    document.with_file_name(format!(".{stem}.part"))
}

impl Tally {
    /// Reads what a document keeps in mind of a command of the action named `action_name`.
    ///
    /// # Errors
    /// It is no command, or one of another action.
    pub(crate) fn of(command: &str, action_name: &str) -> Result<Tally, DocumentError> {
        let command =
            Command::glance(command).map_err(|source| DocumentError::NoCommand { source })?;
        if command.action_name != action_name {
            let (found, wanted) = (command.action_name, action_name.to_owned());
            return Err(DocumentError::Stranger { found, wanted });
        }
        Ok(Tally::from(&command))
    }
}

impl From<&Command> for Tally {
    fn from(command: &Command) -> Tally {
        let mut counts = Summary::default();
        counts.add(command);
        let sent = u64::try_from(command.counters.sent).unwrap_or_default();
        Tally { id: command.id, counts, sent }
    }
}

impl Part {
    /// Opens the part at `path`, after what it holds already, or begins it with `head`.
    pub(crate) fn open(disk: &Disk, path: &Path, head: &str) -> Result<Part, DiskError> {
        let kept = match disk.find(path)? {
            Some(_) => Kept::of(BufReader::new(disk.reader(path)?), head).context("read", path)?,
            None => None,
        };
        let Some(Kept { bytes, ids, summary, sent }) = kept else {
            let mut lines = Lines::begin(disk, path)?;
            lines.buffer.extend(head.as_bytes());
            let (ids, summary) = (HashSet::new(), Summary::default());
            return Ok(Part { lines, ids, summary, sent: 0 });
        };
        let mut file = disk.resume(path)?;
        file.cut(bytes).context("cut", path)?;
        let lines = Lines { file, path: path.to_owned(), buffer: Vec::new() };
        Ok(Part { lines, ids, summary, sent })
    }

    /// Returns what the commands of a complete document came to.
    pub(crate) fn summary_of(
        disk: &Disk,
        document: &Path,
        head: &str,
    ) -> Result<Summary, DiskError> {
        let reader = BufReader::new(disk.reader(document)?);
        let kept = Kept::of(reader, head).context("read", document)?;
        Ok(kept.map(|kept| closed(kept.summary, kept.sent)).unwrap_or_default())
    }

    /// Returns where it is.
    pub(crate) fn path(&self) -> &Path {
        self.lines.path()
    }

    /// Returns the number of commands it holds.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }

    /// Returns how many commands the action has, as those that are there say; 0 if they do not.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns what the commands came to, of which the platform counts `sent`.
    pub(crate) fn summary(&self, sent: u64) -> Summary {
        closed(self.summary, sent)
    }

    /// Adds a command, unless it is there already.
    pub(crate) fn add(&mut self, tally: &Tally, command: &str) -> Result<(), DiskError> {
        let index = self.ids.len();
        if !self.ids.insert(tally.id) {
            return Ok(());
        }
        self.summary.merge(&tally.counts);
        self.sent = self.sent.max(tally.sent);
        self.lines.push(index, command)
    }

    /// Makes what was added durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        self.lines.sync()
    }

    /// Ends the document with `tail` and gives it its name.
    pub(crate) fn finish(
        mut self,
        disk: &Disk,
        document: &Path,
        tail: &str,
    ) -> Result<(), DiskError> {
        self.lines.buffer.extend(tail.as_bytes());
        self.lines.sync()?;
        disk.rename(&self.lines.path, document)
    }
}

fn closed(mut summary: Summary, sent: u64) -> Summary {
    summary.close(i64::try_from(sent).unwrap_or(i64::MAX));
    summary
}

/// A file of commands, one a line, written piece by piece.
#[derive(Debug)]
pub(super) struct Lines {
    file: Box<dyn FsFile>,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Lines {
    /// Begins a file, in place of what a crash left under its name.
    pub(super) fn begin(disk: &Disk, path: &Path) -> Result<Lines, DiskError> {
        if disk.find(path)?.is_some() {
            disk.unlink(path)?;
        }
        Ok(Lines { file: disk.begin(path)?, path: path.to_owned(), buffer: Vec::new() })
    }

    /// Returns where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes lines as they are.
    pub(super) fn append(&mut self, lines: &[u8]) -> Result<(), DiskError> {
        self.file.append(lines).context("write", &self.path)
    }

    /// Adds the command that is at `index` in the file.
    fn push(&mut self, index: usize, command: &str) -> Result<(), DiskError> {
        document::push_line(index, command, &mut self.buffer);
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes what was collected.
    fn write(&mut self) -> Result<(), DiskError> {
        let written = self.file.append(&self.buffer);
        self.buffer.clear();
        // One command of an unusual size does not stay in memory.
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        written.context("write", &self.path)
    }

    fn sync(&mut self) -> Result<(), DiskError> {
        self.write()?;
        self.file.sync().context("write", &self.path)
    }
}

/// What is whole of a part.
struct Kept {
    bytes: u64,
    ids: HashSet<u64>,
    summary: Summary,
    sent: u64,
}

impl Kept {
    /// Returns what is whole; `None` if not even the head is.
    fn of(mut reader: impl BufRead, head: &str) -> io::Result<Option<Kept>> {
        let mut line = Vec::new();
        let head_bytes = u64::try_from(head.len()).unwrap_or(u64::MAX);
        reader.by_ref().take(head_bytes).read_to_end(&mut line)?;
        if line != head.as_bytes() {
            return Ok(None);
        }
        let mut kept =
            Kept { bytes: head_bytes, ids: HashSet::new(), summary: Summary::default(), sent: 0 };
        loop {
            line.clear();
            let size = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            let Some(command) = whole_command(&line, kept.ids.is_empty()) else { break };
            let tally = Tally::from(&command);
            if !kept.ids.insert(tally.id) {
                break;
            }
            kept.summary.merge(&tally.counts);
            kept.sent = kept.sent.max(tally.sent);
            kept.bytes = kept.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        }
        Ok(Some(kept))
    }
}

fn whole_command(line: &[u8], first: bool) -> Option<Command> {
    let line = line.strip_suffix(b"\n")?;
    let line = if first { line } else { line.strip_prefix(b",")? };
    Command::glance(std::str::from_utf8(line).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use std::sync::Arc;

    use super::*;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    const HEAD: &str = "{\"action\":{},\"commands\":[\n";

    fn command(id: u64) -> String {
        format!(
            r#"{{"id":{id}, "action":{{"name":"a","counters":{{"sent":4}}}},"status":"success","odd":1e400}}"#
        )
    }

    fn add(part: &mut Part, id: u64) {
        let command = command(id);
        part.add(&Tally::of(&command, "a").unwrap(), &command).unwrap();
    }

    fn rig() -> (tempfile::TempDir, Disk, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let part = folder.path().join(".7.part");
        (folder, disk, part)
    }

    fn written(ids: &[u64]) -> (tempfile::TempDir, Disk, PathBuf, Vec<u8>) {
        let (folder, disk, path) = rig();
        let mut part = Part::open(&disk, &path, HEAD).unwrap();
        for id in ids {
            add(&mut part, *id);
        }
        part.sync().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (folder, disk, path, bytes)
    }

    #[test]
    fn a_document_holds_each_command_once_as_it_was_sent() {
        let (folder, disk, path, _) = written(&[1, 2, 1]);
        let document = folder.path().join("7.json");
        assert_eq!(part_path(&document), path);
        let part = Part::open(&disk, &path, HEAD).unwrap();
        assert_eq!((part.len(), part.sent(), part.summary(3).missing), (2, 4, 1));
        part.finish(&disk, &document, "],\"name\":\"j\",\"plugin\":\"\"}").unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        let expected =
            format!("{HEAD}{}\n,{}\n],\"name\":\"j\",\"plugin\":\"\"}}", command(1), command(2));
        assert_eq!(text, expected);
        assert!(!path.exists());
        let summary = Part::summary_of(&disk, &document, HEAD).unwrap();
        assert_eq!((summary.sent, summary.answered, summary.missing), (4, 2, 2));
    }

    #[test]
    fn a_part_cut_anywhere_goes_on_after_its_last_whole_command() {
        let (_folder, disk, path, whole) = written(&[1, 2, 3]);
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let mut part = Part::open(&disk, &path, HEAD).unwrap();
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            assert_eq!(part.len(), lines.saturating_sub(1) as u64, "{end}");
            for id in [1, 2, 3] {
                add(&mut part, id);
            }
            part.sync().unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "{end}");
        }
    }

    #[test]
    fn a_part_of_another_action_or_with_damage_is_not_trusted() {
        let (_folder, disk, path, whole) = written(&[1, 2]);
        let other = Part::open(&disk, &path, "{\"action\":7,\"commands\":[\n").unwrap();
        assert_eq!(other.len(), 0);
        drop(other);
        let mut damaged = whole.clone();
        damaged.extend(b",{\"id\":3}x\n,{\"id\":4}\n");
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(Part::open(&disk, &path, HEAD).unwrap().len(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn what_is_of_another_action_is_refused() {
        let error = Tally::of(&command(1), "b").unwrap_err();
        assert_eq!(error.to_string(), "the API sent a command of the action `a` instead of `b`");
        assert!(matches!(Tally::of("[]", "a"), Err(DocumentError::NoCommand { .. })));
    }
}
