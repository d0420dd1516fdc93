//! The results document while it grows: `.ACTIONID.part` beside its final name.
//!
//! The part **is** the document without its end: the head, then one command a
//! line as the API sent it. Only what is whole counts: to resume, the part is cut
//! at the first line that is no command. At the end the tail is written, the
//! file fsynced and renamed: a document that has its name is complete.
//!
//! **Invariant.** Memory grows by the set of command ids only.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use crate::action::{Command, CommandError, Summary, document};
use crate::disk::{Context, Disk, DiskError, FsFile};

/// A results document that is not complete yet.
#[derive(Debug)]
pub(crate) struct Part {
    file: Box<dyn FsFile>,
    path: PathBuf,
    ids: HashSet<u64>,
    summary: Summary,
    buffer: Vec<u8>,
}

/// Why a command does not go into a document.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    /// The disk did not do what it was asked.
    #[error(transparent)]
    Disk {
        /// What it was.
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

impl Part {
    /// Opens the part at `path`, after what it holds already, or begins it with `head`.
    pub(crate) fn open(disk: &Disk, path: &Path, head: &str) -> Result<Part, DiskError> {
        let kept = match disk.find(path)? {
            Some(_) => Kept::of(BufReader::new(disk.reader(path)?), head).context("read", path)?,
            None => None,
        };
        let Some(kept) = kept else { return Part::begin(disk, path, head) };
        let mut file = disk.resume(path)?;
        file.cut(kept.bytes).context("cut", path)?;
        let path = path.to_owned();
        Ok(Part { file, path, ids: kept.ids, summary: kept.summary, buffer: Vec::new() })
    }

    fn begin(disk: &Disk, path: &Path, head: &str) -> Result<Part, DiskError> {
        if disk.find(path)?.is_some() {
            disk.unlink(path)?;
        }
        let file = disk.begin(path)?;
        let buffer = head.as_bytes().to_vec();
        let (ids, summary) = (HashSet::new(), Summary::default());
        Ok(Part { file, path: path.to_owned(), ids, summary, buffer })
    }

    /// Returns what the commands of a complete document came to.
    pub(crate) fn summary_of(
        disk: &Disk,
        document: &Path,
        head: &str,
    ) -> Result<Summary, DiskError> {
        let reader = BufReader::new(disk.reader(document)?);
        let kept = Kept::of(reader, head).context("read", document)?;
        Ok(kept.map(|kept| kept.summary).unwrap_or_default())
    }

    /// Returns the number of commands it holds.
    pub(crate) fn len(&self) -> u64 {
        u64::try_from(self.ids.len()).unwrap_or(u64::MAX)
    }

    /// Returns what the commands came to, of which the platform counts `sent`.
    pub(crate) fn summary(&self, sent: u64) -> Summary {
        let mut summary = self.summary;
        summary.close(i64::try_from(sent).unwrap_or(i64::MAX));
        summary
    }

    /// Adds a command of the action named `actionname`, unless it is there already.
    pub(crate) fn add(&mut self, raw: &RawValue, action_name: &str) -> Result<(), DocumentError> {
        let command =
            Command::parse(raw.get()).map_err(|source| DocumentError::NoCommand { source })?;
        if command.action_name != action_name {
            let (found, wanted) = (command.action_name, action_name.to_owned());
            return Err(DocumentError::Stranger { found, wanted });
        }
        if !self.ids.insert(command.id) {
            return Ok(());
        }
        self.summary.add(&command);
        let line = document::line(self.ids.len() - 1, raw.get());
        self.buffer.extend(line.into_bytes());
        Ok(())
    }

    /// Writes what was added and makes it durable.
    pub(crate) fn sync(&mut self) -> Result<(), DiskError> {
        let written = self.file.append(&self.buffer).and_then(|()| self.file.sync());
        self.buffer.clear();
        written.context("write", &self.path)
    }

    /// Ends the document with `tail` and gives it its name.
    pub(crate) fn finish(
        mut self,
        disk: &Disk,
        document: &Path,
        tail: &str,
    ) -> Result<(), DiskError> {
        self.buffer.extend(tail.as_bytes());
        self.sync()?;
        disk.shift(&self.path, document)
    }
}

/// What is whole of a part.
struct Kept {
    bytes: u64,
    ids: HashSet<u64>,
    summary: Summary,
}

impl Kept {
    /// Returns what is whole; `None` if not even the head is.
    fn of(mut reader: impl BufRead, head: &str) -> io::Result<Option<Kept>> {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if line != head.as_bytes() {
            return Ok(None);
        }
        let mut kept = Kept { bytes: 0, ids: HashSet::new(), summary: Summary::default() };
        let mut size = line.len();
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            let Some(command) = whole_command(&line, kept.ids.is_empty()) else { break };
            if !kept.ids.insert(command.id) {
                break;
            }
            kept.summary.add(&command);
            size = size.saturating_add(line.len());
        }
        kept.bytes = u64::try_from(size).unwrap_or(u64::MAX);
        Ok(Some(kept))
    }
}

fn whole_command(line: &[u8], first: bool) -> Option<Command> {
    let line = line.strip_suffix(b"\n")?;
    let line = if first { line } else { line.strip_prefix(b",")? };
    Command::parse(std::str::from_utf8(line).ok()?).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests leave what a crash leaves")]

    use std::sync::Arc;

    use super::*;
    use crate::disk::{HAND_PREFIX, RealFs};

    const HEAD: &str = "{\"action\":{},\"commands\":[\n";

    fn command(id: u64) -> Box<RawValue> {
        let text =
            format!(r#"{{"id":{id}, "action":{{"name":"a"}},"status":"success","odd":1e400}}"#);
        RawValue::from_string(text).unwrap()
    }

    fn rig() -> (tempfile::TempDir, Disk, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(Arc::new(RealFs), folder.path().join("unused"), HAND_PREFIX);
        let part = folder.path().join(".7.part");
        (folder, disk, part)
    }

    fn written(ids: &[u64]) -> (tempfile::TempDir, Disk, PathBuf, Vec<u8>) {
        let (folder, disk, path) = rig();
        let mut part = Part::open(&disk, &path, HEAD).unwrap();
        for id in ids {
            part.add(&command(*id), "a").unwrap();
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
        assert_eq!((part.len(), part.summary(3).missing), (2, 1));
        part.finish(&disk, &document, "],\"name\":\"j\",\"plugin\":\"\"}").unwrap();
        let text = std::fs::read_to_string(&document).unwrap();
        let expected = format!(
            "{HEAD}{}\n,{}\n],\"name\":\"j\",\"plugin\":\"\"}}",
            command(1).get(),
            command(2).get()
        );
        assert_eq!(text, expected);
        assert!(!path.exists());
        assert_eq!(Part::summary_of(&disk, &document, HEAD).unwrap().sent, 2);
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
                part.add(&command(id), "a").unwrap();
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
        let (_folder, disk, path) = rig();
        let mut part = Part::open(&disk, &path, HEAD).unwrap();
        let error = part.add(&command(1), "b").unwrap_err();
        assert_eq!(error.to_string(), "the API sent a command of the action `a` instead of `b`");
        let none = RawValue::from_string("[]".to_owned()).unwrap();
        assert!(matches!(part.add(&none, "a"), Err(DocumentError::NoCommand { .. })));
    }
}
