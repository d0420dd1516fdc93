//! The results document while it is being fetched: `.ACTIONID.part` beside its final name.
//!
//! The partial document **is** the document without its end: the head, then one command per line as
//! the API sent it. To resume, the file is cut at the first line that is not a complete command. At
//! the end, the tail is written and the file is fsynced and renamed: a document with its final name
//! is complete.
//!
//! **Invariant.** Memory grows only by the set of command ids, which [`DocumentLimits`] limits. The
//! facts of the pages that wait for their turn are limited by the size of a page.

mod command_file;
mod complete_lines;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::action::{Command, CommandError, CommandText, LargeAnswer, Summary};
use crate::disk::{Disk, DiskError};
pub(super) use command_file::CommandFile;
use complete_lines::CompleteLines;

/// Limits of a results document: what it can use up of the disk, and its ids of the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DocumentLimits {
    pub(super) commands: u64,
    /// The size in bytes from which no command is added.
    pub(super) bytes: u64,
}

impl DocumentLimits {
    pub(super) const STANDARD: DocumentLimits =
        DocumentLimits { commands: 1_000_000, bytes: 64 << 30 };

    /// Returns the error for results beyond the limits; those before it are in `part`.
    pub(super) fn exceeded(self, part: &Path) -> DocumentError {
        let DocumentLimits { commands, bytes } = self;
        DocumentError::Full { commands, bytes, part: part.to_owned() }
    }
}

/// Maximum number of agents with too large answers that are named.
const LARGE_NAMED_MAX: usize = 10;

/// A results document that is not complete yet.
#[derive(Debug)]
pub(crate) struct PartialDocument {
    lines: CommandFile,
    ids: HashSet<u64>,
    summary: Summary,
    sent: u64,
    /// The first of the answers that were too large.
    large: Vec<LargeAnswer>,
    bytes: u64,
    limits: DocumentLimits,
    /// Whether commands were added since the last fsync.
    is_unsynced: bool,
}

/// The id of a command, and its contribution to the summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandFacts {
    id: u64,
    counts: Summary,
    sent: u64,
    /// Set for the placeholder of a command whose answer was too large.
    large: Option<Box<LargeAnswer>>,
}

/// Why a command is not added to a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error(transparent)]
    Disk {
        #[from]
        source: DiskError,
    },
    /// The API sent results of another action.
    #[error("the API sent a command of the action `{found}` instead of `{wanted}`", found = crate::chain::escape(found), wanted = crate::chain::escape(wanted))]
    OtherAction { found: String, wanted: String },
    #[error("the API sent something that is not a command")]
    NotACommand { source: CommandError },
    /// The action has more results than a document may have.
    #[error("the results exceed the limit of {commands} commands or {} bytes: those that were fetched are in {}", bytes, part.display())]
    Full { commands: u64, bytes: u64, part: PathBuf },
}

/// Returns the path of the partial document that becomes `document`.
pub(crate) fn part_path(document: &Path) -> PathBuf {
    let stem = document.file_stem().unwrap_or_default().to_string_lossy();
    document.with_file_name(format!(".{stem}.part"))
}

impl CommandFacts {
    /// Reads the facts of a command; fails if it is not a command of the action named
    /// `action_name`.
    pub(crate) fn of(
        command: CommandText<'_>,
        action_name: &str,
    ) -> Result<CommandFacts, DocumentError> {
        let command =
            command.into_command().map_err(|source| DocumentError::NotACommand { source })?;
        if command.action_name != action_name {
            let (found, wanted) = (command.action_name, action_name.to_owned());
            return Err(DocumentError::OtherAction { found, wanted });
        }
        Ok(CommandFacts::from(command))
    }

    /// Returns the number of commands of the action; 0 if the command does not say.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }
}

impl From<Command> for CommandFacts {
    fn from(command: Command) -> CommandFacts {
        let mut counts = Summary::default();
        counts.add(&command);
        let sent = u64::try_from(command.counters.sent).unwrap_or_default();
        CommandFacts { id: command.id, counts, sent, large: command.too_large.map(Box::new) }
    }
}

impl PartialDocument {
    /// Opens the partial document at `path` after its last complete command, or begins it with
    /// `head`.
    pub(crate) fn open(disk: &Disk, path: &Path, head: &str) -> Result<PartialDocument, DiskError> {
        let kept = match disk.find(path)? {
            Some(_) => CompleteLines::read(disk, path, head)?,
            None => None,
        };
        let (lines, kept) = match kept {
            Some(kept) => (CommandFile::resume(disk, path, kept.bytes)?, kept),
            None => {
                let mut lines = CommandFile::begin(disk, path)?;
                lines.buffer(head);
                (lines, CompleteLines::none(head))
            }
        };
        let (CompleteLines { bytes, ids, summary, sent, large }, is_unsynced) = (kept, false);
        let limits = DocumentLimits::STANDARD;
        Ok(PartialDocument { lines, ids, summary, sent, large, bytes, limits, is_unsynced })
    }

    /// Returns the summary of a complete document, and its answers that were too large.
    pub(crate) fn summary_of(
        disk: &Disk,
        document: &Path,
        head: &str,
    ) -> Result<(Summary, Vec<LargeAnswer>), DiskError> {
        let kept = CompleteLines::read(disk, document, head)?;
        Ok(kept.map(|kept| (closed(kept.summary, kept.sent), kept.large)).unwrap_or_default())
    }

    pub(crate) fn path(&self) -> &Path {
        self.lines.path()
    }

    /// Returns the number of commands in the document.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }

    /// Returns the number of commands that the action has, according to the commands read so far; 0
    /// if they do not say.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Returns the summary of the commands; the platform counts `sent` of them.
    pub(crate) fn summary(&self, sent: u64) -> Summary {
        closed(self.summary, sent)
    }

    /// Returns the first of the answers that were too large.
    pub(crate) fn large(&self) -> &[LargeAnswer] {
        &self.large
    }

    pub(super) fn limits(&self) -> DocumentLimits {
        self.limits
    }

    /// Sets other limits, for a test.
    #[cfg(test)]
    pub(super) fn limited_to(self, limits: DocumentLimits) -> PartialDocument {
        PartialDocument { limits, ..self }
    }

    /// Adds a command, unless the document already has it.
    ///
    /// # Errors
    /// `Full` if the document has reached its limits; a disk error otherwise.
    pub(crate) fn add(&mut self, facts: &CommandFacts, command: &str) -> Result<(), DocumentError> {
        let index = self.ids.len();
        if self.ids.contains(&facts.id) {
            return Ok(());
        }
        if self.len() >= self.limits.commands || self.bytes >= self.limits.bytes {
            return Err(self.limits.exceeded(self.path()));
        }
        self.ids.insert(facts.id);
        self.bytes = self.bytes.saturating_add(u64::try_from(command.len()).unwrap_or(u64::MAX));
        self.summary.merge(&facts.counts);
        self.sent = self.sent.max(facts.sent);
        note_large(&mut self.large, facts);
        self.is_unsynced = true;
        Ok(self.lines.push(index, command)?)
    }

    /// Writes the commands added so far, without an fsync.
    pub(crate) fn write(&mut self) -> Result<(), DiskError> {
        self.lines.write()
    }

    /// Fsyncs the commands added so far.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        if self.is_unsynced {
            self.lines.sync()?;
            self.is_unsynced = false;
        }
        Ok(())
    }

    /// Writes `tail`, fsyncs the document and gives it its final name.
    pub(crate) fn finish(
        mut self,
        disk: &Disk,
        document: &Path,
        tail: &str,
    ) -> Result<(), DiskError> {
        self.lines.buffer(tail);
        self.lines.sync()?;
        disk.rename(self.lines.path(), document)
    }
}

/// Adds the answer that a placeholder stands for.
fn note_large(large: &mut Vec<LargeAnswer>, facts: &CommandFacts) {
    if large.len() < LARGE_NAMED_MAX {
        large.extend(facts.large.as_deref().cloned());
    }
}

fn closed(mut summary: Summary, sent: u64) -> Summary {
    summary.close(i64::try_from(sent).unwrap_or(i64::MAX));
    summary
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use std::sync::Arc;

    use super::*;
    use crate::disk::counting::CountingFs;
    use crate::disk::{COMMAND_PREFIX, RealFs};

    const HEAD: &str = "{\"action\":{},\"commands\":[\n";

    fn command(id: u64) -> String {
        format!(
            r#"{{"id":{id}, "action":{{"name":"a","counters":{{"sent":4}}}},"status":"success","odd":1e400}}"#
        )
    }

    fn unread(text: &str) -> CommandText<'_> {
        CommandText::new(text, None)
    }

    fn add(part: &mut PartialDocument, id: u64) {
        let command = command(id);
        part.add(&CommandFacts::of(unread(&command), "a").unwrap(), &command).unwrap();
    }

    fn rig() -> (tempfile::TempDir, Disk, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), COMMAND_PREFIX);
        let part = folder.path().join(".7.part");
        (folder, disk, part)
    }

    fn written(ids: &[u64]) -> (tempfile::TempDir, Disk, PathBuf, Vec<u8>) {
        let (folder, disk, path) = rig();
        let mut part = PartialDocument::open(&disk, &path, HEAD).unwrap();
        for id in ids {
            add(&mut part, *id);
        }
        part.sync().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (folder, disk, path, bytes)
    }

    #[test]
    fn document_has_each_command_once_as_it_was_sent() {
        let (folder, disk, path, _) = written(&[1, 2, 1]);
        let document = folder.path().join("7.json");
        assert_eq!(part_path(&document), path);
        let part = PartialDocument::open(&disk, &path, HEAD).unwrap();
        assert_eq!((part.len(), part.sent(), part.summary(3).missing), (2, 4, 1));
        part.finish(&disk, &document, "],\"name\":\"j\",\"plugin\":\"\"}").unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        let expected =
            format!("{HEAD}{}\n,{}\n],\"name\":\"j\",\"plugin\":\"\"}}", command(1), command(2));
        assert_eq!(text, expected);
        assert!(!path.exists());
        let (summary, _) = PartialDocument::summary_of(&disk, &document, HEAD).unwrap();
        assert_eq!((summary.sent, summary.answered, summary.missing), (4, 2, 2));
    }

    #[test]
    fn document_without_commands_is_synced_once() {
        let folder = tempfile::tempdir().unwrap();
        let fs = Arc::new(CountingFs::default());
        let disk = Disk::new(fs.clone(), folder.path().join("unused"), COMMAND_PREFIX);
        let part = folder.path().join(".7.part");
        let mut part = PartialDocument::open(&disk, &part, HEAD).unwrap();
        part.sync().unwrap();
        assert_eq!(fs.syncs(), 0);
        part.finish(&disk, &folder.path().join("7.json"), "]}").unwrap();
        // The file and its folder.
        assert_eq!(fs.syncs(), 2);
        let text = std::fs::read_to_string(folder.path().join("7.json")).unwrap();
        assert_eq!(text, format!("{HEAD}]}}"));
    }

    #[test]
    fn truncated_part_resumes_after_its_last_complete_command() {
        let (_folder, disk, path, whole) = written(&[1, 2, 3]);
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let mut part = PartialDocument::open(&disk, &path, HEAD).unwrap();
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
    fn part_of_another_action_or_with_damage_is_discarded_from_there() {
        let (_folder, disk, path, whole) = written(&[1, 2]);
        let other = PartialDocument::open(&disk, &path, "{\"action\":7,\"commands\":[\n").unwrap();
        assert_eq!(other.len(), 0);
        drop(other);
        let mut damaged = whole.clone();
        damaged.extend(b",{\"id\":3}x\n,{\"id\":4}\n");
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(PartialDocument::open(&disk, &path, HEAD).unwrap().len(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn command_of_another_action_is_refused() {
        let error = CommandFacts::of(unread(&command(1)), "b").unwrap_err();
        assert_eq!(error.to_string(), "the API sent a command of the action `a` instead of `b`");
        assert!(matches!(
            CommandFacts::of(unread("[]"), "a"),
            Err(DocumentError::NotACommand { .. })
        ));
    }
}
