//! What is in a file: its bytes, or what they unpack to.
//!
//! A file is opened without waiting for anybody, so that a pipe put in its place
//! cannot hold the search up, and read in pieces, so that memory does not grow
//! with it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use rustix::fs::OFlags;

use super::super::reason::reason;

/// The first two bytes of every gzip stream.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What was being done with a file, as Go calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Open,
    Read,
    Unpack,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{} {}: {}", match doing { Doing::Open => "open", Doing::Read => "read", Doing::Unpack => "unpack" }, path.display(), reason(source))]
pub(super) struct SourceError {
    doing: Doing,
    path: PathBuf,
    source: io::Error,
}

impl SourceError {
    /// Tells whether the file could not be opened as what it was to be.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.doing, Doing::Open | Doing::Unpack)
    }
}

/// Whether a path may be a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// It is read as what it leads to.
    Follow,
    /// It was none when it was looked at, and must not have become one.
    Refuse,
}

/// A file opened for reading.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    bytes: Bytes,
}

/// The first bytes of a file, which were read to know it, and the rest.
type Whole = Chain<Cursor<Vec<u8>>, File>;

#[derive(Debug)]
enum Bytes {
    Plain(Whole),
    Packed(Box<MultiGzDecoder<BufReader<Whole>>>),
}

impl Source {
    /// Opens a file; with `unpack`, one that begins as gzip does is unpacked.
    pub(super) fn open(path: &Path, links: Links, unpack: bool) -> Result<Source, SourceError> {
        let failed = |doing| move |source| SourceError { doing, path: path.to_owned(), source };
        let file = open(path, links).map_err(failed(Doing::Open))?;
        let mut head = Vec::new();
        if unpack {
            let wanted = u64::try_from(GZIP_MAGIC.len()).unwrap_or_default();
            (&file).take(wanted).read_to_end(&mut head).map_err(failed(Doing::Read))?;
        }
        let packed = head == GZIP_MAGIC;
        let whole = Cursor::new(head).chain(file);
        let bytes = if packed {
            Bytes::Packed(Box::new(MultiGzDecoder::new(BufReader::new(whole))))
        } else {
            Bytes::Plain(whole)
        };
        Ok(Source { path: path.to_owned(), bytes })
    }

    /// Reads what is packed to its end: only there it is known to be whole.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        if let Bytes::Packed(bytes) = &mut self.bytes {
            io::copy(bytes, &mut io::sink())?;
        }
        Ok(())
    }

    /// Names an error of reading from here.
    pub(super) fn error(&self, source: io::Error) -> SourceError {
        let doing = match self.bytes {
            Bytes::Packed(_) if source.raw_os_error().is_none() => Doing::Unpack,
            _ => Doing::Read,
        };
        SourceError { doing, path: self.path.clone(), source }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(bytes) => bytes.read(buffer),
            Bytes::Packed(bytes) => bytes.read(buffer),
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
