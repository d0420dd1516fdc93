//! The content of a file, unpacked on request.
//!
//! Files are opened without blocking, so that a pipe that replaces a file cannot hang the search,
//! and read in pieces, so that memory does not grow with their size.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use rustix::fs::OFlags;

/// The first two bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, thiserror::Error)]
pub(super) enum SourceError {
    #[error("cannot open {}", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot unpack {}", path.display())]
    Unpack { path: PathBuf, source: io::Error },
}

impl SourceError {
    /// Returns whether the statistics count the file among those that could not be opened.
    pub(super) fn counts_as_unopened(&self) -> bool {
        matches!(self, SourceError::Open { .. } | SourceError::Unpack { .. })
    }
}

/// Whether a path may be a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// Read the link's target.
    Follow,
    /// Fail: the path was not a link when it was listed, and must not have become one.
    Refuse,
}

/// A file opened for reading.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    bytes: SourceBytes,
}

/// The bytes of a file: the first ones, which were read to detect its format, and the rest.
type FileBytes = Chain<Cursor<Vec<u8>>, File>;

#[derive(Debug)]
enum SourceBytes {
    Plain(FileBytes),
    Packed(Box<MultiGzDecoder<BufReader<FileBytes>>>),
}

impl Source {
    /// Opens a file. With `unpack`, a file that begins like gzip is unpacked.
    pub(super) fn open(path: &Path, links: Links, unpack: bool) -> Result<Source, SourceError> {
        let path = path.to_owned();
        let file = match open(&path, links) {
            Ok(file) => file,
            Err(source) => return Err(SourceError::Open { path, source }),
        };
        let mut head = Vec::new();
        if unpack {
            let wanted = u64::try_from(GZIP_MAGIC.len()).unwrap_or_default();
            if let Err(source) = (&file).take(wanted).read_to_end(&mut head) {
                return Err(SourceError::Read { path, source });
            }
        }
        let is_packed = head == GZIP_MAGIC;
        let whole = Cursor::new(head).chain(file);
        let bytes = if is_packed {
            SourceBytes::Packed(Box::new(MultiGzDecoder::new(BufReader::new(whole))))
        } else {
            SourceBytes::Plain(whole)
        };
        Ok(Source { path, bytes })
    }

    /// Reads packed data to its end, because only then is it known to be undamaged.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let SourceBytes::Packed(bytes) = &mut self.bytes {
            io::copy(bytes, &mut io::sink())?;
        }
        Ok(())
    }

    /// Returns the error for a failed read of this source.
    pub(super) fn error(&self, source: io::Error) -> SourceError {
        let path = self.path.clone();
        match self.bytes {
            // Errors of the system have a number; those of the decoder do not.
            SourceBytes::Packed(_) if source.raw_os_error().is_none() => {
                SourceError::Unpack { path, source }
            }
            _ => SourceError::Read { path, source },
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            SourceBytes::Plain(bytes) => bytes.read(buffer),
            SourceBytes::Packed(bytes) => bytes.read(buffer),
        }
    }
}

fn open(path: &Path, links: Links) -> io::Result<File> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if links == Links::Refuse {
        flags |= OFlags::NOFOLLOW;
    }
    let flags = flags.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if file.metadata()?.file_type().is_fifo() {
        return Err(io::Error::other("is a named pipe"));
    }
    Ok(file)
}
