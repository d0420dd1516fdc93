//! A file with one command per line, written through a buffer.

use std::path::{Path, PathBuf};

use crate::action::document;
use crate::disk::{Context, Disk, DiskError, FsFile};

/// Size from which the buffer is written, in bytes; it can be larger by one command.
const BUFFER_BYTES: usize = 128 * 1024;

/// A file with one command per line, written through a buffer.
#[derive(Debug)]
pub(in crate::stage) struct CommandFile {
    file: Box<dyn FsFile>,
    path: PathBuf,
    buffer: String,
}

impl CommandFile {
    /// Creates the file; a file that a crash left under its name is removed first.
    pub(in crate::stage) fn begin(disk: &Disk, path: &Path) -> Result<CommandFile, DiskError> {
        if disk.find(path)?.is_some() {
            disk.unlink(path)?;
        }
        Ok(CommandFile { file: disk.begin(path)?, path: path.to_owned(), buffer: String::new() })
    }

    /// Opens the file after its first `bytes` bytes, and removes the others.
    pub(super) fn resume(disk: &Disk, path: &Path, bytes: u64) -> Result<CommandFile, DiskError> {
        let mut file = disk.resume(path)?;
        file.cut(bytes).context("cut", path)?;
        Ok(CommandFile { file, path: path.to_owned(), buffer: String::new() })
    }

    pub(in crate::stage) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends lines that are already formatted.
    pub(in crate::stage) fn append(&mut self, lines: &str) -> Result<(), DiskError> {
        self.file.append(lines.as_bytes()).context("write", &self.path)
    }

    /// Adds text to the buffer.
    pub(super) fn buffer(&mut self, text: &str) {
        self.buffer.push_str(text);
    }

    /// Appends the command that has position `index` in the file.
    pub(super) fn push(&mut self, index: usize, command: &str) -> Result<(), DiskError> {
        document::push_line(index, command, &mut self.buffer);
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write() }
    }

    /// Writes the buffer.
    pub(super) fn write(&mut self) -> Result<(), DiskError> {
        let written = self.file.append(self.buffer.as_bytes());
        self.buffer.clear();
        // Release the memory that an unusually large command needed.
        self.buffer.shrink_to(2 * BUFFER_BYTES);
        written.context("write", &self.path)
    }

    pub(super) fn sync(&mut self) -> Result<(), DiskError> {
        self.write()?;
        self.file.sync().context("write", &self.path)
    }
}
