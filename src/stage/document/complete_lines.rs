//! The complete lines of a document, read back from the disk.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::{CommandFacts, note_large};
use crate::action::{Command, LargeAnswer, Summary};
use crate::api::LargePermit;
use crate::disk::{Context, Disk, DiskError};

/// Size limit of a line, in bytes: the largest command accepted from the API, a comma and a
/// newline.
const LINE_BYTES_MAX: u64 = (64 << 20) + 2;

/// The complete lines of a partial document.
pub(super) struct CompleteLines {
    /// Size of the head and the lines.
    pub(super) bytes: u64,
    pub(super) ids: HashSet<u64>,
    pub(super) summary: Summary,
    pub(super) sent: u64,
    pub(super) large: Vec<LargeAnswer>,
}

impl CompleteLines {
    /// Returns the head without any line.
    pub(super) fn none(head: &str) -> CompleteLines {
        CompleteLines {
            bytes: u64::try_from(head.len()).unwrap_or(u64::MAX),
            ids: HashSet::new(),
            summary: Summary::default(),
            sent: 0,
            large: Vec::new(),
        }
    }

    /// Reads the complete lines of a file; `None` if not even the head is complete.
    pub(super) fn read(
        disk: &Disk,
        path: &Path,
        head: &str,
    ) -> Result<Option<CompleteLines>, DiskError> {
        let bytes = disk.find(path)?.map_or(0, |meta| meta.stamp.size);
        // Any of its lines may be large.
        let _permit = LargePermit::wait_for(bytes);
        CompleteLines::of(BufReader::new(disk.reader(path)?), head).context("read", path)
    }

    /// Reads the complete lines; `None` if not even the head is complete.
    fn of(mut reader: impl BufRead, head: &str) -> io::Result<Option<CompleteLines>> {
        let mut line = Vec::new();
        let head_bytes = u64::try_from(head.len()).unwrap_or(u64::MAX);
        reader.by_ref().take(head_bytes).read_to_end(&mut line)?;
        if line != head.as_bytes() {
            return Ok(None);
        }
        let mut kept = CompleteLines::none(head);
        loop {
            line.clear();
            let size = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
            let Some(command) = whole_command(&line, kept.ids.is_empty()) else { break };
            let facts = CommandFacts::from(command);
            if !kept.ids.insert(facts.id) {
                break;
            }
            kept.summary.merge(&facts.counts);
            kept.sent = kept.sent.max(facts.sent);
            note_large(&mut kept.large, &facts);
            kept.bytes = kept.bytes.saturating_add(u64::try_from(size).unwrap_or(u64::MAX));
        }
        Ok(Some(kept))
    }
}

fn whole_command(line: &[u8], first: bool) -> Option<Command> {
    let line = line.strip_suffix(b"\n")?;
    let line = if first { line } else { line.strip_prefix(b",")? };
    Command::parse_for_summary(std::str::from_utf8(line).ok()?).ok()
}
